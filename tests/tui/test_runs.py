"""Which run is shown: that of the user's choice, or one that begins."""

from __future__ import annotations

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.tags import LOSS
from tests.support.logs import EPOCH, write_run
from tests.tui.support import app_on, loaded, shown, until


async def test_runs_are_switched_and_the_choice_stays(logdir):
    write_run(logdir / "sub" / "b", steps=500)
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        first = app.run_name
        await pilot.press("right_square_bracket")
        assert app.run_name != first
        await pilot.press("[")
        assert app.run_name == first
        write_run(logdir / "c", steps=2000)
        await until(pilot, lambda: "c" in app.snapshot.runs)
        await loaded(pilot)
        assert app.run_name == first
        assert "3 runs" in shown(app)


async def test_a_run_that_appears_is_followed_until_the_user_chooses(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        write_run(logdir / "z" / "later", steps=200, at=EPOCH + 60)
        await until(pilot, lambda: app.run_name == "z/later")
        await until(pilot, lambda: "step 200" in shown(app))


async def test_a_run_that_is_there_before_its_first_value_is_followed_all_the_same(logdir):
    app = app_on(logdir, EPOCH + 9000)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert app.run_name == "a"
        with EventFileWriter(logdir / "b") as writer:
            writer.flush()
            await until(pilot, lambda: "b" in app.snapshot.runs)
            assert app.run_name == "a"
            writer.add(1, [encode.scalar(LOSS, 2.0)], EPOCH + 8990)
            writer.flush()
            await until(pilot, lambda: app.run_name == "b")
