"""What a reader hands out: a run, a mapping from tag to series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.analyses import Analysis
from tbgrad.log.brief import count
from tbgrad.log.decode import ended_at
from tbgrad.log.records import Alert, Damage, Manifest, Parameter
from tbgrad.log.state import RunState
from tbgrad.log.statistics import STATISTICS
from tbgrad.log.tags import ANALYSES, GRADIENT_NORM, NOTES, PARAMETERS, Kind
from tbgrad.reading import frames
from tbgrad.reading.estimates import threshold_of
from tbgrad.reading.extremes import Extreme, ends_of
from tbgrad.reading.histogram import Histogram, histogram_of
from tbgrad.reading.left_out import LeftOut
from tbgrad.reading.names import row_of, unknown
from tbgrad.reading.norms import Layer, layer_of, norm_of
from tbgrad.reading.series import Series


@dataclass(frozen=True)
class Run(Mapping[str, Series]):
    """All that was read of one run: a mapping from tag to `Series`.

    `manifest` is the newest one, None for a log without tbgrad series. `parameters` are the rows of
    the packed series: those of the manifest, then those that only earlier manifests had; `names`
    are their paths, each one different. `damage` lists what could not be read of all files of the
    directory, also where these are several runs; `bytes_read` counts their bytes, and of groups and
    of further names of a directory the first run has them. `left_out` counts what could be read and
    is in no series: values that gave way to others, and those of kinds that are not read.

    `state` is how its writer said last that it goes, None of logs that do not say so, and `heard`
    when that was, in seconds since the epoch by the writer's clock; `tbgrad.reading.state` tells
    what that means now. `full` has the gradient norms without the steps of a short batch, where
    the reader was to hold them (`Limits.extremes`).
    """

    name: str
    series: Mapping[str, Series]
    manifest: Manifest | None = None
    parameters: tuple[Parameter, ...] = ()
    names: tuple[str, ...] = ()
    damage: tuple[Damage, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    bytes_read: int = 0
    state: RunState | None = None
    heard: float = 0.0
    full: Mapping[str, Series] = field(default_factory=dict)

    def __repr__(self) -> str:
        said = [f"{len(self):,} series", count(len(self.names), "parameter")]
        if steps := [s.steps for s in self.series.values() if len(s)]:
            first, last = min(int(each[0]) for each in steps), self.last_step
            said.insert(0, f"steps {first:,} to {last:,}")
        if self.state is not None:
            said.append(self.state.status)
        return f"Run({self.name!r}: {', '.join(said)})"

    def __getitem__(self, tag: str) -> Series:
        return self.series[tag]

    def __iter__(self) -> Iterator[str]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    @property
    def last_step(self) -> int:
        """The highest step of any series, -1 where there is none."""
        return max((int(s.steps[-1]) for s in self.series.values() if len(s)), default=-1)

    @property
    def last_wall_time(self) -> float:
        """When the newest value was written, in seconds since the epoch; 0 where there is none."""
        return max((float(s.wall_times[-1]) for s in self.series.values() if len(s)), default=0.0)

    @property
    def last_sign(self) -> float:
        """When anything at all was written last, as `last_wall_time`."""
        return max(self.last_wall_time, self.heard)

    @property
    def notes(self) -> list[tuple[int, str]]:
        """Step and text of what the monitor wrote about itself."""
        series = self.series.get(NOTES)
        if series is None or series.kind is not Kind.TEXT:
            return []
        return [
            (int(step), str(text)) for step, text in zip(series.steps, series.values, strict=True)
        ]

    @property
    def monitoring_ended(self) -> int | None:
        """The step at which the monitoring ended after a failure of its own; None where not."""
        norm = self.series.get(GRADIENT_NORM)
        return ended_at(self.notes, int(norm.steps[-1]) if norm is not None and len(norm) else None)

    @property
    def analyses(self) -> dict[str, Analysis]:
        """What was found of the weights after the training, or during it: the newest by name.

        Landscapes, critical points and checks of the gradient: see `tbgrad.analysis`.
        """
        return {
            tag.removeprefix(ANALYSES): series.values[-1]
            for tag, series in sorted(self.series.items())
            if series.kind is Kind.ANALYSIS and len(series)
        }

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Every alert once, in its final state, by its cause: each fault before what followed.

        As `tbgrad report --json` and both faces tell them: those in the log, and what the rules
        find in it that its writer did not watch. They are found anew at each call.

        >>> [(alert.rule, alert.state, alert.first_step) for alert in runs["a"].alerts]
        """
        from tbgrad.judgement.replay import alerts_of

        return alerts_of(self)

    @property
    def threshold(self) -> Series:
        """The largest eigenvalue at which the optimizer was stable, at every estimate: float64 [T].

        2/η for gradient descent; the `threshold_formula` of each `CurvatureEstimate` says by what.
        λmax is to be compared with it, and of an adaptive optimizer `preconditioned`. Estimates for
        whose optimizer none is known are left out.

        >>> runs["a"]["curvature/lambda_max"].values / runs["a"].threshold.values
        """
        return threshold_of(self)

    def to_pandas(self, tag: str | None = None) -> Any:
        """A pandas DataFrame: all scalars, one row a step and one column a tag; or a series by tag.

        - `tbgrad/steps` (norms): one row a step, one column a parameter;
        - `tbgrad/parameters`: one row a logged step, columns by parameter and statistic
          (MultiIndex);
        - `tbgrad/curvature`: one row an estimate, with `lambda_max`, `lambda_max_error`, …,
          `trace`, `stability_threshold`, `stability`, `hvps`, `seconds`, `converged`, NaN for what
          it lacks;
        - `tbgrad/histograms`: one row a bin that is not empty, with `step`, `parameter`, `left`,
          `right` and `count`; the edges of exact zero are both 0, those of non-finite values NaN;
        - `tbgrad/alerts`: one row an alert in its final state, as in `alerts`.

        Raises:
            ImportError: pandas is not installed.
            KeyError: the run has no such series.
            ValueError: the series is none of these.

        >>> runs["a"].to_pandas()["gradient/norm"].rolling(100).max()
        >>> runs["a"].to_pandas("tbgrad/parameters").xs("norm", axis=1, level="statistic")
        """
        if tag is None:
            return frames.scalars(self)
        self._check(tag)
        return frames.packed(self, tag)

    def norm(self, parameter: str) -> Series:
        """The gradient norm of one parameter at every step, by its name in `names`: float64 [T].

        NaN where it had no gradient, infinite where that was not finite. Where a log does not have
        every step, the norms at the logged steps.

        Raises:
            KeyError: the run has no such parameter.

        >>> runs["a"].norm("dense/kernel").window(1_000, 2_000).maximum
        """
        return norm_of(self, [row_of(self, parameter)])

    def layer(self, path: str) -> Layer:
        """A layer by its path, as `Parameter.layer` has it: its `norm` at every step, and more.

        Raises:
            KeyError: the run has no such layer; the nearest names are listed.

        >>> runs["a"].layer("conv_1").norm.values
        >>> runs["a"].layer("conv_1").parameters
        """
        return layer_of(self, path)

    def histogram(self, parameter: str, step: int | None = None) -> Histogram:
        """The histogram of the gradient of one parameter at the last logged step up to `step`.

        The newest where no step is given; `Histogram.step` says which it is.

        Raises:
            KeyError: the run has no such parameter.
            ValueError: the log has no histogram of it, or none up to `step`.

        >>> h = runs["a"].histogram("dense/kernel", 500)
        >>> h.counts, h.edges, h.zero, h.nonfinite
        """
        return histogram_of(self, parameter, step)

    def smallest(self, tag: str, count: int = 1) -> list[Extreme]:
        """Where a scalar was smallest, the smallest first: step, value, and epoch and loss there.

        Only finite values count. Of the loss and the gradient norm, steps with the short last batch
        of an epoch are left out, as in `tbgrad report`; `run[tag].smallest(5)` has them too.

        Raises:
            KeyError: the run has no such series.
            ValueError: the series does not hold single numbers, or `count` is below 1.

        >>> runs["a"].smallest("gradient/norm", 5)
        [Extreme(step=1730, value=0.0213, epoch=13, loss=0.0074), …]
        >>> pandas.DataFrame(runs["a"].smallest("gradient/norm", 5))
        """
        self._check(tag)
        return ends_of(self, tag, count, largest=False)

    def largest(self, tag: str, count: int = 1) -> list[Extreme]:
        """The same of its largest values, the largest first."""
        self._check(tag)
        return ends_of(self, tag, count, largest=True)

    def statistic(self, name: str) -> NDArray[np.float32]:
        """One statistic of every parameter at the logged steps, [T, P]; NaN where the log lacks it.

        T are the `steps` of `run["tbgrad/parameters"]`, P the rows of `names`. The statistics are:

        <table>

        Raises:
            KeyError: neither this version nor the log has a statistic of that name.

        >>> runs["a"].statistic("zero_fraction")[-1]
        """
        logged = self.manifest.statistics if self.manifest is not None else ()
        if name not in STATISTICS and name not in logged:
            raise unknown("statistic", name, [*logged, *STATISTICS])
        packed = self.series.get(PARAMETERS)
        if packed is None or self.manifest is None:
            return np.zeros((0, len(self.parameters)), dtype=np.float32)
        column = self.manifest.column(name)
        if column < 0:
            return np.full((len(packed), len(self.parameters)), np.nan, dtype=np.float32)
        return packed.column(column)

    def figure(self, name: str = "scalars", **options: Any) -> Any:
        """A Plotly figure of this run for a notebook: what `tbgrad.figure(run, name, …)` makes.

        >>> runs["a"].figure()                                      # loss and gradient norm
        >>> runs["a"].figure("layers", statistic="zero_fraction")
        """
        from tbgrad.figures import figure

        return figure(self, name, **options)

    def _check(self, tag: str) -> None:
        if tag not in self.series:
            raise unknown("series", tag, self.series)


_TABLE = "\n        ".join(f"- `{one.name}`: {one.meaning}" for one in STATISTICS.values())
if Run.statistic.__doc__ is not None:  # as python -OO leaves it
    Run.statistic.__doc__ = Run.statistic.__doc__.replace("<table>", _TABLE)
