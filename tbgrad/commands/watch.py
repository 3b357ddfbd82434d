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
    watch.add_argument(
        "logdir", metavar="LOGDIR", nargs="*", default=["."], help="by default this directory"
    )
    watch.add_argument(
        "--run",
        metavar="PATTERN",
        default="*",
        help="only runs whose name matches, such as 'mnist/*'",
    )
    watch.add_argument(
        "--once", action="store_true", help="print one frame as text, also into a pipe or a file"
    )
    ground = watch.add_mutually_exclusive_group()
    ground.add_argument(
        "--light",
        action="store_true",
        default=None,
        help="colours for a light background; without, the terminal is asked",
    )
    ground.add_argument("--dark", dest="light", action="store_false", help="those for a dark one")
    watch.add_argument(
        "--ascii", action="store_true", help="draw with ASCII alone, as where LANG is C"
    )
    watch.add_argument(
        "--bell",
        action="store_true",
        help="ring, notify and name the window when a run has a new error",
    )
    watch.add_argument(
        "--reset",
        action="store_true",
        help="forget how this directory was looked at last: order, filters, axes, marks",
    )
    watch.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Follow the runs until the user leaves."""
    logdirs: list[str] = options.logdir
    for logdir in logdirs:
        place_at(logdir, there=options.once)
    if not options.once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "watch needs a terminal; in a pipe or a script use: "
            f"tbgrad watch --once {logdirs[0]}, or tbgrad report {logdirs[0]}"
        )
    from tbgrad_tui import watch

    only = logdirs[0] if len(logdirs) == 1 else logdirs
    status: int = watch(
        only,
        pattern=options.run,
        once=options.once,
        light=options.light,
        ascii=options.ascii,
        bell=options.bell,
        reset=options.reset,
    )
    return status
