"""The columns of the table of runs: what each shows, and which give way where there is no room."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.style import Style

from tbgrad.judgement.overview import HEALTHY, Overview
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.text import clean, duration, number, step_label
from tbgrad_tui.chart.wrapping import Line

BARS = "▁▂▃▄▅▆▇█"

Column = tuple[str, int, int, Callable[[Overview], tuple[str, Style]]]
"""Title, width, rank (a higher one is left out first), and what of a row it shows."""

WORDS = ("state", "trend", "health")
"""Columns of words, which stand at the left; numbers stand at the right."""


def _state(row: Overview) -> tuple[str, Style]:
    if row.condition is None:
        return "", colours.QUIET
    return row.condition.status, colours.STATES[row.condition.status]


def _step(row: Overview) -> tuple[str, Style]:
    long = max(row.step, row.steps) >= 100_000
    numbers = [row.step, row.steps] if row.steps else [row.step]
    return "/".join(step_label(n) if long else f"{n:,}" for n in numbers), colours.TEXT


def _value(value: float, style: Style = colours.TEXT) -> tuple[str, Style]:
    if math.isnan(value):
        return "–", colours.ABSENT
    return number(value), style if math.isfinite(value) else colours.ALERT


def _loss(row: Overview) -> tuple[str, Style]:
    if math.isnan(row.loss) and len(row.losses):
        return "NaN", colours.ALERT
    return _value(row.loss)


def _stability(row: Overview) -> tuple[str, Style]:
    text, style = _value(row.stability)
    if row.stale:
        return text, colours.QUIET
    return text, colours.ALERT if row.stability > 1.05 else style


def _left(row: Overview) -> tuple[str, Style]:
    known = not math.isnan(row.seconds_left)
    return (duration(row.seconds_left), colours.TEXT) if known else ("–", colours.ABSENT)


def _health(row: Overview) -> tuple[str, Style]:
    if not row.health:
        return "…", colours.QUIET
    if row.health == HEALTHY:
        return HEALTHY, colours.GOOD
    style = colours.SEVERITIES[row.severity][1]
    return f"{row.health} @{step_label(row.since or 0)}", style


def trend_bars(losses: NDArray[np.float64]) -> str:
    """A bar a value, by its logarithm where all are above zero; a blank where it is not finite."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return ""
    scaled = np.log(losses) if (finite > 0).all() else losses
    low, high = np.nanmin(scaled[np.isfinite(losses)]), np.nanmax(scaled[np.isfinite(losses)])
    span = high - low if high > low else 1.0
    with np.errstate(invalid="ignore"):
        places = (scaled - low) / span * (len(BARS) - 1)
    return "".join(BARS[round(p)] if np.isfinite(p) else " " for p in places.tolist())


COLUMNS: tuple[Column, ...] = (
    ("state", 11, 2, _state),
    ("step", 13, 1, _step),
    ("left", 8, 6, _left),
    ("steps/s", 9, 8, lambda row: _value(row.pace)),
    ("loss", 9, 0, _loss),
    ("trend", 14, 5, lambda row: (trend_bars(row.losses), colours.MAIN)),
    ("val loss", 10, 9, lambda row: _value(row.validation_loss)),
    ("norm", 10, 4, lambda row: _value(row.norm)),
    ("λ/limit", 9, 7, _stability),
    ("update", 10, 10, lambda row: _value(row.update_ratio)),
    ("health", 24, 3, _health),
)


MANY = 200
"""Of more rows the widths of columns do not go by what is in them."""

NOTHING = ("", "–")

NEEDED = 3
"""Columns up to this rank are worth a shortened name."""


def columns_for(width: int, longest: int, rows: Sequence[Overview] = ()) -> list[Column]:
    """Those that leave the names the room they need; what matters most, a fair part of it.

    No column is wider than what it shows of `rows`, and none is there that shows nothing.
    """
    columns = [_fitted(column, rows) for column in COLUMNS]
    columns = [column for column in columns if column[1]]
    fair, whole = (width - 2 - min(longest + 1, max(share, width * 2 // 9)) for share in (14, 30))
    kept = sorted(columns, key=lambda column: column[2])
    while kept and sum(column[1] for column in kept) > (whole if kept[-1][2] > NEEDED else fair):
        kept.pop()
    return [column for column in columns if column in kept]


def _fitted(column: Column, rows: Sequence[Overview]) -> Column:
    """A column as wide as it has to be for these rows; of no width where it shows nothing."""
    title, most, rank, shown = column
    if not 0 < len(rows) <= MANY:
        return column
    texts = [shown(row)[0] for row in rows]
    if rank and all(text in NOTHING for text in texts):
        return title, 0, rank, shown
    return title, min(most, 2 + max(map(cell_len, (title, *texts)))), rank, shown


def mark_of(row: Overview) -> tuple[str, Style]:
    """Of a run that no alert marks: whether it goes on, in the colour of its state."""
    status = row.condition.status if row.condition is not None else ""
    alive = row.condition is not None and row.condition.alive
    return ("●" if alive else "○"), colours.STATES.get(status, colours.QUIET)


def stands(row: Overview) -> dict[str, str]:
    """How a run stands, to filter by: "state=failed", "severity=error"."""
    state = row.condition.status if row.condition is not None else ""
    severity = row.severity if row.severity in colours.SEVERITIES else ""
    return {"state": state, "health": row.health, "severity": severity}


def hparams_words(row: Overview) -> Line:
    """Behind its name, the hyperparameters of a run."""
    if not row.hparams:
        return []
    told = ", ".join(
        f"{name} {number(value) if isinstance(value, float) else value}"
        for name, value in row.hparams.items()
    )
    return [("  " + clean(told), colours.QUIET)]
