"""The colours of everything that is drawn, by what they mean."""

from __future__ import annotations

from rich.color import Color
from rich.style import Style

from tbgrad_tui.chart.oklch import colour_of

SURFACES = {
    "ground": "#0e1216",
    "bar": "#161c23",
    "page": "#12171d",
    "accent-line": "#6cb6ff",
    "quiet-line": "#3d4754",
    "text-on-bar": "#d7dde6",
}
"""Behind the panels, a line at the edge, and a page; frames of a page, and what is typed."""

PLAIN = Style()
TEXT = Style(color="#d7dde6")
STRONG = Style(color="#ffffff", bold=True)
QUIET = Style(color="#8893a2")
FRAME = Style(color="#3d4754")
FRAME_FOCUSED = Style(color="#6cb6ff")
TITLE = Style(color="#a9b4c2", bold=True)
TITLE_FOCUSED = Style(color="#6cb6ff", bold=True)
GRID = Style(color="#2b333d")
AXIS = Style(color="#4d5866")
SELECTED = Style(color="#ffffff", bgcolor="#23456b", bold=True)

MAIN = Style(color="#58a9f5")
BEHIND = Style(color="#2f5c8a")
PEAK_NAME = Style(color="#5586b8")
SECOND = Style(color="#b78cf2")
SECOND_BEHIND = Style(color="#5f4a80")
BAND = Style(bgcolor="#2b2518")
THRESHOLD = Style(color="#e2a63d")
PRECONDITIONED = Style(color="#4fc3b5")
ERROR_BAR = Style(color="#4f7394")

CURSOR = Style(color="#c3ccd8")
CURSOR_LABEL = Style(color="#0e1216", bgcolor="#c3ccd8")

GOOD = Style(color="#6fcf86")
WARNING = Style(color="#f0b649", bold=True)
ALERT = Style(color="#ff6b6b", bold=True)
NEWS = Style(color="#6cb6ff", bold=True)
NONFINITE = Style(color="#ffffff", bgcolor="#e5174f", bold=True)
ABSENT = Style(color="#596473")
ZERO = Style(color="#8893a2", bgcolor="#161a20")
KEY = Style(color="#0e1216", bgcolor="#8893a2")

SEVERITIES = {"error": ("◆", ALERT), "warning": ("▲", WARNING), "info": ("•", NEWS)}
"""The mark of an alert and its colour; the marks differ also where there are no colours."""

STANDINGS = {"below": GOOD, "at": THRESHOLD, "beyond": ALERT, "": QUIET}
"""The colour of where a training stands against the limit of its optimizer."""

STATES = {
    "running": GOOD,
    "slow": WARNING,
    "silent": WARNING,
    "interrupted": WARNING,
    "failed": ALERT,
    "finished": QUIET,
    "left": QUIET,
}
"""The colour of how a run stands."""

LEVELS = 24
"""Colours of the heat scale: enough to look continuous, few enough to merge equal neighbours."""


def _heat(level: int) -> Style:
    """Even steps of lightness from indigo over teal to yellow: no red, which means an alert."""
    t = level / (LEVELS - 1)
    chroma = 0.105 + 0.055 * t
    return Style(bgcolor=colour_of(0.30 + 0.63 * t, chroma, 292 - 187 * t))


PATH = "#ff4fa3"
"""Of a training on a map: no colour of the map is like it."""

RUNS = tuple(
    Style(color=f"#{rgb}")
    for rgb in ("58a9f5", "f0b649", "b78cf2", "6fcf86", "ff8f70", "4fc3b5", "e08ac6", "c9d36a")
)
"""Of runs in one picture, in their order."""

RUNS_BEHIND = tuple(
    Style(color=Color.from_rgb(*(round(0.4 * channel + 9) for channel in style.color.triplet)))
    for style in RUNS
    if style.color is not None and style.color.triplet is not None
)
"""The same, darker."""


HEAT: tuple[Style, ...] = tuple(_heat(level) for level in range(LEVELS))


def _diverging(level: int) -> Style:
    """Dark in the middle, lighter to violet below and to yellow above: no red here either."""
    t = 2 * level / (LEVELS - 1) - 1
    return Style(
        bgcolor=colour_of(0.28 + 0.60 * abs(t), 0.02 + 0.13 * abs(t), 295 if t < 0 else 95)
    )


DIVERGING: tuple[Style, ...] = tuple(_diverging(level) for level in range(LEVELS))
"""Of what should be near the middle of its scale."""

LINES = Color.parse("#dfe6ee"), Color.parse("#10202a")
"""Of lines on a map: on dark ground, and on light."""

CONTOURS: tuple[Style, ...] = tuple(
    style + Style(color=LINES[0] if level < LEVELS // 2 else LINES[1])
    for level, style in enumerate(HEAT)
)
"""The heat scale with lines on it."""
