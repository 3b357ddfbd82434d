"""What is told of a log that the clinic keeps: by its writer, by the rules of now, by a face."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import tbgrad
from tbgrad.diagnosis import AlertSettings, Diagnosis
from tbgrad.judgement.replay import judge, retold
from tbgrad.judgement.story import Story
from tbgrad.log.records import Alert
from tbgrad.log.tags import ALERTS


def rules() -> str:
    """What tells the rules as they are now from others."""
    sources = sorted(Path(tbgrad.__file__).parent.glob("diagnosis/**/*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _is_by_the_rules_of_now(log: Path) -> bool:
    return (log / "rules.txt").read_text() == rules()


def told(log: Path) -> Iterator[tuple[str, int, Alert]]:
    """Group, step and alert of what its writer told, or would tell by the rules of now."""
    if not _is_by_the_rules_of_now(log):
        yield from replayed(log)
        return
    for group, run in tbgrad.read(log).items():
        series = run.get(ALERTS)
        if series is not None:
            for step, alerts in zip(series.steps.tolist(), series.values, strict=True):
                yield from ((group, step, alert) for alert in alerts)


def replayed(log: Path) -> Iterator[tuple[str, int, Alert]]:
    """The same of what the rules tell of it now."""
    for group, run in tbgrad.read(log).items():
        diagnosis = Diagnosis()
        yield from ((group, *telling) for telling in retold(run, diagnosis))
        if diagnosis.failures:
            raise RuntimeError(f"{log}: {diagnosis.failures}")


def stories(log: Path) -> dict[str, Story | None]:
    """By group, what every face tells of it."""
    settings = None if _is_by_the_rules_of_now(log) else AlertSettings()
    runs = tbgrad.read(log) if any(log.glob("**/events.*")) else {}
    return {group: judge(run, settings).story for group, run in runs.items()}
