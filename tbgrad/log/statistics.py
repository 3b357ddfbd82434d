"""The table of statistics: the columns of the packed series that has a row for each parameter.

A new statistic is one entry here, and a function where it is computed. Every face reads this table;
a column that is not in it is shown all the same, by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of one parameter.

    `scale` is "log" for sizes over decades, "signed" for values on both sides of zero, "unit" for
    shares from 0 to 1, "correlation" from -1 to 1, "count" for whole numbers. `usual_range` is what
    a healthy training shows, None where that depends on the model.
    """

    name: str
    label: str
    meaning: str
    scale: Literal["log", "signed", "unit", "correlation", "count"]
    usual_range: tuple[float, float] | None = None


_ENTRIES = (
    Statistic("norm", "gradient norm", "L2 norm of the gradient", "log"),
    Statistic("norm_max", "peak norm", "largest norm since the step logged before", "log"),
    Statistic("mean", "mean", "mean of the gradient's values", "signed"),
    Statistic("std", "spread", "standard deviation of the gradient's values", "log"),
    Statistic("abs_max", "largest value", "largest magnitude of any value", "log"),
    Statistic("zero_fraction", "zeros", "share of values that are exactly zero", "unit", (0, 0.9)),
    Statistic(
        "dead_fraction", "dead units", "share of output units without any gradient", "unit",
        (0, 0.5),
    ),
    Statistic(
        "nonfinite", "not finite", "steps with NaN or infinite values since that logged before",
        "count",
        (0, 0),
    ),
    Statistic("weight_norm", "weight norm", "L2 norm of the weights", "log"),
    Statistic("update_norm", "update norm", "L2 norm of the applied update", "log"),
    Statistic(
        "cosine", "direction", "cosine to the gradient logged before: 1 same, −1 opposite",
        "correlation",
    ),
    Statistic(
        "snr", "signal to noise",
        "squared mean of the gradient over its variance, from the optimizer's moments", "log",
    ),
)  # fmt: skip

STATISTICS: dict[str, Statistic] = {statistic.name: statistic for statistic in _ENTRIES}
"""By name, in the order in which this version writes the columns."""


def statistic_of(name: str) -> Statistic:
    """The entry of a name; of one that the table does not know, its own name."""
    unknown = "a statistic this version does not know"
    return STATISTICS.get(name) or Statistic(name, name, unknown, "signed")
