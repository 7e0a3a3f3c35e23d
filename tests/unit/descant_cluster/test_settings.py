"""What a recipe asks of a cluster is refused in one sentence where it cannot be had."""

from __future__ import annotations

from typing import Any

import pytest

from descant.cores import usable_cores
from descant.errors import UserError
from descant.recipe import RunSettings
from descant_cluster.settings import Placement


def placement(**run: Any) -> Placement:
    return Placement(RunSettings.parse(run))


def test_only_a_range_is_elastic() -> None:
    assert placement(workers=[1, 4]).is_elastic
    assert not placement(workers=3).is_elastic
    assert not placement().is_elastic


def test_a_local_cluster_has_room_for_the_workers_asked_for() -> None:
    cores = usable_cores()
    assert placement().local_cpus() == cores
    assert placement(workers=[1, cores + 7]).local_cpus() == cores
    assert placement(workers=cores + 1, cpus_per_worker=2).local_cpus() == 2 * (cores + 1)


def test_more_than_a_cluster_will_have_is_said_at_once() -> None:
    cluster = {"CPU": 4.0, "GPU": 1.0}
    placement(workers=4).check_room(cluster)
    placement(workers=[1, 9]).check_room(cluster)
    with pytest.raises(UserError, match=r"run\.workers=5 needs 5 CPUs and the cluster has 4"):
        placement(workers=5).check_room(cluster)
    with pytest.raises(UserError, match=r"needs 2 GPUs and the cluster has 1"):
        placement(workers=2, gpus_per_worker=1).check_room(cluster)


def test_gpus_are_used_where_each_worker_can_have_one() -> None:
    assert placement(workers=2).gpus({"CPU": 8, "GPU": 2}) == 1
    assert placement(workers=2).gpus({"CPU": 8, "GPU": 1}) == 0
    assert placement().gpus({"CPU": 8}) == 0
    assert placement(gpus_per_worker=0).gpus({"CPU": 8, "GPU": 1}) == 0
