"""The alerts of a run as every face shows them: each once, in its newest state."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from tbgrad import logformat
from tbgrad.diagnosis.diagnosis import judged
from tbgrad.diagnosis.record import SCALARS
from tbgrad.diagnosis.settings import RULE_NAMES, AlertSettings
from tbgrad.logformat import Kind
from tbgrad.records import Alert, Manifest
from tbgrad.run import Run

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Judgement:
    """The alerts of a run, and in sentences what of it the rules have not judged."""

    alerts: tuple[Alert, ...]
    not_judged: tuple[str, ...]


def alerts_of(run: Run, settings: AlertSettings | None = None) -> tuple[Alert, ...]:
    """Those in the log, and what the rules find that its writer did not know.

    With settings the log is diagnosed anew, whatever its writer found.
    """
    return judge(run, settings).alerts


def judge(run: Run, settings: AlertSettings | None = None) -> Judgement:
    """The same, and what was not judged."""
    if settings is not None:
        found, failed = judged(run, settings)
        return Judgement(newest(found), _not_judged(run, RULE_NAMES, failed))
    series = run.get(logformat.ALERTS)
    logged: list[Alert] = []
    if series is not None and series.kind is Kind.ALERTS:
        logged = [alert for alerts in series.values for alert in alerts]
    here = unwatched(run.manifest, logged)
    found, failed = judged(run, without=set(RULE_NAMES) - here)
    began = run.manifest.first_step if run.manifest is not None else 0
    return Judgement(newest([*logged, *found], began), _not_judged(run, here, failed))


def _not_judged(run: Run, rules: Collection[str], failed: Iterable[str]) -> tuple[str, ...]:
    said = [f"a rule failed and was left out: {failure}" for failure in failed]
    thinned = [
        series
        for tag in (*SCALARS, logformat.PARAMETERS)
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
