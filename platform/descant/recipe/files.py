"""The files of recipes: which ones ship, what one holds itself, and which others it starts from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from descant.errors import UserError, nearest

SUFFIX = ".yaml"
_SELF = "_self_"


def recipe_modules() -> list[str]:
    """Return the packages that ship recipes: the entry-point group ``descant.recipes``."""
    return sorted({entry.value for entry in entry_points(group="descant.recipes")})


def shipped_recipes() -> dict[str, str]:
    """Return the first comment line of every shipped recipe, by name."""
    first_lines = {name: file.read_text(encoding="utf-8").splitlines()[0] for name, (_, file) in _shipped().items()}
    return {name: line.lstrip("# ").rstrip() for name, line in sorted(first_lines.items())}


def is_path(recipe: str) -> bool:
    """Return whether ``recipe`` is a path and not the name of a shipped recipe."""
    return recipe.endswith((SUFFIX, ".yml")) or "/" in recipe


def shipping_module(recipe: str) -> str:
    """Return the package that ships a recipe."""
    return _shipped()[recipe][0]


def recipe_file(recipe: str) -> Path:
    """Return the file of a shipped recipe's name or of a path.

    Raises:
        UserError: there is none, or it is a run's folder, or a file of another kind.
    """
    shipped, path = _shipped(), Path(recipe)
    if not is_path(recipe) and recipe in shipped:
        return shipped[recipe][1]
    if (path / "recipe.yaml").is_file():
        inside = str(path / "recipe.yaml")
        raise UserError(f"{recipe!r} is the folder of a run: to train its recipe, give {inside!r}")
    if not is_path(recipe):
        raise UserError(f"there is no recipe {recipe!r}: {nearest(recipe, shipped)}")
    if not path.is_file():
        raise UserError(f"there is no recipe file {recipe!r}: {nearest(path.stem, shipped)}")
    if path.suffix != SUFFIX:
        raise UserError(f"the recipe file {recipe!r} does not end in {SUFFIX}: rename it")
    return path


def read_own(file: Path, shown: str) -> dict[str, Any]:
    """Return what a recipe's file holds itself, without what it starts from; ``shown`` is what an error calls it.

    Raises:
        UserError: it is no YAML (line and column are named), or holds no mapping.
    """
    from omegaconf import DictConfig, OmegaConf
    from yaml import YAMLError
    from yaml.error import MarkedYAMLError

    try:
        with file.open(encoding="utf-8") as stream:
            config = OmegaConf.load(stream)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        what = " ".join(part for part in (error.problem, error.context) if part)
        raise UserError(f"the recipe {shown!r} cannot be read as YAML: {place}{what}") from error
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"the recipe {shown!r} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"the recipe {shown!r} holds a list: write a mapping of keys")
    own = OmegaConf.to_container(config)
    assert isinstance(own, dict)
    return {str(key): value for key, value in own.items()}


def lineage(recipe: str) -> list[dict[str, Any]]:
    """Return what a recipe and each one that it starts from hold themselves, in the order in which Hydra merges them.

    A file without ``_self_`` among its ``defaults`` comes after all of them.

    Raises:
        UserError: one of them does not exist (the nearest is named), starts from itself, or is no YAML.
    """
    file = recipe_file(recipe)
    return list(_walk(file, recipe, file.parent if is_path(recipe) else None, "", ()))


def _walk(file: Path, shown: str, folder: Path | None, group: str, above: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    own = read_own(file, shown)
    defaults = own.pop("defaults", None) or []
    if not isinstance(defaults, list):
        raise UserError(f"the recipe {shown!r} has defaults: {defaults!r}; write a list, such as [genre, _self_]")
    names = [name for name in defaults if isinstance(name, str) and "@" not in name]
    above = (*above, str(file))
    for name in names if _SELF in names else [*names, _SELF]:
        if name == _SELF:
            yield own
            continue
        full = name[1:] if name.startswith("/") else f"{group}{name}"
        start = _start(full.removesuffix(SUFFIX), shown, folder)
        if str(start) in above:
            raise UserError(
                f"the recipe {shown!r} starts from {name!r}, which is the same file or starts from it: "
                f"give the file another name than the recipe that it starts from"
            )
        yield from _walk(start, str(start), folder, full.rpartition("/")[0] + "/" if "/" in full else "", above)


def _start(name: str, shown: str, folder: Path | None) -> Path:
    """Return the recipe that another one starts from: a file beside it goes before a shipped one."""
    shipped = _shipped()
    if folder is not None and (folder / f"{name}{SUFFIX}").is_file():
        return folder / f"{name}{SUFFIX}"
    if name in shipped:
        return shipped[name][1]
    raise UserError(
        f"the recipe {shown!r} starts from {name!r}, which neither ships nor lies beside it: {nearest(name, shipped)}"
    )


def _shipped() -> dict[str, tuple[str, Path]]:
    """Return the package and the file of every shipped recipe."""
    return {
        file.stem: (module, file)
        for module in reversed(recipe_modules())
        for file in Path(str(files(module))).glob(f"*{SUFFIX}")
    }
