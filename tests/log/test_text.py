"""Words and numbers for people."""

from __future__ import annotations

import math

import pytest

from tbgrad.log.share import Share
from tbgrad.log.text import measured, number, percent_between

MEASURED = [
    (10.01563, 5.9e-6, "10.0156300 ± 5.9e-6"),
    (70.0, 1.4, "70.0 ± 1.4"),
    (-1.5, 0.05, "-1.500 ± 0.050"),
    (1.24, 0.0996, "1.24 ± 0.10"),
    (0.003, 0.5, "0.00 ± 0.50"),
    (-0.003, 0.5, "0.00 ± 0.50"),
    (12345.6, 234.5, "12,350 ± 230"),
    (686.4, 3.21, "686.4 ± 3.2"),
    (1.234567e12, 3.2e9, "1.2346e12 ± 3.2e9"),
    (1.5e-7, 2e-9, "1.500e-7 ± 2.0e-9"),
    (0.0, 0.02, "0.000 ± 0.020"),
    (1 / 3, 1e-20, "0.333333333333333 ± 1.0e-20"),
    (2.5, 0.0, "2.5 ± 0"),
    (2.5, math.inf, "2.5 ± inf"),
    (2.5, math.nan, "2.5 ± unknown"),
    (math.nan, 0.1, "nan ± 0.1"),
]


@pytest.mark.parametrize(("value", "error", "words"), MEASURED)
def test_digits_fit_the_error(value: float, error: float, words: str) -> None:
    assert measured(value, error) == words


NUMBERS = [
    (None, 4, "-"),
    (0.0, 4, "0"),
    (-0.0, 4, "0"),
    (0.0549, 4, "0.0549"),
    (12.34567, 3, "12.3"),
    (-4712.3, 2, "-4,712"),
    (47_123.0, 4, "47,120"),
    (999_999.6, 9, "999,999.6"),
    (1e6, 4, "1e6"),
    (0.000123456, 4, "1.235e-4"),
    (0.0001, 4, "1e-4"),
    (3e38, 1, "3e38"),
    (math.nan, 4, "nan"),
    (-math.inf, 4, "-inf"),
]


@pytest.mark.parametrize(("value", "digits", "words"), NUMBERS)
def test_a_number_has_no_more_than_its_digits(value: float, digits: int, words: str) -> None:
    assert number(value, digits) == words


SHARES = [
    (Share(0.123, 0.11, 0.136), "12.3 % (11.0 to 13.6)"),
    (Share(0.123, 0.05, 0.2), "12 % (5 to 20)"),
    (Share(0.5, 0.2, 0.8), "between 20 and 80 %"),
    (Share(0.0, 0.0, 0.0), "0.0 % (0.0 to 0.0)"),
    (Share(1.0, 1.0, 1.0), "100.0 % (100.0 to 100.0)"),
]


@pytest.mark.parametrize(("share", "words"), SHARES)
def test_shares_are_told_with_their_interval_and_not_at_all_where_it_is_wide(share, words):
    assert percent_between(share) == words
