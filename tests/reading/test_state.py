"""What signs of life mean to a reader, with clocks of every kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import metadata

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.state import FAILED, FINISHED, RunState
from tbgrad.reading.directory import LogDirectory, read
from tbgrad.reading.state import DELAY, Pulse, condition
from tbgrad.report.summary import build, to_json
from tests.support.events import PatientEventFileWriter
from tests.support.logs import manifest
from tests.support.reports import text_of

RUNNING = RunState(
    started=100.0, heartbeat=5.0, step=3, epochs=4, steps=40, host="a\x1b[31mb", pid=7,
    hparams={"width": 3, "rate": 0.1, "on": True, "name": "<b>"}, versions={"python": "3.11"},
)  # fmt: skip


def words(state, silence=0.0):
    return condition(state, silence).words


def test_words_of_every_state():
    assert condition(None, 1e9) is None
    assert words(RUNNING, 11.9) == "running"
    assert words(RUNNING, 12.1) == "silent for 12.1 s"
    assert condition(RUNNING, 12.1, disk_is_full=True).words == (
        "silent for 12.1 s: the disk of its log is full"
    )
    assert condition(RUNNING, 11.9, disk_is_full=True).words == "running"
    assert words(RUNNING, -3600.0) == "running"
    assert words(replace(RUNNING, heartbeat=35.0), 80.0) == "running"
    assert words(replace(RUNNING, pace=0.01, recent=0.049)) == "running"
    assert words(replace(RUNNING, pace=0.01, recent=0.06)).startswith("slow: 0.06 s a step")
    assert words(replace(RUNNING, pace=0.01, recent=9.0, doing="validation")) == (
        "running: validation"
    )
    assert words(replace(RUNNING, status=FINISHED), 1e6) == "finished"
    failed = replace(RUNNING, status=FAILED, exception="ValueError: \x1b[2J")
    assert words(failed, 1e6) == "failed: ValueError: \\x1b[2J"


@pytest.mark.parametrize("offset", [0.0, 3600.0, -3600.0, 10.0, -10.0])
def test_clocks_that_differ(offset):
    """By `offset` the writer's clock is ahead; a sign comes every five seconds, seen 0.2 s late."""
    pulse = Pulse()
    for beat in range(20):
        pulse.look(1000.0 + 5 * beat + offset, 1000.2 + 5 * beat)
        assert beat == 0 or pulse.silence(1005.2 + 5 * beat) < 5.3 + DELAY
    assert pulse.silence(1095.0 + 20) == pytest.approx(20, abs=DELAY)


def test_one_look_alone():
    pulse = Pulse()
    pulse.look(1000.0, 1005.0)
    assert pulse.silence(1020.0) == 20.0
    ahead = Pulse()
    ahead.look(9000.0, 1005.0)  # of a clock that is ahead: as long as the reader has looked
    assert ahead.silence(1020.0) == 15.0


def test_a_log_that_is_being_loaded_is_not_alive():
    pulse = Pulse()
    for part in range(5):  # an hour of a log is read in a second
        pulse.look(1000.0 + 3600 * part, 1e6 + part)
    assert pulse.silence(1e6 + 5) > 9e5


def write(directory, *records, step=0):
    with PatientEventFileWriter(directory, start_step=1) as writer:
        writer.add(step, [encode.manifest(manifest())])
        for at, (make, record) in enumerate(records):
            writer.add(step, [make(record)], 1000.0 + at)


def test_the_newest_sign_counts_and_none_of_them_is_a_series(tmp_path):
    sign = replace(RUNNING, step=9, epoch=2, doing="validation", resources={"memory": 3e9})
    write(tmp_path, (encode.state, RUNNING), (encode.heartbeat, RUNNING), (encode.heartbeat, sign))
    (run,) = read(tmp_path).values()
    assert not run.series
    assert run.left_out == ()
    assert run.heard == 1002.0
    assert (run.state.step, run.state.epoch, run.state.doing) == (9, 2, "validation")
    assert run.state.hparams == RUNNING.hparams
    assert run.last_wall_time == 0.0
    report = build(run, now=1010.0)
    text = text_of(report)
    assert "running: validation" in text
    assert "4 epochs, 40 steps" in text
    assert "width 3, rate 0.1, on True, name <b>" in text
    assert "a\\x1b[31mb, process 7, python 3.11" in text
    assert "memory 2.79 GiB" in text
    content = to_json({".": report})["runs"]["."]["state"]
    assert content["status"] == "running"
    assert content["words"] == "running: validation"
    assert content["steps"] == 40
    silent = to_json({".": build(run, now=1100.0)})["runs"]["."]["state"]
    assert silent["status"] == "silent"


def test_a_session_that_begins_anew_counts(tmp_path):
    failed = replace(RUNNING, status=FAILED, exception="ValueError: x")
    write(tmp_path, (encode.state, RUNNING), (encode.state, failed))
    log = LogDirectory(tmp_path)
    log.poll()
    assert words(log.runs["."].state) == "failed: ValueError: x"
    with PatientEventFileWriter(tmp_path, start_step=2) as writer:
        writer.add(1, [encode.manifest(manifest())])
        writer.add(1, [encode.state(RUNNING)], 1010.0)
    log.poll()
    assert words(log.runs["."].state) == "running"


def test_logs_without_a_state_say_nothing(tmp_path):
    with EventFileWriter(tmp_path) as writer:
        writer.add(1, [encode.manifest(manifest()), encode.scalar("loss", 1.0)])
    (run,) = read(tmp_path).values()
    assert run.state is None
    report = build(run, now=run.last_sign + 1e6)
    assert report.condition is None
    assert "state" not in text_of(report).split("steps")[0]
    assert to_json({".": report})["runs"]["."]["state"] is None


def test_what_is_no_state_is_damage(tmp_path):
    with EventFileWriter(tmp_path) as writer:
        writer.add(1, [encode.manifest(manifest())])
        for status in ("<script>", "running"):
            writer.add(1, [encode.state(replace(RUNNING, status=status))])
    (run,) = read(tmp_path).values()
    assert len(run.damage) == 1
    assert run.state.status == "running"


def test_tensorboards_own_tab_of_hyperparameters_reads_them(tmp_path):
    with EventFileWriter(tmp_path) as writer:
        writer.add(0, [encode.state(RUNNING), encode.hparams(RUNNING.hparams, 100.0)])
        writer.add(9, [encode.hparams_end(failed=True, ended=200.0)])
    events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    contents = events.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(contents["_hparams_/session_start_info"])
    assert start.hparams["width"].number_value == 3
    assert start.hparams["on"].bool_value is True
    assert start.hparams["name"].string_value == "<b>"
    end = metadata.parse_session_end_info_plugin_data(contents["_hparams_/session_end_info"])
    assert (end.status, end.end_time_secs) == (2, 200.0)
    (run,) = read(tmp_path).values()
    assert not run.series
    assert run.left_out == ()


def test_a_sign_of_life_is_small():
    used = dict.fromkeys(("processor", "memory", "host_memory"), np.pi * 1e9)
    sign = replace(RUNNING, step=10**6, pace=0.0123456, recent=0.0123456, resources=used)
    assert encode.heartbeat(sign).ByteSize() < 250
