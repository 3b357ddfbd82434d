"""The figure "trajectories": where trainings went, on the axes along which they moved most."""

from __future__ import annotations

from collections.abc import Sequence

from tbgrad.figures.drawing import Drawing, Line, NothingToDrawError, Panel, colour_of
from tbgrad.log.brief import percent
from tbgrad.log.text import printable
from tbgrad.reading.findings import axis_words
from tbgrad.reading.run import Run
from tbgrad.reading.trajectories import trajectories as projected


def trajectories(runs: Sequence[Run], layer: str = "") -> Drawing:
    """A path a run in the plane of the two principal axes of all of them, a unit as long on both.

    Raises:
        KeyError: there is no such layer.
        NothingToDrawError: no run logged its weights, or none moved.
    """
    try:
        told = projected({run.name: run for run in runs}, layer)
    except ValueError as error:
        raise NothingToDrawError(str(error)) from None
    across, up = axis_words(told)
    lines = []
    for place, (name, path) in enumerate(told.runs.items()):
        colour, dash = colour_of(place)
        said = printable(name) if len(told.runs) > 1 else ""
        lines.append(Line(said, path.places[:, 0], path.places[:, 1], "path", colour, dash))
    note = "from ○ to ●"
    if told.error:
        note += f", distances ±{percent(told.error)}"
    if told.left_out:
        note += f"; {len(told.left_out)} runs without, or of others"
    title = printable(layer)
    panel = Panel(up, lines=tuple(lines), title=title, height=4.0, x_label=across, square=True)
    return Drawing((panel,), note)
