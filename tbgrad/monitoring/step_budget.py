"""How many bytes the steps of a run may take, and in windows how wide they fit."""

from __future__ import annotations

from dataclasses import dataclass

from tbgrad.log.step_blocks import windows_in
from tbgrad.log.step_windows import SCALAR_WINDOW

BURST_MINUTES = 32
"""The budget of so many minutes may be spent at once: a short training is wholly on file."""

HORIZON_SECONDS = 86_400.0
"""No more is spent in this time than what is left of the whole: so it never ends."""

BLOCK_BYTES = 250
"""An event with a block without its numbers, about."""

BLOCK_STEPS = 256
"""Of a block in which steps are not in windows. A server keeps few of these."""

BLOCK_WINDOWS = 16
"""Of a block in windows that would otherwise be shorter than `BLOCK_STEPS`."""


@dataclass(frozen=True)
class Plan:
    """How wide the windows of a stretch of steps are; 1 is every step."""

    norm_width: int
    scalar_width: int

    @property
    def block_steps(self) -> int:
        """Steps of a block."""
        return max(BLOCK_STEPS, BLOCK_WINDOWS * self.norm_width)

    def bytes_of(self, steps: int, scalars: int, rows: int, levels: tuple[int, ...]) -> float:
        """About what so many steps take with what is written of them in these coarser levels."""
        each = 4 if self.scalar_width == 1 else SCALAR_WINDOW.itemsize
        norms = windows_in(steps, self.norm_width) * rows * (2 if self.norm_width == 1 else 6)
        numbers = windows_in(steps, self.scalar_width) * scalars * each
        coarser = sum(
            (6 * rows + 4 * SCALAR_WINDOW.itemsize * scalars + BLOCK_BYTES / 4) / width
            for width in levels
            if width >= self.norm_width
        )
        blocks = windows_in(steps, self.block_steps) * BLOCK_BYTES
        return blocks + norms + numbers + steps * coarser


PLANS = (
    Plan(1, 1),
    *(Plan(4 << k, 1) for k in range(7)),
    *(Plan(256 << k, 16 << k) for k in range(9)),
)
"""The finest first. Windows of two norms would take more than both."""


class StepBudget:
    """Bytes that gather by the minute, and at most so many in all."""

    def __init__(self, bytes_per_minute: float, most_bytes: float) -> None:
        self.bytes_per_minute = bytes_per_minute
        self._left = float(most_bytes)
        self._burst = min(BURST_MINUTES * bytes_per_minute, self._left / 2)
        self.ready = self._burst
        self._now: float | None = None

    def gather(self, now: float) -> None:
        """It is so late, in seconds."""
        passed = 0.0 if self._now is None else max(0.0, now - self._now)
        self._now = now if self._now is None else max(now, self._now)
        rate = min(self.bytes_per_minute / 60, self._left / HORIZON_SECONDS)
        self.ready = min(self.ready + rate * passed, self._burst, self._left)

    def spend(self, count: int) -> None:
        """So many bytes were written."""
        self._left -= count
        self.ready -= count

    @property
    def is_plentiful(self) -> bool:
        """Whether half of what may be spent at once is there, or more."""
        return self.ready >= self._burst / 2

    def plan(self, steps: int, scalars: int, rows: int, levels: tuple[int, ...]) -> Plan | None:
        """The finest that fits into what is ready; None where none does."""
        for plan in PLANS:
            if plan.bytes_of(steps, scalars, rows, levels) <= self.ready:
                return plan
        return None

    def last_plan(
        self, steps: int, scalars: int, rows: int, levels: tuple[int, ...]
    ) -> Plan | None:
        """The coarsest, for what cannot wait; None where not even that fits into the whole."""
        fits = PLANS[-1].bytes_of(steps, scalars, rows, levels) <= self._left
        return PLANS[-1] if fits else None
