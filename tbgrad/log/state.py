"""How a run goes, as its writer says: what it is, what it does now, how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Hyperparameter: TypeAlias = str | bool | int | float

RUNNING, FINISHED, INTERRUPTED, FAILED, LEFT = (
    "running", "finished", "interrupted", "failed", "left",
)  # fmt: skip
STATUSES = (RUNNING, FINISHED, INTERRUPTED, FAILED, LEFT)
"""What a writer says of itself. "left" is a loop whose writer was never closed."""


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of a run, as of its newest sign of life.

    Times are seconds since the epoch by the clock of the writer, which makes a sign of life every
    `heartbeat` seconds, 0 where that is not known. `step` is the newest one known, `epoch` the one
    under way, from 1 on; of these and of what is planned (`steps` updates in all, `epochs`,
    `steps_per_epoch`) 0 is not known. `doing` is "validation" while there is one. `exception` is
    what ended it, in one line. `pace` is how long a step takes in this run, `recent` how long it
    took last, in seconds; NaN where not known. `versions` are those of Python and packages.
    `resources` are numbers by name: see `tbgrad.monitoring.resources`.
    """

    status: str = RUNNING
    started: float = 0.0
    heartbeat: float = 0.0
    step: int = 0
    epoch: int = 0
    doing: str = ""
    exception: str = ""
    pace: float = math.nan
    recent: float = math.nan
    steps: int = 0
    epochs: int = 0
    steps_per_epoch: int = 0
    host: str = ""
    pid: int = 0
    hparams: Mapping[str, Hyperparameter] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)

    def heard(self, sign: RunState) -> RunState:
        """This state with what a later sign of life says."""
        if self.status != RUNNING:
            return self
        return replace(self, **{name: getattr(sign, name) for name in CHANGING})


CHANGING = ("step", "epoch", "doing", "pace", "recent", "resources")
"""What a sign of life says; all the rest is said as a run begins and ends."""
