"""The open tab on a log with every step: what happened between logged steps is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plugin.tabs import choose_run, healthy
from tests.support.browser import open_tab, tensorboard
from tests.support.logs import manifest
from tests.support.steps import StepWriter, synthetic

pytestmark = pytest.mark.browser


def test_curves_and_heat_map_show_what_was_not_logged(browser: Any, tmp_path: Path) -> None:
    steps = synthetic(30_000, 4)
    steps.norms[12_344, 2] = 5e4
    steps.scalars["gradient/norm"][12_344] = 5e4
    steps.scalars["loss"][23_332] = 77.0
    with StepWriter(tmp_path / "runs" / "a", manifest=manifest(2), every=1000) as writer:
        writer.write(steps, 250)
    with tensorboard(tmp_path / "runs", tmp_path) as server:
        tab = open_tab(browser, server.url)
        choose_run(tab, "a")
        for panel in ("norm", "scalar", "layers", "parameter"):
            tab.wait(
                "name => document.querySelector(`#${name} .chart`)?.data?.[0]?.x?.length > 100",
                panel,
            )
        norm = {trace["name"]: trace for trace in tab.traces("norm")}
        assert "peak" not in norm
        assert 12_345 in norm["norm"]["x"]
        assert max(y for y in norm["norm"]["y"] if y is not None) == 5e4
        loss = tab.traces("scalar")[0]
        assert loss["y"][loss["x"].index(23_333)] == 77.0
        heat = np.array(tab.traces("layers")[0]["z"], dtype=float)
        assert heat[2].max() == pytest.approx(5e4, rel=0.02)
        tab.frame.select_option("#parameter select", "dense_1/kernel")
        tab.wait("Math.max(...document.querySelector('#parameter .chart').data[0].y) > 4e4")
        healthy(tab)
