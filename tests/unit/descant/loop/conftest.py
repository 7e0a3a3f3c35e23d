"""What several ranks find, computed once for all tests of the loop."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation_case import values_and_norms
from gloo import run_on_ranks


@pytest.fixture(scope="session")
def on_ranks() -> dict[int, list[dict[str, Any]]]:
    """What two ranks and three ranks find, by the number of ranks."""
    return run_on_ranks((2, 3), values_and_norms)
