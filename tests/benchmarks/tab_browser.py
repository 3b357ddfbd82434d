"""The tab in a real browser, beside TensorBoard's own Time Series: starts, switches, heap."""

from __future__ import annotations

import time
from typing import Any

from tests.benchmarks.tab_server import middle
from tests.support.browser import Tab, TensorBoard, chromium, open_tab

SIZE = (1280, 800)
STARTS = 5
FIRST_CARD = "card-view scalar-card-component line-chart svg, card-view line-chart canvas"

WATCH = """() => {
  window.long = [];
  new PerformanceObserver((list) => list.getEntries().forEach((e) => window.long.push(e.duration)))
    .observe({ type: "longtask" });
}"""
SETTLED = """async ([selector, value]) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const root = document.documentElement;
  const began = performance.now();
  const node = document.querySelector(selector);
  if (value === null) node.click();
  else {
    node.value = value;
    node.dispatchEvent(new Event("change"));
  }
  await frame();
  while (root.dataset.busy !== "0") await frame();
  await frame();
  return performance.now() - began;
}"""
REFRESHES = """async (wanted) => {
  const count = () => Number(document.documentElement.dataset.refreshed);
  const last = count() + wanted;
  while (count() < last) {
    window.dispatchEvent(new Event("resize"));
    await new Promise((done) => setTimeout(done, 5));
  }
}"""
VIEWS = ("run", "layers", "distributions", "curvature", "scalars", "alerts", "compare", "overview")


def starts(server: TensorBoard) -> None:
    """Print how long the first view takes, of a browser that knows nothing of the page yet.

    Also without what TensorBoard's page takes until there is a frame for any tab of a plugin.
    """
    ours, frames, theirs = [], [], []
    with chromium() as browser:
        for _ in range(STARTS):
            frame, first_view = _seconds(browser, f"{server.url}#tbgrad", _frame, _our_first_view)
            ours.append(first_view)
            frames.append(frame)
            theirs += _seconds(browser, f"{server.url}#timeseries", _first_card)
    told = f"first view {middle(ours):.2f} s, first card of Time Series {middle(theirs):.2f} s"
    print(f"{told}: {middle(ours) / middle(theirs):.2f} times")
    page = middle(frames)
    own, other = middle(ours) - page, middle(theirs) - page
    told = f"TensorBoard's page until the frame of a tab is there: {page:.2f} s, of Time Series"
    print(f"{told} {page / middle(theirs):.2f}; from then on {own:.2f} and {other:.2f} s")


def _seconds(browser: Any, url: str, *until: Any) -> list[float]:
    """How long it takes until one thing is there, and then another."""
    context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]})
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    seconds = []
    for there in until:
        there(page)
        seconds.append(time.perf_counter() - began)
    context.close()
    return seconds


def _frame(page: Any) -> None:
    page.wait_for_selector("iframe", timeout=120_000, state="attached")


def _our_first_view(page: Any) -> None:
    """The table of runs, or the curves of the only one, which answer to the mouse."""
    frame = page.wait_for_selector("iframe", timeout=120_000).content_frame()
    frame.wait_for_selector(
        "#overview tbody tr, #norm .chart clipPath", timeout=120_000, state="attached"
    )


def _first_card(page: Any) -> None:
    page.wait_for_selector(FIRST_CARD, timeout=120_000, state="attached")


def switches(tab: Tab, names: list[str], turns: int) -> None:
    """Print how long it takes until another view, run, statistic or parameter is drawn."""
    tab.frame.evaluate(WATCH)
    for run in names[:2]:  # what is not there yet is fetched and counted below
        tab.frame.evaluate(SETTLED, ["#run", run])
    tab.frame.evaluate("window.long = []")
    measured = {
        "view": [[f"nav [data-view={view}]", None] for view in VIEWS for _ in range(turns)],
        "run": [["#run", run] for run in names[: 3 * turns]],
    }
    told = {kind: [_switch(tab, step) for step in steps] for kind, steps in measured.items()}
    tab.frame.evaluate(SETTLED, ["nav [data-view=run]", None])
    for kind, selector in (("statistic", "#layers select"), ("parameter", "#parameter select")):
        values = tab.frame.eval_on_selector_all(
            f"{selector} option", "all => all.map((o) => o.value)"
        )
        told[kind] = [_switch(tab, [selector, value]) for value in values[: 3 * turns]]
    for kind, found in told.items():
        ordered = sorted(found)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
        told_of = f"median {middle(found):5.0f} ms, p95 {p95:5.0f} ms, {len(found)} times"
        print(f"another {kind:10} {told_of}")
    longest = max(tab.frame.evaluate("window.long") or [0])
    print(
        f"longest task of the main thread after the start: {longest:.0f} ms (below 50 none is told)"
    )


def _switch(tab: Tab, step: list[Any]) -> float:
    found: float = tab.frame.evaluate(SETTLED, step)
    return found


def heap(tab: Tab, refreshes: int) -> None:
    """Print the heap of the tab before and after so many refreshes, without what is garbage."""
    before = _heap(tab)
    tab.frame.evaluate(REFRESHES, refreshes)
    print(f"heap {before:.1f} MB, after {refreshes:,} refreshes {_heap(tab):.1f} MB")


def _heap(tab: Tab) -> float:
    session = tab.page.context.new_cdp_session(tab.page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(used) / 1e6


def in_a_browser(server: TensorBoard, names: list[str], turns: int, refreshes: int) -> None:
    """Print how the open tab fares."""
    with chromium() as browser:
        tab = open_tab(browser, server.url, size=SIZE)
        tab.wait(
            "!document.querySelector('#overview .hint')?.innerText.includes('so far')", seconds=300
        )
        switches(tab, names, turns)
        heap(tab, refreshes)
        if tab.errors:
            print("errors:", *tab.errors, sep="\n  ")
        tab.page.context.close()
