"""Rules over the records of a run, step by step: alerts that open, last and close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.facts import Facts
from tbgrad.diagnosis.network import Network
from tbgrad.diagnosis.pieces import Pieces
from tbgrad.diagnosis.record import Record
from tbgrad.diagnosis.rule import Advice, Moment, Rule
from tbgrad.diagnosis.rules import RULES
from tbgrad.diagnosis.settings import AlertSettings
from tbgrad.diagnosis.trend import Trend
from tbgrad.log.records import Alert, Manifest
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LOSS

LISTED = 3
"""So many parameters are named in the evidence; the alert has all of them."""


class Diagnosis:
    """Follows one run; the same live in the writer and afterwards over a log.

    >>> diagnosis = Diagnosis()
    >>> for alert in diagnosis.update(record):    # opened, updated or closed at this record
    ...     print(alert.rule, alert.state, alert.evidence)
    """

    def __init__(
        self, settings: AlertSettings | None = None, rules: Sequence[Rule] = RULES
    ) -> None:
        self._settings = chosen = settings or AlertSettings()
        self._cases = [_Case(rule, chosen) for rule in rules if not chosen.silences(rule.name)[0]]
        self._trend = Trend()
        self._facts = Facts()
        self._pieces = Pieces()
        self._stepped = -1
        self._manifest: Manifest | None = None
        self._layers: Network | None = None
        self.failures: list[str] = []

    def update(self, record: Record) -> list[Alert]:
        """Take in the next record; what there is to tell, each alert in its newest state.

        An alert that lasts is told again, with what is measured now, each time it has lasted twice
        as long, and when a parameter joins it. A rule that fails is left out from there on, and is
        among `failures`.
        """
        if record.norms is not None:
            self._stepped = max(self._stepped, record.step)
            return self._update(record, [case for case in self._cases if case.rule.every_step])
        if record.step > self._stepped:
            return self._update(record, self._cases)
        # Of this step the rest is known.
        of_step = (LOSS, GRADIENT_NORM, GRADIENT_NORM_MAX)
        rest = {tag: value for tag, value in record.scalars.items() if tag not in of_step}
        others = [case for case in self._cases if not case.rule.every_step]
        return self._update(replace(record, scalars=rest), others)

    def add_steps(self, steps: Steps, manifest: Manifest | None) -> list[Alert]:
        """Take in every step of a stretch, ahead of the record of the last of them."""
        told = []
        with np.errstate(all="ignore"):
            for record in self._pieces.of(steps, manifest):
                told += self.update(record)
        return told

    def _update(self, record: Record, cases: Sequence[_Case]) -> list[Alert]:
        if record.manifest is not None and record.manifest is not self._manifest:
            self._manifest, self._layers = record.manifest, Network(record.manifest)
        with np.errstate(all="ignore"):  # a diverging training has numbers of every kind
            self._trend.add_losses(record)
            self._facts.add(record, self._layers)
            moment = Moment(record, self._trend, self._settings, self._facts, self._layers)
            told = [alert for case in tuple(cases) for alert in self._ask(case, moment)]
            self._trend.add_gradient(record)
        return told

    def _ask(self, case: _Case, moment: Moment) -> list[Alert]:
        try:
            return case.update(moment)
        except Exception as error:  # noqa: BLE001 - the other rules go on
            self._cases.remove(case)
            self.failures.append(f"{case.rule.name}: {type(error).__name__}: {error}")
            return case.end()

    @property
    def open(self) -> list[Alert]:
        """The alerts that are open, up to the newest record."""
        return [alert for case in self._cases for alert in case.now]

    def end(self) -> list[Alert]:
        """Close what is open."""
        return [alert for case in self._cases for alert in case.end()]


class _Case:
    """One rule on one run: how long it has applied, to which rows, and its alert.

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

    def update(self, moment: Moment) -> list[Alert]:
        """Take in the next moment; what there is to tell."""
        applies, record = self.rule.applies(moment), moment.record
        if applies is None:
            return []
        if not self._pending and (applies is False or not np.any(applies)):
            return []
        told: list[Alert] = []
        of_run = np.ndim(applies) == 0
        hit = np.array(applies, dtype=np.bool_, ndmin=1)
        if len(hit) != len(self._hits) or (self._manifest is not record.manifest and not of_run):
            names = () if of_run or record.manifest is None else self.rule.names(record.manifest)
            if len(hit) != len(self._hits) or names != self._names:
                told += self._begin(names, len(hit), record.manifest)
            self._manifest = record.manifest
        hit &= self._heard
        first, steps = record.first_step or record.step, record.steps
        self._since = np.where(hit & (self._hits == 0), first, self._since)
        self._hits = np.where(hit, self._hits + steps, 0)
        self._misses = np.where(hit, 0, self._misses + steps)
        ready = self._hits >= self.rule.opens_after
        if self.rule.at_once is not None and not ready.all():
            ready |= hit & self.rule.at_once(moment)
        if self.alert is not None:
            told += self._last(moment, hit, ready)
        elif ready.any():
            told.append(self._open(moment, ready))
        self._pending = self.alert is not None or bool(hit.any())
        return told

    @property
    def now(self) -> list[Alert]:
        """The alert as of the newest record that it was seen in, if there is one."""
        return [] if self.alert is None else [replace(self.alert, last_step=self._seen)]

    def end(self) -> list[Alert]:
        """Close the alert, if there is one."""
        closed = [replace(alert, state="closed") for alert in self.now]
        self.alert = None
        return closed

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
        self._member = (before | ready) & (self._misses < self._patience)
        if not self._member.any():
            return self.end()
        now = self._member & hit
        if not now.any():
            return []
        first, step = self.alert.first_step, moment.record.step
        self._seen = step
        fresh = (self._member & ~self._named).any()
        due = step - first >= self._told_again or self.rule.told_always
        if not fresh and not due:
            if (before & ~self._member).any():
                self.alert = self._made(moment, np.flatnonzero(now), first)
            return []
        self._named = self._named | self._member
        self._told_again = max(self._told_again, 2 * (step - first))
        self.alert = self._made(moment, np.flatnonzero(now), first)
        return [self.alert]

    def _made(self, moment: Moment, rows: NDArray[np.intp], first_step: int) -> Alert:
        """The alert as it is at this moment; `rows` are those that it is measured in."""
        rule = self.rule
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
        )

    def _begin(self, names: tuple[str, ...], rows: int, manifest: Manifest | None) -> list[Alert]:
        """Close the alert and begin anew: the parameters are others now."""
        told = self.end()
        self._names = names
        self._heard = np.ones(rows, np.bool_)
        if names:
            known = {} if manifest is None else manifest.full_paths
            in_full = [known.get(name, name) for name in names]
            for called in (names, in_full):
                self._heard &= ~np.array(self._settings.silences(self.rule.name, called))
        self._member = np.zeros(rows, np.bool_)
        self._hits, self._misses, self._since = (np.zeros(rows, np.int64) for _ in range(3))
        return told
