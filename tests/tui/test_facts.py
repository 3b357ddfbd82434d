"""What is said of a run is computed once, and off the thread that draws."""

import gc
import threading

from tbgrad_tui import facts

from tbgrad import read
from tbgrad.judgement.replay import Judge
from tests.tui.support import app_on, loaded, shown, until
from tests.tui.test_alerts import THREE, log_alerts


def test_alerts_are_looked_for_once_for_each_run_and_forgotten_with_it(logdir, monkeypatch):
    calls = []
    known = facts.OnceARun(lambda run: calls.append(run.name) or tuple(THREE))
    first, second = read(logdir)["a"], read(logdir)["a"]
    assert known(first) is known(first)
    assert known(second) == known(first)
    assert calls == ["a", "a"]
    assert len(known._facts) == 2
    del first, second
    gc.collect()
    assert not known._facts


async def test_a_run_that_has_grown_is_shown_with_what_was_found_of_it_before(logdir):
    """As long as the rules have not had their turn again: no alert is missing in between."""
    log_alerts(logdir / "a", THREE)
    poller = app_on(logdir)._poller
    runs = read(logdir)
    poller._judge(runs)
    before = facts.alerts(runs["a"])
    assert len(before) == 3
    grown = read(logdir)
    shown_now = poller._as_known(grown)["a"]
    assert shown_now is not grown["a"]
    assert not facts.is_judged(grown["a"])
    assert facts.alerts(shown_now) == before
    assert facts.alerts_by_name(shown_now)


async def test_new_data_have_their_alerts_looked_for_off_the_thread_that_draws(logdir, monkeypatch):
    threads, judge = [], Judge.judge
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        monkeypatch.setattr(
            Judge,
            "judge",
            lambda me, run: threads.append(threading.current_thread().name) or judge(me, run),
        )
        for _ in range(3):
            app.show_everything()
        log_alerts(logdir / "a", THREE)
        await until(pilot, lambda: "2 alerts" in shown(app))
        app.show_everything()
    assert set(threads) == {"tbgrad-poller"}
