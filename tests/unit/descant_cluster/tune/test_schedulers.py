"""Ray Tune's schedulers over a study: what they decide is a file, and a study that goes on decides as one that never
stopped. No cluster is needed for that: schedulers are told of results by method calls."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from descant.tune.exchange import note_start
from descant.tune.make import open_study
from descant.tune.planning import make_plan
from descant.tune.study import Study
from descant_cluster.tune.schedulers import make_scheduler
from tuning import tiny_recipe


@dataclass(frozen=True)
class TuneTrial:
    """What a scheduler reads of Ray Tune's trial."""

    trial_id: str
    config: dict[str, Any] = field(hash=False)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("tune"))


def study_of(recipe: Path, folder: Path, scheduler: str) -> Study:
    words = [f"run.dir={folder}", "run.name=study", "trainer.epochs=9", "tune.trials=6", "tune.search=random"]
    return open_study(make_plan(str(recipe), [*words, f"tune.scheduler={scheduler}"]))


def begin(study: Study, scheduler: TrialScheduler) -> TuneTrial:
    """Let the study's next trial begin."""
    job = study.next()
    assert job is not None
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    note_start(Path(job.folder), job.number, job.params)
    trial = TuneTrial(f"tune-{job.number}", {"number": job.number})
    scheduler.on_trial_add(None, trial)  # type: ignore[arg-type]
    return trial


def report(study: Study, scheduler: TrialScheduler, trial: TuneTrial, epochs: int, accuracy: float) -> bool:
    """Let a trial report, as its run folder has it; return whether it was told to stop."""
    number = trial.config["number"]
    row = {"epoch": epochs - 1, "step": 3 * epochs, "split": "validation", "task": "genre", "metric": "accuracy"}
    with (study.path(number) / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({**row, "value": accuracy}) + "\n")
    result = {"epochs": epochs, "score": accuracy}
    assert scheduler.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE  # type: ignore[arg-type]
    return study.is_told(number)


def test_the_median_rule_stops_what_is_worse_than_the_median_of_the_others_means(recipe: Path, tmp_path: Path) -> None:
    study = study_of(recipe, tmp_path, "{name:median,grace_epochs:2,min_trials:3}")
    scheduler = make_scheduler(study, lambda event: None)
    trials = [begin(study, scheduler) for _ in range(5)]
    told = {
        number: [report(study, scheduler, trial, epochs, accuracy) for epochs in (1, 2, 3)]
        for number, (trial, accuracy) in enumerate(zip(trials, (0.6, 0.5, 0.4, 0.1, 0.7), strict=True))
    }
    assert told == {0: [False] * 3, 1: [False] * 3, 2: [False] * 3, 3: [False, True, True], 4: [False] * 3}
    study.lock.release()


@pytest.mark.parametrize("scheduler", ["{name:asha,grace_epochs:1,factor:2}", "{name:median,min_trials:1}"])
def test_a_study_that_goes_on_decides_as_one_that_never_stopped(recipe: Path, tmp_path: Path, scheduler: str) -> None:
    courses = [[0.5, 0.6, 0.7, 0.8], [0.6, 0.7, 0.75, 0.9], [0.4, 0.5, 0.6, 0.6], [0.55, 0.65, 0.8, 0.85], [0.7] * 4]

    def told(folder: Path, stops_after: int | None) -> list[list[bool]]:
        """Train the courses one after the other; kill everything in the middle of one, if asked, and go on."""
        study = study_of(recipe, folder, scheduler)
        rule = make_scheduler(study, lambda event: None)
        found = []
        for number, course in enumerate(courses):
            trial, answers = begin(study, rule), []
            for epochs, accuracy in enumerate(course, 1):
                answers.append(report(study, rule, trial, epochs, accuracy))
                if answers[-1]:
                    break
                if number == stops_after and epochs == 2:
                    study.lock.release()
                    study = study_of(recipe, folder, scheduler)
                    rule = make_scheduler(study, lambda event: None)
                    trial = begin(study, rule)
                    assert trial.config["number"] == number
            study.end(number, "stopped" if study.is_told(number) else "finished")
            found.append(answers)
        study.lock.release()
        return found

    whole = told(tmp_path / "whole", None)
    assert any(answers[-1] for answers in whole) and not all(answers[-1] for answers in whole)
    going_on = [number for number, answers in enumerate(whole) if len(answers) > 2]
    for number in going_on[:2]:
        assert told(tmp_path / str(number), number) == whole


def test_no_trial_is_stopped_at_its_last_epoch(recipe: Path, tmp_path: Path) -> None:
    study = study_of(recipe, tmp_path, "{name:asha,grace_epochs:8,factor:2}")
    rule = make_scheduler(study, lambda event: None)
    trials = [begin(study, rule) for _ in range(3)]
    assert [report(study, rule, trial, 9, value) for trial, value in zip(trials, (0.9, 0.8, 0.1), strict=True)] == [
        False
    ] * 3
    study.lock.release()
