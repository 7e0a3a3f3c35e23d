"""What a job takes to a cluster: the project itself, and the recipe with its plugins, as two zip files.

The project has the layout of an installed wheel, with its entry points, so that nodes import it from a folder on their
path. It is no ``.whl`` by name, since Ray gives those to pip, which asks an index for what the project needs: the nodes
have that already.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

PROJECT = "descant"
PACKAGES = ("descant", "descant_cluster", "descant_recipes", "descant_tasks")
_METADATA = ("METADATA", "entry_points.txt")


def project_files() -> dict[str, bytes]:
    """Return the files of the installed project, wherever its packages lie, by their places in a wheel."""
    found = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.submodule_search_locations
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in root.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found[f"{package}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    installed = importlib.metadata.distribution(PROJECT)
    about = f"{PROJECT}-{installed.version}.dist-info"
    found |= {f"{about}/{name}": (installed.read_text(name) or "").encode() for name in _METADATA}
    return found


def zipped(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return a zip file with its name, by which Ray knows its content: the same files give the same name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # of the year 1980: the time must not change the content
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    content = buffer.getvalue()
    return f"_ray_pkg_{hashlib.sha1(content, usedforsecurity=False).hexdigest()}.zip", content
