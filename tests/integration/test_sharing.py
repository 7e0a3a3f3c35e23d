"""Each sharing scheme in whole runs: on any number of ranks, after a stop, and beside single-task runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from descant import load, train
from descant.run.log import read_rows
from support import image_data_set, last_weights, train_all_on_ranks, train_with_a_stop

TASKS = """
from descant import Classification, Landmarks, register_task

@register_task("spot_of_sharing")
class Spot(Landmarks):
    label = "landmarks"

@register_task("shade_of_sharing")
class Shade(Classification):
    label = "shade"
"""
MAIN, HELP = "spot_of_sharing", "shade_of_sharing"
SCHEMES = {
    "hard": "hard",
    "l2": "{name: soft, couple: l2_weights, strength: 0.01}",
    "activations": "{name: soft, couple: l2_activations, strength: {schedule: linear, start: 0.5, end: 0.1}}",
    "cosine": "{name: soft, couple: cosine_activations, strength: 0.1}",
    "trace": "{name: soft, couple: trace_norm, strength: 0.001}",
    "cross_stitch": "cross_stitch",
    "mmoe": "{name: mmoe, experts: 3, hidden: [8]}",
    "ple": "{name: ple, hidden: [8]}",
    "mtan": "{name: mtan, width: 8}",
    "adapters": "{name: adapters, rank: 2}",
}


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sharing")
    data = image_data_set(folder / "data", train=24, validation=9, size=40)
    (folder / "spots.py").write_text(TASKS)
    settings = [f"data={data}", f"plugins=[{folder / 'spots.py'}]", "run=inline", "inputs.image.size=40", "trunk=tcdcn"]
    settings += ["tasks.face_landmarks=null", f"tasks.{MAIN}.role=main", f"tasks.{HELP}.weight=1"]
    return [*settings, "trainer.epochs=2", "trainer.batch_size=8", "trainer.log_steps=1", "inputs.image.augment=null"]


def test_ranks_learn_what_one_does(tmp_path: Path, common: list[str]) -> None:
    settings = [*common, f"run.dir={tmp_path}", "optimizer={name: sgd, lr: 0.05}"]
    made = {name: [*settings, f"sharing={scheme}"] for name, scheme in SCHEMES.items()}
    made["mtan"].append("trainer.steps=1")  # its masks are normalised over small batches, where rounding grows fast
    runs = train_all_on_ranks("face_landmarks", made, (1, 2))
    for name, folders in runs.items():
        one, two = last_weights(folders[1]), last_weights(folders[2])
        for parameter, value in one.items():
            torch.testing.assert_close(two[parameter], value, rtol=2e-3, atol=2e-5, msg=f"{name}: {parameter}")
        coupled = [[row["value"] for row in read_rows(folder / "metrics.jsonl") if row["metric"] == "coupling"]
                   for folder in folders.values()]  # fmt: skip
        assert bool(coupled[0]) == (name in ("l2", "activations", "cosine", "trace")), name
        assert coupled[0] == pytest.approx(coupled[1], rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize("scheme", ["trace", "cross_stitch", "ple", "mtan", "adapters"])
def test_a_stopped_run_goes_on_and_its_best_model_loads(tmp_path: Path, common: list[str], scheme: str) -> None:
    settings = [*common, f"run.dir={tmp_path}", f"sharing={SCHEMES[scheme]}"]
    stopped = train_with_a_stop("face_landmarks", [*settings, "run.name=stopped"], 4)
    whole = train("face_landmarks", [*settings, "run.name=whole"])
    for name, value in last_weights(whole.folder).items():
        assert torch.equal(last_weights(stopped)[name], value), name
    scores = load(whole.folder).evaluate("validation")["tasks"]
    assert scores == {task: pytest.approx(found["best"], rel=1e-6) for task, found in whole.summary["tasks"].items()}


def test_own_trunks_without_coupling_learn_what_single_runs_do(tmp_path: Path, common: list[str]) -> None:
    settings = [*common, f"run.dir={tmp_path}"]
    both = train("face_landmarks", [*settings, "sharing={name: soft, strength: 0}", "run.name=both"]).folder
    for alone, other in ((MAIN, HELP), (HELP, MAIN)):
        single = [*settings, f"tasks.{other}=null", f"tasks.{alone}.role=main", f"run.name={alone}"]
        found = last_weights(train("face_landmarks", single).folder)
        ours = last_weights(both)
        for name, value in found.items():
            assert torch.equal(ours[name.replace("sharing.trunk.", f"sharing.trunks.{alone}.")], value), name


@pytest.mark.parametrize("scheme", ["activations", "cosine"])
def test_a_task_with_a_view_of_its_own_is_compared_with_nothing(tmp_path: Path, common: list[str], scheme: str) -> None:
    settings = [*common, f"run.dir={tmp_path}", f"sharing={SCHEMES[scheme]}", "trainer.steps=3"]
    alone = train("face_landmarks", [*settings, "run.name=alone"]).folder
    both = train("face_landmarks", [*settings, "tasks.rotation.weight=0", "run.name=both"]).folder
    rows = [read_rows(run / "metrics.jsonl") for run in (alone, both)]
    couplings = [[row["value"] for row in run if row["metric"] == "coupling"] for run in rows]
    assert couplings[0] == couplings[1] and len(couplings[0]) == 3


def test_a_trunk_of_its_own_stays_where_a_batch_has_nothing_for_its_task(tmp_path: Path, common: list[str]) -> None:
    """Momentum and weight decay would move it, and the run would not be that of the task alone."""
    settings = [*common, f"run.dir={tmp_path}", "trainer.batch_size=1", "optimizer={name: adam, lr: 1e-3}"]
    both = train("face_landmarks", [*settings, "sharing={name: soft, strength: 0}", "run.name=both"]).folder
    single = [*settings, f"tasks.{MAIN}=null", f"tasks.{HELP}.role=main", "run.name=single"]
    ours, found = last_weights(both), last_weights(train("face_landmarks", single).folder)
    for name, value in found.items():
        assert torch.equal(ours[name.replace("sharing.trunk.", f"sharing.trunks.{HELP}.")], value), name
