"""The one table of keys: what is bound, what the help lists and what the footer shows."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Key:
    """Keys of one action. `footer` is its word in the footer, "" where it has no place there."""

    keys: tuple[str, ...]
    shown: str
    action: str
    help: str
    footer: str = ""

    def binding(self, whose: str = "screen.") -> Binding:
        """The same for Textual: an action of the screen, unless it says that it is of the app.

        Of what is bound itself where `whose` is "".
        """
        action = self.action if self.action.startswith("app.") else f"{whose}{self.action}"
        return Binding(",".join(self.keys), action, self.help, show=False)


def short(key: Key) -> str:
    """The first of its keys."""
    return key.shown.split(" ")[0]


CHART_KEYS: tuple[Key, ...] = (
    Key(("comma",), ",", "app.cursor(-0.01)", "cursor to the left, at least one record"),
    Key(("full_stop",), ".", "app.cursor(0.01)", "cursor to the right", "cursor"),
    Key(("less_than_sign",), "<", "app.cursor(-0.1)", "cursor far to the left"),
    Key(("greater_than_sign",), ">", "app.cursor(0.1)", "cursor far to the right"),
    Key(
        ("plus",), "+", "app.stretch(0.5)", "fewer steps, about the cursor or the newest", "zoom x"
    ),
    Key(("minus",), "-", "app.stretch(2.0)", "more steps"),
    Key(("equals_sign",), "=", "app.whole", "all steps"),
    Key(("shift+left", "left_curly_bracket"), "⇧← {", "app.pan(-0.25)", "the steps before these"),
    Key(("shift+right", "right_curly_bracket"), "⇧→ }", "app.pan(0.25)", "the steps after these"),
    Key(("x",), "x", "app.axis", "steps, time since the start or time of day below charts"),
    Key(("X",), "X", "app.log_axis", "logarithmic or linear axis below charts"),
    Key(("m",), "m", "app.smooth", "smooth scalars by 0.6, 0.9, 0.98 or not at all"),
)
"""Keys of all charts at once."""

LOG_AXIS = Key(("l",), "l", "log", "logarithmic or linear axis of this panel", "log")

KEYS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    (
        "Move",
        (
            Key(("down", "j"), "↓ j", "move(1)", "next layer, or next run in the run list", "move"),
            Key(("up", "k"), "↑ k", "move(-1)", "previous layer or run"),
            Key(("pagedown", "ctrl+d"), "PgDn", "page(1)", "a page further"),
            Key(("pageup", "ctrl+u"), "PgUp", "page(-1)", "a page back"),
            Key(("home", "g"), "Home g", "move(-1000000)", "first layer or run"),
            Key(("end", "G"), "End G", "move(1000000)", "last layer or run"),
            Key(("left",), "←", "turn(-1)", "earlier histogram; previous layer's trajectories"),
            Key(("right",), "→", "turn(1)", "later histogram; next layer's trajectories"),
            Key(("tab",), "Tab", "panel(1)", "next panel", "panel"),
            Key(("shift+tab",), "⇧Tab", "panel(-1)", "previous panel"),
            Key(("right_square_bracket", "n"), "] n", "app.run(1)", "next run", "run"),
            Key(("left_square_bracket", "p"), "[ p", "app.run(-1)", "previous run"),
        ),
    ),
    (
        "Show",
        (
            Key(("enter", "z"), "Enter", "zoom", "this panel alone, and back", "zoom"),
            Key(("escape",), "Esc", "show_all", "no cursor; back to all panels, and to all runs"),
            Key(("0",), "0", "app.overview", "all runs, the worst first", "runs"),
            Key(("1",), "1", "show('runs')", "the runs alone"),
            Key(("2",), "2", "show('loss')", "the loss alone"),
            Key(("3",), "3", "show('norm')", "the gradient norm alone"),
            Key(("4",), "4", "show('curvature')", "the curvature alone"),
            Key(("5",), "5", "show('layers')", "the layers alone"),
            Key(("6",), "6", "show('parameter')", "the selected layer alone"),
            Key(("7",), "7", "show('scalars')", "every scalar of the run as a chart"),
            Key(("8",), "8", "show('landscape')", "landscapes, critical points, trajectories"),
            Key(("9",), "9", "show('distributions')", "histograms of the selected layer"),
            LOG_AXIS,
        ),
    ),
    (
        "Read",
        (
            Key(("a",), "a", "app.alerts", "alerts, at that of the selected layer", "alerts"),
            Key(("o",), "o", "app.notes", "notes of the monitor about itself"),
            Key(("d",), "d", "app.damage", "damaged records and unreadable files"),
        ),
    ),
    (
        "Layers",
        (
            Key(("A",), "A", "layers('alert')", "next layer with an open alert"),
            Key(("slash",), "/", "search", "search: words that are in the name", "search"),
            Key(
                ("v",),
                "v",
                "layers('measure')",
                "what is shown: norm, update ratio, dead units, zeros, direction, …",
                "value",
            ),
            Key(("V",), "V", "layers('measure', -1)", "the one before"),
            Key(("s",), "s", "layers('sort')", "sort: in order, worst, changed, alerts", "sort"),
            Key(("space",), "Space", "layers('fold')", "fold or open a block", "fold"),
            Key(("f",), "f", "layers('fold_all')", "fold all blocks, or open all"),
        ),
    ),
    ("All charts at once", CHART_KEYS),
    (
        "App",
        (
            Key(("w",), "w", "app.save('svg')", "save the screen as a picture (SVG)"),
            Key(("W",), "W", "app.save('txt')", "save the screen as text"),
            Key(("e",), "e", "app.save('csv')", "save what this panel shows as a table (CSV)"),
            Key(
                ("colon",),
                ":",
                "app.command_palette",
                "go to a run, layer, scalar, alert or view",
            ),
            Key(("ctrl+z",), "^Z", "app.suspend_process", "suspend: fg in the shell comes back"),
            Key(("question_mark", "h"), "?", "app.help", "this page", "help"),
            Key(("q", "ctrl+c"), "q ^C", "app.quit", "quit", "quit"),
        ),
    ),
)
"""Keys of a run by what they are for."""

ALERT_KEYS: tuple[Key, ...] = (
    Key(("down", "j"), "↓ j", "move(1)", "next alert, or the rest of a long one", "next"),
    Key(("up", "k"), "↑ k", "move(-1)", "previous alert"),
    Key(("pagedown", "ctrl+d"), "PgDn", "move(10)", "ten further"),
    Key(("pageup", "ctrl+u"), "PgUp", "move(-10)", "ten back"),
    Key(("home", "g"), "Home g", "move(-1000000)", "first alert"),
    Key(("end", "G"), "End G", "move(1000000)", "last alert"),
    Key(
        ("enter",), "Enter", "go", "close, and go to the first layer that the alert names", "go to"
    ),
    Key(("y",), "y", "copy", "copy the advice to the clipboard of the terminal", "copy"),
    Key(("question_mark", "h"), "?", "app.help", "all keys", "help"),
    Key(("escape", "a", "q"), "Esc a q", "close", "close", "close"),
)
"""Keys of the list of alerts."""

OVERVIEW_KEYS: tuple[Key, ...] = (
    Key(("down", "j"), "↓ j", "move(1)", "next run"),
    Key(("up", "k"), "↑ k", "move(-1)", "previous run"),
    Key(("pagedown", "ctrl+d"), "PgDn", "move(10)", "ten further"),
    Key(("pageup", "ctrl+u"), "PgUp", "move(-10)", "ten back"),
    Key(("home", "g"), "Home g", "move(-1000000)", "first run"),
    Key(("end", "G"), "End G", "move(1000000)", "last run"),
    Key(("enter",), "Enter", "open", "show the run", "open"),
    Key(
        ("slash",), "/", "find",
        "filter: part of a name, !not, a|b, glob*, /regex/, lr>=1e-3, state=failed, severity=error",
        "filter",
    ),
    Key(("escape",), "Esc", "all", "all runs again"),
    Key(("space",), "Space", "mark", "mark the run for comparison, and go to the next", "mark"),
    Key(("p",), "p", "pin", "pin the run on top: the one that others are compared to"),
    Key(("u",), "u", "unmark", "mark none and pin none"),
    Key(
        ("c",), "c", "app.compare",
        "compare the marked runs, or with fewer than two this one and the next", "compare",
    ),
    Key(("s",), "s", "sort", "by worst, name, newest or lowest loss", "sort"),
    Key(("a",), "a", "app.overview_alerts", "alerts of the run", "alerts"),
    Key(("w",), "w", "app.save('svg')", "save the screen as a picture (SVG)"),
    Key(("W",), "W", "app.save('txt')", "save the screen as text"),
    Key(("e",), "e", "app.save('csv')", "save what this panel shows as a table (CSV)"),
    Key(("colon",), ":", "app.command_palette", "go to a run, layer, scalar, alert or view"),
    Key(("ctrl+z",), "^Z", "app.suspend_process", "suspend: fg in the shell comes back"),
    Key(("question_mark", "h"), "?", "app.help", "all keys", "help"),
    Key(("q", "ctrl+c"), "q ^C", "app.quit", "quit", "quit"),
)  # fmt: skip
"""Keys of the overview of all runs."""

COMPARE_KEYS: tuple[Key, ...] = (
    Key(("down", "j"), "↓ j", "move(1)", "next run", "move"),
    Key(("up", "k"), "↑ k", "move(-1)", "previous run"),
    Key(("left",), "←", "turn(-1)", "columns further left"),
    Key(("right",), "→", "turn(1)", "columns further right"),
    Key(("l",), "l", "log", "logarithmic or linear axes", "log"),
    Key(("escape", "c"), "Esc c", "close", "no cursor; then back", "back"),
    Key(("question_mark", "h"), "?", "app.help", "all keys", "help"),
    Key(("q", "ctrl+c"), "q ^C", "app.quit", "quit", "quit"),
)
"""Keys of the runs that are compared; those of all charts are too."""

SCALARS_KEYS: tuple[Key, ...] = (
    Key(("down", "j"), "↓ j", "move(1)", "next row of charts"),
    Key(("up", "k"), "↑ k", "move(-1)", "previous row of charts"),
    Key(("pagedown", "ctrl+d", "space"), "PgDn", "page(1)", "next page"),
    Key(("pageup", "ctrl+u"), "PgUp", "page(-1)", "previous page"),
    Key(("home", "g"), "Home g", "move(-1000000)", "first scalar"),
    Key(("end", "G"), "End G", "move(1000000)", "last scalar"),
    Key(("slash",), "/", "find", "filter: part of a name, !not, a|b, glob*, /regex/"),
    Key(("escape",), "Esc", "all", "all scalars again"),
)
"""Keys of the scalars of a run; all others are those of a run."""

HELP = (
    *KEYS, ("In the overview of all runs", OVERVIEW_KEYS),
    ("In the comparison of runs", COMPARE_KEYS),
    ("In the scalars", SCALARS_KEYS), ("In the list of alerts", ALERT_KEYS),
)  # fmt: skip
"""Sections of the help page."""

BINDINGS: list[BindingType] = [key.binding() for _, section in KEYS for key in section]
OVERVIEW_BINDINGS: list[BindingType] = [key.binding() for key in OVERVIEW_KEYS]
ALERT_BINDINGS: list[BindingType] = [key.binding() for key in ALERT_KEYS]
COMPARE_BINDINGS: list[BindingType] = [key.binding() for key in (*COMPARE_KEYS, *CHART_KEYS)]
SCALARS_BINDINGS: list[BindingType] = [key.binding("") for key in SCALARS_KEYS]
FOOTER = tuple(key for _, section in KEYS for key in section if key.footer)

OF_LAYERS = ("layers", "parameter", "distributions")
OF_CHARTS = ("loss", "norm", "curvature", "scalars")


def footer_of(panel: str) -> tuple[Key, ...]:
    """Keys of the footer where this panel is in front: how to move, its own, alerts, the rest."""
    layers, charts = dict(KEYS)["Layers"], (*CHART_KEYS, LOG_AXIS)
    own = layers if panel in OF_LAYERS else charts if panel in OF_CHARTS else ()
    move = [key for key in FOOTER if key.footer in ("move", "panel", "zoom")]
    alerts = [key for key in FOOTER if key.footer == "alerts"]
    first = [*move, *(key for key in own if key.footer), *alerts]
    return (*first, *(key for key in FOOTER if key not in {*first, *layers, *charts}))


COMPARE_FOOTER = tuple(
    key for key in (*COMPARE_KEYS[:-3], *CHART_KEYS, *COMPARE_KEYS[-3:]) if key.footer
)
