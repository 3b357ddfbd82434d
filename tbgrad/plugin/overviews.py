"""The lines of all runs, as they become known: a batch of runs a look, and kept until they go on.

A look makes at most four calls. It reads runs that have gone on, then judges those that are not
judged yet: from the alerts in their logs as many as there are; of writers that did not watch all
rules one run at a time, for a small share of the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tbgrad.judgement.overview import Overview, as_judged, as_of, overview_of
from tbgrad.judgement.replay import judge, unwatched
from tbgrad.log.decode import ended_at
from tbgrad.log.state import RUNNING, Hyperparameter
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    ALERTS,
    GRADIENT_NORM,
    MANIFEST,
    NOTES,
    PLUGIN_NAME,
    PLUGINS,
    STEPS_PLUGIN_NAME,
    Kind,
)
from tbgrad.plugin.answer import digest
from tbgrad.plugin.judged import judgement_of, judgements_of_scalars
from tbgrad.plugin.samples import SCALARS_PLUGIN, Place
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_brief import (
    Described,
    described_at,
    read_described,
    read_runs,
    read_states,
)
from tbgrad.plugin.stored_run import decoded, put_together
from tbgrad.reading.columns import Limits
from tbgrad.reading.hparams import hparams_of
from tbgrad.reading.run import Run
from tbgrad.reading.state import Heard

BATCH = 64
"""Runs that are read in a look."""

CALLS = 4
"""Of the data provider, in a look."""

JUDGING_SHARE = 0.1
"""Of the time, for the rules that the writers of logs did not watch, once all runs are judged."""

JUDGING_SECONDS = 0.5
"""After so long a look judges no other run."""

WAITING_SECONDS = 0.5
"""A look that finds another one under way waits so long for it, and tells what is known then."""

PLAIN = 16
"""Runs of scalars alone that are read at once for the rules."""

_SERIES = (SCALARS_PLUGIN, PLUGIN_NAME, STEPS_PLUGIN_NAME)
_LISTED = (*_SERIES, ALERT_PLUGIN_NAME, *PLUGINS[NOTES])


@dataclass
class Known:
    """What is known of a run: its line, made at a `revision`, its story, as `judged_at` another."""

    row: Overview
    revision: str
    heard: Heard
    told: Described
    described: str
    hparams: Mapping[str, Hyperparameter]
    norm_step: int | None
    judged_at: str = ""

    @property
    def is_unwatched(self) -> bool:
        """Whether its writer left rules to its readers."""
        return bool(unwatched(self.told.manifest, ()))

    @property
    def is_over(self) -> bool:
        """Whether its writer has said so, or never says how it goes."""
        return self.heard.state is None or self.heard.state.status != RUNNING


class Overviews:
    """The lines of the runs of an experiment; safe from any thread.

    >>> complete = overviews.look(snapshot, "sweep/lr0.1")
    >>> lines = overviews.lines(snapshot)
    """

    def __init__(self) -> None:
        self._known: dict[Place, Known] = {}
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._rests_until = 0.0

    def look(self, snapshot: Snapshot, ahead: str = "") -> bool:
        """Find out more, of the run `ahead` first; whether all is known that can be now."""
        if not self._lock.acquire(timeout=WAITING_SECONDS):
            return False  # another request finds out more
        try:
            return self._look(snapshot, ahead)
        finally:
            self._lock.release()

    def lines(self, snapshot: Snapshot) -> dict[str, tuple[Overview, Known | None]]:
        """The line of every run as of now, and what is known of it; None of one not read yet."""
        return {name: self._line(snapshot, name, p) for name, p in snapshot.places.items()}

    def stale_steps(self, place: Place) -> int | None:
        """How old the newest estimate of the curvature is, where it says nothing of now."""
        known = self._known.get(place)
        return known.row.stability_age if known is not None and known.row.stale else None

    def _look(self, snapshot: Snapshot, ahead: str) -> bool:
        seen = (snapshot.places, *map(snapshot.series, _LISTED))
        if self._seen and all(a is b for a, b in zip(seen, self._seen, strict=True)):
            self._read(snapshot, {})
            return True
        places = dict(sorted(snapshot.places.items(), key=lambda item: item[0] != ahead))
        there = set(places.values())
        self._known = {place: known for place, known in self._known.items() if place in there}
        grown = {name: p for name, p in places.items() if self._has_grown(snapshot, p)}
        calls = self._read(snapshot, dict(list(grown.items())[:BATCH]))
        waiting = {name: p for name, p in places.items() if self._waits(snapshot, p)}
        judged = self._judge(snapshot, waiting, CALLS - calls, grown)
        all_read = len(grown) <= BATCH
        self._seen = seen if judged and all_read else ()
        return all_read and (judged or time.monotonic() < self._rests_until)

    def _line(self, snapshot: Snapshot, name: str, place: Place) -> tuple[Overview, Known | None]:
        known = self._known.get(place)
        if known is None:
            ends = [e for plugin in _SERIES for e in snapshot.extents(plugin, place).values()]
            blank = overview_of(Run(name, {}), None, None, judged=False)
            step = max((end.last_step for end in ends), default=-1)
            sign = max((end.last_wall_time for end in ends), default=0.0)
            return replace(blank, step=step, last_sign=sign), None
        sign = max(known.row.last_sign, known.heard.wall_time)
        stands = snapshot.condition(place, known.heard.state, sign)
        return replace(as_of(known.row, known.heard.state, stands), last_sign=sign), known

    # ------------------------------------------------------------------------ reading

    def _has_grown(self, snapshot: Snapshot, place: Place) -> bool:
        known = self._known.get(place)
        return known is None or known.revision != _revision(snapshot, place, _SERIES)

    def _read(self, snapshot: Snapshot, grown: Mapping[str, Place]) -> int:
        """Read these runs, and how those go that may go on; how many calls that took at most."""
        places = list(grown.values())
        going = [p for p, known in self._known.items() if not known.is_over and p not in places]
        states = read_states(snapshot, [*places, *going])
        for place, heard in zip(going, states[len(places) :], strict=True):
            self._known[place].heard = heard
        if not places:
            return 1 if states else 0
        told, calls = self._described(snapshot, places)
        runs = read_runs(snapshot, grown, told, states)
        for place, run, one, heard in zip(places, runs, told, states, strict=False):
            before = self._known.get(place)
            norm = run.get(GRADIENT_NORM)
            row = overview_of(run, None, None, judged=False)
            if before is not None and before.judged_at:
                row = replace(row, monitoring_ended=before.row.monitoring_ended)
                row = as_judged(row, before.row.story)
            self._known[place] = Known(
                row,
                _revision(snapshot, place, _SERIES),
                heard,
                one,
                described_at(snapshot, place),
                hparams_of(run),
                int(norm.steps[-1]) if norm is not None and len(norm) else None,
                before.judged_at if before is not None else "",
            )
        return calls + 3

    def _described(
        self, snapshot: Snapshot, places: Sequence[Place]
    ) -> tuple[list[Described], int]:
        """The newest manifest and estimate of each, read of those that have a newer one."""
        known = {
            place: self._known[place].told
            for place in places
            if place in self._known
            and self._known[place].described == described_at(snapshot, place)
        }
        new = [place for place in places if place not in known]
        known |= zip(new, read_described(snapshot, new), strict=True)
        return [known[place] for place in places], 1 if new else 0

    # ------------------------------------------------------------------------ judging

    def _waits(self, snapshot: Snapshot, place: Place) -> bool:
        known = self._known.get(place)
        return known is not None and known.judged_at != self._judged_at(snapshot, place)

    def _judged_at(self, snapshot: Snapshot, place: Place) -> str:
        """Changes whenever there may be more to be said of a run."""
        if self._known[place].is_unwatched:
            return _revision(snapshot, place, (*_SERIES, ALERT_PLUGIN_NAME))
        told = [
            f"{tag} {extents[tag].revision}"
            for tag in (MANIFEST, ALERTS, NOTES)
            for plugin in PLUGINS[tag]
            if tag in (extents := snapshot.extents(plugin, place))
        ]
        return digest(told) or "nothing"

    def _judge(
        self, snapshot: Snapshot, waiting: Mapping[str, Place], calls: int, grown: Collection[str]
    ) -> bool:
        """Judge some of the runs that wait for it, in so many calls; whether that was all."""
        told = [place for place in waiting.values() if not self._known[place].is_unwatched]
        if told:
            if len(_having(snapshot, told[:BATCH])) > calls:
                return False
            self._take_alerts(snapshot, told[:BATCH])
            return len(told) == len(waiting) <= BATCH
        if not waiting:
            return True
        if grown or time.monotonic() < self._rests_until:
            return False
        return self._replay(snapshot, waiting) == len(waiting)

    def _take_alerts(self, snapshot: Snapshot, places: Sequence[Place]) -> None:
        """Take what the writers of these runs have told."""
        values: dict[Place, list[Any]] = {place: [] for place in places}
        for (tag, plugin), having in _having(snapshot, places).items():
            found = snapshot.together(having, plugin, tag)
            for place, samples in zip(having, found, strict=True):
                values[place] += decoded({tag: samples}, [])
        for place in places:
            known = self._known[place]
            described = [(-1, 0.0, MANIFEST, Kind.MANIFEST, known.told.manifest)]
            told = [*described, *values[place]]
            run = put_together("", told, [], {}, Limits(), tell_misfits=False).run
            ended = ended_at(run.notes, known.norm_step)
            row = replace(known.row, monitoring_ended=ended)
            known.row = as_judged(row, judge(run).story)
            known.judged_at = self._judged_at(snapshot, place)

    def _replay(self, snapshot: Snapshot, waiting: Mapping[str, Place]) -> int:
        """Let the rules see runs whose writers did not watch them; of how many."""
        began = time.monotonic()
        plain = {n: p for n, p in waiting.items() if not snapshot.extents(PLUGIN_NAME, p)}
        name, place = next(iter(waiting.items()))
        again = bool(self._known[place].judged_at)
        if name in plain:
            found = judgements_of_scalars(snapshot, dict(list(plain.items())[:PLAIN]))
        else:
            found = iter([(name, judgement_of(snapshot, name).judgement)])
        count = 0
        for name, judgement in found:
            known = self._known[waiting[name]]
            known.row = as_judged(known.row, judgement.story)
            known.judged_at = self._judged_at(snapshot, waiting[name])
            count += 1
            if time.monotonic() - began > JUDGING_SECONDS:
                break
        now = time.monotonic()
        if again:
            self._rests_until = now + (now - began) / JUDGING_SHARE
        return count


def _revision(snapshot: Snapshot, place: Place, plugins: Sequence[str]) -> str:
    return digest(
        f"{tag} {extent.revision}"
        for plugin in plugins
        for tag, extent in snapshot.extents(plugin, place).items()
    )


def _having(snapshot: Snapshot, places: Sequence[Place]) -> dict[tuple[str, str], list[Place]]:
    """By tag and plugin, the runs whose alerts or notes are stored there."""
    found = {}
    for tag in (ALERTS, NOTES):
        for plugin in PLUGINS[tag]:
            having = [p for p in places if tag in snapshot.extents(plugin, p)]
            if having:
                found[tag, plugin] = having
    return found
