"""`tbgrad report`: what every run came to."""

from __future__ import annotations

import argparse
import fnmatch
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tbgrad.commands.inputs import InputError, place_at

if TYPE_CHECKING:
    from tbgrad.diagnosis import AlertSettings

FOUND_ERRORS = 1

EXTREMES = 1 << 14
"""Entries of the gradient norm that its extremes are chosen from."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the command line."""
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
    report.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Print what every run came to."""
    from tbgrad.log.text import printable
    from tbgrad.reading.columns import Limits
    from tbgrad.reading.directory import LogDirectory
    from tbgrad.reading.state import no_room
    from tbgrad.report.summary import build, to_json

    logdir: str = options.logdir
    place_at(logdir)
    settings = _alert_settings(options.alerts)
    # What is thinned to be held in memory cannot be judged step by step.
    limits = Limits(merging=settings is None, extremes=EXTREMES)
    log = LogDirectory(logdir, bounded=limits)
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
    full = no_room(log.path)
    reports = {name: build(run, settings, disk_is_full=full) for name, run in runs.items()}
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
