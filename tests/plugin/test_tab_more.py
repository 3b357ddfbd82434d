"""The tab where much is asked of it: very many layers, thresholds, both data servers, notebooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.log.records import CurvatureEstimate, Eigenvalue, Manifest, Parameter
from tests.plugin import logs
from tests.plugin.conftest import poll
from tests.plugin.tabs import area, choose_run, healthy, show_view
from tests.plugin.test_tab_looks import DRAWN, VIEWS, overlapping, violations
from tests.support.browser import Tab, TensorBoard, open_tab, tensorboard
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest

pytestmark = pytest.mark.browser

LAYERS = 4200
WORST = 4100
"""More parameters than an answer has, and the one whose gradient is the largest."""

STEPS = range(10, 101, 10)


def write_many(directory: Path) -> None:
    names = [f"block_{i // 100}/dense_{i % 100}/kernel" for i in range(LAYERS)]
    described = Manifest(tuple(Parameter(n, n[:-7], (2,), 2, "float32", "kernel") for n in names))
    norms = np.geomspace(0.1, 1.0, LAYERS)
    norms[WORST] = 50.0
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(replace(described, rules=logs.RULES))], EPOCH)
        for step in (1, 2, 3):
            values = [encode.parameters(logs.table(LAYERS, norm=norms)), encode.scalar("loss", 1.0)]
            writer.add(step, values, EPOCH + step)


THRESHOLDS = {"clipping_always": 0.07, "edge_of_stability": 1.7, "dead_units": 0.6}
CHARTS = {
    "clipping_always": "scalar",
    "edge_of_stability": "stability",
    "dead_units": "parameter",
}
"""Where the threshold of a rule is drawn."""


def write_told(directory: Path, factor: float = 1.0) -> None:
    """Alerts whose writer had thresholds of its own; a loss beside that of the validation."""
    told = [
        replace(logs.alert(rule, "warning", 20, last=80), threshold=threshold)
        for rule, threshold in THRESHOLDS.items()
    ]
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(replace(manifest(), rules=logs.RULES))], EPOCH)
        for step in STEPS:
            top = Eigenvalue(1.3 * step, 0.1)
            estimate = CurvatureEstimate(
                (top, Eigenvalue(-1.0, 0.1)), True, 9, 0.1, 1.0, 64, 100.0, "2 / η"
            )
            values = [
                encode.scalar("loss", factor / step), encode.scalar("val_loss", 3 * factor / step),
                encode.scalar("gradient/clip_factor", 0.03), encode.scalar("gradient/norm", 1.0),
                encode.curvature(estimate), encode.scalar("curvature/stability", 0.013 * step),
                encode.parameters(logs.table(8, norm=1.0, dead_fraction=0.8)),
            ]  # fmt: skip
            writer.add(step, values + ([encode.alerts(told)] if step == 80 else []), EPOCH + step)


PLACES = """panel => {
  const chart = document.querySelector(`#${panel} .chart`);
  const rect = chart.querySelector('clipPath rect');
  const [top, height] = ['y', 'height'].map((name) => Number(rect.getAttribute(name)));
  const { range: [low, high], type } = chart.layout.yaxis;
  return [...chart.querySelectorAll('.threshold')].map((line) => {
    const share = 1 - (Number(line.getAttribute('d').match(/,([0-9.]+)h/)[1]) - top) / height;
    return type === 'log' ? low * (high / low) ** share : low + share * (high - low);
  });
}"""
"""Values at which a chart has lines across."""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("more")
    write_many(root / "many")
    write_told(root / "told")
    write_told(root / "twice", 2.0)
    return root


@pytest.fixture(scope="module")
def server(logdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """TensorBoard with its data server."""
    with tensorboard(logdir, tmp_path_factory.mktemp("fast"), "--load_fast", "true") as running:
        yield running


@pytest.fixture(scope="module")
def tab(server: TensorBoard, browser: Any) -> Iterator[Tab]:
    opened = opened_on(server, browser)
    yield opened
    opened.page.context.close()


def opened_on(server: TensorBoard, browser: Any) -> Tab:
    """The tab, once all runs are known."""
    opened = open_tab(browser, server.url)
    ready = "[...document.querySelectorAll('#overview tbody tr')].length === 3"
    opened.wait(f"{ready} && !document.querySelector('#overview .hint').innerText.includes('far')")
    return opened


def every_view(tab: Tab) -> None:
    choose_run(tab, "told")
    for view in VIEWS:
        show_view(tab, view)
        tab.wait("document.documentElement.dataset.busy === '0'")
        tab.wait(DRAWN)
        assert not tab.frame.is_visible("#summary .message"), view
    tab.wait("document.querySelector('#apart .chart')?.data?.[0].z.length === 8")
    healthy(tab)


def test_every_view_is_drawn_of_what_the_data_server_has(tab: Tab) -> None:
    every_view(tab)


def test_every_view_is_drawn_of_what_the_reader_in_python_has(
    logdir: Path, tmp_path: Path, browser: Any
) -> None:
    with tensorboard(logdir, tmp_path, "--load_fast", "false") as slow:
        tab = opened_on(slow, browser)
        every_view(tab)
        tab.page.context.close()


def test_thresholds_are_lines_in_the_charts_of_what_shows_the_alerts(tab: Tab) -> None:
    for rule, threshold in THRESHOLDS.items():
        show_view(tab, "run")
        choose_run(tab, "told")
        tab.wait("document.querySelectorAll('.alert').length === 3")
        tab.frame.click(f".alert:has(b:text-is('{rule}')) .when")
        panel = CHARTS[rule]
        if panel == "stability":
            show_view(tab, "curvature")
        lines = 2 if panel == "stability" else 1  # which has one at 1, the edge
        there = f"document.querySelectorAll('#{panel} .chart .threshold').length"
        tab.wait(f"n => {there} === n", lines)
        places = tab.frame.evaluate(PLACES, panel)
        assert places[-1] == pytest.approx(threshold, rel=0.02), rule
    tab.page.keyboard.press("0")
    tab.wait("!document.querySelector('.alert [aria-pressed=true].when')")
    tab.wait("document.querySelector('#strip .brush').classList.contains('whole')")
    healthy(tab)


CURVES = """[...document.querySelectorAll('#scalars [data-tag=loss] .chart')]
  .flatMap((chart) => [...chart.data ?? []])"""


def test_a_validation_loss_is_drawn_with_its_loss(tab: Tab) -> None:
    choose_run(tab, "told")
    show_view(tab, "scalars")
    tab.wait(f"{CURVES}.length === 2")
    shown = tab.frame.evaluate(f"{CURVES}.map(({{ name, y }}) => [name, [...y]])")
    expected = {"loss": [1 / s for s in STEPS], "validation loss": [3 / s for s in STEPS]}
    assert [name for name, _ in shown] == list(expected)
    for name, values in shown:
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)
    assert tab.frame.query_selector("#scalars [data-tag=val_loss]") is None
    show_view(tab, "overview")
    for name in ("told", "twice"):
        tab.frame.check(f"#overview tr[data-run={name}] input")
    show_view(tab, "scalars")
    tab.wait(f"{CURVES}.length === 4")
    shown = tab.frame.evaluate(f"{CURVES}.map((c) => [c.name, c.y[0], c.color, c.dash])")
    assert {(name, round(first, 6)) for name, first, *_ in shown} == {
        ("told", 0.1), ("told, validation", 0.3), ("twice", 0.2), ("twice, validation", 0.6),
    }  # fmt: skip
    assert len({(name.partition(",")[0], color) for name, _, color, _ in shown}) == 2
    assert [bool(dash) for *_, dash in shown] == ["validation" in name for name, *_ in shown]
    tab.page.keyboard.press("r")
    tab.page.keyboard.press("u")
    healthy(tab)


def test_very_many_layers_come_in_pages(tab: Tab) -> None:
    choose_run(tab, "many")
    show_view(tab, "layers")
    tab.frame.select_option("#layers [aria-label='statistic shown as colour']", "norm")
    pager = "document.querySelector('#layers .pager span').innerText"
    tab.wait(f"{pager} === 'layers 1 to 4,000 of 4,200'")
    rows = "document.querySelector('#layers .chart').data[0].rows"
    tab.frame.focus("#layers .pager button:last-child")
    tab.page.keyboard.press("Enter")
    tab.wait(f"{pager} === 'layers 4,001 to 4,200 of 4,200'")
    tab.wait(f"{rows}[0].startsWith('block_40')")
    tab.wait("parent.location.hash.includes('p.tbgrad.row=4000')")
    assert violations(tab) == []
    assert overlapping(tab, (400, 800)) == []
    assert tab.frame.evaluate("document.documentElement.scrollWidth") <= 400
    tab.page.set_viewport_size({"width": 1280, "height": 800})
    tab.wait("innerWidth === 1280")
    tab.wait("document.querySelector('#parameter select').value === 'block_40/dense_0/kernel'")
    tab.frame.select_option("#layers [aria-label='order of the rows']", "worst first")
    tab.wait(f"{pager} === 'the worst: layers 1 to 4,000 of 4,200'")
    tab.wait(f"{rows}[0].startsWith('block_41')")  # in which the worst of all is
    tab.frame.fill("#layers input[type=search]", "block_41 dense_0/")
    tab.wait(f"{pager} === 'the worst: layers 1 to 1 of 1 that match, of 4,200'")
    tab.wait(f"{rows}.length === 1")
    tab.frame.fill("#layers input[type=search]", "nowhere")
    tab.wait("document.querySelector('#layers .empty').innerText.includes('“nowhere”')")
    tab.frame.fill("#layers input[type=search]", "")
    tab.frame.select_option("#layers [aria-label='order of the rows']", "in order")
    tab.wait(f"{pager} === 'layers 1 to 4,000 of 4,200'")
    healthy(tab)


def test_a_part_of_the_rows_fills_the_map(tab: Tab) -> None:
    choose_run(tab, "told")
    show_view(tab, "layers")
    shown = "[...document.querySelectorAll('#layers .row')].map((t) => t.textContent).join()"
    tab.wait(f"{shown}.split(',').length === 8")
    box = area(tab, "layers")
    x = box["x"] + box["width"] / 2

    def drag(first: float, last: float) -> None:
        tab.page.mouse.move(x, box["y"] + box["height"] * first / 8)
        tab.page.mouse.down()
        tab.page.mouse.move(x + 2, box["y"] + box["height"] * last / 8, steps=4)
        tab.page.mouse.up()

    some = "dense_1/kernel,dense_1/bias,dense_2/kernel"
    drag(2.5, 4.5)
    tab.wait(f"want => {shown} === want", some)
    told = "parent.location.href"
    tab.wait(f"{told}.includes('p.tbgrad.rows=dense_1%252Fkernel%2Cdense_2%252Fkernel')")
    other = open_tab(tab.page.context.browser, tab.frame.evaluate(told))
    other.wait(f"want => {shown} === want", some)
    other.page.context.close()
    tab.frame.focus("#layers .scroller")
    tab.page.keyboard.press("(")
    tab.wait(f"{shown}.split(',').length === 1")
    tab.page.mouse.dblclick(x, box["y"] + box["height"] / 2)
    tab.wait(f"{shown}.split(',').length === 8")
    tab.page.mouse.move(x, box["y"] + 0.9 * box["height"])
    tab.page.keyboard.down("Control")
    tab.page.mouse.wheel(0, -100)
    tab.page.keyboard.up("Control")
    tab.wait(f"{shown}.split(',').length === 6 && {shown}.endsWith('dense_3/bias')")
    tab.frame.click("#layers button:text-is('all rows')")
    tab.wait(f"{shown}.split(',').length === 8")
    tab.wait("!parent.location.hash.includes('p.tbgrad.rows')")
    healthy(tab)


# ------------------------------------------------------------------------ notebooks


class Outer(BaseHTTPRequestHandler):
    """A page of another origin, as a notebook is, with TensorBoard in a frame."""

    def __init__(self, inner: str, *given: Any) -> None:
        self.inner = inner
        super().__init__(*given)

    def do_GET(self) -> None:
        head = '<!doctype html><link rel="icon" href="data:,">'
        page = f'{head}<iframe width="1200" height="700" src="{self.inner}">'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize("inner", ["#tbgrad", "data/plugin_entry.html?name=tbgrad"])
def test_it_works_in_a_page_of_another_origin(
    server: TensorBoard, browser: Any, inner: str
) -> None:
    outside = ThreadingHTTPServer(("127.0.0.1", 0), partial(Outer, f"{server.url}{inner}"))
    thread = threading.Thread(target=outside.serve_forever, daemon=True)
    thread.start()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        tab = Tab(page, None)
        page.on("console", lambda m: tab.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{outside.server_port}/")
        poll(lambda: page.wait_for_timeout(50) or _ours(page), "the frame of the tab is there")
        tab.frame = _ours(page)
        tab.wait("document.documentElement.dataset.refreshed !== undefined")
        choose_run(tab, "told")
        show_view(tab, "layers")
        tab.wait("document.querySelector('#layers .chart')?.data?.[0].z.length === 8")
        tab.frame.click("#summary .top button:text-is('copy link')")
        tab.wait("document.querySelector('dialog.address input')?.value.includes('view=layers')")
        address = tab.frame.input_value("dialog.address input")
        assert address.startswith(server.url)
        assert "p.tbgrad.run=told" in address
        assert violations(tab) == []
        tab.frame.click("dialog.address button")
        tab.frame.click("nav [data-view=scalars]")
        tab.wait("document.querySelector('#board').dataset.view === 'scalars'")
        assert tab.errors == []
    finally:
        context.close()
        outside.shutdown()
        outside.server_close()


def _ours(page: Any) -> Any:
    """The frame that the tab is in."""
    frames = [frame for frame in page.frames if frame.url.startswith("http")]
    for frame in frames:
        if frame.query_selector("#board"):
            return frame
    return None
