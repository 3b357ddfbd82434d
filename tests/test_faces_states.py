"""How a run stands is said in the same words in every face."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tbgrad_tui.widgets.summary import Summary

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.state import FAILED, FINISHED, INTERRUPTED, LEFT, RunState
from tbgrad.reading.directory import read
from tbgrad.report.summary import build
from tests.plugin.conftest import Api, python_provider
from tests.support.logs import manifest
from tests.support.reports import text_of
from tests.tui.support import app_on, loaded

BEGUN = RunState(started=1.0, heartbeat=5.0, epoch=2, epochs=3, host="machine", hparams={"w": 3})
STATES = {
    "failed: ValueError: x": replace(BEGUN, status=FAILED, exception="ValueError: x"),
    "interrupted: KeyboardInterrupt": replace(
        BEGUN, status=INTERRUPTED, exception="KeyboardInterrupt"
    ),
    "finished": replace(BEGUN, status=FINISHED),
    "ended: its writer was not closed": replace(BEGUN, status=LEFT),
    "silent for ": BEGUN,  # and the writer's clock stands long ago
    "": None,
}


@pytest.mark.parametrize("words", STATES)
async def test_a_state_is_said_alike(words, tmp_path):
    state = STATES[words]
    with EventFileWriter(tmp_path / "a", start_step=1) as writer:
        said = [] if state is None else [encode.state(state)]
        writer.add(1, [encode.manifest(manifest()), encode.scalar("loss", 1.0), *said], 1000.0)
    status = Api(python_provider(tmp_path)).get("status", run="a")["state"]
    (run,) = read(tmp_path).values()
    text = text_of(build(run, now=5000.0))
    app = app_on(tmp_path, now=5000.0)
    async with app.run_test(size=(200, 60)) as pilot:
        await loaded(pilot)
        line = app.run_screen.query_one(Summary).lines()[0]
        facts = "\n".join(app.run_screen.panel("runs").lines())
    assert ("no new data" in line) == (state is None)
    if state is None:
        assert status is None
        assert "state " not in text
    else:
        assert status["words"].startswith(words)
        assert words in text
        assert words in line
        assert (status["host"], status["hparams"]) == ("machine", {"w": 3})
        assert "machine" in facts
        assert "2 of 3" in facts
