from __future__ import annotations

import math

import pytest

from descant.report.numbers import counted, duration, interval, number, probability, same, whole

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.45912, "0.459"), (0.0421, "0.0421"), (12.345, "12.35"), (1234.5, "1,234"), (-0.5, f"{MINUS}0.500"),
     (0.0, "0"), (2e-5, "2.00e-05"), (None, DASH), (math.nan, DASH), (math.inf, "\N{INFINITY}")],
)  # fmt: skip
def test_numbers_have_the_digits_that_tell(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_parts_of_an_interval_share_their_decimals() -> None:
    assert interval(0.04351, 0.00923, 0.07791, signed=True) == "+0.044 [+0.009, +0.078]"
    assert interval(0.5, None, None) == "0.500"
    assert interval(1e-9, -1.0, 1.0, signed=True) == f"0.0 [{MINUS}1.0, +1.0]"
    assert interval(2.0, 2.0, 2.0) == "2.000 [2.000, 2.000]"
    assert interval(0.0, 0.0, 0.0) == "0.000 [0.000, 0.000]"


def test_counts_spans_and_probabilities() -> None:
    assert (whole(8080), whole(2.5), whole(None)) == ("8,080", "2.500", DASH)
    assert (duration(12.34), duration(245), duration(7380), duration(None)) == (
        "12.3 s",
        "4 min 05 s",
        "2 h 03 min",
        DASH,
    )
    assert (probability(0.0321), probability(0.0002), probability(None)) == ("0.032", "<0.001", DASH)


def test_nouns_agree_with_their_counts() -> None:
    assert [counted(count, "time") for count in (0, 1, 2)] == ["0 times", "1 time", "2 times"]


def test_curves_are_the_same_but_for_rounding() -> None:
    assert same({0.0: 0.25, 1.0: None}, {0.0: 0.25 + 1e-9, 1.0: None})
    assert not same({0.0: 0.25}, {0.0: 0.26}) and not same({0.0: 0.25}, {1.0: 0.25}) and not same({}, {})
    assert not same({0.0: 0.25}, {0.0: None})
