"""What holds for every sharing scheme: gradients, parameters, shapes, saving, and that tasks cost what they use."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from descant.sharing import sharings
from sharing_case import CASES, FEATURES, INPUTS, WIDTH, Options, Reaches, T, disturbed, images, make_trunk, shared

EVERY = pytest.mark.parametrize(("scheme", "options"), [case[:2] for case in CASES])


def test_every_scheme_is_here() -> None:
    assert {scheme for scheme, *_ in CASES} == set(sharings.names())


@EVERY
def test_shapes_are_those_promised(scheme: str, options: Options) -> None:
    sharing = shared(scheme, options)
    assert list(sharing.shapes) == list(FEATURES)
    for tasks in (list(FEATURES), ["help"], ["more", "main"]):
        features = sharing(images(), tasks)
        assert set(features) == set(tasks)
        for task, feature in features.items():
            assert feature.shape == (3, *sharing.shapes[task])


@pytest.mark.parametrize(("scheme", "options", "count", "reaches"), CASES)
def test_parameters_are_those_of_the_formula(scheme: str, options: Options, count: int, reaches: Reaches) -> None:
    assert sum(parameter.numel() for parameter in shared(scheme, options).parameters()) == count


@pytest.mark.parametrize(("scheme", "options", "count", "reaches"), CASES)
def test_the_main_loss_reaches_what_it_should(scheme: str, options: Options, count: int, reaches: Reaches) -> None:
    sharing = disturbed(shared(scheme, options))
    sharing(images(), list(FEATURES))["main"].square().sum().backward()
    reached = {name for name, parameter in sharing.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in sharing.named_parameters() if reaches(name)}
    assert all(
        float(p.grad.abs().max()) > 0 for n, p in sharing.named_parameters() if p.grad is not None and "gate" not in n
    )


@EVERY
def test_gradients_are_right(scheme: str, options: Options) -> None:
    sharing = disturbed(shared(scheme, options)).double().eval()
    sharing.requires_grad_(True)
    image = images(2)["image"].double()
    names, values = zip(
        *((name, p.detach().clone().requires_grad_()) for name, p in sharing.named_parameters()), strict=True
    )

    def features(*parameters: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, parameters, strict=True))
        return tuple(functional_call(sharing, given, ({"image": image}, list(FEATURES))).values())

    assert torch.autograd.gradcheck(features, values, fast_mode=True)


@EVERY
def test_saved_and_loaded_it_gives_the_same(scheme: str, options: Options) -> None:
    sharing, again = disturbed(shared(scheme, options)).eval(), shared(scheme, options).eval()
    buffer = io.BytesIO()
    torch.save(sharing.state_dict(), buffer)
    buffer.seek(0)
    again.load_state_dict(torch.load(buffer))
    for other in (again, copy.deepcopy(sharing)):
        before, after = sharing(images(), FEATURES), other(images(), FEATURES)
        assert all(torch.equal(before[task], after[task]) for task in FEATURES)


@EVERY
def test_in_training_it_can_be_copied_and_pickled(scheme: str, options: Options) -> None:
    sharing = shared(scheme, options)
    sharing(images(), FEATURES)
    copy.deepcopy(sharing)
    pickle.loads(pickle.dumps(sharing))


@EVERY
def test_a_task_alone_is_what_it_is_among_all(scheme: str, options: Options) -> None:
    sharing = disturbed(shared(scheme, options)).eval()
    among_all = sharing(images(7), FEATURES)
    for task in FEATURES:
        assert torch.equal(sharing(images(7), [task])[task], among_all[task])


@EVERY
def test_own_trunks_start_as_a_run_of_one_task(scheme: str, options: Options) -> None:
    alone = make_trunk()
    start = alone.state_dict()
    for name, value in shared(scheme, options).state_dict().items():
        owner, _, rest = name.partition(".")
        if owner == "trunks":
            rest = rest.partition(".")[2]
        if owner in ("trunk", "trunks"):
            assert torch.equal(value, start[rest]), name
    if scheme in ("soft", "adapters", "hard", "cross_stitch"):  # equal trunks mix to themselves
        sharing = shared(scheme, options).eval()
        for feature in sharing(images(), FEATURES).values():
            torch.testing.assert_close(feature, alone(images())["pooled"])


@EVERY
def test_the_mains_start_does_not_know_of_later_tasks(scheme: str, options: Options) -> None:
    def start(features: Mapping[str, str]) -> dict[str, Tensor]:
        state = shared(scheme, options, features).state_dict()
        return {name: value for name, value in state.items() if "shared_gates" not in name and "alphas" not in name}

    few, many = start({"main": "pooled"}), start(FEATURES)
    assert all(torch.equal(value, many[name]) for name, value in few.items())


@EVERY
def test_what_serves_other_tasks_alone_is_not_computed(scheme: str, options: Options) -> None:
    sharing, called = shared(scheme, options).eval(), set()

    def note(name: str) -> Callable[..., None]:
        return lambda *given: called.add(name)

    for name, module in sharing.named_modules():
        module.register_forward_hook(note(name))
    sharing(images(), ["main"])
    others = {name for name in called if ".help" in name or ".more" in name}
    if scheme == "cross_stitch":
        assert all(name.split(".")[-1] in ("first", "second", "0", "1") for name in others)
        assert options.get("after") != ["first"] or not any("second" in name for name in others)
    elif scheme == "ple":  # the shared gate reads all tasks' experts but those of the last level
        assert others and not any(name.startswith(("own.help.2", "own.more.2", "gates.help.2")) for name in others)
        assert not any(name.startswith("gates.help.1") for name in others)
    else:
        assert not others


@pytest.mark.parametrize(
    ("scheme", "options", "passes"),
    [
        ("hard", {}, 1),
        ("soft", {}, 1),
        ("cross_stitch", {}, 1),
        ("mmoe", {}, 1),
        ("ple", {}, 1),
        ("cgc", {}, 1),
        ("mtan", {}, 1),
        ("adapters", {}, T),
        ("adapters", {"main": False}, T),
    ],
)
def test_no_trunk_runs_more_often_than_it_must(scheme: str, options: Options, passes: int) -> None:
    sharing = shared(scheme, options)
    trunks: list[Any] = [module for module in sharing.modules() if hasattr(module, "inputs_seen")]
    before = [trunk.inputs_seen for trunk in trunks]
    sharing(images(), FEATURES)
    assert [trunk.inputs_seen - seen for trunk, seen in zip(trunks, before, strict=True)] == [passes] * len(trunks)


@EVERY
def test_training_moves_all_that_it_should(scheme: str, options: Options) -> None:
    sharing = shared(scheme, options)
    heads = nn.ModuleDict({task: nn.Linear(sharing.shapes[task][0], 1) for task in FEATURES})
    parameters = [*sharing.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], 0.01)
    losses = []
    for _ in range(30):
        features = sharing(images(8), FEATURES)
        loss = sum((heads[task](feature) - 1.0).square().mean() for task, feature in features.items())
        assert isinstance(loss, Tensor)
        coupling = sharing.coupling(list(FEATURES))
        total = loss if coupling.weights is None else loss + coupling.weights
        total = total if coupling.rows_B is None else total + coupling.rows_B.mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_inputs_of_the_case_are_those_of_its_trunk() -> None:
    assert make_trunk().feature_shapes(INPUTS) == {"map": (WIDTH, 2, 2), "pooled": (WIDTH,)}
