"""`tbgrad export`: every number of every run, in a file for other programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tbgrad.commands.inputs import InputError, place_at

if TYPE_CHECKING:
    from tbgrad.reading.left_out import LeftOut


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the command line."""
    export = commands.add_parser(
        "export",
        help="write runs into a file for other programs",
        description="Write every series of every run below LOGDIR into FILE, all of it or nothing. "
        "Its suffix says how: .csv and .parquet hold one row a number, .jsonl one value of a "
        "series a line, .npz NumPy arrays named RUN//TAG//steps, //wall_times, //values. Parquet "
        "needs tbgrad[parquet].",
    )
    export.add_argument("logdir", metavar="LOGDIR")
    export.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    export.add_argument(
        "--run", metavar="PATTERN", default="*", help="only runs whose name matches, as 'mnist/*'"
    )
    export.add_argument(
        "--tag",
        metavar="PATTERN",
        action="append",
        help="only series whose tag matches, as 'gradient/*'; may be given again. The norms of all "
        "parameters at every step, 'tbgrad/steps', are written where a pattern says so",
    )
    export.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Write every number into a file."""
    from tbgrad.export.files import ExportError, write
    from tbgrad.log.text import printable
    from tbgrad.reading.directory import read_one_by_one
    from tbgrad.reading.left_out import left_out_lines

    logdir: str = options.logdir
    target: Path = options.output.expanduser()
    place_at(logdir)
    name = printable(str(target))
    if target.is_dir():
        raise InputError(f"{name} is a directory; give the file to write, as {name}/runs.csv")
    problems: dict[str, str] = {}
    left_out: list[LeftOut] = []
    try:
        with _progress_bar() as progress:
            runs = read_one_by_one(logdir, problems, progress)
            written = write(runs, target, options.run, options.tag, left_out)
    except ExportError as error:
        raise InputError(printable(str(error), 1000)) from None
    except OSError as error:
        raise InputError(f"{name} cannot be written: {error.strerror or error}") from None
    for path, reason in problems.items():
        print(f"not read: {printable(path)}: {printable(reason)}", file=sys.stderr)
    for line in left_out_lines(left_out):
        print(f"left out: {printable(line, 1000)}", file=sys.stderr)
    total, count = sum(written.values()), len(written)
    unit = {".jsonl": "lines", ".npz": "arrays"}.get(target.suffix.lower(), "rows")
    of = "1 run" if count == 1 else f"{count:,} runs"
    print(f"{name}: {total:,} {unit} of {of}", file=sys.stderr)
    return 0


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], object] | None]:
    """What shows on a terminal how many of all bytes were read."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)
