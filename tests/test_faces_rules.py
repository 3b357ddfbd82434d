"""A rule is one entry in the table of rules, and it is judged wherever rules are.

It is added to a copy of the packages, as a developer would add it: a file with the rule, and its
name in the table.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.added_rule import ROOT, STEPS, said_in

NAME = "gradient_is_small"
LIMIT = 0.1
RULE = f'''
from tbgrad.diagnosis.rule import Advice, Rule
from tbgrad.log.tags import GRADIENT_NORM


def _small(moment):
    norm = moment.record.scalars.get(GRADIENT_NORM)
    return None if norm is None else norm < {LIMIT}


SMALL = Rule(
    name="{NAME}",
    shows=GRADIENT_NORM,
    severity="error",
    applies=_small,
    evidence=lambda moment, _: f"a norm of {{moment.record.scalars[GRADIENT_NORM]:.3f}}",
    causes=("it was planted",),
    advice=Advice("let it grow"),
    headline="the gradient is small",
    every_step=True,
)
'''
TABLE = "tbgrad/diagnosis/rules/__init__.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages with one rule more."""
    copy = tmp_path_factory.mktemp("package")
    for name in ("tbgrad", "tui"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    table = copy / TABLE
    before = table.read_text(encoding="utf-8")
    after = before.replace("\nRULES = (\n", "\nRULES = (\n    added.SMALL,\n")
    assert after != before
    after = after.replace("rules import (\n", "rules import (\n    added,\n")
    table.write_text(after, encoding="utf-8")
    table.with_name("added.py").write_text(RULE, encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def said(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return said_in(package, tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def began(said: dict[str, Any]) -> int:
    """The step from which on the gradient is small, which it was not from the start."""
    first = next(step for step, norm in enumerate(said["norms"], 1) if norm < LIMIT)
    assert 3 < first < STEPS - 3
    return first


def of_rule(alerts: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(a["severity"], a["first_step"]) for a in alerts if a["rule"] == NAME]


def test_the_writer_judges_it(said: dict[str, Any], began: int) -> None:
    assert set(of_rule(said["logged"])) == {("error", began)}


def test_a_report_judges_it(said: dict[str, Any], began: int) -> None:
    assert of_rule(said["reported"]) == [("error", began)]


def test_the_tab_judges_it(said: dict[str, Any], began: int) -> None:
    assert NAME in said["served"]["rules"]
    assert of_rule(said["served"]["alerts"]) == [("error", began)]


def test_the_terminal_judges_it(said: dict[str, Any], began: int) -> None:
    (alert,) = (alert for alert in said["reported"] if alert["rule"] == NAME)
    for words in (NAME, alert["evidence"], f"step {began}"):
        assert words in said["shown"]
