"""``${…}`` in recipes: resolved last, and what comes from the environment is kept out of all that is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from descant.errors import UserError
from descant.redaction import hide_variable

_NONE = "no default"
LATE = "callbacks"
"""The key whose ``${…}`` stay, and are resolved where it is used alone: they may be secrets."""


def resolved(recipe: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain dicts with their ``${…}`` resolved; the values of environment variables are hidden from now on.

    Args:
        recipe: what an error calls it.
        plain: with interpolations.

    Raises:
        UserError: a key or a variable that is not there.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_new_resolver("oc.env", _variable, replace=True)
    try:
        early = OmegaConf.create({key: value for key, value in plain.items() if key != LATE})
        container = OmegaConf.to_container(early, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the recipe {recipe!r} cannot be resolved: {' '.join(str(error).split())}") from error
    assert isinstance(container, dict)
    return {str(key): container.get(key, plain[key]) for key in plain}


def _variable(name: str, default: Any = _NONE) -> Any:
    """OmegaConf's own ``oc.env``, which remembers what it gave."""
    from omegaconf.resolvers import oc

    value = oc.env(name) if default is _NONE else oc.env(name, default)
    if name in os.environ:
        hide_variable(name, os.environ[name])
    return value
