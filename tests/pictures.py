"""The pictures of the README, from a real training: `make pictures`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tbgrad_tui.screenshot import save_screenshot as save_terminal

from tests.clinic.planted import planted
from tests.clinic.training import train
from tests.support.browser import chromium
from tests.support.browser import save_screenshot as save_tab

TARGET = Path(__file__).parents[1] / "examples" / "pictures"
TERMINAL = (120, 36)
TAB = (1280, 860)


def main() -> None:
    """Train the demo's classifier, for pictures of both faces; and one with a fault, for alerts."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(scratch) / "runs"
        demo = ["-m", "tbgrad", "demo", "--plain", "--logdir", str(runs), "--epochs", "60"]
        subprocess.run([sys.executable, *demo], stdin=subprocess.DEVNULL, check=True)
        svg = Path(scratch) / "terminal.svg"
        save_terminal(runs, svg, TERMINAL, keys=("down", "down"))
        to_png(svg, TARGET / "terminal.png")
        for name, dark in (("tab.png", False), ("tab-dark.png", True)):
            save_tab(runs, TARGET / name, dark, TAB)
        (case,) = [case for case in planted() if case.name == "mlp one wild batch"]
        train(case.recipe, 0, Path(scratch) / "faulty" / "one-wild-batch")
        save_tab(Path(scratch) / "faulty", TARGET / "alerts.png", False, TAB)
    print(f"pictures written to {TARGET}")


def to_png(svg: Path, png: Path) -> None:
    """A picture of the app in pixels."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_content(f"<body style='margin:0'>{svg.read_text()}</body>")
        page.locator("svg").first.screenshot(path=str(png), omit_background=True)


if __name__ == "__main__":
    main()
