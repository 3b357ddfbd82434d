"""What the terminal answers to a question about its background: in time, late, in parts, never."""

import sys
import time

import pytest
from rich.color import Color
from tbgrad_tui.answers import HELD_SECONDS, Answers
from tbgrad_tui.chart.appearance import Appearance

from tests.support.logs import write_run
from tests.support.terminal import Terminal

QUESTION = b"\x1b]11;?"
LIGHT = "\x1b]11;rgb:ffff/ffff/eeee\x1b\\"
WHAT_IT_IS = "\x1b[?62;22c"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("answers")
    write_run(directory / "a", steps=60)
    return directory


@pytest.mark.parametrize("end", ["\x1b\\", "\x07"])
@pytest.mark.parametrize("parts", [1, 2, 3, 100])
def test_an_answer_is_no_key_however_it_is_cut(parts, end):
    typed = f"j\x1b]11;rgb:0e0e/1212/1616{end}{WHAT_IT_IS}k\x1b[A"
    size = -(-len(typed) // parts)
    answers, left = Answers(), ""
    for at in range(0, len(typed), size):
        left += answers.left(typed[at : at + size], at * HELD_SECONDS / 10)
    assert left + answers.overdue(1e9) == "jk\x1b[A"


@pytest.mark.parametrize("keys", ["\x1b", "\x1b[", "\x1b]", "\x1b[?", "x\x1b]1"])
def test_a_key_that_begins_alike_comes_a_moment_later(keys):
    answers = Answers()
    left = answers.left(keys, 5.0)
    assert answers.overdue(5.0 + HELD_SECONDS / 2) == ""
    assert left + answers.overdue(5.0 + HELD_SECONDS * 1.01) == keys
    assert answers.overdue(9.0) == ""


def test_half_an_answer_is_no_key_either():
    answers = Answers()
    assert answers.left("\x1b]11;rgb:ffff/ff", 0.0) == ""
    assert answers.overdue(1.0) == ""
    assert answers.left("q", 1.1) == "q"


def ground(*, light: bool) -> bytes:
    """What sets the colour behind everything."""
    rgb = Color.parse(Appearance(light=light).variables()["ground"]).get_truecolor()
    return f"48;5;{Color.from_rgb(*rgb).downgrade(2).number}m".encode()


def started(run) -> Terminal:
    terminal = Terminal([sys.executable, "-m", "tbgrad", "watch", str(run)])
    terminal.first(QUESTION)
    return terminal


def test_an_answer_in_parts_is_understood(run):
    terminal = started(run)
    for part in (LIGHT[:9], LIGHT[9:], WHAT_IT_IS[:3], WHAT_IT_IS[3:]):
        terminal.send(part)
        time.sleep(0.01)
    terminal.wait_for("dense_3/bias")
    assert ground(light=True) in terminal.received
    terminal.send("q")
    assert terminal.ends() == 0


def test_none_and_late_ones_are_never_keys(run):
    terminal = started(run)
    terminal.wait_for("dense_3/bias")  # without an answer
    terminal.wait_for("healthy")
    before = terminal.screen.display
    assert ground(light=False) in terminal.received
    assert ground(light=True) not in terminal.received
    terminal.send(LIGHT + WHAT_IT_IS)
    terminal.first(ground(light=True))  # the colours follow
    terminal.settle(0.4)
    for part in ("\x1b", "]11;rgb:00", "00/0000/1", "111\x1b", "\\", "\x1b[", "?6", "2;22c"):
        terminal.send(part)  # "1" shows the runs alone, "]" another run, "f" folds
        terminal.settle(0.02)
    for _ in range(200):
        dark, light = (terminal.received.rindex(ground(light=each)) for each in (False, True))
        if dark > light:
            break
        terminal.settle(0.1)
    else:
        pytest.fail("the colours did not follow the later answer")
    terminal.settle(0.4)
    assert terminal.screen.display[1:] == before[1:]
    terminal.send("2")
    terminal.wait_for("Loss")
    terminal.settle(0.3)
    assert "dense_3/bias" not in "\n".join(terminal.screen.display)
    terminal.send("\x1b")  # Escape is a key
    terminal.wait_for("dense_3/bias")
    terminal.send("q")
    assert terminal.ends() == 0
