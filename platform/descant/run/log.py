"""The log of a run's numbers: rows of ``metrics.jsonl``, mirrored to TensorBoard and to listeners."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from descant.files import whole_file
from descant.run.folder import RunFolder

Row = dict[str, Any]
_LENGTHS = ("steps", "batches")  # of the run, for progress bars: no curves
_BEGINNINGS = (*_LENGTHS, "learning_rate", "weight")


class MetricsLog:
    """Appends rows; the first rank alone has one.

    Args:
        folder: the run.
        after_step: rows of later steps are dropped: they describe steps that will be trained again.
        on_row: called with each row.
    """

    def __init__(self, folder: RunFolder, after_step: int, on_row: Callable[[Row], None] | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        _drop_after(folder.metrics, after_step)
        self._file = folder.metrics.open("a")
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=after_step + 1 if after_step else None)
        self._on_row = on_row
        self.epoch, self.step = 0, after_step

    def row(self, split: str, task: str | None, metric: str, value: float, samples: int | None = None) -> None:
        """Write one number at the log's epoch and step."""
        row: Row = {
            "time": round(time.time(), 3),
            "epoch": self.epoch,
            "step": self.step,
            "split": split,
            "task": task,
            "metric": metric,
            "value": value if math.isfinite(value) else None,
            "samples": samples,
        }
        self._file.write(json.dumps(row) + "\n")
        if metric not in _LENGTHS:
            self._board.add_scalar(_tag(split, task, metric), value, self.step)
        if self._on_row is not None:
            self._on_row(row)

    def picture(self, tag: str, picture_HWC: np.ndarray) -> None:
        """Show a picture, uint8, in TensorBoard."""
        self._board.add_image(tag, picture_HWC, self.step, dataformats="HWC")

    def flush(self) -> None:
        """Make all rows so far visible to readers."""
        self._file.flush()
        self._board.flush()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()
        self._board.close()


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a ``metrics.jsonl``; a last line that a killed process left half-written is skipped."""
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    with whole_file(path) as kept:
        kept.writelines(json.dumps(row).encode() + b"\n" for row in read_rows(path) if _stays(row, step))


def _stays(row: Row, step: int) -> bool:
    """Whether a row is kept by a start at ``step``, which writes that step's beginnings, and all tests, anew."""
    if row["split"] == "test":
        return False
    return bool(row["step"] < step or (row["step"] == step and row["metric"] not in _BEGINNINGS))


def _tag(split: str, task: str | None, metric: str) -> str:
    """Return TensorBoard's tag: splits of one number share a folder per task."""
    return f"{task}/{metric}/{split}" if task else f"run/{metric}"
