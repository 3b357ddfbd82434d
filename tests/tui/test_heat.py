"""Heat binning against a plain loop; what is not a number stays visible."""

import math

import numpy as np
import pytest
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.canvas import Box, Canvas, ink
from tbgrad_tui.chart.heat import (
    ABSENT,
    FINITE,
    NONFINITE,
    NOTHING,
    HeatScale,
    bin_maxima,
    draw_heat,
    draw_legend,
)
from tbgrad_tui.chart.histogram import draw_histogram

from tbgrad.log.records import HistogramBins


def binned(steps, values, most, lost=None):
    values = np.asarray(values, dtype=np.float32)
    if values.ndim == 1:
        values = values[:, None]
    lost = np.zeros(values.shape, bool) if lost is None else lost
    return bin_maxima(np.asarray(steps), values, lost, most)


@pytest.mark.parametrize("most", [1, 7, 60, 200])
@pytest.mark.parametrize("records", [1, 2, 59, 60, 61, 1000])
def test_every_bin_holds_the_maximum_of_its_steps(most, records):
    rng = np.random.default_rng(records)
    steps = np.arange(10, 10 * records + 1, 10)
    values = rng.random((records, 5)).astype(np.float32)
    bins = binned(steps, values, most)
    assert len(bins.values) <= most
    expected = np.full(bins.values.shape, -np.inf, dtype=np.float32)
    for step, row in zip(steps, values, strict=True):
        index = (step - bins.start) // bins.width
        expected[index] = np.maximum(expected[index], row)
    assert np.array_equal(bins.values, expected)
    assert len(bins.values) > min(most, records) / 2  # the width is used


@pytest.mark.parametrize("spike", [0, 1, 31_415, 99_999])
def test_one_spike_in_100_000_records_is_kept(spike):
    values = np.full(100_000, 1e-3)
    values[spike] = 50.0
    bins = binned(np.arange(100_000), values, 80)
    assert bins.values.max() == 50.0
    assert (bins.values == 50.0).sum() == 1
    assert np.argmax(bins.values[:, 0]) == spike // bins.width


def test_states_by_rank():
    values = np.array([[1.0], [np.nan], [np.inf], [np.nan], [np.nan], [2.0]])
    lost = np.zeros(values.shape, bool)
    bins = binned([0, 1, 2, 3, 4, 5], values, 3, lost)
    assert bins.states[:, 0].tolist() == [FINITE, NONFINITE, FINITE]
    lost[1] = True  # the count of non-finite values says what a NaN norm means
    assert binned([0, 1, 2, 3, 4, 5], values, 6, lost).states[:, 0].tolist() == [
        FINITE,
        NONFINITE,
        NONFINITE,
        ABSENT,
        ABSENT,
        FINITE,
    ]


def test_a_long_gap_in_the_steps_stays_empty_and_a_short_one_does_not():
    steps = [0, 10, 20, 40, 50, 500, 510]
    bins = binned(steps, np.ones(7), 100)
    assert bins.width == 10
    assert bins.states[3, 0] == FINITE  # step 30 belongs to the record of step 40
    assert (bins.states[10:40, 0] == NOTHING).all()
    assert bins.states[50, 0] == FINITE


def test_no_records():
    bins = binned(np.zeros(0, np.int64), np.zeros((0, 3)), 10)
    assert bins.values.shape == (0, 3)
    draw_heat(Canvas(10, 3), Box(0, 0, 10, 3), bins, range(3), bins.scale())


def test_colour_rises_with_the_logarithm_and_marks_are_unmistakable():
    values = np.array([[1e-4, 1e-2, 1.0, 0.0, np.nan, np.inf]], dtype=np.float32)
    bins = binned([0], values, 1)
    assert bins.scale() == HeatScale(1e-4, 1.0)
    canvas = Canvas(4, 6)
    draw_heat(canvas, canvas.box, bins, range(6), bins.scale())
    levels = [[ink(s) for s in colours.HEAT].index(canvas.inks[row, 0]) for row in range(3)]
    assert levels[::2] == [0, colours.LEVELS - 1]
    assert levels[1] in (colours.LEVELS // 2 - 1, colours.LEVELS // 2)  # 0.01 is rounded down
    assert canvas.text()[3:] == ["0000", "····", "!!!!"]
    assert (canvas.inks[5] == ink(colours.NONFINITE)).all()


def test_the_scale_gets_lighter_in_even_steps():
    def luminance(style):
        red, green, blue = style.bgcolor.triplet
        return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2

    lights = [luminance(style) ** (1 / 3) for style in colours.HEAT]
    steps = np.diff(lights)
    assert (steps > 0).all()
    assert steps.max() < 2.5 * steps.mean()


def test_shades_say_the_level_without_colour():
    bins = binned([0], [[1e-4, 1.0]], 1)
    canvas = Canvas(3, 2)
    draw_heat(canvas, canvas.box, bins, range(2), bins.scale(), shades=True)
    assert canvas.text() == ["   ", "███"]


def test_the_legend_has_numbers_at_both_ends():
    canvas = Canvas(80, 1)
    draw_legend(canvas, canvas.box, HeatScale(1e-7, 100.0))
    (text,) = canvas.text()
    assert text.startswith("1e-7 ")
    assert " 100 " in text
    assert "not finite" in text
    assert "no gradient" in text


def test_the_histogram_has_negative_values_left_and_tall_bars_for_many():
    bins = HistogramBins.powers_of_two()
    sample = np.concatenate([np.full(100, -0.3), np.full(50, 0.3), np.full(25, 0.6), [0.0]])
    counts = np.zeros(bins.columns, dtype=np.int32)
    np.add.at(counts, np.searchsorted(bins.bounds[:, 1], sample, side="right"), 1)
    canvas = Canvas(41, 11)
    draw_histogram(canvas, canvas.box, counts, bins.edges)
    rows = np.array([list(row) for row in canvas.text()[:-1]])
    heights = (rows != " ").sum(axis=0)
    assert heights[:20].max() == 10
    assert 4 <= heights[22:].max() <= 6
    assert heights[20] == 1  # zero, small but there
    assert sorted({h for h in heights[22:] if h}) == [3, 5]
    text = canvas.text()[-1]
    assert text.index("-1") < text.index("0") < text.rindex("1")


@pytest.mark.parametrize("fill", [0, 1, 2**30])
@pytest.mark.parametrize("size", [(60, 9), (9, 3), (3, 1)])
def test_any_counts_draw(fill, size):
    bins = HistogramBins.powers_of_two()
    canvas = Canvas(*size)
    draw_histogram(canvas, canvas.box, np.full(bins.columns, fill, np.int32), bins.edges)
    assert len(canvas.text()) == size[1]
    assert math.isfinite(canvas.inks.sum())
