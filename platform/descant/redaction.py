"""Secrets stay out of what the program writes and says: values of ``${oc.env:NAME}`` in recipes, and cluster tokens.

Whatever is hidden here is replaced by a placeholder in run folders, logs and error messages. A recipe's placeholder is
the interpolation itself, so that a written recipe runs again.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

SHORTEST = 6
"""Characters of a value that is searched for in text; shorter ones would take ordinary words and numbers with them."""

_ENVIRONMENT = "${oc.env:"
_hidden: dict[str, str] = {}  # value -> placeholder


def hide(value: str, placeholder: str) -> None:
    """Write ``placeholder`` wherever ``value`` would be written from now on."""
    if not value:
        return
    if not _hidden:
        logging.getLogger("descant").addFilter(_redact_record)
    _hidden[value] = placeholder


def hide_variable(name: str, value: str) -> None:
    """Hide the value of an environment variable that a recipe refers to."""
    hide(value, f"{_ENVIRONMENT}{name}}}")


def hidden_variables() -> dict[str, str]:
    """Return the values of environment variables that are hidden, and what stands for each, for workers to hide."""
    return {value: placeholder for value, placeholder in _hidden.items() if placeholder.startswith(_ENVIRONMENT)}


def redacted(text: str) -> str:
    """Return a text without what is hidden, also where it is escaped for JSON, HTML or a URL."""
    for value in sorted(_hidden, key=len, reverse=True):
        if len(value) >= SHORTEST:
            for form in (value, json.dumps(value)[1:-1], html.escape(value), quote(value, safe="")):
                text = text.replace(form, _hidden[value])
    return text


def redacted_values(value: Any) -> Any:
    """Return plain dicts, lists and strings without what is hidden; a string that is a hidden value may be short."""
    if isinstance(value, str):
        return _hidden.get(value) or redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_values(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_values(inner) for inner in value]
    return value


def redact_error(error: BaseException) -> None:
    """Take what is hidden out of the words of an exception and of those that caused it."""
    seen: BaseException | None = error
    while seen is not None and _hidden:
        seen.args = tuple(redacted(part) if isinstance(part, str) else part for part in seen.args)
        seen = seen.__cause__ or seen.__context__


def _redact_record(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if (clean := redacted(message)) != message:
        record.msg, record.args = clean, ()
    return True
