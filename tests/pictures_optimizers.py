"""The pictures and the numbers of examples/optimizers.md: `python -m tests.pictures_optimizers`.

Trains the example, which takes a minute, or takes the log of one: a directory as the argument.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from tbgrad_tui.screenshot import save_screenshot

import tbgrad
from tbgrad.log.text import number
from tests.pictures import TARGET
from tests.plugin.tabs import choose_run
from tests.support.browser import chromium, open_tab, tensorboard

EXAMPLE = TARGET.parent / "optimizers.py"
TERMINAL = (80, 24)
TAB = (1280, 860)
COURSES, LAYERS = "#scalar, #norm, #curvature", "#layers"

TERMINALS = {  # runs, and the keys that are pressed
    "optimizers-batch-terminal": (("batch", "mini-batch", "stochastic"), ("3",)),
    "optimizers-adaptive-terminal": (("momentum", "adagrad", "rmsprop", "adam"), ("7",)),
    "optimizers-rates-terminal": (("rate-low", "mini-batch", "rate-high"), ("down", "up")),
    "optimizers-layers-terminal": (("layers-one-rate", "layers-own-rates"), ("down", "up")),
}
TABS = {  # runs, panels of the tab, and the statistic of the layers
    "optimizers-batch-tab": (("batch", "mini-batch", "stochastic"), COURSES, "norm"),
    "optimizers-rates-tab": (("rate-low", "mini-batch", "rate-high"), COURSES, "norm"),
    "optimizers-layers-tab": (("layers-one-rate", "layers-own-rates"), LAYERS, "update_norm"),
}


def main() -> None:
    """Train where no log is given, take the pictures, and print the table of the page."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "runs"
        if not runs.exists():
            subprocess.run([sys.executable, str(EXAMPLE), str(runs)], check=True)
        pages = {
            name: {run: _terminal(runs / run, keys, Path(scratch) / "app.svg") for run in chosen}
            for name, (chosen, keys) in TERMINALS.items()
        }
        with tensorboard(runs, Path(scratch)) as server, chromium() as browser:
            for name, (chosen, panels, statistic) in TABS.items():
                tab = open_tab(browser, server.url, size=TAB)
                pages[name] = {run: _tab(tab, run, panels, statistic) for run in chosen}
            for name, pictures in pages.items():
                _together(browser, pictures, TARGET / f"{name}.png")
        print(table(runs))


def _terminal(run: Path, keys: tuple[str, ...], scratch: Path) -> str:
    save_screenshot(run, scratch, TERMINAL, keys=keys)
    return scratch.read_text()


def _tab(tab: Any, run: str, panels: str, statistic: str) -> str:
    """The panels of a run, without the list of alerts, which would narrow them."""
    choose_run(tab, run)
    tab.frame.select_option("#layers select", statistic)
    tab.page.wait_for_timeout(1500)
    hide = tab.frame.locator("#alerts button", has_text="hide")
    if hide.is_visible():
        hide.click()
        tab.page.wait_for_timeout(1500)
    if tab.errors:
        raise RuntimeError("the tab reported errors: " + "; ".join(tab.errors))
    return "".join(
        f"<img src='data:image/png;base64,{base64.b64encode(panel.screenshot()).decode()}'>"
        for panel in tab.frame.locator(panels).all()
    )


def _together(browser: Any, pictures: Mapping[str, str], target: Path) -> None:
    """Pictures side by side, each below its name; four in two rows."""
    columns = 2 if len(pictures) == 4 else len(pictures)
    cells = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{picture}</figure>"
        for name, picture in pictures.items()
    )
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_content(
        "<style>body { margin: 0; font: bold 18px sans-serif } figure { margin: 4px }"
        f"main {{ display: grid; grid-template-columns: repeat({columns}, 1fr) }}"
        f"svg, img {{ width: 100% }}</style><main>{cells}</main>"
    )
    page.locator("main").screenshot(path=str(target))
    page.close()


def table(runs: Path) -> str:
    """What the page says of each run, in Markdown.

    Loss and curvature of the probe at the end, medians of the last hundred steps, and the largest
    stability.
    """
    lines = [
        "| run | loss | gradient norm | 5 % to 95 % | update over weight | λmax | stability |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in tbgrad.read(runs).items():
        norm = run["gradient/norm"].values[-100:]
        update = run["update/ratio"]
        late = update.values[update.steps > update.steps[-1] - 100]
        estimate = run["tbgrad/curvature"].values[-1]
        known = "curvature/stability" in run
        stability = f"{run['curvature/stability'].values.max():.2g}" if known else "not known"
        low, high = np.percentile(norm, (5, 95))
        share = number(float(np.median(late)), 1)
        lines.append(
            f"| `{name}` | {estimate.loss:.3g} | {np.median(norm):.2g} | {low:.2g} to {high:.2g} "
            f"| {share} | {estimate.eigenvalues[0].value:.2g} | {stability} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
