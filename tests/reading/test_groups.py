"""Groups of parameters of one run, each read as a run of its own."""

from __future__ import annotations

import numpy as np

import tbgrad
from tbgrad.log.tags import PARAMETERS
from tbgrad.reading.directory import LogDirectory
from tests.support.events import event, write_events
from tests.support.logs import write_groups, write_run


def test_groups_are_runs_of_their_own(tmp_path):
    write_groups(tmp_path / "gan")
    runs = tbgrad.read(tmp_path)
    assert list(runs) == ["gan/critic", "gan/generator"]
    for group, layers in (("generator", 2), ("critic", 3)):
        run = runs[f"gan/{group}"]
        assert run.name == f"gan/{group}"
        assert len(run.parameters) == 2 * layers
        assert run[PARAMETERS].values.shape[1] == 2 * layers
        write_run(tmp_path / f"alone/{group}", layers=layers, every=20 if layers == 3 else 10)
        alone = tbgrad.read(tmp_path / "alone")[group]
        assert list(alone) == list(run)
        np.testing.assert_array_equal(alone["gradient/norm"].values, run["gradient/norm"].values)
        assert alone.manifest == run.manifest
    assert sorted(run.bytes_read > 0 for run in runs.values()) == [False, True]
    assert list(tbgrad.read(tmp_path / "gan")) == ["critic", "generator"]


def test_other_series_beside_groups_stay_in_the_run(tmp_path):
    write_groups(tmp_path / "gan")
    write_events(tmp_path / "gan" / "events.out.tfevents.9.host", [event(3, tag="critics/score")])
    log = LogDirectory(tmp_path)
    assert log.poll() == {"gan", "gan/critic", "gan/generator"}
    assert list(log.runs["gan"]) == ["critics/score"]


def test_a_group_gives_way_to_a_directory_of_its_name(tmp_path):
    write_groups(tmp_path / "gan")
    write_run(tmp_path / "gan" / "critic", layers=1)
    runs = tbgrad.read(tmp_path)
    assert list(runs) == ["gan/critic", "gan/critic (group)", "gan/generator"]
    assert [len(run.parameters) for run in runs.values()] == [2, 6, 4]
    assert runs["gan/critic (group)"].name == "gan/critic (group)"
