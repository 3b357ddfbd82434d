"""Rules over the records of a run, step by step: alerts that open, last and close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tbgrad.diagnosis.case import Case
from tbgrad.diagnosis.facts import Facts
from tbgrad.diagnosis.network import Network
from tbgrad.diagnosis.pieces import Pieces
from tbgrad.diagnosis.record import Record
from tbgrad.diagnosis.rule import Moment, Rule
from tbgrad.diagnosis.rules import RULES
from tbgrad.diagnosis.settings import AlertSettings
from tbgrad.diagnosis.trend import Trend
from tbgrad.log.records import Alert, Manifest
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LOSS


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
        self._cases = [Case(rule, chosen) for rule in rules if not chosen.silences(rule.name)[0]]
        self._cases_of_steps = [case for case in self._cases if case.rule.every_step]
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
        with np.errstate(all="ignore"):  # a diverging training has numbers of every kind
            if record.norms is not None:
                self._stepped = max(self._stepped, record.step)
                return self._update(record, self._cases_of_steps)
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
                told += self._update(record, self._cases_of_steps)
        self._stepped = max(self._stepped, steps.last_step)
        return told

    def _update(self, record: Record, cases: Sequence[Case]) -> list[Alert]:
        if record.manifest is not None and record.manifest is not self._manifest:
            self._manifest, self._layers = record.manifest, Network(record.manifest)
        self._trend.add_losses(record)
        self._facts.add(record, self._layers)
        moment = Moment(record, self._trend, self._settings, self._facts, self._layers)
        told = [alert for case in tuple(cases) for alert in self._ask(case, moment)]
        self._trend.add_gradient(record)
        return told

    def _ask(self, case: Case, moment: Moment) -> list[Alert]:
        try:
            return case.update(moment)
        except Exception as error:  # noqa: BLE001 - the other rules go on
            for cases in (self._cases, self._cases_of_steps):
                if case in cases:
                    cases.remove(case)
            self.failures.append(f"{case.rule.name}: {type(error).__name__}: {error}")
            return case.end()

    @property
    def open(self) -> list[Alert]:
        """The alerts that are open, up to the newest record."""
        return [alert for case in self._cases for alert in case.now]

    def end(self) -> list[Alert]:
        """Close what is open."""
        return [alert for case in self._cases for alert in case.end()]
