"""What ``descant new task`` writes: which kind of task, which recipe it starts from, and the texts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from descant.data.description import Field
from descant.errors import UserError, nearest

DEMO = "demo"
DEMO_FIELDS = {
    "mel": Field("array", "npy", rate_hz=16_000),
    "genre": Field("class", classes=("Ambient", "Blues", "Electronic", "Etude")),
}
"""What the demo's recipe reads; its classes are of no matter to a test."""
KINDS = {"class": "Classification", "number": "Regression", "points": "Landmarks"}
_ALONE = {  # by kind of input: how the trunk sees it, and a trunk for it
    "image": ("image", {"size": 64}, "resnet10t"),
    "audio": ("mel", {"crop_frames": 256}, "bilstm"),
    "array": ("array", {}, "mlp"),
}
_NAMES = 8  # classes that a test makes up samples of


@dataclass(frozen=True)
class NewTask:
    """The texts of a task's files.

    Attributes:
        module, test, recipe: what goes into NAME.py, test_NAME.py and NAME.yaml.
        said: what the task is, in words.
        is_auxiliary: whether the recipe has a main task beside it.
        weight: the default of its kind.
    """

    module: str
    test: str
    recipe: str
    said: str
    is_auxiliary: bool
    weight: float


@dataclass(frozen=True)
class _Start:
    """The recipe that the new one starts from, as far as it matters; without a base the new one stands alone."""

    base: str | None
    inputs: Mapping[str, Any]
    trunk: str | None
    reads: frozenset[str]


def design(name: str, data: str | None, label: str | None) -> NewTask:
    """Return the files of a task ``name`` that learns ``label`` of the data set ``data``.

    Raises:
        UserError: there is no such data set or label, or no input that a trunk can take.
    """
    from descant import tasks

    fields = DEMO_FIELDS if data is None else _fields(data)
    start = _start(data, fields)
    flat = start.trunk == "mlp"  # it gives neither a map nor a sequence
    kind = _kind(label, fields, flat)
    role = "auxiliary" if start.base else "main"
    options = {"role": role, **({"head": "linear", "feature": "pooled"} if flat and label is None else {})}
    kept = {key: field for key, field in fields.items() if key in start.reads or key == label}
    what = f"the label {label!r}" if label is not None else "the input itself, without labels"
    beside = f"beside the recipe {start.base!r}" if start.base else "alone"
    return NewTask(
        _module(name, kind, label),
        _test(name, kept),
        _recipe(name, data, start, options),
        f"a {kind} of {what}, {role} {beside}",
        start.base is not None,
        getattr(tasks, kind).default_weight,
    )


def _fields(data: str) -> dict[str, Field]:
    from descant.data.sources import DataSets
    from descant.recipe import DataSettings

    return dict(DataSets.open(DataSettings.parse(data)).description.fields)


def _kind(label: str | None, fields: Mapping[str, Field], flat: bool) -> str:
    """Return the name of the kind of task that a label asks for; without one, of one that needs none."""
    if label is None:
        return "Reconstruction" if flat else "MaskedReconstruction"
    labels = [name for name, field in fields.items() if field.is_label]
    if label not in labels:
        raise UserError(f"the data set has no label {label!r}: {nearest(label, labels)}")
    if fields[label].kind == "points" and (fields[label].shape or (0,))[0] < 2:
        raise UserError(f"{label!r} is one point, and errors of landmarks are over the distance of two: give another")
    return KINDS[fields[label].kind]


def _start(data: str | None, fields: Mapping[str, Field]) -> _Start:
    """Return the shipped recipe that reads such fields: of the same data if there is one, else the smallest."""
    from descant.recipe import shipped_recipes
    from descant.recipe.compose import compose
    from descant.tasks import tasks

    fitting = []
    for name in [DEMO] if data is None else shipped_recipes():
        plain = compose(name)
        reads = _reads(plain, fields)
        if reads is not None:
            main = next(task for task, options in plain["tasks"].items() if options.get("role") == "main")
            order = (plain["data"] != data, len(plain["tasks"]), tasks.get(main).label is None, name)
            fitting.append((order, _Start(name, plain["inputs"], None, reads)))
    return min(fitting, key=lambda one: one[0])[1] if fitting else _alone(fields)


