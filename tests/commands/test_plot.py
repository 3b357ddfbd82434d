"""`tbgrad plot`: files of figures, and one sentence where there can be none."""

from __future__ import annotations

import sys

import pytest

from tbgrad.commands.main import main
from tests.support.logs import write_run


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("logs")
    for name in ("runs/sgd", "runs/adam", "others/sgd"):
        write_run(directory / name, steps=100)
    return directory


def refusal(capsys, *arguments) -> str:
    assert main(["plot", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("tbgrad: ")


def texts_of(path) -> set[str]:
    """The texts of an SVG, which stand beside their outlines as comments."""
    lines = path.read_text().splitlines()
    return {line.strip().removeprefix("<!--").removesuffix("-->").strip() for line in lines
            if line.strip().startswith("<!--")}  # fmt: skip


def test_runs_are_named_as_briefly_as_tells_them_apart(logdir, tmp_path, capsys):
    target = tmp_path / "a.svg"
    assert main(["plot", str(logdir / "runs"), "-o", str(target)]) == 0
    assert {"sgd", "adam", "loss", "gradient norm", "step"} <= texts_of(target)
    assert capsys.readouterr().err == f"{target}: scalars of 2 runs\n"
    both = [str(logdir / "runs/sgd"), str(logdir / "runs/adam")]
    assert main(["plot", *both, "-o", str(target), "--tag", "loss"]) == 0
    assert {"sgd", "adam"} <= texts_of(target)
    assert "gradient norm" not in texts_of(target)
    same = [str(logdir / "runs/sgd"), str(logdir / "others/sgd")]
    assert main(["plot", *same, "-o", str(target)]) == 0
    assert set(same) <= texts_of(target)
    assert main(["plot", str(logdir), "-o", str(target), "--run", "*/sgd"]) == 0
    assert {"runs/sgd", "others/sgd"} <= texts_of(target)
    assert "runs/adam" not in texts_of(target)


def test_every_option_reaches_its_figure(logdir, tmp_path, capsys):
    run, target = str(logdir / "runs/sgd"), tmp_path / "a.svg"
    for options, word in (
        (["--figure", "layers", "--statistic", "weight_norm"], "weight norm"),
        (["--figure", "distributions", "--parameter", "dense_1/kernel"], "share of the values"),
    ):
        assert main(["plot", run, "-o", str(target), "--width", "3.4", *options]) == 0
        assert word in texts_of(target)
        assert 'width="244.8pt"' in target.read_text()


def test_what_cannot_be_drawn_is_one_sentence_and_no_file(logdir, tmp_path, capsys):
    run, target = logdir / "runs/sgd", tmp_path / "a.pdf"
    for arguments, said in (
        (
            [run, "-o", tmp_path / "a.jpg"],
            "a.jpg does not say what to write: end it in one of .svg",
        ),
        ([run, "-o", target, "--figure", "lyers"], "no figure 'lyers'; did you mean 'layers'?"),
        ([run, "-o", target, "--tag", "losss"], "no scalar 'losss'; did you mean 'loss'?"),
        ([run, "-o", target, "--figure", "curvature"], "no run has estimates of the curvature"),
        ([run, "-o", target, "--run", "b*"], "no run matches 'b*'; there are: sgd"),
        ([tmp_path / "none", "-o", target], "none does not exist"),
        ([tmp_path, "-o", target], f"no event files below {tmp_path}"),
        ([run, "-o", tmp_path / "none" / "a.pdf"], "a.pdf cannot be written: No such file"),
    ):
        assert said in refusal(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(logdir, tmp_path, capsys, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as the interpreter says it is not there
    assert refusal(capsys, logdir / "runs", "-o", tmp_path / "a.png") == (
        "plot draws with matplotlib, which is not installed: pip install 'tbgrad[plot]'"
    )
