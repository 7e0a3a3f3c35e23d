"""From a recipe's ``callbacks`` to objects, in the one process that calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from descant.callbacks.base import Callback, callbacks
from descant.errors import UserError


def build_callbacks(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Callback]:
    """Return the callbacks by name.

    Their ``${oc.env:NAME}`` are looked up here and nowhere else: files and workers of a run never hold the value.

    Raises:
        UserError: an unknown callback or option, an environment variable that is not set, or one within other text:
            a recipe of somebody else could send it there.
    """
    return {name: callbacks.build(name, _resolved(name, options)) for name, options in given.items()}


def _resolved(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for option, value in options.items():
        if isinstance(value, str) and "${" in value and re.fullmatch(r"\$\{[^${}]*\}", value) is None:
            raise UserError(f"callbacks.{name}.{option} has ${{…}} within other text: give all of it by one ${{…}}")
    try:
        container = OmegaConf.to_container(OmegaConf.create(dict(options)), resolve=True)
    except OmegaConfBaseException as error:
        first = str(error).strip().splitlines()[0]
        said = first.partition("interpolation: ")[2].strip('"') or first
        raise UserError(f"callbacks.{name} cannot be resolved ({said}): set what it names") from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
