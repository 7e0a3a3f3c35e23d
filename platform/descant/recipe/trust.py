"""What a recipe file may run: a file of settings must not be a way to run somebody else's code.

A recipe names classes by registered names. Code comes in by its ``plugins`` alone, and what a recipe *file* says there
is limited to files that lie with it or where the command runs, and to packages that have registered something with
Descant. What a command says itself, and all with ``trust=true``, is the user's own word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from descant.errors import UserError
from descant.recipe.files import is_path, recipe_file
from descant.values import check_value

_HYDRA = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
_WAY_OUT = "read it, and if you trust it, say trust=true"


def check_trusted(recipe: str, plain: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise a UserError when a recipe's file would run code that nobody has vouched for.

    Args:
        recipe: a shipped recipe's name, or a path.
        plain: what the recipe's file and those that it starts from say.
        given: what the command says, by dotted key.
    """
    for where in (*_targets(plain), *_targets(given)):
        raise UserError(
            f"the recipe {recipe!r} has {where}: recipes name classes by registered names alone; put the class into a "
            f"plugin and register it there"
        )
    if plain.get("trust"):
        raise UserError(f"the recipe {recipe!r} says trust: true of itself: only the command may, take it out")
    check_value("trust", bool, given.get("trust", False))
    if not is_path(recipe) or given.get("trust") or "plugins" in given:
        return
    file = recipe_file(recipe)
    names = plain.get("plugins") or []
    for name in names if isinstance(names, list) else [names]:
        _check_plugin(recipe, str(name), [Path.cwd(), file.resolve().parent])
    if (names or "${oc.env:" in str(plain)) and (owner := foreign_owner(file)) is not None:
        raise UserError(
            f"the recipe {recipe!r} belongs to {owner} and names plugins or variables of your environment: {_WAY_OUT}"
        )


def check_own(file: Path) -> None:
    """Raise a UserError when a file of code that is about to run belongs to another user."""
    if (owner := foreign_owner(file)) is not None:
        raise UserError(
            f"{str(file)!r} is code that belongs to {owner}: read it, and if you trust it, copy its folder to one of "
            f"yours"
        )


def foreign_owner(file: Path) -> str | None:
    """Return whose a file is where that is neither the user nor root; None else.

    Root, as in a container, takes a folder's files for its own where it stands in a folder of the same owner.
    """
    owner, user = file.stat().st_uid, os.geteuid()
    if owner in (user, 0) or (user == 0 and owner == Path.cwd().stat().st_uid):
        return None
    return f"another user (number {owner})"


def _targets(value: Any, place: str = "") -> Iterator[str]:
    """Yield each key of Hydra's that would call something by its dotted name."""
    for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
        full = f"{place}.{key}".lstrip(".")
        if full.rpartition(".")[2] in _HYDRA:
            yield full
        if isinstance(inner, (Mapping, list)):
            yield from _targets(inner, full)


def _check_plugin(recipe: str, name: str, folders: list[Path]) -> None:
    is_file = name.endswith(".py")
    inner = Path(name) if is_file else Path(*name.split(".")).with_suffix(".py")
    if inner.is_absolute() or ".." in inner.parts:
        raise UserError(
            f"the recipe {recipe!r} names the plugin {name!r}, which lies neither with it nor where you are: {_WAY_OUT}"
        )
    path = next((folder / inner for folder in folders if (folder / inner).is_file()), None)
    if path is not None and (owner := foreign_owner(path)) is not None:
        raise UserError(f"the recipe {recipe!r} names the plugin {name!r} of {owner}: {_WAY_OUT}")
    if path is None and not is_file and name.split(".")[0] not in _registered_packages():
        raise UserError(
            f"the recipe {recipe!r} names the module {name!r} of a package that registers nothing with Descant: "
            f"{_WAY_OUT}"
        )


def _registered_packages() -> set[str]:
    """Return the packages with an entry point of Descant: whoever installed them meant them to be used by it."""
    every = entry_points()
    groups = [group for group in every.groups if group.startswith("descant.")]
    return {entry.value.split(":")[0].split(".")[0] for group in groups for entry in every.select(group=group)}
