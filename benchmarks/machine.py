"""Where the results of benchmarks go: one JSON for each kind of machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BASELINES = Path(__file__).parent / "baselines"


def machine_kind() -> str:
    """Return what results are compared within: architecture, cores and accelerator."""
    import torch

    accelerator = torch.cuda.get_device_name().replace(" ", "-").lower() if torch.cuda.is_available() else "cpu"
    return f"{platform.machine()}-{os.cpu_count()}cores-{accelerator}"


def cpu_ms(run: Callable[[], object]) -> float:
    """Return the CPU time of a call in ms, over all threads of this process."""
    before_s = time.process_time()
    run()
    return (time.process_time() - before_s) * 1e3


def save(benchmark: str, result: dict[str, Any]) -> Path:
    """Put one benchmark's result into this machine kind's file and return its path."""
    path = BASELINES / f"{machine_kind()}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[benchmark] = result
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    return path
