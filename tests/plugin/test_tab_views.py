"""The views in a real browser: the table of runs, links, keys, comparison, files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tbgrad
from tests.plugin import logs
from tests.plugin.tabs import area, choose_run, healthy, show_view
from tests.support.browser import Tab, TensorBoard, open_tab, tensorboard
from tests.support.logs import write_run

pytestmark = pytest.mark.browser

ROWS = "[...document.querySelectorAll('#overview tbody tr')].map((row) => row.dataset.run)"
PICTURE = """() => ({
  view: document.querySelector('#board').dataset.view,
  run: document.querySelector('#run').value,
  statistic: document.querySelector('#layers select').value,
  selected: document.querySelector('#layers .selected')?.dataset.row,
  range: document.querySelector('#norm .chart').layout.xaxis.range,
  log: document.querySelector('#norm .chart').layout.yaxis.type,
  cursor: document.querySelector('#norm .cursor')?.getAttribute('d'),
  alert: document.querySelector('.alert .when[aria-pressed=true]')?.innerText,
})"""
PALETTE = ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"]


def test_the_overview_lists_all_runs_the_worst_first(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    assert tab.frame.evaluate("document.querySelector('#board').dataset.view") == "overview"
    tab.wait("!document.querySelector('#overview .hint').innerText.includes('so far')")
    found = tab.frame.evaluate("fetch('overview').then((answer) => answer.json())")
    assert tab.frame.evaluate(ROWS) == [row["name"] for row in found["runs"]]
    assert "with errors" in tab.text("#overview .hint")
    tab.wait("document.querySelector('#parameter')")  # the other panels are there, and not in sight
    seen = "[...document.querySelectorAll('#board > *')].filter((e) => e.offsetParent)"
    assert tab.frame.evaluate(f"{seen}.map((e) => e.id)") == ["overview"]
    worst = found["runs"][0]["name"]
    tab.wait("name => document.querySelector('#run').value === name", worst)
    tab.frame.click("#overview thead button:text-is('loss')")
    tab.wait("document.querySelector('#overview [data-column=loss]').ariaSort === 'ascending'")
    losses = {row["name"]: row["loss"] for row in found["runs"]}
    known = [losses[name] for name in tab.frame.evaluate(ROWS) if losses[name] is not None]
    assert known == sorted(known)
    tab.frame.click(f"#overview tr[data-run={logs.ALERTS}] td:last-child")
    tab.wait("name => document.querySelector('#run').value === name", logs.ALERTS)
    effects = "edge of stability → no gradient @40"
    tab.wait("told => document.querySelector('#overview .focus').innerText.includes(told)", effects)
    assert "Change first: what to do" in tab.text("#overview .focus")
    tab.page.keyboard.press("/")
    tab.page.keyboard.type("good|plain")
    tab.wait(f"{ROWS}.length === 2")
    assert "2 of 5 runs" in tab.text("#overview .hint")
    tab.frame.fill("#overview input[type=search]", "/(/")
    tab.wait("document.querySelector('#overview input').ariaInvalid === 'true'")
    tab.frame.fill("#overview input[type=search]", r"/^(\w+\W?)+!$/")  # no time for Python's own
    tab.wait(f"{ROWS}.length === 0")
    tab.frame.fill("#overview input[type=search]", "")
    tab.wait(f"{ROWS}.length === 5")
    assert [error for error in tab.errors if "400" not in error] == []
    tab.page.context.close()


def test_a_link_shows_the_same_picture(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, logs.ALERTS)
    tab.wait("document.querySelectorAll('.alert').length === 3")
    tab.wait("document.querySelector('#layers .selected')")
    tab.frame.select_option("#layers select", "std")
    tab.frame.click(".alert .when >> nth=1")
    tab.wait("document.querySelector('#layers .selected').dataset.row === '4'")
    tab.frame.click("#norm .switch")
    tab.wait("document.querySelector('#norm .chart').layout.yaxis.type === 'linear'")
    tab.wait("document.querySelector('#layers select').value === 'std'")
    tab.wait("document.querySelector('#norm .cursor')")
    shown = tab.frame.evaluate(PICTURE)
    assert shown["alert"] == "open, steps 300 to 320"
    assert 200 < shown["range"][0] < 300
    assert 320 < shown["range"][1] < 420
    bands = tab.frame.evaluate("document.querySelectorAll('.chart > svg > rect[opacity]').length")
    assert bands >= 3
    address = tab.page.url
    other = open_tab(browser, address)
    for opened in (other, other):
        opened.wait(
            "document.querySelector('#norm .chart')?.data && document.querySelector('.alert')"
        )
        opened.wait("document.querySelector('#layers .selected')")
        opened.wait(f"want => JSON.stringify(({PICTURE})()) === want", as_text(tab))
        opened.page.reload(wait_until="domcontentloaded")
        opened.frame = opened.page.wait_for_selector("iframe").content_frame()
        opened.wait("document.documentElement.dataset.refreshed !== undefined")
    opened.wait(f"want => JSON.stringify(({PICTURE})()) === want", as_text(tab))
    box = area(tab, "norm")
    tab.page.mouse.dblclick(box["x"] + 60, box["y"] + 30)
    tab.wait("document.querySelector('#norm .chart').layout.xaxis.range[0] < 20")
    healthy(tab)
    healthy(other)
    for each in (tab, other):
        each.page.context.close()


def as_text(tab: Tab) -> str:
    """What the tab shows, as one text."""
    return str(tab.frame.evaluate(f"JSON.stringify(({PICTURE})())"))


def test_a_link_to_what_is_not_there_shows_what_is(server: TensorBoard, browser: Any) -> None:
    words = "view=moon&p.tbgrad.run=gone&p.tbgrad.statistic=luck&p.tbgrad.range=9~x"
    tab = open_tab(browser, f"{server.url}#tbgrad&p.tbgrad.{words}")
    assert tab.frame.evaluate("document.querySelector('#board').dataset.view") == "overview"
    choose_run(tab, "good")
    tab.wait("document.querySelector('#layers .chart')?.data?.[0].z.length === 8")
    assert tab.frame.evaluate("document.querySelector('#layers select').value") == "norm"
    assert not tab.frame.is_visible(".message")
    tab.page.context.close()


def test_keys_are_those_of_the_terminal(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, "good")
    tab.wait("document.querySelector('#norm .chart')?.data?.length === 2")
    tab.frame.click("#norm h2")
    press = tab.page.keyboard.press
    for key, view in (
        ("5", "layers"),
        ("7", "scalars"),
        ("a", "alerts"),
        ("r", "overview"),
        ("1", "run"),
    ):
        press(key)
        tab.wait("name => document.querySelector('#board').dataset.view === name", view)
    press(".")
    tab.wait("document.querySelector('#norm .cursor')")
    tab.wait("document.querySelector('#norm .hint').innerText.includes('norm')")
    press("+")
    tab.wait("!document.querySelector('#strip .brush').classList.contains('whole')")
    press("x")
    tab.wait("document.querySelector('#strip select').value === 'relative'")
    tab.wait("document.querySelector('#norm svg').textContent.includes('seconds since the start')")
    press("x")
    press("x")
    press("0")
    tab.wait("document.querySelector('#strip .brush').classList.contains('whole')")
    assert tab.frame.query_selector("#norm .cursor") is None
    press("3")
    tab.wait("document.querySelector('#norm').classList.contains('full')")
    press("Escape")
    tab.wait("!document.querySelector('.panel.full')")
    press("?")
    tab.wait("document.querySelector('dialog').innerText.includes('cursor to the left')")
    press("Escape")
    tab.wait("!document.querySelector('dialog')")
    healthy(tab)
    tab.page.context.close()


def test_a_panel_is_saved_as_a_table_and_as_a_picture(
    server: TensorBoard, browser: Any, logdir: Path, tmp_path: Path
) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, "good")
    for panel in ("norm", "layers"):
        tab.wait("id => document.querySelector(`#${id} .chart`)?.data", panel)
        for kind in ("CSV", "PNG"):
            tab.frame.click(f"#{panel} .menu summary")
            with tab.page.expect_download() as download:
                tab.frame.click(f"#{panel} .menu button:has-text('{kind}')")
            download.value.save_as(tmp_path / f"{panel}.{kind.lower()}")
        assert (tmp_path / f"{panel}.png").read_bytes()[:4] == b"\x89PNG"
        assert (tmp_path / f"{panel}.png").stat().st_size > 5000
    rows = list(csv.DictReader((tmp_path / "norm.csv").open(newline="")))
    run = tbgrad.read(logdir)["good"]
    assert [int(row["step"]) for row in rows] == run["gradient/norm"].steps.tolist()
    np.testing.assert_allclose(
        [float(r["norm"]) for r in rows], run["gradient/norm"].values, rtol=1e-6
    )
    cells = list(csv.reader((tmp_path / "layers.csv").open(newline="")))
    np.testing.assert_allclose(
        np.array([row[1:] for row in cells[1:]], float), run.statistic("norm").T, rtol=1e-6
    )
    healthy(tab)
    tab.page.context.close()


def test_marked_runs_are_compared_in_their_colours(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    tab.wait(f"{ROWS}.length === 5")
    for name in ("good", logs.ALERTS):
        tab.frame.check(f"#overview tr[data-run={name}] input")
    tab.frame.click("#overview header button:has-text('compare 2 marked')")
    chart = "document.querySelector('#compare [data-tag=loss] .chart')"
    tab.wait(f"{chart}?.data?.length === 2")
    colours = tab.frame.evaluate(f"{chart}.data.map(({{ name, color }}) => [name, color])")
    names = tab.frame.evaluate("fetch('../../runs').then((answer) => answer.json())")
    assert colours == [[n, PALETTE[names.index(n) % 7]] for n in ("good", logs.ALERTS)]
    tab.wait("document.querySelector('#apart .chart')?.data?.[0].z.length === 8")
    apart = np.array(tab.traces("apart")[0]["z"], float)
    np.testing.assert_allclose(apart, 0, atol=1e-6)  # the same training, with other alerts
    assert "settings alike" in tab.text("#changed .hint")
    tab.frame.select_option("#apart [aria-label='what the colours are']", "a")
    tab.wait("Math.min(...document.querySelector('#apart .chart').data[0].z.flat()) > 0")
    show_view(tab, "scalars")
    tab.wait("document.querySelector('#scalars [data-tag=loss] .chart')?.data?.length === 2")
    tab.frame.click("#scalars [data-tag='learning_rate'] .pin")
    tab.wait("document.querySelector('#scalars .card').dataset.tag === 'learning_rate'")
    tab.wait("document.querySelector('#scalars .card .chart')?.data")
    labels = tab.frame.eval_on_selector_all(
        "#scalars .card:first-child svg text", "all => all.map((text) => text.textContent)"
    )
    assert "0.05" in labels  # a constant has its own name on the axis
    healthy(tab)
    tab.page.context.close()


def test_it_works_behind_a_path_prefix(browser: Any, tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", steps=100)
    with tensorboard(tmp_path / "runs", tmp_path, "--path_prefix", "/proxy/6006") as server:
        tab = open_tab(browser, f"{server.url}proxy/6006/")
        tab.wait("document.querySelector('#norm .chart')?.data?.length === 2")
        assert tab.frame.evaluate("document.querySelector('#board').dataset.view") == "run"
        show_view(tab, "curvature")
        assert "/proxy/6006/#tbgrad&p.tbgrad.view=curvature" in tab.page.url
        assert all("/proxy/6006/" in url for url in tab.requests if "/tbgrad" in url)
        tab.page.context.close()
