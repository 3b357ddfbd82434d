"""The tab in a real browser, against a real TensorBoard on real logs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tbgrad
from tests.plugin import logs
from tests.plugin.tabs import SELECTED, area, choose_run, healthy, show_view
from tests.support.browser import Tab, TensorBoard, open_tab

pytestmark = pytest.mark.browser


def two_more_refreshes(tab: Tab) -> None:
    done = int(tab.frame.evaluate("Number(document.documentElement.dataset.refreshed)"))
    tab.wait("n => Number(document.documentElement.dataset.refreshed) >= n", done + 2)


@pytest.fixture(scope="module")
def tab(server: TensorBoard, browser: Any) -> Iterator[Tab]:
    """The tab on the run "good", shared by the tests that only look."""
    opened = open_tab(browser, server.url)
    choose_run(opened, "good")
    opened.wait(f"{SELECTED} === 'dense_0/kernel'")
    opened.wait("document.querySelector('#histogram .chart').data?.length === 1")
    opened.wait("document.querySelector('#histogram h3').innerText.includes('1,000, the newest')")
    opened.wait("document.querySelector('#curvature .chart')?.data?.length === 3")
    opened.wait("document.querySelector('#layers .chart')?.data?.length === 1")
    yield opened
    opened.page.context.close()


def test_the_curves_are_what_the_log_says(tab: Tab, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    loss = tab.traces("scalar")[0]
    assert loss["x"] == run["loss"].steps.tolist()
    np.testing.assert_allclose(loss["y"], run["loss"].values, rtol=1e-7)
    traces = {trace["name"]: trace for trace in tab.traces("norm")}
    np.testing.assert_allclose(traces["norm"]["y"], run["gradient/norm"].values, rtol=1e-7)
    np.testing.assert_allclose(traces["peak"]["y"], run["gradient/norm_max"].values, rtol=1e-7)
    assert tab.layout("norm")["yaxis"]["type"] == "log"


def test_the_heat_map_is_what_the_log_says(tab: Tab, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    heatmap = tab.traces("layers")[0]
    assert heatmap["type"] == "heatmap"
    np.testing.assert_allclose(heatmap["z"], run.statistic("norm").T, rtol=1e-6)
    labels = tab.frame.eval_on_selector_all("#layers .row", "all => all.map((t) => t.textContent)")
    assert labels[-1] == "dense_3/bias"
    edges = heatmap["x"]
    assert len(edges) == len(run["tbgrad/parameters"]) + 1
    assert (edges[0], edges[1], edges[-1]) == (5, 15, 1005)


def test_the_curvature_shows_error_bars_limit_and_what_has_not_converged(tab: Tab) -> None:
    top, bottom, limit = tab.traces("curvature")
    assert (top["name"], top["x"]) == ("λmax", [200, 400, 600, 800, 1000])
    np.testing.assert_allclose(top["y"], [30, 40, 50, 60, 70])
    np.testing.assert_allclose(top["error"], 0.02 * np.array(top["y"]))
    assert top["hollow"] == [False, False, True, False, False]
    assert (bottom["name"], bottom["y"]) == ("λmin", [-1.5] * 5)
    assert limit["y"] == [76.0] * 5
    assert "(2 + 2 β) / η" in tab.text("#curvature .legend")
    assert "not converged" in tab.text("#curvature .legend")


def test_the_spectral_density_of_any_step_stands_beside_the_first(tab: Tab, logdir: Path) -> None:
    logged = tbgrad.read(logdir)["good"]["tbgrad/spectrum"]
    show_view(tab, "curvature")
    slider = "#density input[type=range]"
    names = "[...document.querySelector('#density .chart').data].map(({ name }) => name).join()"
    for at, cursor in ((4, None), (2, 600), (0, 200), (4, None)):
        tab.frame.fill(slider, str(at))
        wanted = list(dict.fromkeys(f"step {logged.steps[i]:,}" for i in (0, at)))
        tab.wait(f"wanted => {names} === wanted", ",".join(wanted))
        told = "want => parent.location.hash.includes('p.tbgrad.cursor=') === want"
        tab.wait(told, cursor is not None)
        for trace, i in zip(tab.traces("density"), (0, at), strict=False):
            grid, density = logged.values[i]
            np.testing.assert_allclose(trace["x"], grid, rtol=1e-6)
            shown = density > 1e-6 * density.max()
            assert [y is not None for y in trace["y"]] == shown.tolist()
            np.testing.assert_allclose([y for y in trace["y"] if y], density[shown], rtol=1e-6)
    box = area(tab, "curvature")
    tab.page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 5)  # the cursor of all charts
    tab.wait("document.querySelector('#density .hint').innerText === 'at step 600'")
    show_view(tab, "run")
    tab.page.keyboard.press("0")


def test_the_header_says_in_words_where_the_run_stands(tab: Tab) -> None:
    words = " ".join(tab.text("#summary dl").split())
    assert "step 1,000" in words
    assert "loss 0.1345" in words
    assert "gradient norm 0.05" in words
    assert "λ/limit 0.92: at the edge of stability" in words
    assert re.search(r"updated \d+ \S+ ago", words)


def test_the_histogram_shares_are_what_the_log_says(tab: Tab, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    row = int(tab.frame.evaluate("document.querySelector('#parameter select').selectedIndex"))
    bars = tab.traces("histogram")[0]
    counts = run["tbgrad/histograms"].values[-1, row]
    assert sum(bars["y"]) == pytest.approx(1)
    order = np.argsort(bars["x"])
    np.testing.assert_allclose(np.array(bars["y"])[order], counts[counts > 0] / counts.sum())
    assert "all finite" in tab.text("#histogram .words")


def test_an_earlier_histogram_can_be_chosen(tab: Tab) -> None:
    assert "step 1,000, the newest" in tab.text("#histogram h3")
    tab.frame.fill("#histogram input", "2")
    assert "step 300" in tab.text("#histogram h3")
    tab.frame.fill("#histogram input", "9")
    assert "the newest" in tab.text("#histogram h3")


def test_a_click_on_the_heat_map_selects_and_so_do_arrow_keys(tab: Tab, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    box = area(tab, "layers")
    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 5.5 / 8)
    tab.wait(f"{SELECTED} === 'dense_2/bias'")
    tab.wait("document.querySelector('#layers .selected').dataset.row === '5'")
    tab.frame.focus("#layers .scroller")
    tab.page.keyboard.press("ArrowDown")
    tab.wait(f"{SELECTED} === 'dense_3/kernel'")
    tab.page.keyboard.press("Home")
    tab.wait(f"{SELECTED} === 'dense_0/kernel'")
    tab.frame.select_option("#parameter select", "dense_1/kernel")
    expected = run.statistic("norm")[:, 2].astype(float)
    tab.wait(
        "v => Math.abs(document.querySelector('#parameter .chart').data?.[1]?.y[0] - v) < 1e-6 * v",
        expected[0],
    )
    curve = {trace["name"]: trace for trace in tab.traces("parameter")}["norm"]
    np.testing.assert_allclose(curve["y"], expected, rtol=1e-6)
    tab.frame.select_option("#parameter select", "dense_0/kernel")
    tab.wait(f"{SELECTED} === 'dense_0/kernel'")


def test_another_statistic_can_be_chosen(tab: Tab, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    tab.frame.select_option("#layers select", "cosine")
    tab.wait("document.querySelector('#layers .chart').layout.scale?.[0] === -1")
    z = tab.traces("layers")[0]["z"]
    np.testing.assert_allclose(z, run.statistic("cosine").T, rtol=1e-6)
    tab.frame.select_option("#layers select", "snr")
    tab.frame.wait_for_selector("#layers .empty:not([hidden])")
    assert "was not computed" in tab.text("#layers .empty")
    tab.frame.select_option("#layers select", "norm")
    tab.wait("!document.querySelector('#layers .heat').hidden")


def test_charts_zoom_together_and_keep_their_zoom(tab: Tab) -> None:
    box = area(tab, "scalar")
    y = box["y"] + box["height"] / 2
    tab.page.mouse.move(box["x"] + 0.5 * box["width"], y)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 0.9 * box["width"], y, steps=5)
    tab.page.mouse.up()
    same = """() => {
      const range = (id) => document.querySelector(`#${id} .chart`).layout.xaxis.range;
      const [low, high] = range("scalar");
      const all = ["norm", "layers", "curvature", "parameter"].map(range);
      return low > 400 && high < 1000 && all.every(([a, b]) => a === low && b === high);
    }"""
    tab.wait(same)
    tab.frame.select_option("#layers select", "std")  # draws anew
    tab.wait("document.querySelector('#layers .hint').textContent.startsWith('standard')")
    tab.wait(same)
    tab.frame.select_option("#layers select", "norm")
    tab.page.mouse.dblclick(box["x"] + box["width"] / 2, y)
    tab.wait("document.querySelector('#curvature .chart').layout.xaxis.range[0] < 100")
    tab.wait("document.querySelector('#strip .brush').classList.contains('whole')")
    healthy(tab)


def test_an_idle_tab_draws_nothing_anew(tab: Tab) -> None:
    two_more_refreshes(tab)  # what earlier tests asked for is drawn
    tab.frame.evaluate(
        """() => {
          window.draws = 0;
          const changed = new MutationObserver((all) => { window.draws += all.length; });
          for (const svg of document.querySelectorAll("svg")) {
            changed.observe(svg, { childList: true, subtree: true, attributes: true });
          }
        }"""
    )
    two_more_refreshes(tab)
    assert tab.frame.evaluate("window.draws") == 0
    healthy(tab)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_theme_follows_tensorboards(server: TensorBoard, browser: Any, dark: bool) -> None:
    tab = open_tab(browser, server.url, dark=dark, size=(1920, 1080))
    choose_run(tab, "good")
    names = ("light", "dark")
    assert tab.frame.evaluate("document.documentElement.dataset.theme") == names[dark]
    colour = "getComputedStyle(document.querySelector('#norm')).backgroundColor"
    tab.wait("document.querySelector('#norm .chart').data?.length > 0")
    before = tab.frame.evaluate(colour)
    line = tab.frame.evaluate("document.querySelector('#norm .chart').data[1].color")
    # TensorBoard asks the browser once, when it loads; from then on its own menu decides.
    tab.page.click("app-header-dark-mode-toggle button")
    tab.page.click(f"[role=menuitem]:has-text('{names[not dark].capitalize()}')")
    tab.wait("name => document.documentElement.dataset.theme === name", names[not dark])
    assert tab.frame.evaluate(colour) != before
    tab.wait("c => document.querySelector('#norm .chart').data[1].color !== c", line)
    healthy(tab)
    tab.page.context.close()


def test_names_from_the_log_are_inert_text(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, logs.EVIL)
    tab.wait(f"name => {SELECTED} === name", logs.EVIL_PARAMETERS[0].path)
    label = "document.querySelectorAll('#layers .row')[0]?.textContent.includes('<img src')"
    tab.wait(label)
    tab.wait("document.querySelector('#curvature .legend').textContent.includes('onerror')")
    tab.wait("document.querySelector('.notes').textContent.includes('disk full <img')")
    for row in range(1, 4):
        tab.frame.focus("#layers .scroller")
        tab.page.keyboard.press("ArrowDown")
        tab.wait(
            f"n => document.querySelector('#parameter select').selectedIndex === n && {row}", row
        )
    box = area(tab, "layers")
    tab.page.mouse.move(box["x"] + 60, box["y"] + 10)
    tab.frame.wait_for_selector(".tip:not([hidden])")
    assert "<img src=x" in tab.text(".tip b")
    assert (
        tab.frame.evaluate("document.querySelectorAll('img, script:not([src], [type])').length")
        == 0
    )
    assert tab.frame.evaluate("document.querySelectorAll('a').length") == 0
    healthy(tab)
    tab.page.context.close()


def test_what_is_not_finite_is_marked(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, logs.EVIL)
    tab.wait("document.querySelector('#norm .legend').textContent.includes('NaN or infinite')")
    tab.wait("document.querySelector('#layers .legend').textContent.includes('exactly 0')")
    norm = {trace["name"]: trace for trace in tab.traces("norm")}
    assert norm["norm"]["y"][19] is None
    crosses = "id => document.querySelector(`#${id} .lost`).getAttribute('d').split('M').length - 1"
    assert tab.frame.evaluate(crosses, "norm") == 2 * 3
    assert tab.frame.evaluate(crosses, "layers") == 2 * 6
    first = tab.frame.eval_on_selector("#norm table", "table => table.innerText")
    assert "step 20" in first
    tab.frame.select_option("#parameter select", logs.EVIL_PARAMETERS[1].path)
    tab.wait("document.querySelector('#histogram .words').textContent.includes('above')")
    words = tab.text("#histogram .words")
    assert words == (
        "no exact zeros · 1 below 9.09×10⁻¹³ in size · 2 above 65,536 in size · 1 NaN or infinite"
    )
    assert "1 NaN" in words
    assert "Could not be read: step 30" in str(tab.frame.text_content(".notes"))
    healthy(tab)
    tab.page.context.close()


def test_a_run_without_gradients_shows_its_scalars_and_what_to_do(
    server: TensorBoard, browser: Any
) -> None:
    tab = open_tab(browser, server.url, size=(700, 900))
    choose_run(tab, "plain")
    tab.wait("document.querySelectorAll('#scalars .card .chart clipPath').length === 2")
    assert "no gradients" in tab.text("#absence")
    assert "GradientMonitor" in tab.text("#absence pre")
    titles = tab.frame.eval_on_selector_all(
        "#scalars .card h2", "all => all.map((h) => h.innerText)"
    )
    assert titles == ["loss", "acc <b>uracy</b>"]
    healthy(tab)
    tab.page.context.close()


def test_it_fits_the_screen_and_scrolls_where_it_cannot(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, "good")
    tab.wait("document.querySelector('#board').dataset.view === 'run'")
    for size in ((1280, 800), (1920, 1080), (700, 900), (400, 800)):
        tab.page.set_viewport_size({"width": size[0], "height": size[1]})
        tab.wait("width => innerWidth === width", size[0])
        tab.wait("document.documentElement.scrollWidth <= innerWidth")
        if size[0] > 900:
            tab.wait("document.documentElement.scrollHeight <= innerHeight")
    healthy(tab)
    tab.page.context.close()
