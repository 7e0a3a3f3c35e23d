"""For every sharing scheme: the program gives the main path's very numbers, and holds that path's tensors alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pytest
import torch

from descant import Classification
from descant.data.description import Field
from descant.export.program import Program, trace
from descant.inputs import Front
from descant.model import MultiTaskModel
from descant.schedules import Constant
from descant.sharing import sharings
from sharing_case import CASES, FEATURES, INPUTS, TRUNK, WIDTH, Options, T, attention, disturbed, expert, images, shared

CLASSES = ("a", "b", "c")
FIRST = 9 * 3 + 3  # of the trunk's first stage
RUNNING = 2 * (5 + 3 + 5 + 4 + 4)  # means and variances of the norms of one task's attention

# How many numbers the main task's path has, case by case of CASES.
NUMBERS = [
    TRUNK,
    TRUNK,
    TRUNK,
    T * TRUNK + T * T + T,  # all of the first unit, of the last one the main task's row
    T * TRUNK + T * T * 3 + T * WIDTH,
    TRUNK + (T - 1) * FIRST + T,  # the other trunks end at the only unit
    TRUNK + 3 * expert(WIDTH, 5, 2) + 3 * WIDTH,
    TRUNK + 3 * expert(WIDTH, 5) + 3 * WIDTH,
    # All of the first two levels but the others' gates of the second, and of the last the main task's.
    TRUNK
    + (1 + 2 * T) * (expert(WIDTH, 5) + expert(5, 5))
    + 3 * expert(5, 5)
    + T * 3 * WIDTH
    + 2 * 3 * 5
    + (2 * T + 1) * (WIDTH + 5),
    TRUNK + attention(5) + RUNNING,
    TRUNK,  # the deltas are in the weights that they change
    TRUNK,
    TRUNK,
]
EVERY = pytest.mark.parametrize(
    ("scheme", "options", "numbers"), [(*case[:2], count) for case, count in zip(CASES, NUMBERS, strict=True)]
)


def task(name: str) -> Classification:
    """A task of three classes."""
    kind = type(name, (Classification,), {"label": "kind"})
    made = kind(name, {"kind": Field("class", classes=CLASSES)}, INPUTS)
    assert isinstance(made, Classification)
    return made


def program(scheme: str, options: Options, tasks: Sequence[str], groups: Sequence[Sequence[str]] = ()) -> Program:
    """The program of some tasks of a model of three, none of whose weights is at its start."""
    sharing = disturbed(shared(scheme, options))
    for name, buffer in sharing.named_buffers():
        if "running" in name:
            buffer += torch.rand(buffer.shape, generator=torch.Generator().manual_seed(4))
    made = {name: task(name) for name in FEATURES}
    heads = {name: one.head(sharing.shapes[name]) for name, one in made.items()}
    model = MultiTaskModel(sharing, heads, dict.fromkeys(made, Constant(1.0)), groups)
    return Program(model.eval(), {name: made[name] for name in tasks}, {"image": Front(INPUTS["image"])})


def saved_and_loaded(traced: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    buffer = io.BytesIO()
    torch.export.save(traced, buffer)
    return torch.export.load(io.BytesIO(buffer.getvalue()))


def right(made: Program, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return {name: made.tasks[name].predict(out) for name, out in made.model(given, list(made.tasks)).items()}


def test_every_scheme_is_here() -> None:
    assert {scheme for scheme, *_ in CASES} == set(sharings.names())


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch's, of its own reading
@EVERY
def test_the_main_path_alone_bit_for_bit(scheme: str, options: Options, numbers: int) -> None:
    made = program(scheme, options, ["main"])
    again = saved_and_loaded(trace(made))
    head = len(CLASSES) * (made.model.sharing.shapes["main"][0] + 1)
    assert sum(tensor.numel() for tensor in again.state_dict.values()) == numbers + head
    assert not again.constants
    read = {node.name for node in again.graph.nodes if node.users}
    signature = again.graph_signature
    named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    assert set(named) <= read and set(named.values()) == set(again.state_dict), "each tensor is read"
    for batch in (1, 2, 5, 64):
        found, answers = again.module()(images(batch)), right(made, images(batch))
        assert set(found) == {"main"} and torch.equal(found["main"], answers["main"])


@pytest.mark.parametrize(("scheme", "options"), [case[:2] for case in CASES if case[0] in ("soft", "ple", "adapters")])
def test_other_tasks_can_be_asked_for(scheme: str, options: Options) -> None:
    made = program(scheme, options, ["more", "main"])
    again = trace(made).module()
    found, answers = again(images(3)), right(made, images(3))
    assert list(found) == ["more", "main"]
    assert all(torch.equal(found[name], answers[name]) for name in answers)


def test_of_fused_heads_the_rows_that_are_asked_for_stay() -> None:
    made = program("hard", {}, ["main", "more"], groups=[list(FEATURES)])
    traced = trace(made)
    assert sum(tensor.numel() for tensor in traced.state_dict.values()) == TRUNK + 2 * len(CLASSES) * (WIDTH + 1)
    found, answers = traced.module()(images(3)), right(made, images(3))
    assert all(torch.equal(found[name], answers[name]) for name in answers)


def test_the_model_stays_as_it_was() -> None:
    sharing = shared("hard")
    model = MultiTaskModel(sharing, {"main": task("main").head((WIDTH,))}, {"main": Constant(1.0)}).train()
    trace(Program(model, {"main": task("main")}, {"image": Front(INPUTS["image"])}))
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
