"""Norms of gradients at every step: of one parameter, and of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.tags import PARAMETERS, STEPS, Kind
from tbgrad.reading.every_step import together
from tbgrad.reading.names import unknown
from tbgrad.reading.series import Norms, Series, norms_of_row

if TYPE_CHECKING:
    from tbgrad.reading.run import Run


@dataclass(frozen=True)
class Layer:
    """One layer of a run: its `path`, and the `parameters` that are trained in it, by name."""

    path: str
    parameters: tuple[str, ...]
    rows: tuple[int, ...] = field(repr=False)
    run: Run = field(repr=False)

    @property
    def norm(self) -> Series:
        """L2 norm of the gradient of the whole layer at every step: float64 [T].

        The root of the sum of the squares of the norms of its parameters, to within 0.15 %; NaN
        where none of them had a gradient, infinite where one was not finite. Where a log does not
        have every step, those of the logged steps. Where it has windows of steps in place of steps,
        `minimum` and `maximum` of its `buckets` are bounds of the norms in them, and `values` the
        upper ones.

        >>> runs["a"].layer("conv_1").norm.values
        """
        return norm_of(self.run, self.rows)

    def statistic(self, name: str) -> NDArray[np.float32]:
        """One statistic of its parameters at the logged steps, [T, len(parameters)]: as that of a
        run.
        """
        return self.run.statistic(name)[:, list(self.rows)]


def layers_of(run: Run) -> dict[str, tuple[int, ...]]:
    """The rows of the parameters of every layer, in the order of the log."""
    rows: dict[str, tuple[int, ...]] = {}
    for row, parameter in enumerate(run.parameters):
        rows[parameter.layer] = (*rows.get(parameter.layer, ()), row)
    return rows


def layer_of(run: Run, path: str) -> Layer:
    """A layer by its path, as `Run.layer` says."""
    rows = layers_of(run)
    if path not in rows:
        raise unknown("layer", path, rows)
    return Layer(path, tuple(run.names[row] for row in rows[path]), rows[path], run)


def norm_of(run: Run, rows: Sequence[int]) -> Series:
    """The norm of some parameters taken as one, at every step."""
    packed = run.series.get(PARAMETERS)
    logged = Series(Kind.SCALAR, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    if packed is not None:
        norms = rooted(run.statistic("norm")[:, list(rows)])
        logged = Series(Kind.SCALAR, packed.steps, packed.wall_times, norms)
    steps = run.series.get(STEPS)
    if steps is None or steps.kind is not Kind.STEPS or not len(steps):
        return logged
    return together(logged, norms_of_row(steps, rows[0]) if len(rows) == 1 else _of(steps, rows))


def _of(steps: Series, rows: Sequence[int]) -> Series:
    columns = list(rows)
    if steps.buckets is None:
        points = steps.points
        norms = points.rows(columns) if isinstance(points, Norms) else steps.values[:, columns]
        return Series(Kind.SCALAR, steps.steps, steps.wall_times, rooted(norms))
    whole = steps.buckets
    whole_norms: dict[str, NDArray[Any]] = {
        name: rooted(getattr(whole, name)[:, columns])
        for name in ("minimum", "maximum", "mean", "last")
    }
    buckets = replace(whole, **whole_norms)
    return Series(Kind.SCALAR, steps.steps, steps.wall_times, whole_norms["maximum"], buckets)


def rooted(norms: NDArray[Any]) -> NDArray[np.float64]:
    """The norm [T] of vectors whose parts have these norms [T, p], passing over NaN."""
    squares = np.square(norms.astype(np.float64))
    roots: NDArray[np.float64] = np.sqrt(np.nansum(squares, axis=1))
    roots[np.isnan(squares).all(axis=1)] = np.nan
    return roots
