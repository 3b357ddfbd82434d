"""Line charts against independent expectations: peaks, marks, axes, every odd length."""

import math
import warnings

import numpy as np
import pytest
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.braille import cells, trace
from tbgrad_tui.chart.canvas import Canvas, ink
from tbgrad_tui.chart.line import Curve, draw_chart
from tbgrad_tui.chart.scale import Scale, scale_for


def chart(values, *, log=False, steps=None, width=60, height=14, **more) -> Canvas:
    canvas = Canvas(width, height)
    values = np.asarray(values, dtype=np.float64)
    steps = np.arange(len(values)) if steps is None else np.asarray(steps)
    level = more.pop("level", None)
    draw_chart(canvas, canvas.box, [Curve(steps, values, **more)], log=log, level=level)
    return canvas


def cells_of(canvas: Canvas, style) -> set[tuple[int, int]]:
    return {(int(x), int(y)) for y, x in zip(*np.nonzero(canvas.inks == ink(style)), strict=True)}


def left(canvas: Canvas) -> int:
    """The first column of the plot."""
    return canvas.text()[-1].index("└") + 1


@pytest.mark.parametrize("peak", [0, 1, 12_345, 50_000, 99_998, 99_999])
def test_a_single_peak_among_100_000_points_is_drawn_where_it_is(peak):
    y = np.full(100_000, 0.25)
    y[peak] = 1.0
    dots = trace(np.linspace(0, 1, len(y)), y, 200, 40)
    column = round(peak / 99_999 * 199)
    assert np.flatnonzero(dots[0]).tolist() == [column]
    assert dots[:, column].sum() > 25  # one unbroken span from the peak down to the curve
    assert dots.any(axis=0).all()


def test_neighbouring_columns_touch_on_a_steep_curve():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 37)
    dots = trace(x, rng.random(37), 120, 64)
    for left, right in zip(dots.T[:-1], dots.T[1:], strict=True):
        a, b = np.flatnonzero(left), np.flatnonzero(right)
        assert a.min() <= b.max() + 1
        assert b.min() <= a.max() + 1


def test_a_straight_line_is_straight():
    dots = trace(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 40, 40)
    rows, columns = np.nonzero(dots)
    assert (np.abs((39 - rows) - columns) <= 1).all()


def test_the_curve_breaks_at_a_nan_instead_of_bridging_it():
    y = np.array([0.5, 0.5, np.nan, 0.5, 0.5])
    dots = trace(np.linspace(0, 1, 5), y, 41, 9)
    assert dots.any(axis=0)[:11].all()
    assert not dots.any(axis=0)[11:30].any()
    assert dots.any(axis=0)[30:].all()


def test_braille_bits():
    dots = np.zeros((4, 4), dtype=bool)
    dots[0, 0] = dots[3, 1] = dots[1, 2] = True
    assert [chr(c) for c in cells(dots)[0]] == ["⢁", "⠂"]


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_marked_at_the_top_edge(lost):
    values = np.linspace(1.0, 2.0, 101)
    values[50] = lost
    canvas = chart(values, width=70)
    assert canvas.text()[0].count("✕") == 1
    marks = cells_of(canvas, colours.NONFINITE)
    ((x, y),) = marks
    margin = left(canvas)
    assert y == 0
    assert x == margin + round(0.5 * (70 - margin - 1))


