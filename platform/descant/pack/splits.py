"""Seeded stratified splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def stratified(classes: Sequence[str], seed: int) -> list[str]:
    """Return the split of each sample: 70/10/20 within each class, rounded, and at least one each from three on."""
    rng = np.random.default_rng(seed)
    splits = [""] * len(classes)
    for name in sorted(set(classes)):
        members = rng.permutation([index for index, own in enumerate(classes) if own == name])
        validation = max(round(SHARES["validation"] * len(members)), int(len(members) >= 3))
        test = max(round(SHARES["test"] * len(members)), int(len(members) >= 3))
        for place, index in enumerate(members):
            if place < validation:
                splits[index] = "validation"
            elif place < validation + test:
                splits[index] = "test"
            else:
                splits[index] = "train"
    return splits
