"""What follows each step of a run, counted by hand."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from descant.data.order import TrainingOrder
from descant.loop.cadence import Cadence
from descant.loop.progress import Progress
from descant.recipe import TrainerSettings

SETTINGS = TrainerSettings(
    epochs=4, batch_size=4, log_steps=2, evaluate_epochs=3, checkpoint_steps=4, checkpoint_s=None
)


def walk(settings: TrainerSettings, samples: int) -> dict[str, list[int]]:
    """Return the steps after which each thing is due."""
    order = TrainingOrder.of_one(0, "data", samples, settings.batch_size)
    cadence, progress = Cadence(settings, order), Progress()
    found: dict[str, list[int]] = {name: [] for name in ("log", "epoch_ends", "evaluate", "save", "done")}
    while progress.step < cadence.steps:
        due = cadence.after(progress)
        progress.advance(order)
        for name, steps in found.items():
            if getattr(due, name):
                steps.append(progress.step)
    return found


def test_four_epochs_of_three_batches() -> None:
    assert walk(SETTINGS, 10) == {
        "log": [2, 3, 4, 6, 8, 9, 10, 12],
        "epoch_ends": [3, 6, 9, 12],
        "evaluate": [9, 12],
        "save": [3, 4, 6, 8, 9, 12],
        "done": [12],
    }


def test_steps_cut_the_last_epoch_short() -> None:
    found = walk(replace(SETTINGS, steps=7, checkpoint_steps=None, evaluate_epochs=1), 10)
    assert found["epoch_ends"] == [3, 6]
    assert found["evaluate"] == found["save"] == [3, 6, 7]
    assert found["done"] == [7]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 30), st.integers(1, 40), st.integers(1, 4))
def test_a_run_ends_once_and_never_without_a_row_a_score_and_a_checkpoint(
    epochs: int, batch: int, samples: int, steps: int, evaluate: int
) -> None:
    settings = replace(SETTINGS, epochs=epochs, batch_size=batch, steps=steps, evaluate_epochs=evaluate)
    found = walk(settings, samples)
    assert found["done"] == [min(steps, epochs * -(-samples // batch))]
    for name in ("log", "evaluate", "save"):
        assert found[name][-1:] == found["done"], name
    assert set(found["evaluate"]) <= set(found["save"]), "what is scored may be the best and has to be kept"
