"""The tree of parameters: what folds and fits, what is found, and names with their numbers."""

from __future__ import annotations

import pytest

from tbgrad.reading import parameter_tree
from tbgrad.reading.parameter_tree import abbreviated, tree_of

MEMBERS = (
    "attention/query/kernel",
    "attention/key/kernel",
    "dense/kernel",
    "dense/bias",
    "norm/gamma",
)
NAMES = [
    "net/embedding/table",
    *(f"net/block_{b}/{member}" for b in range(12) for member in MEMBERS),
    "net/head/kernel",
]


def labels(nodes, folded=frozenset()):
    return [line.label for line in parameter_tree.lines(nodes, folded)]


def test_layers_alone_have_no_row_of_their_own():
    nodes = tree_of([f"sequential/dense_{i}/{part}" for i in (0, 1) for part in ("kernel", "bias")])
    assert labels(nodes) == ["dense_0/kernel", "dense_0/bias", "dense_1/kernel", "dense_1/bias"]
    assert labels(nodes, {"sequential/dense_1/"}) == ["dense_0/kernel", "dense_0/bias", "dense_1"]
    assert [node.rows for node in nodes] == [(0, 1), (2, 3)]


def test_blocks_open_below_their_own_row():
    nodes = tree_of(NAMES)
    lines = parameter_tree.lines(nodes, parameter_tree.folded_to_fit(nodes, 1))
    assert [line.label for line in lines][:3] == ["embedding/table", "block_0", "block_1"]
    assert len(lines) == 14
    assert sorted(row for line in lines for row in line.node.rows) == list(range(len(NAMES)))
    opened = {node.path for node, _ in parameter_tree.branches(nodes)} - {"net/block_3/"}
    below = parameter_tree.lines(nodes, opened)[4:9]
    assert [(line.label, line.depth, line.is_open) for line in below] == [
        ("block_3", 0, True),
        ("attention", 1, False),
        ("dense", 1, False),
        ("norm/gamma", 1, False),
        ("block_4", 0, False),
    ]
    assert parameter_tree.above(nodes, NAMES[16]) == ["net/block_3/", "net/block_3/attention/"]


@pytest.mark.parametrize(
    ("room", "rows"), [(1000, 74), (74, 74), (73, 50), (50, 50), (49, 14), (3, 14)]
)
def test_as_much_is_open_as_there_is_room_for(room, rows):
    nodes = tree_of(NAMES)
    assert len(labels(nodes, parameter_tree.folded_to_fit(nodes, room))) == rows


def test_a_name_may_be_a_branch_too_and_one_parameter_is_a_tree():
    nodes = tree_of(["a", "a/b", "a/c"])
    assert labels(nodes) == ["a", "a/b", "a/c"]
    assert len({node.path for node in nodes}) == 2
    assert labels(tree_of(["net/dense/kernel"])) == ["net/dense/kernel"]
    assert tree_of([]) == ()


def test_the_order_is_that_of_the_key_at_every_level():
    size = {row: row % 7 for row in range(len(NAMES))}
    nodes = parameter_tree.ordered(tree_of(NAMES), lambda rows: max(size[row] for row in rows))

    def check(level):
        keys = [max(size[row] for row in node.rows) for node in level]
        assert keys == sorted(keys, reverse=True)
        for node in level:
            check(node.children)

    check(nodes)
    rows = sorted(row for node in nodes for row in node.rows)
    assert rows == list(range(len(NAMES)))


def test_a_search_keeps_what_has_every_word():
    nodes = parameter_tree.matching(tree_of(NAMES), "Block_1 QUERY")
    assert labels(nodes) == [f"block_{b}/attention/query/kernel" for b in (1, 10, 11)]
    assert labels(parameter_tree.matching(tree_of(NAMES), "")) == labels(tree_of(NAMES))
    assert parameter_tree.matching(tree_of(NAMES), "nowhere") == ()


@pytest.mark.parametrize("width", range(6, 60))
def test_a_shortened_name_fits_and_keeps_its_number(width):
    for block in (3, 41):
        label = f"decoder_block_{block}/self_attention/query/kernel"
        short = abbreviated(label, width, [label, label.replace("query", "key")])
        assert len(short) <= max(width, 13 + len(str(block)) - 1)
        assert f"{block}/" in short
        assert short.count("…") == 0 or len(label) > width


def test_equal_parts_in_the_middle_go_and_those_that_tell_names_apart_stay():
    query = "decoder_block_17/self_attention/query/kernel"
    assert abbreviated(query, 31) == "decoder_block_17/…/query/kernel"
    among = [f"self_attention/{part}/kernel" for part in ("query", "key", "value", "output")]
    short = [abbreviated(label, 20, among) for label in among]
    assert short[0] == "sel…ion/query/kernel"
    assert len(set(short)) == 4
    assert abbreviated("dense_0/kernel", 14) == "dense_0/kernel"
