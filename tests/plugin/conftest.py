"""Real logs, both of TensorBoard's readers, one TensorBoard process and one Chromium a session."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.data import server_ingester
from tensorboard.plugins import base_plugin
from tensorboard.util import grpc_util
from werkzeug.test import Client

from tbgrad.plugin import Loader
from tbgrad.plugin.sampling import SAMPLES
from tests.plugin import logs
from tests.support.browser import CHROMIUM, TensorBoard, chromium, tensorboard
from tests.support.logs import write_run

DEADLINE = 30.0

NEWEST = {"good": 1000, "plain": 49, "nested/changing": 9, logs.EVIL: 60, logs.ALERTS: 1000}
"""The last step of each run of `logdir`."""


def poll(look: Callable[[], Any], what: str) -> Any:
    """Wait until `look` returns something true."""
    deadline = time.monotonic() + DEADLINE
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {DEADLINE:.0f} s in vain until {what}"
        time.sleep(0.05)
    return found


class Api:
    """The plugin's routes over WSGI, as TensorBoard calls them."""

    def __init__(self, provider: Any) -> None:
        context = base_plugin.TBContext(data_provider=provider, sampling_hints=SAMPLES)
        self.plugin = Loader().load(context)
        self.apps = self.plugin.get_plugin_apps()

    def raw(self, route: str, method: str = "GET", headers: Any = None, **query: Any) -> Any:
        client = Client(self.apps[f"/{route}"])
        return client.open("/", method=method, query_string=query, headers=headers)

    def get(self, route: str, **query: Any) -> Any:
        response = self.raw(route, **query)
        assert response.status_code == 200, response.text
        answer = json.loads(response.text)
        if route == "alerts" and not answer["complete"]:
            answer = json.loads(self.raw(route, **query).text)
            assert answer["complete"]
        return answer

    def error(self, route: str, **query: Any) -> tuple[int, str]:
        response = self.raw(route, **query)
        return response.status_code, json.loads(response.text)["error"]


def python_provider(logdir: Path) -> Any:
    multiplexer = plugin_event_multiplexer.EventMultiplexer(
        tensor_size_guidance=dict(SAMPLES), purge_orphaned_data=True
    )
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    return data_provider.MultiplexerDataProvider(multiplexer, str(logdir))


def rust_provider(logdir: Path) -> Any:
    ingester = server_ingester.SubprocessServerDataIngester(
        server_binary=server_ingester.get_server_binary(),
        logdir=str(logdir),
        reload_interval=1,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
        samples_per_plugin=dict(SAMPLES),
    )
    ingester.start()
    ingester.data_provider.ingester = ingester  # its process ends with its standard input
    return ingester.data_provider


PROVIDERS = {"python": python_provider, "rust": rust_provider}


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind; no test writes here."""
    root = tmp_path_factory.mktemp("logs")
    write_run(root / "good", density=True)
    logs.write_hostile(root / logs.EVIL)
    logs.write_changing(root / "nested" / "changing")
    logs.write_plain(root / "plain")
    logs.write_alerts(root / logs.ALERTS)
    return root


@pytest.fixture(scope="session", params=list(PROVIDERS))
def api(request: pytest.FixtureRequest, logdir: Path) -> Api:
    """The plugin on a real data provider: TensorBoard's Python reader, and its data server."""
    api = Api(PROVIDERS[request.param](logdir))
    poll(lambda: len(api.get("runs")["runs"]) == 5, "all runs are known")
    for run, step in NEWEST.items():
        poll(lambda r=run, s=step: api.get("status", run=r)["last_step"] == s, f"{run} is read")
    return api


@pytest.fixture(scope="session")
def server(logdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """A real TensorBoard on `logdir`, with the fast data server, that has read all of it."""
    with tensorboard(logdir, tmp_path_factory.mktemp("server")) as running:

        def newest(run: str) -> int | None:
            address = f"{running.url}data/plugin/tbgrad/status?run={quote(run)}"
            try:
                with urlopen(address) as answer:
                    return json.load(answer)["last_step"]
            except HTTPError:  # the run is not there yet
                return None

        for run, step in NEWEST.items():
            poll(lambda r=run, s=step: newest(r) == s, f"{run} is read")
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium; every test opens its own context in it.

    It ends with its module: playwright keeps an event loop on this thread, and the tests of the
    terminal app need one of their own.
    """
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is missing; install the package chromium to prove the tab")
    with chromium() as running:
        yield running
