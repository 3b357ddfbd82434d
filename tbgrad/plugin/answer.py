"""Answers as JSON. As in the log itself, NaN is written as null and infinities as strings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.encode import to_jsonable
from tbgrad.log.records import Parameter

MAX_SENTENCES = 50
"""More of what cannot be read is counted."""


def numbers(values: NDArray[Any]) -> list[Any]:
    """An array as (nested) lists that JSON can carry; float32 in its shortest exact form."""
    if values.dtype == np.float32:
        values = values.astype(str).astype(np.float64)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return list(to_jsonable(values.tolist()))
    return list(values.tolist())


def part_of(steps: NDArray[np.int64], first: int | None, last: int | None) -> slice:
    """Where in rising steps those from `first` to `last` are, both included; None is no bound."""
    start = 0 if first is None else int(np.searchsorted(steps, first))
    end = len(steps) if last is None else int(np.searchsorted(steps, last, side="right"))
    return slice(start, end)


def evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` places, the last among them, and the first where there is room."""
    places = count - 1 - np.linspace(0, count - 1, min(count, most)).astype(np.intp)
    return [int(place) for place in np.unique(places)]


def listed(sentences: Sequence[str]) -> list[str]:
    """The first MAX_SENTENCES of them, and how many more there are."""
    more = len(sentences) - MAX_SENTENCES
    return [*sentences[:MAX_SENTENCES], *([f"and {more:,} more"] if more > 0 else [])]


def digest(revisions: Iterable[str]) -> str:
    """A short text that changes when any of these does, in whatever order; "" of none."""
    told = " ".join(sorted(revisions))
    return hashlib.blake2s(told.encode(), digest_size=12).hexdigest() if told else ""


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
    """`content` as JSON text; arrays in it as `numbers` writes them."""
    try:
        return json.dumps(content, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:  # some number is not finite: rare, and all of it has to be looked at
        plain = json.loads(json.dumps(content, default=_plain))
        return json.dumps(to_jsonable(plain), separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return numbers(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not what an answer is made of")
