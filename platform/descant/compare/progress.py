"""How far a comparison's runs are: a bar on a terminal, plain lines in a pipe, always on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from descant.compare.scheduler import Progress, Scheduler
from descant.report.files import shown
from descant.report.numbers import duration


@contextmanager
def reporting(done: int, total: int, scheduler: Scheduler) -> Iterator[Callable[[Progress], None]]:
    """Give the function that takes each progress; ``done`` of the ``total`` runs were finished before."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if done < total:
        kept = f", {done} finished before" if done else ""
        logs = shown(scheduler.folder / "logs")
        console.print(f"{total} runs{kept}; {scheduler.share.jobs} side by side, logs in {logs}", markup=False)
    columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("runs", total=total, completed=done)

        def report(progress: Progress) -> None:
            bar.update(task, completed=done + progress.ended)
            console.print(_line(progress, done), markup=False)

        yield report


def _line(progress: Progress, done: int) -> str:
    count = f"[{done + progress.ended}/{done + progress.total}]"
    after = f" after {duration(progress.wall_s)}" if progress.event != "started" else ""
    return f"{count} {progress.event} {progress.run.name}{after}" + (
        f": {progress.message}" if progress.message else ""
    )
