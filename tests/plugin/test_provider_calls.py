"""How often the tab asks TensorBoard's data provider: each listing once a look, and little more.

Every plugin name is a listing of its own; the requests of one look share them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.plugin import listing
from tbgrad.plugin.routes import ROUTES
from tests.plugin import logs
from tests.plugin.conftest import PROVIDERS, Api, poll
from tests.support.logs import manifest, write_groups, write_run
from tests.support.steps import StepWriter, synthetic

PARAMETER = "dense_1/kernel"
MOST = 4
"""Calls that a request of a look may make."""

LOOK = (
    "runs", "status", "scalars", "layers", "curvature", "density", "findings", "alerts", "notes",
    "parameter", "histogram",
)  # fmt: skip
"""What the tab asks for, in its order."""

READS = {
    "runs": 0, "tables": 0, "status": 1, "overview": 4, "scalars": 4, "layers": 3, "parameter": 4,
    "histogram": 2, "curvature": 3, "density": 2, "findings": 1, "alerts": 3,
    "notes": 1, "compare": 4, "settings": 3, "finding": 1, "trajectories": 4, "plotly": 0,
}  # fmt: skip
"""How often each reads of a log that it knows nothing of; of one whose writer did not watch all
rules `/alerts` reads what was told, and at the second request all that they look at."""

ALERTS_REPLAYED = 4

OLDER = "a version that did not have all rules"
RUNS = ("every step", OLDER, logs.ALERTS, "good", "plain")


@pytest.fixture(autouse=True)
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other thread lists anything."""
    monkeypatch.setattr(listing, "WATCH_SECONDS", math.inf)


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
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("calls")
    described = manifest(2)
    for name, rules in (("every step", logs.RULES), (OLDER, logs.RULES[1:])):
        with StepWriter(root / name, manifest=replace(described, rules=rules)) as writer:
            writer.write(synthetic(20_000, 4), 250)
    logs.write_alerts(root / logs.ALERTS)
    write_run(root / "good", density=True)
    logs.write_plain(root / "plain")
    provider = PROVIDERS[request.param](root)
    api = Api(provider)
    newest = {"every step": 20_000, OLDER: 20_000, logs.ALERTS: 1000, "good": 1000, "plain": 49}
    poll(lambda: {run["name"] for run in api.get("runs")["runs"]} == set(RUNS), "all are known")
    for run, step in newest.items():
        poll(lambda r=run, s=step: api.get("status", run=r)["last_step"] == s, f"{run} is read")
    return provider


def calls(api: Api, counting: Counting, route: str, run: str) -> Counter[str]:
    """What a request asks for; where it answers that there is no such parameter or path, too."""
    counting.calls.clear()
    query = {"run": run, "parameter": PARAMETER, "with": "good", "name": "plane"}
    assert api.raw(route, **query).status_code in (200, 404 if route != "trajectories" else 400)
    return counting.calls.copy()


@pytest.mark.parametrize("run", RUNS)
def test_the_requests_of_a_look_share_what_is_listed_and_read(
    provider: Any, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", math.inf)
    counting = Counting(provider)
    api = Api(counting)
    whole: Counter[str] = Counter()
    for route in LOOK:
        made = calls(api, counting, route, run)
        assert made.total() <= MOST, (route, made)
        whole += made
    listed = {name: n for name, n in whole.items() if name.startswith("list")}
    assert set(listed.values()) == {1}, listed
    again: Counter[str] = Counter()
    for route in LOOK:
        again += calls(api, counting, route, run)
    # How the run goes, its scalars, and what rules look at that an older version did not have.
    assert again.total() <= 2 + MOST, again


def test_all_routes_are_counted() -> None:
    assert set(READS) == set(ROUTES)


@pytest.mark.parametrize("route", READS)
def test_a_request_by_itself_lists_once_what_it_needs_and_reads_little(
    provider: Any, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    for run in ("every step", logs.ALERTS, OLDER):
        counting = Counting(provider)
        api = Api(counting)
        most = ALERTS_REPLAYED if (run, route) == (OLDER, "alerts") else READS[route]
        for _ in range(2):
            made = calls(api, counting, route, run)
            assert all(n == 1 for name, n in made.items() if name.startswith("list")), made
            assert sum(n for name, n in made.items() if "read" in name) <= most, (run, made)


def test_a_log_that_is_not_ours_is_asked_little(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    counting = Counting(provider)
    api = Api(counting)
    assert api.plugin.is_active()
    assert calls(api, counting, "status", "plain").total() <= 5  # the listings of all runs


def test_what_is_listed_is_listed_anew_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", math.inf)
    with EventFileWriter(tmp_path / "a", start_step=0) as writer:
        writer.add(1, [encode.scalar("loss", 1.0)])
        writer.flush()
        multiplexer = PROVIDERS["python"](tmp_path)
        api = Api(multiplexer)
        assert api.get("status", run="a")["last_step"] == 1
        writer.add(2, [encode.scalar("loss", 1.0)])
        writer.flush()
        multiplexer._multiplexer.Reload()
        assert api.get("status", run="a")["last_step"] == 1
        monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
        assert api.get("status", run="a")["last_step"] == 2


def test_groups_cost_one_listing_of_the_runs_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    write_groups(tmp_path / "gan")
    counting = Counting(PROVIDERS["python"](tmp_path))
    assert calls(Api(counting), counting, "scalars", "gan/critic").total() == 5
