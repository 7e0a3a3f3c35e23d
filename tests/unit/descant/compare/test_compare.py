from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from descant.compare import compare_runs, group_runs
from descant.compare.rows import metric_sections
from descant.compare.sentences import findings
from descant.errors import UserError
from unit.descant.compare.stand_in import genre_recipe, write_run

Arms = dict[str, dict[int, Path]]


@pytest.fixture
def arms(tmp_path: Path) -> Arms:
    return {
        f"weight={weight}": {
            seed: write_run(tmp_path / f"w{weight}-{seed}", genre_recipe(weight, seed)) for seed in range(5)
        }
        for weight in (0, 10)
    }


def edit(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    summary = json.loads((folder / "summary.json").read_text())
    change(summary)
    (folder / "summary.json").write_text(json.dumps(summary))


def test_the_json_has_the_contract_s_form(arms: Arms) -> None:
    result = json.loads(json.dumps(compare_runs(arms, "genre").to_json(), allow_nan=False))
    assert result["baseline"] == "weight=0" and result["main"] == {"task": "genre", "metric": "accuracy"}
    cell = result["arms"]["weight=10"]["tasks"]["genre"]["accuracy"]
    assert {"mean", "low", "high", "difference", "difference_low", "difference_high", "p", "verdict"} <= set(cell)
    values = [json.loads((arms["weight=10"][s] / "summary.json").read_text())["tasks"]["genre"]["test"]["accuracy"]
              for s in range(5)]  # fmt: skip
    assert cell["values"] == {str(seed): value for seed, value in enumerate(values)}
    assert cell["mean"] == pytest.approx(sum(values) / 5)
    assert (cell["n"], cell["pairs"], cell["split"], cell["verdict"]) == (5, 5, "test", "better")
    assert result["arms"]["weight=0"]["tasks"]["genre"]["accuracy"]["verdict"] == "baseline"
    assert result["arms"]["weight=0"]["tasks"]["genre"]["accuracy"]["difference"] is None
    assert result["arms"]["weight=10"]["tasks"]["reconstruction"]["loss"]["verdict"] == "better"
    assert result["arms"]["weight=10"]["cost"]["wall_s"]["difference"] == pytest.approx(2.0)


def test_one_run_without_a_test_split_moves_the_task_to_validation(arms: Arms) -> None:
    edit(arms["weight=10"][2], lambda summary: summary["tasks"]["genre"].update(test=None))
    cells = compare_runs(arms).arms[1].tasks
    assert cells["genre"]["accuracy"].split == "validation" and cells["reconstruction"]["l1"].split == "test"


def test_missing_and_nan_runs_leave_the_other_pairs(arms: Arms) -> None:
    edit(arms["weight=10"][0], lambda summary: summary.update(status="failed"))
    edit(arms["weight=0"][1], lambda summary: summary["tasks"]["genre"]["test"].update(accuracy=math.nan))
    arms["weight=10"][4] = arms["weight=10"][4].with_name("never-made")
    comparison = compare_runs(arms, failures={arms["weight=10"][0]: "NaN at step 7"})
    arm = comparison.arms[1]
    assert arm.missing == {0: "NaN at step 7", 4: "not run"}
    cell = arm.tasks["genre"]["accuracy"]
    assert cell.difference is not None and cell.difference.n == 2
    assert comparison.to_json()["arms"]["weight=0"]["tasks"]["genre"]["accuracy"]["values"]["1"] is None


def test_a_task_that_the_baseline_lacks_has_no_difference(arms: Arms) -> None:
    for folder in arms["weight=0"].values():
        edit(folder, lambda summary: summary["tasks"].pop("reconstruction"))
    comparison = compare_runs(arms)
    assert "reconstruction" not in comparison.arms[0].tasks
    assert comparison.arms[1].tasks["reconstruction"]["l1"].verdict == "not in both arms"


def test_nothing_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        compare_runs({"a": {0: tmp_path / "no"}})


def test_given_runs_are_grouped_by_recipe_but_for_seed_and_place(arms: Arms) -> None:
    folders = [folder for runs in arms.values() for folder in runs.values()]
    assert group_runs(folders) == {
        "tasks.reconstruction.weight=0": arms["weight=0"],
        "tasks.reconstruction.weight=10": arms["weight=10"],
    }
    with pytest.raises(UserError, match="same recipe and seed"):
        group_runs([*folders, folders[0]])
    with pytest.raises(UserError, match="at least two recipes"):
        group_runs(folders[:5])
    edit(folders[0], lambda summary: summary.update(status="interrupted"))
    with pytest.raises(UserError, match="interrupted, not finished"):
        group_runs(folders)


def test_runs_with_other_shares_of_the_machine_are_of_one_arm(arms: Arms) -> None:
    for seed, folder in arms["weight=0"].items():
        recipe = json.loads((folder / "recipe.yaml").read_text())
        recipe["trainer"]["loader_workers"] = seed
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
    assert len(group_runs([folder for runs in arms.values() for folder in runs.values()])) == 2


def test_intervals_are_shown_within_what_is_possible_and_kept_whole_in_json(arms: Arms) -> None:
    for seed, folder in arms["weight=0"].items():
        edit(folder, lambda summary, seed=seed: summary["tasks"]["genre"]["test"].update(accuracy=float(seed % 2)))
    cell = compare_runs(arms).baseline.tasks["genre"]["accuracy"]
    assert cell.shown_estimate is not None and cell.estimate is not None and cell.estimate.low is not None
    assert cell.shown_estimate.low == 0.0 and cell.estimate.low < 0.0 and cell.to_json()["low"] == cell.estimate.low
    loss = compare_runs(arms).baseline.tasks["genre"]["loss"]
    assert loss.shown_estimate == loss.estimate, "a loss may be anything"


def test_runs_on_different_data_are_said_to_be(arms: Arms) -> None:
    folders = [folder for runs in arms.values() for folder in runs.values()]
    for folder in folders:
        (folder / "dataset.json").write_text(json.dumps({"fingerprint": "aa"}))
    assert compare_runs(arms).notes == ()
    (folders[0] / "dataset.json").write_text(json.dumps({"fingerprint": "bb"}))
    comparison = compare_runs(arms)
    assert findings(comparison)[-1].startswith("These runs were made on different data sets, 'data/music' (bb), ")
    assert comparison.to_json()["notes"] == list(comparison.notes)


def test_sentences_have_the_table_s_numbers(arms: Arms) -> None:
    comparison = compare_runs({arm: {seed: runs[seed] for seed in (0, 1)} for arm, runs in arms.items()})
    baseline, other = metric_sections(comparison)[0].rows
    said = findings(comparison)
    assert baseline.texts[2] in said[0] and other.texts[3] in said[1]
