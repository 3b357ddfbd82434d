"""Names as people read them."""

import pytest

from tbgrad.log.short_names import natural, short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["sweep/lr0.1-seed18", "sweep/lr0.3-seed18"], ["lr0.1", "lr0.3"]),
        (["a", "b"], ["a", "b"]),
        (["one"], ["one"]),
        (["runs/a", "runs/ab"], ["a", "ab"]),
        (["x-1", "x-12"], ["1", "12"]),
        (["same/", "same/"], ["same/", "same/"]),
        (["s/lr1e-3-seed1", "s/lr1e-4-seed1"], ["lr1e-3", "lr1e-4"]),
        (["lr1-w64-b8-s1", "lr2-w64-b8-s2"], ["lr1…s1", "lr2…s2"]),
        (["lr1-s1", "lr2-s2"], ["lr1-s1", "lr2-s2"]),
        (["a_b/c", "a_b/c/d", "a_e"], ["b/c", "b/c/d", "e"]),
        (["a/b", "a"], ["a/b", "a"]),
    ],
)
def test_names_lose_what_all_share(names, short):
    assert [short_names(names)[name] for name in names] == short


def test_names_are_in_the_order_in_which_people_count():
    names = ["lr1e-3", "lr0.03", "lr10", "seed10", "seed9/b", "seed9", "", "seed", "7", "a"]
    counted = ["", "7", "a", "lr1e-3", "lr0.03", "lr10", "seed", "seed9", "seed9/b", "seed10"]
    assert sorted(names, key=natural) == counted
