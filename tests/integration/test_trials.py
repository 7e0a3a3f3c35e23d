"""A trial in this process, without Ray: what it reports, how it stops, and how it takes over a checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from descant import train
from descant.errors import UserError
from descant.launch.prepare import prepare
from descant.loop.ranks import Ranks
from descant.loop.worker import work
from descant.run.folder import RunFolder
from descant.run.log import read_rows
from descant.tune import exchange
from descant.tune.exchange import HANDOFF, LEFT, TRIAL, adopt, hand_over, note_start, record
from descant.tune.objective import Evaluation, evaluations
from descant.tune.plan import Plan
from descant.tune.planning import make_plan
from descant.tune.trial import STOP, TOLD, Job, run_trial, train_here
from support import last_weights
from tuning import tiny_recipe

STEPS = 3  # of an epoch


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("tune"))


def plan_of(recipe: Path, folder: Path, *overrides: str) -> Plan:
    return make_plan(str(recipe), [f"run.dir={folder}", "run.name=study", *overrides])


def job_of(plan: Plan, number: int, weight: float) -> Job:
    params = {"tasks.reconstruction.weight": weight, "optimizer.lr": 0.005}
    folder = plan.folder / "trials" / f"{number:04d}"
    return Job(number, params, plan.recipe_of(number, params), str(folder), plan.plugins)


def run(job: Job, at: Callable[[Evaluation], None] = lambda evaluation: None) -> tuple[str, list[Evaluation]]:
    """Run a trial and return how it ended, with what it reported."""
    seen: list[Evaluation] = []

    def report(evaluation: Evaluation) -> None:
        seen.append(evaluation)
        at(evaluation)

    return run_trial(job, train_here, report), seen


def told_after(job: Job, epochs: int) -> Callable[[Evaluation], None]:
    """Return a report that tells the trial to stop after some epochs."""
    return lambda evaluation: (Path(job.folder) / TOLD).touch() if evaluation.epochs == epochs else None


def test_a_trial_is_a_run_that_reports_each_evaluation_once_its_checkpoint_is_saved(
    recipe: Path, tmp_path: Path
) -> None:
    plan = plan_of(recipe, tmp_path)
    job = job_of(plan, 0, 2.0)
    saved: list[int] = []
    index = Path(job.folder) / "checkpoints" / "index.json"
    status, seen = run(job, lambda evaluation: saved.append(int(json.loads(index.read_text())["last"][5:])))
    assert status == "finished"
    assert [(each.epochs, each.step) for each in seen] == [(epoch, epoch * STEPS) for epoch in (1, 2, 3, 4)]
    assert saved == [each.step for each in seen]
    assert {"genre.accuracy", "genre.loss", "reconstruction.loss"} <= set(seen[0].values)
    folder = Path(job.folder)
    assert {"metrics.jsonl", "recipe.yaml", "summary.json", "report.html", "environment.json"} <= set(
        path.name for path in folder.iterdir()
    )
    assert RunFolder(folder).read_recipe()["tasks"]["reconstruction"]["weight"] == 2.0
    plain = train(
        str(recipe), [f"run.dir={tmp_path}", "run.name=plain", "run=inline", "tasks.reconstruction.weight=2.0"]
    )
    assert {key: value.tolist() for key, value in last_weights(folder).items()} == {
        key: value.tolist() for key, value in last_weights(plain.folder).items()
    }


def test_no_trial_looks_at_the_test_split(recipe: Path, tmp_path: Path) -> None:
    """The same shards, the test one unreadable or absent: trials come to the same, and write nothing of a test."""
    whole, data = plan_of(recipe, tmp_path / "whole"), recipe.parent / "mels"
    expected, _ = run(job_of(whole, 0, 2.0)), None
    for name in ("torn", "absent", "torn and not described"):
        place = tmp_path / name / "mels"
        shutil.copytree(data, place)
        (shard,) = place.glob("test-*.tar")
        shard.unlink() if name == "absent" else shard.write_bytes(b"no tar")
        plan = plan_of(recipe, tmp_path / name, f"data={place}")
        job = job_of(plan, 0, 2.0)
        if name == "torn and not described":
            (place / "dataset.json").unlink()
            assert run(job)[0] == "finished"  # the order of samples is another one, so its numbers are too
        else:
            assert run(job) == expected
            with pytest.raises(UserError):  # as every other command does, that one looks at all splits
                prepare(str(recipe), [f"data={place}", f"run.dir={tmp_path}", "run.name=plain"])
        assert {row["split"] for row in read_rows(Path(job.folder) / "metrics.jsonl")} == {"train", "validation"}


def test_a_told_trial_stops_at_once_with_a_checkpoint(recipe: Path, tmp_path: Path) -> None:
    plan = plan_of(recipe, tmp_path)
    job = job_of(plan, 0, 2.0)
    status, seen = run(job, told_after(job, 2))
    assert status == "interrupted" and len(seen) == 2
    assert json.loads((Path(job.folder) / "checkpoints" / "index.json").read_text())["last"] == f"step-{2 * STEPS:08d}"
    summary = RunFolder(Path(job.folder)).summary()
    assert summary is not None and summary["status"] == "interrupted"


def test_a_study_that_stops_stops_its_trials_and_they_go_on_as_if_nothing_had_been(
    recipe: Path, tmp_path: Path
) -> None:
    plan = plan_of(recipe, tmp_path)
    stopped, whole = job_of(plan, 0, 2.0), job_of(plan, 1, 2.0)
    (plan.folder / "trials").mkdir(parents=True)
    status, first = run(stopped, lambda evaluation: (plan.folder / STOP).touch())
    assert status == "interrupted" and len(first) == 1
    (plan.folder / STOP).unlink()
    status, rest = run(stopped)
    assert status == "finished"
    expected = run(whole)
    assert [*first, *rest] == expected[1]
    for name, value in last_weights(Path(stopped.folder)).items():
        assert torch.equal(value, last_weights(Path(whole.folder))[name])


def test_a_trial_takes_over_a_checkpoint_and_goes_on_with_other_weights(recipe: Path, tmp_path: Path) -> None:
    """What it ends with is, bit for bit, what the donor's run comes to when it goes on with the new weight."""
    plan = plan_of(recipe, tmp_path)
    donor, taker = job_of(plan, 0, 2.0), job_of(plan, 1, 50.0)
    new = {"tasks.reconstruction.weight": 7.0, "optimizer.lr": 0.002}
    run(donor, told_after(donor, 3))

    def hand(evaluation: Evaluation) -> None:
        if evaluation.epochs == 2:
            assert hand_over(Path(donor.folder), Path(taker.folder), new, plan.recipe_of(1, new), 4)

    status, seen = run(taker, hand)
    assert status == "finished"
    assert [each.epochs for each in seen] == [1, 2, 4]  # two of its own, then on from the donor's third
    weights = ["tasks.reconstruction.weight=2.0", "optimizer.lr=0.005"]
    then = ["tasks.reconstruction.weight=7.0", "optimizer.lr=0.002", "resume=true"]
    place = [f"run.dir={tmp_path}", "run.name=alone", "run=inline"]
    asked = iter(range(10**9))
    launch = prepare(str(recipe), [*place, *weights])
    work(launch.request, Ranks(), lambda: next(asked) >= 3 * STEPS)
    launch.lock.release()
    at_exchange = last_weights(tmp_path / "alone")
    assert all(torch.equal(value, at_exchange[name]) for name, value in last_weights(Path(donor.folder)).items())
    alone = train(str(recipe), [*place, *then])
    expected = last_weights(alone.folder)
    assert all(torch.equal(value, expected[name]) for name, value in last_weights(Path(taker.folder)).items())
    changes = record(Path(taker.folder))["changes"]
    assert [(each["epochs"], each["step"], each["params"], each.get("donor")) for each in changes] == [
        (0, 0, taker.params, None),
        (3, 3 * STEPS, new, 0),
    ]
    assert [each["params"] for each in record(Path(taker.folder))["lineage"]] == [donor.params, new]
    rows = evaluations(read_rows(Path(taker.folder) / "metrics.jsonl"))
    assert [each.epochs for each in rows] == [1, 2, 3, 4]
    own = evaluations(read_rows(Path(taker.folder) / LEFT / "metrics-1.jsonl"))
    assert own == seen[:2]
    assert rows[:3] == evaluations(read_rows(Path(donor.folder) / "metrics.jsonl"))
    assert RunFolder(Path(taker.folder)).read_recipe()["tasks"]["reconstruction"]["weight"] == 7.0


