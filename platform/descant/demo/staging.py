"""Make many files with all cores into a folder that appears only when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from descant.errors import RunError, UserError
from descant.files import is_full, whole_folder
from descant.parallel import Progress, in_order

Item = TypeVar("Item")
_BATCH = 4


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder`` that takes its name on success and is removed on any failure.

    Raises:
        UserError: ``folder`` is a file, holds anything already or cannot be made.
        RunError: the disk is full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{str(folder)!r} exists and is not an empty folder: name another one or remove it first")
    try:
        with whole_folder(folder) as staging:
            yield staging
    except OSError as error:
        if is_full(error):
            raise RunError(
                f"the disk is full while making {str(folder)!r}: make room or give another folder; "
                f"nothing half-written is left"
            ) from error
        raise


def run_all(
    function: Callable[[Item], None], items: Sequence[Item], jobs: int | None, on_progress: Progress | None
) -> None:
    """Call ``function`` on every item in ``jobs`` processes (None: one for each core).

    ``on_progress(done, total)`` is called in this process. The first failure cancels the rest and is raised.
    """
    for _ in in_order(function, items, jobs, on_progress, _BATCH):
        pass
