"""Regular expressions in a time in proportion to the text, against those of Python."""

from __future__ import annotations

import random
import re

import pytest

from tbgrad.reading.pattern import MOST_CHARACTERS, pattern
from tbgrad.reading.run_filter import run_filter

EXPRESSIONS = [
    "", "a", "a.c", "^a", "c$", "^$", "^a*$", "a|b|", "(a|ab)(c|bcd)", "(?:ab)+c?", "[a-c]{2,3}x",
    "[^a-c]", "[]a]b", "[a-]+", r"\d+\.\d", r"\w\s\W", r"seed[12]$", "a{2}", "a{b}",
    "x*?y", "(a*)*b", "(^a|b)c", "(a|b$)", r"lr0\.1.*seed", "ÄÖ", "[A-Z]1", r"[\d_]x",
    r"a\|b", "a{0}b",
]  # fmt: skip
TEXTS = [
    "", "a", "abc", "abcd", "ABCX", "aab", "xx", "b-c", "sgd-lr0.1-seed2", "]b", "3.14", "a b!",
    "äö", "a{b}", "_x", "a|b", "x9_y", "aaaa", "bc", "cab",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_found_is_what_python_finds(expression: str) -> None:
    found, wanted = pattern(expression), re.compile(expression, re.IGNORECASE)
    assert [found(text) for text in TEXTS] == [bool(wanted.search(text)) for text in TEXTS]


def made(rng: random.Random, depth: int) -> str:
    """An expression at random."""
    if depth == 0:
        return rng.choice(["a", "b", ".", "[ab]", "[^a]", r"\d", "^", "$", "c"])
    inner = [made(rng, depth - 1) for _ in range(2)]
    sign = rng.choice(["*", "+", "?", "{1,2}", "{2}", ""])
    return rng.choice(
        [f"{inner[0]}{inner[1]}", f"({inner[0]}|{inner[1]})", f"(?:{inner[0]}){sign}"]
    )


def test_expressions_at_random() -> None:
    rng = random.Random(0)
    for _ in range(400):
        expression = made(rng, 3)
        found, wanted = pattern(expression), re.compile(expression, re.IGNORECASE)
        for _ in range(8):
            text = "".join(rng.choices("abc1 ", k=rng.randrange(7)))
            assert found(text) == bool(wanted.search(text)), (expression, text)


@pytest.mark.parametrize(
    "expression", ["(a+)+$", "^(a|a)*$", "(a*)*b", ".*.*.*.*.*.*x", "(a?){99}b"]
)
def test_no_expression_takes_for_ever(expression: str) -> None:
    assert pattern(expression)("a" * 20_000 + "!") is False  # Python takes longer than the world


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(", r"missing \)"), ("a)", r"unexpected \)"), ("[a", r"missing \]"),
        ("*a", "no argument"), ("a**", "bad repetition"), ("a{99999}", "repetition size"),
        ("(?=a)", "invalid perl operator"), (r"(a)\1", "invalid escape"),
        ("[b-a]", "invalid character class range"), ("(a{100}){100}", "repetition size"),
        ("((){399}){399}", "repetition size"), ("a\\", "trailing"),
        ("x" * (MOST_CHARACTERS + 1), "201 characters; 200 may be"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_in_a_sentence(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pattern(expression)


def test_names_may_be_any_bytes() -> None:
    name = b"run \xff seed1".decode(errors="surrogateescape")
    assert pattern("seed1$")(name)
    assert not pattern("seed2$")(name)


def test_a_filter_of_runs_takes_them_between_slashes() -> None:
    chosen = run_filter("/^(a+)+$/ !/b|c$/")
    assert chosen("a" * 30, {})
    assert not chosen("a" * 30 + "c", {})
