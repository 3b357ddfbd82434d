"""The alerts of a run as every face shows them: each once, in its newest state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tbgrad import logformat
from tbgrad.diagnosis.diagnosis import diagnose
from tbgrad.diagnosis.settings import RULE_NAMES, AlertSettings
from tbgrad.logformat import Kind
from tbgrad.records import Alert, Manifest
from tbgrad.run import Run

SEVERITIES = ("error", "warning", "info")


def alerts_of(run: Run, settings: AlertSettings | None = None) -> tuple[Alert, ...]:
    """Those in the log, and what the rules find that its writer did not know.

    With settings the log is diagnosed anew, whatever its writer found.
    """
    if settings is not None:
        return newest(diagnose(run, settings))
    series = run.get(logformat.ALERTS)
    logged: list[Alert] = []
    if series is not None and series.kind is Kind.ALERTS:
        logged = [alert for alerts in series.values for alert in alerts]
    known = set(RULE_NAMES) - unwatched(run.manifest, logged)
    began = run.manifest.first_step if run.manifest is not None else 0
    return newest([*logged, *diagnose(run, without=known)], began)


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
