"""Values that users give, against the types that the program's own annotations allow; and as a recipe writes them."""

from __future__ import annotations

import collections.abc
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from descant.errors import UserError

_PLAIN: dict[Any, tuple[tuple[type, ...], str, str]] = {
    int: ((int,), "a whole number", "whole numbers"),
    float: ((int, float), "a number", "numbers"),
    str: ((str,), "text", "texts"),
    bool: ((bool,), "true or false", "true or false values"),
    type(None): ((type(None),), "null", "nulls"),
}
_LISTS = (collections.abc.Sequence, list, tuple)
_MAPPINGS = (collections.abc.Mapping, dict)


def check_value(where: str, annotation: Any, value: object) -> None:
    """Raise a UserError when a value from YAML is of another type than ``annotation`` allows.

    Checked are int, float, bool, str, None, Literal, lists, tuples, mappings and unions of these; any other annotation
    takes any value, which its constructor then judges.
    """
    if not _accepts(annotation, value):
        raise UserError(f"{where} is {value!r}: give {_wording(annotation)}")


def type_hints(function: Any) -> dict[str, Any]:
    """Return the evaluated annotations of a function; none where one names what is only there for a type checker."""
    try:
        return typing.get_type_hints(function)
    except NameError:
        return {}


def written(value: object) -> str:
    """Return a value as a recipe or an override writes it: ``null``, ``true``, ``[1, 2]``, ``{a: b}``."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(written, value)) + "]"
    word = isinstance(value, str) and re.fullmatch(r"[A-Za-z_./~][^\s,:\[\]{}'\"]*", value)
    bare = not isinstance(value, str) or (word and value.lower() not in ("null", "true", "false", "nan", "inf"))
    return str(value) if bare else repr(value)


def _accepts(annotation: Any, value: object) -> bool:
    origin, parts = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(_accepts(part, value) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin in _PLAIN:
        return isinstance(value, _PLAIN[origin][0]) and (origin is bool or not isinstance(value, bool))
    if origin in _LISTS:
        if not isinstance(value, (list, tuple)):
            return False
        if origin is tuple and parts and parts[-1] is not Ellipsis:
            return len(value) == len(parts) and all(map(_accepts, parts, value))
        return all(_accepts(parts[0], item) for item in value) if parts else True
    if origin in _MAPPINGS:
        return isinstance(value, Mapping) and all(_accepts(parts[1], item) for item in value.values() if parts)
    return True


def _wording(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_wording, parts))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin in _PLAIN:
        return _PLAIN[origin][1]
    if origin in _LISTS:
        count = f"{len(parts)} " if origin is tuple and parts and parts[-1] is not Ellipsis else ""
        kind = _PLAIN[parts[0]][2] if parts and parts[0] in _PLAIN else "values"
        return f"a list of {count}{kind}"
    return "a mapping" if origin in _MAPPINGS else "another value"
