"""The command as a real process, and a directory of logs for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.logs import write_run

COMMAND = [str(Path(sys.executable).with_name("tbgrad"))]
MODULE = [sys.executable, "-m", "tbgrad"]


def run(*arguments, command=COMMAND, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        **options,
    )


def refusal(*arguments, **options) -> str:
    """What the command says on standard error when it refuses: one line, no traceback."""
    done = run(*arguments, **options)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("tbgrad: ")
    return line.removeprefix("tbgrad: ")


@pytest.fixture
def logdir(tmp_path):
    write_run(tmp_path / "runs" / "a", steps=200)
    write_run(tmp_path / "runs" / "nested" / "b", steps=100)
    return tmp_path / "runs"
