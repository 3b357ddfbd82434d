"""How much memory a computation with vectors of the size of the weights may take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tbgrad.hessian.errors import HessianError

VECTORS = 10
"""What a computation may take by default, in vectors of the size of the weights."""

SMALL_BYTES = 64 * 2**20
"""The same in bytes where that is more: for models of less than 1.7 million float32 weights."""


def vectors_in(max_bytes: int | None, size: int, dtype: np.dtype[Any]) -> int:
    """How many vectors of `size` entries there is room for.

    Args:
        max_bytes: bytes in all; None for those of VECTORS vectors or SMALL_BYTES, if that is more.
    """
    vector_bytes = size * np.dtype(dtype).itemsize
    allowed = max(VECTORS * vector_bytes, SMALL_BYTES) if max_bytes is None else max_bytes
    return int(allowed // vector_bytes)


def not_enough(k: int, size: int, dtype: np.dtype[Any], vectors: int) -> str:
    """What to say where `max_bytes` has not even room for so many vectors."""
    needed = vectors * size * np.dtype(dtype).itemsize
    return (
        f"{k} eigenvalues of {size:,} parameters take at least {needed / 2**20:,.1f} MiB of "
        f"vectors, more than max_bytes allows: allow more or ask for fewer."
    )


def require_free(needed: float) -> None:
    """Raise HessianError where the machine has less memory to give than `needed` bytes."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(
            1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")
        )
    except (OSError, StopIteration, ValueError, IndexError):
        return  # not Linux: whoever asks is told by the allocation itself
    if needed > free:
        raise HessianError(
            f"This takes {needed / 2**20:,.0f} MiB of vectors and the machine has "
            f"{free / 2**20:,.0f} MiB left: ask for fewer eigenvalues, or give max_bytes."
        )