def made(recipe: Path, tmp_path: Path) -> tuple[Path, Path, Plan]:
    """Return two trials of two epochs, of which the second waits for a handoff of the first."""
    plan = plan_of(recipe, tmp_path)
    jobs = [job_of(plan, number, weight) for number, weight in enumerate((2.0, 50.0))]
    for job in jobs:
        run(job, told_after(job, 2))
    donor, taker = (Path(job.folder) for job in jobs)
    new = {"tasks.reconstruction.weight": 7.0, "optimizer.lr": 0.002}
    assert not hand_over(donor, taker, new, plan.recipe_of(1, new), 2)  # it would have nothing left to train
    assert hand_over(donor, taker, new, plan.recipe_of(1, new), 4)
    return donor, taker, plan


def test_a_second_handoff_waits_for_none_and_a_donor_without_a_checkpoint_gives_none(
    recipe: Path, tmp_path: Path
) -> None:
    donor, taker, plan = made(recipe, tmp_path)
    assert not hand_over(donor, taker, {}, {}, 4)
    empty = plan.folder / "trials" / "0002"
    empty.mkdir()
    note_start(empty, 2, {})
    assert not hand_over(empty, donor, {}, {}, 4)
    assert not (donor / HANDOFF).exists()
    assert adopt(donor) is None


@pytest.mark.parametrize("killed_in", ["copytree", "copyfile", "write_text"])
def test_a_handoff_is_taken_whole_however_often_the_taker_is_killed(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    """Ended at each call that changes files, and begun again: the checkpoint, the rows and the record are the same."""
    donor, taker, _ = made(recipe, tmp_path)
    expected = last_weights(donor)
    place = exchange if killed_in == "write_text" else exchange.shutil
    real = getattr(place, killed_in)
    for calls in range(4):
        left = calls

        def ends(*args: object, **options: object) -> object:
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            return real(*args, **options)

        monkeypatch.setattr(place, killed_in, ends)
        try:
            adopt(taker)
        except KeyboardInterrupt:
            assert (taker / HANDOFF / "handoff.json").exists()
    monkeypatch.undo()
    adopt(taker)
    assert not (taker / HANDOFF).exists()
    assert all(torch.equal(value, expected[name]) for name, value in last_weights(taker).items())
    assert len(record(taker)["changes"]) == 2
    assert len(evaluations(read_rows(taker / LEFT / "metrics-1.jsonl"))) == 2
    assert (taker / TRIAL).exists()
