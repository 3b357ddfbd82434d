"""`tbgrad watch`: follow runs in the terminal."""

from __future__ import annotations

import argparse
import sys

from tbgrad.commands.inputs import InputError, place_at


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the command line."""
    watch = commands.add_parser(
        "watch",
        help="follow runs in the terminal while they train",
        description="Follow every run below LOGDIR in the terminal while it trains. Waits for a "
        "directory that does not exist yet. LOGDIR may be remote, as gs://bucket/runs, with "
        "tbgrad[remote]; for logs on another machine: ssh -t host tbgrad watch DIR. Leave with q.",
    )
    watch.add_argument("logdir", metavar="LOGDIR")
    watch.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Follow the runs until the user leaves."""
    logdir: str = options.logdir
    place_at(logdir, there=False)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            f"watch needs a terminal; in a pipe or a script use: tbgrad report {logdir}"
        )
    from tbgrad_tui import watch

    status: int = watch(logdir)
    return status
