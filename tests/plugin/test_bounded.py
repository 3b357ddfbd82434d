"""However much a log holds, an answer is bounded, and says how much of it is left out."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer

from tbgrad.log import encode
from tbgrad.plugin import stored_layers
from tbgrad.plugin.answer import MAX_SENTENCES, as_json
from tbgrad.plugin.responses import COMPRESSION
from tbgrad.plugin.sampling import SAMPLES
from tbgrad.plugin.views import layers
from tbgrad.plugin.views.alerts import MAX_ALERTS, MAX_NOTES, MAX_STORIES
from tbgrad.plugin.views.curvature import MAX_DENSITIES, MAX_ESTIMATES, MAX_GRID
from tbgrad.plugin.views.parameter import MAX_HISTOGRAMS
from tbgrad.plugin.views.run import MAX_TAGS
from tbgrad.plugin.views.scalars import MAX_POINTS
from tests.plugin import logs
from tests.plugin.conftest import Api, python_provider
from tests.plugin.test_provider_calls import LOOK
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest, write_run
from tests.support.values import ESTIMATE

RECORDS = 6500
TAGS = 900
LONGEST = 300_000
"""Bytes of an answer, compressed."""


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
    values.append(encode.density(np.linspace(-1, 1, 300), np.ones(300)))
    misfit = [encode.parameters(table[:3])]
    with EventFileWriter(root / "a", start_step=0) as writer:
        told = [logs.alert("nonfinite", "error", 3 * i) for i in range(RECORDS // 2)]
        first = [encode.scalar(f"one/{i}", 1.0) for i in range(TAGS)]
        writer.add(0, [encode.manifest(described), encode.alerts(told), *first], EPOCH)
        for step in range(1, RECORDS):
            writer.add(step, values if step % 9 else misfit, EPOCH + step)
        fine = np.sin(np.arange(9000.0)) + 1
        writer.add(RECORDS, [encode.density(np.arange(9000.0), fine)], EPOCH + RECORDS)
    sizes = dict.fromkeys((*SAMPLES, "text"), 0)
    multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance=sizes)
    multiplexer.AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    return Api(data_provider.MultiplexerDataProvider(multiplexer, str(root)))


def of(api: Api, route: str) -> Any:
    return api.get(route, run="a", parameter="dense_1/kernel")


@pytest.mark.parametrize("route", [*LOOK, "overview", "compare"])
def test_an_answer_is_bounded(api: Api, route: str) -> None:
    query = {"run": "a", "parameter": "dense_1/kernel", "with": "a"}
    answer = api.raw(route, **query, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert len(answer.data) < LONGEST


def test_what_is_left_out_is_counted(api: Api) -> None:
    good = RECORDS - 1 - (RECORDS - 1) // 9
    assert len(of(api, "status")["scalar_tags"]) == MAX_TAGS
    curvature = of(api, "curvature")
    assert (curvature["stored"], len(curvature["estimates"])) == (good, MAX_ESTIMATES)
    assert curvature["estimates"][-1]["step"] == RECORDS - 1
    steps = curvature["density_steps"]
    assert (steps[0], steps[-1], len(steps)) == (1, RECORDS, MAX_DENSITIES)
    finest = of(api, "density")["density"]
    assert finest["step"] == RECORDS
    assert len(finest["grid"]) <= MAX_GRID
    assert max(finest["density"]) > 1.999  # of the peaks none is lost
    assert api.get("density", run="a", step=20)["density"]["step"] == 20
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


def test_alerts_of_very_many_parameters_name_some(tmp_path: Path) -> None:
    names = tuple(f"layer_{i}/kernel" for i in range(3000))
    told = [logs.alert("r", "error", 10 * i, parameters=names) for i in range(1, 101)]
    with EventFileWriter(tmp_path / "run", start_step=0) as writer:
        writer.add(1000, [encode.alerts(told)])
    answer = Api(python_provider(tmp_path)).get("alerts", run="run")
    assert {len(alert["parameters"]) for alert in answer["alerts"]} == {100}
    assert answer["names_left_out"] == 100 * 2900


def test_pages_of_parameters_and_the_columns_they_leave_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_layers, "MAX_ROWS", 5)
    monkeypatch.setattr(layers, "MAX_ROWS", 5)
    monkeypatch.setattr(stored_layers, "ANSWER_BYTES", 5 * (stored_layers.ROW_BYTES + 7 * 3) + 1)
    write_run(tmp_path / "a", layers=4)
    api = Api(python_provider(tmp_path))
    first, rest = (api.get("layers", run="a", row=row) for row in (0, 5))
    names = [one["name"] for one in first["parameters"] + rest["parameters"]]
    assert names == list(manifest(4).names)
    assert (first["rows"], rest["row"], len(rest["values"])) == (8, 5, 3)
    assert len(first["steps"]) == 3
    assert sorted(rest["worst"]) == [0, 1, 2]
    assert api.get("layers", run="a", row=8)["values"] == []
    whole = {**dict(enumerate(first["values"])), **dict(enumerate(rest["values"], 5))}
    worst = sorted(whole, key=lambda row: -whole[row][-1])  # of norms the largest
    pages = [api.get("layers", run="a", row=row, order="worst") for row in (0, 5)]
    assert [page["numbers"] for page in pages] == [sorted(worst[:5]), sorted(worst[5:])]
    assert [pages[0]["numbers"][place] for place in pages[0]["worst"]] == worst[:5]
    assert [page["values"] for page in pages] == [
        [whole[row] for row in page["numbers"]] for page in pages
    ]
    some = api.get("layers", run="a", row=1, find="Bias dense")
    assert (some["rows"], some["all"], some["numbers"]) == (4, 8, [3, 5, 7])
    assert [one["name"] for one in some["parameters"]] == [names[row] for row in (3, 5, 7)]
    assert len(api.get("layers", run="a", format="json", statistic="cosine")["steps"]) == 3


def test_the_largest_map_fits_into_300_kilobytes() -> None:
    rng = np.random.default_rng(0)
    for rows in (1, 130, 200, 1000, stored_layers.MAX_ROWS):
        shape = rows, stored_layers.columns_for(rows, 2000, "json")
        values = rng.choice([-1, 1], shape) * 10.0 ** rng.uniform(-30, 30, shape)
        names = [f"decoder_block_{i}/attention/query_{i % 7}/kernel" for i in range(rows)]
        head = {"parameters": [{"name": name, "layer": name[:-7]} for name in names]}
        written = as_json({**head, "values": values.astype(np.float32)}).encode()
        assert len(gzip.compress(written, COMPRESSION)) < 300_000
        columns = stored_layers.columns_for(rows, 2000, "binary")
        assert 4 * rows * columns + stored_layers.ROW_BYTES * rows < 300_000
