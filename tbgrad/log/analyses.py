"""What analyses after a training found, as JSON, and back: landscapes, critical points, checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.critical_point import CriticalPoint, Kind
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.json_numbers import number, share
from tbgrad.log.landscape import Axis, Landscape, PathPoint

CriticalPoints: TypeAlias = tuple[CriticalPoint, ...]
"""Of one search, which may have had many starts."""

Analysis: TypeAlias = Landscape | CriticalPoints | GradientCheck

MOST_EIGENVALUES = 101
MOST_NORMS = 200
MAX_POINTS = 1_000_000
"""More points than this in a landscape are taken for damage."""


def as_analysis(found: Analysis | CriticalPoint | list[CriticalPoint]) -> Analysis:
    """What a search gave, one or several critical points, as an analysis.

    Raises:
        TypeError: it is none.
    """
    points = [found] if isinstance(found, CriticalPoint) else found
    if isinstance(points, list | tuple) and points:
        if all(isinstance(point, CriticalPoint) for point in points):
            return tuple(points)
    elif isinstance(found, Landscape | GradientCheck):
        return found
    raise TypeError(
        "analysis is what find_critical_point, gradient_check, or line and plane of "
        f"tbgrad.analysis give, not {type(found).__name__}"
    )


def checked_name(analysis: Analysis, name: str) -> str:
    """The name that an analysis is logged by; its kind where none is given.

    Raises:
        ValueError: it has a slash, which separates the parts of a tag.
    """
    if "/" in name:
        raise ValueError(f"name is without a slash, not {name!r}")
    if name:
        return name
    if isinstance(analysis, Landscape):
        return "line" if len(analysis.axes) == 1 else "plane"
    return "gradient check" if isinstance(analysis, GradientCheck) else "critical points"


def content_of(analysis: Analysis) -> dict[str, Any]:
    """What is written of an analysis."""
    if isinstance(analysis, Landscape):
        return {"kind": "landscape", **_landscape(analysis)}
    if isinstance(analysis, GradientCheck):
        return {"kind": "gradient_check", **asdict(analysis)}
    return {"kind": "critical_points", "points": [_critical_point(p) for p in analysis]}


def analysis_of(content: Mapping[str, Any]) -> Analysis:
    """The analysis that was written.

    Raises:
        ValueError, LookupError, TypeError, OverflowError: it does not fit the format.
    """
    build: dict[str, Callable[[Mapping[str, Any]], Analysis]] = {
        "landscape": _landscape_of,
        "gradient_check": _gradient_check_of,
        "critical_points": lambda c: tuple(_critical_point_of(point) for point in c["points"]),
    }
    return build[content["kind"]](content)


def _landscape(record: Landscape) -> dict[str, Any]:
    return {
        "axes": [
            {"label": axis.label, "coordinates": _short(axis.coordinates), "length": axis.length}
            for axis in record.axes
        ],
        "loss": _short(record.loss.ravel()),
        "interpolated": np.flatnonzero(~record.evaluated.ravel()).tolist(),
        "gradient_norm": (
            None if record.gradient_norm is None else _short(record.gradient_norm.ravel())
        ),
        "centre_loss": record.centre_loss,
        "path": [
            [point.step, *_short([*point.place, point.distance])] for point in record.path
        ],
        "explained": list(record.explained),
        "samples": record.samples,
        "joins_two": record.joins_two,
    }  # fmt: skip


def _landscape_of(content: Mapping[str, Any]) -> Landscape:
    axes = tuple(
        Axis(str(axis["label"]), _numbers(axis["coordinates"]), number(axis["length"]))
        for axis in content["axes"]
    )
    shape = tuple(len(axis.coordinates) for axis in axes)
    if not 1 <= len(axes) <= 2 or not 0 < math.prod(shape) <= MAX_POINTS:
        raise ValueError(f"a landscape of {shape} points")
    evaluated = np.ones(math.prod(shape), bool)
    evaluated[np.array(content.get("interpolated", ()), dtype=np.int64)] = False
    norms = content.get("gradient_norm")
    return Landscape(
        axes=axes,
        loss=_numbers(content["loss"]).reshape(shape),
        evaluated=evaluated.reshape(shape),
        centre_loss=number(content["centre_loss"]),
        gradient_norm=None if norms is None else _numbers(norms).reshape(shape),
        path=tuple(
            PathPoint(int(step), tuple(number(each) for each in place), number(distance))
            for step, *place, distance in content.get("path", ())
        ),
        explained=tuple(number(each) for each in content.get("explained", ())),
        samples=int(content.get("samples", 0)),
        joins_two=bool(content.get("joins_two", False)),
    )


def _critical_point(record: CriticalPoint) -> dict[str, Any]:
    chosen = _chosen(len(record.eigenvalues), MOST_EIGENVALUES)
    ratio = record.minimum_ratio
    return {
        "kind": record.kind,
        "index": record.index,
        "index_is_exact": record.index_is_exact,
        "gradient_norm": record.gradient_norm,
        "norms": _short(record.norms[_chosen(len(record.norms), MOST_NORMS)]),
        "loss": record.loss,
        "eigenvalues": _short(record.eigenvalues[chosen]),
        "errors": _short(record.errors[chosen]),
        "minimum_ratio": None if ratio is None else asdict(ratio),
        "products": record.products,
        "gradients": record.gradients,
        "loss_steps": record.loss_steps,
        "reason": record.reason,
        "size": record.size,
    }


def _critical_point_of(content: Mapping[str, Any]) -> CriticalPoint:
    kind, index = content["kind"], content["index"]
    if kind not in get_args(Kind):
        raise ValueError(f"no kind of critical point: {kind!r}")
    eigenvalues, errors = _numbers(content["eigenvalues"]), _numbers(content["errors"])
    if len(eigenvalues) != len(errors):
        raise ValueError(f"{len(eigenvalues)} eigenvalues with {len(errors)} errors")
    return CriticalPoint(
        kind=kind,
        index=None if index is None else int(index),
        index_is_exact=bool(content["index_is_exact"]),
        gradient_norm=number(content["gradient_norm"]),
        norms=_numbers(content["norms"]),
        loss=number(content["loss"]),
        eigenvalues=eigenvalues,
        errors=errors,
        minimum_ratio=share(content["minimum_ratio"]),
        point=[],
        products=int(content["products"]),
        gradients=int(content["gradients"]),
        loss_steps=int(content["loss_steps"]),
        reason=str(content["reason"]),
        size=int(content["size"]),
    )


def _gradient_check_of(content: Mapping[str, Any]) -> GradientCheck:
    def by_name(what: str) -> dict[str, float]:
        return {str(name): number(value) for name, value in content[what].items()}

    return GradientCheck(
        loss=number(content["loss"]),
        norm=number(content["norm"]),
        norms=by_name("norms"),
        layer_norms=by_name("layer_norms"),
        noise=number(content["noise"]),
        noises=by_name("noises"),
        samples=int(content["samples"]),
        batch_size=int(content["batch_size"]),
    )


def _chosen(count: int, most: int) -> NDArray[np.intp]:
    """At most so many of `count` places, the first and the last among them, evenly."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, most)).round().astype(np.intp))


def _short(values: NDArray[np.float64] | Sequence[float]) -> list[float]:
    """Numbers in nine digits, which tell any two of float32 apart."""
    return [float(f"{value:.9g}") for value in np.asarray(values, np.float64).tolist()]


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([number(value) for value in values], np.float64)
