"""The README's questions in Python: its table is that of the code, its lines run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tbgrad.log.scalars import SCALARS

README = (Path(__file__).parents[1] / "README.md").read_text()
SECTION = README.partition("## Questions in Python")[2].partition("\n## ")[0]


def test_the_table_of_tags_is_that_of_the_scalars():
    rows = re.findall(r"^\| `(\S+)` \| (.+) \| (.+) \|$", SECTION, re.MULTILINE)
    assert rows == [(one.tag, one.unit or "–", one.meaning) for one in SCALARS.values()]


@pytest.mark.parametrize("line", re.findall(r"^    (run\S.*)$", SECTION, re.MULTILINE)[:16])
def test_every_question_has_an_answer(line, tmp_path, monkeypatch): ...
