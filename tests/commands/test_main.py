"""The command line, run as people run it: a real process, a pipe or a pseudo-terminal."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tbgrad import __version__
from tbgrad.commands import main
from tests.commands.conftest import COMMAND, MODULE, refusal, run
from tests.support.events import NAME, event, write_events
from tests.support.logs import write_run
from tests.support.values import ALERT


@pytest.mark.parametrize("command", [COMMAND, MODULE], ids=["tbgrad", "python -m tbgrad"])
def test_version(command):
    done = run("--version", command=command)
    assert (done.returncode, done.stdout) == (0, f"tbgrad {__version__}\n")


def test_help_explains_commands_examples_and_statuses():
    done = run("--help")
    assert done.returncode == 0
    for word in ("watch", "report", "export", "plot", "demo", "examples:", "exit status:", "130"):
        assert word in done.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from tbgrad.commands.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'rich', 'google', 'tensorboard', 'textual', 'tensorflow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = run("-c", code, command=[sys.executable])
    assert done.stdout.splitlines()[-1] == "[]"


def test_check_is_status_1_on_an_alert_of_severity_error(tmp_path):
    from tbgrad.log import encode
    from tbgrad.log.append import EventFileWriter

    write_run(tmp_path / "healthy", steps=100)
    for severity, status in (("warning", 0), ("error", 1)):
        with EventFileWriter(tmp_path / severity) as file:
            alert = dataclasses.replace(ALERT, severity=severity)
            file.add(1, [encode.scalar("loss", 1.0), encode.alerts([alert])])
        assert run("report", tmp_path).returncode == 0
        for more in ((), ("--json",)):
            done = run("report", tmp_path, "--check", *more)
            assert (done.returncode, done.stderr) == (status, "")
            assert severity in done.stdout
    assert run("report", tmp_path, "--check", "--run", "healthy").returncode == 0


def test_wrong_usage_is_status_2():
    for arguments in ([], ["paint"], ["report"], ["demo", "--epochs", "0"]):
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert "usage: tbgrad" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_example_that_is_none_is_refused():
    assert refusal("demo", "nonsense") == (
        "there is no example 'nonsense': tbgrad demo --list names all"
    )


def test_bad_directories_are_refused_in_one_sentence(tmp_path):
    assert refusal("report", tmp_path / "none") == (
        f"{tmp_path / 'none'} does not exist: give the directory of the logs"
    )
    (tmp_path / "file").touch()
    for command in ("report", "watch"):
        sentence = refusal(command, tmp_path / "file")
        assert sentence == (
            f"{tmp_path / 'file'} is a file: give the directory that holds the event files, "
            f"here {tmp_path}"
        )
    (tmp_path / "empty").mkdir()
    assert refusal("report", tmp_path / "empty") == f"no event files below {tmp_path / 'empty'}"
    hostile = tmp_path / "\x1b[2J\n"
    assert refusal("report", hostile) == (
        f"{tmp_path}/\\x1b[2J\\n does not exist: give the directory of the logs"
    )


def test_an_unreadable_directory_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o000)
    tmp_path.chmod(0o755)
    code = (
        "import contextlib, io, os, sys\n"
        "from tbgrad.commands.main import main\n"
        "with contextlib.redirect_stderr(io.StringIO()):\n"
        "    main(['report', 'none'])\n"  # loads all while the interpreter's files are readable
        "if os.getuid() == 0: os.setuid(65534)\n"
        "sys.exit(main(['report', sys.argv[1]]))\n"
    )
    sentence = refusal("-c", code, "locked", command=[sys.executable], cwd=tmp_path)
    assert sentence == "locked cannot be read: Permission denied"


def test_a_part_that_cannot_be_read_is_told_and_the_rest_shown(logdir):
    (logdir / "loop").symlink_to("loop")
    (logdir / "a" / "tfevents.gone").symlink_to(logdir / "nowhere")
    done = run("report", logdir)
    assert done.returncode == 0
    assert done.stdout.startswith(f"not read: {logdir}/loop: Too many levels of symbolic links\n")
    assert "run nested/b" in done.stdout
    problems = json.loads(run("report", logdir, "--json").stdout)["problems"]
    assert problems == {f"{logdir}/loop": "Too many levels of symbolic links"}


def test_names_that_are_not_utf8_or_the_terminal_cannot_show(logdir):
    os.rename(logdir / "a", os.fsencode(logdir) + b"/\xff")
    for encoding in ("utf-8", "ascii"):
        done = run("report", logdir, env={**os.environ, "PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr) == (0, "")
        assert "run \\udcff" in done.stdout
    assert run("report", logdir, "--json").returncode == 0


def test_watch_without_a_terminal_names_the_alternative(logdir):
    assert refusal("watch", logdir, stdin=subprocess.DEVNULL) == (
        f"watch needs a terminal; in a pipe or a script use: tbgrad watch --once {logdir}, "
        f"or tbgrad report {logdir}"
    )


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_reader_that_goes_away_is_no_traceback(logdir, options):
    child = subprocess.Popen(
        [*COMMAND, "report", str(logdir), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.close()
    _, stderr = child.communicate(timeout=30)
    assert (child.returncode, stderr) == (main.BROKEN_PIPE, b"")


def test_an_interrupt_is_no_traceback(tmp_path):
    write_events(tmp_path / NAME, [event(1)])
    code = (
        "import signal, sys, tbgrad.reading.directory\n"
        "from tbgrad.commands.main import main\n"
        "def hang(self, seconds=0): print('reading', flush=True); signal.pause()\n"
        "tbgrad.reading.directory.LogDirectory.poll = hang\n"
        "sys.exit(main(['report', sys.argv[1]]))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"reading\n"
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=30)
    assert (child.returncode, stdout, stderr) == (main.INTERRUPTED, b"", b"")


def test_demo_and_watch_are_given_what_was_asked(monkeypatch, tmp_path):
    import types

    calls = []
    training = types.ModuleType("tbgrad.commands.demo_training")
    training.train_and_watch = lambda program, **options: calls.append((program, options)) or 0
    monkeypatch.setitem(sys.modules, "tbgrad.commands.demo_training", training)
    assert main.main(["demo", "--plain", "--logdir", "x", "--epochs", "3", "--seed", "7"]) == 0
    assert calls == [(None, {"logdir": Path("x"), "plain": True, "epochs": 3, "seed": 7})]
    assert main.main(["demo"]) == 0
    assert calls[1] == (None, {"logdir": None, "plain": False, "epochs": None, "seed": None})
    assert main.main(["demo", "gan", "--plain"]) == 0
    assert calls.pop() == (
        Path(__file__).parents[2] / "examples" / "gan.py",
        {"logdir": None, "plain": True, "epochs": None, "seed": None},
    )

    app = types.ModuleType("tbgrad_tui")
    app.watch = lambda logdir, **options: calls.append((logdir, options)) or 5
    monkeypatch.setitem(sys.modules, "tbgrad_tui", app)
    monkeypatch.setattr("sys.stdin", TerminalStream())
    monkeypatch.setattr("sys.stdout", TerminalStream())
    usual = {
        "pattern": "*",
        "once": False,
        "light": None,
        "ascii": False,
        "bell": False,
        "reset": False,
    }
    assert main.main(["watch", str(tmp_path / "later")]) == 5
    assert calls[2] == (str(tmp_path / "later"), usual)
    assert main.main(["watch", "--light", "--ascii", "--run", "a*", "x", "y"]) == 5
    assert calls[3] == (["x", "y"], usual | {"pattern": "a*", "light": True, "ascii": True})
    assert main.main(["watch", "--dark"]) == 5
    assert calls[4] == (".", usual | {"light": False})


class TerminalStream:
    """Enough of a stream for the command to take it for a terminal."""

    def isatty(self) -> bool:
        return True

    def flush(self) -> None: ...
