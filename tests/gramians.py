"""Gradients of many kinds, made by hand."""

from __future__ import annotations

import torch

KINDS = ("random", "conflicting", "dependent", "ill-conditioned", "ill-scaled", "equal", "opposite", "zero")


def gradients(kind: str, tasks: int, seed: int) -> torch.Tensor:
    """Return gradients (tasks, dimensions), float64, the same ones each time.

    ``dependent``: of half as many dimensions as tasks; ``ill-conditioned``: a Gramian of condition 1e12;
    ``ill-scaled``: lengths from 1 to 1e-6; ``equal``, ``opposite``, ``zero``: the last row is the first one, against
    it, or nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tasks, max(1, tasks // 2) if kind == "dependent" else 2 * tasks, generator=generator).double()
    scales = torch.logspace(0, -6, tasks, dtype=torch.float64)
    if kind == "conflicting":
        rows = rows - 0.9 * rows.mean(0)
    elif kind == "ill-conditioned":
        rows = torch.linalg.qr(rows[:, :tasks])[0] * scales
    elif kind == "ill-scaled":
        rows = rows * scales[:, None]
    elif kind in ("equal", "opposite", "zero"):
        rows[-1] = rows[0] * {"equal": 1.0, "opposite": -1.0, "zero": 0.0}[kind]
    return rows
