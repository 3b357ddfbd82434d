"""Cells become segments: right text, merged, and only what changed is repainted."""

import numpy as np
from rich.style import Style
from tbgrad_tui.chart.canvas import Box, Canvas

RED, BLUE = Style(color="red"), Style(color="blue")


def test_equal_neighbours_are_one_segment():
    canvas = Canvas(10, 1)
    canvas.write(0, 0, "abc", RED)
    canvas.write(3, 0, "def", RED)
    canvas.write(6, 0, "gh", BLUE)
    assert [(s.text, s.style) for s in canvas.strip(0)] == [
        ("abcdef", RED),
        ("gh", BLUE),
        ("  ", Style()),
    ]


def test_a_wide_character_takes_two_cells_and_is_never_cut():
    canvas = Canvas(6, 1)
    canvas.write(0, 0, "a層bc", RED)
    canvas.write(5, 0, "層", BLUE)  # half of it would be outside
    assert canvas.text() == ["a層bc "]
    assert canvas.strip(0).cell_length == 6
    assert sum(s.cell_length for s in canvas.strip(0)) == 6


def test_escape_sequences_do_not_reach_the_strip():
    canvas = Canvas(20, 1)
    canvas.write(0, 0, "\x1b[2Jx", RED)
    assert "\x1b" not in canvas.strip(0).text


def test_whatever_lies_outside_is_not_drawn():
    canvas = Canvas(4, 2)
    canvas.write(-2, 0, "abcdefgh")
    canvas.write(0, 5, "nowhere")
    canvas.fill(Box(3, 1, 9, 9), "#", RED)
    canvas.mark(np.array([-1, 9]), np.array([0, 0]), "x", RED)
    assert canvas.text() == ["cdef", "   #"]


def test_changes_are_found_by_line_and_column():
    former, canvas = Canvas(8, 3), Canvas(8, 3)
    canvas.write(2, 1, "xy", RED)
    assert canvas.changes(former) == [Box(2, 1, 2, 1)]
    assert canvas.changes(canvas) == []
    canvas.write(0, 2, "層")
    assert canvas.changes(former)[1] == Box(0, 2, 8, 1)
