"""What the tests of the open tab share."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tbgrad.log import encode
from tests.support.browser import Tab

SELECTED = "document.querySelector('#parameter select').value"


def healthy(tab: Tab) -> None:
    """No console error (that includes every violation of the Content-Security-Policy)."""
    assert tab.errors == [], tab.errors
    foreign = [
        url for url in tab.requests
        if urlsplit(url).scheme in ("http", "https", "ws", "wss")
        and urlsplit(url).hostname != "127.0.0.1"
    ]  # fmt: skip
    assert foreign == []
    assert not tab.frame.evaluate("'hacked' in window || 'hacked' in window.parent")


def show_view(tab: Tab, name: str) -> None:
    """Go to another view of the tab."""
    tab.frame.click(f"nav [data-view={name}]")
    tab.wait("name => document.querySelector('#board').dataset.view === name", name)


def area(tab: Tab, panel: str) -> dict[str, float]:
    """The rectangle between the axes of the chart in a panel, in pixels of the page."""
    tab.wait(f"document.querySelector('#{panel} .chart clipPath rect')")
    box: dict[str, float] = tab.frame.query_selector(f"#{panel} .chart").bounding_box()
    rect = tab.frame.evaluate(
        "panel => { const r = document.querySelector(`#${panel} .chart clipPath rect`);"
        " return ['x', 'y', 'width', 'height'].map((name) => Number(r.getAttribute(name))); }",
        panel,
    )
    return {
        "x": box["x"] + rect[0],
        "y": box["y"] + rect[1],
        "width": rect[2],
        "height": rect[3],
    }


def choose_run(tab: Tab, name: str) -> None:
    """Show a run in the view of one run, or in the view of it that is in front."""
    tab.wait(
        "name => [...document.querySelectorAll('#run option')].some((o) => o.value === name)", name
    )
    tab.frame.select_option("#run", name)
    tab.wait("document.querySelector('#parameter')")  # the panels are there


def live_values(step: int, rows: int) -> list[Any]:
    statistics = np.ones((rows, 12), dtype=np.float32) * step
    losses = [encode.scalar("loss", 1 / step), encode.scalar("val_loss", 2 / step)]
    return [*losses, encode.parameters(statistics)]
