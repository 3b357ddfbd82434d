"""The README's pictures of several runs, and of the surface around the weights of one.

    python -m tests.pictures_runs [LOG OF examples/depth.py] [LOG OF examples/trajectories.py]

Trains the examples that no log is given of, which takes some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tbgrad_tui.screenshot import save_screenshot

from tests.pictures import TARGET, to_png
from tests.plugin.tabs import choose_run, show_view
from tests.support.browser import chromium, open_tab, tensorboard

EXAMPLES = ("depth", "trajectories")
TERMINAL = (120, 34)
SURFACE = "document.querySelector('#landscape .chart:not([hidden])')?.data?.[0]?.type === 'surface'"


def main() -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        logs = []
        for name, given in zip(EXAMPLES, [*sys.argv[1:], None, None], strict=False):
            logs.append(Path(given or f"{scratch}/{name}"))
            if given is None:
                program = TARGET.parent / f"{name}.py"
                subprocess.run([sys.executable, str(program), str(logs[-1])], check=True)
        depth, trajectories = logs
        svg = Path(scratch) / "app.svg"
        save_screenshot(depth, svg, TERMINAL, keys=("down", "up"))
        to_png(svg, TARGET / "overview.png")
        save_tab_overview(depth, Path(scratch))
        # The first run has the findings; the second of these is the plane of its path.
        save_screenshot(trajectories, svg, TERMINAL, keys=("home", "enter", "8", "down"))
        to_png(svg, TARGET / "landscape-terminal.png")
        with tensorboard(trajectories, Path(scratch)) as server, chromium() as browser:
            tab = open_tab(browser, server.url, size=(1280, 1000))
            choose_run(tab, "seed0")
            show_view(tab, "landscape")
            chooser, drawing = "#landscape > header > .controls > select", "#landscape select"
            tab.wait("name => document.querySelectorAll(`${name} option`).length > 2", chooser)
            tab.frame.select_option(chooser, label="plane of the path")
            tab.frame.locator(drawing).filter(has_text="surface").first.select_option("surface")
            tab.wait(SURFACE)
            tab.page.wait_for_timeout(1500)  # until the last frame of it is drawn
            tab.frame.locator("#landscape").screenshot(path=str(TARGET / "landscape.png"))
    print(f"pictures written to {TARGET}")


def save_tab_overview(logdir: Path, scratch: Path) -> None:
    """A picture of the tab's overview, once it has judged every run."""
    with tensorboard(logdir, scratch) as server, chromium() as browser:
        tab = open_tab(browser, server.url, size=(1280, 640))
        tab.wait("!document.querySelector('#overview .hint').innerText.includes('so far')")
        tab.page.wait_for_timeout(800)
        tab.page.screenshot(path=str(TARGET / "tab-overview.png"))


if __name__ == "__main__":
    main()
