"""Mixup (Zhang et al., ICLR 2018): training samples mixed with others of their global batch, task by task.

A mixed sample teaches the tasks that take mixtures, by both labels in proportion; the other tasks learn from the
samples that are not mixed. Shapes: B rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch

from descant.data.batch import Batch


@dataclass(frozen=True)
class Mixup:
    """Which samples are mixed, with which, and how.

    Attributes:
        alpha: of the Beta(alpha, alpha) from which a sample's own share is drawn.
        chance: how likely a sample is mixed at all.
        tasks: the tasks that a mixed sample teaches, of those with a label.
    """

    alpha: float
    chance: float
    tasks: frozenset[str]

    def draw(self, seed: int, epoch: int, position: int, size: int) -> tuple[float, int]:
        """Return a sample's own share and how many places after it, around its global batch, its partner stands.

        A pure function of its arguments; (1, 0) for a sample that is not mixed.
        """
        # The words above those of crops and augmentations, which start their counter at 0.
        bits = np.random.Philox(key=[seed % 2**64, epoch], counter=[0, 0, 1, position])
        rng = np.random.Generator(bits)
        if size < 2 or rng.random() >= self.chance:
            return 1.0, 0
        return float(rng.beta(self.alpha, self.alpha)), int(rng.integers(1, size))


def mixed(batch: Batch, partner: Batch, share_B: np.ndarray, takes: Collection[str]) -> Batch:
    """Return a batch that knows its partners, each task's mask reduced to the rows that it can learn from."""
    own_B = torch.from_numpy(share_B == 1.0)
    present = {}
    for name, has_B in batch.present.items():
        if name not in batch.targets:  # gives an input back: the mixed one, which is there
            present[name] = has_B
        else:
            both_B = partner.present[name] if name in takes else torch.zeros_like(own_B)
            present[name] = has_B & (own_B | both_B)
    share = torch.from_numpy(share_B.astype(np.float32))
    return replace(batch, present=present, partner=partner, share_B=share, together={}, complete=frozenset())
