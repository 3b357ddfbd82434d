"""The alerts of a run as every face shows them: each once, in its newest state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tbgrad.diagnosis import needs
from tbgrad.diagnosis.engine import Diagnosis
from tbgrad.diagnosis.record import RULE_SCALARS, Record
from tbgrad.diagnosis.rule import Rule
from tbgrad.diagnosis.rules import RULE_NAMES, RULES
from tbgrad.diagnosis.settings import AlertSettings
from tbgrad.judgement.history import history, scalar
from tbgrad.judgement.history import records as records
from tbgrad.judgement.story import Judgement as Judgement
from tbgrad.judgement.story import story_of
from tbgrad.log.records import SEVERITIES, Alert, Manifest
from tbgrad.log.tags import ALERTS, CURVATURE, PARAMETERS, STEPS, Kind
from tbgrad.reading.run import Run


def alerts_of(run: Run, settings: AlertSettings | None = None) -> tuple[Alert, ...]:
    """Those in the log, and what the rules find that its writer did not know.

    With settings the log is diagnosed anew, whatever its writer found.
    """
    return judge(run, settings).alerts


def judge(
    run: Run, settings: AlertSettings | None = None, rules: Sequence[Rule] = RULES
) -> Judgement:
    """The same, and what was not judged."""
    if settings is not None:
        alerts, failed = _replayed(run, settings, rules)
        return _judged(run, newest(alerts), _not_judged(run, RULE_NAMES, failed))
    return Judge(rules).judge(run)


class Judge:
    """Judges a run again and again while it grows: what is new alone goes through the rules.

    >>> judge = Judge()
    >>> for run in states_of_the_same_run:
    ...     print(judge.judge(run).story)
    """

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._diagnosis = Diagnosis(None, ())
        self._states: dict[tuple[str, int], Alert] = {}
        self._shown: tuple[object, ...] = ()
        self._after = -1

    def judge(self, run: Run) -> Judgement:
        """As `judge`, of a newer state of the run."""
        series = run.get(ALERTS)
        logged: list[Alert] = []
        if series is not None and series.kind is Kind.ALERTS:
            logged = [alert for alerts in series.values for alert in alerts]
        here = unwatched(run.manifest, logged)
        replayed = self._follow(run, here) if here else ()
        failed = self._diagnosis.failures if here else []
        began = run.manifest.first_step if run.manifest is not None else 0
        return _judged(run, newest([*logged, *replayed], began), _not_judged(run, here, failed))

    def _follow(self, run: Run, names: set[str]) -> Iterable[Alert]:
        """What the rules of these names find; anew where what was shown to them has changed."""
        if not self._shown or self._shown != self._held(run, names):
            rules = [rule for rule in self._rules if rule.name in names]
            self._diagnosis, self._states, self._after = Diagnosis(None, rules), {}, -1
        for part in history(run, self._after):
            if isinstance(part, Record):
                told, last = self._diagnosis.update(part), part.step
            else:
                told, last = self._diagnosis.add_steps(part, run.manifest), part.last_step
            self._states |= {alert.key: alert for alert in told}
            self._after = max(self._after, last)
        self._shown = self._held(run, names)
        return (self._states | {alert.key: alert for alert in self._diagnosis.open}).values()

    def _held(self, run: Run, names: set[str]) -> tuple[object, ...]:
        """What tells whether the run is as it was up to the step that the rules have seen."""
        held: list[object] = [run.manifest, frozenset(names), run.name]
        for tag in (*RULE_SCALARS, PARAMETERS, CURVATURE, STEPS):
            series = scalar(run, tag) if tag in RULE_SCALARS else run.get(tag)
            if series is None or not len(series):
                continue
            if series.buckets is not None:
                return ()  # what was merged since cannot be told from what was not
            count = int(np.searchsorted(series.steps, self._after, side="right"))
            held.append((tag, series.replaced, count) if count else None)
        return tuple(each for each in held if each is not None)


def _judged(run: Run, alerts: Iterable[Alert], not_judged: tuple[str, ...]) -> Judgement:
    logged = {tag for tag in needs.LOGGED if scalar(run, tag) is not None}
    logged |= {tag for tag in (CURVATURE, PARAMETERS) if len(run.get(tag, ()))}
    grave, blind = needs.blind(logged) if any(map(len, run.values())) else ((), ())
    return Judgement(story_of(alerts), (*not_judged, *grave), blind)


def _not_judged(run: Run, rules: Collection[str], failed: Iterable[str]) -> tuple[str, ...]:
    said = [f"a rule failed and was left out: {failure}" for failure in failed]
    thinned = [
        series
        for tag in (*RULE_SCALARS, PARAMETERS)
        if (series := run.get(tag)) is not None and series.buckets is not None
    ]
    if rules and thinned:
        longest = max(thinned, key=lambda series: series.total)
        said.append(
            f"{len(rules)} rules that the writer did not watch saw {len(longest):,} of "
            f"{longest.total:,} logged steps, as the log is held in bounded memory"
        )
    return tuple(said)


def unwatched(manifest: Manifest | None, logged: Iterable[Alert]) -> set[str]:
    """The rules that the writer of a log, going by what it logged, did not watch."""
    watched = set(manifest.rules) if manifest is not None else set()
    return set(RULE_NAMES) - watched - {alert.rule for alert in logged}


def newest(alerts: Iterable[Alert], began: int = 0) -> tuple[Alert, ...]:
    """Each alert in the last of its states: open ones first, then by severity, the newest first.

    What was still open when the writer that began at step `began` took over is closed.
    """
    states = {alert.key: alert for alert in alerts}
    for key, alert in states.items():
        if alert.state == "open" and alert.last_step < began:
            states[key] = replace(alert, state="closed")
    rank = {severity: i for i, severity in enumerate(SEVERITIES)}
    return tuple(
        sorted(
            states.values(),
            key=lambda a: (a.state != "open", rank.get(a.severity, len(rank)), -a.first_step),
        )
    )


def diagnose(run: Run, settings: AlertSettings | None = None) -> tuple[Alert, ...]:
    """What the rules find in a log, whatever its writer found; each alert in its last state.

    Of a long run that was read in bounded memory the records are its buckets.
    """
    return _replayed(run, settings, RULES)[0]


def _replayed(
    run: Run, settings: AlertSettings | None, rules: Sequence[Rule]
) -> tuple[tuple[Alert, ...], list[str]]:
    """What these rules find, and which of them failed and were left out from there on."""
    if not rules:
        return (), []
    diagnosis = Diagnosis(settings, rules)
    told = [alert for _, alert in retold(run, diagnosis)]
    newest_states = {alert.key: alert for alert in (*told, *diagnosis.open)}
    return tuple(newest_states.values()), diagnosis.failures


def retold(run: Run, diagnosis: Diagnosis) -> Iterator[tuple[int, Alert]]:
    """What rules tell of a run, and up to which step they had seen it then."""
    for part in history(run):
        if isinstance(part, Record):
            told, step = diagnosis.update(part), part.step
        else:
            told, step = diagnosis.add_steps(part, run.manifest), part.last_step
        yield from ((step, alert) for alert in told)
