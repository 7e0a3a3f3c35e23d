"""Which tasks go together: heads that are one matrix product, losses that are one call, labels that are one array."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from descant.tasks.base import Task


def together(tasks: Mapping[str, Task], also: Callable[[str], Hashable] = lambda name: None) -> list[tuple[str, ...]]:
    """Return the tasks in groups of one fusion key, and of one value of ``also``; those without a key alone."""
    groups: dict[Hashable, list[str]] = {}
    for name, task in tasks.items():
        key = task.fusion_key()
        groups.setdefault(name if key is None else (key, also(name)), []).append(name)
    return [tuple(group) for group in groups.values()]
