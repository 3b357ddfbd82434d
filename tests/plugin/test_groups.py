"""Groups of parameters of one run, each shown as a run of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.tags import in_group
from tests.plugin import logs
from tests.plugin.conftest import PROVIDERS, Api, poll
from tests.plugin.test_backend import ROUTES_OF_A_RUN
from tests.support.logs import write_groups, write_run


@pytest.mark.parametrize("provider", PROVIDERS)
def test_groups_are_runs_of_their_own(provider: str, tmp_path: Path) -> None:
    write_groups(tmp_path / "gan")
    with EventFileWriter(tmp_path / "gan") as writer:
        value = encode.alerts([logs.alert("no_gradient", "warning", 40)])
        value.tag = in_group("critic", value.tag)
        writer.add(1000, [value])
    write_run(tmp_path / "gan" / "generator", layers=1)  # a directory of the name of a group
    api = Api(PROVIDERS[provider](tmp_path))
    names = ["gan/critic", "gan/generator", "gan/generator (group)"]
    poll(lambda: sorted(run["name"] for run in api.get("runs")["runs"]) == names, "all are known")
    read = tbgrad.read(tmp_path)
    assert list(read) == names
    for name, run in read.items():
        poll(lambda n=name: api.get("status", run=n)["last_step"] == 1000, f"{name} is read")
        assert api.get("status", run=name)["gradients"]
        assert "gradient/norm" in api.get("status", run=name)["scalar_tags"]
        (series,) = api.get("scalars", run=name, tag=["gradient/norm"])["series"]
        np.testing.assert_array_equal(np.float32(series["values"]), run["gradient/norm"].values)
        layers = api.get("layers", run=name)
        assert [parameter["name"] for parameter in layers["parameters"]] == list(run.names)
        for route in ROUTES_OF_A_RUN:
            assert api.get(route, run=name, parameter=run.names[0])["run"] == name
        assert api.get("histogram", run=name, parameter=run.names[0])["stored"] == len(
            run["tbgrad/histograms"]
        )
    critic = poll(lambda: api.get("alerts", run="gan/critic")["alerts"], "its alert is read")
    assert [a["rule"] for a in critic] == ["no_gradient"]
    assert api.get("status", run="gan/critic")["revisions"]["alerts"]
    assert api.get("alerts", run="gan/generator")["alerts"] == []
    assert api.error("status", run="gan")[0] == 404
