"""The files of a comparison: comparison.json, its figures, and report.html."""

from __future__ import annotations

import json
from pathlib import Path

from descant.compare.figures import curves_figure, differences_figure
from descant.compare.report import write_comparison_report
from descant.compare.results import Comparison
from descant.files import write_text
from descant.report.drawing import save


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write all files of a comparison into a folder and return the report's path.

    Beside ``report.html`` there are ``comparison.json`` and, where there is something to draw, ``curves`` and
    ``differences``, each as .png and .svg.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "comparison.json", json.dumps(comparison.to_json(), indent=1) + "\n")
    figures = {"curves": curves_figure(comparison), "differences": differences_figure(comparison)}
    for name, figure in figures.items():
        if figure is not None:
            save(figure, folder / f"{name}.png")
            save(figure, folder / f"{name}.svg")
    return write_comparison_report(comparison, folder)
