"""What makes a day with it pleasant: news of errors, the palette, a footer to click, suspending."""

import csv
import signal
import sys
from pathlib import Path

import pytest
from tbgrad_tui.alarms import Alarm
from tbgrad_tui.commands import MOST, matching
from tbgrad_tui.widgets.summary import Footer
from textual.command import CommandPalette
from textual.widgets import Input, OptionList
from textual.widgets._toast import Toast

import tbgrad
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import Alert
from tests.support.logs import EPOCH, write_run
from tests.support.terminal import Terminal
from tests.tui.support import app_on, loaded, shown, until


def add_error(directory: Path) -> None:
    alert = Alert(
        "nonfinite", "error", ("dense_0/kernel",), 300, 300, "open", "the gradient is NaN",
        ("a rate",), "lower learning_rate", headline="the gradient is not finite",
    )  # fmt: skip
    with EventFileWriter(directory) as writer:
        writer.add(300, [encode.alerts([alert])], EPOCH + 16)


async def test_a_new_error_in_another_run_is_told(tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name, steps=200)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await loaded(pilot)
        other = "b" if app.run_name == "a" else "a"
        assert not app.screen.query(Toast)
        add_error(tmp_path / other)
        await until(pilot, lambda: app.screen.query(Toast))
        (toast,) = app.screen.query(Toast)
        assert f"{other}: the gradient is not finite" in str(toast.render())


async def test_what_was_there_at_first_is_no_news(tmp_path):
    write_run(tmp_path / "a", steps=200)
    add_error(tmp_path / "a")
    write_run(tmp_path / "b", steps=200)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: "not finite" in "".join(app.overview_screen.panel.lines()))
        assert not app.screen.query(Toast)


def test_the_bell_rings_and_the_terminal_is_told(tmp_path):
    write_run(tmp_path / "a", steps=200)
    terminal = Terminal([sys.executable, "-m", "tbgrad", "watch", "--bell", str(tmp_path)])
    terminal.wait_for("dense_3/bias")
    terminal.wait_for("healthy")
    assert b"\x1b]9;" not in terminal.received
    add_error(tmp_path / "a")
    terminal.wait_for("not finite")
    terminal.settle(0.5)
    assert b"\x07\x1b]9;a: the gradient is not finite" in terminal.received
    assert b"\x1b]2;\xe2\x97\x86 " in terminal.received
    terminal.send("q")
    assert terminal.ends() == 0


def test_a_name_cannot_command_the_terminal():
    sequences = Alarm("x\x1b]0;owned\x07", "gone\x9b1m").sequences()
    assert sequences.count("\x07") == 3
    assert sequences.count("\x1b") == 2
    assert "\x9b" not in sequences


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "a", steps=200)
    return tmp_path


async def test_the_palette_does_what_keys_do(run):
    app = app_on(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("colon")
        await until(pilot, lambda: app.screen.query(Input))
        await pilot.press(*"the loss alone")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.run_screen and app.run_screen.zoomed)
        assert app.run_screen.front == "loss"


