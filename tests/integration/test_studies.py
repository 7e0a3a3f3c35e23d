"""Studies whose trials train one after the other in this process: what they remember, refuse and write down."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from descant import train
from descant.errors import UserError
from descant.recipe import compose
from descant.run.folder import RunFolder
from descant.tune.make import open_study
from descant.tune.objective import Evaluation
from descant.tune.plan import Plan
from descant.tune.planning import make_plan
from descant.tune.population import Members
from descant.tune.results import Results, pareto, results
from descant.tune.study import Study
from descant.tune.trial import TOLD, run_trial, train_here
from descant.tune.write import write_best, write_results
from support import last_weights
from tuning import study_of, tiny_recipe

SHORT = ["trainer.epochs=2", "tune.trials=3"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("tune"))


def plan_of(recipe: Path, folder: Path, *overrides: str) -> Plan:
    return make_plan(str(recipe), [f"run.dir={folder}", "run.name=study", *SHORT, *overrides])


def train_all(study: Study, most: int = 10**6, report: Callable[[Evaluation], None] = lambda evaluation: None) -> int:
    """Train what is left of a study, at most so many trials; return how many that were."""
    for count in range(most):
        job = study.next()
        if job is None:
            return count
        run_trial(job, train_here, report)
        study.end(job.number, "stopped" if study.is_told(job.number) else "finished")
    return most


def finish(study: Study) -> Results:
    found = results(study)
    write_results(study, found, "finished")
    study.lock.release()
    return found


@pytest.fixture(scope="module")
def made(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Study, Results]]:
    """A study of three trials, of which the second is stopped after its first epoch."""
    plan = plan_of(recipe, tmp_path_factory.mktemp("made"))
    study = open_study(plan)
    train_all(study, most=1)
    train_all(study, most=1, report=lambda evaluation: study.stop_trial(1))
    train_all(study)
    yield study, finish(study)


def test_a_study_writes_its_table_its_best_recipe_and_its_report(made: tuple[Study, Results], tmp_path: Path) -> None:
    study, found = made
    written = study_of(study.folder)
    assert written["status"] == "finished" and written["best"] == found.trials[0].number
    assert [each["status"] for each in written["trials"]] == ["finished", "stopped", "finished"]
    values = [trial.values["genre.accuracy"] for trial in found.trials]
    assert values == sorted(values, reverse=True)
    with (study.folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in found.trials]
    assert {int(row["trial"]): int(row["epochs"]) for row in rows} == {0: 2, 1: 1, 2: 2}
    assert [float(row["genre.accuracy"]) for row in rows] == values
    report = (study.folder / "report.html").read_text()
    assert "Best is trial" in report and report.count("<svg") >= 3
    assert {path.name for path in study.folder.glob("*.png")} >= {"courses.png", "front.png", "values.png"}
    assert found.best is not None
    best = compose(str(study.folder / "best.yaml"))
    assert best["tasks"]["reconstruction"]["weight"] == found.best.params["tasks.reconstruction.weight"]
    run = train(str(study.folder / "best.yaml"), [f"run.dir={tmp_path}", "run=inline"])
    assert run.summary["main"]["value"] == found.best.values["genre.accuracy"]
    assert run.summary["tasks"]["genre"]["test"]


def test_the_front_is_of_the_tasks_metrics_at_each_trials_best_epoch(made: tuple[Study, Results]) -> None:
    _, found = made
    assert [each.name for each in found.plan.front_of] == ["genre.accuracy", "reconstruction.mean_absolute_error"]
    scores = []
    for trial in found.trials:
        summary = RunFolder(trial.folder).summary()
        assert summary is not None
        tasks = summary["tasks"]
        best = (tasks["genre"]["best"]["accuracy"], tasks["reconstruction"]["best"]["mean_absolute_error"])
        assert best == (trial.values["genre.accuracy"], trial.values["reconstruction.mean_absolute_error"])
        scores.append([best[0], -best[1]])
    assert list(found.front) == [found.trials[at].number for at in pareto(scores)]


def test_the_same_command_goes_on_and_trains_nothing_again(made: tuple[Study, Results], recipe: Path) -> None:
    study, found = made
    again = open_study(plan_of(recipe, study.folder.parent))
    assert again.open_trials() == 0 and again.next() is None
    assert results(again) == found
    again.lock.release()
    more = open_study(plan_of(recipe, study.folder.parent, "tune.trials=4"))
    assert more.open_trials() == 1
    more.lock.release()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("tune.seed=3", "tune.seed: 0 → 3"),
        ("trainer.epochs=3", "trainer.epochs: 2 → 3"),
        ("tune.space.optimizer.lr={uniform:[0.1,1]}", "tune.space.optimizer.lr: {loguniform"),
        ("tune.scheduler=asha", "tune.scheduler: "),
        ("tune.metric=genre.loss", "tune.metric: genre.accuracy → genre.loss"),
    ],
)
def test_another_space_or_recipe_under_the_same_name_is_refused(
    made: tuple[Study, Results], recipe: Path, override: str, says: str
) -> None:
    before = (made[0].folder / "study.json").read_text()
    with pytest.raises(UserError, match="was made otherwise") as refused:
        open_study(plan_of(recipe, made[0].folder.parent, override))
    assert says in str(refused.value)
    assert (made[0].folder / "study.json").read_text() == before


def test_a_second_process_at_one_study_is_refused(recipe: Path, tmp_path: Path) -> None:
    study = open_study(plan_of(recipe, tmp_path))
    with pytest.raises(UserError, match="is being trained by"):
        open_study(plan_of(recipe, tmp_path))
    study.lock.release()


def test_trials_that_nobody_saw_ending_are_looked_at_again(made: tuple[Study, Results], recipe: Path) -> None:
    """A study whose process was killed knows its trials as running: their folders say what became of them."""
    study, _ = made
    path = study.folder / "study.json"
    kept = path.read_text()
    written = json.loads(kept)
    for trial in written["trials"]:
        trial["status"] = "running"
    path.write_text(json.dumps(written))
    again = open_study(plan_of(recipe, study.folder.parent))
    again.lock.release()
    path.write_text(kept)
    assert [trial.status for trial in again.trials] == ["finished", "stopped", "finished"]


def test_a_failed_trial_never_counts_and_is_tried_again_only_when_told_so(recipe: Path, tmp_path: Path) -> None:
    study = open_study(plan_of(recipe, tmp_path))
    job = study.next()
    assert job is not None
    run_trial(job, train_here, lambda evaluation: study.stop())  # it has an evaluation, and is not at its end
    study.failed_once(0, "a disk failed")
    study.end(0, "failed", "it failed again")
    found = finish(study)
    assert found.best is None and found.trials[0].values == {} and found.front == ()
    assert found.trials[0].errors == ("a disk failed", "it failed again")
    assert "0,failed" in (study.folder / "trials.csv").read_text()
    for retries, waits in ((1, False), (2, True)):
        again = open_study(plan_of(recipe, tmp_path, f"tune.retries={retries}"))
        assert (again.trials[0].status == "waiting") == waits
        again.lock.release()


def test_a_budget_of_epochs_ends_a_study(recipe: Path, tmp_path: Path) -> None:
    plan = make_plan(str(recipe), [f"run.dir={tmp_path}", "run.name=study", "trainer.epochs=2", "tune.budget_epochs=3"])
    study = open_study(plan)
    assert train_all(study) == 2
    assert study.open_trials() == 0
    study.lock.release()


def test_a_study_begins_with_what_an_earlier_one_has_learnt(
    made: tuple[Study, Results], recipe: Path, tmp_path: Path
) -> None:
    earlier = made[0].folder
    plan = plan_of(recipe, tmp_path)
    study = open_study(plan, earlier)
    told = {json.dumps(each["params"]): each["values"] for each in study.learned}
    assert told == {json.dumps(trial.params): [trial.values["genre.accuracy"]] for trial in made[1].trials}
    study.lock.release()
    again = open_study(plan)  # it remembers, without being told where from
    assert again.learned == study.learned
    again.lock.release()
    narrow = "tune.space.optimizer.lr={loguniform:[5.0e-2,1.0e-1]}"
    for overrides, says in (
        (["tune.search=random"], "learns from no trial"),
        (["tune.space.optimizer.lr=null"], "--from needs the same keys"),
        ([narrow, "tune.space.tasks.reconstruction.weight={uniform:[900,901]}"], "tells this one anything"),
    ):
        with pytest.raises(UserError, match=says):
            open_study(plan_of(recipe, tmp_path, *overrides, "run.name=other"), earlier)
    with pytest.raises(UserError, match="no folder of a study"):
        open_study(plan_of(recipe, tmp_path, "run.name=other"), tmp_path / "none")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["tune.metric=genre.acuracy"], "did you mean 'genre.accuracy'"),
        (["tune.metric=nothing"], "no task reports the metric 'nothing'"),
        (["tune.scheduler=pbt", "trainer.epochs=1"], "needs a checkpoint to take over"),
        (["tune.scheduler=pbt", "trainer.evaluate_epochs=2"], "needs a checkpoint to take over"),
        (["tune.scheduler=asha", "trainer.steps=2"], "needs an evaluation to compare"),
        (["tune.scheduler=pbt", "tune.space.sharing={choice:[hard,soft]}"], "cannot change in the middle of a run"),
        (["tune.scheduler=pbt", "tune.concurrent=1"], "side by side"),
        (["tune.search=multi", "tune.scheduler=asha"], "by one metric"),
        (["tune.search=multi", "tune.metric=genre"], "name two tasks or more"),
        (["tune.metric=[genre,reconstruction]"], "or take multi"),
        (["tune.space.trainer.epcohs={integer:[1,2]}"], "did you mean 'trainer.epochs'"),
        (["tune.space.tasks.reconstruction.wieght={uniform:[0,1]}"], "did you mean 'weight'"),
        (["tune.space.sharing={choice:[hard,harrd]}"], "with .*sharing=harrd: there is no sharing"),
        (["run=inline"], "trials train on Ray"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    recipe: Path, tmp_path: Path, overrides: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says) as refused:
        plan_of(recipe, tmp_path, *overrides)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_with_a_search_space_trains_as_one_without(recipe: Path, tmp_path: Path) -> None:
    words = [f"run.dir={tmp_path}", "run=inline", "trainer.epochs=1"]
    run = train(str(recipe), words)
    assert "tune" not in RunFolder(run.folder).read_recipe()
    assert not (run.folder / TOLD).exists()


def test_the_best_recipe_of_a_population_is_trained_again_to_the_same_weights(recipe: Path, tmp_path: Path) -> None:
    """What a member trained with, one after the other, is a schedule of its recipe."""
    plan = plan_of(recipe, tmp_path, "tune.scheduler=pbt", "tune.trials=2", "trainer.epochs=4")
    study = open_study(plan)
    for report in (
        lambda evaluation: study.stop_trial(0) if evaluation.epochs == 2 else None,
        lambda evaluation: Members(study).exchange(1, 0) if evaluation.epochs == 1 else None,
    ):
        train_all(study, most=1, report=report)
    found = finish(study)
    (member,) = (trial for trial in found.trials if trial.number == 1)
    assert [change["epochs"] for change in member.changes] == [0, 2]
    assert member.changes[1]["params"] != member.lineage[0]["params"] == study.trials[0].params
    write_best(study, dataclasses.replace(found, trials=(member,)))
    recipe_again = compose(str(study.folder / "best.yaml"))
    assert recipe_again["optimizer"]["lr"]["schedule"] == "piecewise"
    again = train(str(study.folder / "best.yaml"), [f"run.dir={tmp_path}", "run=inline"])
    expected = last_weights(member.folder)
    assert all(torch.equal(value, expected[name]) for name, value in last_weights(again.folder).items())
    assert (study.folder / "weights.svg").exists()
