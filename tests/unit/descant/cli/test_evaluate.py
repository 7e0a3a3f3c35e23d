"""``descant evaluate``: the run's numbers again, and what they are made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from descant import train
from descant.cli.main import main
from support import image_data_set

PLUGIN = """
from descant import Classification, Landmarks, register_task

@register_task("ends_of_a_test")
class Ends(Landmarks):
    \"\"\"Two corners of a bright square.\"\"\"
    label = "landmarks"
    point_names = ("left", "right")

@register_task("end_of_a_test")
class Tone(Classification):
    \"\"\"How bright the rest is.\"\"\"
    label = "shade"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "end_tasks_of_a_test.py").write_text(PLUGIN)
    (folder / "ends.yaml").write_text(
        f"data: {image_data_set(folder / 'data')}\nplugins: [end_tasks_of_a_test.py]\ntrunk: mlp\n"
        "inputs: {image: {size: 8, grey: true}}\nrun: inline\ntasks:\n  ends_of_a_test: {role: main}\n"
        "  end_of_a_test: {metrics: [accuracy, balanced_accuracy, f1, auc]}\n"
    )
    overrides = [f"run.dir={folder / 'runs'}", "trainer.epochs=2", "trainer.batch_size=8", "trainer.loader_workers=0"]
    return train(str(folder / "ends.yaml"), overrides).folder


def test_json_has_the_details_that_the_run_folder_has(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "split=validation", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads((run / "details.json").read_text())
    assert printed["details"] == kept["validation"]
    assert kept["epoch"] == json.loads((run / "summary.json").read_text())["main"]["epoch"]
    assert kept["along"] == {
        "ends_of_a_test": {"error_curve_area": "share of faces, by their error in inter-ocular distances"}
    }
    points = printed["details"]["ends_of_a_test"]
    assert list(points["mean_error"]) == ["left", "right"] and len(points["error_curve_area"]) == 61
    assert sum(points["mean_error"].values()) / 2 == pytest.approx(
        printed["tasks"]["ends_of_a_test"]["mean_error"], rel=1e-6
    )
    assert set(printed["details"]["end_of_a_test"]) == {"balanced_accuracy", "f1", "auc"}


def test_details_are_no_rows_and_no_part_of_the_summary(run: Path) -> None:
    metrics = {json.loads(line)["metric"] for line in (run / "metrics.jsonl").read_text().splitlines()}
    assert not metrics & {"left", "right", "0.100"}
    assert "0.100" not in (run / "summary.json").read_text()


def test_the_report_draws_them(run: Path) -> None:
    text = (run / "report.html").read_text()
    assert "What the metrics are made of" in text and "by their error in inter-ocular distances" in text


def test_the_table_is_as_short_as_it_was(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "split=validation"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + (1 + 4) + (1 + 4), "a line for each loss and each metric"
