"""The points of a line or a plane, evaluated from coarse to fine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from tbgrad.hessian.errors import HessianError
from tbgrad.log.landscape import Axis, Landscape

STRIDES = (16, 8, 4, 2, 1)
"""Every so manieth point along either axis is evaluated, from coarse to fine."""

CALL_SECONDS = 0.3
"""So long a call takes at most, after which Ctrl-C is seen and the terminal told."""

Losses = Callable[[NDArray[Any]], tuple[NDArray[np.float64], NDArray[np.float64] | None]]


class Grid:
    """Losses, and norms of the gradient, at the points of a grid of one axis or two.

    Args:
        coordinates: of each axis.
        tolerance: where neighbours tell a point to this share, it is not evaluated; None for all.
        gradient: whether there are norms.

    Attributes:
        loss, norm: NaN where they are not known.
        evaluated: which of them were computed, and not interpolated.
    """

    def __init__(
        self, coordinates: Sequence[NDArray[np.float64]], tolerance: float | None, gradient: bool
    ) -> None:
        self._coordinates = coordinates
        self._tolerance = tolerance
        self._shape = tuple(len(axis) for axis in coordinates)
        self.loss = np.full(self._shape, np.nan)
        self.norm = np.full(self._shape if gradient else (0,), np.nan)
        self.evaluated = np.zeros(self._shape, bool)
        self._rough = np.zeros(self._shape, bool)

    def go_on(
        self, start: Landscape, axes: Sequence[Axis], centre_loss: float, losses: Losses
    ) -> None:
        """Take over what was evaluated before, once a point far out is seen to be the same still.

        Raises:
            HessianError: it is of other axes, or of other weights.
        """
        same = len(start.axes) == len(axes) and all(
            a.label == b.label
            and a.coordinates.shape == b.coordinates.shape
            and np.allclose(a.coordinates, b.coordinates, rtol=1e-6, atol=1e-12)
            for a, b in zip(start.axes, axes, strict=True)
        )
        if same and np.isclose(start.centre_loss, centre_loss, rtol=1e-5):
            known = np.argwhere(start.evaluated & np.isfinite(start.loss))
            places = np.column_stack([a.coordinates[known[:, i]] for i, a in enumerate(axes)])
            far = int(np.argmax(np.abs(places).sum(axis=1))) if len(known) else -1
            same = far < 0 or bool(
                np.isclose(losses(places[[far]])[0][0], start.loss[tuple(known[far])], rtol=1e-4)
            )
        else:
            same = False
        if not same:
            raise HessianError(
                "start is of other axes, directions or weights: pass what the same call returned."
            )
        if self.norm.size and start.gradient_norm is None:
            raise HessianError("start has no norms of the gradient: leave gradient=False.")
        self.evaluated |= start.evaluated
        self.loss[self.evaluated] = start.loss[self.evaluated]
        if self.norm.size and start.gradient_norm is not None:
            self.norm[self.evaluated] = start.gradient_norm[self.evaluated]

    def fill(self, losses: Losses, most: int, progress: bool | None) -> None:
        """Evaluate what is missing, at most `most` points a call, until all is or Ctrl-C."""
        console = Console(stderr=True)
        shown = console.is_terminal if progress is None else progress
        with Progress(console=console, transient=True, disable=not shown) as bar:
            task = bar.add_task("Loss landscape", total=int((~self.evaluated).sum()))
            chunk = 1
            try:
                for stride in STRIDES:
                    wanted = self._wanted(stride)
                    done = 0
                    while done < len(wanted):
                        part = wanted[done : done + min(chunk, most)]
                        begun = time.perf_counter()
                        self._evaluate(part, losses)
                        seconds = (time.perf_counter() - begun) / len(part)
                        chunk = max(1, min(2 * chunk, int(CALL_SECONDS / max(seconds, 1e-9))))
                        done += len(part)
                        bar.advance(task, len(part))
                    self._compare(stride)
                    self._interpolate(stride)
            except KeyboardInterrupt:
                if progress is False:  # whoever called is to end, too
                    raise
                for stride in STRIDES:
                    self._interpolate(stride)

    def _level(self, stride: int) -> tuple[NDArray[np.intp], ...]:
        """The indices along each axis that a level has; the last is always among them."""
        return tuple(np.union1d(np.arange(0, n, stride), [n - 1]) for n in self._shape)

    def _wanted(self, stride: int) -> NDArray[np.intp]:
        """Indices [K, axes] of the points of a level that are to be evaluated."""
        mask = np.zeros(self._shape, bool)
        mask[np.ix_(*self._level(stride))] = True
        if self._tolerance is not None and stride < STRIDES[0]:
            mask &= self._rough
        return np.argwhere(mask & ~self.evaluated)

    def _evaluate(self, part: NDArray[np.intp], losses: Losses) -> None:
        places = [axis[part[:, i]] for i, axis in enumerate(self._coordinates)]
        values, norms = losses(np.column_stack(places))
        index = tuple(part.T)
        self.loss[index] = values
        if norms is not None:
            self.norm[index] = norms
        self.evaluated[index] = True

    def _compare(self, stride: int) -> None:
        """See where a level was told by the one above it: there the next is not evaluated."""
        if self._tolerance is None:
            return
        self._rough = np.full(self._shape, stride >= STRIDES[1])
        if stride >= STRIDES[1]:
            return  # there is nothing yet that could be trusted
        told = self._from_above(self.loss, stride)
        values = self.loss[self.evaluated & np.isfinite(self.loss)]
        scale = np.minimum(np.ptp(values) if len(values) else 0.0, np.abs(self.loss))
        off = ~(np.abs(told - self.loss) <= self._tolerance * scale)
        for place in np.argwhere(self.evaluated & off):
            near = tuple(slice(max(0, i - 2 * stride), i + 2 * stride + 1) for i in place)
            self._rough[near] = True

    def _interpolate(self, stride: int) -> None:
        """Fill in the points of a level that are not evaluated, from the level above it."""
        if stride == STRIDES[0]:
            return
        missing = np.zeros(self._shape, bool)
        missing[np.ix_(*self._level(stride))] = True
        missing &= ~self.evaluated
        if missing.any():
            for values in (self.loss, self.norm)[: 2 if self.norm.size else 1]:
                values[missing] = self._from_above(values, stride)[missing]

    def _from_above(self, values: NDArray[np.float64], stride: int) -> NDArray[np.float64]:
        """All points, interpolated between those of the level above this one."""
        levels = self._level(2 * stride)
        return _interpolated(values[np.ix_(*levels)], levels, self._shape)


def _interpolated(
    values: NDArray[np.float64], levels: Sequence[NDArray[np.intp]], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Linear along each axis in turn, from the places of a level to all indices."""
    for axis, (places, length) in enumerate(zip(levels, shape, strict=True)):
        moved = np.moveaxis(values, axis, -1)
        rows = moved.reshape(-1, moved.shape[-1])
        wide = np.array([np.interp(np.arange(length), places, row) for row in rows])
        values = np.moveaxis(wide.reshape(*moved.shape[:-1], length), -1, axis)
    return values
