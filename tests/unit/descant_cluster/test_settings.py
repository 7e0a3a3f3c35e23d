"""What a recipe asks of Ray is understood, and refused in one sentence where it cannot be had."""

from __future__ import annotations

import os
from typing import Any

import pytest

from descant.errors import UserError
from descant_cluster.settings import Placement


@pytest.mark.parametrize(
    ("run", "placement"),
    [
        ({}, Placement()),
        ({"workers": None, "max_failures": None, "address": None}, Placement()),
        ({"workers": 2}, Placement(2, 2)),
        ({"workers": [1, 4], "cpus_per_worker": 2}, Placement(1, 4, cpus_per_worker=2)),
        (
            {"workers": 3, "gpus_per_worker": 0.5, "max_failures": -1},
            Placement(3, 3, gpus_per_worker=0.5, max_failures=-1),
        ),
        ({"address": "ray://head:10001", "name": "demo"}, Placement(address="ray://head:10001")),
    ],
)
def test_a_recipe_is_read(run: dict[str, Any], placement: Placement) -> None:
    assert Placement.from_recipe(run) == placement
    assert placement.is_elastic is (run.get("workers") == [1, 4])


@pytest.mark.parametrize(
    "run",
    [
        {"workers": 0},
        {"workers": True},
        {"workers": "two"},
        {"workers": [4, 1]},
        {"workers": [1, 2, 3]},
        {"workers": [1.0, 2.0]},
        {"cpus_per_worker": 0},
        {"cpus_per_worker": 0.5},
        {"gpus_per_worker": -1},
        {"gpus_per_worker": "all"},
        {"max_failures": -2},
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(run: dict[str, Any]) -> None:
    (key,) = run
    with pytest.raises(UserError, match=rf"^run\.{key} is .*: give a [^\n]*$"):
        Placement.from_recipe(run)


def test_a_local_cluster_has_room_for_the_workers_asked_for() -> None:
    cores = os.cpu_count() or 1
    assert Placement(1, 1).local_cpus() == cores
    assert Placement(1, cores + 7).local_cpus() == cores
    assert Placement(cores + 1, cores + 1, cpus_per_worker=2).local_cpus() == 2 * (cores + 1)


def test_more_than_a_cluster_will_have_is_said_at_once() -> None:
    cluster = {"CPU": 4.0, "GPU": 1.0}
    Placement(4, 4).check_room(cluster)
    Placement(1, 9).check_room(cluster)
    with pytest.raises(UserError, match=r"run\.workers=5 needs 5 CPUs and the cluster has 4"):
        Placement(5, 5).check_room(cluster)
    with pytest.raises(UserError, match=r"needs 2 GPUs and the cluster has 1"):
        Placement(2, 2, gpus_per_worker=1).check_room(cluster)


def test_gpus_are_used_where_each_worker_can_have_one() -> None:
    assert Placement(2, 2).gpus({"CPU": 8, "GPU": 2}) == 1
    assert Placement(2, 2).gpus({"CPU": 8, "GPU": 1}) == 0
    assert Placement(1, 1).gpus({"CPU": 8}) == 0
    assert Placement(1, 1, gpus_per_worker=0).gpus({"CPU": 8, "GPU": 1}) == 0
