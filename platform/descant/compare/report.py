"""``report.html`` of a comparison: one file that can be sent by mail."""

from __future__ import annotations

from pathlib import Path

from descant.compare.results import Comparison
from descant.compare.rows import Section, convergence_sections, cost_sections, heads, metric_sections
from descant.compare.sentences import CONVERGENCE_NOTE, INTERVAL_NOTE, findings
from descant.files import write_text
from descant.report.files import as_yaml
from descant.report.html import REPORT
from descant.report.page import Content, Markup, element, figure, folded, page, table


def write_comparison_report(comparison: Comparison, folder: Path, title: str = "") -> Path:
    """Write ``report.html`` of a comparison into a folder and return its path."""
    path = folder / REPORT
    title = title or f"Comparison {folder.name}"
    write_text(path, page(title, _comparison_body(comparison, title)))
    return path


def _comparison_body(comparison: Comparison, title: str) -> list[Markup]:
    from descant.compare.figures import curves_figure, differences_figure
    from descant.report.drawing import inline_svg

    body = [
        element("h1", title),
        *(element("p", text, "lead") for text in findings(comparison)),
        element("h2", "Results"),
        _comparison_table(comparison),
    ]
    curves, differences = curves_figure(comparison), differences_figure(comparison)
    if differences is not None:
        svg = inline_svg(differences, "differences", "paired differences from the baseline")
        caption = "Dot and bar: mean and 95 % interval of the paired difference; strokes below: the single seeds."
        body += [element("h2", f"Difference from {comparison.baseline.name}"), figure(svg, caption)]
    if curves is not None:
        svg = inline_svg(curves, "curves", "validation curves per arm")
        caption = "On the validation split: mean over seeds; the band is the 95 % interval of the mean at each epoch."
        body += [element("h2", "Curves"), figure(svg, caption)]
    convergence = convergence_sections(comparison)
    if convergence:
        body += [element("h2", "Convergence"), _sections(comparison, convergence, CONVERGENCE_NOTE)]
    body += [element("h2", "Cost"), _cost_table(comparison)]
    return [*body, *_runs(comparison)]


def _runs(comparison: Comparison) -> list[Markup]:
    body: list[Markup] = []
    missing = [[arm.name, str(seed), why] for arm in comparison.arms for seed, why in arm.missing.items()]
    if missing:
        body += [element("h2", "Runs that are missing"), table(["arm", "seed", "why"], missing, [1])]
    runs = [(arm.name, seed, run) for arm in comparison.arms for seed, run in arm.runs.items()]
    rows = [[arm, str(seed), str(run.folder)] for arm, seed, run in runs]
    body += [element("h2", "Runs"), table(["arm", "seed", "folder"], rows, [1])]
    return [*body, folded(f"Recipe of {rows[0][0]}, seed {rows[0][1]}", as_yaml(runs[0][2].recipe))]


def _comparison_table(comparison: Comparison) -> Markup:
    return _sections(comparison, metric_sections(comparison), INTERVAL_NOTE)


def _cost_table(comparison: Comparison) -> Markup:
    note = (
        "Both count training with its evaluations, without the start-up. Runs that shared a machine slowed each other "
        "down: read times as a comparison of arms only."
    )
    return _sections(comparison, cost_sections(comparison), note)


def _sections(comparison: Comparison, sections: list[Section], note: str) -> Markup:
    rows: list[list[Content]] = []
    for section in sections:
        rows.append([element("strong", section.title)])
        rows += [[*row.texts, _verdict(row.verdict)] for row in section.rows]
    return table(heads(comparison), rows, range(1, 5), note)


def _verdict(verdict: str) -> Markup:
    return element("span", verdict, {"better": "good", "worse": "bad"}.get(verdict, ""))
