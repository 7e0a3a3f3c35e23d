"""The contract of callbacks: told what happens to a run, in the process that started it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from descant.registry import Registry

Kind = Literal["started", "finished", "failed", "interrupted", "task_stopped", "worker_lost"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes:
        kind: what.
        run: the run's name.
        folder: its folder's absolute path.
        details: more, as JSON: ``resumes`` of a start; ``task``, ``metric``, ``value`` and ``epoch`` of the main task
            at an end; ``error`` of a failure; ``task`` and ``epoch`` of a task that stopped; ``ranks`` and ``causes``
            of workers that were lost.
        time_s: when, in seconds since 1970.
    """

    kind: Kind
    run: str
    folder: str
    details: Mapping[str, Any] = field(default_factory=dict)
    time_s: float = field(default_factory=lambda: round(time.time(), 3))

    @property
    def sentence(self) -> str:
        """The event in words."""
        given = self.details
        match self.kind:
            case "started":
                said = "goes on from its last checkpoint" if given.get("resumes") else "has started"
            case "finished":
                said = f"is finished: best {given.get('task')} {given.get('metric')} {given.get('value')}"
            case "failed":
                said = f"has failed: {given.get('error')}"
            case "task_stopped":
                said = f"goes on without the task {given.get('task')!r}, stopped at epoch {given.get('epoch')}"
            case "worker_lost":
                said = f"has lost workers {given.get('ranks')} and starts others"
            case "interrupted":
                said = "was interrupted; the same command goes on"
        return f"the run {self.run!r} {said}"


class Callback:
    """Is told of events, one after the other, in a thread of its own: it may take its time.

    A subclass's constructor takes the recipe's options. What ``tell`` raises is logged, and the run goes on.
    """

    def tell(self, event: Event) -> None:
        """Hear of an event."""
        raise NotImplementedError


callbacks: Registry[Callback] = Registry("callback", "callbacks")


def register_callback(name: str) -> Callable[[type[Callback]], type[Callback]]:
    """Register a callback class under a name that recipes use (``callbacks.NAME``)."""
    return callbacks.register(name)
