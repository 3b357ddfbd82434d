"""Alerts in the tab, in a real browser, against a real TensorBoard on real logs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tests.plugin import logs
from tests.plugin.tabs import SELECTED, area, choose_run, healthy, live_values, show_view
from tests.support.browser import Tab, TensorBoard, open_tab, tensorboard
from tests.support.logs import manifest

pytestmark = pytest.mark.browser

ALERT_HEADS = """[...document.querySelectorAll('.alert .head')]
  .map((head) => [...head.children].map((part) => part.innerText).join(" "))"""


def marked(tab: Tab) -> dict[str, list[int]]:
    """The rows of the heat map that are marked, by severity."""
    found: dict[str, list[int]] = {}
    for severity, row in tab.frame.eval_on_selector_all(
        "#layers .flag", "all => all.map((f) => [f.dataset.severity, Number(f.dataset.row)])"
    ):
        found.setdefault(severity, []).append(row)
    return found


def test_alerts_are_listed_with_what_to_do_and_counted_at_the_top(
    server: TensorBoard, browser: Any
) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, logs.ALERTS)
    tab.wait("document.querySelectorAll('.alert').length === 3")
    found = tab.frame.evaluate(ALERT_HEADS)
    assert found == [
        "warning no_gradient open, steps 40 to 700",
        "error nonfinite open, steps 300 to 320",
        "info edge_of_stability closed, steps 20 to 50",
    ]
    assert tab.text("#tally").split("\n") == ["1 error", "1 warning"]
    first = "#alerts ul:first-of-type .alert:nth-child(2)"
    assert "what was measured at step 300" in tab.text(f"{first} .evidence")
    assert not tab.frame.is_visible(f"{first} ol")
    tab.frame.click(f"{first} details summary")
    assert tab.text(f"{first} ol").split("\n") == ["the first cause", "the second cause"]
    assert "what to do about nonfinite" in tab.text(f"{first} details")
    tab.frame.click("#alerts header button")
    tab.wait("document.querySelector('#alerts').hidden")
    tab.frame.click("#tally")
    tab.wait("!document.querySelector('#alerts').hidden")
    assert tab.frame.evaluate("document.querySelector('#board').dataset.view") == "alerts"
    show_view(tab, "run")
    choose_run(tab, "good")
    tab.wait("document.querySelector('#alerts').hidden")
    tab.wait("document.querySelector('#tally').innerText === 'no alerts'")
    tab.wait("!document.querySelector('#layers .flag')")
    healthy(tab)
    tab.page.context.close()


def test_the_parameter_of_an_alert_can_be_selected_and_its_row_is_marked(
    server: TensorBoard, browser: Any
) -> None:
    tab = open_tab(browser, server.url, size=(700, 600))
    choose_run(tab, logs.ALERTS)
    tab.wait("document.querySelectorAll('.alert').length === 3")
    tab.wait("document.querySelectorAll('#layers .flag').length === 3")
    assert marked(tab) == {"error": [4], "warning": [2, 3]}
    tab.frame.click(".alert button >> text=dense_2/kernel")
    tab.wait(f"{SELECTED} === 'dense_2/kernel'")
    tab.wait("document.querySelector('#layers .selected').dataset.row === '4'")
    pressed = "[...document.querySelectorAll('.alert [aria-pressed=true]')].map((b) => b.innerText)"
    assert tab.frame.evaluate(pressed) == ["dense_2/kernel"]
    tab.frame.eval_on_selector("#layers", "box => box.scrollIntoView({ block: 'center' })")
    heat_map = area(tab, "layers")
    assert tab.frame.is_disabled(".alert button >> text=gone")
    row = heat_map["y"] + heat_map["height"] * 2.5 / 8
    for x in (heat_map["x"] - 7, heat_map["x"] + 50):
        tab.page.mouse.move(x, row)
        tab.wait("document.querySelector('.tip:not([hidden])')?.innerText.includes('since')")
        assert "warning: no_gradient since step 40" in tab.text(".tip")
    tab.page.mouse.move(heat_map["x"] + 50, heat_map["y"] + 5)
    tab.wait("!document.querySelector('.tip').innerText.includes('since')")
    healthy(tab)
    tab.page.context.close()


def test_an_alert_made_of_markup_is_inert_text(server: TensorBoard, browser: Any) -> None:
    tab = open_tab(browser, server.url)
    choose_run(tab, logs.EVIL)
    tab.wait("document.querySelectorAll('.alert').length === 2")
    evil = ".alert:nth-child(1)"  # it began before what the rules find
    assert logs.EVIL in tab.text(f"{evil} b")
    assert tab.text(f"{evil} .evidence") == f"seen {logs.EVIL}"
    tab.frame.click(f"{evil} summary")
    assert f"mend {logs.EVIL}" in tab.text(f"{evil} details")
    assert f"for {logs.EVIL}" in tab.text(f"{evil} ol")
    tab.wait("document.querySelectorAll('#layers .flag').length > 0")
    assert 3 in marked(tab)["error"]
    tab.frame.click(".alert button >> text=same (2)")
    tab.wait(f"{SELECTED} === 'same (2)'")
    tab.frame.click(f"{evil} .parameters button >> nth=0")
    tab.wait(f"name => {SELECTED} === name", logs.EVIL_PARAMETERS[0].path)
    deadline = time.monotonic() + 30
    while not tab.frame.query_selector(".tip:not([hidden]) .flag"):
        assert time.monotonic() < deadline, "the mark says nothing"
        # Where it is may change until all is drawn.
        box = area(tab, "layers")
        for x in (8, 7):
            tab.page.mouse.move(box["x"] - x, box["y"] + box["height"] / 8)
        tab.page.wait_for_timeout(100)
    assert f"error: {logs.EVIL} since step 5" in tab.text(".tip")
    assert "Could not be read: step 10: 'tbgrad/alerts'" in str(tab.frame.text_content(".notes"))
    assert tab.frame.evaluate("document.querySelectorAll('img, #board script, a').length") == 0
    healthy(tab)
    tab.page.context.close()


def test_an_alert_opens_and_closes_live_and_what_was_unfolded_stays_so(
    browser: Any, tmp_path: Path
) -> None:
    rows = len(manifest().parameters)
    bad = logs.alert("nonfinite", "error", 2)
    with (
        EventFileWriter(tmp_path / "runs" / "live") as writer,
        tensorboard(tmp_path / "runs", tmp_path) as server,
    ):
        writer.add(0, [encode.manifest(replace(manifest(), rules=logs.RULES))])
        writer.add(1, live_values(1, rows))
        writer.flush()
        tab = open_tab(browser, server.url)
        tab.hurry()
        tab.wait("document.querySelector('#tally')?.innerText === 'no alerts'")
        assert not tab.frame.is_visible("#alerts")
        writer.add(2, [*live_values(2, rows), encode.alerts([bad])])
        writer.flush()
        tab.wait("document.querySelector('#tally').innerText === '1 error'")
        tab.frame.click(".alert summary")
        tab.frame.focus(".alert .parameters button")
        writer.add(3, [*live_values(3, rows), encode.alerts([replace(bad, last_step=3)])])
        writer.flush()
        tab.wait("document.querySelector('.alert .when').innerText === 'open, steps 2 to 3'")
        assert tab.frame.is_visible(".alert ol")
        assert tab.frame.evaluate("document.activeElement.dataset.parameter") == "dense_2/kernel"
        assert marked(tab) == {"error": [4]}
        over = replace(bad, last_step=3, state="closed")
        writer.add(4, [*live_values(4, rows), encode.alerts([over])])
        writer.flush()
        tab.wait("document.querySelector('.alert').dataset.state === 'closed'")
        assert tab.frame.evaluate(ALERT_HEADS) == ["error nonfinite closed, steps 2 to 3"]
        assert tab.text("#tally") == "no open alerts"
        tab.wait("!document.querySelector('#layers .flag')")
        assert marked(tab) == {}
        many = [replace(over, first_step=step, last_step=step) for step in range(4)]
        writer.add(5, [*live_values(5, rows), encode.alerts(many)])
        writer.flush()
        tab.wait("document.querySelector('#alerts .closed > summary').innerText === '4 closed'")
        assert not tab.frame.is_visible(".alert")
        healthy(tab)
        tab.page.context.close()


def test_what_the_writer_does_not_watch_is_looked_for_as_the_log_grows(
    browser: Any, tmp_path: Path
) -> None:
    with (
        EventFileWriter(tmp_path / "runs" / "plain") as writer,
        tensorboard(tmp_path / "runs", tmp_path) as server,
    ):
        for step in range(1, 6):
            writer.add(step, [encode.scalar("loss", 1 / step)])
        writer.flush()
        tab = open_tab(browser, server.url)
        tab.hurry()
        tab.wait("document.querySelector('#tally')?.innerText === 'no alerts'")
        for step in range(6, 9):
            writer.add(step, [encode.scalar("loss", float("nan"))])
        writer.flush()
        tab.wait("document.querySelector('#tally').innerText === '1 error'")
        assert "nonfinite" in tab.text("#alerts")
        show_view(tab, "overview")
        tab.wait("document.querySelector('#overview tbody tr')?.innerText.includes('NaN')")
        healthy(tab)
        tab.page.context.close()
