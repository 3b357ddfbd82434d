"""A TensorBoard that is measured: it says of each answer how often the data provider was asked."""

from __future__ import annotations

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from tests.support.browser import START, TensorBoard, wait_for_url

COUNTING = """
import threading
from tensorboard.backend import application
from tensorboard.data import grpc_provider
from tensorboard.backend.event_processing import data_provider

calls = 0

def counted(method):
    def call(*arguments, **named):
        global calls
        calls += threading.current_thread().name != "tbgrad-listing"
        return method(*arguments, **named)
    return call

for provider in (grpc_provider.GrpcDataProvider, data_provider.MultiplexerDataProvider):
    for name in ("list_runs", "list_scalars", "list_tensors", "read_scalars", "read_tensors"):
        setattr(provider, name, counted(getattr(provider, name)))

answer = application.TensorBoardWSGI.__call__

def answered(self, environ, start_response):
    before = calls
    def start(status, headers, *rest):
        return start_response(status, [*headers, ("X-Calls", str(calls - before))], *rest)
    return answer(self, environ, start)

application.TensorBoardWSGI.__call__ = answered
"""
"""Runs ahead of TensorBoard in its process, for requests that come one after another. What the
thread asks for that lists ahead of requests is not counted."""


@dataclass
class Measured:
    """An answer: how long it took, its bytes as they came, calls of the provider."""

    seconds: float
    size: int
    calls: int
    status: int
    etag: str
    content: bytes

    @property
    def json(self) -> Any:
        """What it holds."""
        return json.loads(self.content)


@contextmanager
def measured_tensorboard(logdir: Path, *arguments: str) -> Iterator[TensorBoard]:
    """A TensorBoard on a free port of 127.0.0.1, ended afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.txt"
        command = [sys.executable, "-c", _counting(START)]
        command += ["--logdir", str(logdir), "--port", "0", "--host", "127.0.0.1", *arguments]
        with log.open("w") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=sink, text=True)
        try:
            yield TensorBoard(wait_for_url(process, log), process, log)
        finally:
            process.terminate()
            process.wait(20)


def _counting(start: str) -> str:
    *lines, last = start.strip().splitlines()
    return "\n".join([*lines, COUNTING, last])


def ask(server: TensorBoard, route: str, headers: Any = None, **query: Any) -> Measured:
    """A request of the tab."""
    address = f"{server.url}data/plugin/tbgrad/{route}"
    if query:
        address += "?" + urlencode(query, doseq=True, quote_via=quote)
    return fetch(Request(address, headers={"Accept-Encoding": "gzip", **(headers or {})}))


def fetch(request: Request) -> Measured:
    """Any request, measured."""
    began = time.perf_counter()
    try:
        with urlopen(request) as answer:
            raw, status, headers = answer.read(), answer.status, answer.headers
    except HTTPError as error:
        raw, status, headers = error.read(), error.code, error.headers
    seconds = time.perf_counter() - began
    content = gzip.decompress(raw) if headers.get("Content-Encoding") == "gzip" else raw
    calls, etag = int(headers.get("X-Calls", -1)), headers.get("ETag", "")
    return Measured(seconds, len(raw), calls, status, etag, content)


def memory_of(server: TensorBoard) -> dict[str, float]:
    """Resident megabytes of TensorBoard's process, and of its data server."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    known = {"TensorBoard": [str(pid)], "data server": children}
    return {name: sum(map(_resident, pids)) for name, pids in known.items()}


def _resident(pid: str) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def middle(values: list[float]) -> float:
    """Their median."""
    return statistics.median(values)
