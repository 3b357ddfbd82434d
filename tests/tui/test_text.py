"""What is written on the screen: clean, short, and with the right number."""

import math

import pytest
from rich.cells import cell_len
from tbgrad_tui.chart.text import clean, duration, number, pad, percent, shorten, size, step_label

HOSTILE = "[bold red]x[/] \x1b[2J\x07\u202egnp\u200b\x9b31m\r\n\tend"


def test_nothing_a_terminal_would_obey_survives():
    shown = clean(HOSTILE)
    assert shown.isprintable()
    assert shown.startswith("[bold red]x[/] �[2J")  # markup is text, the escape is gone
    assert not any(character in shown for character in "\x1b\x07\x9b\r\n\t\u202e\u200b")


def test_combining_marks_do_not_shift_what_follows():
    assert clean("e\u0301") == "é"
    assert cell_len(clean("x\u0334\u0335y")) == 2


@pytest.mark.parametrize("width", [0, 1, 2, 7, 12, 13, 40])
@pytest.mark.parametrize("name", ["dense_0/kernel", "層の重み/カーネル", "a", "", HOSTILE])
def test_shortened_text_fits_and_keeps_both_ends(name, width):
    text = shorten(name, width)
    assert cell_len(text) <= width
    assert cell_len(pad(name, width)) == width
    if cell_len(clean(name)) <= width:
        assert text == clean(name)
    elif width >= 7:
        assert text[0] == clean(name)[0]
        assert text[-1] == clean(name)[-1]
        assert "…" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.05494, "0.0549"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (0.0000123, "1.2e-5"),
        (-3.2e7, "-3.2e7"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_units():
    assert percent(0.1) == "10 %"
    assert percent(1.0) == "100 %"
    assert percent(0.00001) == "<0.01 %"
    assert percent(math.nan) == "–"
    assert [step_label(s) for s in (0, 500, 1500, 20_000, 3_000_000)] == [
        "0",
        "500",
        "1.5k",
        "20k",
        "3M",
    ]
    assert [duration(s) for s in (0.4, 59, 125, 7200, 200_000)] == [
        "0 s",
        "59 s",
        "2 min",
        "2 h",
        "2 d",
    ]
    assert [size(b) for b in (812, 14_000, 1_500_000)] == ["812 B", "14 kB", "1.5 MB"]
