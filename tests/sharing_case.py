"""A smooth trunk of a few dozen parameters, and sharing schemes over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from descant.sharing import Sharing, sharings
from descant.trunks import Shapes, StagedTrunk, Trunk

INPUTS = {"image": (1, 6, 6)}
FEATURES = {"main": "pooled", "help": "pooled", "more": "pooled"}
WIDTH = 4  # of pooled


TRUNK = (1 * 9 * 3 + 3) + (3 * 9 * WIDTH + WIDTH)
T = len(FEATURES)


def expert(width: int, *hidden: int) -> int:
    total = 0
    for units in hidden:
        total, width = total + width * units + units, units
    return total


def attention(width: int) -> int:
    """g, h of the first map (3 channels); g, h of the second (4, beside 4 carried); f between them."""
    norm = 2
    first = 3 * width + norm * width + width * 3 + norm * 3
    second = 8 * width + norm * width + width * 4 + norm * 4
    return first + second + 3 * 4 * 9 + norm * 4


Options = dict[str, Any]
Reaches = Callable[[str], bool]
RANK_2 = 2 * (9 + 3) + 2 * (27 + WIDTH)
# scheme, options, how many parameters, which of them the main task's loss reaches
CASES: list[tuple[str, Options, int, Reaches]] = [
    ("hard", {}, TRUNK, lambda name: True),
    ("soft", {"strength": 0.1}, T * TRUNK, lambda name: name.startswith("trunks.main.")),
    ("soft", {"strength": 1, "couple": "cosine_activations"}, T * TRUNK, lambda name: name.startswith("trunks.main.")),
    ("cross_stitch", {}, T * TRUNK + 2 * T * T, lambda name: True),
    ("cross_stitch", {"per_channel": True, "own": 0.8}, T * TRUNK + T * T * (3 + WIDTH), lambda name: True),
    (
        "cross_stitch",
        {"after": ["first"]},
        T * TRUNK + T * T,
        lambda name: not ("second" in name and not name.startswith("trunks.main.")),
    ),
    (
        "mmoe",
        {"experts": 3, "hidden": [5, 2]},
        TRUNK + 3 * expert(WIDTH, 5, 2) + T * 3 * WIDTH,
        lambda name: not name.startswith(("gates.help", "gates.more")),
    ),
    (
        "cgc",
        {"shared": 2, "own": 1, "hidden": [5]},
        TRUNK + (2 + T) * expert(WIDTH, 5) + T * 3 * WIDTH,
        lambda name: not name.startswith(("gates.help", "gates.more", "own.help", "own.more")),
    ),
    (
        "ple",
        {"levels": 3, "shared": 1, "own": 2, "hidden": [5]},
        TRUNK + (1 + 2 * T) * (expert(WIDTH, 5) + 2 * expert(5, 5)) + (T * 3 + 2 * T + 1) * (WIDTH + 5) + T * 3 * 5,
        # The last level's other experts and gates, and the gates before it that lead to them alone.
        lambda name: (
            not (name.startswith(("own.help.2", "own.more.2")) or name.startswith(("gates.help", "gates.more")))
            or name.startswith(("gates.help.0", "gates.more.0"))
        ),
    ),
    (
        "mtan",
        {"width": 5},
        TRUNK + T * attention(5),
        lambda name: not name.startswith(("attention.help", "attention.more")),
    ),
    (
        "adapters",
        {"rank": 2},
        TRUNK + T * RANK_2,
        lambda name: not name.startswith(("deltas.help", "deltas.more")),
    ),
    (
        "adapters",
        {"rank": 2, "frozen": True},
        TRUNK + T * RANK_2,
        lambda name: name.startswith("deltas.main"),
    ),
    (
        "adapters",
        {"rank": 2, "main": False},
        TRUNK + (T - 1) * RANK_2,
        lambda name: name.startswith("trunk."),
    ),
]


class Tiny(StagedTrunk):
    """(1, 6, 6) → first (3, 4, 4) → second = map (4, 2, 2) → pooled (4,)."""

    def __init__(self, inputs: Shapes) -> None:
        super().__init__()
        (self.input,) = inputs
        self.first = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh())
        self.second = nn.Sequential(nn.Conv2d(3, WIDTH, 3), nn.Tanh())
        self.inputs_seen = 0

    def stages(self) -> dict[str, tuple[str, ...]]:
        return {"first": ("first",), "second": ("second",)}

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        self.inputs_seen += 1
        return inputs[self.input]

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"map": outputs["second"], "pooled": outputs["second"].mean((2, 3))}


class Unstaged(Trunk):
    """One linear layer, which runs in one piece."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(36, width)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"pooled": self.linear(inputs["image"].flatten(1))}


def make_trunk() -> Trunk:
    """Return the trunk; all start from the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Tiny(INPUTS)


def shared(
    scheme: str, options: Mapping[str, Any] | None = None, features: Mapping[str, str] = FEATURES, **given: Any
) -> Sharing:
    """Return a scheme over tiny trunks."""
    torch.manual_seed(1)
    given = {"make_trunk": make_trunk, "inputs": INPUTS, "features": features, **given}
    return sharings.build(scheme, options or {}, **given)


def images(count: int = 3, seed: int = 2) -> dict[str, Tensor]:
    """Return a batch."""
    return {"image": torch.randn(count, *INPUTS["image"], generator=torch.Generator().manual_seed(seed))}


def disturbed(sharing: Sharing) -> Sharing:
    """Return it with other weights in every parameter, as after some training."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in sharing.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return sharing
