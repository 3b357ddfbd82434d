"""What is sent over a network: the same screen, in fewer bytes."""

import os
import random
import sys

import pyte
import pytest
from rich.style import Style
from tbgrad_tui.driver import Difference

from tests.support.logs import write_run
from tests.support.terminal import Terminal

COLUMNS, ROWS = 40, 8


def screen() -> tuple[pyte.Screen, pyte.Stream]:
    made = pyte.Screen(COLUMNS, ROWS)
    return made, pyte.Stream(made)


def seen(of: pyte.Screen) -> list[list[tuple]]:
    """All cells as they look: of a blank only what is behind it, and lines."""
    return [[_cell(of.buffer[row][column]) for column in range(COLUMNS)] for row in range(ROWS)]


def _cell(char) -> tuple:
    lined = char.underscore or char.reverse or char.strikethrough
    if char.data not in (" ", ""):
        return tuple(char)
    lines = (char.fg, char.underscore, char.reverse, char.strikethrough) if lined else ()
    return (" ", char.bg, *lines)


def picture(chance: random.Random) -> str:
    """As Textual writes: changed stretches of lines, each piece with its whole style."""
    written = ["\x1b[?2026h"]
    for _ in range(chance.randrange(1, 6)):
        row, column = chance.randrange(ROWS), chance.randrange(COLUMNS // 2)
        written.append(f"\x1b[{row + 1};{column + 1}H")
        for _ in range(chance.randrange(1, 4)):
            style = Style(
                color=chance.choice([None, "red", "#40a0f0", "bright_blue", "color(200)"]),
                bgcolor=chance.choice([None, "blue", "#102030"]),
                bold=chance.random() < 0.3,
                underline=chance.random() < 0.1,
                reverse=chance.random() < 0.1,
            )
            text = "".join(chance.choice("  ab層é⣿") for _ in range(chance.randrange(1, 5)))
            written.append(style.render(text))
        if chance.random() < 0.3 and row < ROWS - 1:
            written.append("\n")
    if chance.random() < 0.03:
        written.append("\x1b[2J")
    return "".join([*written, "\x1b[?2026l"])


@pytest.mark.parametrize("seed", range(5))
def test_the_screen_is_the_same(seed):
    chance, difference = random.Random(seed), Difference()
    (whole, to_whole), (thin, to_thin) = screen(), screen()
    for _ in range(150):
        written = picture(chance)
        to_whole.feed(written.replace("\n", "\r\n"))
        to_thin.feed(difference.of(written).replace("\n", "\r\n"))
        assert seen(thin) == seen(whole)


def test_what_is_there_is_not_sent_again():
    difference = Difference()
    line = "\x1b[2;1H" + Style(color="red", bgcolor="blue").render("loss 0.51")
    difference.of(line)
    assert difference.of(line) == ""
    assert difference.of(line.replace("0.51", "0.52")) == "\x1b[2;9H2"
    other = "\x1b[2;1H" + Style(color="green", bgcolor="blue").render("L")
    assert difference.of(other) == "\x1b[2;1H\x1b[32mL"


def test_nothing_is_taken_for_known_after_what_is_not_understood():
    difference = Difference()
    line = "\x1b[2;1Habc"
    difference.of(line)
    for strange in ("\x1b[2J", "\x1b[?1049h", "\x1bc"):
        assert strange in difference.of(strange)
        assert "abc" in difference.of(line)
    for harmless in ("\x1b[?2026h", "\x07", "\x1b]2;title\x07", "\x1b]52;c;YWJj\x07"):
        assert difference.of(harmless) == harmless
        assert difference.of(line) == ""


def test_the_app_looks_the_same_over_a_network(tmp_path, monkeypatch):
    write_run(tmp_path / "a", steps=300)
    shown, sizes = [], []
    for remote in (False, True):
        if remote:
            monkeypatch.setitem(os.environ, "SSH_CONNECTION", "10.0.0.1 4000 10.0.0.2 22")
        terminal = Terminal([sys.executable, "-m", "tbgrad", "watch", str(tmp_path)])
        terminal.wait_for("step 300")
        terminal.wait_for("dense_3/bias")
        terminal.send("?")
        terminal.wait_for("a page further")
        terminal.send("\x1b")
        terminal.wait_for("dense_3/bias")
        terminal.send("jj")
        terminal.wait_for("▸dense_1/kernel")
        terminal.settle(1.0)
        shown.append(terminal.screen.display[1:])  # the first line tells the time
        sizes.append(len(terminal.received))
        terminal.send("q")
        assert terminal.ends() == 0
    assert shown[0] == shown[1]
    assert sizes[1] < 0.7 * sizes[0]


def test_a_window_that_was_smaller_for_a_while_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "SSH_CONNECTION", "10.0.0.1 4000 10.0.0.2 22")
    for size in ("COLUMNS", "LINES"):  # that of the terminal, not what was said of it
        monkeypatch.delenv(size, raising=False)
    write_run(tmp_path / "a", steps=300)
    terminal = Terminal([sys.executable, "-m", "tbgrad", "watch", str(tmp_path)], said=False)
    terminal.wait_for("dense_3/bias")
    terminal.settle(1.0)
    whole = terminal.screen.display[1:]
    terminal.resize(60, 15)
    terminal.wait_for("small terminal")
    terminal.resize(120, 40)
    terminal.wait_for("dense_3/bias")
    terminal.settle(1.0)
    assert terminal.screen.display[1:] == whole
    terminal.send("q")
    assert terminal.ends() == 0
