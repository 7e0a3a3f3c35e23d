"""Who may import whom: the engine knows neither tasks, nor recipes, nor the cluster, nor Ray."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE, TASKS, RECIPES, CLUSTER = (
    "platform/descant",
    "tasks/descant_tasks",
    "recipes/descant_recipes",
    "cluster/descant_cluster",
)
FORBIDDEN = {
    ENGINE: {"ray", "descant_tasks", "descant_recipes", "descant_cluster"},
    TASKS: {"ray", "descant_recipes", "descant_cluster"},
    RECIPES: {"ray", "descant", "descant_tasks", "descant_cluster"},
    CLUSTER: {"descant_tasks", "descant_recipes"},
}
IMPORTERS = {"import_module", "__import__", "find_spec"}


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of every import in a module, also of those within functions and by a constant name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
            if called in IMPORTERS and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def violations(repository: Path) -> list[str]:
    """Return what breaks the layering of the four source roots, one line each."""
    found = []
    for package, forbidden in FORBIDDEN.items():
        root = repository / package
        if (root.parent / "__init__.py").exists():
            found.append(f"{root.parent.name}/__init__.py makes a package of a source root")
        for file in sorted(root.rglob("*.py")):
            place = file.relative_to(repository).as_posix()
            for line, module in imported(ast.parse(file.read_text(encoding="utf-8"))):
                if module.split(".")[0] in forbidden:
                    found.append(f"{place}:{line} imports {module}")
    for file in sorted((repository / RECIPES).rglob("*.py")):
        if any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text(encoding="utf-8")).body):
            found.append(f"{file.relative_to(repository).as_posix()} holds logic: recipes are YAML")
    return found


def engine_uses(repository: Path) -> dict[str, set[str]]:
    """Return, for each package or module right under the engine, those of the engine that it imports."""
    root = repository / ENGINE
    uses: dict[str, set[str]] = {}
    for file in root.rglob("*.py"):
        own = file.relative_to(root).with_suffix("").parts[0]
        modules = (module.split(".") for _, module in imported(ast.parse(file.read_text(encoding="utf-8"))))
        uses.setdefault(own, set()).update(
            parts[1] for parts in modules if parts[0] == "descant" and len(parts) > 1 and parts[1] != own
        )
    return uses


def test_the_repository_keeps_its_layers() -> None:
    assert all((REPOSITORY / package).is_dir() for package in FORBIDDEN)
    assert violations(REPOSITORY) == []


def test_no_two_packages_of_the_engine_need_each_other() -> None:
    uses = engine_uses(REPOSITORY)
    assert "errors" in uses["data"] and "data" in uses["loop"]
    TopologicalSorter(uses).prepare()


def test_a_circle_of_packages_is_found(tmp_path: Path) -> None:
    for name, text in {"a/x.py": "from descant.b import y", "b/y.py": "def f():\n    import descant.a.x"}.items():
        (tmp_path / ENGINE / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ENGINE / name).write_text(text, encoding="utf-8")
    with pytest.raises(CycleError):
        TopologicalSorter(engine_uses(tmp_path)).prepare()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("platform/__init__.py", "", "platform/__init__.py makes a package"),
        ("cluster/__init__.py", "", "cluster/__init__.py makes a package"),
        (f"{ENGINE}/loop/x.py", "import ray.train", "x.py:1 imports ray.train"),
        (f"{ENGINE}/x.py", "def f():\n    from ray import tune", "x.py:2 imports ray"),
        (f"{ENGINE}/x.py", "from descant_tasks.genre import Genre", "imports descant_tasks.genre"),
        (f"{ENGINE}/x.py", "import os, descant_recipes", "imports descant_recipes"),
        (f"{ENGINE}/x.py", "import importlib\nimportlib.import_module('descant_cluster.runner')", "x.py:2"),
        (f"{TASKS}/x.py", "import descant_cluster", "imports descant_cluster"),
        (f"{TASKS}/x.py", "import ray", "imports ray"),
        (f"{CLUSTER}/x.py", "import descant_tasks", "imports descant_tasks"),
        (f"{RECIPES}/__init__.py", "LAYERS = 2", "holds logic"),
    ],
)
def test_each_breach_is_found(tmp_path: Path, file: str, text: str, said: str) -> None:
    clean = {
        f"{ENGINE}/run.py": "import torch\nfrom descant import tasks\nimport rayleigh",
        f"{TASKS}/genre.py": "from descant import Classification",
        f"{RECIPES}/__init__.py": '"""Recipes."""',
        f"{CLUSTER}/runner.py": "import ray\nfrom descant.errors import RunError",
    }
    for name, content in clean.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert violations(tmp_path) == []
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8")
    (breach,) = violations(tmp_path)
    assert said in breach
