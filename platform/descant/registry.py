"""Names that users give to classes: tasks, trunks, sharing schemes, balancers, inputs, schedules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from descant.errors import UserError, nearest
from descant.plugins import plugin_hint
from descant.values import check_value, type_hints

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes of one kind by name; packages add theirs through the entry-point group ``descant.<plural>``.

    >>> trunks = Registry[type]("trunk", "trunks")
    >>> @trunks.register("mine")
    ... class Mine: ...
    """

    def __init__(self, kind: str, plural: str) -> None:
        self.kind = kind
        self.group = f"descant.{plural}"
        self._classes: dict[str, type[T]] = {}
        self._entry_points_loaded = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Return a decorator that registers a class as ``name``.

        Raises:
            UserError: ``name`` is taken by a class from another place.
        """

        def decorate(cls: type[T]) -> type[T]:
            known = self._classes.get(name)
            place = self._shipped_place(name, cls) if known is None else _place(known)
            if place not in (None, _place(cls)):
                raise UserError(
                    f"the {self.kind} {name!r} is registered twice, by {place} and by {_place(cls)}: "
                    f"give one of them another name"
                )
            self._classes[name] = cls
            return cls

        return decorate

    def get(self, name: str) -> type[T]:
        """Return the class registered as ``name``; a UserError names the nearest known ones."""
        if name not in self._classes:
            self._load_entry_points()
        if name not in self._classes:
            raise UserError(f"there is no {self.kind} {name!r}: {nearest(name, self._classes)}{plugin_hint()}")
        return self._classes[name]

    def names(self) -> list[str]:
        """Return every known name, sorted."""
        self._load_entry_points()
        return sorted(self._classes)

    def items(self) -> Iterator[tuple[str, type[T]]]:
        """Yield (name, class), sorted by name."""
        for name in self.names():
            yield name, self._classes[name]

    def build(self, name: str, options: Mapping[str, Any], /, *, also: tuple[str, ...] = (), **given: Any) -> T:
        """Make the class ``name`` with a recipe's ``options`` and the engine's ``given`` arguments.

        ``also`` are options that the engine takes itself, which an error may name.

        Raises:
            UserError: an option that the class does not take (the nearest one is named) or refuses, or a value of
                another type than its constructor's annotations say.
        """
        cls = self.get(name)
        check_options(f"the {self.kind} {name!r}", cls, options, hidden=set(given), also=also)
        try:
            return cls(**given, **options)
        except UserError:
            raise
        except (TypeError, ValueError) as error:
            raise UserError(f"the {self.kind} {name!r} cannot be made with {dict(options)}: {error}") from error

    def _shipped_place(self, name: str, cls: type[T]) -> str | None:
        """Return which installed module ships ``name``, if another one than that of ``cls`` does."""
        modules = [entry.module for entry in entry_points(group=self.group, name=name)]
        return next((module for module in modules if module != cls.__module__), None)

    def _load_entry_points(self) -> None:
        if self._entry_points_loaded:
            return
        self._entry_points_loaded = True
        for entry in entry_points(group=self.group):
            if entry.name not in self._classes:
                entry.load()


def check_options(owner: str, cls: type, options: Mapping[str, Any], hidden: set[str], also: tuple[str, ...]) -> None:
    """Raise a UserError when ``options`` holds a name or a value that ``cls`` does not take, or lacks one it needs."""
    parameters, open_ended = _constructor(cls)
    parameters = {name: parameter for name, parameter in parameters.items() if name not in hidden}
    for name, value in options.items():
        if name in parameters:
            check_value(f"the option {name!r} of {owner}", parameters[name].annotation, value)
        elif not open_ended:
            raise UserError(f"{owner} has no option {name!r}: {nearest(name, [*parameters, *also])}")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise UserError(f"{owner} needs the option {name!r}")


def _constructor(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the named parameters of a class's constructor, through ``**given`` up its bases, and whether any goes.

    Their annotations are evaluated; an annotation that is missing or cannot be evaluated allows any value.
    """
    named: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in base.__dict__ or base is object:
            continue
        constructor = base.__dict__["__init__"]
        types = type_hints(constructor)
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
                typed = parameter.replace(annotation=types.get(parameter.name, Any))
                named.setdefault(parameter.name, typed)
        if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return named, False
    return named, any("__init__" in base.__dict__ for base in cls.__mro__[:-1])


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
