"""One frame as text, and how the app looks on a terminal that is another than usual."""

import io
import shutil

import numpy as np
import pytest
from rich.color import Color
from rich.console import Console
from rich.style import Style
from tbgrad_tui.background import is_light
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.appearance import RAMPS, Appearance
from tbgrad_tui.chart.canvas import Canvas, set_appearance
from tbgrad_tui.chart.oklch import colour_of, oklch_of
from tbgrad_tui.pace import Pace
from tbgrad_tui.screenshot import print_once
from tbgrad_tui.terminal import in_ascii

from tests.commands.conftest import refusal, run
from tests.support.logs import write_run

DARK = Appearance()


class Rests(Pace):
    """Rests, as after a drawing that took long: what is read now is drawn later."""

    def ask(self):
        pass


@pytest.fixture(autouse=True)
def _as_usual():
    yield
    set_appearance(DARK)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("once")
    write_run(directory / "first" / "a", steps=60)
    write_run(directory / "second" / "b", steps=40)
    return directory


def printed(logdir, appearance=DARK, pattern="*", size=(120, 40)) -> list[str]:
    console = Console(file=io.StringIO(), width=size[0], height=size[1])
    print_once(logdir, console, appearance, pattern)
    return console.file.getvalue().splitlines()


def test_once_prints_the_first_screen_into_a_pipe(logs):
    done = run("watch", "--once", logs / "first")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 40
    assert all(len(line) == 120 for line in lines)
    assert "\x1b" not in done.stdout
    assert "step 59" in lines[0] or "step 60" in lines[0]
    assert any("dense_0/kernel" in line and "░" in line for line in lines), "no shades of the map"


def test_several_directories_are_one_list_of_runs(logs):
    lines = printed([str(logs / "first"), logs / "second", logs / "first"])
    assert "2 runs" in lines[0]
    assert any("first/a" in line for line in lines)
    assert any("second/b" in line for line in lines)


def test_directories_of_one_name_are_told_apart(tmp_path, logs):
    for machine in ("one", "two"):
        shutil.copytree(logs / "first" / "a", tmp_path / machine / "runs")
    lines = printed([tmp_path / "one" / "runs", tmp_path / "two" / "runs"])
    assert any(line.startswith("│ ") and "one" in line for line in lines)
    assert any(line.startswith("│ ") and "two" in line for line in lines)


def test_runs_are_chosen_by_a_pattern(logs):
    assert "step" in printed(logs, pattern="*/b")[0]
    text = "\n".join(printed(logs, pattern="nothing"))
    assert "none whose name matches" in text
    assert "first/a, second/b" in text


def test_once_of_what_is_not_there_is_one_sentence(tmp_path):
    assert "does not exist" in refusal("watch", "--once", tmp_path / "nothing")


def test_ascii_is_ascii_in_as_many_cells(logs):
    usual, plain = (printed(logs / "first", Appearance(ascii=ascii)) for ascii in (False, True))
    assert not "\n".join(usual).isascii()
    assert "\n".join(plain).isascii()
    assert [len(line) for line in plain] == [len(line) for line in usual]
    canvas = Canvas(4, 1)
    canvas.write(0, 0, "é日x")
    set_appearance(Appearance(ascii=True))
    assert canvas.strip(0).text == "e??x"


@pytest.mark.parametrize(
    ("environment", "ascii"),
    [
        ({"LANG": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "en_GB.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "en_GB.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({}, False),
        ({"TERM": "dumb", "LANG": "en_GB.UTF-8"}, True),
    ],
)
def test_the_language_tells_whether_there_is_ascii_alone(environment, ascii):
    assert in_ascii(environment) is ascii


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("system", ["all", "256", "standard"])
def test_the_map_goes_one_way_in_lightness_and_is_never_red(system, light):
    """Lightness by the formula of CIE L*, which is another than the one it is made with."""
    levels = [Appearance(light, system).look(style).bgcolor for style in colours.HEAT]
    rgb = np.array([colour.get_truecolor() for colour in levels]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) * (-1 if light else 1) >= -1e-3).all()
    assert abs(luminance[0] - luminance[-1]) > 0.5
    assert (rgb[:, 0] <= 1.1 * np.maximum(rgb[:, 1], rgb[:, 2])).all(), "red means an alert"
    if system in RAMPS:
        assert {colour.number for colour in levels} == set(RAMPS[system])


@pytest.mark.parametrize("name", ["TEXT", "STRONG", "QUIET", "GOOD", "WARNING", "ALERT", "MAIN"])
@pytest.mark.parametrize("light", [False, True])
def test_words_can_be_read_on_both_grounds(name, light):
    appearance = Appearance(light)
    ground = Color.parse(appearance.variables()["ground"])
    colour = appearance.look(getattr(colours, name)).color
    luminances = []
    for each in (ground, colour):
        rgb = np.array(each.get_truecolor()) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        luminances.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    low, high = sorted(luminances)
    assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.1, 1.4.3


def test_colours_go_to_lightness_chroma_and_hue_and_back():
    for red, green, blue in ((0, 0, 0), (255, 255, 255), (200, 30, 90), (14, 18, 22)):
        triplet = Color.from_rgb(red, green, blue).get_truecolor()
        assert colour_of(*oklch_of(triplet)).get_truecolor() == triplet
    # CSS Color 4: the OKLCH of "red"
    found = oklch_of(Color.from_rgb(255, 0, 0).get_truecolor())
    assert found == pytest.approx((0.62796, 0.25768, 29.234), rel=1e-3)


def test_what_is_drawn_changes_with_the_appearance():
    canvas = Canvas(1, 1)
    canvas.write(0, 0, "x", Style(color="#ffffff"))
    dark = next(iter(canvas.strip(0))).style
    set_appearance(Appearance(light=True))
    light = next(iter(canvas.strip(0))).style
    assert dark.color.get_truecolor().red == 255
    assert light.color.get_truecolor().red < 80


@pytest.mark.parametrize(
    ("answer", "light"),
    [
        (b"\x1b]11;rgb:ffff/fafa/e5e5\x1b\\\x1b[?62;22c", True),
        (b"\x1b]11;rgb:00/2b/36\x07\x1b[?62c", False),
        (b"\x1b]11;rgba:ffff/ffff/ffff/ffff\x07", True),
        (b"\x1b[?1;2c", False),
        (b"", False),
    ],
)
def test_the_answer_of_a_terminal_about_its_background(answer, light):
    assert is_light(answer) is light


def test_the_frame_is_of_all_that_was_read(logs, monkeypatch):
    """However long the app rests: what it drew while it read is not printed."""
    monkeypatch.setattr("tbgrad_tui.app.Pace", Rests)
    assert "step 60" in "".join(printed(logs / "first" / "a"))