async def test_a_key_of_the_footer_can_be_clicked(run):
    app = app_on(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        (line,) = app.run_screen.query_one(Footer).lines()
        await pilot.click(Footer, offset=(line.index("zoom"), 0))
        await until(pilot, lambda: app.run_screen.zoomed)
        (line,) = app.run_screen.query_one(Footer).lines()
        await pilot.click(Footer, offset=(line.index("help"), 0))
        await until(pilot, lambda: app.screen is not app.run_screen)


def test_it_is_suspended_and_comes_back(run):
    terminal = Terminal([sys.executable, "-m", "tbgrad", "watch", str(run)])
    terminal.wait_for("dense_3/bias")
    terminal.send("\x1a")
    stat = Path(f"/proc/{terminal.child.pid}/stat")
    for _ in range(200):
        terminal.settle(0.1)
        if stat.read_text().rsplit(")", 1)[1].split()[0] == "T":
            break
    else:
        pytest.fail("it was not suspended")
    while b"\x1b[?1049l" not in terminal.received:  # written ahead of that, but not read yet
        terminal.settle(0.1)
    drawn = len(terminal.received)
    terminal.child.send_signal(signal.SIGCONT)
    terminal.wait_for("dense_3/bias")
    terminal.settle(0.5)
    assert b"\x1b[?1049h" in terminal.received[drawn:]
    terminal.send("q")
    assert terminal.ends() == 0


async def test_a_panel_is_saved_as_a_table_and_the_screen_as_picture_and_text(run, monkeypatch):
    monkeypatch.chdir(run)
    app = app_on(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        for key in ("w", "W", "e"):  # the last of the layers
            await pilot.press(key, "enter")
        for panel in ("loss", "norm", "curvature"):
            app.run_screen.bring(panel)
            await pilot.pause()
            await pilot.press("e", "enter")
        await until(pilot, lambda: len(list(run.glob("tbgrad-*"))) == 6)
    (picture,), (text,) = run.glob("tbgrad-*.svg"), run.glob("tbgrad-*.txt")
    assert "dense_0/kernel" in text.read_text()
    assert picture.read_text().startswith("<svg")
    tables = [list(csv.DictReader(path.open())) for path in run.glob("tbgrad-*.csv")]
    kept = tbgrad.read(run)["a"]
    by_tag = {(row.get("tag"), int(row["step"])): float(row["value"]) for t in tables for row in t}
    for tag in ("loss", "gradient/norm", "curvature/lambda_max"):
        series = kept[tag]
        assert {step for name, step in by_tag if name == tag} == set(series.steps.tolist())
        for step, value in zip(series.steps.tolist(), series.values.tolist(), strict=True):
            assert by_tag[tag, step] == value
    (layers,) = (table for table in tables if "parameter" in table[0])
    assert sorted(row["parameter"] for row in layers) == sorted(kept.names)
    newest = kept.statistic(layers[0]["statistic"])[-1]
    for row in layers:
        assert float(row["value"]) == newest[kept.names.index(row["parameter"])]


async def test_a_directory_that_cannot_be_written_is_named(run, monkeypatch):
    monkeypatch.chdir(run)
    app = app_on(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await loaded(pilot)
        monkeypatch.chdir("/proc")
        await pilot.press("W", "enter")
        await until(pilot, lambda: app.screen.query(Toast))
        (toast,) = app.screen.query(Toast)
        assert "cannot be written" in str(toast.render())


async def test_the_name_of_a_file_may_be_changed(run, monkeypatch):
    monkeypatch.chdir(run)
    for name in ("figures", "figure-old", "a-run"):
        (run / name).mkdir()
    (run / "figures" / "x.txt").write_text("mine")
    app = app_on(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        await pilot.press("W")
        line = app.screen.query_one(Input)
        assert line.value.startswith("tbgrad-a-")
        assert line.value.endswith(".txt")
        await pilot.press("ctrl+u", *"fi", "tab")
        assert line.value == "figure"
        await until(pilot, lambda: "figure-old  figures" in shown(app))
        await pilot.press("s", "tab")
        assert line.value == "figures/"
        await pilot.press(*"x.txt", "enter")
        await until(pilot, lambda: "x.txt is there already: Enter again replaces it" in shown(app))
        await pilot.press("backspace", "t", "enter")  # typed anew, asked anew
        await until(pilot, lambda: "is there already" in shown(app))
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.run_screen
        assert (run / "figures" / "x.txt").read_text() == "mine"
        await pilot.press("W", "ctrl+u", *"none/x", "enter")
        await until(pilot, lambda: "there is no directory none" in shown(app))
        await pilot.press("ctrl+u", *"figures/x.txt", "enter", "enter")
        await until(pilot, lambda: app.screen is app.run_screen)
        assert "dense_3/bias" in (run / "figures" / "x.txt").read_text()
        await pilot.press("W", "ctrl+u", *"figure-old", "enter")  # into it
        await until(pilot, lambda: list((run / "figure-old").glob("tbgrad-a-*.txt")))
    assert not list(run.rglob(".*"))


async def test_the_palette_goes_to_places(tmp_path):
    for name in ("first", "second"):
        write_run(tmp_path / name, steps=60)
    add_error(tmp_path / "second")
    app = app_on(tmp_path)

    async def chosen(pilot, query: str) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: CommandPalette.is_open(app))
        await pilot.press(*query)
        listed = app.screen.query_one(OptionList)
        await until(pilot, lambda: listed.option_count and listed.highlighted is not None)
        await pilot.pause(0.2)
        await pilot.press("enter")
        await until(pilot, lambda: not CommandPalette.is_open(app))

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen is app.overview_screen and app.run_in_front)
        await chosen(pilot, "seco")
        await until(pilot, lambda: app.screen is app.run_screen and app.run_name == "second")
        await chosen(pilot, "2/ker")
        await until(pilot, lambda: app.run_screen.parameter == "dense_2/kernel")
        await chosen(pilot, "m_max")
        scalars = app.run_screen.panel("scalars")
        await until(pilot, lambda: scalars.display and "peak" in "".join(scalars.lines()))
        await chosen(pilot, "nonf")
        await until(pilot, lambda: app.screen is app.run_screen and app.view.cursor == 300)
        assert app.run_screen.parameter == "dense_0/kernel"
        await chosen(pilot, "compa")
        await until(pilot, lambda: app.screen is app.compare_screen)


def test_of_many_places_the_best_are_found():
    names = [f"model/block_{i}/dense_{j}/kernel" for i in range(50) for j in range(100)]
    best, more = matching(names, "BLOCK_7/dense_42")
    assert [names[at] for _, at in best] == ["model/block_7/dense_42/kernel"]
    assert more == 0
    best, more = matching(names, "dense")
    assert (len(best), more) == (MOST, 5000 - MOST)
    assert [at for _, at in best] == sorted(at for _, at in best)
    assert matching(["xb", "b/a", "b"], "b")[0] == [(0, 2), (1, 1), (2, 0)]
    assert matching(["one two", "two"], "two one")[0] == [(3, 0)]
    assert matching(names, "  ") == ([], 0)


async def test_the_footer_has_the_keys_of_the_panel_in_front(run):
    app = app_on(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        for panel, own, other in (("loss", "zoom x", "fold"), ("layers", "fold", "zoom x")):
            app.run_screen.bring(panel)
            await pilot.pause()
            (line,) = app.run_screen.query_one(Footer).lines()
            assert own in line
            assert other not in line
            assert "alerts" in line
            assert "help" in line
