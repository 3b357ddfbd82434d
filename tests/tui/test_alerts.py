"""Alerts in the app: marks on the rows of layers, and the list to move in, on real event files."""

import dataclasses

import numpy as np
import pytest
from tbgrad_tui.keys import ALERT_KEYS
from tbgrad_tui.screens.alerts import AlertsPage
from tbgrad_tui.widgets.alerts import AlertsPanel

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import Alert
from tests.support.logs import EPOCH, manifest, write_run
from tests.tui.support import app_on, loaded, shown, until

SIZES = [(60, 18), (80, 24), (120, 40), (200, 60)]


def alert(rule="no_gradient", severity="warning", parameters=(), first=10, last=None, state="open"):
    evidence = f"{rule} since {first}: " + ", ".join(f"evidence{i}" for i in range(12))
    causes = tuple(" ".join(f"{rule}-{first}-cause{c}-word{i}" for i in range(9)) for c in range(2))
    advice = " ".join(f"{rule}-{first}-advice{i}" for i in range(8))
    last = first if last is None else last
    return Alert(rule, severity, tuple(parameters), first, last, state, evidence, causes, advice)


THREE = [
    alert("frozen_parameter", "warning", ("dense_1/kernel", "dense_2/bias"), 40),
    alert("nonfinite", "error", ("dense_2/bias", "dense_3/kernel"), 30),
    alert("gone", "error", ("dense_0/bias",), 50, 80, "closed"),
]
HUNDRED = [
    alert(f"rule_{i}", ("error", "warning", "info")[i % 3], ("dense_0/bias",) * (i % 2), 10 * i)
    for i in range(100)
]


def log_alerts(directory, alerts, step=1001):
    with EventFileWriter(directory) as writer:
        writer.add(step, [encode.alerts(alerts)], EPOCH + 50)


async def opened(pilot):
    """Press `a`, and wait for the list."""
    await pilot.press("a")
    await until(pilot, lambda: isinstance(pilot.app.screen, AlertsPage))
    await until(pilot, lambda: pilot.app.screen.panel.size.height)
    return pilot.app.screen.panel


def row_with(panel, words):
    return next(y for y, line in enumerate(panel.lines()) if words in line)


@pytest.mark.parametrize("size", SIZES)
async def test_a_row_has_the_mark_of_its_worst_open_alert_and_no_room_is_taken(logdir, size):
    app = app_on(logdir)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        layers = app.run_screen.panel("layers")
        before = layers.lines()
        log_alerts(logdir / "a", THREE)
        await until(pilot, lambda: "2 alerts (a): non-finite in dense_2" in shown(app))
        after = layers.lines()
    marked = [line for line in after if "dense_" in line]
    rows = [line for line in before if "dense_" in line]  # the verdict takes some, if there are few
    assert [line[2:] for line in marked] == [line[2:] for line in rows][: len(marked)]
    assert len(marked) == len(rows) or size == (80, 24)
    assert {line[:2] for line in rows} == {"│ "}
    marks = {line[3:].split()[0]: line[1].strip() for line in marked}
    assert {name: mark for name, mark in marks.items() if mark} == {
        "dense_1/kernel": "▲",
        "dense_2/bias": "◆",
        "dense_3/kernel": "◆",
    }
    assert len(marks) == len(marked)
    assert "3 with alerts" in after[0]


async def test_what_the_rules_find_in_a_log_is_marked_too(tmp_path):
    m = manifest(2)
    table = np.full((4, len(m.statistics)), np.nan, np.float32)
    table[:, m.column("norm")] = 1.0, 1.0, np.nan, 1.0
    table[:, m.column("weight_norm")] = 1.0
    with EventFileWriter(tmp_path) as writer:
        writer.add(0, [encode.manifest(m)], EPOCH)
        for step in range(1, 6):
            writer.add(step, [encode.parameters(table)], EPOCH)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "▲ 1 alert (a): no gradient" in shown(app))
        lines = app.run_screen.panel("layers").lines()
        assert [line[1] for line in lines if "dense_" in line] == [" ", " ", "▲", " "]
        await pilot.press("down", "down")
        await until(
            pilot, lambda: "▲ no_gradient (a)" in "".join(app.run_screen.panel("parameter").lines())
        )


async def test_open_ones_come_first_then_the_worst_which_is_selected(logdir):
    log_alerts(logdir / "a", THREE)
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        panel = await opened(pilot)
        assert [a.rule for a in panel.alerts] == ["nonfinite", "frozen_parameter", "gone"]
        assert panel.selected.rule == "nonfinite"  # the one that the summary names
        text = shown(app)
        assert "▸◆ error: nonfinite" in text
        assert "nonfinite-30-advice7" in text
        assert "frozen_parameter-40-advice0" not in text
        assert "Alerts: 2 open, 1 closed" in text
        assert "open since step 40" in text
        assert "closed, steps 50 to 80" in text
        await pilot.press("down", "down")
        await until(pilot, lambda: "gone-50-advice7" in shown(app))
        assert "nonfinite-30-advice7" not in shown(app)
        await pilot.press("home")
        assert panel.selected.rule == "nonfinite"


