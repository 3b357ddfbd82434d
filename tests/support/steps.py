"""Logs with every step of trainings that never were, through the real writer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Manifest
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS, in_group
from tbgrad.monitoring.step_log import StepLog
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest

PACE = 0.01
"""Seconds a step."""


def synthetic(count: int, rows: int, first: int = 1, seed: int = 0) -> Steps:
    """Falling loss and norms with noise; nothing absent, all finite."""
    rng = np.random.default_rng(seed)
    steps = np.arange(first, first + count)
    scale = np.exp(-steps / 5000)[:, None] * 10.0 ** rng.uniform(-3, 1, rows)
    norms = (scale * np.exp(0.3 * rng.standard_normal((count, rows)))).astype(np.float32)
    whole = np.sqrt((norms.astype(np.float64) ** 2).sum(axis=1)).astype(np.float32)
    loss = (2.3 * np.exp(-steps / 4000) + 0.05 * rng.standard_normal(count)).astype(np.float32)
    rate = np.full(count, 0.05, np.float32)
    return Steps(first, {LOSS: loss, LEARNING_RATE: rate, GRADIENT_NORM: whole}, norms)


def part(steps: Steps, start: int, end: int) -> Steps:
    """Some of the steps, by their place."""
    scalars = {tag: values[start:end] for tag, values in steps.scalars.items()}
    return Steps(steps.first_step + start, scalars, steps.norms[start:end])


@dataclass
class StepWriter:
    """Writes steps as a drained training does: blocks, then the logged steps that they cover."""

    directory: Path
    log: StepLog = field(default_factory=StepLog)
    manifest: Manifest = field(default_factory=manifest)
    start_step: int | None = 0
    group: str = ""
    every: int = 10
    pace: float = PACE
    at: float = EPOCH
    blocks_first: bool = True

    def __enter__(self) -> StepWriter:
        self.file = EventFileWriter(self.directory, start_step=self.start_step)
        self.describe(max(0, (self.start_step or 0) - 1), self.at)
        return self

    def describe(self, step: int, at: float, first_step: int | None = None) -> None:
        """Write the manifest, that of a session which begins after the step, or anew within one."""
        first = step + 1 if first_step is None else first_step
        self._add(step, [encode.manifest(replace(self.manifest, first_step=first))], at)

    def __exit__(self, *_: object) -> None:
        self._write(self.log.finish())
        self.file.close()

    def write(self, steps: Steps, drain: int = 100) -> None:
        """Write steps, so many a drain."""
        for at in range(0, len(steps), drain):
            drained = part(steps, at, at + drain)
            events = self.log.values(
                drained, self._time(drained.first_step), self._time(drained.last_step)
            )
            if self.blocks_first:
                self._write(events)
            self._write_logged(drained)
            if not self.blocks_first:
                self._write(events)

    def _write_logged(self, steps: Steps) -> None:
        for i, step in enumerate(range(steps.first_step, steps.last_step + 1)):
            if self.every and step % self.every == 0:
                table = np.full((steps.norms.shape[1], len(STATISTICS)), np.nan, np.float32)
                table[:, STATISTICS.index("norm")] = steps.norms[i]
                scalars = steps.scalars.items()
                values = [encode.scalar(tag, float(numbers[i])) for tag, numbers in scalars]
                self._add(step, [*values, encode.parameters(table)], self._time(step))

    def _write(self, events: Any) -> None:
        for step, values in events:
            self._add(step, values, self._time(step))

    def _add(self, step: int, values: list, wall_time: float) -> None:
        for value in values:
            value.tag = in_group(self.group, value.tag)
        self.file.add(step, values, wall_time)

    def _time(self, step: int) -> float:
        return self.at + step * self.pace
