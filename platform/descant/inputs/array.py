"""The ``array`` input: stored numpy arrays as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from descant.data.decode import decode_array
from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.base import Input, View, inputs
from descant.inputs.fields import choose_field
from descant.inputs.front import Front


@inputs.register("array")
class ArrayInput(Input):
    """Arrays of one shape, as float32.

    Args:
        shape: the arrays' shape; the data set's where it says so.
    """

    kinds = ("array",)

    def __init__(
        self, name: str, fields: Mapping[str, Field], *, field: str | None = None, shape: Sequence[int] | None = None
    ) -> None:
        self.field_name, self.field = choose_field(name, field, fields, self.kinds)
        wanted = tuple(shape) if shape is not None else self.field.shape
        if not wanted or any(size is None or size < 1 for size in wanted):
            raise UserError(f"the input {name!r} needs the shape of its arrays: set inputs.{name}.shape")
        self.shape = tuple(int(size) for size in wanted if size is not None)

    def decode(self, member: bytes) -> np.ndarray:
        """Return the array."""
        value = decode_array(member)
        if value.shape != self.shape:
            raise ValueError(f"the array has shape {value.shape}, allowed is {self.shape}")
        return value

    def train_view(self, decoded: np.ndarray, rng: np.random.Generator) -> View:
        """Return the array."""
        return View({"value": decoded})

    def evaluation_views(self, decoded: np.ndarray) -> list[View]:
        """Return the array, once."""
        return [View({"value": decoded})]

    def front(self) -> Front:
        """Return the stored array."""
        return Front(self.shape, about={"is": "the array as it is stored"})

    def blank(self) -> View:
        """Return zeros."""
        return View({"value": np.zeros(self.shape, np.float32)})
