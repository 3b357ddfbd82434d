"""How long readers of event files take until all samples are in hand, and in how much memory.

    python -m tests.benchmarks.reading [--rounds 5] [--small] [--keep DIRECTORY]

Writes three logs: 1,000,000 scalar events; 20,000 packed events of 200 × 12 float32; and 1 GB as
trainings write it (two runs of scalars, packed statistics and histograms, TensorBoard's own
histograms). Each reader reads each log in a process of its own, in turns, with its imports outside
of the clock: `tbgrad.read`, which checks every checksum; TensorBoard's `EventAccumulator` with
TensorFlow, which leaves tensors unparsed, and with them made into arrays; its Rust data server,
from its start until a client holds all samples (it checks nothing); tbparse where it is installed.
`EventAccumulator` without TensorFlow reads a fiftieth of the first two logs, and so do we for the
comparison.

Times are medians of the rounds, ratios medians of the ratios within a round. Then where our own
time goes, by the profiler. `--small` takes a fiftieth of everything.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.util
import io
import json
import pstats
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tensorboard.compat.proto import event_pb2

from tbgrad.log import encode
from tbgrad.log.framing import frame
from tbgrad.log.records import STATISTICS, HistogramBins, Manifest, Parameter
from tbgrad.log.tags import HISTOGRAM_PLUGIN_NAME, HISTOGRAM_PREFIX, PLUGIN_NAME

NAME = "events.out.tfevents.1790000000.benchmark"
PARAMETERS = 200
SMALL = 50

Log = Callable[[Any, int], int]
"""Writes a share of itself into a file, and says the last step."""


def write(logdir: Path, log: Log, share: int, runs: int = 1) -> None:
    for number in range(runs):
        path = logdir / f"run_{number}" / NAME
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.write(frame(event_pb2.Event(file_version="brain.Event:2").SerializeToString()))
            last_step = log(file, share * runs)
    (logdir / "last_step").write_text(str(last_step))


def event(step: int, values: list[Any]) -> bytes:
    made = event_pb2.Event(wall_time=1.79e9 + step / 7, step=step)
    made.summary.value.extend(values)
    return frame(made.SerializeToString())


def without_metadata(value: Any) -> Any:
    """As writers write it from the second time on."""
    value.ClearField("metadata")
    return value


def manifest(parameters: int = PARAMETERS) -> Manifest:
    return Manifest(
        tuple(
            Parameter(f"layer_{i}/kernel", f"layer_{i}", (64, 64), 4096, "float32", "kernel")
            for i in range(parameters)
        )
    )


def scalars(file: Any, share: int) -> int:
    """Ten tags, an event each, as `tf.summary.scalar` writes them."""
    tags = [f"metrics/{name}" for name in "abcdefghij"]
    count = 1_000_000 // share // len(tags)
    values = np.random.default_rng(0).normal(size=(count, len(tags))).astype(np.float32)
    templates = []
    for tag in tags:
        file.write(event(0, [encode.scalar(tag, 0.0)]))
        summary = event_pb2.Event()
        summary.summary.value.append(without_metadata(encode.scalar(tag, 1.0)))
        templates.append(summary.SerializeToString()[:-4])
    for step, row in enumerate(values, start=1):
        wall_time = struct.pack("<Bd", 9, 1.79e9 + step / 7)
        head = wall_time + b"\x10" + varint(step)
        for template, value in zip(templates, row, strict=True):
            file.write(frame(head + template + value.tobytes()))
    return count


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def packed(file: Any, share: int) -> int:
    """Packed statistics and nothing else."""
    rng = np.random.default_rng(0)
    file.write(event(0, [encode.manifest(manifest())]))
    table = rng.normal(size=(PARAMETERS, len(STATISTICS))).astype(np.float32)
    for step in range(1, 20_000 // share + 1):
        table[step % PARAMETERS] += 1
        value = encode.parameters(table)
        file.write(event(step, [value if step == 1 else without_metadata(value)]))
    return 20_000 // share


def mixed(file: Any, share: int) -> int:
    """Eight scalars and the packed statistics at every step, histograms at every tenth."""
    rng = np.random.default_rng(0)
    described = manifest()
    bins = HistogramBins.powers_of_two()
    counts = np.zeros((PARAMETERS, bins.columns), np.int32)
    counts[:, 20:50] = rng.integers(0, 200, (PARAMETERS, 30))
    native = [
        encode.histogram(HISTOGRAM_PREFIX + p.path, encode.native_buckets(counts[i], bins, 1.0))
        for i, p in enumerate(described.parameters)
    ]
    table = rng.normal(size=(PARAMETERS, len(STATISTICS))).astype(np.float32)
    tags = ["loss", "learning_rate", "gradient/norm", "gradient/norm_max", "update/ratio",
            "accuracy", "val/loss", "val/accuracy"]  # fmt: skip
    file.write(event(0, [encode.manifest(described)]))
    size, step, seen = 0, 0, False
    while size < 1_000_000_000 // share:
        step += 1
        values = [encode.scalar(tag, float(rng.normal())) for tag in tags]
        values.append(encode.parameters(table + step))
        if step % 10 == 0:
            values += [encode.histograms(counts), *native]
            if not seen:
                seen = True
                file.write(event(step, values))
                native = [without_metadata(value) for value in native]
                continue
        data = event(step, values if step == 1 else [without_metadata(v) for v in values])
        size += len(data)
        file.write(data)
    return step


RUNS = {"mixed": 2}
"""The server refuses replies above 256 MiB, and a reply is a whole series: 1 GB are two runs."""

LOGS: dict[str, Log] = {"scalars": scalars, "packed": packed, "mixed": mixed}


def read_ours(logdir: Path) -> Callable[[], int]:
    import tbgrad

    tbgrad.read  # noqa: B018 - imported on first use
    return lambda: sum(len(s) for run in tbgrad.read(logdir).values() for s in run.values())


def read_accumulator(
    logdir: Path, tensorflow: bool = True, parsed: bool = False
) -> Callable[[], int]:
    if tensorflow:
        import tensorflow
    else:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    def read() -> int:
        everything = dict.fromkeys(("tensors", "scalars", "histograms"), 0)
        count, kept = 0, []
        for run in sorted(logdir.glob("run_*")):
            accumulator = EventAccumulator(str(run), size_guidance=everything)
            accumulator.Reload()
            for tag in accumulator.Tags()["tensors"]:
                samples = accumulator.Tensors(tag)
                if parsed:
                    samples = [tensor_util.make_ndarray(sample.tensor_proto) for sample in samples]
                kept.append(samples)
                count += len(samples)
        return count

    return read


def read_without_tensorflow(logdir: Path) -> Callable[[], int]:
    return read_accumulator(logdir, tensorflow=False)


def read_parsed(logdir: Path) -> Callable[[], int]:
    return read_accumulator(logdir, parsed=True)


def read_tbparse(logdir: Path) -> Callable[[], int]:
    from tbparse import SummaryReader

    return lambda: len(SummaryReader(str(logdir), event_types={"tensors", "scalars"}).tensors)


def read_server(logdir: Path) -> Callable[[], int]:
    from tensorboard.data import provider, server_ingester
    from tensorboard.util import grpc_util

    def read() -> int:
        plugins = ["scalars", "histograms", PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME]
        ingester = server_ingester.SubprocessServerDataIngester(
            server_binary=server_ingester.get_server_binary(),
            logdir=str(logdir),
            reload_interval=3600,
            channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
            samples_per_plugin=dict.fromkeys(plugins, 0),
        )
        ingester.start()
        source = ingester.data_provider
        context: Any = None
        everything = provider.RunTagFilter()

        last = last_step(logdir)
        while True:  # it serves what it has read so far
            listed = source.list_tensors(
                context, experiment_id="", plugin_name=plugins[2], run_tag_filter=everything
            ) or source.list_scalars(
                context, experiment_id="", plugin_name="scalars", run_tag_filter=everything
            )
            series = [series for tags in listed.values() for series in tags.values()]
            if series and max(found.max_step for found in series) >= last:
                break
            time.sleep(0.01)

        def all_samples() -> int:
            many, count = 2**31 - 1, 0
            for plugin in plugins:
                listed = (source.list_scalars if plugin == "scalars" else source.list_tensors)(
                    context, experiment_id="", plugin_name=plugin, run_tag_filter=everything
                )
                for run, tags in listed.items():
                    for tag in tags:  # a reply of more than 256 MiB is refused
                        only = provider.RunTagFilter([run], [tag])
                        read = source.read_scalars if plugin == "scalars" else source.read_tensors
                        found = read(
                            context, experiment_id="", plugin_name=plugin, downsample=many,
                            run_tag_filter=only,
                        )  # fmt: skip
                        count += len(found[run][tag])
            return count

        return all_samples()

    return read


def last_step(logdir: Path) -> int:
    return int((logdir / "last_step").read_text())


READERS: dict[str, Callable[[Path], Callable[[], int]]] = {
    "tbgrad": read_ours,
    "Rust server": read_server,
    "EventAccumulator": read_accumulator,
    "… and parsed": read_parsed,
    "without TensorFlow": read_without_tensorflow,
    "tbparse": read_tbparse,
}


def measured(reader: str, logdir: Path) -> dict[str, Any]:
    """What one reader takes for one log, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.reading", "--one", reader, str(logdir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"seconds": float("nan"), "samples": 0, "error": done.stderr.strip()[-300:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(reader: str, logdir: Path) -> None:
    read = READERS[reader](logdir)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    samples = read()
    seconds = time.perf_counter() - begun
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": seconds, "samples": samples, "megabytes": megabytes}))


