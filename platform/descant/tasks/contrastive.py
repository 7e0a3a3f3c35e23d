"""Telling samples apart by two views of each: the auxiliary of SimCLR, which needs no labels.

Shapes: B samples of this rank, N samples of all ranks, D numbers of a projection, C = 1 + 2N cosines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from descant.data.description import Field
from descant.errors import UserError
from descant.inputs.augment import check_range
from descant.lazy import torch
from descant.tasks.headed import HeadedTask
from descant.tasks.metrics import Metric, mean_metric, ratio
from descant.tasks.own_views import fitting_input
from descant.tasks.second_views import FrameViews, ImageViews

_SHORTEST = 1e-6  # projection whose direction is taken seriously


def nt_xent(
    cosines_B2C: Float[torch.Tensor, "B 2 C"], target: object, temperature: float = 0.5
) -> Float[torch.Tensor, B]:
    """Return -log of the softmax that a sample's views have for each other, the mean over both (Chen et al. 2020).

    Args:
        cosines_B2C: of each view: first to the sample's other view, then to the negatives, -inf where there is none.
        target: not looked at.
        temperature: by which the cosines are divided.
    """
    logits_B2C = cosines_B2C.float() / temperature
    return (logits_B2C.logsumexp(2) - logits_B2C[..., 0]).mean(1)


class Contrastive(HeadedTask):
    """Find a sample's second view among all others: NT-Xent of SimCLR (Chen, Kornblith, Norouzi & Hinton, ICML 2020).

    The first view are the inputs as all tasks see them, the second is drawn (second_views.py): images (C, H, W) are
    cropped, mirrored and coloured, of mel frames (T, M) a stretch is taken and bands are masked. A projection head
    makes D numbers of each. Negatives are both views of all other samples of the global batch, whatever the number of
    workers. With ``trainer.micro_batch`` they are those of the micro-batches of all workers at once, so the number of
    workers then matters. Samples that could not be read, and rows that only fill a batch up, take no part.

    In an evaluation negatives are those of the same evaluation batch, which one worker computes whole; the last batch
    of a split has fewer, and a sample alone in it has the loss 0. The metrics are shares and means over pairs, which do
    not hang on how many there are: ``pair_accuracy``, how often a sample's other view is nearer than a view of another
    sample; ``alignment`` and ``uniformity`` of Wang & Isola (ICML 2020).

    Args:
        input: which input is changed; the recipe's only one if None.
        projection: D.
        temperature: by which cosines are divided.
        crop: the least share of the area, or of the frames, that the second view keeps.
        strength: how much colours, or bands and loudness, change: from 0, not at all, to 1.
        given: the arguments of ``HeadedTask``.
    """

    own_view = True
    pairs = True
    default_head = "mlp"
    default_weight: ClassVar[float] = 0.1
    losses = {"nt_xent": nt_xent}
    metric_makers = {
        "pair_accuracy": lambda task: Metric(_nearer, ratio, "max", chance=0.5),
        "alignment": lambda task: mean_metric(_distance, "min"),
        "uniformity": lambda task: Metric(_potentials, lambda sums: _log(ratio(sums)), "min"),
    }

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        input: str | None = None,
        projection: int = 64,
        temperature: float = 0.5,
        crop: float = 0.4,
        strength: float = 0.4,
        **given: Any,
    ) -> None:
        self.input = fitting_input(name, inputs, input, (2, 3))
        super().__init__(name, fields, inputs, **given)
        if projection < 2:
            raise UserError(f"tasks.{name}.projection is {projection}: give a whole number from 2")
        check_range(f"tasks.{name}.temperature", temperature, 0.01, 100)
        check_range(f"tasks.{name}.crop", crop, 0.05, 1)
        check_range(f"tasks.{name}.strength", strength, 0, 1)
        self._projection, shape = projection, inputs[self.input]
        self._views = (
            ImageViews(crop, strength) if len(shape) == 3 else FrameViews((shape[0], shape[1]), crop, strength)
        )
        if self._loss is nt_xent:
            self._loss = partial(nt_xent, temperature=temperature)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """D numbers."""
        return (self._projection,)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return what the second view is."""
        return self._views.draw(rng)

    def view(self, inputs: Mapping[str, torch.Tensor], drawn: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the inputs, one of them as its second view."""
        assert self.input is not None
        return {**inputs, self.input: self._views.view(inputs[self.input], drawn)}

    def contrast(
        self,
        output: Float[torch.Tensor, "B 2 D"],
        everyone: Float[torch.Tensor, "N 2 D"],
        others: Bool[torch.Tensor, "B N"],
    ) -> Float[torch.Tensor, "B 2 C"]:
        """Return cosines of each view: first to the sample's other view, then to all, -inf where they are no others."""
        own_B2D = torch.nn.functional.normalize(output.float(), dim=-1, eps=_SHORTEST)
        all_ND = torch.nn.functional.normalize(everyone.float().flatten(0, 1), dim=-1, eps=_SHORTEST)
        positive_B = (own_B2D[:, 0] * own_B2D[:, 1]).sum(-1)
        cosines_B2C = (own_B2D @ all_ND.T).masked_fill(~others.repeat_interleave(2, 1)[:, None], -math.inf)
        return torch.cat([positive_B[:, None, None].expand(-1, 2, 1), cosines_B2C], 2)

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the cosines, or outside of training and evaluation the projection, as they are."""
        return output.float()


def _nearer(cosines_B2C: Float[torch.Tensor, "B 2 C"], target: object) -> Float[torch.Tensor, "B S"]:
    """Return how often the other view is nearer than a negative (half where it is as near), of how many."""
    positive_B21, negatives = cosines_B2C[..., :1], cosines_B2C[..., 1:]
    right = (positive_B21 > negatives).double() + 0.5 * (positive_B21 == negatives)
    return _sums(right, negatives)


def _distance(cosines_B2C: Float[torch.Tensor, "B 2 C"], target: object) -> Float[torch.Tensor, B]:
    """Return the squared distance of a sample's views on the unit sphere."""
    return 2.0 - 2.0 * cosines_B2C[:, 0, 0]


def _potentials(cosines_B2C: Float[torch.Tensor, "B 2 C"], target: object) -> Float[torch.Tensor, "B S"]:
    """Return the sum of exp(-2·squared distance) to the negatives, and how many there are."""
    negatives = cosines_B2C[..., 1:]
    return _sums((-4.0 + 4.0 * negatives.double()).exp(), negatives)


def _sums(values: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Return the sum of the values where there is a negative, and how many there are, (B, 2)."""
    there = negatives.isfinite()
    return torch.stack([(values * there).sum((1, 2)), there.sum((1, 2)).double()], 1)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan
