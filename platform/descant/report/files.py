"""Reading and writing the small files of run and study folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descant.errors import UserError


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that is not there is an empty one."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{str(path)!r} is not JSON ({error}): mend the file or take another run") from error
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} holds no JSON object: mend the file or take another run")
    return content


def shown(path: Path) -> str:
    """Return a path as it is printed: relative to the working directory where it lies in it."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def as_yaml(recipe: Mapping[str, Any]) -> str:
    """Return a recipe as YAML, its keys in their order."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(recipe)))
