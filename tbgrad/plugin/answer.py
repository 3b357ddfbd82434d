"""Answers as JSON. As in the log itself, NaN is written as null and infinities as strings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.encode import to_jsonable
from tbgrad.log.records import Parameter


def numbers(values: NDArray[Any]) -> list[Any]:
    """An array as (nested) lists that JSON can carry; float32 in its shortest exact form."""
    if values.dtype == np.float32:
        values = values.astype(str).astype(np.float64)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return list(to_jsonable(values.tolist()))
    return list(values.tolist())


def described(names: Sequence[str], parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Parameters by their names in the run, each one different."""
    return [
        {
            "name": name,
            "layer": parameter.layer,
            "shape": list(parameter.shape),
            "size": parameter.size,
            "dtype": parameter.dtype,
            "role": parameter.role,
        }
        for name, parameter in zip(names, parameters, strict=True)
    ]


def as_json(content: Any) -> str:
    """`content`, whose numbers went through `numbers` or are finite, as JSON text."""
    return json.dumps(to_jsonable(content), separators=(",", ":"), allow_nan=False)
