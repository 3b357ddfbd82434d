"""Series of a run as tables of pandas, which is imported when one is asked for."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tbgrad.log.records import Alert
from tbgrad.log.tags import Kind
from tbgrad.reading.estimates import numbers_of
from tbgrad.reading.histogram import bins_in_use

if TYPE_CHECKING:
    from tbgrad.reading.run import Run
    from tbgrad.reading.series import Series


def scalars(run: Run) -> Any:
    """All scalars: a row a step, a column a tag."""
    import pandas

    columns = {
        tag: pandas.Series(series.values, index=series.steps)
        for tag, series in sorted(run.series.items())
        if series.kind is Kind.SCALAR
    }
    return pandas.DataFrame(columns).rename_axis("step")


def packed(run: Run, tag: str) -> Any:
    """A packed series by its tag, as `Run.to_pandas` says."""
    import pandas

    series = run.series[tag]
    steps = pandas.Index(series.steps, name="step")
    if series.kind is Kind.STEPS:
        return pandas.DataFrame(series.values, steps, list(run.names))
    if series.kind is Kind.CURVATURE:
        return pandas.DataFrame([numbers_of(each) for each in series.values], steps)
    if series.kind is Kind.ALERTS:
        alerts = [{f.name: getattr(alert, f.name) for f in fields(Alert)} for alert in run.alerts]
        return pandas.DataFrame(alerts, columns=[f.name for f in fields(Alert)])
    if series.kind is Kind.HISTOGRAMS and run.manifest is not None:
        return _histograms(run, series)
    if series.kind is not Kind.PARAMETERS or run.manifest is None:
        raise ValueError(
            f"{tag!r} holds {series.kind.value}, which have no table; for a script: "
            f"tbgrad export LOGDIR -o FILE --tag {tag!r}"
        )
    columns = pandas.MultiIndex.from_product(
        [run.names, run.manifest.statistics], names=["parameter", "statistic"]
    )
    return pandas.DataFrame(series.values.reshape(len(series), -1), steps, columns)


def _histograms(run: Run, series: Series) -> Any:
    import pandas

    at, row, left, right, counts = bins_in_use(run, series, slice(None))
    columns = {
        "step": series.steps[at],
        "parameter": pandas.Categorical.from_codes(row.astype(np.int32), list(run.names)),
        "left": left,
        "right": right,
        "count": counts,
    }
    return pandas.DataFrame(columns)
