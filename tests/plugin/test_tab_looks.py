"""Every view: without barriers by axe, and with text that never runs into other text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin import logs
from tests.plugin.tabs import choose_run, healthy, show_view
from tests.support.browser import Tab, TensorBoard, open_tab

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
OVERLAPS = (Path(__file__).parent / "js" / "overlaps.js").read_text()
OVERLAPS = OVERLAPS[OVERLAPS.index("() =>") :]
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ")}`)"""
DRAWN = """[...document.querySelectorAll('.chart')].every((chart) => !chart.offsetParent
  || chart.classList.contains('js-plotly-plot') || chart.data)"""
WIDE = """[...document.querySelectorAll('body *')]
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
  .map((node) => `${node.tagName} ${node.id} ${node.getAttribute("class")}`).slice(0, 9)"""
VIEWS = (
    "overview", "run", "layers", "distributions", "curvature", "scalars", "alerts", "landscape",
    "compare",
)  # fmt: skip
SIZES = ((400, 800), (800, 900), (1280, 800), (3840, 2160))


def violations(tab: Tab) -> list[str]:
    """What axe-core finds in the tab as it is."""
    if not AXE.exists():
        pytest.skip(f"{AXE.relative_to(ROOT)} is missing: npm install brings it")
    tab.frame.evaluate(AXE.read_text())
    found: list[str] = tab.frame.evaluate(RUN_AXE)
    return found


def overlapping(tab: Tab, size: tuple[int, int]) -> list[str]:
    """Texts that run into one another in a window of this size."""
    tab.page.set_viewport_size({"width": size[0], "height": size[1]})
    tab.wait("width => innerWidth === width", size[0])
    tab.frame.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 60))")
    tab.wait(DRAWN)
    found: list[str] = tab.frame.evaluate(OVERLAPS)
    return found


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def tab(server: TensorBoard, browser: Any, request: pytest.FixtureRequest) -> Iterator[Tab]:
    opened = open_tab(browser, server.url, dark=request.param)
    yield opened
    opened.page.context.close()


def test_every_view_is_without_barriers_and_its_text_stands_apart(tab: Tab) -> None:
    dark = tab.frame.evaluate("document.documentElement.dataset.theme") == "dark"
    choose_run(tab, logs.ALERTS)  # open alerts take room from the charts beside them
    for view in VIEWS if not dark else ("overview", "run", "curvature"):
        show_view(tab, view)
        tab.wait(DRAWN)
        assert violations(tab) == [], view
        for size in SIZES if not dark else ():
            assert overlapping(tab, size) == [], (view, size)
            wide = tab.frame.evaluate("document.documentElement.scrollWidth")
            assert wide <= size[0], (view, size, tab.frame.evaluate(WIDE))
        tab.page.set_viewport_size({"width": 1280, "height": 800})
    healthy(tab)


def test_long_names_that_are_markup_have_room_in_narrow_windows(tab: Tab) -> None:
    if tab.frame.evaluate("document.documentElement.dataset.theme") == "dark":
        return
    choose_run(tab, logs.EVIL)
    for view in VIEWS:
        show_view(tab, view)
        tab.wait(DRAWN)
        assert overlapping(tab, SIZES[0]) == [], view
        wide = tab.frame.evaluate("document.documentElement.scrollWidth")
        assert wide <= SIZES[0][0], (view, tab.frame.evaluate(WIDE))
    assert tab.frame.evaluate("document.querySelectorAll('img, a').length") == 0
    tab.page.set_viewport_size({"width": 1280, "height": 800})
    healthy(tab)


def test_letters_grow_with_a_wide_screen(tab: Tab) -> None:
    show_view(tab, "run")
    sizes = {}
    for width in (1280, 3840):
        tab.page.set_viewport_size({"width": width, "height": 2160})
        tab.wait("width => innerWidth === width", width)
        label = "Number(document.querySelector('#norm svg text')?.getAttribute('font-size'))"
        sizes[width] = tab.wait(f"{label} > {15 if width > 2000 else 10} && {label}")
    assert sizes[1280] == 11
    tab.page.set_viewport_size({"width": 1280, "height": 800})
