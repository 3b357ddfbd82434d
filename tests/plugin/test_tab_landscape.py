"""The view `landscape` in a real browser: every kind of finding, its words and its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.plugin import logs
from tests.plugin.tabs import choose_run, healthy, show_view
from tests.support import findings
from tests.support.browser import Tab, open_tab, tensorboard
from tests.support.logs import write_run

pytestmark = pytest.mark.browser

CHOOSER = "#landscape > header > .controls > select"
SHOWN = "#landscape .finding:not([hidden])"
TRACES = """shown => [...document.querySelectorAll(`${shown} .chart:not([hidden])`)].map((chart) =>
  [...(chart.data ?? [])].map((t) => ({
    type: t.type, name: t.name, color: t.line?.color, x: [...(t.x ?? [])], y: [...(t.y ?? [])],
    z: t.z ? [...t.z].map((row) => row?.length ? [...row] : row) : null,
  })))"""


@pytest.fixture(scope="module")
def tab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    root = tmp_path_factory.mktemp("landscape")
    findings.write_findings(root / "runs")
    logs.write_evil_findings(root / "runs" / logs.EVIL)
    write_run(root / "runs" / "none", steps=50)
    with tensorboard(root / "runs", root) as server:
        opened = open_tab(browser, server.url)
        choose_run(opened, "seed0")
        show_view(opened, "landscape")
        opened.wait(f"document.querySelectorAll('{CHOOSER} option').length === 5")
        yield opened
        opened.page.context.close()


def show(tab: Tab, name: str, words: str) -> str:
    """Choose a finding and wait for its words; all that is said of it."""
    tab.frame.select_option(CHOOSER, label=name)
    tab.wait(
        f"words => document.querySelector('{SHOWN}')?.innerText.includes(words) && "
        f"document.querySelector('{SHOWN} .chart:not([hidden])').data",
        words,
    )
    return " ".join(tab.text("#landscape").split())


def drawn(tab: Tab) -> list[list[dict[str, Any]]]:
    """The traces of every chart that is shown."""
    charts: list[list[dict[str, Any]]] = tab.frame.evaluate(TRACES, SHOWN)
    return charts


def test_a_plane_is_a_map_with_its_path_and_a_surface(tab: Tab) -> None:
    words = show(tab, "plane of the path", "95 % of the path is in the plane")
    for said in ("loss 0.01 at the weights", "lowest 0.01 at (0, 0)", "2 of 315 interpolated"):
        assert said in words
    (traces,) = drawn(tab)
    heat = next(trace for trace in traces if trace["type"] == "heatmap")
    found = findings.plane()
    with np.errstate(invalid="ignore"):
        expected = np.log10(np.where(np.isfinite(found.loss), found.loss, np.nan)).T
    np.testing.assert_allclose(np.array(heat["z"], float), expected, rtol=1e-5, atol=1e-6)
    path = next(trace for trace in traces if trace["name"] == "path")
    np.testing.assert_allclose(path["x"], [point.place[0] for point in found.path], rtol=1e-8)
    assert any(trace["type"] == "contour" for trace in traces)
    tab.frame.select_option("#landscape [aria-label='how it is drawn']", "surface")
    tab.wait(f"document.querySelector('{SHOWN} .chart:not([hidden])').data?.[0].type === 'surface'")
    (traces,) = drawn(tab)
    on_it = next(trace for trace in traces if trace["name"] == "path")["z"]
    assert on_it[-1] == pytest.approx(
        -2, abs=0.05
    )  # it ends at the weights, where the loss is 0.01
    tab.frame.select_option("#landscape [aria-label='how it is drawn']", "map")
    healthy(tab)


def test_a_line_has_its_barrier(tab: Tab) -> None:
    words = show(tab, "line to seed1", "barrier 0.5")
    assert "gradient norm (log), right" in words
    (traces,) = drawn(tab)
    curves = {trace["name"]: trace for trace in traces}
    np.testing.assert_allclose(curves["loss"]["y"], findings.line().loss, rtol=1e-6)
    assert curves["straight line"]["y"] == pytest.approx([0.1] * 21)
    healthy(tab)


def test_critical_points_are_a_table_with_the_spectrum_of_one(tab: Tab) -> None:
    words = show(tab, "critical points", "not critical")
    for said in ("‖∇L‖ at start", "ended by", "≥1", "75 %", "|eigenvalues| of 1, 40 weights"):
        assert said in words
    _, scatter = drawn(tab)
    np.testing.assert_allclose(scatter[0]["y"], [0.012, 0.25, 0.02, 0.31])
    tab.frame.click("#landscape tbody tr:nth-child(2) button")
    tab.wait("document.querySelector('#landscape h3').innerText.startsWith('|eigenvalues| of 2')")
    spectrum = {trace["name"]: trace["y"] for trace in drawn(tab)[0]}
    assert spectrum["below"] == pytest.approx([0.01, 0.1, 0.5])
    assert len(spectrum["above zero"]) == 37
    tab.frame.click("#landscape tbody tr:nth-child(4) button")
    tab.wait(f"document.querySelector('{SHOWN}').innerText.includes('were not computed')")
    healthy(tab)


def test_a_gradient_check_has_bars_by_layer(tab: Tab) -> None:
    words = show(tab, "gradient check", "norm 0.0502 over 640 samples")
    assert "a batch of 32 is 0.5 off it, 9.96 times its norm" in words
    ((norms, noises),) = drawn(tab)
    np.testing.assert_allclose(norms["x"], [0.04, np.hypot(0.03, 0.004)])
    np.testing.assert_allclose(noises["x"], [0.3, np.hypot(0.3, 0.3)])
    healthy(tab)


def test_trajectories_of_chosen_runs_have_tensorboards_colours(tab: Tab) -> None:
    words = show(tab, "trajectories", "apart")
    for said in ("seed0 loss 0.23, 7.11 from its start", "ends 9.41 to 11 apart", "○ start"):
        assert said in words
    axes = f"document.querySelector('{SHOWN} .chart').layout"
    assert tab.frame.evaluate(f"{axes}.xaxis.title.text") == "first axis, 51 % of the variance"
    order = tab.frame.evaluate("fetch('../../runs').then((answer) => answer.json())")
    (traces,) = drawn(tab)
    colors = {trace["name"]: trace["color"] for trace in traces if len(trace["x"]) > 2}
    palette = ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"]
    assert colors == {run: palette[order.index(run)] for run in ("seed0", "seed1", "seed2")}
    tab.frame.select_option("#landscape [aria-label='what the colours are']", "loss")
    tab.frame.select_option("#landscape [aria-label='of which layer']", "out")
    tab.wait(f"document.querySelector('{SHOWN}').innerText.includes('ends 4')")
    tab.frame.uncheck("#landscape .runs li:nth-child(3) input")
    tab.wait("document.querySelectorAll('#landscape .runs i:not(:empty)').length === 2")
    healthy(tab)


def test_names_in_findings_are_inert_and_narrow_windows_hold_all(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 400, "height": 900})
    choose_run(tab, logs.EVIL)
    name = logs.EVIL
    for i, words in enumerate(("interpolated", "8 samples", name)):
        tab.wait(
            f"label => [...document.querySelectorAll('{CHOOSER} option')]"
            ".some((option) => option.label === label)",
            f"{name}{i}",
        )
        assert name in show(tab, f"{name}{i}", words)
        tab.wait("document.documentElement.scrollWidth <= 400")
    assert tab.frame.evaluate("document.querySelector('#landscape img')") is None
    healthy(tab)


def test_a_run_without_findings_says_how_to_have_them(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 1280, "height": 800})
    choose_run(tab, "none")
    tab.wait("document.querySelector('#landscape .empty').innerText.includes('log_analysis')")
    assert "GradientMonitor(…, trajectory=True)" in tab.text("#landscape")
    assert not tab.frame.is_visible(CHOOSER)
    assert not tab.frame.is_visible("#findings")
    healthy(tab)
