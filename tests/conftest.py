"""What all tests share: checked shapes and types, real data where there is some, one Ray cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# A shell starts what it runs in the background deaf to Ctrl-C, and so would be all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before the packages are imported: their annotated shapes and types are then checked at every call.
install_import_hook(["descant", "descant_tasks"], "checking.checked")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real music and faces that DESCANT_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("DESCANT_TEST_DATA")
    if not folder:
        pytest.skip("reads real music and faces: set DESCANT_TEST_DATA to their folder")
    path = Path(folder)
    assert path.is_dir(), f"DESCANT_TEST_DATA names {folder!r}, which is no folder"
    return path


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray cluster of three CPUs for the whole session: starting it takes seconds."""
    import ray

    ray.init(
        address="local",
        num_cpus=3,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        configure_logging=False,
    )
    yield
    ray.shutdown()