def _reads(plain: Mapping[str, Any], fields: Mapping[str, Field]) -> frozenset[str] | None:
    """Return the fields that a recipe's inputs and tasks read, None where they cannot."""
    from descant.inputs import inputs
    from descant.recipe.task_settings import TaskSettings
    from descant.tasks import tasks

    try:
        made = {
            name: inputs.build(given.get("kind", name), _without(given, "kind"), name=name, fields=fields)
            for name, given in plain["inputs"].items()
        }
        shapes = {name: input.shape for name, input in made.items()}
        bound = [
            tasks.build(name, TaskSettings.parse(name, options).options, name=name, fields=fields, inputs=shapes)
            for name, options in plain["tasks"].items()
        ]
    except UserError:
        return None
    labels = [label for task in bound for label in getattr(task, "sources", (task.label,)) if label is not None]
    return frozenset([*(input.field_name for input in made.values()), *labels])


def _alone(fields: Mapping[str, Field]) -> _Start:
    """Return how to start without a shipped recipe, from what the data set's first input is."""
    for name, field in fields.items():
        if field.kind in _ALONE and (field.kind != "array" or field.shape or field.rate_hz):
            kind = "audio" if field.kind == "array" and field.rate_hz else field.kind
            input, options, trunk = _ALONE[kind]
            several = sum(other.kind == field.kind for other in fields.values()) > 1
            given = {**options, **({"field": name} if several else {})}
            return _Start(None, {input: given}, trunk, frozenset([name]))
    have = ", ".join(f"{name} ({field.kind})" for name, field in fields.items())
    raise UserError(f"the data set holds no audio, image or array of a known shape, but {have or 'nothing'}")


def _without(options: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != key}


def _module(name: str, kind: str, label: str | None) -> str:
    title = "".join(part.capitalize() for part in name.split("_"))
    if not title.isidentifier() or title == kind:
        title = f"Own{title}"
    shown = (label or "the input").replace("\\", "/").replace('"', "'")
    reads = [] if label is None else [f"label = {_literal(label)}"]
    if kind == "Landmarks":
        reads.append("eyes = (0, 1)  # the two points whose distance is the unit of errors")
    doc = {
        "Classification": f"Which {shown} a sample has.",
        "Regression": f"The {shown} of a sample.",
        "Landmarks": f"Where the {shown} of an image are.",
        "MaskedReconstruction": "Guess hidden parts of the input from the rest.",
        "Reconstruction": "Give the input back.",
    }[kind]
    body = "".join(f"    {line}\n" for line in reads)
    return (
        f'"""The task {name!r}: a {kind} of {shown}."""\n\n'
        f"from descant.tasks import {kind}, register_task\n\n\n"
        f'@register_task("{name}")\nclass {title}({kind}):\n    """{doc}"""\n' + (f"\n{body}" if body else "")
    )


def _test(name: str, fields: Mapping[str, Field]) -> str:
    rows = "".join(f"    {json.dumps(key)}: {_written(field)},\n" for key, field in fields.items())
    return f'''"""The task {name!r} trains two steps on made-up samples."""

from pathlib import Path

from descant import train
from descant.data.description import Field
from descant.demo.samples import make_samples

RECIPE = Path(__file__).with_name("{name}.yaml")
FIELDS = {{
{rows}}}


def test_{name}_trains(tmp_path: Path) -> None:
    data = make_samples(tmp_path / "data", FIELDS)
    small = ["run=inline", "trainer.steps=2", "trainer.batch_size=4", "trainer.loader_workers=0"]
    run = train(str(RECIPE), [f"data={{data}}", f"run.dir={{tmp_path}}", *small])
    assert run.status == "finished"
    assert 0 <= run.summary["tasks"]["{name}"]["best"]["loss"] < float("inf")
'''


def _written(field: Field) -> str:
    """Return a field as Python source, with some of its classes."""
    values = dataclasses.asdict(dataclasses.replace(field, classes=field.classes[:_NAMES]))
    shown = [f"{key}={_literal(values[key])}" for key in ("extension", "classes", "shape", "rate_hz") if values[key]]
    return f"Field({', '.join([_literal(field.kind), *shown])})"


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _recipe(name: str, data: str | None, start: _Start, options: Mapping[str, Any]) -> str:
    task = f"tasks:\n  {name}: {_flow(options)}\n"
    place = f"data: {json.dumps(data, ensure_ascii=False)}\n" if data is not None else ""
    if start.base is not None:
        title = f"# The recipe {start.base!r} with the auxiliary {name!r}\n"
        return f"{title}defaults: [{start.base}, _self_]\n{place}plugins: [{name}.py]\n{task}"
    inputs = "".join(f"  {key}: {_flow(value)}\n" for key, value in start.inputs.items())
    return f"# {name!r} alone\n{place}plugins: [{name}.py]\ninputs:\n{inputs}trunk: {start.trunk}\n{task}"


def _flow(options: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in options.items()) + "}"
