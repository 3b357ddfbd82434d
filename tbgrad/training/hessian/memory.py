"""How much memory a computation with vectors of the size of the weights may take."""

from __future__ import annotations

from typing import Any

import numpy as np

VECTORS = 10
"""So many vectors of the size of the weights any computation may have."""

SMALL_BYTES = 64 * 2**20
"""And so many bytes, which is more for models of less than 1.7 million float32 weights."""


def vectors_in(max_bytes: int | None, size: int, dtype: np.dtype[Any]) -> int:
    """How many vectors of `size` entries there is room for.

    Args:
        max_bytes: bytes in all; None for those of VECTORS vectors or SMALL_BYTES, if that is more.
    """
    each = size * np.dtype(dtype).itemsize
    allowed = max(VECTORS * each, SMALL_BYTES) if max_bytes is None else max_bytes
    return int(allowed // each)
