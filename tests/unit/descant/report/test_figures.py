from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant.compare import Comparison, compare_runs
from descant.compare.figures import arm_curve, curves_figure, differences_figure
from descant.report import RunRecord, read_run
from descant.report.drawing import colour, line, save
from descant.report.run_figures import course_figure, task_figures, trained_spans
from unit.descant.compare.stand_in import genre_recipe, write_run


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    root = tmp_path_factory.mktemp("runs")
    arms = {f"w={w}": {s: write_run(root / f"{w}-{s}", genre_recipe(w, s)) for s in range(3)} for w in (0, 10)}
    return compare_runs(arms)


def test_the_band_is_the_interval_over_seeds(comparison: Comparison) -> None:
    arm = comparison.arms[0]
    estimate = arm_curve(arm, "genre", "accuracy")[4]
    values = [run.curve("validation", "genre", "accuracy")[4] for run in arm.runs.values()]
    assert estimate.n == 3 and estimate.mean == pytest.approx(sum(values) / 3)
    assert estimate.low is not None and estimate.low < min(values)


def test_every_panel_is_labelled_and_every_arm_drawn(comparison: Comparison) -> None:
    curves, differences = curves_figure(comparison), differences_figure(comparison)
    assert curves is not None and differences is not None
    assert [axis.get_title("left") for axis in curves.axes] == [
        "genre: accuracy",
        "genre: loss",
        "reconstruction: loss",
    ]
    for axis in curves.axes:
        assert axis.get_xlabel() == "epoch" and axis.get_ylabel() and len(axis.lines) == 2 == len(axis.collections)
    assert all("is better" in axis.get_xlabel() for axis in differences.axes)


def test_figures_are_800_pixels_wide_and_the_same_each_time(comparison: Comparison, tmp_path: Path) -> None:
    made: list[bytes] = []
    for _ in range(2):
        figure = curves_figure(comparison)
        assert figure is not None
        made += [save(figure, tmp_path / f"f.{ending}").read_bytes() for ending in ("png", "svg")]
    assert made[:2] == made[2:]
    assert int.from_bytes(made[0][16:20], "big") == 800


def test_a_run_has_a_figure_per_task_and_one_of_its_course(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "r", genre_recipe()))
    figures = task_figures(run)
    assert list(figures) == ["genre", "reconstruction"]
    assert [axis.get_title("left") for axis in figures["genre"].axes] == ["loss", "accuracy"]
    (run.folder / "metrics.jsonl").unlink()
    empty = read_run(run.folder)
    assert task_figures(empty) == {} and course_figure(empty) is None


def test_curves_of_the_same_numbers_are_drawn_once_under_both_names(tmp_path: Path, comparison: Comparison) -> None:
    figures = task_figures(read_run(write_run(tmp_path / "r", genre_recipe())))
    assert [axis.get_title("left") for axis in figures["reconstruction"].axes] == ["loss = l1"]
    differences = differences_figure(comparison)
    assert differences is not None
    titles = [axis.get_title("left") for axis in differences.axes]
    assert titles == ["genre: accuracy", "genre: loss", "reconstruction: l1 = loss"]


def test_the_course_shows_rates_and_the_weights_only_where_they_vary(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", genre_recipe())
    rows = (folder / "metrics.jsonl").read_text()
    for metric in ("learning_rate", "throughput_samples_s"):
        row = {"split": "train", "task": None, "metric": metric, "value": 0.5, "epoch": 0, "step": 0}
        rows += json.dumps(row) + "\n"
    (folder / "metrics.jsonl").write_text(rows)
    titles = ["learning rate", "training speed", "waiting for data"]
    assert _titles(read_run(folder)) == titles
    row = {"split": "train", "task": "genre", "metric": "weight", "value": 0.5, "epoch": 1, "step": 6}
    (folder / "metrics.jsonl").write_text(rows + json.dumps(row) + "\n")
    assert _titles(read_run(folder)) == [*titles, "weights of the tasks' losses"]


def test_labels_fit_their_panels(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", genre_recipe())
    name = "normalised_mean_error_of_all_points"
    (folder / "metrics.jsonl").write_text((folder / "metrics.jsonl").read_text().replace('"accuracy"', f'"{name}"'))
    figure = task_figures(read_run(folder))["genre"]
    figure.draw_without_rendering()
    page = figure.bbox
    for axis in figure.axes:
        for text in (axis.yaxis.label, axis.xaxis.label):
            box = text.get_window_extent()
            assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


def _titles(run: RunRecord) -> list[str]:
    figure = course_figure(run)
    assert figure is not None
    return [axis.get_title("left") for axis in figure.axes]


def test_lines_stay_apart_beyond_the_palette() -> None:
    assert len({(colour(position), line(position)) for position in range(24)}) == 24


@pytest.mark.parametrize(
    ("active", "spans"),
    [
        ({}, [(0.0, 6.0)]),
        ({0.0: 1.0, 1.0: 1.0, 5.0: 1.0}, [(0.0, 6.0)]),
        ({0.0: 1.0, 1.0: 0.0, 2.0: 0.0}, [(0.0, 2.0)]),
        ({0.0: 0.0, 1.0: 0.0, 2.0: 1.0, 3.0: 0.0, 4.0: 1.0, 5.0: 1.0}, [(0.0, 1.0), (3.0, 4.0), (5.0, 6.0)]),
        ({5.0: 0.0}, [(0.0, 6.0)]),
    ],
)
def test_a_task_trains_until_it_is_stopped_and_from_where_it_is_taken_up(
    active: dict[float, float], spans: list[tuple[float, float]]
) -> None:
    assert trained_spans(active, 6.0) == spans
