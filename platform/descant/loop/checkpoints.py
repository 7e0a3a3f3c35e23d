"""Checkpoints: safetensors for tensors, JSON for the rest; nothing is unpickled on load.

``checkpoints/index.json`` names the last and the best one; it is replaced atomically after a checkpoint is complete,
so a process killed at any moment leaves a whole one behind.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from descant.errors import RunError

_TENSOR = "__tensor__"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint read back."""

    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run folder.

    Args:
        folder: the run's ``checkpoints`` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = folder / "index.json"

    def save(self, model: nn.Module, optimizer: dict[str, Any], state: dict[str, Any], *, best: bool | None) -> None:
        """Write a checkpoint as the last one; ``best`` makes it the best one too (None: not evaluated)."""
        name = f"step-{state['step']:08d}"
        target, partial = self.folder / name, self.folder / f".{name}.partial"
        if name in self._read_index().values():  # the same step holds the same weights: only its rank may change
            self._point(name, best)
            return
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        tensors: dict[str, Tensor] = {}
        plain = _pack(optimizer, "", tensors)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, partial / "model.safetensors")
        save_file(tensors, partial / "optimizer.safetensors")
        (partial / "state.json").write_text(json.dumps({**state, "optimizer": plain}))
        if target.exists():
            shutil.rmtree(target)
        os.replace(partial, target)
        self._point(name, best)

    def load(self, which: Literal["last", "best"]) -> Checkpoint | None:
        """Return the last or the best checkpoint, on the CPU, or None where there is none.

        Raises:
            RunError: its files are missing or damaged.
        """
        name = self._read_index().get(which)
        if name is None:
            return None
        folder = self.folder / name
        try:
            model = load_file(folder / "model.safetensors")
            tensors = load_file(folder / "optimizer.safetensors")
            state = json.loads((folder / "state.json").read_text())
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise RunError(f"the checkpoint {str(folder)!r} cannot be read: {error}") from error
        return Checkpoint(model, _unpack(state.pop("optimizer"), tensors), state)

    def step(self, which: Literal["last", "best"]) -> int | None:
        """Return the step of the last or the best checkpoint, or None."""
        name = self._read_index().get(which)
        return None if name is None else int(name.removeprefix("step-"))

    def _point(self, name: str, best: bool | None) -> None:
        """Make a complete checkpoint the last one, and the best one if it is; remove those that are neither."""
        index = {**self._read_index(), "last": name}
        if best:
            index["best"] = name
        partial = self._index.with_suffix(".partial")
        partial.write_text(json.dumps(index))
        os.replace(partial, self._index)
        self._remove_others(set(index.values()))

    def _read_index(self) -> dict[str, str]:
        if not self._index.exists():
            return {}
        index: dict[str, str] = json.loads(self._index.read_text())
        return index

    def _remove_others(self, keep: set[str]) -> None:
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in keep:
                shutil.rmtree(folder)


def _pack(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return ``value`` as JSON, its tensors moved to ``tensors`` under their paths; keys that are numbers survive."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().contiguous()
        return {_TENSOR: path}
    if isinstance(value, dict):
        return {"items": [[key, _pack(inner, f"{path}/{key}", tensors)] for key, inner in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_pack(inner, f"{path}/{index}", tensors) for index, inner in enumerate(value)]
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if _TENSOR in value:
            return tensors[value[_TENSOR]]
        return {key: _unpack(inner, tensors) for key, inner in value["items"]}
    if isinstance(value, list):
        return [_unpack(inner, tensors) for inner in value]
    return value
