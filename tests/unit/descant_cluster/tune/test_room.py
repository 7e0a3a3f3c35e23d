"""How many trials a cluster holds: none waits for what another one keeps, and what never fits is said."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.cores import usable_cores
from descant.errors import UserError
from descant.tune.plan import Plan
from descant.tune.planning import make_plan
from descant_cluster.tune.room import Room
from tuning import tiny_recipe


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("tune")
    return make_plan(str(tiny_recipe(folder)), [f"run.dir={folder}"])


def changed(plan: Plan, tune: dict[str, Any], **run: Any) -> Plan:
    """Return a plan with other settings of ``tune`` and ``run``."""
    base = dataclasses.replace(plan.base, run=dataclasses.replace(plan.base.run, **run))
    return dataclasses.replace(plan, base=base, settings=dataclasses.replace(plan.settings, **tune))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 40), st.integers(1, 12), st.none() | st.integers(1, 20))
def test_all_trials_that_run_have_room_for_all_of_their_workers(
    plan: Plan, workers: int, cpus: int, there: int, trials: int, asked: int | None
) -> None:
    run = {"workers": (workers, workers), "cpus_per_worker": cpus, "address": "somewhere:1"}
    study = changed(plan, {"trials": trials, "concurrent": asked}, **run)
    room, resources = Room.of(study), {"CPU": float(there)}
    if workers * cpus > there:
        with pytest.raises(UserError, match="CPUs and the cluster has"):
            room.slots(study, resources)
        return
    slots = room.slots(study, resources)
    assert 1 <= slots <= min(trials, asked or trials)
    assert slots * workers * cpus <= there
    assert slots in (trials, asked) or (slots + 1) * workers * cpus > there


def test_a_cluster_of_this_machine_is_made_for_what_is_asked(plan: Plan) -> None:
    asked = Room.of(changed(plan, {"concurrent": 3}, workers=(2, 2)))
    assert asked.local_cpus() >= 6 and asked.is_nested
    usual = Room.of(plan)
    assert usual.side_by_side == usable_cores() and not usual.is_nested


def test_a_population_needs_room_for_all(plan: Plan) -> None:
    from descant.tune.schedulers import Pbt

    tune = {"scheduler": Pbt(), "scheduler_name": "pbt", "trials": 6}
    here = changed(plan, tune)
    assert Room.of(here).slots(here, {"CPU": float(Room.of(here).local_cpus())}) == 6
    there = changed(plan, tune, address="somewhere:1")
    assert Room.of(there).slots(there, {"CPU": 6.0}) == 6
    with pytest.raises(UserError, match="trains its 6 trials side by side, and the cluster holds 4: set tune.trials=4"):
        Room.of(there).slots(there, {"CPU": 4.0})


def test_a_share_of_a_gpu_lets_several_trials_have_one(plan: Plan) -> None:
    run = {"gpus_per_worker": 0.25, "address": "somewhere:1"}
    study = changed(plan, {"trials": 10}, **run)
    assert Room.of(study).slots(study, {"CPU": 16.0, "GPU": 2.0}) == 8
    with pytest.raises(UserError, match="GPUs and the cluster has 0"):
        Room.of(study).slots(study, {"CPU": 16.0})
