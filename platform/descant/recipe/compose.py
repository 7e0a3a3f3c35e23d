"""From a recipe's name or path and ``key=value`` overrides to plain dicts, by Hydra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from descant.errors import UserError, nearest

_COMPONENTS = ("trunk", "sharing", "balance")


def recipe_modules() -> list[str]:
    """Return the packages that ship recipes: the entry-point group ``descant.recipes``."""
    return sorted({entry.value for entry in entry_points(group="descant.recipes")})


def shipped_recipes() -> dict[str, str]:
    """Return the first comment line of every shipped recipe, by name."""
    found: dict[str, str] = {}
    for module in recipe_modules():
        for file in sorted(files(module).iterdir(), key=lambda item: item.name):
            if file.name.endswith(".yaml"):
                first = file.read_text().splitlines()[0]
                found[file.name.removesuffix(".yaml")] = first.lstrip("# ").rstrip()
    return dict(sorted(found.items()))


def compose(recipe: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return a recipe as plain dicts, its overrides applied and its ``${…}`` resolved.

    ``trunk=NAME`` (likewise sharing and balance) puts another component in the place of the recipe's, and
    ``run=inline`` or ``run=ray`` sets the runner. Any other key is set where it stands; a new task may be added.

    Raises:
        UserError: an unknown recipe, a file that is not YAML, or an override that is not ``key=value``.
    """
    plain = _load(recipe)
    for override in overrides:
        key, value = parse_override(override)
        _set(plain, key, value)
    return _resolved(recipe, plain)


def parse_override(override: str) -> tuple[str, Any]:
    """Return (key, value) of ``key=value``; the value is YAML-like: numbers, true, null, [lists], {mappings}."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, sign, text = override.partition("=")
    key = key.strip().lstrip("+")
    if not sign or not key or any(not part for part in key.split(".")):
        raise UserError(f"{override!r} is not an override: write key=value, such as trainer.epochs=3")
    try:
        parsed = OverridesParser.create().parse_override(f"{key}={text}")
        value = text if parsed.is_sweep_override() else parsed.value()
    except HydraException:
        value = text
    return key, _plain(value)


def _load(recipe: str) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    search = ",".join(f"pkg://{module}" for module in recipe_modules())
    try:
        with _hydra(recipe) as name:
            config = hydra_compose(name, overrides=[f"hydra.searchpath=[{search}]"])
            container = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"the recipe {recipe!r} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(container, dict):
        raise UserError(f"the recipe {recipe!r} holds {type(container).__name__}: write a mapping of keys")
    plain = {str(key): value for key, value in container.items()}
    if isinstance(plain.get("run"), str):
        plain["run"] = {"runner": plain["run"]}
    return {**plain, "name": _own_name(recipe)}


def _own_name(recipe: str) -> str:
    """Return the name that a recipe's own file gives, not one it starts from, or the file's name."""
    if not _is_path(recipe):
        return recipe
    from omegaconf import OmegaConf

    own = OmegaConf.to_container(OmegaConf.load(recipe))
    return str((own.get("name") if isinstance(own, dict) else None) or Path(recipe).stem)


def _resolved(recipe: str, plain: dict[str, Any]) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        container = OmegaConf.to_container(OmegaConf.create(plain), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the recipe {recipe!r} cannot be resolved: {' '.join(str(error).split())}") from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


@contextmanager
def _hydra(recipe: str) -> Iterator[str]:
    from hydra import initialize_config_dir, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    if _is_path(recipe):
        path = Path(recipe).resolve()
        if not path.is_file():
            raise UserError(f"there is no recipe file {recipe!r}: {nearest(Path(recipe).stem, shipped_recipes())}")
        start: AbstractContextManager[None] = initialize_config_dir(str(path.parent), version_base=None)
        name = path.name
    else:
        if recipe not in shipped_recipes():
            raise UserError(f"there is no recipe {recipe!r}: {nearest(recipe, shipped_recipes())}")
        module = next(m for m in recipe_modules() if files(m).joinpath(f"{recipe}.yaml").is_file())
        start = initialize_config_module(module, version_base=None)
        name = recipe
    with start:
        yield name


def _is_path(recipe: str) -> bool:
    return recipe.endswith((".yaml", ".yml")) or "/" in recipe


def _set(plain: dict[str, Any], key: str, value: Any) -> None:
    """Set ``key`` (dotted) in ``plain``; a component's or the runner's short form is spelled out."""
    if key in _COMPONENTS and isinstance(value, str):
        current = plain.get(key)
        if isinstance(current, Mapping) and current.get("name") == value:
            return
        plain[key] = {"name": value}
        return
    if key == "run" and isinstance(value, str):
        key, value = "run.runner", value
    *parents, last = key.split(".")
    node = plain
    for parent in parents:
        inner = node.get(parent)
        if isinstance(inner, str) and parent in _COMPONENTS:
            inner = {"name": inner}
        if not isinstance(inner, dict):
            inner = {}
        node[parent] = inner
        node = inner
    node[last] = value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value.text if hasattr(value, "text") else value)
