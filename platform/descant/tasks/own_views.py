"""Auxiliaries that need no labels: each changes the inputs in a way of its own and learns to tell how.

Shapes: B samples, C channels, H height, W width, T frames, M mel bands, N permutations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.base import View
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.headed import HeadedTask

_KINDS = {2: "frames (T, M)", 3: "images (C, H, W)"}


class OwnView(HeadedTask):
    """Which of several changes was made to an input: cross-entropy on as many logits.

    Args:
        input: which input to change; the recipe's only one if None.
        given: the arguments of ``HeadedTask``.
    """

    own_view = True
    default_weight: ClassVar[float] = 0.1
    dimensions: ClassVar[int]
    """Of the inputs that can be changed so: 2 for frames, 3 for images."""
    losses = {"cross_entropy": losses.cross_entropy}
    metric_makers = {"accuracy": lambda task: metrics.accuracy([1] * task.choices)}

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        input: str | None = None,
        **given: Any,
    ) -> None:
        self.input = fitting_input(name, inputs, input, (self.dimensions,))
        super().__init__(name, fields, inputs, **given)

    @property
    def choices(self) -> int:
        """How many changes there are to tell apart."""
        raise NotImplementedError

    def changed(self, input: torch.Tensor, choice_B: torch.Tensor) -> torch.Tensor:
        """Return the input, each sample changed in the way that was chosen for it."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return which change is made, all alike likely."""
        return np.asarray(rng.integers(self.choices), np.int64)

    def view(self, inputs: Mapping[str, torch.Tensor], drawn: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the inputs, one of them changed."""
        assert self.input is not None
        return {**inputs, self.input: self.changed(inputs[self.input], drawn)}

    @property
    def output_shape(self) -> tuple[int, ...]:
        """A logit for each change."""
        return (self.choices,)

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the probability of each change, (B, choices)."""
        return output.float().softmax(-1)

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return the probability of each change, by its number."""
        return {str(number): round(float(share), 6) for number, share in enumerate(prediction)}


class Rotation(OwnView):
    """By which multiple of 90 degrees an image is turned (Gidaris, Singh & Komodakis 2018)."""

    dimensions = 3

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        assert self.input is not None
        height, width = self.inputs[self.input][1:]
        if height != width:
            raise UserError(f"the task {self.name!r} turns images, which have to be square: these are {height}×{width}")

    @property
    def choices(self) -> int:
        """Four."""
        return 4

    def changed(self, input: torch.Tensor, choice_B: torch.Tensor) -> torch.Tensor:
        """Return the images turned counter-clockwise by 0, 90, 180 or 270 degrees."""
        turned = input
        for turns in (1, 2, 3):
            turned = torch.where((choice_B == turns)[:, None, None, None], input.rot90(turns, (2, 3)), turned)
        return turned


class Order(OwnView):
    """In which order an input's parts were put together again; ``orders`` (N, parts) are the permutations."""

    orders: np.ndarray

    @property
    def choices(self) -> int:
        """N."""
        return len(self.orders)


class FrameOrder(Order):
    """In which order stretches of a spectrogram stand (Misra, Zitnick & Hebert 2016, of video frames).

    Args:
        parts: into how many stretches of the same length the frames are cut, 2 to 4; those left over stay at the end.
        given: the arguments of ``OwnView``.
    """

    dimensions = 2

    def __init__(self, *args: Any, parts: int = 3, **given: Any) -> None:
        super().__init__(*args, **given)
        assert self.input is not None
        frames = self.inputs[self.input][0]
        if not 2 <= parts <= 4 or parts > frames:
            raise UserError(f"the task {self.name!r} cuts {frames} frames into {parts} parts: give 2 to 4")
        self.orders = np.asarray(list(itertools.permutations(range(parts))), np.int64)
        length = frames // parts
        places_PT = np.arange(parts * length).reshape(parts, length)
        rest = np.arange(parts * length, frames)
        self._frames_NT = np.stack([np.concatenate([*places_PT[order], rest]) for order in self.orders])

    def changed(self, input: torch.Tensor, choice_B: torch.Tensor) -> torch.Tensor:
        """Return the frames in the orders that were chosen."""
        places_BT = torch.as_tensor(self._frames_NT, device=input.device)[choice_B]
        return input.gather(1, places_BT[:, :, None].expand_as(input))


class Jigsaw(Order):
    """In which order the tiles of an image stand (Noroozi & Favaro 2016).

    The trunk sees the shuffled image whole, not each tile on its own as in the paper.

    Args:
        grid: tiles along each side, 2 or 3; pixels left over at the right and the bottom stay.
        permutations: how many are told apart: those that lie farthest from each other, found greedily.
        given: the arguments of ``OwnView``.
    """

    dimensions = 3

    def __init__(self, *args: Any, grid: int = 2, permutations: int = 24, **given: Any) -> None:
        super().__init__(*args, **given)
        assert self.input is not None
        pixels = min(self.inputs[self.input][1:])
        if grid not in (2, 3):
            raise UserError(f"the task {self.name!r} has grid={grid}: give 2 or 3")
        if pixels < grid:
            raise UserError(f"the task {self.name!r} has grid={grid}, but images of {pixels} pixels: give larger ones")
        if not 2 <= permutations <= min(math.factorial(grid * grid), 1000):
            raise UserError(
                f"the task {self.name!r} has permutations={permutations}: give 2 to "
                f"{min(math.factorial(grid * grid), 1000)} for a grid of {grid}"
            )
        self._grid = grid
        self.orders = far_apart(grid * grid, permutations)

    def changed(self, input: torch.Tensor, choice_B: torch.Tensor) -> torch.Tensor:
        """Return the images with their tiles in the orders that were chosen."""
        size, grid = (input.shape[2] // self._grid, input.shape[3] // self._grid), self._grid
        height, width = grid * size[0], grid * size[1]
        batch, channels = input.shape[:2]
        tiles = input[:, :, :height, :width].reshape(batch, channels, grid, size[0], grid, size[1])
        tiles_BPCHW = tiles.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
        order_BP = torch.as_tensor(self.orders, device=input.device)[choice_B]
        shuffled = tiles_BPCHW.gather(1, order_BP[:, :, None, None, None].expand_as(tiles_BPCHW))
        rows = shuffled.reshape(batch, grid, grid, channels, *size).permute(0, 3, 1, 4, 2, 5)
        changed = input.clone()
        changed[:, :, :height, :width] = rows.reshape(batch, channels, height, width)
        return changed


def fitting_input(
    task: str, inputs: Mapping[str, tuple[int, ...]], wanted: str | None, dimensions: Sequence[int]
) -> str:
    """Return the input to change: ``wanted``, or the recipe's only one of so many dimensions.

    Raises:
        UserError: there is none, there are several, or ``wanted`` has others.
    """
    fitting = [one for one, shape in inputs.items() if len(shape) in dimensions]
    chosen = wanted or (fitting[0] if len(fitting) == 1 else None)
    if chosen is None or (chosen in inputs and chosen not in fitting):
        raise UserError(
            f"the task {task!r} changes {' or '.join(_KINDS[one] for one in dimensions)}, and the recipe's inputs are "
            f"{ {one: tuple(shape) for one, shape in inputs.items()} }: set its 'input' to one that fits"
        )
    return chosen


def far_apart(length: int, count: int) -> np.ndarray:
    """Return ``count`` permutations, the identity first, each the one with the most places unlike all before it."""
    if math.factorial(length) <= 5040:
        pool = np.asarray(list(itertools.permutations(range(length))), np.int64)
    else:
        rng = np.random.default_rng(0)
        pool = np.unique([np.arange(length), *(rng.permutation(length) for _ in range(20_000))], axis=0)
    chosen = [0]
    nearest = (pool != pool[0]).sum(1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, (pool != pool[chosen[-1]]).sum(1))
    return pool[chosen]
