"""How types and shapes are checked under pytest."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

# A whole number is welcome wherever a float is: users write dropout=0.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
