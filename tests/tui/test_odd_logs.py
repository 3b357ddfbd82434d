"""The app on logs whose clocks, steps and kinds are not the usual ones."""

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2

from tbgrad.log import encode
from tests.support.events import NAME, write_events
from tests.support.logs import EPOCH, write_run
from tests.tui.support import app_on, loaded, shown, until


def write(directory, values, times, steps=(1, 2, 3)):
    write_events(
        directory / NAME,
        [
            event_pb2.Event(step=s, wall_time=t, summary=summary_pb2.Summary(value=values))
            for s, t in zip(steps, times, strict=True)
        ],
    )


LOSS = [encode.scalar("loss", 1.0)]
NOW = EPOCH + 52.0


@pytest.mark.parametrize(
    ("values", "times", "steps", "words"),
    [
        (LOSS, [NOW * 1e3] * 3, (1, 2, 3), ["step 3", "updated 0 s ago"]),  # milliseconds
        (LOSS, [0.0] * 3, (1, 2, 3), ["step 3"]),
        (LOSS, [NOW + 7200] * 3, (1, 2, 3), ["dated 2 h ahead of this clock"]),
        (LOSS, [NOW] * 3, (-9, -8, -7), ["step -7"]),
        ([encode.note("words")], [NOW] * 3, (1, 2, 3), ["no histograms, only text", "step 3"]),
        (
            [encode.histogram("weights", np.array([[0.0, 1.0, 5.0]]))],
            [NOW] * 3, (1, 2, 3), ["0 scalars, 1 histogram"],
        ),
    ],
)  # fmt: skip
async def test_what_is_there_is_shown(tmp_path, values, times, steps, words):
    write(tmp_path / "odd", values, times, steps)
    write_run(tmp_path / "usual", steps=20)
    app = app_on(tmp_path)
    async with app.run_test(size=(150, 40)) as pilot:
        await loaded(pilot)
        app.show_run("odd")
        await until(pilot, lambda: all(word in shown(app) for word in words))
        await pilot.press("1")
        await until(pilot, lambda: "odd" in "".join(app.run_screen.panel("runs").lines()))
        assert "empty" not in "".join(app.run_screen.panel("runs").lines())


async def test_what_is_left_out_is_on_the_page_of_what_could_not_be_read(tmp_path):
    write(tmp_path / "odd", LOSS, [NOW] * 3, (1, 1, 1))
    app = app_on(tmp_path)
    async with app.run_test(size=(150, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("d")
        words = "2 values of loss gave way to later ones of the same or a lower step"
        await until(pilot, lambda: words in shown(app))


async def test_a_directory_that_is_misspelt_is_guessed_while_it_is_waited_for(tmp_path):
    write_run(tmp_path / "runs" / "mnist", steps=20)
    app = app_on(tmp_path / "runs" / "mnsit")
    async with app.run_test(size=(200, 40)) as pilot:
        words = f"Did you mean {tmp_path}/runs/mnist?"
        await until(pilot, lambda: words in shown(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_eigenvalues_that_an_adaptive_optimizer_bounds_are_drawn(tmp_path, size):
    write_run(tmp_path, adaptive=True)
    app = app_on(tmp_path)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        await pilot.press("4")
        panel = app.run_screen.panel("curvature")
        await until(pilot, lambda: "preconditioned λmax 35.000 ± 0.010" in "".join(panel.lines()))
        text = "\n".join(panel.lines())
        assert "preconditioned λmax / limit  ╌ unstable above 1" in text
        assert text.count("  └") == 2  # two charts, each with its axis
        assert "╌╌╌" in text.partition("unstable above 1")[2]
        assert "λ/limit 0.46" in text
        assert "below the limit" in text


async def test_a_remote_log_is_watched(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    write_run(tmp_path / "a", steps=100)
    for path in (tmp_path / "a").iterdir():
        files.pipe(f"/watched/a/{path.name}", path.read_bytes())
    app = app_on("memory://watched")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "step 100" in shown(app))
    files.rm("/watched", recursive=True)
