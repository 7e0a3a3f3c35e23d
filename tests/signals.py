"""What balancers are told, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from descant.balance import Balancer, GramianBalancer, LossBalancer, Signals, balancers


def signals(
    losses: Sequence[float],
    gramian: torch.Tensor | None = None,
    *,
    places: Sequence[int] | None = None,
    main: int | None = 0,
    step: int = 0,
    epoch: int = 0,
    epochs: int = 10,
) -> Signals:
    """Return what a balancer sees at a step that teaches tasks with these losses; by default all there are."""
    return Signals(
        places_P=torch.arange(len(losses)) if places is None else torch.tensor(places),
        losses_P=torch.tensor(losses, dtype=torch.float64),
        main=main,
        step=step,
        epoch=epoch,
        epochs=epochs,
        generator=torch.Generator().manual_seed(step),
        gramian_PP=gramian,
    )


def made(name: str, tasks: int, **options: object) -> LossBalancer | GramianBalancer:
    """Return a balancer by its registered name, for tasks that are called ``0``, ``1`` and so on."""
    balancer: Balancer = balancers.build(name, options, tasks=[str(number) for number in range(tasks)])
    assert isinstance(balancer, (LossBalancer, GramianBalancer))
    return balancer
