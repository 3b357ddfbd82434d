"""`tbgrad demo`: train a classifier of handwritten digits, or run an example, and watch it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tbgrad.commands.inputs import positive


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the command line."""
    demo = commands.add_parser(
        "demo",
        help="train a small classifier on handwritten digits, or run an example, and watch it",
        description="Train a small convolutional classifier on handwritten digits, or run the "
        "example NAME, in a child process and watch it in the terminal. "
        "Needs tbgrad[tensorflow,demo].",
    )
    demo.add_argument("name", metavar="NAME", nargs="?", help="an example in place of the digits")
    demo.add_argument("--list", action="store_true", help="name the examples, in one line each")
    demo.add_argument(
        "--plain", action="store_true", help="no terminal app: the progress, then a report"
    )
    demo.add_argument("--logdir", metavar="DIR", type=Path, help="where to leave the log")
    demo.add_argument("--epochs", metavar="N", type=positive, help="80, or what the example has")
    demo.add_argument("--seed", metavar="N", type=int)
    demo.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Train and watch."""
    from tbgrad.commands.examples import example, examples, title

    if options.list:
        for name, path in examples().items():
            print(f"{name:16} {title(path)}")
        return 0
    program = None if options.name is None else example(options.name)
    from tbgrad.commands.demo_training import train_and_watch

    status: int = train_and_watch(
        program,
        logdir=options.logdir,
        plain=options.plain,
        epochs=options.epochs,
        seed=options.seed,
    )
    return status
