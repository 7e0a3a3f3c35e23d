"""What is refused before anything trains, since the labels that are there cannot bear it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from descant import BinaryAttributes, Classification, register_task
from descant.errors import UserError
from descant.loop.checks import check
from descant.loop.experiment import Experiment
from descant.recipe import compose, parse_recipe
from support import mel_data_set


@register_task("listed_traits")
class ListedTraits(BinaryAttributes):
    label = "traits"
    attributes = ("smile", "hat")


@register_task("later_genre")
class LaterGenre(Classification):
    label = "later"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Validation samples have no ``later``; of the two traits the second is never there."""

    def labels(number: int, genre: int) -> dict[str, Any]:
        return {"genre": genre, "traits": [number % 2, 0], **({"later": genre} if number >= 8 else {})}

    return mel_data_set(tmp_path_factory.mktemp("checked"), train=24, validation=8, test=0, labels=labels)


def checked(data: Path, *settings: str) -> None:
    common = [f"data={data}", "inputs.mel.crop_frames=16", "trainer.batch_size=4"]
    check(Experiment.build(parse_recipe(compose("genre", [*common, *settings]))))


def test_an_attribute_of_one_class_only_is_one_sentence(data: Path) -> None:
    checked(data)
    with pytest.raises(UserError, match="attribute 'hat' of the task 'listed_traits' is the same, or unknown, in all"):
        checked(data, "tasks.listed_traits.weight=0.3")


def test_a_stop_rule_that_has_nothing_to_go_by_is_one_sentence(data: Path) -> None:
    checked(data, "tasks.later_genre.weight=0.3")
    with pytest.raises(UserError, match=r"has the label 'later' of the task 'later_genre', whose stop rule goes by it"):
        checked(data, "tasks.later_genre.stop=zhang2014")
    with pytest.raises(UserError, match=r"has the label 'later' of the main task 'later_genre', which chooses"):
        checked(data, "tasks.genre=null", "tasks.later_genre.role=main")


def test_a_balancer_without_what_it_goes_by_is_one_sentence(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "descant"):
        checked(data, "balance=gls")
    assert "balance=gls has one task and nothing to balance: the run is plain training" in caplog.text
    for method in ("gls", "uncertainty", "si"):
        with pytest.raises(UserError, match=rf"balance={method} needs losses above 0, but balance.normalise=log"):
            checked(data, f"balance={{name: {method}, normalise: log}}")
    checked(data, "balance=dtp", "tasks.later_genre.weight=1")
    with pytest.raises(
        UserError, match=r"the first one of 'reconstruction' is 'mean_absolute_error', which is better when less"
    ):
        checked(data, "balance=dtp", "tasks.reconstruction.weight=1")
    with pytest.raises(UserError, match=r"there is no balancer 'mgdaa'"):
        checked(data, "balance=mgdaa")
    for wrong in ("every: 0", "momentum: 1.0", "normalise: loud"):
        with pytest.raises(UserError, match=rf"balance\.{wrong.partition(':')[0]} is "):
            checked(data, f"balance={{name: gls, {wrong}}}")


@pytest.mark.parametrize(
    ("balance", "says"),
    [
        (
            "{name: si, level: parameter}",
            "balance=si goes by the losses alone and looks at no gradients: take balance.l",
        ),
        ("{name: gls, layers: [fc]}", "balance=gls goes by the losses alone and looks at no gradients: take balance.l"),
        ("{name: mgda, level: loud}", "balance.level is 'loud'"),
        ("{name: mgda, layers: [layers.0]}", "set balance.level=parameter too"),
        ("{name: mgda, level: parameter, layers: [layer.0]}", "balance.layers has 'layer.0', which has no parameters"),
        ("{name: db_mtl, level: representation}", "set balance.level=parameter, or take it out"),
        ("{name: db_mtl, normalise: mean}", "balance=db_mtl is of the losses' logarithms: take balance.normalise out"),
        ("{name: moco, every: 2}", "take balance.every out"),
        ("{name: graddrop, momentum: 0.5}", "take balance.momentum out"),
        ("{name: graddrop, level: parameter, layers: [layers.0]}", "take balance.layers out"),
    ],
)
def test_a_level_or_a_key_that_a_balancer_has_no_use_for_is_one_sentence(data: Path, balance: str, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        checked(data, "tasks.reconstruction.weight=1", f"balance={balance}")


def test_gradients_that_cannot_be_compared_are_named(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        UserError, match=r"tasks.reconstruction.stop compares the task's gradient .*\.gradient blocks it"
    ):
        checked(data, "tasks.reconstruction={weight: 1, gradient: block, stop: transfer}")
    with pytest.raises(UserError, match=r"no other task reads that of 'genre': have them read one feature"):
        checked(data, "tasks.reconstruction.weight=1", "balance=cosine_gating")
    with caplog.at_level(logging.WARNING, "descant"):
        checked(data, "tasks.reconstruction.weight=1", "balance=mgda")
    assert "cannot tell how the gradients of genre, reconstruction lie to those of other tasks" in caplog.text


def test_a_split_of_one_class_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def labels(number: int, genre: int) -> dict[str, Any]:
        return {"genre": genre, "later": int(number >= 8)}

    data = mel_data_set(tmp_path, train=24, validation=8, test=16, labels=labels)
    with caplog.at_level(logging.WARNING, "descant"):
        checked(data, "tasks.later_genre.weight=1")
    assert "all labels 'later' of the validation split are of one class: what later_genre is scored" in caplog.text
    assert "test split" not in caplog.text
