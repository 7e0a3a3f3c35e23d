"""Views of a task's own: what is changed is what was drawn, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from descant.data.order import view_rng
from descant.errors import UserError
from descant.tasks import FrameOrder, Jigsaw, MaskedReconstruction, Rotation
from descant.tasks.own_views import OwnView, far_apart

IMAGE, MEL = {"image": (2, 6, 6)}, {"mel": (11, 3)}


def changed(task: OwnView, *choices: int) -> torch.Tensor:
    """Return the changed inputs, each value of which tells where it came from."""
    assert task.input is not None
    shape = task.inputs[task.input]
    input = torch.arange(float(np.prod(shape))).reshape(1, *shape).repeat(len(choices), *[1] * len(shape))
    seen = task.view({task.input: input, "other": input}, torch.tensor(choices))
    assert seen["other"] is input
    return seen[task.input]


def test_images_are_turned_by_what_was_drawn() -> None:
    seen = changed(Rotation("r", {}, IMAGE), 0, 1, 2, 3)
    straight = np.arange(72.0).reshape(2, 6, 6)
    for turns in range(4):
        np.testing.assert_array_equal(seen[turns].numpy(), np.rot90(straight, turns, (1, 2)))


def test_tiles_are_put_together_in_the_order_that_was_drawn() -> None:
    task = Jigsaw("j", {}, {"image": (1, 5, 4)}, permutations=24)
    assert len({tuple(order) for order in task.orders}) == 24 and list(task.orders[0]) == [0, 1, 2, 3]
    straight = np.arange(20.0).reshape(5, 4)
    tiles = [straight[:2, :2], straight[:2, 2:], straight[2:4, :2], straight[2:4, 2:]]
    seen = changed(task, *range(24))[:, 0].numpy()
    for order, picture in zip(task.orders, seen, strict=True):
        a, b, c, d = (tiles[place] for place in order)
        np.testing.assert_array_equal(picture, np.vstack([np.block([[a, b], [c, d]]), straight[4:]]))


def test_stretches_of_frames_are_put_together_in_the_order_that_was_drawn() -> None:
    task = FrameOrder("f", {}, MEL, parts=3)
    straight = np.arange(33.0).reshape(11, 3)
    parts = [straight[:3], straight[3:6], straight[6:9]]
    seen = changed(task, *range(6)).numpy()
    for order, frames in zip(task.orders, seen, strict=True):
        np.testing.assert_array_equal(frames, np.concatenate([*(parts[place] for place in order), straight[9:]]))


@pytest.mark.parametrize(("inputs", "hidden"), [({"mel": (11, 3)}, -1.0), ({"image": (2, 6, 5)}, 0.0)])
def test_the_loss_is_of_what_is_hidden_and_the_target_is_clean(inputs: Any, hidden: float) -> None:
    task = MaskedReconstruction("m", {}, inputs, share=0.4, size=2)
    (name, shape), rows = next(iter(inputs.items())), 50
    drawn = torch.from_numpy(np.stack([task.draw(np.random.default_rng(row)) for row in range(rows)]))
    assert drawn.flatten(1).sum(1).unique().tolist() == [round(0.4 * drawn[0].numel())]
    clean = 5 + torch.rand(rows, *shape)
    seen, target = task.view({name: clean}, drawn)[name], task.view_target({name: clean}, drawn)
    covered = seen != clean
    assert (seen[covered] == hidden).all() and torch.equal(target[covered], clean[covered])
    assert target[~covered].isnan().all()
    cells = covered if len(shape) == 2 else covered[:, 0]
    cells = cells[:, :, 0] if len(shape) == 2 else cells
    assert torch.equal(cells, _grown(drawn, cells.shape[1:]))
    output = torch.where(covered, clean + 0.5, 1e6)
    torch.testing.assert_close(task.loss(output, target), torch.full((rows,), 0.5))


def _grown(drawn: torch.Tensor, sides: torch.Size) -> torch.Tensor:
    places = torch.meshgrid(*(torch.arange(side) // 2 for side in sides), indexing="ij")
    return drawn[(slice(None), *places)]


def test_permutations_lie_far_apart() -> None:
    chosen = far_apart(9, 30)
    distances = (chosen[:, None] != chosen[None]).sum(2)
    assert chosen.shape == (30, 9) and list(chosen[0]) == list(range(9))
    assert (np.sort(chosen, 1) == np.arange(9)).all()
    assert distances[~np.eye(30, dtype=bool)].min() >= 7
    np.testing.assert_array_equal(chosen, far_apart(9, 30))


def test_what_is_drawn_is_a_function_of_seed_epoch_position_and_the_tasks_name() -> None:
    task = Rotation("r", {}, IMAGE)

    def drawn(seed: int, epoch: int, name: str) -> list[int]:
        return [int(task.draw(view_rng(seed, epoch, position, name))) for position in range(4000)]

    assert drawn(1, 0, "r") == drawn(1, 0, "r")
    assert all(drawn(1, 0, "r") != other for other in (drawn(2, 0, "r"), drawn(1, 1, "r"), drawn(1, 0, "s")))
    assert np.bincount(drawn(1, 0, "r"), minlength=4) == pytest.approx(np.full(4, 1000), abs=120)


@pytest.mark.parametrize(
    ("task", "inputs", "options", "said"),
    [
        (Rotation, {"image": (3, 6, 5)}, {}, "have to be square: these are 6×5"),
        (Rotation, MEL, {}, "changes images .*: set its 'input' to one that fits"),
        (FrameOrder, MEL, {"parts": 5}, "cuts 11 frames into 5 parts: give 2 to 4"),
        (FrameOrder, {"a": (8, 2), "b": (8, 2)}, {}, "set its 'input'"),
        (Jigsaw, IMAGE, {"grid": 4}, "grid=4: give 2 or 3"),
        (MaskedReconstruction, MEL, {"share": 1.0}, "hides the share 1.0 of its input"),
        (MaskedReconstruction, MEL, {"size": 12}, "hides parts of size 12 of .11,.: give 1 to 11"),
        (MaskedReconstruction, {"x": (4,)}, {}, "hides frames .T, M. or images"),
        (Jigsaw, IMAGE, {"permutations": 25}, "permutations=25: give 2 to 24 for a grid of 2"),
    ],
)
def test_what_cannot_be_changed_is_one_sentence(
    task: type[OwnView | MaskedReconstruction], inputs: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        task("t", {}, inputs, **options)
