"""What the machines do, in the frame of the overview."""

import time
from dataclasses import replace

from tbgrad_tui.widgets.machine import machine_words, resource_words

import tbgrad
from tbgrad.log.state import RunState
from tests.support.logs import EPOCH, write_run


def test_what_is_known_of_a_machine_is_said():
    both = {"gpu0_use": 0.83, "gpu0_memory": 22.4e9, "gpu1_use": 0.0, "gpu1_memory": 0.5e9}
    assert resource_words(both) == "GPU 0 83 %, 22 GB; GPU 1 0 %, 0 GB"
    assert resource_words({"host_processor": 3.14, "host_memory": 40e9, "memory": 2e9}) == (
        "processor 3.1 cores, 40 GB"
    )
    assert resource_words({"processor": 1.0}) == ""


def test_the_newest_run_of_each_machine_speaks(tmp_path):
    write_run(tmp_path, steps=20)
    run = tbgrad.read(tmp_path)["."]
    states = [
        RunState(host=host, resources={"host_processor": cores})
        for host, cores in (("one", 1.0), ("two", 2.0), ("one", 3.0))
    ]
    runs = [replace(run, state=state, heard=EPOCH + 1e6 + at) for at, state in enumerate(states)]
    clock = time.strftime("%H:%M", time.localtime(EPOCH))
    said = f"one: processor 3.0 cores · two: processor 2.0 cores · {clock}"
    assert machine_words(reversed(runs), EPOCH) == said
    silent = replace(run, state=RunState(host="three", resources={"processor": 1.0}))
    assert machine_words([silent], EPOCH) == clock
