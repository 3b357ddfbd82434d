"""`tbgrad report` as people run it."""

from __future__ import annotations

import json
import re

import pytest

from tbgrad.commands import report
from tests.commands.conftest import COMMAND, refusal, run
from tests.support.events import NAME, event, write_events
from tests.support.terminal import Terminal


def test_report_in_a_pipe_is_plain(logdir):
    done = run("report", logdir)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("run ")] == [
        "run a",
        "run nested/b",
    ]
    assert "λmax            70.0 ± 1.4" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_report_of_chosen_runs(logdir):
    done = run("report", logdir, "--run", "nested/*")
    assert "run nested/b" in done.stdout
    assert "run a" not in done.stdout
    assert refusal("report", logdir, "--run", "zzz") == (
        "no run matches 'zzz'; there are: a, nested/b"
    )


def test_report_as_json(logdir):
    done = run("report", logdir, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    runs = json.loads(done.stdout, parse_constant=pytest.fail)["runs"]
    assert set(runs) == {"a", "nested/b"}
    assert runs["a"]["alerts"] == []
    assert runs["a"]["last_step"] == 200
    assert runs["a"]["scalars"]["loss"]["count"] == 20


def on_a_terminal(*arguments, columns: int) -> str:
    terminal = Terminal([*COMMAND, *map(str, arguments)], columns=columns)
    assert terminal.ends() == 0
    return terminal.received.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_report_on_a_terminal_has_rules_and_fits(logdir, columns):
    text = on_a_terminal("report", logdir, "--run", "a", columns=columns)
    assert "\x1b[1" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "───" in plain
    assert max(map(len, plain.splitlines())) <= columns
    assert "dense_0/kernel" in plain
    row = next(line for line in plain.splitlines() if line.startswith("dense_3/kernel"))
    assert row.split()[4:6] == ["10.0", "%"]


def test_report_of_other_peoples_logs(tmp_path):
    write_events(tmp_path / NAME, [event(1, 0.5, "accuracy"), event(2, 0.75, "accuracy")])
    done = run("report", tmp_path)
    assert done.returncode == 0
    assert "add callbacks=[tbgrad.GradientMonitor" in done.stdout
    assert "accuracy" in done.stdout


def test_report_of_damaged_files_counts_and_shows_the_rest(logdir):
    (path,) = (logdir / "a").iterdir()
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole[:-3])
    done = run("report", logdir, "--run", "a")
    assert done.returncode == 0
    assert "damage: 2 places could not be read" in done.stdout
    assert f"{path}, byte " in done.stdout
    assert "18 logged" in done.stdout
    damage = json.loads(run("report", logdir, "--json").stdout)["runs"]["a"]["damage"]
    assert damage["count"] == 2
    assert [d["file"] for d in damage["listed"]] == [str(path)] * 2


def test_report_finds_alerts_anew_by_the_settings_of_a_file(logdir, tmp_path):
    settings = tmp_path / "alerts.toml"
    settings.write_text("[thresholds]\nexploding_gradient = 1e-6\n")
    done = run("report", logdir, "--check", "--alerts", settings)
    assert done.returncode == report.FOUND_ERRORS
    assert "exploding_gradient" in done.stdout
    settings.write_text(
        '[silence]\nexploding_gradient = "*"\n[thresholds]\nexploding_gradient = 1e-6\n'
    )
    assert run("report", logdir, "--check", "--alerts", settings).returncode == 0
    settings.write_text("[threshold]\n")
    assert refusal("report", logdir, "--alerts", settings) == (
        f"--alerts: {settings}: there is no table named 'threshold': did you mean 'thresholds'?"
    )
    assert "No such file" in refusal("report", logdir, "--alerts", tmp_path / "none.toml")
