"""The hidden folder in which a data set is made, and the move into its place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from descant.data.folder import DESCRIPTION
from descant.errors import UserError
from descant.files import sync_folder


class Workplace:
    """The folder ``.NAME.partial`` beside ``folder``, to which it is moved once it is whole.

    Args:
        folder: where the data set goes; it must not hold anything yet, unless it is a data set and ``overwrite``.
        overwrite: whether to replace the data set in ``folder``.

    Raises:
        UserError: ``folder`` holds something.
    """

    def __init__(self, folder: Path, overwrite: bool) -> None:
        self._given, self._folder = folder, folder.resolve()
        self.path = self._folder.with_name(f".{self._folder.name}.partial")
        self._old = self._folder.with_name(f".{self._folder.name}.old")
        if self._old.exists() and not self._folder.exists():
            os.replace(self._old, self._folder)  # killed between the two steps of ``land``
        self._check(overwrite)

    def make(self) -> None:
        """Make the folder, or find the one that an earlier process left."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the folder {str(self._given)!r} cannot be made: {error.strerror}") from error

    def keep_only(self, names: set[str]) -> None:
        """Remove everything but these files."""
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in names:
                path.unlink()

    def land(self) -> None:
        """Move the folder into its place; what it replaces is removed."""
        shutil.rmtree(self._old, ignore_errors=True)
        if self._folder.exists():
            os.replace(self._folder, self._old)
        os.replace(self.path, self._folder)
        sync_folder(self._folder.parent)
        shutil.rmtree(self._old, ignore_errors=True)

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _check(self, overwrite: bool) -> None:
        folder = str(self._given)
        if not self._folder.exists():
            return
        if not self._folder.is_dir():
            raise UserError(f"{folder!r} is a file: give a folder that is new or empty")
        if not any(self._folder.iterdir()):
            return
        if not overwrite:
            raise UserError(f"the folder {folder!r} holds something already: give another one, or --overwrite")
        if not (self._folder / DESCRIPTION).is_file():
            raise UserError(f"the folder {folder!r} holds something that is no data set, which is not overwritten")
