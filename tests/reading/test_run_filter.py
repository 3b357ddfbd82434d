"""Filters of runs, word by word."""

from __future__ import annotations

import pytest

from tbgrad.reading.run_filter import run_filter

RUNS = {
    "sweep/adam-lr0.1-seed1": {"lr": 0.1, "width": 64, "optimizer": "Adam", "norm": True},
    "sweep/adam-lr0.001-seed2": {"lr": 0.001, "width": 128, "optimizer": "Adam"},
    "sweep/sgd-lr0.1-seed1": {"lr": 0.1, "width": 64, "optimizer": "SGD"},
    "Baseline": {},
}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", "abcd"),
        ("adam", "ab"),
        ("ADAM seed1", "a"),
        ("adam|base", "abd"),
        ("!adam", "cd"),
        ("!adam !base", "c"),
        ("sweep seed1|seed2 !sgd", "ab"),
        ("*seed1", "ac"),
        ("*lr0.?-seed1", "ac"),
        ("base*", "d"),
        ("/seed[2-9]$/", "b"),
        ("!/seed[2-9]$/ sweep", "ac"),
        (r"/adam|sgd.*seed1/", "abc"),
        ("lr>=0.1", "ac"),
        ("lr<1e-2", "b"),
        ("lr=1e-3|width=64", "abc"),
        ("width!=64", "b"),
        ("optimizer=adam", "ab"),
        ("optimizer>a", ""),
        ("norm=true", "a"),
        ("nothing=1", ""),
        ("!lr>=0.1", "bd"),
        ("|", "abcd"),
        ("lr0.1", "ac"),
    ],
)
def test_who_is_chosen(text, chosen):
    predicate = run_filter(text)
    found = [predicate(name, hparams) for name, hparams in RUNS.items()]
    assert "".join(c for c, yes in zip("abcd", found, strict=True) if yes) == chosen


def test_an_expression_that_is_none():
    with pytest.raises(ValueError, match=r"/\[/ is no regular expression"):
        run_filter("/[/")


@pytest.mark.parametrize("word", ["/" + "(" * 3000 + "/", "/a{99999}/"])
def test_an_expression_that_is_too_much(word):
    with pytest.raises(ValueError, match="is no regular expression"):
        run_filter(word)


def test_a_whole_number_beyond_all_others_is_compared_as_it_is():
    hparams = {"seed": 10**400}
    assert run_filter("seed>1e300 seed!=1")("a", hparams)
    assert not run_filter("seed<1")("a", hparams)
