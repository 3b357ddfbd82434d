"""The `tbgrad` command. Each subcommand imports what it needs, so that `--help` is instant."""

from __future__ import annotations

import argparse
import errno
import fnmatch
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tbgrad import __version__

if TYPE_CHECKING:
    from tbgrad.diagnosis import AlertSettings
    from tbgrad.reading.places import Place
    from tbgrad.reading.run import LeftOut

FOUND_ERRORS = 1
BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_EPILOG = """\
examples:
  tbgrad demo                      train on handwritten digits and watch
  tbgrad watch runs                follow every run below runs/, also one that has yet to start
  tbgrad report runs               what every run came to, as text
  tbgrad report runs --json        the same for scripts
  tbgrad report gs://bucket/runs   a remote log; needs tbgrad[remote]
  tbgrad report runs --check       for job scripts: exit status 1 on an alert of severity error
  tbgrad export runs -o runs.csv   every number, for other programs
  tensorboard --logdir runs        the same logs in the browser, tab "Gradients"

exit status:
  0    all went well
  1    report --check found an alert of severity error
  2    the arguments or the log directory cannot be used, or the output cannot be written; one
       sentence on standard error says why
  130  interrupted with Ctrl-C
  141  the reader of standard output went away
"""


_NOT_WRITTEN = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


class InputError(Exception):
    """What the user gave cannot be used; the message is one sentence for them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process); returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run_command
    try:
        status = run(options)
        sys.stdout.flush()
    except InputError as error:
        print(f"tbgrad: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is not None or error.errno not in _NOT_WRITTEN:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"tbgrad: the output cannot be written: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tbgrad",
        description="See what the gradients and the curvature of a Keras model do while it trains.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tbgrad {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    watch = commands.add_parser(
        "watch",
        help="follow runs in the terminal while they train",
        description="Follow every run below LOGDIR in the terminal while it trains. Waits for a "
        "directory that does not exist yet. LOGDIR may be remote, as gs://bucket/runs, with "
        "tbgrad[remote]; for logs on another machine: ssh -t host tbgrad watch DIR. Leave with q.",
    )
    watch.add_argument("logdir", metavar="LOGDIR")
    watch.set_defaults(run_command=_watch)

    report = commands.add_parser(
        "report",
        help="print what runs came to",
        description="Print what every run below LOGDIR came to: final norms, curvature, extremes, "
        "alerts, damage. Tables on a terminal, plain text in a pipe.",
    )
    report.add_argument("logdir", metavar="LOGDIR")
    report.add_argument("--json", action="store_true", help='print {"runs": {NAME: {...}}}')
    report.add_argument(
        "--run", metavar="PATTERN", help="only runs whose name matches, such as 'mnist/*'"
    )
    report.add_argument(
        "--check", action="store_true", help="exit with 1 if a run has an alert of severity error"
    )
    report.add_argument(
        "--alerts",
        metavar="FILE",
        type=Path,
        help="find the alerts anew, with the thresholds and what is silenced in a TOML file",
    )
    report.set_defaults(run_command=_report)

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
        help="only series whose tag matches, as 'gradient/*'; may be given again",
    )
    export.set_defaults(run_command=_export)

    demo = commands.add_parser(
        "demo",
        help="train a small classifier on handwritten digits and watch it",
        description="Train a small convolutional classifier on handwritten digits in a child "
        "process and watch it in the terminal. Needs tbgrad[tensorflow,demo].",
    )
    demo.add_argument(
        "--plain", action="store_true", help="no terminal app: a progress bar, then a report"
    )
    demo.add_argument("--logdir", metavar="DIR", type=Path, help="where to leave the log")
    demo.add_argument("--epochs", metavar="N", type=_positive, default=80)
    demo.add_argument("--seed", metavar="N", type=int, default=0)
    demo.set_defaults(run_command=_demo)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _watch(options: argparse.Namespace) -> int:
    logdir: str = options.logdir
    _place(logdir, there=False)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            f"watch needs a terminal; in a pipe or a script use: tbgrad report {logdir}"
        )
    from tbgrad_tui import watch

    status: int = watch(logdir)
    return status


def _export(options: argparse.Namespace) -> int:
    from tbgrad.export.files import ExportError, write
    from tbgrad.log.text import printable
    from tbgrad.reading.directory import read_one_by_one
    from tbgrad.reading.run import left_out_lines

    logdir: str = options.logdir
    target: Path = options.output.expanduser()
    _place(logdir)
    name = printable(str(target))
    if target.is_dir():
        raise InputError(f"{name} is a directory; give the file to write, as {name}/runs.csv")
    problems: dict[str, str] = {}
    left_out: list[LeftOut] = []
    try:
        with _progress_bar() as progress:
            runs = read_one_by_one(logdir, problems, progress)
            written = write(runs, target, options.run, options.tag or ("*",), left_out)
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


def _report(options: argparse.Namespace) -> int:
    from tbgrad.log.text import printable
    from tbgrad.reading.directory import LogDirectory
    from tbgrad.report.summary import build, to_json

    logdir: str = options.logdir
    _place(logdir)
    settings = _alert_settings(options.alerts)
    # What is thinned to be held in memory cannot be judged step by step.
    log = LogDirectory(logdir, bounded=settings is None)
    log.poll()
    runs = log.finish()
    problems = log.problems
    if not runs:
        unread = "".join(f"; not read: {path}: {why}" for path, why in problems.items())
        raise InputError(f"no event files below {printable(logdir + unread, 1000)}")
    if options.run is not None:
        chosen = {name: run for name, run in runs.items() if fnmatch.fnmatch(name, options.run)}
        if not chosen:
            names = ", ".join(runs)
            raise InputError(printable(f"no run matches {options.run!r}; there are: {names}", 1000))
        runs = chosen
    reports = {name: build(run, settings) for name, run in runs.items()}
    if options.json:
        content = to_json(reports)
        content["problems"] = dict(problems)
        print(json.dumps(content, indent=2, allow_nan=False))
    else:
        from tbgrad.report.print import print_reports

        damaged = {place.file for run in runs.values() for place in run.damage}
        rest = {path: why for path, why in problems.items() if path not in damaged}
        print_reports(reports.values(), rest)
    errors = [
        alert for made in reports.values() for alert in made.alerts if alert.severity == "error"
    ]
    return FOUND_ERRORS if options.check and errors else 0


def _alert_settings(file: Path | None) -> AlertSettings | None:
    from tbgrad.diagnosis import AlertSettings

    try:
        return None if file is None else AlertSettings.read(file)
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"--alerts: {error}") from error


def _demo(options: argparse.Namespace) -> int:
    from tbgrad.commands.demo import run

    status: int = run(
        logdir=options.logdir, plain=options.plain, epochs=options.epochs, seed=options.seed
    )
    return status


def _place(logdir: str, *, there: bool = True) -> Place:
    """Where the logs are; one sentence where they cannot be there, or, asked for, are not."""
    from tbgrad.log.text import printable
    from tbgrad.reading.places import place_of

    try:
        place = place_of(logdir)
        if there:
            place.check()
            if not place.remote:
                os.scandir(place.path).close()
    except OSError as error:
        reason = str(error)
        if error.filename is not None:
            reason = f"{error.filename} cannot be read: {error.strerror}"
        raise InputError(printable(reason, 1000)) from None
    return place
