"""An answer with large arrays as bytes: JSON, then float32, as http_api.md lays it out."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.plugin import answer

CONTENT_TYPE = "application/octet-stream"


def parted(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """An answer without its maps, and these: what is float32 [P, T] of it."""
    maps = {
        name: value
        for name, value in content.items()
        if isinstance(value, np.ndarray) and value.dtype == np.float32 and value.ndim == 2
    }
    return {name: value for name, value in content.items() if name not in maps}, maps


def with_arrays(content: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    """`content` with float32 arrays behind it, which `arrays` in it tells of.

    >>> with_arrays({"run": "a"}, {"values": np.zeros((2, 3), np.float32)})
    """
    room = len(answer.as_json(content).encode()) + 200 * (len(arrays) + 1)
    size = room + -(4 + room) % 4
    described, offset = [], 4 + size
    for name, array in arrays.items():
        described.append({"name": name, "shape": list(array.shape), "offset": offset})
        offset += 4 * array.size
    head = answer.as_json({**content, "arrays": described}).encode().ljust(size)
    bodies = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values()]
    return b"".join([struct.pack("<I", size), head, *bodies])
