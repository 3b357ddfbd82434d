"""`tbgrad demo`: train a small classifier on handwritten digits and watch it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tbgrad.commands.inputs import positive


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the command line."""
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
    demo.add_argument("--epochs", metavar="N", type=positive, default=80)
    demo.add_argument("--seed", metavar="N", type=int, default=0)
    demo.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Train and watch."""
    from tbgrad.commands.demo_training import train_and_watch

    status: int = train_and_watch(
        logdir=options.logdir, plain=options.plain, epochs=options.epochs, seed=options.seed
    )
    return status
