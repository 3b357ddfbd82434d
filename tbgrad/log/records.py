"""What one logged thing IS: frozen records without I/O, for the writer and every reader."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.log import statistics
from tbgrad.log.batches import Batches
from tbgrad.log.share import Share

FORMAT_VERSION = 2

STATISTICS: tuple[str, ...] = tuple(statistics.STATISTICS)
"""Columns of the packed statistics, in the order in which this version writes them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One trainable parameter: a row of the packed series.

    `role` is what the tensor does in its layer: "kernel", "bias", "embedding", "normalization"
    or "other". `layer` is the path of the layer that owns it, `activation` the name of the function
    that the layer's output goes through next, "" where it is not known. `path` and `layer` are the
    same from run to run, `full_path` is what the framework calls it in this one, "" where the same.

    Of the layer, "" where not known: names of its `initializer` and `regularizer`, and whether a
    layer of `normalization` comes "before" or "after" it, "both", or "none" does.
    """

    path: str
    layer: str
    shape: tuple[int, ...]
    size: int
    dtype: str
    role: str
    activation: str = ""
    full_path: str = ""
    initializer: str = ""
    regularizer: str = ""
    normalization: str = ""


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """`names`, with a number behind those that came before.

    >>> distinct(["kernel", "bias", "kernel"])
    ('kernel', 'bias', 'kernel (2)')
    """
    seen: dict[str, int] = {}
    for name in names:
        number, candidate = 1, name
        while candidate in seen:
            number += 1
            candidate = f"{name} ({number})"
        seen[candidate] = len(seen)
    return tuple(seen)


@dataclass(frozen=True)
class HistogramBins:
    """Bins by sign and by magnitude, the same for every parameter and every step.

    With magnitude edges m_0 < … < m_E the columns of a packed histogram are, from left to right::

        -inf … -m_E | [-m_E, -m_{E-1}] … [-m_1, -m_0] | -m_0 … 0 | 0 | 0 … m_0 | [m_0, m_1] …
        [m_{E-1}, m_E] | m_E … inf | not finite

    so there are 2 E + 6 of them: overflow, E bins and underflow on each side, exact zero, and the
    non-finite values last. Counts add up over steps and replicas.
    """

    edges: tuple[float, ...]

    @classmethod
    def powers_of_two(cls, lowest: int = -40, highest: int = 16) -> HistogramBins:
        """Bins whose magnitude edges are 2^lowest, 2^(lowest+1), …, 2^highest."""
        return cls(tuple(2.0**e for e in range(lowest, highest + 1)))

    @property
    def magnitudes(self) -> int:
        """E, the number of magnitude bins on each side of zero."""
        return len(self.edges) - 1

    @property
    def columns(self) -> int:
        """B, the number of columns of a packed histogram."""
        return 2 * self.magnitudes + 6

    @property
    def zero_column(self) -> int:
        """Column of the values that are exactly zero."""
        return self.magnitudes + 2

    def joined(self, columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Counts [..., 2 E + 1] between rising edges [2 E + 2], of columns [..., B].

        The bin in the middle holds both underflows and the zeros; overflows and what is not finite
        have no bin.
        """
        middle = self.zero_column
        magnitudes = np.asarray(self.edges, dtype=np.float64)
        centre = columns[..., middle - 1 : middle + 2].sum(axis=-1, keepdims=True)
        sides = columns[..., 1 : middle - 1], columns[..., middle + 2 : -2]
        counts = np.concatenate([sides[0], centre, sides[1]], axis=-1)
        return counts, np.concatenate([-magnitudes[::-1], magnitudes])

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Left and right bound of every finite column: shape [B - 1, 2], rising."""
        m = np.asarray(self.edges, dtype=np.float64)
        positive = np.concatenate([[0.0], m, [np.inf]])
        left = np.concatenate([-positive[:0:-1], [0.0], positive[:-1]])
        right = np.concatenate([-positive[-2::-1], [0.0], positive[1:]])
        return np.stack([left, right], axis=1) + 0.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the rows and columns of the packed series mean, and how the run was set up.

    `optimizer` holds the optimizer's name and its settings as the framework reports them,
    `cadences` the number of steps between two records of each kind. `frozen` are the layers that
    were told not to train, `rules` those whose alerts the writer logs, `group` the name of these
    parameters where others are trained beside them, `first_step` that at which the writer began.

    Of the model, empty where not known: the name of its `loss` and whether that takes `logits`, the
    activation and the number of units of its output, its largest rate of `dropout` and what has
    that (`dropout_of`), and how its data came in `batches`.
    """

    parameters: tuple[Parameter, ...]
    statistics: tuple[str, ...] = STATISTICS
    histogram_bins: HistogramBins = field(default_factory=HistogramBins.powers_of_two)
    optimizer: Mapping[str, object] = field(default_factory=dict)
    cadences: Mapping[str, int] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    group: str = ""
    first_step: int = 0
    loss: str = ""
    logits: bool | None = None
    output_activation: str = ""
    output_units: int = 0
    dropout: float = 0.0
    dropout_of: str = ""
    batches: tuple[Batches, ...] = ()
    format_version: int = FORMAT_VERSION

    @classmethod
    def nameless(cls, rows: int, columns: int | None = None) -> Manifest:
        """Stands in for a manifest that was lost: rows, and odd columns, have numbers for names."""
        known = columns is None or columns == len(STATISTICS)
        return cls(
            tuple(Parameter(f"parameter {i}", "", (), 0, "", "other") for i in range(rows)),
            STATISTICS if known else tuple(f"column {i}" for i in range(columns or 0)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of the parameters, each one different."""
        return distinct(parameter.path for parameter in self.parameters)

    @property
    def full_paths(self) -> dict[str, str]:
        """What the framework calls the parameters, by `names`."""
        known = zip(self.names, self.parameters, strict=True)
        return {name: parameter.full_path or name for name, parameter in known}

    def column(self, statistic: str) -> int:
        """Column of `statistic`, -1 where this log does not have it."""
        return self.statistics.index(statistic) if statistic in self.statistics else -1


@dataclass(frozen=True, slots=True)
class Eigenvalue:
    """A Ritz value with the bound of its error: an eigenvalue lies within value ± residual."""

    value: float
    residual: float


@dataclass(frozen=True, slots=True)
class CurvatureEstimate:
    """Extreme Hessian eigenvalues on a fixed probe batch at the weights of one step.

    `eigenvalues` come in falling order; the first belongs to the top of the spectrum, the last to
    its bottom. `hvps` and `seconds` are what it cost; `loss` and `samples` describe the probe
    batch. `stability_threshold` is the largest eigenvalue at which the optimizer is stable, by
    `threshold_formula`; None where no threshold is known for the optimizer. Of an adaptive
    optimizer it is to be compared with `preconditioned`, the largest eigenvalue of the Hessian in
    the coordinates of the optimizer. `trace` and its standard error are NaN where they were not
    asked for. `method` is how products were computed. The shares of eigenvalues above zero, below
    zero and too near to it for the precision of the loss come with a spectral density, else None.
    """

    eigenvalues: tuple[Eigenvalue, ...]
    converged: bool
    hvps: int
    seconds: float
    loss: float
    samples: int
    stability_threshold: float | None = None
    threshold_formula: str = ""
    preconditioned: Eigenvalue | None = None
    trace: float = math.nan
    trace_error: float = math.nan
    method: str = ""
    minimum_ratio: Share | None = None
    negative_fraction: Share | None = None
    zero_fraction: Share | None = None

    @property
    def lambda_max(self) -> Eigenvalue:
        """The largest eigenvalue."""
        return self.eigenvalues[0]

    @property
    def lambda_min(self) -> Eigenvalue:
        """The smallest eigenvalue."""
        return self.eigenvalues[-1]

    @property
    def stability(self) -> float:
        """What the threshold bounds over it: above 1 is unstable, NaN where none is known."""
        if self.stability_threshold is None or not self.stability_threshold > 0:
            return math.nan
        return (self.preconditioned or self.lambda_max).value / self.stability_threshold


SEVERITIES = ("error", "warning", "info")
"""Of alerts, the gravest first."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A diagnosed fault, from the step where it began to the last where it was seen.

    A rule has one alert open at a time: its name and `first_step` say which alert of a run it is.
    `advice` is the one thing to change first, `next_advice` what to try where that is not it, and
    `headline` the fault in a few words; these two are "" in older logs. `threshold` is from what
    value on the rule applied, when this was told, of the scalar or statistic that shows the fault;
    None where it looks at something derived from that, and in older logs.
    """

    rule: str
    severity: Literal["info", "warning", "error"]
    parameters: tuple[str, ...]
    first_step: int
    last_step: int
    state: Literal["open", "closed"]
    evidence: str
    causes: tuple[str, ...]
    advice: str
    next_advice: str = ""
    headline: str = ""
    threshold: float | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from the other alerts of its run."""
        return self.rule, self.first_step

    def __str__(self) -> str:
        """The fault, since when and seen when, and what to change first, in one line."""
        seen = f", seen at step {self.last_step:,}" if self.last_step > self.first_step else ""
        since = f"{self.rule} since step {self.first_step:,}{seen}"
        advice = f". Change first: {self.advice}" if self.advice else ""
        return f"{since}: {self.evidence}{advice}"


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a log that could not be read: the file, the byte offset, and what was wrong."""

    file: str
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, byte {self.offset:,}: {self.reason}"
