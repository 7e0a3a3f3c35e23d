"""A trained checkpoint into one file that runs without Descant: ``.pt2`` of torch.export, or ``.onnx``."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from torch.export import ExportedProgram

from descant import __version__
from descant.errors import UserError
from descant.export.program import Program, examples, trace, tracing
from descant.files import whole_file
from descant.inputs import Front
from descant.trained import Trained

ENDINGS = (".pt2", ".onnx")
NAME = "descant.json"
"""Of the description inside the file: an extra file of ``.pt2``, a metadata entry of ``.onnx``."""

Takes = Literal["raw", "trunk"]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        about: the description inside the file.
        numbers: how many numbers the program's tensors hold.
        size: of the file, in bytes.
    """

    about: dict[str, Any]
    numbers: int
    size: int


def check_target(path: Path, overwrite: bool = False) -> None:
    """Raise a UserError where ``path`` cannot be written: its ending, its folder, what is there, what is missing."""
    if path.suffix not in ENDINGS:
        raise UserError(f"the file {str(path)!r} ends in neither {' nor '.join(ENDINGS)}: its ending says the format")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into: make it first")
    if path.is_dir() or (path.exists() and not overwrite):
        raise UserError(f"{str(path)!r} is there already: give another name, or --overwrite to replace a file")
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if path.suffix == ".onnx" and missing:
        raise UserError(
            f"an .onnx file needs the package {' and '.join(missing)}: pip install 'descant[onnx]', or give .pt2"
        )


def export(
    trained: Trained, path: Path, tasks: Collection[str], takes: Takes = "raw", overwrite: bool = False
) -> Exported:
    """Write the answers of ``tasks`` as a program.

    Args:
        trained: the checkpoint.
        path: whose ending is the format.
        tasks: by name.
        takes: ``raw`` what is nearest to a file, such as pixels or a waveform; ``trunk`` what the trunk takes.
        overwrite: whether a file may be replaced.

    Raises:
        UserError: see ``check_target``; a task has a view of its own, or the network cannot be traced.
    """
    check_target(path, overwrite)
    experiment = trained.experiment
    chosen = {name: experiment.tasks[name] for name in tasks}
    for name, task in chosen.items():
        if task.own_view:
            raise UserError(f"the task {name!r} learns from a view of its own, which no program has: leave it out")
    fronts = {
        name: input.front() if takes == "raw" else _of_trunk(input.shape) for name, input in experiment.inputs.items()
    }
    program = Program(trained.model, chosen, fronts)
    traced, about = trace(program), _describe(trained, program)
    with whole_file(path) as file:
        _WRITERS[path.suffix](traced, program, json.dumps(about, indent=2), file)
    numbers = sum(tensor.numel() for tensor in traced.state_dict.values())
    return Exported(about, numbers, path.stat().st_size)


def _of_trunk(shape: tuple[int, ...]) -> Front:
    return Front(shape, about={"is": "the values that the trunk takes"})


def _describe(trained: Trained, program: Program) -> dict[str, Any]:
    """Return what a user of the file has to know, as plain JSON."""
    recipe = trained.experiment.recipe
    with torch.no_grad():
        answers = program(examples(program.fronts, 1))
    return {
        "format": 1,
        "descant": __version__,
        "recipe": recipe.name,
        "step": trained.step,
        "precision": "float32",
        "inputs": {
            name: {"shape": ["batch", *front.shape], "dtype": front.dtype, **_least(front), **front.about}
            for name, front in program.fronts.items()
        },
        "outputs": {
            name: {
                "role": recipe.tasks[name].role,
                "shape": ["batch", *answers[name].shape[1:]],
                "dtype": "float32",
                **task.meaning(),
            }
            for name, task in program.tasks.items()
        },
    }


def _least(front: Front) -> dict[str, Any]:
    return {"least": dict(front.least)} if front.least else {}


def _write_pt2(traced: ExportedProgram, program: Program, about: str, file: BinaryIO) -> None:
    with tracing():
        torch.export.save(traced, file, extra_files={NAME: about})


def _write_onnx(traced: ExportedProgram, program: Program, about: str, file: BinaryIO) -> None:
    example, takes, gives = examples(program.fronts, 2), list(program.fronts), list(program.tasks)
    with tracing():
        made = torch.onnx.export(traced, (example,), dynamo=True, verbose=False, input_names=takes, output_names=gives)
    assert made is not None
    made.model.metadata_props[NAME] = about
    file.write(made.model_proto.SerializeToString())


_WRITERS = {".pt2": _write_pt2, ".onnx": _write_onnx}
