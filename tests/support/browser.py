"""A real TensorBoard and a real headless Chromium, for tests and for the README pictures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
)
START_SECONDS = 90

START = """
import sys, types
import tensorboard.compat
name = "tensorboard.compat.notf"
tensorboard.compat.notf = sys.modules[name] = types.ModuleType(name)
from tensorboard.main import run_main
run_main()
"""
"""TensorBoard as it runs where TensorFlow is not installed: it starts in a fifth of the time."""


@dataclass
class TensorBoard:
    """A running `tensorboard`: its address, and what it has printed so far."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def tensorboard(logdir: Path, scratch: Path, *arguments: str) -> Iterator[TensorBoard]:
    """Start `tensorboard` on a free port of 127.0.0.1 and end it, and only it, afterwards."""
    log = scratch / f"tensorboard-{time.monotonic_ns()}.txt"
    command = [sys.executable, "-c", START, "--logdir", str(logdir), "--port", "0"]
    command += ["--host", "127.0.0.1", "--reload_interval", "1", *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("w") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=subprocess.STDOUT, text=True, env=environment
        )
    try:
        yield TensorBoard(wait_for_url(process, log), process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_for_url(process: subprocess.Popen[str], log: Path) -> str:
    """The address of a TensorBoard that prints to `log`, once it has started."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"at (http://127\.0\.0\.1:\d+/)", log.read_text(errors="replace"))
        if found:
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"tensorboard did not start:\n{log.read_text(errors='replace')[-3000:]}")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium from the system, driven by playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(CHROMIUM_ARGUMENTS)
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """The open "Gradients" tab: its frame, and everything that went wrong in it."""

    page: Any
    frame: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def wait(self, expression: str, argument: Any = None, seconds: float = 30) -> Any:
        """Wait until a JavaScript expression in the frame is true; its value."""
        handle = self.frame.wait_for_function(expression, arg=argument, timeout=1000 * seconds)
        return handle.json_value()

    def hurry(self) -> None:
        """Let the tab look for new data all the time, not every few seconds."""
        self.frame.evaluate(
            "() => void setInterval(() => window.dispatchEvent(new Event('resize')), 200)"
        )

    def traces(self, panel: str) -> list[dict[str, Any]]:
        """What the chart in the panel of this id shows."""
        found: list[dict[str, Any]] = self.frame.evaluate(TRACES, panel)
        return found

    def layout(self, panel: str) -> dict[str, Any]:
        """The axes of the chart in the panel of this id."""
        found: dict[str, Any] = self.frame.evaluate(LAYOUT, panel)
        return found

    def text(self, selector: str) -> str:
        """The visible text of an element of the tab."""
        return str(self.frame.inner_text(selector))


LAYOUT = "panel => JSON.parse(JSON.stringify(document.querySelector(`#${panel} .chart`).layout))"
TRACES = """panel => [...(document.querySelector(`#${panel} .chart`).data ?? [])].map((t) => ({
  name: t.name, type: t.type, x: [...(t.x ?? [])], y: [...(t.y ?? [])],
  z: t.z ? t.z.map((row) => [...row]) : null,
  error: t.errors ? [...t.errors] : null, hollow: t.hollow ? [...t.hollow] : null, color: t.color,
}))"""


def open_tab(
    browser: Any, url: str, *, dark: bool = False, size: tuple[int, int] = (1280, 800)
) -> Tab:
    """Open the "Gradients" tab in a fresh browser context and wait until it has drawn once.

    `url` is of the server, or of a picture: with what the tab shows behind its `#`.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale="en-US",
        timezone_id="UTC",
    )
    page = context.new_page()
    tab = Tab(page, None)
    page.on("console", lambda m: tab.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("request", lambda request: tab.requests.append(request.url))
    page.goto(url if "#" in url else f"{url}#tbgrad", wait_until="domcontentloaded")
    element = page.wait_for_selector("iframe[src*='name=tbgrad'], iframe", timeout=60_000)
    tab.frame = element.content_frame()
    tab.wait("document.documentElement.dataset.refreshed !== undefined", seconds=60)
    return tab


def save_screenshot(
    logdir: str | Path,
    png_path: str | Path,
    dark: bool = False,
    size: tuple[int, int] = (1280, 800),
) -> None:
    """Save a picture of the tab, as it shows the runs below `logdir`, to `png_path`."""
    target = Path(png_path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        tensorboard(Path(logdir), Path(scratch)) as server,
        chromium() as browser,
    ):
        tab = open_tab(browser, server.url, dark=dark, size=size)
        tab.page.wait_for_timeout(800)
        tab.page.screenshot(path=str(target))
        if tab.errors:
            raise RuntimeError("the tab reported errors: " + "; ".join(tab.errors))
