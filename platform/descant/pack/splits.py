"""Seeded stratified splits."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from descant.data.splits import NAMES, SPLITS
from descant.errors import UserError

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def stratified(classes: Sequence[Hashable], seed: int) -> list[str]:
    """Return the split of each sample: 70/10/20 within each class, rounded, and at least one each from three on."""
    rng = np.random.default_rng(seed)
    splits = ["train"] * len(classes)
    for members in _by_class(classes):
        members = rng.permutation(members).tolist()
        validation = max(round(SHARES["validation"] * len(members)), int(len(members) >= 3))
        test = max(round(SHARES["test"] * len(members)), int(len(members) >= 3))
        for place, index in enumerate(members[: validation + test]):
            splits[index] = "validation" if place < validation else "test"
    return splits


def with_validation(classes: Sequence[Hashable], share: float, seed: int) -> list[str]:
    """Return train or validation for each training sample: ``share`` of each class, at least one from two on."""
    rng = np.random.default_rng(seed)
    splits = ["train"] * len(classes)
    for members in _by_class(classes):
        members = rng.permutation(members).tolist()
        for index in members[: max(round(share * len(members)), int(len(members) >= 2))]:
            splits[index] = "validation"
    return splits


def check_share(validation: float) -> None:
    """Refuse a share of the training samples that leaves nothing to one of the splits."""
    if not 0 < validation < 1:
        raise UserError(f"validation is {validation}: give a share between 0 and 1, such as 0.1")


def _by_class(classes: Sequence[Hashable]) -> list[list[int]]:
    members: dict[Hashable, list[int]] = {}
    for index, name in enumerate(classes):
        members.setdefault(name, []).append(index)
    return [members[name] for name in sorted(members, key=str)]


__all__ = ["NAMES", "SHARES", "SPLITS", "check_share", "stratified", "with_validation"]
