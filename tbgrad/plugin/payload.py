"""Answers as JSON. As in the log itself, NaN is written as null and infinities as strings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.encode import to_jsonable


def numbers(values: NDArray[Any]) -> list[Any]:
    """An array as (nested) lists that JSON can carry; float32 in its shortest exact form."""
    if values.dtype == np.float32:
        values = values.astype(str).astype(np.float64)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return list(to_jsonable(values.tolist()))
    return list(values.tolist())


def encode(content: Any) -> str:
    """`content`, whose numbers went through `numbers` or are finite, as JSON text."""
    return json.dumps(to_jsonable(content), separators=(",", ":"), allow_nan=False)
