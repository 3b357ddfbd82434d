"""Plotly and matplotlib draw what the drawing says, and take names as they are."""

from __future__ import annotations

import html
import json
from itertools import combinations

import numpy as np
import pytest

import tbgrad
from tbgrad.figures import drawing
from tbgrad.figures.paper import drawn, save
from tests.support.findings import write_findings
from tests.support.logs import write_run
from tests.support.steps import StepWriter, synthetic

ODD = "_<b>$x^2$</b>"
FIGURES = {
    "scalars": {},
    "layers": {"statistic": "norm"},
    "curvature": {},
    "distributions": {"parameter": "dense_1/kernel"},
    "landscape": {},
    "trajectories": {},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    made = synthetic(1000, 8)
    made.norms[500:510, 5] = np.inf
    made.norms[100:200, 6:] = np.nan
    made.scalars["gradient/norm"][500] = np.inf
    with StepWriter(directory / "every") as writer:
        writer.write(made, 500)
    write_run(directory / "full", steps=1000)
    write_findings(directory, runs=2)
    found = tbgrad.read(directory)
    return [found["full"], found["every"], found["seed0"], found["seed1"]]


def odd(runs):
    from dataclasses import replace

    return [replace(runs[0], name=ODD), *runs[1:]]


@pytest.mark.parametrize("name", FIGURES)
def test_plotly_draws_the_drawing(runs, name):
    made = drawing(odd(runs), name, **FIGURES[name])
    figure = tbgrad.figure(odd(runs), name, **FIGURES[name])
    scatters = iter([trace for trace in figure.data if trace.type == "scatter"])
    heats = iter([trace for trace in figure.data if trace.customdata is not None])
    for panel in made.panels:
        for line in panel.lines:
            trace = next(scatters)
            np.testing.assert_array_equal(trace.x, line.x)
            np.testing.assert_array_equal(trace.y, line.y)
            assert (trace.error_y.array is None) == (line.error is None)
        if panel.heat is not None:
            np.testing.assert_array_equal(next(heats).customdata, panel.heat.values)
        for marks in panel.marks:
            trace = next(scatters)
            np.testing.assert_array_equal(trace.x, marks.x)
            assert all(max(trace.y) < np.nanmin(line.y) for line in panel.lines)
    assert next(scatters, None) is next(heats, None) is None
    content = json.dumps(json.loads(figure.to_json())["data"]) + str(figure.layout.annotations)
    assert ODD not in content
    assert html.unescape(content).count("<b>") == content.count("&lt;b&gt;")


def test_a_notebook_shows_the_figure_of_a_run(runs):
    figure = runs[0].figure("scalars", tags=["gradient/norm"])
    assert figure._repr_mimebundle_
    assert figure.layout.yaxis.title.text == "gradient norm"
    with pytest.raises(ValueError, match="no figure 'curvatur'"):
        runs[0].figure("curvatur")


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [3.4, 6.0])
def test_nothing_lies_over_anything_else_on_paper(runs, name, width):
    """Legend, titles, labels and panels have places of their own, inside the page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = drawn(drawing(odd(runs), name, **FIGURES[name]), width)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    page = figure.bbox
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    boxes = {f"panel {i}": axes.get_window_extent(renderer) for i, axes in enumerate(panels)}
    boxes |= {
        f"legend {i}": one.get_window_extent(renderer) for i, one in enumerate(figure.legends)
    }
    for i, axes in enumerate(panels):
        titles = {"title": axes._left_title, "y": axes.yaxis.label, "x": axes.xaxis.label}
        for what, text in titles.items():
            if text.get_text():
                boxes[f"{what} {i}"] = text.get_window_extent(renderer)
        ticks = [t for t in axes.get_yticklabels() if t.get_text() and t.get_visible()]
        extents = [t.get_window_extent(renderer) for t in ticks]
        inside = [e for e in extents if boxes[f"panel {i}"].y0 - 9 < e.y0 < boxes[f"panel {i}"].y1]
        assert not any(a.overlaps(b) for a, b in combinations(inside, 2)), name
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(overlap) < 1.5, (one, other)
    for what, box in boxes.items():
        assert min(box.x0, box.y0) >= -1, what
        assert max(box.x1 - page.x1, box.y1 - page.y1) <= 1, what


def test_names_are_printed_as_they_are(runs, tmp_path):
    figure = drawn(drawing(odd(runs)[:2]))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [f" {ODD}", "every", "not finite from here"]
    assert not any(text.get_parse_math() for text in figure.legends[0].get_texts())


BEGINNINGS = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_the_same_log_makes_the_same_file(runs, tmp_path, suffix):
    made = drawing(runs, "curvature")
    written = []
    for i in range(2):
        save(made, tmp_path / str(i), suffix)
        written.append((tmp_path / str(i)).read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(BEGINNINGS[suffix])
    assert b"Date" not in written[0]
