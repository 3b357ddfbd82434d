"""How often a request asks TensorBoard's data provider: each listing at most once.

Every plugin name is a listing of its own; where every step may be in the log, two more than one.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.plugin import logs
from tests.plugin.conftest import PROVIDERS, Api, poll
from tests.support.logs import write_groups

PARAMETER = "dense_1/kernel"

FIRST = {
    "runs": 4,
    "status": 8,  # a listing for each plugin name, as a provider lists one a call; the manifest
    "scalars": 4,
    "layers": 5,
    "parameter": 5,
    "histogram": 4,
    "curvature": 2,
    "alerts": 6,  # which of the scalars there are that rules look at
    "notes": 2,
    "tables": 0,
}
"""Calls of the first request for a run of ours."""

AGAIN = {**FIRST, "status": 7, "layers": 3, "parameter": 3, "histogram": 2, "curvature": 1}
"""Calls of the same while nothing has come: what was read is kept."""


class Counting:
    """A data provider that counts the calls of another."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._provider, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls[f"{name} {named.get('plugin_name', '')}"] += 1
            return method(*arguments, **named)

        return counted


@pytest.fixture(scope="module", params=list(PROVIDERS))
def provider(request: pytest.FixtureRequest, logdir: Path) -> Any:
    provider = PROVIDERS[request.param](logdir)
    api = Api(provider)
    poll(lambda: len(api.get("runs")["runs"]) == 5, "all runs are known")
    poll(lambda: api.get("alerts", run=logs.ALERTS)["stored"] == 3, "alerts are read")
    return provider


def calls(api: Api, counting: Counting, route: str, run: str) -> Counter[str]:
    counting.calls.clear()
    api.get(route, run=run, parameter=PARAMETER)
    return counting.calls.copy()


@pytest.mark.parametrize("route", FIRST)
def test_a_request_lists_once_and_reads_what_is_new(provider: Any, route: str) -> None:
    counting = Counting(provider)
    api = Api(counting)
    for most in (FIRST[route], AGAIN[route]):
        made = calls(api, counting, route, logs.ALERTS)
        assert max(made.values(), default=0) <= 2  # reads of two series of one plugin
        assert all(n == 1 for name, n in made.items() if name.startswith("list"))
        assert made.total() <= most, made


def test_an_idle_tab_asks_little(provider: Any) -> None:
    counting = Counting(provider)
    api = Api(counting)
    for _ in range(2):
        counting.calls.clear()
        api.get("runs")
        api.get("status", run="good")
    assert counting.calls.total() <= 11
    assert api.plugin.is_active()
    counting.calls.clear()
    api.get("status", run="plain")
    assert counting.calls.total() <= 4


def test_rules_that_the_writer_did_not_watch_read_what_they_need(provider: Any) -> None:
    counting = Counting(provider)
    assert calls(Api(counting), counting, "alerts", "good").total() <= 9


def test_groups_cost_one_listing_of_the_runs_more(tmp_path: Path) -> None:
    write_groups(tmp_path / "gan")
    counting = Counting(PROVIDERS["python"](tmp_path))
    api = Api(counting)
    counting.calls.clear()
    api.get("scalars", run="gan/critic")
    assert counting.calls.total() == 5
