"""How somebody looked at a directory last: kept from one start of the app to the next.

A file for each directory below `$XDG_STATE_HOME/tbgrad/watch` (`~/.local/state` where that is not
set; see the XDG Base Directory Specification). What cannot be read is as if it were not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbgrad.reading.layer_history import MEASURES
from tbgrad.reading.places import Logdir
from tbgrad_tui.chart.axis import KINDS
from tbgrad_tui.chart.view import SMOOTHINGS
from tbgrad_tui.widgets.chart_panel import ChartPanel
from tbgrad_tui.widgets.layer_view import ORDERS
from tbgrad_tui.widgets.overview import SORTS
from tbgrad_tui.widgets.scalars import ScalarsPanel

if TYPE_CHECKING:
    from tbgrad_tui.app import WatchApp

LONGEST = 1000
"""Characters of a filter that is kept."""


def path_of(logdir: Logdir, environment: Mapping[str, str] = os.environ) -> Path:
    """Where it is kept how these directories were looked at."""
    home = environment.get("XDG_STATE_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".local", "state"
    )
    each = [logdir] if isinstance(logdir, str | os.PathLike) else list(logdir)
    named = "\0".join(str(one) if "://" in str(one) else os.path.abspath(one) for one in each)
    # Nobody has so many directories that two would meet; hashlib takes 25 ms to load.
    return Path(home, "tbgrad", "watch", f"{zlib.crc32(os.fsencode(named)):08x}.json")


def forget(path: Path) -> None:
    """Begin as if the runs had never been looked at."""
    with contextlib.suppress(OSError):
        path.unlink()


def recall(app: WatchApp, path: Path | None) -> None:
    """Look at the runs as was kept; what this version does not know is left as it is."""
    if path is None:
        return
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        _apply(app, json.loads(path.read_text(encoding="utf-8")))


def _apply(app: WatchApp, kept: Mapping[str, Any]) -> None:
    screen, overview, layers = app.run_screen, app.overview_screen.panel, app.run_screen.table.view
    if kept.get("sort") in SORTS:
        overview.order = kept["sort"]
    if isinstance(text := kept.get("filter"), str):
        overview.filter = text[:LONGEST]
    if isinstance(text := kept.get("scalars_filter"), str):
        screen.query_one(ScalarsPanel).choose(text[:LONGEST])
    for name in kept.get("marked", []):
        overview.marks.toggle(str(name))
    if kept.get("pinned"):
        overview.marks.pin(str(kept["pinned"]))
    if kept.get("measure") in MEASURES:
        layers.measure = MEASURES[kept["measure"]]
    if kept.get("order") in ORDERS:
        layers.order = kept["order"]
    for panel in screen.query(ChartPanel):
        if isinstance(log := kept.get("log", {}).get(panel.id), bool):
            panel.log_choice = log
    view = app.view
    if kept.get("axis") in KINDS:
        view = replace(view, kind=kept["axis"])
    if kept.get("smoothing") in SMOOTHINGS:
        view = replace(view, smoothing=kept["smoothing"])
    app.look(replace(view, log=kept.get("axis_log") is True))


def keep(app: WatchApp, path: Path | None) -> None:
    """Keep how the runs are looked at, where that can be written."""
    if path is None:
        return
    overview, layers = app.overview_screen.panel, app.run_screen.table.view
    kept = {
        "sort": overview.order,
        "filter": overview.filter,
        "scalars_filter": app.run_screen.query_one(ScalarsPanel).filter,
        "marked": overview.marks.marked,
        "pinned": overview.marks.pinned,
        "measure": layers.measure.name,
        "order": layers.order,
        "log": {
            panel.id: panel.log_choice
            for panel in app.run_screen.query(ChartPanel)
            if panel.log_choice is not None
        },
        "axis": app.view.kind,
        "axis_log": app.view.log,
        "smoothing": app.view.smoothing,
    }
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept, indent=1), encoding="utf-8")
