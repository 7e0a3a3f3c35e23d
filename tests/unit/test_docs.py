"""The documentation against the program: every key with its default, every link, every command line."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from descant.callbacks import callbacks
from descant.cli.formats import FORMATS
from descant.cli.main import _parse, main
from descant.demo import make_music
from descant.heads import heads
from descant.inputs import inputs
from descant.pack.fma import pack_fma
from descant.recipe import RunSettings, TaskSettings, TrainerSettings, parse_override
from descant.recipe.recipe import KEYS
from descant.recipe.task_settings import STOP_KEYS, StopSettings
from descant.registry import Registry, _constructor
from descant.schedules import schedules
from descant.sharing import sharings
from descant.stopping import rules
from descant.tasks import tasks
from descant.trunks import trunks

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
RECIPES = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
GIVEN_BY_ENGINE = {"name", "fields", "inputs", "field", "feature", "features", "shape", "make_trunk"}


def defaults() -> dict[str, Any]:
    """Return every key of a recipe and, where the program states one, its default."""
    known: dict[str, Any] = dict(KEYS)
    known |= {f"trainer.{field.name}": field.default for field in dataclasses.fields(TrainerSettings)}
    known |= {f"run.{key}": value for key, value in RunSettings().plain.items()}
    known |= {"optimizer.name": "adam", "optimizer.lr": 1e-3}
    task = {field.name for field in dataclasses.fields(TaskSettings)} - {"options"}
    return known | {f"tasks.NAME.{key}": ... for key in task}


def table_rows(text: str) -> dict[str, str]:
    """Return the second cell of each table row whose first one is a key."""
    return dict(re.findall(r"^\| `([a-zA-Z_.]+)` \| ([^|]*?) \|", text, flags=re.MULTILINE))


def fenced(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for marked, block in blocks if marked == language]


def commands(page: Path) -> list[str]:
    """Return the descant command lines of a page's plain blocks."""
    lines = "\n".join(fenced(page.read_text(encoding="utf-8"), "")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("descant ")]


ALL_COMMANDS = [pytest.param(line, id=f"{page.name}: {line}") for page in PAGES for line in commands(page)]


@pytest.mark.parametrize("key", sorted(defaults()))
def test_each_key_of_a_recipe_is_documented_with_its_default(key: str) -> None:
    rows, default = table_rows(RECIPES), defaults()[key]
    assert key in rows, f"docs/recipes.md says nothing of {key}"
    if key not in ("name", "data") and default is not ...:
        stated = rows[key].strip("`")
        assert stated == str(default) or json.loads(stated) == default, f"the default of {key} is {default!r}"


def test_no_key_is_documented_that_does_not_exist() -> None:
    dotted = {key for key in table_rows(RECIPES) if key.startswith(("trainer.", "run.", "optimizer."))}
    assert dotted <= set(defaults())


@pytest.mark.parametrize(
    "registry", [inputs, trunks, schedules, heads, rules, sharings, callbacks], ids=lambda registry: registry.kind
)
def test_each_component_is_documented_with_its_options(registry: Registry[Any]) -> None:
    shipped = [(name, cls) for name, cls in registry.items() if cls.__module__.startswith("descant.")]
    assert shipped
    for name, cls in shipped:
        assert f"`{name}`" in RECIPES, f"docs/recipes.md says nothing of the {registry.kind} {name!r}"
        for option in set(_constructor(cls)[0]) - GIVEN_BY_ENGINE:
            assert f"`{option}`" in RECIPES, f"docs/recipes.md says nothing of the option {option!r} of {name!r}"


def test_each_kind_of_task_is_documented_with_its_losses_and_metrics() -> None:
    kinds = {base for _, cls in tasks.items() for base in cls.__mro__[1:2]}
    for kind in kinds:
        (row,) = re.findall(rf"^\| `{kind.__name__}` \|.*$", RECIPES, flags=re.MULTILINE)
        assert all(f"`{name}`" in row for name in [*kind.losses, *kind.metric_makers])
        for option in set(_constructor(kind)[0]) - GIVEN_BY_ENGINE - {"loss", "metrics"}:
            assert f"`{option}`" in RECIPES, f"docs/recipes.md says nothing of the option {option!r} of {kind.__name__}"


def test_each_key_of_a_stop_is_documented_with_its_default() -> None:
    rows, known = table_rows(RECIPES), {field.name: field.default for field in dataclasses.fields(StopSettings)}
    assert set(STOP_KEYS) == set(known)
    for key in set(known) - {"rule"}:
        stated = rows[key].strip("`")
        assert stated == str(known[key]) or json.loads(stated) == known[key], f"the default of stop.{key}"


@pytest.mark.parametrize("layout", FORMATS)
def test_each_option_of_pack_is_documented_with_its_default(layout: str) -> None:
    text = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `--([a-z-]+)` \| ([^|]*?) \|", text, flags=re.MULTILINE))
    given = vars(_parse(["pack", layout, "SOURCE", "OUT"]))
    for name in set(given) - {"source", "out", "action", "main", "debug"}:
        option, default = name.replace("_", "-"), given[name]
        assert option in rows, f"docs/data.md says nothing of --{option}"
        if default not in (None, False):
            assert rows[option].strip("`") == str(default), f"the default of --{option} is {default!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_has_commands() -> None:
    assert len(commands(REPOSITORY / "README.md")) >= 10


@pytest.mark.parametrize("line", ALL_COMMANDS)
def test_each_command_line_is_understood(line: str) -> None:
    given = vars(_parse(shlex.split(line, comments=True)[1:]))
    for override in given.get("overrides", []):
        key, _ = parse_override(override)
        top = key.split(".")[0]
        assert top in KEYS or top == "split", f"{line!r} sets {key}, which no recipe has"


def test_each_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^|`)make ([a-z]+)(?:`|$)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(named) <= targets


def test_python_examples_compile_and_import_what_is_there() -> None:
    import descant

    for page in PAGES:
        for block in fenced(page.read_text(encoding="utf-8"), "python"):
            compile(block, page.name, "exec")
            for names in re.findall(r"^from descant import (.*)$", block, flags=re.MULTILINE):
                assert {name.strip() for name in names.split(",")} <= set(descant.__all__)


def test_yaml_examples_are_recipes() -> None:
    from omegaconf import OmegaConf

    for page in PAGES:
        for block in fenced(page.read_text(encoding="utf-8"), "yaml"):
            assert set(OmegaConf.create(block)) <= {*KEYS, "defaults"}


def test_the_readmes_task_and_recipe_train_on_the_demo_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (task,) = [block for block in fenced(readme, "python") if "@register_task" in block]
    (recipe,) = [block for block in fenced(readme, "yaml") if "plugins: [my_tasks.py]" in block]
    monkeypatch.chdir(tmp_path)
    Path("my_tasks.py").write_text(task)
    Path("my_recipe.yaml").write_text(recipe)
    make_music(Path("raw"), tracks=32, seconds=6.0, jobs=1)
    pack_fma(Path("raw"), Path("data/demo/music"), mels=True, jobs=1)
    assert main(["tasks", "plugins=[my_tasks.py]"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    small = ["trainer.epochs=1", "trainer.batch_size=8", "inputs.mel.crop_frames=32", "trunk.hidden=[8]"]
    assert main(["train", "my_recipe.yaml", "run=inline", "trainer.loader_workers=0", *small]) == 0
    learnt = json.loads(Path("runs/my_recipe/summary.json").read_text())["tasks"]
    (own,) = re.findall(r'@register_task\("(.*)"\)', task)
    assert own in learnt and own in listed
