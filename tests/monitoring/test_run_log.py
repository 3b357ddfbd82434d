"""The log of a run by itself: what is added is written and judged, and a failure ends it once."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.diagnosis import Record
from tbgrad.log.append import EventFileWriter
from tbgrad.log.local_file import LocalFile
from tbgrad.log.records import STATISTICS
from tbgrad.log.steps import Steps
from tbgrad.log.tags import ALERTS, ENDED, GRADIENT_NORM, LOSS, NOTES
from tbgrad.monitoring.alert_log import AlertLog
from tbgrad.monitoring.cadence import Cadence, Cadences
from tbgrad.monitoring.logged_step import Drained, LoggedStep
from tbgrad.monitoring.rounding import Rounding
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.storage import LocalStorage
from tests.support.logs import manifest

CADENCES = Cadences(Cadence((1,)), Cadence((10,)))


def begun(logdir: Path, **arguments: object) -> RunLog:
    log = RunLog(logdir, CADENCES, **arguments)
    log.describe(0, manifest(2), Rounding(()))
    log.open(0)
    return log


def drained(*steps: int, loss: float = 1.0) -> Drained:
    """Neighbours, each of them logged."""
    tables = [np.ones((4, len(STATISTICS)), np.float32) for _ in steps]
    logged = (LoggedStep(*pair) for pair in zip(steps, ({} for _ in steps), tables, strict=True))
    scalars = {LOSS: np.full(len(steps), loss, np.float32)}
    scalars[GRADIENT_NORM] = np.full(len(steps), 2.0, np.float32)
    norms = np.ones((len(steps), 4), np.float32)
    return Drained((Steps(steps[0], scalars, norms),), tuple(logged))


class FullStorage(LocalStorage):
    """A disk that is full after the first events, until there is `room`."""

    room = False

    def create(self, path: str) -> LocalFile:
        file = LocalFile(path)
        write, written = file.write, []

        def as_far_as_there_is_room(data: bytes) -> None:
            if len(written) > 2 and not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(data)
            write(data)

        file.write = as_far_as_there_is_room  # type: ignore[method-assign]
        return file


def test_rules_and_listeners_run_on_the_thread_that_writes(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []

    def listen(record: Record) -> None:
        heard.append((threading.current_thread().name, record.step))

    log = begun(tmp_path, listeners=[listen])
    log.add(drained(1, 2))
    assert log.settle()
    assert heard == [("tbgrad-writer", 1), ("tbgrad-writer", 2)]
    assert log.latest is not None
    assert log.latest["step"] == 2
    log.close()


def test_all_that_was_added_is_judged_before_it_is_closed(tmp_path: Path) -> None:
    log = begun(tmp_path)
    log.add(drained(1, 2, loss=np.nan))
    log.close()
    assert "nonfinite" in log.alerted
    assert log.loss_is_lost
    run = tbgrad.read(tmp_path)["."]
    assert [alert.rule for alert in run["tbgrad/alerts"].values[0]] == ["nonfinite"]


def test_a_disk_that_is_full_is_told_once_and_all_is_judged_and_logged_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = FullStorage()
    log = begun(tmp_path, storage=storage)
    log.add(drained(1, 2, loss=np.nan))
    log.add(drained(3, 4))
    assert log.settle()
    assert "nonfinite" in log.alerted
    assert "tbgrad/alerts" not in tbgrad.read(tmp_path)["."]
    storage.room = True
    log.add(drained(5, 6))
    log.close()
    run = tbgrad.read(tmp_path)["."]
    assert run[LOSS].steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert [alert.rule for alert in run["tbgrad/alerts"].values[0]] == ["nonfinite"]
    (note,) = run[NOTES].values
    assert note.startswith(f"the disk of {tmp_path} is full: what is logged waits in memory until")
    assert [r.getMessage() for r in caplog.records if "is full" in r.getMessage()] == [
        f"tbgrad: {note}"
    ]


def test_a_disk_that_stays_full_ends_it_with_one_sentence_and_nobody_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = begun(tmp_path, storage=FullStorage())
    log.add(drained(*range(1, 9)))
    log.close()
    assert log.failed
    assert not log.settle(timeout=3600.0)  # at once: it would never be set
    log.add(drained(9))
    log.close()
    told = [r.getMessage() for r in caplog.records if ENDED in r.getMessage()]
    assert len(told) == 1
    assert "training goes on. OSError: [Errno 28] No space left on device" in told[0]


def test_what_is_said_before_there_is_a_file_is_in_it(tmp_path: Path) -> None:
    log = RunLog(tmp_path, CADENCES)
    log.note("early")
    log.note_once("subject", "once")
    log.note_once("subject", "twice")
    log.describe(0, manifest(2), Rounding(()))
    log.open(0)
    log.close()
    run = tbgrad.read(tmp_path)["."]
    assert run[NOTES].values.tolist() == ["early\nonce"]


def test_a_second_session_goes_on_in_a_file_of_its_own(tmp_path: Path) -> None:
    log = begun(tmp_path)
    log.add(drained(1, 2))
    log.close()
    log.open(2)
    log.add(drained(3))
    log.close()
    run = tbgrad.read(tmp_path)["."]
    assert run[LOSS].steps.tolist() == [1, 2, 3]
    assert run.manifest is not None
    assert run.manifest.first_step == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_told_late_is_not_written_behind_what_was_told_before(tmp_path: Path) -> None:
    """A step's statistics may come a drain later: readers take steps that fall for news."""
    described = replace(manifest(2), frozen=("below",))
    alerts = AlertLog(None, pytest.fail)
    norms = np.ones((40, 4), np.float32)
    norms[3:9] = np.inf
    scalars = {LOSS: np.ones(40, np.float32), GRADIENT_NORM: norms[:, 0]}
    told = alerts.stepped(Steps(1, scalars, norms), described)
    table = np.ones((4, len(STATISTICS)), np.float32)
    told += alerts.logged(Record(8, {}, table, described))
    steps = [step for step, _ in told]
    assert steps == sorted(steps)
    with EventFileWriter(tmp_path) as file:
        for step, values in told:
            file.add(step, values)
    read = [alert for told in tbgrad.read(tmp_path)["."][ALERTS].values for alert in told]
    states = {alert.rule: alert.state for alert in read}
    assert states == {"nonfinite": "closed", "not_trainable": "open"}
