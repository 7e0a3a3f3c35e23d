"""Which field of the data set an input reads."""

from __future__ import annotations

from collections.abc import Mapping

from descant.data.description import Field
from descant.errors import UserError


def choose_field(
    name: str, wanted: str | None, fields: Mapping[str, Field], kinds: tuple[str, ...]
) -> tuple[str, Field]:
    """Return the (name, field) that the input ``name`` reads: the one wanted, its namesake, or the only one that fits.

    Raises:
        UserError: no field fits, or several do.
    """
    fitting = {key: field for key, field in fields.items() if field.kind in kinds}
    for candidate in (name,) if wanted is None else (wanted,):
        if candidate in fitting:
            return candidate, fitting[candidate]
    if wanted is not None:
        raise UserError(
            f"the input {name!r} reads the field {wanted!r}, but the data set has {sorted(fitting) or 'none'} "
            f"of kind {' or '.join(kinds)}"
        )
    if not fitting:
        have = {key: field.kind for key, field in fields.items() if not field.is_label}
        raise UserError(f"the input {name!r} needs a field of kind {' or '.join(kinds)}, but the data set has {have}")
    if len(fitting) > 1:
        raise UserError(f"the input {name!r} could read {sorted(fitting)}: set inputs.{name}.field to one of them")
    return next(iter(fitting.items()))
