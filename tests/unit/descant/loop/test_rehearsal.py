"""What does not fit together is one sentence before training; what nothing reaches is frozen; nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from descant import Classification
from descant.errors import UserError
from descant.loop.experiment import Experiment
from descant.loop.rehearsal import rehearse
from descant.recipe import compose, parse_recipe
from descant.schedules import Constant
from support import image_data_set, mel_data_set


def built(data: Path, recipe: str, *overrides: str) -> Experiment:
    return Experiment.build(parse_recipe(compose(recipe, [f"data={data}", *overrides])))


@pytest.fixture(scope="module")
def mels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mel_data_set(tmp_path_factory.mktemp("mels"), train=8, validation=2, test=2)


def test_a_sound_model_is_untouched(mels: Path, tmp_path: Path) -> None:
    pictures = image_data_set(tmp_path, train=8, validation=2)
    for experiment in (
        built(mels, "genre_reconstruction", "inputs.mel.crop_frames=16"),
        built(pictures, "face_landmarks", "inputs.image.size=24", "trunk=resnet10t"),
    ):
        model = experiment.build_model()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        reach = rehearse(model, experiment.inputs, experiment.tasks)
        assert set().union(*reach.values()) == {name for name, _ in model.named_parameters()}
        assert torch.equal(torch.rand(3), expected)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_what_no_gradient_reaches_is_frozen_and_named(mels: Path) -> None:
    overrides = ("inputs.mel.crop_frames=16", "tasks.genre.gradient=block", "tasks.reconstruction.gradient=block")
    experiment = built(mels, "genre_reconstruction", *overrides)
    model = experiment.build_model()
    reach = rehearse(model, experiment.inputs, experiment.tasks)
    unreached = [name for name, _ in model.named_parameters() if name not in set().union(*reach.values())]
    assert unreached == [name for name, _ in model.named_parameters() if name.startswith("sharing.")] != []
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == unreached


class Flat(Classification):
    """A head that forgets the classes."""

    label = "genre"

    def head(self, feature: tuple[int, ...]) -> nn.Module:
        return nn.Linear(feature[0], 3)


class Wrong(Classification):
    """A head for another feature."""

    label = "genre"

    def head(self, feature: tuple[int, ...]) -> nn.Module:
        return nn.Linear(feature[0] + 1, 8)


class Summed(Classification):
    """A loss over the batch."""

    label = "genre"

    def loss(self, output: Any, target: Any) -> torch.Tensor:
        return super().loss(output, target).sum()


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (Wrong, r"^the head of the task 'mine' does not take the feature 'pooled' of shape \(\d+,\): RuntimeError"),
        (Summed, r"^the loss of the task 'mine' has the shape .* for 2 samples .*return one number per sample"),
        (
            Flat,
            r"^the task 'mine' cannot compute its loss from an output of shape \(3,\) for a target of shape \(\)",
        ),
    ],
)
def test_a_users_task_that_does_not_fit_is_one_sentence(mels: Path, cls: type[Classification], sentence: str) -> None:
    experiment = built(mels, "genre", "inputs.mel.crop_frames=16")
    task = cls("mine", experiment.description.fields, experiment.shapes)
    model = experiment.build_model()
    model.heads["mine"] = task.head((model.sharing.shapes["genre"][0],))
    model.gradients["mine"] = Constant(1.0)
    model.begin_epoch(0, 1)
    model.sharing.features["mine"] = "pooled"  # type: ignore[index,union-attr,operator]
    with pytest.raises(UserError, match=sentence) as caught:
        rehearse(model, experiment.inputs, {"mine": task})
    assert "\n" not in str(caught.value)
