"""Every rank follows the first one's decisions, whatever it would have decided itself."""

from __future__ import annotations

from functools import partial

import pytest

from decision_case import CURVES, decided
from gloo import run_on_ranks
from support import mel_data_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(mel_data_set(tmp_path_factory.mktemp("decisions") / "data", train=16, validation=8, test=8, frames=20))


def test_ranks_with_other_losses_decide_as_the_first_one(data: str) -> None:
    curves = [list(curve) for curve in CURVES]
    alone = [decided(data, [curve], 0, 1) for curve in curves]
    assert len({str(found) for found in alone}) == 3, "each rank by itself would decide otherwise"
    stopped = [active == ["genre"] for active, _ in alone[0]]
    assert stopped == [False, False, False, True, True]
    for ranks in run_on_ranks((2, 3), partial(decided, data, curves)).values():
        assert all(found == alone[0] for found in ranks)
