"""Where the weights are during a training: when that is logged, and how much of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from tbgrad.log import encode
from tbgrad.log.records import Parameter
from tbgrad.log.weight_sketch import WeightSketch

Asked: TypeAlias = bool | Literal["exact"]
"""Whether a trajectory is to be logged, and whether with all weights."""

A_DOUBLING = 32
"""Places each time the number of steps has doubled, after so many first steps with one each."""

MOST_EXACT = 1_000_000
"""More weights than this are not logged one by one: 4 MB a place, some hundred places a run."""


def check_trajectory(asked: object) -> Asked:
    """What was asked for, as it is.

    Raises:
        ValueError: it is neither a truth value nor "exact".
    """
    if isinstance(asked, bool):
        return asked
    if asked == "exact":
        return "exact"
    raise ValueError(
        f'trajectory is True, False or "exact" (all weights, up to {MOST_EXACT:,}), not {asked!r}'
    )


def next_place(step: int) -> int:
    """The first step after this one at which the weights are logged."""
    apart = 1 << max(0, (step // A_DOUBLING).bit_length() - 1)
    return (step // apart + 1) * apart


class Trajectory:
    """Logs where the weights are: a few hundred times a run, however long it is.

    Args:
        exact: whether to log all weights.
        add: queues values of a step for the thread that writes the log; they are made there.
        note: says a sentence in the log, once.
    """

    def __init__(
        self,
        exact: bool,
        add: Callable[[int, Callable[[], Sequence[Any]]], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._exact, self._add, self._note = exact, add, note
        self._parameters: Sequence[Parameter] = ()
        self._sketch: WeightSketch | None = None
        self._last, self._next = -1, 0
        self._waiting: weakref.ref[Any] | None = None

    def due(self, step: int) -> bool:
        """Whether it is time, or the training was set back, and the last place is written."""
        free = self._waiting is None or self._waiting() is None
        return free and (step >= self._next or step < self._last)

    def take(
        self, step: int, parameters: Sequence[Parameter], weights: Callable[[], Sequence[Any]]
    ) -> None:
        """Log the weights after `step` updates; `weights` makes copies of them, in row order."""
        if step == self._last:
            return
        if self._sketch is None or parameters != self._parameters:
            self._parameters = parameters
            self._sketch = WeightSketch(parameters, self._exact and self._may(parameters))
        self._last, self._next = step, next_place(step)
        sketch, copies = self._sketch, weights()

        def made() -> Sequence[Any]:
            self._waiting = None
            return [encode.trajectory(sketch.of(copies))]

        self._waiting = weakref.ref(made)  # gone, too, where a full queue drops it
        self._add(step, made)

    def _may(self, parameters: Sequence[Parameter]) -> bool:
        size = sum(parameter.size for parameter in parameters)
        if size > MOST_EXACT:
            self._note(
                "trajectory",
                f'trajectory="exact" of {size:,} weights would take {4 * size / 1e6:,.0f} MB a '
                "place: a sketch that keeps distances is logged instead",
            )
        return size <= MOST_EXACT
