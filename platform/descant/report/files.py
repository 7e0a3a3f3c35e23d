"""Reading and writing the small files of run and study folders."""

from __future__ import annotations

import json
import os
import tempfile
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
        raise UserError(f"{str(path)!r} is not JSON ({error}): mend the file or take another run.") from error
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} holds no JSON object: mend the file or take another run.")
    return content


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see the old or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
