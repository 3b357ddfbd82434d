"""However much a log holds, an answer is bounded, and says how much of it is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer

from tbgrad.log import encode
from tbgrad.plugin.answer import MAX_SENTENCES
from tbgrad.plugin.sampling import SAMPLES
from tbgrad.plugin.views.alerts import MAX_ALERTS, MAX_NOTES, MAX_STORIES
from tbgrad.plugin.views.curvature import MAX_ESTIMATES
from tbgrad.plugin.views.parameter import MAX_HISTOGRAMS
from tbgrad.plugin.views.run import MAX_TAGS
from tbgrad.plugin.views.scalars import MAX_POINTS
from tests.plugin import logs
from tests.plugin.conftest import Api
from tests.plugin.test_provider_calls import LOOK
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest
from tests.support.values import ESTIMATE

RECORDS = 6500
TAGS = 900
LONGEST = 1_000_000
"""Characters of an answer on this log, which has four parameters."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    """A log with thousands of everything, of which the server keeps all."""
    root = tmp_path_factory.mktemp("much")
    described = replace(manifest(2), rules=logs.RULES)
    table = logs.table(4, norm=1.0)
    counts = np.ones((4, described.histogram_bins.columns), np.int32)
    values = [
        encode.scalar("loss", 1.0), encode.curvature(ESTIMATE), encode.note("a note"),
        encode.parameters(table), encode.histograms(counts),
    ]  # fmt: skip
    misfit = [encode.parameters(table[:3])]
    with EventFileWriter(root / "a", start_step=0) as writer:
        told = [logs.alert("nonfinite", "error", 3 * i) for i in range(RECORDS // 2)]
        first = [encode.scalar(f"one/{i}", 1.0) for i in range(TAGS)]
        writer.add(0, [encode.manifest(described), encode.alerts(told), *first], EPOCH)
        for step in range(1, RECORDS):
            writer.add(step, values if step % 9 else misfit, EPOCH + step)
    sizes = dict.fromkeys((*SAMPLES, "text"), 0)
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance=sizes)
    multiplexer.AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    return Api(data_provider.MultiplexerDataProvider(multiplexer, str(root)))


def of(api: Api, route: str) -> Any:
    return api.get(route, run="a", parameter="dense_1/kernel")


@pytest.mark.parametrize("route", LOOK)
def test_an_answer_is_bounded(api: Api, route: str) -> None:
    answer = api.raw(route, run="a", parameter="dense_1/kernel")
    assert answer.status_code == 200
    assert len(answer.text) < LONGEST


def test_what_is_left_out_is_counted(api: Api) -> None:
    good = RECORDS - 1 - (RECORDS - 1) // 9
    assert len(of(api, "status")["scalar_tags"]) == MAX_TAGS
    curvature = of(api, "curvature")
    assert (curvature["stored"], len(curvature["estimates"])) == (good, MAX_ESTIMATES)
    assert curvature["estimates"][-1]["step"] == RECORDS - 1
    notes = of(api, "notes")
    assert (notes["stored"], len(notes["notes"])) == (good, MAX_NOTES)
    assert notes["notes"][-1]["step"] == RECORDS - 1
    alerts = of(api, "alerts")
    assert (alerts["stored"], len(alerts["alerts"])) == (RECORDS // 2, MAX_ALERTS)
    assert len(alerts["stories"]) <= MAX_STORIES
    problems = of(api, "layers")["problems"]
    assert len(problems) == MAX_SENTENCES + 1
    assert problems[-1] == f"and {RECORDS - 1 - good - MAX_SENTENCES:,} more"
    parameter = of(api, "parameter")
    assert (parameter["stored"], len(parameter["steps"])) == (good, MAX_POINTS)
    histogram = of(api, "histogram")
    assert (histogram["stored"], len(histogram["steps"])) == (good, MAX_HISTOGRAMS)
