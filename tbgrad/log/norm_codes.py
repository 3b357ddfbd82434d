"""Norms in 16 bits: a logarithmic code over the whole range of float32.

The codes rise with what they stand for: no gradient, zero, the numbers from 2^-149 to 2^128, not
finite. What is decoded differs from what was encoded by at most `MAX_ERROR` of it; below 2^-126,
where float32 itself is coarse, by at most twice that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = 0
"""The parameter had no gradient: NaN."""

ZERO = 1

NOT_FINITE = 65_535
"""Decoded as infinity."""

_FIRST, _LAST = 2, 65_534
_LOWEST, _HIGHEST = -149, 128
_PER_OCTAVE = (_LAST - _FIRST) / (_HIGHEST - _LOWEST)

MAX_ERROR = 0.0015
"""The largest relative error of a norm that was encoded; half a code is 0.00147."""

Codes = NDArray[np.uint16]


def encoded(norms: NDArray[np.floating[Any]]) -> Codes:
    """Norms of any shape as codes; NaN is one that is absent."""
    sizes = np.asarray(norms, dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.log2(sizes)
        places -= np.float32(_LOWEST)
        places *= np.float32(_PER_OCTAVE)
        places += np.float32(_FIRST + 0.5)
        usual = places < _LAST + 1  # neither infinite nor NaN
        usual &= places >= _FIRST
    if usual.all():
        return places.astype(np.uint16)
    codes = np.where(usual, places, 0).astype(np.uint16)
    codes[sizes == 0] = ZERO
    codes[np.isinf(sizes)] = NOT_FINITE
    return codes


def decoded(codes: Codes) -> NDArray[np.float32]:
    """The norms of codes of any shape: NaN where absent, infinite where not finite."""
    return _NORMS[codes]


def _table() -> NDArray[np.float32]:
    places = np.arange(_LAST + 2, dtype=np.float64)
    norms = np.exp2((places - _FIRST) / _PER_OCTAVE + _LOWEST)
    norms[_LAST] = np.finfo(np.float32).max
    norms[[ABSENT, ZERO, NOT_FINITE]] = math.nan, 0.0, math.inf
    return norms.astype(np.float32)


_NORMS = _table()
