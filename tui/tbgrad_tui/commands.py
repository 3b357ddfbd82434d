"""The palette: everything that a key does on the screen in front, and places to go to."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from tbgrad.log.scalars import scalar_of
from tbgrad.reading.run import Run
from tbgrad_tui import facts
from tbgrad_tui.chart.text import clean

MOST = 8
"""So many places of a kind are shown, the best of those that match."""

FIRST = 10.0
"""What is typed is rather a part of a name than letters of the words of a key."""

VIEWS = {
    "overview": "", "layers": "layers", "loss": "loss", "gradient norm": "norm",
    "curvature": "curvature", "scalars": "scalars", "distributions": "distributions",
    "landscape": "landscape", "selected layer": "parameter", "alerts": "", "compare": "",
}  # fmt: skip
"""What may be gone to, and the panel of a run that is shown alone for it."""


class KeyCommands(Provider):
    """What the keys of the screen do, in the words of the help."""

    def _known(self) -> dict[str, tuple[str, str]]:
        """By action: what it does, and its key."""
        known: dict[str, tuple[str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.description:
                known.setdefault(binding.action, (binding.description, binding.key))
        return known

    async def discover(self) -> Hits:
        """All, before anything is typed."""
        for action, (does, key) in self._known().items():
            yield DiscoveryHit(does, partial(self._do, action), help=f"key: {key}")

    async def search(self, query: str) -> Hits:
        """Those whose words are like what was typed."""
        matcher = self.matcher(query)
        for action, (does, key) in self._known().items():
            if (score := matcher.match(does)) > 0:
                shown = matcher.highlight(does)
                yield Hit(score, shown, partial(self._do, action), help=f"key: {key}")

    async def _do(self, action: str) -> None:
        await self.app.run_action(action, self.screen)


class PlaceCommands(Provider):
    """Runs, and views, layers, scalars and alerts of the run in front, by parts of their names."""

    async def search(self, query: str) -> Hits:
        """The best of each kind, and how many more there are."""
        for kind, names, go in self._places():
            best, more = matching(names, query)
            for i, (rank, at) in enumerate(best):
                rest = f", {more:,} more match" if more and i == len(best) - 1 else ""
                name = Text(clean(names[at]))
                yield Hit(FIRST - rank, name, partial(go, at), help=f"{kind}{rest}")

    def _places(self) -> Iterable[tuple[str, Sequence[str], Callable[[int], None]]]:
        """Of each kind the names, and what goes to one of them by its number."""
        app: Any = self.app
        views, runs = [*VIEWS], [*app.snapshot.runs]
        run: Run | None = app.snapshot.runs.get(app.run_in_front)
        if run is None:
            return
        yield "view", views, lambda at: self._view(run, views[at])
        yield "run", runs, lambda at: app.bring_run(runs[at])
        names = run.names if facts.has_gradients(run) else ()
        yield "layer", names, lambda at: app.bring_run(run.name).go_to_layer(at)
        tags = [*facts.scalar_tags(run), *facts.histogram_tags(run)]
        called = [_called(tag) for tag in tags]
        yield "scalar", called, lambda at: app.bring_run(run.name).go_to_scalar(tags[at])
        alerts = facts.alerts(run)
        told = [
            f"{alert.rule} at step {alert.first_step:,}: {alert.headline or alert.evidence}"
            for alert in alerts
        ]
        yield "alert", told, lambda at: app.go_to(run.name, alerts[at])

    def _view(self, run: Run, view: str) -> None:
        app: Any = self.app
        if panel := VIEWS[view]:
            app.bring_run(run.name).action_show(panel)
        elif view == "compare":
            app.action_compare()
        else:
            app.bring_run(run.name)
            app.action_alerts() if view == "alerts" else app.action_overview()


def _called(tag: str) -> str:
    """A tag, behind the name by which it is shown."""
    label = scalar_of(tag).label
    return tag if label == tag else f"{label} ({tag})"


def matching(names: Sequence[str], query: str) -> tuple[list[tuple[int, int]], int]:
    """Which of `names` have all words of a query, the best ones first; and how many more have.

    Of each its rank, 0 of a name that is the query to 3 of one that has its words here and there,
    and its place. Neither depends on upper and lower case.

    >>> matching(["a/kernel", "b/kernel", "kernel"], "kernel")
    ([(0, 2), (1, 0), (1, 1)], 0)
    """
    words, whole = query.casefold().split(), query.casefold().strip()
    found = []
    for at, name in enumerate(names):
        low = name.casefold()
        if words and all(word in low for word in words):
            parts = low.replace("-", "/").split("/")
            begins = any(part.startswith(whole) for part in parts)
            rank = 0 if low == whole else 1 if begins else 2 if whole in low else 3
            found.append((rank, len(name), at))
    best = heapq.nsmallest(MOST, found)
    return [(rank, at) for rank, _, at in best], len(found) - len(best)
