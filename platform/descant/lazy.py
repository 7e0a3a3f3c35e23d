"""Modules that are slow to import, loaded when first used, so that the command line answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
else:
    import importlib
    from types import ModuleType

    class _Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self.__name__), name)

    torch = _Lazy("torch")

__all__ = ["torch"]