@pytest.mark.parametrize("size", SIZES)
async def test_the_arrows_bring_every_word_of_every_alert_into_sight(logdir, size):
    log_alerts(logdir / "a", THREE)
    app = app_on(logdir)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        panel = await opened(pilot)
        await pilot.press("home")
        seen, selected = "", []
        while len(selected) < 3 or seen.count(panel.lines()[1]) < 9:
            selected += [] if panel.selected in selected else [panel.selected]
            assert panel.lines()[0].startswith("╭─ Alerts")
            assert panel.lines()[-1].startswith("╰")
            seen += "\n".join(panel.lines())
            await pilot.press("down")
            assert len(seen) < 1e6
        assert selected == list(panel.alerts)
        words = [w for a in THREE for text in (*a.causes, a.advice) for w in text.split()]
        assert not [word for word in words if word not in seen]
        await pilot.press(*["up"] * 20)
        assert panel.selected == panel.alerts[0]
        assert "▸◆ error: nonfinite" in panel.lines()[1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("alerts", [[], HUNDRED], ids=["0", "100"])
async def test_none_and_a_hundred(logdir, size, alerts):
    log_alerts(logdir / "a", alerts)
    app = app_on(logdir)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        panel = await opened(pilot)
        assert panel.size.height <= size[1]
        if alerts:
            for key, place in (("home", 1), ("pagedown", 11), ("k", 10), ("end", 100)):
                await pilot.press(key)
                assert f"{place} of 100" in panel.lines()[0]
                assert any("▸" in line for line in panel.lines())
        else:
            assert "No alerts in this run." in shown(app)
            await pilot.press("down", "up", "end", "enter")
            await until(pilot, lambda: app.screen is app.run_screen)


@pytest.mark.parametrize("size", SIZES)
async def test_enter_goes_to_the_first_parameter_that_the_alert_names(logdir, size):
    log_alerts(logdir / "a", THREE)
    app = app_on(logdir)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        await pilot.press("2")  # the loss alone
        panel = await opened(pilot)
        await pilot.press("home", "down")
        while panel.selected.rule != "frozen_parameter":  # a long one scrolls first
            await pilot.press("down")
        await until(pilot, lambda: "go to dense_1/kernel" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.run_screen)
        await until(pilot, lambda: "▸dense_1/kernel" in shown(app))
        assert not app.run_screen.zoomed
        assert app.run_screen.parameter == "dense_1/kernel"
        assert app.run_screen.front == "layers"
        await pilot.press("6")  # the parameter alone
        await opened(pilot)
        assert app.screen.panel.selected.rule == "frozen_parameter"  # that of the selected layer
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.run_screen.parameter == "dense_0/bias")
        assert app.run_screen.zoomed  # it shows what was asked for
        assert app.run_screen.front == "parameter"


@pytest.mark.parametrize(
    ("rule", "front"),
    [("edge_of_stability", "curvature"), ("loss_scale_collapse", "scalars"), ("other", "layers")],
)
async def test_enter_on_an_alert_of_the_run_goes_to_the_panel_that_shows_it(logdir, rule, front):
    log_alerts(logdir / "a", [alert(rule, parameters=("no/such/layer",) * (rule == "other"))])
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await opened(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.run_screen)
        assert (app.run_screen.front, app.run_screen.parameter) == (front, "")


@pytest.mark.parametrize("key", ["escape", "a", "q"])
async def test_the_list_closes_and_nothing_else_changes(logdir, key):
    log_alerts(logdir / "a", THREE)
    app = app_on(logdir)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        before = shown(app)
        await opened(pilot)
        await pilot.press("down", key)
        await until(pilot, lambda: app.screen is app.run_screen)
        assert shown(app) == before


async def test_a_click_selects_and_another_one_goes_there(logdir):
    log_alerts(logdir / "a", THREE)
    app = app_on(logdir)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        panel = await opened(pilot)
        await pilot.click(AlertsPanel, offset=(8, row_with(panel, "error: gone")))
        await until(pilot, lambda: panel.selected.rule == "gone")
        assert app.screen is not app.run_screen
        await pilot.click(AlertsPanel, offset=(8, row_with(panel, "advice")))
        await until(pilot, lambda: app.run_screen.parameter == "dense_0/bias")
        assert app.screen is app.run_screen


async def test_the_selection_stays_on_its_alert_while_others_come_and_go(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        panel = await opened(pilot)
        assert "No alerts" in shown(app)
        log_alerts(logdir / "a", [alert(first=500, parameters=("dense_0/bias",)), *HUNDRED[:10]])
        await until(pilot, lambda: len(panel.alerts) == 11)
        await pilot.press("home")
        while panel.selected.rule != "rule_0":
            await pilot.press("down")
        row = row_with(panel, "▸")
        log_alerts(logdir / "a", [alert("newer", first=1000)], 1002)
        await until(pilot, lambda: len(panel.alerts) == 12)
        assert panel.selected == HUNDRED[0]
        assert row_with(panel, "▸") == row
        log_alerts(logdir / "a", [dataclasses.replace(HUNDRED[0], state="closed")], 1003)
        await until(pilot, lambda: "11 open, 1 closed" in shown(app))
        assert panel.selected.rule == "rule_0"
        assert "▸◆ error: rule_0" in shown(app)


async def test_the_list_stays_with_its_run(logdir):
    log_alerts(logdir / "a", THREE)
    app = app_on(logdir, EPOCH + 9000)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        panel = await opened(pilot)
        write_run(logdir / "b", steps=100, at=EPOCH + 8000)
        await until(pilot, lambda: app.run_name == "b")  # a run that begins is followed
        assert len(panel.alerts) == 3
        await pilot.press("home", "enter")
        await until(pilot, lambda: app.screen is app.run_screen)
        assert (app.run_name, app.run_screen.parameter) == ("a", "dense_2/bias")


async def test_every_key_of_the_list_is_in_the_help_and_works(logdir):
    app = app_on(logdir)
    async with app.run_test(size=(120, 60)) as pilot:
        await loaded(pilot)
        await pilot.press("a", "question_mark")
        await until(pilot, lambda: "In the list of alerts" in shown(app))
        for key in ALERT_KEYS:
            assert key.help in shown(app)
            name = key.action.partition("(")[0]
            owner = app if name.startswith("app.") else AlertsPage
            assert hasattr(owner, f"action_{name.removeprefix('app.')}")
