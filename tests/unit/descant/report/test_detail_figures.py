"""Figures of what metrics are made of."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from descant.report import RunRecord, read_run, write_run_report
from descant.report.detail_figures import MOST_BARS, detail_figures, detail_split, left_out
from unit.descant.compare.stand_in import genre_recipe, write_run

EVIL = '<b>$x$ & "y"'


def run_with(folder: Path, **splits: Any) -> RunRecord:
    write_run(folder, genre_recipe())
    along = {"genre": {"error_curve_area": "error in widths"}}
    (folder / "details.json").write_text(json.dumps({"epoch": 3, "along": along, **splits}))
    return read_run(folder)


def bars(count: int) -> dict[str, float]:
    return {f"class {number}": number / count for number in range(count)}


def test_bars_carry_names_numbers_and_the_metric_itself(tmp_path: Path) -> None:
    values = {"a": 0.25, "b": None, EVIL: 1.0}
    run = run_with(tmp_path / "r", test={"genre": {"accuracy": values}})
    (axis,) = detail_figures(run)["genre"].axes
    assert axis.get_title("left") == "accuracy"
    assert [label.get_text() for label in axis.get_yticklabels()] == list(values)
    widths = [patch.get_width() for patch in axis.patches]  # type: ignore[attr-defined]
    assert widths[0] == 0.25 and math.isnan(widths[1]) and widths[2] == 1.0
    assert [text.get_text() for text in axis.texts] == ["0.250", "–", "1.000"]
    assert axis.get_xlim() == (0.0, 1.0) and len(axis.lines) == 1
    assert axis.lines[0].get_xdata()[0] == run.tasks["genre"]["test"]["accuracy"]  # type: ignore[index]
    assert "What the metrics are made of" in write_run_report(run.folder).read_text()


def test_a_curve_is_drawn_for_both_splits(tmp_path: Path) -> None:
    curve = {"0.000": 0.0, "0.100": 0.5, "0.200": 0.9}
    both = {"genre": {"error_curve_area": curve}}
    run = run_with(tmp_path / "r", test=both, validation=both)
    (axis,) = detail_figures(run)["genre"].axes
    assert axis.get_xlabel() == "error in widths" and axis.get_xlim() == (0.0, 0.2)
    assert [line.get_label() for line in axis.lines] == ["test", "validation"]
    assert list(axis.lines[0].get_ydata()) == [0.0, 0.5, 0.9]  # type: ignore[arg-type]


def test_the_test_split_is_shown_where_there_is_one(tmp_path: Path) -> None:
    only = {"genre": {"accuracy": bars(3)}}
    assert detail_split(run_with(tmp_path / "a", validation=only)) == "validation"
    assert detail_split(run_with(tmp_path / "b", validation=only, test=only)) == "test"
    nothing = read_run(write_run(tmp_path / "c", genre_recipe()))
    assert detail_split(nothing) == "" and detail_figures(nothing) == {} and left_out(nothing) == {}
    assert "made of" not in write_run_report(nothing.folder).read_text()


def test_the_same_numbers_share_a_panel_and_too_many_are_left_out(tmp_path: Path) -> None:
    many = {"accuracy": bars(MOST_BARS + 1)}
    test = {"genre": {"accuracy": bars(2), "recall": bars(2), "f1": bars(3)}, "reconstruction": many}
    run = run_with(tmp_path / "r", test=test)
    figures = detail_figures(run)
    assert [axis.get_title("left") for axis in figures["genre"].axes] == ["accuracy = recall", "f1"]
    assert list(figures) == ["genre"] and left_out(run) == {"reconstruction": MOST_BARS + 1}
    assert f"{MOST_BARS + 1} bars" in write_run_report(run.folder).read_text()


@pytest.mark.parametrize(("count", "columns"), [(3, 2), (MOST_BARS, 3)])
def test_tall_panels_stand_three_in_a_row_with_names_at_the_left(tmp_path: Path, count: int, columns: int) -> None:
    metrics = {f"m{number}": {name: value * number for name, value in bars(count).items()} for number in (1, 2, 3)}
    figure = detail_figures(run_with(tmp_path / "r", test={"genre": metrics}))["genre"]
    assert len({axis.get_position().x0 for axis in figure.axes}) == columns
    shown = [axis.yaxis.get_tick_params()["labelleft"] for axis in figure.axes]
    assert shown == [place % columns == 0 for place in range(3)]
