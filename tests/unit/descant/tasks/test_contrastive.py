"""Contrastive tasks: NT-Xent by its formula over the samples that count, and views that are what was drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from descant.errors import UserError
from descant.tasks import Contrastive
from descant.tasks.second_views import FrameViews, ImageViews

IMAGE, MEL = {"image": (3, 8, 6)}, {"mel": (20, 10)}


def by_the_formula(views_2ND: np.ndarray, temperature: float) -> np.ndarray:
    """Return the loss of each sample, the mean over its views: equation 1 of Chen et al. 2020, term by term."""
    rows = [z / np.linalg.norm(z) for view in views_2ND for z in view]
    count = len(rows) // 2

    def loss(i: int, j: int) -> float:
        terms = [math.exp(float(rows[i] @ rows[k]) / temperature) for k in range(2 * count) if k != i]
        return -math.log(math.exp(float(rows[i] @ rows[j]) / temperature) / sum(terms))

    return np.asarray([(loss(k, k + count) + loss(k + count, k)) / 2 for k in range(count)])


def held(task: Contrastive, output: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return task.contrast(output, output, counts & ~torch.eye(len(output), dtype=torch.bool))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_the_loss_is_that_of_the_paper_over_the_samples_that_count(temperature: float) -> None:
    task = Contrastive("c", {}, MEL, temperature=temperature)
    output = torch.randn(7, 2, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    counts = torch.tensor([True, True, False, True, True, False, True])
    loss_B = task.loss(held(task, output, counts), None)[counts]
    found = output.detach()[counts].double().numpy().transpose(1, 0, 2)
    np.testing.assert_allclose(loss_B.detach().numpy(), by_the_formula(found, temperature), rtol=2e-5)
    (gradient,) = torch.autograd.grad(loss_B.sum(), output)
    assert (gradient[~counts] == 0).all() and (gradient[counts] != 0).any()


def test_a_sample_alone_has_no_loss_and_a_zero_projection_a_finite_gradient() -> None:
    task = Contrastive("c", {}, MEL)
    output = torch.randn(3, 2, 5)
    output[1] = 0.0
    alone = held(task, output, torch.tensor([True, False, False]))
    assert float(task.loss(alone, None)[0]) == pytest.approx(0.0, abs=1e-6)
    cosines = held(task, output.requires_grad_(), torch.ones(3, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(task.loss(cosines, None).sum(), output)
    assert gradient.isfinite().all()


def test_metrics_are_sums_over_pairs() -> None:
    task = Contrastive("c", {}, MEL)
    output = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]]])
    metrics = task.metrics()

    def values(cosines: torch.Tensor) -> dict[str, float]:
        sums = {name: one.statistics(cosines, output).double().sum(0).numpy() for name, one in metrics.items()}
        return {name: one.value(sums[name]) for name, one in metrics.items()}

    found = values(held(task, output, torch.ones(3, dtype=torch.bool)))
    # For each view the cosine to the sample's other view, and to the four views of other samples.
    pairs = [(1, [0, 1, -1, 0]), (1, [0, 1, -1, 0]), (0, [0, 0, 0, 1])]
    pairs += [(0, [1, 1, -1, 0]), (0, [-1, -1, 0, -1]), (0, [0, 0, 1, 0])]
    wins = [sum((other > n) + (other == n) / 2 for n in negatives) for other, negatives in pairs]
    assert found["pair_accuracy"] == pytest.approx(sum(wins) / 24)
    assert found["alignment"] == pytest.approx((0 + 2 + 2) / 3)
    potentials = [math.exp(-2 * (2 - 2 * n)) for _, negatives in pairs for n in negatives]
    assert found["uniformity"] == pytest.approx(math.log(sum(potentials) / 24))
    alone = values(held(task, output[:1], torch.ones(1, dtype=torch.bool)))
    assert math.isnan(alone["pair_accuracy"]) and math.isnan(alone["uniformity"]) and alone["alignment"] == 0
    assert metrics["pair_accuracy"].chance == 0.5


def test_images_are_cropped_mirrored_and_coloured_as_drawn() -> None:
    views = ImageViews(crop=0.3, strength=0.4)
    image = torch.arange(3 * 8 * 6.0).reshape(1, 3, 8, 6).repeat(3, 1, 1, 1)
    drawn = torch.tensor([[1, 1, 0, 0, 1, 0, 0, 0], [1, 1, 0, 0, -1, 0, 0, 0], [0.5, 0.5, 0.5, -0.5, 1, 0, 0, 0.0]])
    same, mirrored, corner = views.view(image, drawn)
    torch.testing.assert_close(same, image[0])
    torch.testing.assert_close(mirrored, image[0].flip(2))
    x, y = 2.75 + torch.arange(1, 5) / 2, torch.arange(1, 7) / 2 - 0.25  # pixels are half as far apart
    torch.testing.assert_close(corner[0, 1:7, 1:5], 6 * y[:, None] + x)
    coloured = views.view(image[:1], torch.tensor([[1, 1, 0, 0, 1, 0.3, -0.5, -1.0]]))
    grey = image[:1].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(coloured, grey.mean() + 0.5 * (grey - grey.mean()) + 0.3)


def test_frames_are_stretched_and_bands_masked_as_drawn() -> None:
    views = FrameViews((20, 10), crop=0.5, strength=0.4)
    mel = torch.linspace(-0.5, 0.5, 20)[None, :, None].repeat(3, 1, 10)
    plain = [0.0, 0.0, 0.0, 0.0]
    drawn = torch.tensor([[1, 0, 0, *plain], [1, 0, 20, 2, 4, 9, 10], [0.5, -0.5, 0, *plain]])
    same, masked, first_half = views.view(mel, drawn)
    torch.testing.assert_close(same, mel[0])
    bands = masked.mean(0)
    assert [band for band in range(10) if bands[band] == -1] == [2, 3, 9]
    torch.testing.assert_close(masked[:, 0], mel[0, :, 0] + 0.5)
    torch.testing.assert_close(first_half[1:-1, 0], torch.linspace(-0.5, 0.0, 20)[1:-1], rtol=0, atol=0.03)


@pytest.mark.parametrize("inputs", [IMAGE, MEL])
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_what_is_drawn_hangs_on_the_generator_alone(inputs: Any, strength: float) -> None:
    task = Contrastive("c", {}, inputs, strength=strength)
    ((name, shape),) = inputs.items()
    drawn = np.stack([task.draw(np.random.default_rng(row)) for row in range(40)])
    np.testing.assert_array_equal(drawn, np.stack([task.draw(np.random.default_rng(row)) for row in range(40)]))
    input = torch.rand(40, *shape)
    seen = task.view({name: input, "other": input}, torch.from_numpy(drawn))
    assert seen["other"] is input and seen[name].shape == input.shape and seen[name].isfinite().all()
    assert (seen[name] != input).flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        ({"x": (4,)}, {}, "changes frames .T, M. or images .*set its 'input' to one that fits"),
        ({**IMAGE, **MEL}, {}, "set its 'input' to one that fits"),
        (MEL, {"input": "male"}, "reads the input 'male', which the recipe lacks"),
        (MEL, {"temperature": 0.0}, "tasks.c.temperature is 0.0: give 0.01 to 100"),
        (MEL, {"projection": 1}, "tasks.c.projection is 1: give a whole number from 2"),
        (IMAGE, {"crop": 0.0}, "tasks.c.crop is 0.0: give 0.05 to 1"),
        (IMAGE, {"strength": 1.5}, "tasks.c.strength is 1.5: give 0 to 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(inputs: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Contrastive("c", {}, inputs, **options)
