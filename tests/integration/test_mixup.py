"""Mixed samples: a pure function of seed, epoch and position, the same on any number of ranks and after a resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from descant.data.batch import Batch
from descant.data.mixup import Mixup
from descant.loop.batches import BatchMaker
from descant.loop.experiment import Experiment
from descant.loop.objective import Objective
from descant.loop.ranks import Ranks
from descant.outputs import Outputs
from descant.recipe import compose, parse_recipe
from support import check_ranks_and_a_resume, mel_data_set

OPTIONS = ["inputs.mel.crop_frames=32", "trainer.batch_size=16", "trainer.epochs=2", "trunk.hidden=[8]"]
OPTIONS += ["trainer.mixup_alpha=0.4", "trainer.mixup_chance=0.7", "run=inline"]
WITHOUT_DROPOUT = ["trunk.dropout=0", "tasks.genre.dropout=0", "tasks.reconstruction.dropout=0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mels of which every fifth has no genre."""
    return mel_data_set(
        tmp_path_factory.mktemp("mixup"),
        train=53,
        labels=lambda number, genre: {"genre": None if number % 5 == 0 else genre},
    )


def batches(data: Path, world_size: int, *overrides: str) -> tuple[Experiment, list[list[Batch]]]:
    """Return the first epoch's batches of each rank."""
    experiment = Experiment.build(parse_recipe(compose("genre_reconstruction", [f"data={data}", *OPTIONS, *overrides])))
    reader = experiment.reader("train")
    dealt = []
    for rank in range(world_size):
        order = experiment.order(reader, Ranks(rank, world_size))
        maker = BatchMaker(reader, order, experiment.inputs, experiment.tasks, experiment.mixup)
        dealt.append([maker.make(0, batch) for batch in range(order.batches)])
    return experiment, dealt


def test_partners_come_from_the_global_batch_whatever_the_ranks(data: Path) -> None:
    _, (alone,) = batches(data, 1)
    _, shared = batches(data, 3)
    mixed_rows = 0
    for number, whole in enumerate(alone):
        assert whole.partner is not None and whole.share_B is not None
        assert set(whole.partner.keys) <= set(whole.keys)
        expected = {key: (whole.partner.keys[row], float(whole.share_B[row])) for row, key in enumerate(whole.keys)}
        for part in (rank[number] for rank in shared):
            assert part.partner is not None and part.share_B is not None
            for row, key in enumerate(part.keys):
                assert (part.partner.keys[row], float(part.share_B[row])) == expected[key]
                other = whole.keys.index(part.partner.keys[row])
                assert torch.equal(part.partner.arrays["mel"]["value"][row], whole.arrays["mel"]["value"][other])
        mixed_rows += int((whole.share_B < 1).sum())
    assert 25 <= mixed_rows <= 48, "about 0.7 of 53"


def test_a_mixed_sample_teaches_by_both_labels_or_not_at_all(data: Path) -> None:
    for takes in (True, False):
        experiment, ((batch, *_),) = batches(data, 1, f"tasks.genre.mixup={str(takes).lower()}")
        assert batch.partner is not None and batch.share_B is not None
        has = torch.tensor([int(key.removeprefix("train")) % 5 != 0 for key in batch.keys])
        other_has = torch.tensor([int(key.removeprefix("train")) % 5 != 0 for key in batch.partner.keys])
        unmixed = batch.share_B == 1
        assert torch.equal(batch.present["genre"], has & (unmixed | (other_has & takes)))
        assert batch.present["reconstruction"].all()
        objective = Objective(experiment.tasks, experiment.schedules)
        outputs = Outputs({"genre": torch.randn(16, 8), "reconstruction": torch.zeros(16, 32, 128)})
        found = objective.losses(outputs, batch, {"mel": torch.ones(16, 32, 128)}).per_sample
        rows = torch.nn.functional.log_softmax(outputs["genre"], 1)
        own, other = (-rows.gather(1, one.targets["genre"][:, None])[:, 0] for one in (batch, batch.partner))
        expected = torch.where(unmixed, own, batch.share_B * own + (1 - batch.share_B) * other)
        torch.testing.assert_close(found["genre"], torch.where(batch.present["genre"], expected, 0.0))
        torch.testing.assert_close(found["reconstruction"], torch.ones(16))


def test_draws_are_a_function_of_their_arguments() -> None:
    mixup = Mixup(0.4, 1.0, frozenset())
    draws = [mixup.draw(3, 1, position, 10) for position in range(2000)]
    assert draws == [mixup.draw(3, 1, position, 10) for position in range(2000)]
    assert draws != [mixup.draw(3, 2, position, 10) for position in range(2000)]
    assert {after for _, after in draws} == set(range(1, 10))
    shares = np.asarray([share for share, _ in draws])
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02), "of Beta(0.4, 0.4)"
    assert mixup.draw(3, 1, 0, 1) == (1.0, 0), "nobody to be mixed with"
    assert Mixup(0.4, 0.0, frozenset()).draw(3, 1, 0, 10) == (1.0, 0)


def test_ranks_and_a_resume_change_nothing(tmp_path: Path, data: Path) -> None:
    settings = [f"data={data}", f"run.dir={tmp_path}", *OPTIONS, *WITHOUT_DROPOUT]
    check_ranks_and_a_resume("genre_reconstruction", settings, before_step=3)
