"""The tab while a log appears and grows, against both of TensorBoard's readers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.state import FAILED, RunState
from tests.plugin.tabs import choose_run, healthy, live_values
from tests.support.browser import open_tab, tensorboard
from tests.support.logs import manifest, write_run

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("arguments", [(), ("--load_fast=false",)], ids=["fast", "python"])
def test_the_tab_follows_a_log_from_nothing(
    browser: Any, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """An empty directory, then a run that appears and grows: all without a reload."""
    logdir = tmp_path / "runs"
    logdir.mkdir()
    with tensorboard(logdir, tmp_path, *arguments) as server:
        tab = open_tab(browser, server.url)
        assert "No runs yet" in tab.text("#nothing")
        if arguments:
            tab.hurry()
        write_run(logdir / "live", steps=100)
        tab.wait("document.querySelector('#scalar .chart')?.data?.[0]?.x.at(-1) === 100")
        rows = len(manifest().parameters)
        with EventFileWriter(logdir / "live2") as writer:
            now = time.time()
            running = RunState(started=now, heartbeat=600.0, hparams={"width": 3})
            writer.add(0, [encode.manifest(manifest()), encode.state(running)], now)
            with EventFileWriter(logdir / "failed") as other:
                failed = replace(running, status=FAILED, exception="ValueError: <b>planted")
                other.add(1, [encode.manifest(manifest()), encode.state(failed)], now)
            for step in (1, 2):
                writer.add(step, live_values(step, rows), now)
            writer.flush()
            choose_run(tab, "live2")
            newest = "n => document.querySelector('#layers .chart').data?.[0]?.z[0].length === n"
            tab.wait(newest, 2)
            writer.add(3, live_values(3, rows), now)
            writer.flush()
            tab.wait(newest, 3)
            tab.wait("document.querySelector('#scalar .chart').data[0].x.at(-1) === 3")
            assert tab.layout("scalar")["xaxis"]["range"][1] >= 3
            assert tab.traces("scalar")[1]["name"] == "validation loss"
            assert tab.traces("scalar")[1]["y"] == [2.0, 1.0, pytest.approx(2 / 3)]
            choose_run(tab, "failed")
            said = "document.querySelector('#summary dl').innerText"
            tab.wait(f"{said}.includes('failed: ValueError: <b>planted')")
            assert "updated" not in tab.text("#summary dl")
            title = "document.querySelector('#summary dl .bad').title"
            assert "width: 3" in tab.frame.evaluate(title)
            choose_run(tab, "live2")
            tab.wait(f"{said}.includes('running')")
            tab.wait(f"{said}.includes('updated')")
        healthy(tab)
        tab.page.context.close()
