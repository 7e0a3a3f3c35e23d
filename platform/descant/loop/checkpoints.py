"""Checkpoints: safetensors for tensors, JSON for the rest; nothing is unpickled on load.

``checkpoints/index.json`` names the last one, the one before it and the best one; it is replaced atomically after a
checkpoint has reached the disk, so a process or a machine that ends at any moment leaves a whole one behind.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from descant.errors import RunError
from descant.files import sync, sync_folder, write_text

logger = logging.getLogger("descant")
_TENSOR = "__tensor__"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint read back: the model's tensors, and all else that is carried from step to step, by its owner."""

    model: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run folder.

    Args:
        folder: the run's ``checkpoints`` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = folder / "index.json"
        self._whole: str | None = None  # what was last written or read whole
        self._damaged: set[str] = set()

    def save(self, model: nn.Module, state: dict[str, Any], *, step: int, best: bool | None) -> None:
        """Write a checkpoint as the last one; ``best`` makes it the best one too (None: not evaluated).

        Args:
            model: whose parameters and buffers are saved; tied ones once.
            state: plain values and tensors, nested in dicts and lists.
            step: optimizer steps done.
        """
        name = f"step-{step:08d}"
        target, partial = self.folder / name, self.folder / f".{name}.partial"
        # The same step holds the same weights: only its rank may change.
        if name in self._read_index().values() and name not in self._damaged:
            self._point(name, best)
            return
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        weights, tied = _once_each(model.state_dict())
        tensors: dict[str, Tensor] = {}
        plain = _pack(state, "", tensors)
        save_file(weights, partial / "model.safetensors")
        save_file({path: _on_host(tensor) for path, tensor in tensors.items()}, partial / "state.safetensors")
        (partial / "state.json").write_text(json.dumps({"tied": tied, "state": plain}))
        for path in partial.iterdir():
            with path.open("rb") as file:
                sync(file)
        if target.exists():
            shutil.rmtree(target)
        os.replace(partial, target)
        sync_folder(self.folder)
        self._point(name, best)

    def load(self, which: Literal["last", "best"]) -> Checkpoint | None:
        """Return the last or the best checkpoint, on the CPU, or None where there is none.

        A last one whose files are damaged gives way to the one before it, with a warning.

        Raises:
            RunError: its files are missing or damaged, and there is none before it.
        """
        index = self._read_index()
        name, previous = index.get(which), index.get("previous") if which == "last" else None
        if name is None:
            return None
        try:
            return self._load(name)
        except RunError as error:
            if previous is None:
                raise
            self._damaged.add(name)
            logger.warning("%s; the run goes on from the one before it, %s", error, previous)
            return self._load(previous)

    def shapes(self, which: Literal["last", "best"]) -> dict[str, tuple[int, ...]] | None:
        """Return the shape of each tensor of a checkpoint's model, or None where there is no such checkpoint."""
        name = self._read_index().get(which)
        if name is None:
            return None
        try:
            with safe_open(self.folder / name / "model.safetensors", "pt") as file:
                shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            tied = json.loads((self.folder / name / "state.json").read_text())["tied"]
            return shapes | {alias: shapes[kept] for alias, kept in tied.items()}
        except (OSError, ValueError, KeyError, SafetensorError):
            return None  # it is damaged: who loads it says so

    def step(self, which: Literal["last", "best"]) -> int | None:
        """Return the step of the last or the best checkpoint, or None."""
        name = self._read_index().get(which)
        return None if name is None else int(name.removeprefix("step-"))

    def _load(self, name: str) -> Checkpoint:
        folder = self.folder / name
        try:
            model = load_file(folder / "model.safetensors")
            tensors = load_file(folder / "state.safetensors")
            content = json.loads((folder / "state.json").read_text())
            model |= {alias: model[kept] for alias, kept in content["tied"].items()}
            state = _unpack(content["state"], tensors)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise RunError(f"the checkpoint {str(folder)!r} cannot be read: {error}") from error
        self._whole = name
        return Checkpoint(model, state)

    def _point(self, name: str, best: bool | None) -> None:
        """Make a complete checkpoint the last one, and the best one if it is; remove those that are nothing."""
        index = {which: kept for which, kept in self._read_index().items() if kept not in self._damaged}
        self._damaged.clear()
        if (before := self._whole or index.get("last")) not in (None, name):
            index["previous"] = str(before)
        index["last"] = self._whole = name
        if best:
            index["best"] = name
        write_text(self._index, json.dumps(index), durable=True)
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


def _once_each(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors without those that are another one under a second name, and these names' first ones."""
    first: dict[Any, str] = {}
    tied = {}
    for name, tensor in tensors.items():
        identity = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) if tensor.numel() else name
        kept = first.setdefault(identity, name)
        if kept != name:
            tied[name] = kept
    # A tensor that shares memory with another in part is written on its own.
    return {name: _on_host(tensor) for name, tensor in tensors.items() if name not in tied}, tied


def _on_host(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


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
