"""The training of `tbgrad demo`, in a child process, and what shows it."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tbgrad.log.tags import GRADIENT_NORM, LOSS
from tbgrad.log.text import number
from tbgrad.reading.directory import LogDirectory
from tbgrad.reading.run import Run
from tbgrad.reading.series import Series

DEFAULT_LOGDIR = Path("tbgrad-demo")
TRAINING_OUTPUT = "training-output.txt"
DIGITS_EPOCHS = 80
STEPS_PER_EPOCH = 1797 // 128


def train_and_watch(
    program: Path | None, logdir: Path | None, plain: bool, epochs: int | None, seed: int | None
) -> int:
    """Run an example, by default the classifier of handwritten digits, and show it.

    The log stays in a new directory below `logdir`. `plain`, which a missing terminal implies,
    shows the progress and then the report instead of the terminal app. Returns the exit status: 0,
    1 where the training failed, 2 where it cannot start.
    """
    missing = [name for name in ("tensorflow", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"tbgrad: the demo trains a model and needs {' and '.join(missing)}: "
            "pip install 'tbgrad[tensorflow,demo]'",
            file=sys.stderr,
        )
        return 2
    root = logdir or DEFAULT_LOGDIR
    directory = root / time.strftime(f"{program.stem if program else 'digits'}-%Y%m%d-%H%M%S")
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        print(
            f"tbgrad: {directory} cannot be created ({error.strerror}): "
            "give another place with --logdir",
            file=sys.stderr,
        )
        return 2
    plain = plain or not (sys.stdin.isatty() and sys.stdout.isatty())
    output = directory / TRAINING_OUTPUT
    # The runs of an example are to be compared with one another, not with those of earlier demos.
    shown = directory if program else root
    command = _command(program, directory, epochs, seed)
    with _training(command, None if plain and program else output) as child:
        if not plain:
            from tbgrad_tui import watch

            watch(shown)
        elif program is None:
            _show_progress(child, directory, (epochs or DIGITS_EPOCHS) * STEPS_PER_EPOCH)
        else:
            child.wait()
        stopped = child.poll() is None
        status = 0 if stopped else child.wait()
    if status:
        if output.exists():
            said = output.read_text(errors="replace").splitlines()
            print("\n".join(said[-15:]), file=sys.stderr)
        print(f"tbgrad: the training ended with exit status {status}", file=sys.stderr)
        return 1
    if plain:
        _print_report(shown, directory.name if program is None else None)
    elif stopped:
        print("The training was stopped with the app.")
    print("Look at the log again:")
    print(f"  tbgrad watch {shlex.quote(str(shown))}")
    print(f"  tensorboard --logdir {shlex.quote(str(shown))}")
    return 0


def _command(
    program: Path | None, directory: Path, epochs: int | None, seed: int | None
) -> list[str]:
    """What the interpreter is to run."""
    if program is None:
        arguments = [str(directory), str(epochs or DIGITS_EPOCHS), str(seed or 0)]
        return ["-m", "tbgrad.keras.digits", *arguments]
    command = [str(program), str(directory)]
    for name, value in (("--epochs", epochs), ("--seed", seed)):
        command += [] if value is None else [name, str(value)]
    return command


@contextmanager
def _training(command: Sequence[str], output: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    """The child process; what it prints goes to a file, or to where this process prints."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    sys.stdout.flush()
    with output.open("wb") if output else nullcontext() as sink:
        child = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT if output else None,
            env={**os.environ, **quiet},
            start_new_session=True,
        )
        try:
            yield child
        finally:
            child.terminate()
            child.wait()


def _show_progress(child: subprocess.Popen[bytes], directory: Path, total: int) -> None:
    """A bar that follows the log while the child trains; lines where there is no terminal."""
    console = Console(highlight=False)
    log = LogDirectory(directory)
    if not console.is_terminal:
        console.print(f"Training on handwritten digits, {total:,} steps; log in {directory}")
        said = 0
        while child.poll() is None:
            time.sleep(0.25)
            log.poll()
            step = max((r.last_step for r in log.runs.values()), default=0)
            if step >= said + total / 10:
                said = step
                console.print(f"step {step:,} of {total:,}: {_latest(log.runs)}")
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("step {task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[latest]}"),
        console=console,
    ) as progress:
        task = progress.add_task("starting TensorFlow", total=total, latest="")
        while True:
            ended = child.poll() is not None
            log.poll()
            step = max((r.last_step for r in log.runs.values()), default=0)
            description = "training" if step > 0 else "starting TensorFlow"
            latest = _latest(log.runs)
            progress.update(task, completed=step, description=description, latest=latest)
            if ended:
                if child.returncode == 0:
                    progress.update(task, completed=total, description="trained")
                return
            time.sleep(0.25)


def _latest(runs: dict[str, Run]) -> str:
    series: Mapping[str, Series] = next(iter(runs.values()), {})
    names = ((LOSS, "loss"), (GRADIENT_NORM, "gradient norm"))
    return ", ".join(
        f"{name} {number(series[tag].values[-1], 3)}" for tag, name in names if tag in series
    )


def _print_report(root: Path, name: str | None) -> None:
    """That of one run, or of all."""
    from tbgrad.reading.directory import read
    from tbgrad.report.print import print_reports
    from tbgrad.report.summary import build

    runs = read(root)
    print_reports([build(run) for run in (runs.values() if name is None else [runs[name]])], {})
