"""Names that have a side, and what becomes of them when an image is mirrored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from descant.errors import UserError

_SIDE = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


def mirrored_order(names: Sequence[str], flips: Mapping[str, str] | None) -> tuple[int, ...]:
    """Return the index of each name's mirror image: of the partner in ``flips``, read both ways, or its own."""
    index = {name: position for position, name in enumerate(names)}
    partner = {**{right: left for left, right in (flips or {}).items()}, **(flips or {})}
    return tuple(index.get(partner.get(name, name), position) for position, name in enumerate(names))


def check_sides(task: str, option: str, names: Sequence[str], flips: Mapping[str, str] | None) -> None:
    """Raise a UserError when the names cannot follow a mirrored image by ``flips``, the value of a task's ``option``.

    Without ``flips`` no name may speak of left or right; with them each name has one partner among ``names``.
    """
    if flips is None:
        sided = [name for name in names if _SIDE.search(name)]
        if sided:
            raise UserError(
                f"the task {task!r} has {sided[0]!r}, which the other side takes over in a mirrored image: give its "
                f"class {option!r} with the names that are exchanged ({{}} for none), or take 'flip' out of the "
                f"augmentation"
            )
        return
    pairs = sorted({tuple(sorted(pair)) for pair in flips.items() if pair[0] != pair[1]})
    met = [name for pair in pairs for name in pair]
    twice = [name for name in met if met.count(name) > 1]
    if twice:
        raise UserError(f"{option!r} of the task {task!r} gives {twice[0]!r} more than one partner: give it one")
    lone = [pair for pair in pairs if len(set(pair).intersection(names)) == 1]
    if lone or (met and not set(met).intersection(names)):
        first, second = (lone or pairs)[0]
        raise UserError(
            f"{option!r} of the task {task!r} exchanges {first!r} and {second!r}, but there are {', '.join(names)}: "
            f"name two of these, or take 'flip' out of the augmentation"
        )
