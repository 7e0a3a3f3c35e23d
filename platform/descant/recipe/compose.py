"""From a recipe's name or path and ``key=value`` overrides to plain dicts, by Hydra."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from descant.errors import UserError
from descant.recipe.files import is_path, lineage, read_own, recipe_file, recipe_modules, shipping_module
from descant.recipe.interpolation import resolved
from descant.recipe.trust import check_trusted

_COMPONENTS = ("trunk", "sharing", "balance")
TEXTS = ("name", "data", "run.name", "run.dir", "run.address")
"""Keys whose values are text even where they look like numbers."""


def compose(recipe: str, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a recipe as plain dicts, its overrides applied and its ``${…}`` resolved, but for callbacks'.

    ``trunk=NAME`` (likewise sharing and balance) puts another component in the place of the recipe's, and
    ``run=inline`` or ``run=ray`` sets the runner. Any other key is set where it stands; a new task may be added.
    ``data_help`` only stays with the data that it was written for. ``values`` are set after the overrides, by key.

    Raises:
        UserError: an unknown recipe, a file that is not YAML, an override that is not ``key=value``, or a recipe that
            would run code of others.
    """
    return resolved(recipe, merge(recipe, overrides, values))


def merge(recipe: str, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what ``compose`` does, with its ``${…}`` as they stand: nothing of the environment is in it.

    Raises:
        UserError: as ``compose``, but for what cannot be resolved.
    """
    plain = _load(recipe)
    given = [parse_override(override) for override in overrides]
    check_trusted(recipe, plain, dict(given))
    data = plain.get("data")
    given += (values or {}).items()
    for key, value in given:
        set_key(plain, key, value)
    if plain.get("data") != data and "data_help" not in dict(given):
        plain.pop("data_help", None)
    return plain


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
    return key, text.strip() if key in TEXTS and isinstance(value, (bool, int, float)) else _plain(value)


def _load(recipe: str) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    sources = lineage(recipe)
    search = ",".join(f"pkg://{module}" for module in recipe_modules())
    try:
        with _hydra(recipe) as name, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*missing `_self_`")  # it comes last, which is what is meant
            config = hydra_compose(name, overrides=[f"hydra.searchpath=[{search}]"])
            container = OmegaConf.to_container(config, resolve=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"the recipe {recipe!r} cannot be read: {' '.join(str(error).split())}") from error
    assert isinstance(container, dict)
    plain = {str(key): value for key, value in container.items()} | _data_help(sources)
    if isinstance(plain.get("run"), str):
        plain["run"] = {"runner": plain["run"]}
    return {**plain, "name": _own_name(recipe)}


def _data_help(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the ``data_help`` that belongs to the recipe's data: that of an earlier file's data would mislead."""
    text = ""
    for source in sources:
        text = source.get("data_help", "" if "data" in source else text)
    return {"data_help": text}


def _own_name(recipe: str) -> str:
    """Return the name that a recipe's own file gives, not one it starts from, or the file's name."""
    file = recipe_file(recipe)
    return str((read_own(file, recipe).get("name") if is_path(recipe) else None) or file.stem)


@contextmanager
def _hydra(recipe: str) -> Iterator[str]:
    from hydra import initialize_config_dir, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    if is_path(recipe):
        file = recipe_file(recipe).absolute()
        start: AbstractContextManager[None] = initialize_config_dir(str(file.parent), version_base=None)
    else:
        file = recipe_file(recipe)
        start = initialize_config_module(shipping_module(recipe), version_base=None)
    with start:
        yield file.stem


def set_key(plain: dict[str, Any], key: str, value: Any) -> None:
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
