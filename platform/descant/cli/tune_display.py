"""Progress of a study: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from descant.tune.progress import Event

if TYPE_CHECKING:
    from descant.tune.study import Study

logger = logging.getLogger("descant")


class TuneDisplay:
    """Shows what happens in a study; evaluations on a terminal alone, where they do not fill pages.

    Args:
        study: whose trials are counted.
        out: where to.
    """

    def __init__(self, study: Study, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._study = study
        self._console = Console(file=out, highlight=False, soft_wrap=True)
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("starting", total=self._total(), completed=len(study.ended))
        self._now: dict[int, str] = {}

    def __enter__(self) -> TuneDisplay:
        """Start the bar, and show what the program logs."""
        self._bar.start()
        self._handler = logging.StreamHandler(sys.stderr)
        logger.addHandler(self._handler)
        logger.setLevel(logging.INFO)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        logger.removeHandler(self._handler)
        self._bar.stop()

    def _total(self) -> int:
        """Return how many trials there are in the end, where that is known, else as far as it is."""
        budget = self._study.plan.settings.budget_epochs
        return self._study.plan.trials if budget is None else max(len(self._study.trials), 1)

    def event(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "ended":
            self._now.pop(event.number, None)
        else:
            self._now[event.number] = event.text if event.kind == "evaluated" else "begins"
        trials = "; ".join(f"{number}: {text}" for number, text in sorted(self._now.items()))
        self._bar.update(self._task, total=self._total(), completed=len(self._study.ended), description=trials)
        if event.kind != "evaluated":
            count = f"[{len(self._study.ended)}/{self._total()}]"
            self._console.print(f"{count} trial {event.number} {event.text}", markup=False)
