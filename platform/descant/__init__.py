"""Descant: train a main task with the help of auxiliary tasks, and see whether they helped.

Names are imported when first used, so that ``import descant`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from descant.api import load, train
    from descant.callbacks import Callback, Event, register_callback
    from descant.errors import RunError, UserError
    from descant.heads import Head, register_head
    from descant.launch.prepare import Run
    from descant.stopping import Curves, StopRule, register_stop_rule
    from descant.tasks import (
        BinaryAttributes,
        Classification,
        Landmarks,
        Reconstruction,
        Regression,
        Task,
        register_task,
    )
    from descant.trained import Trained
    from descant.trunks import Trunk, register_trunk

_PLACES = {
    "load": "descant.api",
    "train": "descant.api",
    "Callback": "descant.callbacks",
    "Event": "descant.callbacks",
    "register_callback": "descant.callbacks",
    "RunError": "descant.errors",
    "UserError": "descant.errors",
    "Head": "descant.heads",
    "register_head": "descant.heads",
    "Run": "descant.launch.prepare",
    "Curves": "descant.stopping",
    "StopRule": "descant.stopping",
    "register_stop_rule": "descant.stopping",
    "Trained": "descant.trained",
    "BinaryAttributes": "descant.tasks",
    "Classification": "descant.tasks",
    "Landmarks": "descant.tasks",
    "Reconstruction": "descant.tasks",
    "Regression": "descant.tasks",
    "Task": "descant.tasks",
    "register_task": "descant.tasks",
    "Trunk": "descant.trunks",
    "register_trunk": "descant.trunks",
}

__all__ = [
    "BinaryAttributes",
    "Callback",
    "Classification",
    "Curves",
    "Event",
    "Head",
    "Landmarks",
    "Reconstruction",
    "Regression",
    "Run",
    "RunError",
    "StopRule",
    "Task",
    "Trained",
    "Trunk",
    "UserError",
    "__version__",
    "load",
    "register_callback",
    "register_head",
    "register_stop_rule",
    "register_task",
    "register_trunk",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'descant' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
