"""One rule on one run: how long it has applied, to which rows, and its alert."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.rule import Advice, Moment, Rule
from tbgrad.diagnosis.settings import AlertSettings
from tbgrad.log.records import Alert, Manifest

LISTED = 3
"""So many parameters are named in the evidence; the alert has all of them."""

NEVER = 2**62


def enough(steps: int) -> int:
    """So many records stand for so many steps at least, however far apart they are.

    What is seen again after long has lasted no less than what neighbours show.
    """
    return max(min(3, steps), -(-steps // 4))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


class Case:
    """One rule on one run.

    A rule has one alert open at a time, which further rows join. Each time it comes back it takes
    twice as long to close, so that a fault that comes and goes is few alerts.
    """

    def __init__(self, rule: Rule, settings: AlertSettings) -> None:
        self.rule = rule
        self.alert: Alert | None = None
        self._settings = settings
        self._manifest: Manifest | None = None
        self._names: tuple[str, ...] = ()
        self._pending = False
        self._patience = 0
        self._told_again = self._seen = 0
        self._heard = self._member = self._named = np.zeros(0, np.bool_)
        self._hits = self._misses = self._since = np.zeros(0, np.int64)
        self._steady: Any = None
        self._waiting = self._at = 0
        self._quiet_until: int | None = None
        self._measured = False

    def update(self, moment: Moment) -> list[Alert]:
        """Take in the next moment; what there is to tell."""
        applies, record = self.rule.applies(moment), moment.record
        if applies is None or (applies is False and not self._pending):
            return []
        of_run = isinstance(applies, bool) or np.ndim(applies) == 0
        pattern = bool(applies) if of_run else applies.tobytes()
        if not self._pending and not (pattern if of_run else applies.any()):
            return []
        steady = pattern == self._steady and self.rule.at_once is None
        if steady and self._manifest is record.manifest:
            if self._quiet_until is None:
                self._quiet_until = self._next_change()
            quiet = record.step < self._quiet_until
            if quiet and not (self._measured and self._due(record.step)):
                self._waiting += record.steps
                self._seen = record.step if self._measured else self._seen
                return []
        told = self._update(moment, np.array(applies, dtype=np.bool_, ndmin=1), of_run)
        self._steady = pattern if self._pending else None
        return told

    @property
    def now(self) -> list[Alert]:
        """The alert as of the newest record that it was seen in, if there is one."""
        return [] if self.alert is None else [replace(self.alert, last_step=self._seen)]

    def end(self) -> list[Alert]:
        """Close the alert, if there is one."""
        closed = [replace(alert, state="closed") for alert in self.now]
        self.alert = None
        self._member = np.zeros_like(self._member)
        return closed

    def _update(self, moment: Moment, hit: NDArray[np.bool_], of_run: bool) -> list[Alert]:
        told: list[Alert] = []
        record = moment.record
        if len(hit) != len(self._hits) or (self._manifest is not record.manifest and not of_run):
            names = () if of_run or record.manifest is None else self.rule.names(record.manifest)
            if len(hit) != len(self._hits) or names != self._names:
                told += self._begin(names, len(hit), record.manifest)
        self._manifest = record.manifest
        self._catch_up()
        hit &= self._heard
        first = record.first_step or record.step
        self._since = np.where(hit != (self._hits > 0), first, self._since)
        self._hits = (self._hits + record.steps) * hit
        self._misses = (self._misses + record.steps) * ~hit
        ready = hit & self._lasted(self._hits, self.rule.opens_after, record.step)
        if self.rule.at_once is not None and not ready.all():
            ready |= hit & self.rule.at_once(moment)
        if self.alert is not None:
            told += self._last(moment, hit, ready)
        elif ready.any():
            told.append(self._open(moment, ready))
        self._pending = self.alert is not None or bool(hit.any())
        self._measured = bool((self._member & hit).any())
        self._at, self._quiet_until = record.step, None
        return told

    def _lasted(self, seen: NDArray[np.int64], steps: int, step: int) -> NDArray[np.bool_]:
        """In which rows it has been as it is for so many steps, of which enough were seen."""
        return (step - self._since >= steps - 1) & (seen >= enough(steps))

    # What follows may be the same for long: until something can come of it, steps are only counted.

    def _catch_up(self) -> None:
        """Count the steps at which all was as before."""
        if self._waiting:
            hit = self._hits > 0
            self._hits = (self._hits + self._waiting) * hit
            self._misses = (self._misses + self._waiting) * ~hit
            self._waiting = 0

    def _next_change(self) -> int:
        """The first step at which a rule that says the same can change more than the counts."""
        opens, closes, hit = self.rule.opens_after, self._patience, self._hits > 0
        soon = [
            np.maximum(self._since[rows] + steps - 1, self._at + enough(steps) - seen[rows])
            for rows, seen, steps in (
                (hit & ~self._member, self._hits, opens),
                (self._member & ~hit, self._misses, closes),
            )
        ]
        changes = np.concatenate(soon)
        return int(changes.min()) if len(changes) else NEVER

    def _due(self, step: int) -> bool:
        """Whether the alert is to be told again."""
        if self.alert is None:
            return False
        return self.rule.told_always or step - self.alert.first_step >= self._told_again

    def _open(self, moment: Moment, ready: NDArray[np.bool_]) -> Alert:
        self._member = self._named = ready
        self._patience = 2 * self._patience or self.rule.closes_after
        first = int(self._since[ready].min())
        self.alert = self._made(moment, np.flatnonzero(ready), first)
        self._seen = moment.record.step
        self._told_again = 2 * (self._seen - first) + 1
        return self.alert

    def _last(
        self, moment: Moment, hit: NDArray[np.bool_], ready: NDArray[np.bool_]
    ) -> list[Alert]:
        """Bring the alert up to date."""
        assert self.alert is not None
        before = self._member
        over = ~hit & self._lasted(self._misses, self._patience, moment.record.step)
        self._member = (before | ready) & ~over
        if not self._member.any():
            return self.end()
        now = self._member & hit
        if not now.any():
            return []
        first, step = self.alert.first_step, moment.record.step
        self._seen = step
        fresh = (self._member & ~self._named).any()
        if not fresh and not self._due(step):
            if (before & ~self._member).any():
                self.alert = self._made(moment, np.flatnonzero(now), first)
            return []
        self._named = self._named | self._member
        self._told_again = max(self._told_again, 2 * (step - first))
        self.alert = self._made(moment, np.flatnonzero(now), first)
        return [self.alert]

    def _made(self, moment: Moment, rows: NDArray[np.intp], first_step: int) -> Alert:
        """The alert as it is at this moment; `rows` are those that it is measured in."""
        rule, moment = self.rule, replace(moment, since=first_step)
        said, headline = rule.evidence(moment, rows), rule.headline
        advice = rule.advice if isinstance(rule.advice, Advice) else rule.advice(moment, rows)
        named = [self._names[i] for i in rows] if self._names else []
        if named:
            said += f": {', '.join(named[:LISTED])}{', …' if len(named) > LISTED else ''}"
        return Alert(
            rule=rule.name,
            severity=rule.severity if isinstance(rule.severity, str) else rule.severity(moment),
            parameters=tuple(self._names[i] for i in np.flatnonzero(self._member)) if named else (),
            first_step=first_step,
            last_step=moment.record.step,
            state="open",
            evidence=said,
            causes=rule.causes if isinstance(rule.causes, tuple) else rule.causes(moment, rows),
            advice=advice.first,
            next_advice=advice.then,
            headline=headline if isinstance(headline, str) else headline(moment, rows),
            threshold=_finite(rule.threshold(moment)),
        )

    def _begin(self, names: tuple[str, ...], rows: int, manifest: Manifest | None) -> list[Alert]:
        """Close the alert and begin anew: the parameters are others now."""
        told = self.end()
        self._names, self._waiting = names, 0
        self._heard = np.ones(rows, np.bool_)
        if names:
            known = {} if manifest is None else manifest.full_paths
            in_full = [known.get(name, name) for name in names]
            for called in (names, in_full):
                self._heard &= ~np.array(self._settings.silences(self.rule.name, called))
        self._member = np.zeros(rows, np.bool_)
        self._hits, self._misses, self._since = (np.zeros(rows, np.int64) for _ in range(3))
        return told
