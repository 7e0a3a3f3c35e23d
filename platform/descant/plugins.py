"""Users' own files that register tasks, trunks and the like: read once, sent to every worker as source text."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path

from descant.errors import UserError

Plugin = dict[str, str]
"""``name`` of the module and its ``source`` text; an installed module has no source."""

_loaded: dict[str, Plugin] = {}


def read_plugins(names: Iterable[str], beside: Sequence[Path]) -> list[Plugin]:
    """Return the plugins that a recipe names: files (``my_tasks.py``), or modules.

    Args:
        names: as in the recipe's ``plugins``.
        beside: folders that file names are relative to, looked into in turn.

    Raises:
        UserError: a file or module that does not exist.
    """
    return [_read(name, beside) for name in names]


def load_plugins(plugins: Iterable[Plugin]) -> None:
    """Run the plugins' sources, which registers what they hold; the same source is run once in a process.

    Raises:
        UserError: a plugin that does not run.
    """
    for plugin in plugins:
        name, source = plugin["name"], plugin.get("source")
        _loaded[name] = plugin
        loaded = sys.modules.get(name)
        if source is not None and loaded is not None and getattr(loaded, "__plugin_source__", None) == source:
            continue
        try:
            if source is not None:
                _run(name, source)
            else:
                importlib.import_module(name)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"the plugin {name!r} does not load: {type(error).__name__}: {error}") from error


def loaded_plugins() -> list[Plugin]:
    """Return the plugins that this process has loaded, for a process that it starts."""
    return list(_loaded.values())


def plugin_hint() -> str:
    """Return the end of a sentence about an unknown name: how to register it, unless plugins are loaded already."""
    return "" if _loaded else " (plugins=[my_tasks.py] loads a file that registers your own)"


def _read(name: str, beside: Sequence[Path]) -> Plugin:
    if name.endswith(".py"):
        for folder in beside:
            path = folder / name
            if path.is_file():
                _refuse_taken_name(path)
                return {"name": path.stem, "source": path.read_text()}
        raise UserError(f"there is no plugin file {name!r}: give its path, relative to this folder or to the recipe's")
    for folder in beside:
        path = folder / Path(*name.split(".")).with_suffix(".py")
        if path.is_file():
            return {"name": name, "source": path.read_text()}
    try:
        found = importlib.util.find_spec(name)
    except ImportError:
        found = None
    if found is None:
        raise UserError(f"there is no plugin module {name!r}: install it, or give a file such as my_tasks.py")
    return {"name": name}


def _refuse_taken_name(path: Path) -> None:
    """A plugin takes its file's name as a module: it must not hide one that the program needs."""
    if path.stem in _loaded:
        return
    found = importlib.util.find_spec(path.stem)
    if found is not None and (found.origin is None or Path(found.origin).resolve() != path.resolve()):
        raise UserError(f"the plugin file {path.name!r} has the name of a module that is installed: rename the file")


def _run(name: str, source: str) -> None:
    module = types.ModuleType(name)
    file = f"<plugin {name}>"
    module.__file__ = file
    module.__dict__["__plugin_source__"] = source
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    sys.modules[name] = module
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
