"""What balancing costs beside one plain backward pass of the summed losses.

    python benchmarks/balancing.py [--trunk mlp|NAME] [--tasks 2 8 40] [--methods mgda upgrad …] [--rounds 30]
        [--level parameter] [--save]

prints one line of JSON for each number of tasks. A step is forward, losses and backward pass, without the optimizer:
the plain one of the summed losses, the others with the weights of a balancer, and torchjd's of the same
representation (``torchjd_*``, with the methods that both have; it needs its extra ``quadprog_projector``). All go by
one model and one batch, rounds alternating, one thread; the ratios are medians of the pairs' CPU time. The trunk
``mlp`` has four layers of 512 units and batches of 256; any other name is a timm model on images of 64 × 64 in
batches of 32. Tasks have two classes and fused linear heads.

At the level of parameters there is ``passes`` too: the trunk's forward pass and its K backward passes, one task's after
the other's, whose gradients are thrown away. torchjd's Jacobian is then of the trunk's parameters.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

import torch
from machine import cpu_ms, save
from torch import Tensor, nn
from torchjd import aggregation
from torchjd.autojac import jac_to_grad, mtl_backward

from descant.balance import balancers
from descant.heads import LinearHead
from descant.loop.balancing import Balancing
from descant.loop.ranks import Ranks
from descant.loop.shared_gradients import SharedGradients
from descant.model import MultiTaskModel
from descant.recipe import BalanceSettings
from descant.schedules import Constant
from descant.sharing import sharings
from descant.trunks import build_trunk

METHODS = ("mgda", "upgrad", "nash_mtl", "pcgrad", "cagrad", "imtl_g", "aligned_mtl", "config", "fairgrad")
THEIRS = {"mgda": "MGDA", "upgrad": "UPGrad", "pcgrad": "PCGrad", "imtl_g": "IMTLG"}
CLASSES = 2


class Case:
    """A model of K tasks, and a batch for it."""

    def __init__(self, trunk: str, tasks: int) -> None:
        torch.manual_seed(0)
        shape, rows = ((512,), 256) if trunk == "mlp" else ((3, 64, 64), 32)
        options: dict[str, Any] = {"hidden": [512] * 4} if trunk == "mlp" else {}
        self.names = [str(number) for number in range(tasks)]
        sharing = sharings.build(
            "hard",
            {},
            make_trunk=lambda: build_trunk(trunk, options, {"x": shape}),
            features=dict.fromkeys(self.names, "pooled"),
            inputs={"x": shape},
        )
        heads: dict[str, nn.Module] = {name: LinearHead(sharing.shapes[name], (CLASSES,)) for name in self.names}
        groups = [self.names] if tasks > 1 else []
        self.model = MultiTaskModel(sharing, heads, dict.fromkeys(self.names, Constant(1.0)), groups)
        self.inputs = {"x": torch.randn(rows, *shape)}
        self.targets_BK = torch.randint(CLASSES, (rows, tasks))

    def losses(self, stacked: Tensor) -> Tensor:
        """Return the tasks' mean losses, (K,)."""
        losses = nn.functional.cross_entropy(stacked.flatten(0, 1), self.targets_BK.flatten(), reduction="none")
        return losses.reshape(self.targets_BK.shape).mean(0)

    def plain(self) -> None:
        """Take one backward pass of the summed losses."""
        torch.autograd.backward(self.losses(next(iter(self.model(self.inputs).stacked.values()))).sum())
        self.model.zero_grad()

    def passes(self) -> None:
        """Take each task's backward pass of the trunk by itself."""
        trunk = list(self.model.sharing.parameters())
        losses_K = self.losses(next(iter(self.model(self.inputs).stacked.values())))
        for loss in losses_K:
            torch.autograd.grad(loss, trunk, retain_graph=True)

    def balanced(self, method: str, level: str) -> Callable[[], None]:
        """Return a step with a balancer, as the engine takes it."""
        settings = BalanceSettings.parse({"name": method, "level": level})
        balancing = Balancing(balancers.build(method, {}, tasks=self.names), settings, 0, 0, Ranks())
        taught, parameters = list(range(len(self.names))), dict(self.model.sharing.named_parameters())

        def step() -> None:
            outputs = self.model(self.inputs, cut=True)
            means_K = self.losses(next(iter(outputs.stacked.values())))
            outputs.cut.expect_gradients()
            torch.autograd.backward(means_K.sum())
            if level == "parameter":
                shared = SharedGradients(parameters, self.names, Ranks(), keep=False)
                shared.add(outputs.cut)
                gramian_KK = shared.gramian()
            else:
                gramian_KK = outputs.cut.gramian(self.names)
            weights_K = balancing.weights(means_K.detach(), taught, 0, gramian_KK)
            outputs.cut.backward(dict(zip(self.names, weights_K.tolist(), strict=True)))
            self.model.zero_grad()

        return step

    def torchjd(self, method: str, level: str) -> Callable[[], None]:
        """Return torchjd's step: its Jacobian is of the features or parameters as well, its heads are single ones."""
        aggregator: Any = getattr(aggregation, THEIRS[method])
        made = aggregator()
        heads = nn.ModuleList(nn.Linear(self.model.sharing.shapes["0"][0], CLASSES) for _ in self.names)

        def step() -> None:
            feature = self.model.sharing(self.inputs, ["0"])["0"]
            own = feature if level == "parameter" else feature.detach().requires_grad_()
            shared = list(self.model.sharing.parameters()) if level == "parameter" else [own]
            losses = [
                nn.functional.cross_entropy(head(own), self.targets_BK[:, place]) for place, head in enumerate(heads)
            ]
            mtl_backward(losses, own, tasks_params=[list(head.parameters()) for head in heads], shared_params=shared)
            jac_to_grad(shared, made)
            if level == "representation":
                torch.autograd.backward(feature, own.grad)
            self.model.zero_grad()
            heads.zero_grad()

        return step


def measure(trunk: str, tasks: int, methods: list[str], rounds: int, level: str) -> dict[str, Any]:
    """Return the plain step's median in ms, and each other way's ratio to it."""
    case = Case(trunk, tasks)
    ways = {"plain": case.plain, **{method: case.balanced(method, level) for method in methods}}
    ways |= {f"torchjd_{method}": case.torchjd(method, level) for method in methods if method in THEIRS}
    if level == "parameter":
        ways["passes"] = case.passes
    times_ms: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, step in list(ways.items())[:: 1 if number % 2 else -1]:
            times_ms[name].append(cpu_ms(step))
    plain = times_ms.pop("plain")[2:]
    ratios = {
        name: round(statistics.median(a / b for a, b in zip(times[2:], plain, strict=True)), 3)
        for name, times in times_ms.items()
    }
    return {"trunk": trunk, "level": level, "tasks": tasks, "plain_ms": round(statistics.median(plain), 2), **ratios}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trunk", default="mlp")
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 8, 40])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--level", choices=["representation", "parameter"], default="representation")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for tasks in arguments.tasks:
        result = measure(arguments.trunk, tasks, arguments.methods, arguments.rounds, arguments.level)
        print(json.dumps(result), flush=True)
        if arguments.save:
            save(f"balancing_{arguments.trunk}_{arguments.level}_{tasks}", result)


if __name__ == "__main__":
    main()
