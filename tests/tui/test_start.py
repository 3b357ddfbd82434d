"""What the first picture does without: modules that load later, and panels that are drawn twice."""

import subprocess
import sys

from tbgrad_tui.widgets.norm import NormPanel

from tests.support.logs import write_run
from tests.tui.support import app_on, loaded

NOT_NEEDED = (
    "numpy.ma", "csv", "tomllib", "tbgrad.diagnosis.rules", "tbgrad.diagnosis.engine",
    "tbgrad_tui.screens.compare", "tbgrad_tui.screens.alerts", "tbgrad_tui.saving",
)  # fmt: skip

DRAW = """
import sys
from tbgrad.reading.directory import read
from tbgrad_tui.app import WatchApp
from tbgrad_tui.chart.canvas import Canvas
from tbgrad_tui.widgets.curvature import CurvaturePanel
run = read(sys.argv[1])["a"]
WatchApp(sys.argv[1])
panel = CurvaturePanel("curvature")
panel.run = run
canvas = Canvas(60, 20)
panel.draw_content(canvas, canvas.box)
assert "λ" in "".join(canvas.text())
print(*sys.modules)
"""


def test_what_the_first_picture_does_not_show_is_not_imported(tmp_path):
    write_run(tmp_path / "a", steps=200)
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert set(NOT_NEEDED) & set(done.stdout.split()) == set()


async def test_a_panel_that_comes_into_sight_is_drawn_once(tmp_path, monkeypatch):
    write_run(tmp_path / "a", steps=200)
    drawn = []
    draw = NormPanel.draw
    monkeypatch.setattr(NormPanel, "draw", lambda self, canvas: drawn.append(draw(self, canvas)))
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2")
        await pilot.pause()
        drawn.clear()
        await pilot.press("escape")
        await pilot.pause()
        assert len(drawn) == 1
