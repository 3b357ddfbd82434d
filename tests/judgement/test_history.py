"""Every step of a read run goes the way of the live ones, and so does what is judged of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tbgrad.diagnosis import Diagnosis
from tbgrad.diagnosis.record import Record, called
from tbgrad.judgement.history import history
from tbgrad.judgement.replay import Judge, judge, retold
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import STATISTICS
from tbgrad.log.steps import Steps
from tbgrad.monitoring.step_log import StepLog
from tbgrad.reading.columns import Limits
from tbgrad.reading.directory import LogDirectory, read
from tests.support.events import PatientEventFileWriter
from tests.support.logs import manifest

MANIFEST = manifest(2)
ROWS = len(MANIFEST.parameters)


def steps(count: int, bad: int) -> Steps:
    """A loss that falls, and one step whose gradient is not finite."""
    at = np.arange(1, count + 1)
    norms = np.ones((count, ROWS), np.float32)
    norms[bad - 1, 2] = np.inf
    loss = (2.0 * 0.999**at).astype(np.float32)
    total = np.linalg.norm(np.where(np.isinf(norms), 1.0, norms), axis=1).astype(np.float32)
    return Steps(1, {"loss": loss, "gradient/norm": total}, norms)


def write(directory: Path, every: Steps, logged: int = 50) -> None:
    """As a monitor of a former version: every step on file, and no rule watched."""
    log, table = StepLog(), np.ones((ROWS, len(STATISTICS)), np.float32)
    with EventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(MANIFEST)], 1e9)
        for begin in range(0, len(every), logged):
            part = every[begin : begin + logged]
            now = 1e9 + part.last_step
            values = [encode.parameters(table)]
            values += [encode.scalar(tag, float(v[-1])) for tag, v in part.scalars.items()]
            for step, more in log.values(part, now - 1, now):
                writer.add(step, more, now)
            writer.add(part.last_step, values, now)
        for step, more in log.finish():
            writer.add(step, more, 2e9)


def test_what_lies_between_two_records_is_judged_as_it_was_live(tmp_path: Path) -> None:
    every = steps(1000, bad=437)
    live = Diagnosis()
    told = [a for i in range(0, 1000, 50) for a in live.add_steps(every[i : i + 50], MANIFEST)]
    write(tmp_path, every)
    run = read(tmp_path)["."]
    again = [alert for _, alert in retold(run, Diagnosis())]
    lost = [a for a in again if a.rule == "nonfinite"]
    assert lost == [a for a in told if a.rule == "nonfinite"]
    assert (lost[0].first_step, lost[0].parameters) == (437, MANIFEST.names[2:3])
    shown = [part for part in history(run) if isinstance(part, Steps)]
    assert np.array_equal(np.concatenate([part.scalars["loss"] for part in shown]),
                          every.scalars["loss"])  # fmt: skip
    assert sum(map(len, shown)) == 1000


def test_a_long_run_in_bounded_memory_is_judged_by_its_buckets(tmp_path: Path) -> None:
    write(tmp_path, steps(6000, bad=4321), logged=500)
    log = LogDirectory(str(tmp_path), bounded=Limits(norms=(64, 64), scalars=128))
    log.poll()
    run = log.finish()["."]
    (alert,) = [a for a in judge(run).alerts if a.rule == "nonfinite"]
    assert alert.first_step <= 4321 <= alert.last_step
    assert alert.last_step - alert.first_step < 300
    assert alert.parameters == MANIFEST.names[2:3]


@pytest.mark.parametrize("tag", ["train/loss", "Loss/train", "train_loss", "epoch_loss"])
def test_the_loss_of_another_writer_is_judged_by_the_name_it_has_there(
    tag: str, tmp_path: Path
) -> None:
    with EventFileWriter(tmp_path) as writer:
        for step in range(200):
            values = [encode.scalar(tag, math.nan if step > 150 else 1.0 - step / 400)]
            writer.add(step, [*values, encode.scalar("train/grad_norm", 500.0)], 1e9 + step)
    found = {alert.rule: alert for alert in judge(read(tmp_path)["."]).alerts}
    assert found["nonfinite"].first_step == 151
    assert found["exploding_gradient"].first_step == 0
    assert called("val_loss", [tag]) is None


def test_a_run_that_grows_is_judged_as_if_it_were_judged_anew(tmp_path: Path) -> None:
    """Also where a value comes late, for a step that the rules have seen, and after a restart."""
    following, log = Judge(), LogDirectory(tmp_path, bounded=False)
    rng, alerts, shares = np.random.default_rng(0), set(), []
    with PatientEventFileWriter(tmp_path) as writer:
        writer.add(0, [encode.manifest(MANIFEST)], 1e9)
        for at in range(1, 260):
            step = at if at <= 220 else at - 60  # set back to a checkpoint
            lost = 150 < at <= 220
            table = rng.lognormal(size=(ROWS, len(STATISTICS))).astype(np.float32)
            loss = math.nan if at > 180 and lost else 1e4 if lost else 2.0 / step
            values = [encode.scalar("loss", loss), encode.scalar("gradient/norm", rng.lognormal())]
            writer.add(step, [*values, encode.parameters(table)], 1e9 + at)
            if at % 50 == 0:
                writer.flush()
                log.poll()
                following.judge(log.runs["."])
                writer.add(step - 3, [encode.scalar("val_loss", 1.0)], 1e9 + at)
            if at % 7 == 0:
                writer.flush()
                log.poll()
                run = log.runs["."]
                before = following._after
                assert following.judge(run) == judge(run)
                alerts |= {alert.rule for alert in judge(run).alerts}
                shares.append(len(list(history(run, before))) / len(list(history(run))))
    assert {"nonfinite", "loss_diverging"} <= alerts
    assert np.median(shares) < 0.1, "all is shown to the rules again and again"


def test_what_is_behind_a_step_is_the_rest_of_all(tmp_path: Path) -> None:
    write(tmp_path, steps(300, bad=137))
    run = read(tmp_path)["."]
    whole = list(history(run))
    rest = list(history(run, 100))
    assert [_place(part) for part in whole if _place(part)[0] > 100] == [_place(p) for p in rest]


def _place(part: Steps | Record) -> tuple[int, int]:
    return (part.step, part.step) if isinstance(part, Record) else (part.first_step, part.last_step)
