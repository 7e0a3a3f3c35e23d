"""Checkpoints come back bit for bit, and a kill at any moment leaves a whole one behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from descant.errors import RunError
from descant.loop.checkpoints import Checkpoints


def trained(steps: int) -> tuple[nn.Sequential, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.LSTM(4, 3, batch_first=True, bidirectional=True), nn.Identity())
    model.add_module("norm", nn.BatchNorm1d(6))
    optimizer = torch.optim.Adam(
        [{"params": model[0].parameters(), "lr": 1e-3}, {"params": model[2].parameters(), "betas": (0.8, 0.9)}]
    )
    for _ in range(steps):
        optimizer.zero_grad()
        model[2](model[0](torch.randn(5, 7, 4))[0].amax(1)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and type(one) is type(other)


def test_model_and_adam_come_back_bit_for_bit_and_go_on_alike(tmp_path: Path) -> None:
    model, optimizer = trained(3)
    rest = {"best": {"value": 0.1 + 0.2}, "balance": {"logits": torch.randn(3), "seen": [1, 2]}}
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(model, {"optimizer": optimizer.state_dict(), **rest}, step=3, best=True)
    found = Checkpoints(tmp_path / "checkpoints").load("last")
    assert found is not None
    assert same(dict(model.state_dict()), {key: found.model[key] for key in model.state_dict()})
    assert all(same(found.state[name], value) for name, value in rest.items())
    again, fresh = trained(0)
    again.load_state_dict(found.model)
    fresh.load_state_dict(found.state["optimizer"])
    assert same(fresh.state_dict()["state"], optimizer.state_dict()["state"])
    assert all(isinstance(key, int) for key in found.state["optimizer"]["state"])
    for one, both in ((model, optimizer), (again, fresh)):
        torch.manual_seed(1)
        both.zero_grad()
        one[2](one[0](torch.randn(5, 7, 4))[0].amax(1)).sum().backward()
        both.step()
    assert same(dict(model.state_dict()), dict(again.state_dict()))


def test_the_last_two_and_the_best_are_kept_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load("last") is None
    assert checkpoints.step("best") is None
    model, optimizer = trained(1)
    for step, best in ((1, True), (2, False), (3, None), (4, True), (5, False)):
        checkpoints.save(model, {"optimizer": optimizer.state_dict()}, step=step, best=best)
        assert checkpoints.step("last") == step
        assert checkpoints.step("best") == (1 if step < 4 else 4)
        kept = {max(step - 1, 1), step, 1 if step < 4 else 4}
        assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {f"step-{n:08d}" for n in kept}
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".pkl", ".bin", ".partial")]


@pytest.mark.parametrize("file", ["model.safetensors", "state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, file: str, damage: str) -> None:
    model, optimizer = trained(1)
    Checkpoints(tmp_path).save(model, {"optimizer": optimizer.state_dict()}, step=1, best=True)
    path = tmp_path / "step-00000001" / file
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match="step-00000001.* cannot be read"):
        Checkpoints(tmp_path).load("best")


def test_a_damaged_last_checkpoint_gives_way_to_the_one_before_it_and_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = trained(0)
    for step in (1, 2, 3):
        Checkpoints(tmp_path).save(model, {"step": step}, step=step, best=step == 1)
    (tmp_path / "step-00000003" / "model.safetensors").write_bytes(b"torn")
    checkpoints = Checkpoints(tmp_path)
    found = checkpoints.load("last")
    assert found is not None
    assert found.state == {"step": 2}
    assert "step-00000003' cannot be read" in caplog.text
    assert "goes on from the one before it, step-00000002" in caplog.text
    checkpoints.save(model, {"step": 3}, step=3, best=True)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {f"step-0000000{n}" for n in (2, 3)}
    whiches: tuple[Literal["last", "best"], ...] = ("last", "best")
    for which in whiches:
        again = Checkpoints(tmp_path).load(which)
        assert again is not None and again.state == {"step": 3}, "the same step is written anew"


def test_tied_and_overlapping_weights_come_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    model[2].weight = nn.Parameter(model[0].weight.T)
    model.register_buffer("part", model[0].bias[:2])
    Checkpoints(tmp_path).save(model, {}, step=1, best=True)
    found = Checkpoints(tmp_path).load("best")
    assert found is not None
    assert same(dict(model.state_dict()), {name: found.model[name] for name in model.state_dict()})
    assert (tmp_path / "step-00000001" / "model.safetensors").stat().st_size < 4 * (2 * 16 + 4 * 4) + 1000


# Forks a process for each moment, which kills itself right before that file operation of the second save.
KILLER = """
import json, os, signal, sys
from pathlib import Path
import torch
from descant.loop.checkpoints import Checkpoints
torch.set_num_threads(1)
root = Path(sys.argv[1])
OPERATIONS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}

def save(folder, step, value):
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.fill_(value)
    checkpoints = Checkpoints(folder)
    checkpoints.save(model, {"state": {0: {"step": model.bias}}, "step": step, "value": value}, step=step, best=True)

def attempt(folder, second, moment):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event in OPERATIONS and str(folder) in str(arguments[0]) or event in ("os.rmdir", "os.remove"):
            seen += 1
            if seen > moment:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    save(folder, second, 2.0)

def kill_at_each_moment(second):
    outcomes = []
    while not outcomes or outcomes[-1][1]:
        moment = len(outcomes)
        folder = root / f"{second} {moment}"
        save(folder, 1, 1.0)
        child = os.fork()
        if not child:
            attempt(folder, second, moment)
            os._exit(0)
        died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        try:
            found = Checkpoints(folder).load("last")
            whole = bool((found.model["weight"] == found.state["value"]).all())
            save(folder, 3, 3.0)
            goes_on = Checkpoints(folder).step("last") == 3
            outcomes.append([found.state["step"] if whole and goes_on else "torn", died])
        except Exception as error:
            outcomes.append([f"{type(error).__name__}: {error}", died])
    return outcomes

print(json.dumps({second: kill_at_each_moment(second) for second in (1, 2)}))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, bool]]]:
    command = [sys.executable, "-c", KILLER, str(tmp_path_factory.mktemp("kills"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, list[tuple[Any, bool]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("second", [2, 1], ids=["another step", "the same step again"])
def test_a_kill_at_any_moment_of_a_save_leaves_a_whole_checkpoint(
    outcomes: dict[str, list[tuple[Any, bool]]], second: int
) -> None:
    kills = [outcome for outcome, died in outcomes[str(second)] if died]
    assert len(kills) >= (6 if second == 2 else 2), "the same step again only changes what the index says"
    assert outcomes[str(second)][-1] == [second, False]
    assert set(kills) <= {1, second}, "after each kill the old or the new checkpoint is whole, and the next save works"
    assert kills[0] == 1