def test_all_nan_draws_marks_and_no_curve():
    canvas = chart([math.nan] * 5)
    assert canvas.text()[0].count("✕") == 5
    assert not cells_of(canvas, colours.MAIN)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0],
        [1.0, 2.0],
        [0.0],
        [0.0, 0.0, 0.0],
        [3.5] * 50,
        [-1.0, -2.0],
        [1e308, -1e308],
        [5e-324, 1e-320],
        [1e-45, 1e38],
        [math.inf, 1.0, math.nan, -math.inf, 2.0],
        [1.0, 1.0 + 1e-15],
        list(np.linspace(0, 1, 5000)),
    ],
)
@pytest.mark.parametrize("size", [(60, 14), (20, 5), (8, 2), (3, 1), (0, 0)])
def test_any_series_draws_at_any_size(values, log, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas = chart(values, log=log, width=size[0], height=size[1], level=2.0)
    assert len(canvas.text()) == size[1]


def test_one_point_is_a_visible_dot_with_its_step():
    canvas = chart([0.7], steps=[1200])
    assert sum(row.count("•") for row in canvas.text()) == 1
    assert "1.2k" in canvas.text()[-1]


def test_zero_on_a_log_axis_is_marked_and_not_dropped():
    canvas = chart([1.0, 0.1, 0.0, 0.01, -1.0], log=True)
    bottom = canvas.text()[-2][left(canvas) :]
    assert bottom.index("0") == round(2 / 4 * (60 - left(canvas) - 1))
    assert bottom.endswith("▾")


def test_steps_are_placed_by_their_value_not_by_their_index():
    # the fall at step 10 of 1000 is at the very left though it is the second of three points
    canvas = chart([1.0, 0.0, 0.0], steps=[0, 10, 1000], width=104, height=20)
    margin = left(canvas)
    upper = {x for x, y in cells_of(canvas, colours.MAIN) if y < 10}
    assert max(upper) <= margin + 2


def test_log_ticks_are_decades():
    assert [label for _, label in Scale(1e-5, 1e2, True).ticks(10)] == [
        "1e-5",
        "1e-4",
        "1e-3",
        "0.01",
        "0.1",
        "1",
        "10",
        "100",
    ]
    assert [v for v, _ in Scale(1e-30, 1.0, True).ticks(4)] == pytest.approx(
        [1e-24, 1e-16, 1e-8, 1.0]
    )


def test_log_ticks_inside_one_decade_tell_values_apart():
    labels = [label for _, label in Scale(2.1, 7.5, True).ticks(4)]
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.018, 1.03), (-1, 1), (99.5, 100.5), (0, 7e9), (1e-9, 5e-9)]
)
@pytest.mark.parametrize("most", [2, 3, 6])
def test_linear_ticks_are_round_even_inside_and_distinct(low, high, most):
    ticks = Scale(low, high).ticks(most)
    values = [value for value, _ in ticks]
    labels = [label for _, label in ticks]
    assert 2 <= len(values) <= most + 2
    assert len(set(labels)) == len(labels)
    assert all(low - 1e-9 * abs(high) <= v <= high * (1 + 1e-9) for v in values)
    gaps = np.diff(values)
    assert np.allclose(gaps, gaps[0])
    for value, label in ticks:
        assert float(label.replace(",", "")) == pytest.approx(value, rel=0.02, abs=1e-12)
    if low < 0 < high:
        assert 0 in values


def test_labels_stand_at_the_row_of_their_value():
    canvas = chart([0.0, 100.0], height=21, width=60)
    rows = {row.split("┤")[0].strip(): y for y, row in enumerate(canvas.text()) if "┤" in row}
    assert rows["100"] == 0
    assert rows["0"] == 19
    assert rows["40"] == pytest.approx(0.6 * 19, abs=1)


def test_the_axis_widens_for_a_level_only_while_the_curve_stays_readable():
    near = chart([20.0, 41.0], level=76.0)
    far = chart([20.0, 41.0], level=2e4)
    assert any("╌" in row for row in near.text())
    assert not any("╌" in row for row in far.text())
    assert cells_of(far, colours.THRESHOLD) == set()


def test_error_bars_reach_as_far_as_their_bounds():
    errors = np.array([0.0, 40.0, 0.0])
    canvas = chart([50.0, 50.0, 50.0], errors=errors, height=21)
    bars = cells_of(canvas, colours.ERROR_BAR)
    assert len({x for x, _ in bars}) == 1
    assert min(y for _, y in bars) <= 1
    assert max(y for _, y in bars) >= 18


def test_a_doubtful_point_has_a_mark_of_its_own():
    canvas = chart([1.0, 2.0, 3.0], doubtful=np.array([False, True, False]), show_points=True)
    text = "".join(canvas.text())
    assert text.count("○") == 1
    assert text.count("•") == 2


def test_a_constant_series_is_in_the_middle():
    scale = scale_for([np.full(9, 4.0)], log=False)
    assert scale.place(np.array([4.0]))[0] == pytest.approx(0.5)
    scale = scale_for([np.full(9, 4.0)], log=True)
    assert scale.place(np.array([4.0]))[0] == pytest.approx(0.5)


def test_a_band_is_a_tint_between_two_values_and_what_is_beyond_the_axis_is_not_drawn():
    def tinted(band):
        canvas = Canvas(40, 21)
        steps = np.arange(5)
        draw_chart(canvas, canvas.box, [Curve(steps, np.linspace(0.0, 2.0, 5))], band=band)
        inks = [ink(colours.BAND + style) for style in (colours.MAIN, colours.GRID, colours.PLAIN)]
        behind = np.isin(canvas.inks, inks)
        assert (behind.any(axis=1) == behind[:, 8:].all(axis=1)).all()  # behind the curve too
        return np.flatnonzero(behind.any(axis=1)).tolist()

    assert tinted((0.9, 1.1)) == [9, 10]  # of 20 rows from 2 down to 0
    assert tinted((1.5, 9.0)) == list(range(6))
    assert tinted((3.0, 4.0)) == []
