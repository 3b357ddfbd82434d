"""Figures for notebooks and papers: one place decides what is drawn, two back ends draw it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tbgrad.figures.curvature import curvature
from tbgrad.figures.distributions import distributions
from tbgrad.figures.drawing import Drawing, NothingToDrawError
from tbgrad.figures.landscape import landscape
from tbgrad.figures.layers import layers
from tbgrad.figures.scalars import scalars
from tbgrad.figures.trajectories import trajectories
from tbgrad.reading.names import unknown
from tbgrad.reading.run import Run

__all__ = ["FIGURES", "Drawing", "NothingToDrawError", "drawing", "figure"]

FIGURES: dict[str, Callable[..., Drawing]] = {
    "scalars": scalars,
    "layers": layers,
    "curvature": curvature,
    "distributions": distributions,
    "landscape": landscape,
    "trajectories": trajectories,
}
"""What draws them by their names, which are those of the views of both faces."""

_OPTIONS = {
    "tags": "scalars",
    "statistic": "layers",
    "parameter": "distributions",
    "finding": "landscape",
    "layer": "trajectories",
}
"""Which figure each option is of."""


def figure(
    runs: Run | Mapping[str, Run] | Iterable[Run],
    name: str = "scalars",
    *,
    tags: Sequence[str] | None = None,
    statistic: str | None = None,
    parameter: str | None = None,
    finding: str | None = None,
    layer: str | None = None,
) -> Any:
    """A Plotly figure of one run or of several, which a notebook shows as it is.

    - "scalars": loss and gradient norm, or other `tags`, at every step; several runs in one panel.
      Where many values are noisy they are pale, no peak lost, and a line shows their means.
    - "layers": a heat map of a `statistic` of all layers (of norms) or parameters (of others).
    - "curvature": λmax with the bounds of its error against the optimizer's limit of stability.
    - "distributions": the histogram of the gradient of one `parameter` over the steps.
    - "landscape": lines and planes through the weights with the path of the training, and critical
      points as loss against minimum ratio: all that was logged, or one `finding`.
    - "trajectories": where the weights of runs went, on the two axes along which they moved most:
      of the whole model, or of one `layer`.

    `tbgrad plot` writes the same as SVG, PDF or PNG.

    Args:
        runs: a run, several, or what `tbgrad.read` returns.
        name: one of the six, or the tag of a scalar.
        tags: of "scalars", a panel each.
        statistic: of "layers", one of those that `help(tbgrad.Run.statistic)` lists.
        parameter: of "distributions", by its name in `Run.names`.
        finding: of "landscape", by its name in `Run.analyses`.
        layer: of "trajectories", by its path in the manifest.

    Raises:
        ImportError: plotly is not installed.
        KeyError: no run has such a scalar, statistic, parameter or finding.
        ValueError: there is no such figure, an option is of another one, or no run has what it
            shows.

    >>> tbgrad.figure(tbgrad.read("runs"), "scalars", tags=["loss", "learning_rate"])
    >>> tbgrad.figure(runs["a"], "layers", statistic="zero_fraction").write_html("layers.html")
    """
    from tbgrad.figures.notebook import drawn

    options: dict[str, Any] = {"tags": tags, "statistic": statistic, "parameter": parameter}
    return drawn(drawing(runs, name, **options, finding=finding, layer=layer))


def drawing(
    runs: Run | Mapping[str, Run] | Iterable[Run], name: str = "scalars", **options: Any
) -> Drawing:
    """What `figure` shows, in no framework's terms."""
    several: Any = [runs] if isinstance(runs, Run) else runs  # a run is a mapping, too
    chosen: list[Run] = list(several.values() if isinstance(several, Mapping) else several)
    if not chosen:
        raise NothingToDrawError("there is no run to draw")
    if name not in FIGURES:
        if options.get("tags") is not None or not any(name in run for run in chosen):
            raise ValueError(str(unknown("figure", name, FIGURES).args[0]))
        name, options["tags"] = "scalars", name
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if _OPTIONS[option] != name:
            raise ValueError(f"{option} is of the figure {_OPTIONS[option]!r}, not of {name!r}")
    if isinstance(given.get("tags"), str):
        given["tags"] = [given["tags"]]
    return FIGURES[name](chosen, **given)