def compare(console: Console, directory: Path, rounds: int, small: bool) -> None:
    table = Table(title="until all samples are in hand")
    for column in ("log", "reader", "seconds", "MB/s", "MB of memory", "samples", "times ours"):
        table.add_column(column, justify="left" if column in ("log", "reader") else "right")
    cases = [(name, ["tbgrad", "Rust server", "EventAccumulator", "… and parsed"]) for name in LOGS]
    if importlib.util.find_spec("tbparse"):
        cases[0][1].append("tbparse")
        cases[1][1].append("tbparse")
    if not small:
        cases += [(f"{name} / {SMALL}", ["tbgrad", "without TensorFlow"]) for name in LOGS][:2]
    for name, readers in cases:
        logdir = directory / name.replace(" / ", "_")
        bytes_ = sum(path.stat().st_size for path in logdir.glob(f"*/{NAME}"))
        found: dict[str, list[dict[str, Any]]] = {reader: [] for reader in readers}
        for number in range(rounds):
            slow = ("tbparse", "without TensorFlow", "EventAccumulator", "… and parsed")
            for reader in readers:
                if number < (2 if reader in slow else rounds):
                    found[reader].append(measured(reader, logdir))
        for reader, results in found.items():
            seconds = [result["seconds"] for result in results]
            pairs = zip(results, found["tbgrad"], strict=False)
            ratio = [theirs["seconds"] / ours["seconds"] for theirs, ours in pairs]
            middle = float(np.median(seconds))
            table.add_row(
                name, reader, f"{middle:.2f}", f"{bytes_ / middle / 1e6:,.0f}",
                f"{np.median([r.get('megabytes', np.nan) for r in results]):,.0f}",
                f"{results[-1]['samples']:,}",
                f"{np.median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})",
            )  # fmt: skip
            if "error" in results[-1]:
                console.print(f"{reader} on {name}: {results[-1]['error']}", markup=False)
        table.add_section()
    console.print(table)


def profile(console: Console, directory: Path) -> None:
    """The functions that take most of our time, on each log."""
    for name in LOGS:
        profiler = cProfile.Profile()
        read = read_ours(directory / name)
        profiler.runcall(read)
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(12)
        console.print(f"\nwhere our time goes: {name}", style="bold")
        console.print(text.getvalue().split("\n\n", 2)[-1].strip(), markup=False, highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a fiftieth of everything")
    parser.add_argument("--keep", type=Path, help="where the logs stay for another time")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one[0], Path(arguments.one[1]))
        return
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.keep or Path(scratch)
        for name, log in LOGS.items():
            share = SMALL if arguments.small else 1
            shares = {name: share} | ({} if arguments.small else {f"{name}_{SMALL}": SMALL})
            for folder, part in shares.items():
                if not (directory / folder).exists():
                    write(directory / folder, log, part, RUNS.get(name, 1))
        compare(console, directory, arguments.rounds, arguments.small)
        profile(console, directory)


if __name__ == "__main__":
    main()
