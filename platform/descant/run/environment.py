"""What a run ran on: ``environment.json``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from descant.run.folder import RunFolder

_PACKAGES = ("descant", "torch", "torchaudio", "torchvision", "ray", "numpy", "accelerate", "timm", "webdataset")


def write_environment(folder: RunFolder, step: int, world_size: int, seed: int) -> int:
    """Write versions, host kind, seed and commit, and add this start to the list; return how many starts there were."""
    path = folder.path / "environment.json"
    starts: list[dict[str, Any]] = json.loads(path.read_text())["starts"] if path.exists() else []
    starts.append({"time": round(time.time(), 3), "step": step, "workers": world_size})
    environment = {
        "python": sys.version.split()[0],
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "host": {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count(), "gpu": _gpu()},
        "seed": seed,
        "git_commit": _commit(),
        "starts": starts,
    }
    folder.write_json("environment.json", environment)
    return len(starts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _commit() -> str | None:
    """Return the commit of the user's working folder, where that is a git repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path.cwd(), capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
