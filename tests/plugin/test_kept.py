"""What is kept of a log and what is listed of it: once, anew where it changed, bounded."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.plugin import listing, sampling
from tbgrad.plugin.kept import Kept, size_of
from tbgrad.plugin.listing import Listings
from tbgrad.plugin.sampling import LEAST, SAMPLES, samples_for
from tbgrad.plugin.source import LOOK
from tests.plugin import logs
from tests.plugin.conftest import Api, poll, python_provider
from tests.plugin.test_provider_calls import Counting
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import write_run
from tests.support.values import ESTIMATE

KILO = 1000


def test_values_are_kept_until_their_revision_changes() -> None:
    made = []
    kept = Kept(10**6)

    def make(value: int) -> int:
        made.append(value)
        return value

    assert kept.get(("a",), "1", lambda: make(1)) == kept.get(("a",), "1", lambda: make(2)) == 1
    assert not kept.has(("a",), "2")
    assert kept.get(("a",), "2", lambda: make(3)) == 3
    assert made == [1, 3]


def test_what_was_not_asked_for_lately_gives_way() -> None:
    kept = Kept(350 * KILO)
    for name in "abcabd":
        kept.get((name,), "1", lambda: np.zeros(100 * KILO, np.uint8))
        assert kept.bytes <= kept.room
    assert [kept.has((name,), "1") for name in "abcd"] == [True, True, False, True]
    kept.get(("large",), "1", lambda: np.zeros(400 * KILO, np.uint8))
    assert not kept.has(("large",), "1")
    assert kept.has(("d",), "1")  # what has no room takes none from others


def test_one_of_many_that_ask_at_once_makes_it() -> None:
    made, kept = [], Kept(10**6)
    begin = threading.Barrier(8)

    def make() -> int:
        time.sleep(0.02)
        made.append(1)
        return 7

    def ask() -> int:
        begin.wait()
        return kept.get(("a",), "1", make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: ask(), range(8))) == [7] * 8
    assert made == [1]


def test_a_failure_is_not_kept() -> None:
    kept = Kept(10**6)
    with pytest.raises(KeyError):
        kept.get(("a",), "1", lambda: {}["nothing"])
    assert kept.get(("a",), "1", lambda: 5) == 5


def test_sizes_are_about_what_memory_is_taken() -> None:
    table = np.zeros((100, 100))
    assert 80 * KILO <= size_of({"a": table, "again": table}) < 90 * KILO
    records = np.empty(5000, dtype=object)
    records[:] = [ESTIMATE] * 5000
    assert size_of([bytes(KILO) for _ in range(500)]) == pytest.approx(500 * KILO, rel=0.2)
    assert size_of(records) > 8 * 5000
    assert size_of([str(i) * 100 for i in range(10_000)]) > 2 * 10**6


def test_what_a_plugin_keeps_of_many_runs_is_bounded(tmp_path: Path) -> None:
    for i in range(4):
        write_run(tmp_path / f"run{i}", steps=800)
    api = Api(python_provider(tmp_path))
    kept = api.plugin._source.kept
    kept.room = 150 * KILO
    for _ in range(2):
        for i in range(4):
            for route in ("scalars", "layers", "parameter", "histogram", "curvature", "alerts"):
                api.get(route, run=f"run{i}", parameter="dense_1/kernel")
                assert kept.bytes <= kept.room
    assert kept.bytes > 50 * KILO


def test_the_first_requests_wait_for_one_thread_that_lists(tmp_path: Path) -> None:
    write_run(tmp_path / "a", steps=50)
    by: list[str] = []

    class Named(Counting):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("list"):
                by.append(threading.current_thread().name)
            return super().__getattr__(name)

    counting = Named(python_provider(tmp_path))
    api = Api(counting)
    with ThreadPoolExecutor(3) as pool:
        routes: list[tuple[str, dict[str, str]]] = [
            ("status", {"run": "a"}), ("overview", {}), ("notes", {"run": "a"}),
        ]  # fmt: skip
        answers = [pool.submit(api.get, route, **query) for route, query in routes]
        assert answers[0].result()["last_step"] == 50
        for answer in answers:
            answer.result()
    assert set(by) == {"tbgrad-listing"}
    listed = {call: n for call, n in counting.calls.items() if call.startswith("list")}
    assert len(listed) == len(LOOK)
    assert set(listed.values()) == {1}, listed


def test_while_somebody_asks_listings_are_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.3)
    monkeypatch.setattr(listing, "UNASKED_SECONDS", 0.6)
    listings, by = Listings(), []

    def make() -> int:
        by.append(threading.current_thread().name)
        return len(by)

    assert listings.get("a", make) == 1
    began = time.monotonic()
    poll(lambda: time.monotonic() - began > 0.35, "it is fresh no longer")
    assert listings.get("a", make) > 1
    assert set(by[1:]) == {"tbgrad-listing"}
    poll(lambda: not listings._watching, "nobody asks any more")
    ended = len(by)
    assert listings.get("a", make) == ended + 1
    assert by[-1] == threading.current_thread().name


# ------------------------------------------------------------------------ what TensorBoard keeps


def test_as_much_is_kept_as_memory_allows_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = samples_for(str(tmp_path))
    assert unknown == samples_for("") == samples_for("gs://a/b")
    assert LEAST["tbgrad"] < unknown["tbgrad"] < SAMPLES["tbgrad"]
    for i in range(9):
        write_run(tmp_path / f"run{i}", steps=200)
    assert samples_for(str(tmp_path)) == SAMPLES  # of these models it takes little
    size = sum(file.stat().st_size for file in tmp_path.rglob("*tfevents*"))
    monkeypatch.setattr(sampling, "MEMORY", 2 * size)
    some = samples_for(str(tmp_path))
    assert all(LEAST.get(name, 0) <= some[name] <= SAMPLES[name] for name in SAMPLES)
    assert some["tbgrad"] < SAMPLES["tbgrad"]
    for file in tmp_path.rglob("*tfevents*"):
        os.utime(file, (0, 0))
    assert samples_for(str(tmp_path)) == SAMPLES  # they are over, and no larger than their files
    monkeypatch.setattr(sampling, "MEMORY", 1)
    assert samples_for(str(tmp_path)) == {**SAMPLES, **LEAST}


def test_logs_of_others_and_damaged_ones_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MEMORY", 1)
    logs.write_plain(tmp_path / "plain")
    damaged = tmp_path / "damaged" / "events.out.tfevents.1.host"
    damaged.parent.mkdir()
    damaged.write_bytes(b"no event file" * 100)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "events.out.tfevents.1.host").touch()
    with EventFileWriter(tmp_path / "misfit", start_step=0) as writer:
        value = encode.note("x")
        value.tag = "tbgrad/manifest"
        writer.add(0, [value])
    assert samples_for(str(tmp_path)) == SAMPLES
