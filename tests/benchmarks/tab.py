"""The tab of TensorBoard: what its answers cost, beside TensorBoard's own Time Series.

    python -m tests.benchmarks.tab [--runs 40] [--parameters 200] [--steps 5000] [--repeats 7]
                                   [--refreshes 1000] [--log DIR] [--load_fast false]

Writes a log (kept in `--log`), starts a real TensorBoard on it and asks as the tab does. Of each
route: the first answer, the median of the others, of those who have it already (304), bytes as they
come (compressed), calls of the data provider in the first and in later requests; then the memory of
the server's processes. In a browser: how long another view, run, statistic or parameter takes, the
longest task of the main thread, and the heap after many refreshes; then the first view beside the
first card of Time Series. What a thread lists ahead of requests is no call of a request.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request

from tests.benchmarks.tab_browser import in_a_browser, starts
from tests.benchmarks.tab_log import write_log
from tests.benchmarks.tab_server import (
    Measured,
    ask,
    fetch,
    measured_tensorboard,
    memory_of,
    middle,
)
from tests.support.browser import TensorBoard

LARGEST = 300_000
"""Bytes that an answer may take, compressed."""

MOST_CALLS = 4
READ_SECONDS = 1800.0


def questions(
    names: list[str], parameter: str, steps: int
) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the tab asks, as it is looked through: a label, a route, its arguments."""
    run, other = names[0], names[1]
    zoom = {"from": steps // 2, "to": steps // 2 + steps // 100}
    return {
        "tables": ("tables", {}),
        "runs": ("runs", {}),
        "overview": ("overview", {"run": run}),
        "status": ("status", {"run": run}),
        "alerts": ("alerts", {"run": run}),
        "notes": ("notes", {"run": run}),
        "scalars": ("scalars", {"run": run}),
        "scalars, 8 runs": ("scalars", {"run": names[:8], "tag": ["loss", "val_loss"]}),
        "scalars, all runs": ("scalars", {"run": names[:40], "tag": ["loss", "val_loss"]}),
        "scalars, a zoom": ("scalars", {"run": run, "tag": ["loss"], **zoom}),
        "layers": ("layers", {"run": run}),
        "layers, binary": ("layers", {"run": run, "format": "binary"}),
        "layers, a zoom": ("layers", {"run": run, **zoom}),
        "layers, statistic": ("layers", {"run": run, "statistic": "update_ratio"}),
        "parameter": ("parameter", {"run": run, "parameter": parameter}),
        "histogram": ("histogram", {"run": run, "parameter": parameter}),
        "curvature": ("curvature", {"run": run}),
        "findings": ("findings", {"run": run}),
        "compare": ("compare", {"run": run, "with": other}),
        "settings": ("settings", {"run": run, "with": other}),
        "compare, binary": ("compare", {"run": run, "with": other, "format": "binary"}),
    }


def wait_until_read(server: TensorBoard, names: list[str], last: int) -> float:
    """Seconds until all of a log is read."""
    began = time.monotonic()
    while time.monotonic() - began < READ_SECONDS:
        runs = {run["name"]: run["last_step"] for run in ask(server, "runs").json["runs"]}
        if all(runs.get(name) == last for name in names):
            break
        time.sleep(1.0)
    return time.monotonic() - began


def measure(server: TensorBoard, asked: dict[str, Any], repeats: int) -> None:
    """Print what each question costs."""
    print(f"{'':20} {'first':>9} {'again':>9} {'304':>9} {'bytes':>10}  calls")
    for label, (route, query) in asked.items():
        answers = [ask(server, route, **query) for _ in range(1 + repeats)]
        first, *again = answers
        assert first.status == 200, (label, first.content[:300])
        tags = [_not_modified(server, route, query) for _ in range(repeats)]
        told = f"{first.size:10,}{'!' if first.size > LARGEST else ' '}"
        calls = f"{first.calls:3}{'!' if first.calls > MOST_CALLS else ' '}{again[-1].calls:3}"
        print(
            f"{label:20} {1000 * first.seconds:6.0f} ms "
            f"{1000 * middle([one.seconds for one in again]):6.0f} ms "
            f"{1000 * middle([one.seconds for one in tags]):6.0f} ms {told} {calls}"
        )


def _not_modified(server: TensorBoard, route: str, query: dict[str, Any]) -> Measured:
    """The answer to who has the newest already."""
    etag = ask(server, route, **query).etag
    return ask(server, route, {"If-None-Match": etag}, **query)


def all_known(server: TensorBoard, run: str) -> tuple[float, int]:
    """Seconds and requests until all runs are known in the table of runs."""
    began, requests = time.perf_counter(), 0
    while requests < 1000:
        requests += 1
        if ask(server, "overview", run=run).json["complete"]:
            break
    return time.perf_counter() - began, requests


def time_series(server: TensorBoard, repeats: int) -> None:
    """Print what TensorBoard's own scalars cost: its tags, then a card's data of all runs."""
    base = f"{server.url}data/plugin/timeseries/"
    own = {"Accept-Encoding": "gzip"}
    tags = [fetch(Request(f"{base}tags", headers=own)) for _ in range(1 + repeats)]
    body = urlencode({"requests": json.dumps([{"plugin": "scalars", "tag": "loss"}])}).encode()
    cards = [fetch(Request(f"{base}timeSeries", body, own)) for _ in range(1 + repeats)]
    for label, answers in (("tags", tags), ("a card, all runs", cards)):
        first, *again = answers
        assert first.status == 200, (label, first.content[:300])
        print(
            f"{label:20} {1000 * first.seconds:6.0f} ms "
            f"{1000 * middle([one.seconds for one in again]):6.0f} ms {'':12} {first.size:10,}  "
            f"{first.calls:3} {again[-1].calls:3}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--parameters", type=int, default=200)
    parser.add_argument("--steps", type=int, default=5000, help="logged steps, a tenth of all")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--refreshes", type=int, default=1000, help="of the open tab")
    parser.add_argument("--log", type=Path, metavar="DIR", help="keeps the log")
    parser.add_argument("--load_fast", default="true", help="false: without the data server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        log = options.log or Path(scratch)
        last = 10 * options.steps
        names = sorted(str(p.relative_to(log)) for p in log.glob("sweep/*")) or write_log(
            log, options.runs, options.parameters, options.steps
        )
        with measured_tensorboard(log, "--load_fast", options.load_fast) as server:
            seconds = wait_until_read(server, names, last)
            print(f"{len(names)} runs, read in {seconds:.0f} s; {_memory(server)}\n")
            seconds, requests = all_known(server, names[0])
            print(f"all runs known in {seconds:.2f} s, {requests} requests\n")
            parameter = ask(server, "layers", run=names[0]).json["parameters"][0]["name"]
            measure(server, questions(names, parameter, last), options.repeats)
            print(f"\n{_memory(server)}\n\nIn a browser")
            in_a_browser(server, names, options.repeats, options.refreshes)
            print(f"\n{_memory(server)}\n\nBeside TensorBoard's Time Series")
            starts(server)
            time_series(server, options.repeats)
            print(f"\nwith what Time Series takes: {_memory(server)}")


def _memory(server: TensorBoard) -> str:
    told = memory_of(server)
    each = ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in told.items())
    return f"memory {sum(told.values()):.0f} MB ({each})"


if __name__ == "__main__":
    main()
