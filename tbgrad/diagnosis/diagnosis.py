"""Rules over the records of a run, step by step: alerts that open, last and close."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tbgrad import logformat
from tbgrad.diagnosis.layers import Layers
from tbgrad.diagnosis.record import Record
from tbgrad.diagnosis.rule import Moment, Rule
from tbgrad.diagnosis.rules import RULES
from tbgrad.diagnosis.settings import AlertSettings
from tbgrad.diagnosis.trend import Trend
from tbgrad.logformat import Kind
from tbgrad.records import Alert, Manifest
from tbgrad.run import Run

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
        self._manifest: Manifest | None = None
        self._layers: Layers | None = None

    def update(self, record: Record) -> list[Alert]:
        """Take in the next record; what there is to tell, each alert in its newest state.

        An alert that lasts is told again each time it has lasted twice as long.
        """
        if record.manifest is not None and record.manifest is not self._manifest:
            self._manifest, self._layers = record.manifest, Layers(record.manifest)
        self._trend.before(record)
        moment = Moment(record, self._trend, self._settings, self._layers)
        with np.errstate(all="ignore"):  # a diverging training has numbers of every kind
            told = [alert for case in self._cases for alert in case.update(moment)]
        self._trend.after(record)
        return told

    @property
    def open(self) -> list[Alert]:
        """The alerts that are open, up to the newest record."""
        return [alert for case in self._cases for alert in case.open]


class _Case:
    """One rule on one run: how long it has applied, to which rows, and its open alerts.

    Each time it comes back to a row it takes twice as long to close, so that a fault that comes and
    goes is few alerts.
    """

    def __init__(self, rule: Rule, settings: AlertSettings) -> None:
        self._rule, self._settings = rule, settings
        self._heard = np.ones(0, np.bool_)
        self._pending = False
        self._manifest: Manifest | None = None
        self._names: tuple[str, ...] = ()
        self._hits = np.zeros(0, np.int64)
        self._misses = np.zeros(0, np.int64)
        self._since = np.zeros(0, np.int64)
        self._patience = np.zeros(0, np.int64)
        self._alerts: list[tuple[NDArray[np.intp], Alert, int]] = []

    @property
    def open(self) -> list[Alert]:
        return [alert for _, alert, _ in self._alerts]

    def update(self, moment: Moment) -> Iterator[Alert]:
        """Take in the next moment; what there is to tell."""
        found, record = self._rule.applies(moment), moment.record
        if found is None:
            return
        if not self._pending and (found is False or not np.any(found)):
            return
        of_run = np.ndim(found) == 0
        hit = np.array(found, dtype=np.bool_, ndmin=1)
        if len(hit) != len(self._hits) or (self._manifest is not record.manifest and not of_run):
            names = () if of_run or record.manifest is None else self._rule.names(record.manifest)
            if len(hit) != len(self._hits) or names != self._names:
                yield from self._begin(names, len(hit))
            self._manifest = record.manifest
        hit &= self._heard
        self._pending = bool(hit.any()) or bool(self._alerts)
        self._since = np.where(hit & (self._hits == 0), record.step, self._since)
        self._hits = np.where(hit, self._hits + 1, 0)
        self._misses = np.where(hit, 0, self._misses + 1)
        yield from self._last(record.step, hit)
        told = np.zeros(len(hit), np.bool_)
        for rows, _, _ in self._alerts:
            told[rows] = True
        rows = np.flatnonzero((self._hits >= self._rule.opens_after) & hit & ~told)
        if len(rows):
            advice = self._rule.advice
            alert = Alert(
                rule=self._rule.name,
                severity=self._rule.severity,
                parameters=() if of_run else tuple(self._names[i] for i in rows),
                first_step=int(self._since[rows].min()),
                last_step=record.step,
                state="open",
                evidence=self._evidence(moment, rows),
                causes=self._rule.causes,
                advice=advice if isinstance(advice, str) else advice(moment, rows),
            )
            self._alerts.append((rows, alert, 2 * (record.step - alert.first_step) + 1))
            self._patience[rows] = np.where(
                self._patience[rows] > 0, 2 * self._patience[rows], self._rule.closes_after
            )
            yield alert

    def _evidence(self, moment: Moment, rows: NDArray[np.intp]) -> str:
        said = self._rule.evidence(moment, rows)
        if self._rule.opens_after > 1:
            said += f", {self._rule.opens_after} times in a row"
        listed = [self._names[i] for i in rows[:LISTED]] if self._names else []
        more = ", …" if len(rows) > LISTED else ""
        return f"{said}: {', '.join(listed)}{more}" if listed else said

    def _last(self, step: int, hit: NDArray[np.bool_]) -> Iterator[Alert]:
        """Bring the open alerts up to date."""
        lasting = []
        for rows, alert, told_again in self._alerts:
            if hit[rows].any():
                alert = replace(alert, last_step=step)
                if step - alert.first_step >= told_again:
                    told_again = 2 * (step - alert.first_step)
                    yield alert
            if (self._misses[rows] >= self._patience[rows]).all():
                yield replace(alert, state="closed")
            else:
                lasting.append((rows, alert, told_again))
        self._alerts = lasting

    def _begin(self, names: tuple[str, ...], rows: int) -> Iterator[Alert]:
        """Close all and begin anew: the parameters are others now."""
        for _, alert, _ in self._alerts:
            yield replace(alert, state="closed")
        self._alerts, self._names = [], names
        self._heard = np.ones(rows, np.bool_)
        if names:
            self._heard = ~np.array(self._settings.silences(self._rule.name, names))
        fresh = (np.zeros(rows, np.int64) for _ in range(4))
        self._hits, self._misses, self._since, self._patience = fresh


def diagnose(
    run: Run, settings: AlertSettings | None = None, without: Container[str] = ()
) -> tuple[Alert, ...]:
    """What the rules find in a log, but those named in `without`; each alert in its last state.

    Of a long run that was read in bounded memory the records are its buckets.
    """
    rules = [rule for rule in RULES if rule.name not in without]
    if not rules:
        return ()
    diagnosis = Diagnosis(settings, rules)
    newest: dict[tuple[str, tuple[str, ...], int], Alert] = {}
    for record in records(run):
        for alert in diagnosis.update(record):
            newest[alert.rule, alert.parameters, alert.first_step] = alert
    for alert in diagnosis.open:
        newest[alert.rule, alert.parameters, alert.first_step] = alert
    return tuple(newest.values())


def records(run: Run) -> Iterator[Record]:
    """What a run logged, step by step."""
    packed = run.get(logformat.PARAMETERS)
    curvature = run.get(logformat.CURVATURE)
    scalars = {
        tag: dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        for tag, series in run.items()
        if series.kind is Kind.SCALAR
    }
    rows: dict[int, NDArray[np.float32]] = {}
    if packed is not None and run.manifest is not None:
        known = len(run.manifest.parameters)
        rows = dict(zip(packed.steps.tolist(), packed.values[:, :known], strict=True))
    estimates = (
        dict(zip(curvature.steps.tolist(), curvature.values, strict=True)) if curvature else {}
    )
    for step in sorted({*rows, *estimates, *(s for found in scalars.values() for s in found)}):
        yield Record(
            step=step,
            scalars={tag: found[step] for tag, found in scalars.items() if step in found},
            table=rows.get(step),
            manifest=run.manifest,
            curvature=estimates.get(step),
        )
