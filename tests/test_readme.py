"""The README's questions in Python: its table is that of the code, its lines run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tbgrad
from tbgrad.log.scalars import SCALARS
from tests.support.findings import write_findings
from tests.support.logs import write_run

SECTION = (
    (Path(__file__).parents[1] / "README.md")
    .read_text()
    .partition("## Questions in Python")[2]
    .partition("\n## ")[0]
)
QUESTIONS = [
    line.strip() for line in SECTION.partition("| tag |")[0].splitlines() if line.startswith("    ")
]


def test_the_table_of_tags_is_that_of_the_scalars():
    rows = re.findall(r"^\| `(\S+)` \| (.+) \| (.+) \|$", SECTION, re.MULTILINE)
    assert rows == [(one.tag, one.unit or "–", one.meaning) for one in SCALARS.values()]


def test_every_question_has_an_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "a", steps=1000)
    known = {"tbgrad": tbgrad}
    for line in QUESTIONS:
        # The model of the README has a convolution, that of this log has not.
        exec(line.replace("conv_1", "dense_1"), known)
    assert len(QUESTIONS) > 15


def test_the_statistics_are_as_many_as_it_says():
    from tbgrad.log.statistics import STATISTICS

    assert len(STATISTICS) == 12
    assert "lists all twelve" in SECTION


@pytest.mark.parametrize("command", re.findall(r"^    tbgrad (plot .+)$", SECTION, re.MULTILINE))
def test_every_command_draws(command, tmp_path, monkeypatch):
    from tbgrad.commands.main import main

    monkeypatch.chdir(tmp_path)
    for name in ("a", "sgd", "adam"):
        write_run(tmp_path / "runs" / name, steps=100)
    write_findings(tmp_path / "runs")
    words = command.split()
    assert main(words) == 0
    assert (tmp_path / words[words.index("-o") + 1]).stat().st_size > 1000
