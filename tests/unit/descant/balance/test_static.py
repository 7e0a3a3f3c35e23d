"""The recipe's weights as they are."""

from __future__ import annotations

import pytest

from descant.errors import UserError
from signals import made, signals


def test_static_balance_leaves_the_recipes_weights() -> None:
    balancer = made("static", 3)
    assert balancer.weights(signals([3.0, 0.0, 1e9])).tolist() == [1.0, 1.0, 1.0]
    assert balancer.state_dict() == {}
    with pytest.raises(UserError, match="the balancer 'static' has no option 'alpha'"):
        made("static", 1, alpha=1)
