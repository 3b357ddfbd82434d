"""The addresses: what each takes, what answers it, and which series its answer is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tbgrad.log.tags import (
    HISTOGRAM_PLUGIN_NAME,
    PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
)
from tbgrad.plugin import assets
from tbgrad.plugin.arguments import Reader, choice, step, text, texts, whole
from tbgrad.plugin.samples import SCALARS_PLUGIN
from tbgrad.plugin.views import (
    alerts,
    compare,
    curvature,
    landscape,
    layers,
    overview,
    parameter,
    paths,
    run,
    scalars,
    settings,
)

MAX_COLUMNS = 2000
MAX_POINT = 1_000_000
MAX_ROW = 10_000_000


@dataclass(frozen=True)
class Route:
    """What answers an address: a function of a snapshot and of the arguments.

    `series` are the plugin names of those that the answer is made of: it changes when one of them
    goes on. Of other routes the answer itself tells whether it has changed. One that `is_light`
    reads little, and waits for no other; one that `looks` asks what there is.
    """

    view: Callable[..., Any]
    arguments: Mapping[str, Reader] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    is_light: bool = False
    looks: bool = True


_RUN = {"run": text()}
_BETWEEN = {"from": step(), "to": step()}
_TIMES = {"times": choice("0", "1")}
_MAP = {
    "statistic": text("norm"),
    "columns": whole(300, 1, MAX_COLUMNS),
    "format": choice("json", "binary"),
    **_BETWEEN,
}
_PARAMETER = {**_RUN, "parameter": text(), **_BETWEEN, **_TIMES}
_OURS = (PLUGIN_NAME, STEPS_PLUGIN_NAME)

ROUTES: dict[str, Route] = {
    "runs": Route(run.runs, is_light=True),
    "tables": Route(
        lambda snapshot: run.tables(samples=snapshot.source.limits), is_light=True, looks=False
    ),
    "overview": Route(overview.overview, {"run": text(""), "filter": text("")}),
    "status": Route(run.status, _RUN, is_light=True),
    "scalars": Route(
        scalars.scalars,
        {
            "run": texts(scalars.MAX_RUNS, required=True),
            "tag": texts(scalars.MAX_TAGS),
            **_BETWEEN,
            **_TIMES,
        },
        (SCALARS_PLUGIN, *_OURS),
    ),
    "layers": Route(
        layers.layers,
        {
            **_RUN,
            **_MAP,
            **_TIMES,
            "row": whole(0, 0, MAX_ROW),
            "find": text(""),
            "order": choice("network", "worst", "change"),
        },
        _OURS,
    ),
    "compare": Route(compare.compare, {**_RUN, "with": text(), **_MAP}, _OURS),
    "settings": Route(settings.settings, {**_RUN, "with": text()}, (SCALARS_PLUGIN, *_OURS)),
    "parameter": Route(parameter.parameter, _PARAMETER, _OURS),
    "histogram": Route(
        parameter.histogram,
        {**_PARAMETER, "most": whole(parameter.MAX_HISTOGRAMS, 1, parameter.MAX_HISTOGRAMS)},
        (PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME),
    ),
    "curvature": Route(curvature.curvature, {**_RUN, **_TIMES}, (SCALARS_PLUGIN, *_OURS)),
    "density": Route(curvature.density, {**_RUN, "step": step(), **_TIMES}, (PLUGIN_NAME,)),
    "findings": Route(landscape.findings, _RUN),
    "finding": Route(
        landscape.finding,
        {**_RUN, "name": text(), "point": whole(1, 1, MAX_POINT)},
        (PLUGIN_NAME,),
    ),
    "trajectories": Route(paths.paths, {**_RUN, "with": texts(paths.MAX_RUNS), "layer": text("")}),
    # Of the same series it tells more at the second request: its tag is of what it says.
    "alerts": Route(alerts.alerts, _RUN),
    "notes": Route(alerts.notes, {**_RUN, **_TIMES}),
    "plotly": Route(lambda _: {"version": assets.plotly_version()}, is_light=True, looks=False),
}
"""What answers each address, given what TensorBoard has stored and the request."""
