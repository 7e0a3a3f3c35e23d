"""Members of a population take over each other's checkpoints, and a trial's record says which values held from when.

Who decides puts a *handoff* into the trial's run folder: the other trial's checkpoints, rows and curves, and the recipe
to go on with. The trial takes it up at its next step, or at its next start. So a decision outlives whatever is killed,
and no process has to end for it. After it, the run folder tells of the model that it holds: its checkpoints and rows
are those of the trial it came from. The rows that were given up are in ``left/``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descant.files import whole_folder, write_text
from descant.report.files import read_object
from descant.run.log import read_rows
from descant.tune.objective import evaluations
from descant.tune.search import Params

TRIAL, HANDOFF, LEFT = "trial.json", ".handoff", "left"
_FILES = ("metrics.jsonl", "details.json")
_TRIES = 20  # the donor trains on, and replaces its checkpoints meanwhile


def note_start(folder: Path, number: int, params: Params) -> None:
    """Begin a trial's record, unless it has begun."""
    if not (folder / TRIAL).exists():
        first = {"epochs": 0, "step": 0, "params": params}
        record = {"number": number, "changes": [first], "lineage": [first], "recipe": None}
        write_text(folder / TRIAL, json.dumps(record, indent=1))


def record(folder: Path) -> dict[str, Any]:
    """Return a trial's record.

    ``changes``: from which step on which values held, and whose checkpoint was taken over then (``donor``).
    ``lineage``: the same of the model that the folder holds, before it came here too.
    ``recipe``: what it goes on with, None before the first change.
    """
    return read_object(folder / TRIAL)


def hand_over(donor: Path, to: Path, params: Params, recipe: Mapping[str, Any], epochs: int) -> bool:
    """Put a handoff of ``donor``'s last and best checkpoint into the run folder ``to``.

    Returns:
        whether there is one now: not where the donor has no checkpoint or has trained all its ``epochs``, so that
        there is nothing left to go on with, nor where an earlier handoff waits.
    """
    if (to / HANDOFF / "handoff.json").exists():
        return False
    shutil.rmtree(to / HANDOFF, ignore_errors=True)
    with whole_folder(to / HANDOFF) as partial:
        step = copy_checkpoints(donor / "checkpoints", partial / "checkpoints")
        if step is not None:
            for name in _FILES:
                if (donor / name).exists():
                    shutil.copyfile(donor / name, partial / name)
            shutil.copytree(donor / "tensorboard", partial / "tensorboard")
            seen = [each.epochs for each in evaluations(read_rows(partial / "metrics.jsonl")) if each.step <= step]
            its = record(donor)
            change = {"epochs": seen[-1] if seen else 0, "step": step, "params": params, "donor": its["number"]}
            if change["epochs"] < epochs:
                about = {"change": change, "lineage": its["lineage"], "recipe": recipe}
                write_text(partial / "handoff.json", json.dumps(about))
    if not (to / HANDOFF / "handoff.json").exists():
        shutil.rmtree(to / HANDOFF)
        return False
    return True


def adopt(folder: Path) -> dict[str, Any] | None:
    """Take up a handoff that waits in a run folder, and return the change; None where none waits.

    Ended at any moment and begun again, it comes to the same.
    """
    handoff = folder / HANDOFF
    about = read_object(handoff / "handoff.json")
    if not about:
        return None
    own = record(folder)
    change = about["change"]
    left = folder / LEFT / f"metrics-{len(own['changes'])}.jsonl"
    if not left.exists() and (folder / "metrics.jsonl").exists():
        left.parent.mkdir(exist_ok=True)
        os.replace(folder / "metrics.jsonl", left)
    _replace(folder, handoff)
    before = [each for each in about["lineage"] if each["step"] < change["step"]]
    after = {
        "changes": [*own["changes"], change],
        "lineage": [*before, {**change, "donor": None}],
        "recipe": about["recipe"],
    }
    write_text(folder / TRIAL, json.dumps({**own, **after}, indent=1))
    os.replace(handoff / "handoff.json", handoff / "taken.json")  # from here on nothing waits
    shutil.rmtree(handoff)
    return dict(change)


def _replace(folder: Path, handoff: Path) -> None:
    """Put what was handed over in the place of what is there."""
    for name in ("checkpoints", "tensorboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(handoff / name, folder / name, copy_function=_link)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
        if (handoff / name).exists():
            shutil.copyfile(handoff / name, folder / name)
    (folder / "summary.json").unlink(missing_ok=True)


def copy_checkpoints(source: Path, target: Path) -> int | None:
    """Link the last and the best checkpoint of a run that may go on meanwhile; return the last one's step, or None."""
    for _ in range(_TRIES):
        index = read_object(source / "index.json")
        if "last" not in index:
            return None
        index.pop("previous", None)
        try:
            for name in set(index.values()):
                shutil.copytree(source / name, target / name, copy_function=_link, dirs_exist_ok=True)
        except (FileNotFoundError, shutil.Error):  # another checkpoint has taken its place
            shutil.rmtree(target, ignore_errors=True)
            continue
        write_text(target / "index.json", json.dumps(index))
        return int(index["last"].removeprefix("step-"))
    return None


def _link(source: str, target: str) -> None:
    """Link a file that nobody changes, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
