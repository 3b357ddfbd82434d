"""Parameters as a tree by their names: folded blocks, an order, a search, names that fit.

A layer (a branch whose members all are parameters) has no row of its own while it is open: its
parameters stand there with their whole names. A block (a branch of branches) has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Node:
    """A parameter, or a branch with all below it.

    `path` is the whole name, of a branch with a slash at its end; `label` what the path of the
    branch above does not say. `rows` are the numbers of the parameters, in the order of the names.
    """

    path: str
    label: str
    rows: tuple[int, ...]
    children: tuple[Node, ...] = ()

    @property
    def is_layer(self) -> bool:
        """Whether it is a branch of parameters alone."""
        return bool(self.children) and not any(child.children for child in self.children)


@dataclass(frozen=True)
class Line:
    """A row of the tree as it is shown: `depth` blocks above it are open, `is_open` its own."""

    node: Node
    label: str
    depth: int
    is_open: bool = False


def tree_of(names: Sequence[str]) -> tuple[Node, ...]:
    """The tree of names with slashes in them. What all of them begin with is left out.

    >>> [node.label for node in tree_of(["net/a/kernel", "net/a/bias", "net/b/kernel"])]
    ['a', 'b/kernel']
    """
    nodes = _nodes([(name.split("/"), row) for row, name in enumerate(names)], "")
    while len(nodes) == 1 and nodes[0].children and not nodes[0].is_layer:
        nodes = nodes[0].children
    return nodes


def _nodes(entries: Sequence[tuple[list[str], int]], above: str) -> tuple[Node, ...]:
    groups: dict[tuple[str, bool], list[tuple[list[str], int]]] = {}
    for parts, row in entries:
        groups.setdefault((parts[0], len(parts) > 1), []).append((parts[1:], row))
    nodes = []
    for (part, branches), members in groups.items():
        rows = tuple(row for _, row in members)
        if not branches:
            nodes.append(Node(above + part, part, rows))
            continue
        path = f"{above}{part}/"
        below = _nodes(members, path)
        if len(below) == 1:  # nothing to choose from: one step down
            nodes.append(replace(below[0], label=f"{part}/{below[0].label}"))
        else:
            nodes.append(Node(path, part, rows, below))
    return tuple(nodes)


def branches(nodes: Sequence[Node], depth: int = 0) -> Iterator[tuple[Node, int]]:
    """Every branch, with how many branches are above it."""
    for node in nodes:
        if node.children:
            yield node, depth
            yield from branches(node.children, depth + 1)


def lines(nodes: Sequence[Node], folded: Collection[str], depth: int = 0) -> list[Line]:
    """The rows that are shown where the branches with the paths in `folded` are."""
    shown = []
    for node in nodes:
        if not node.children or node.path in folded:
            shown.append(Line(node, node.label, depth))
        elif node.is_layer:
            shown += [Line(child, f"{node.label}/{child.label}", depth) for child in node.children]
        else:
            shown.append(Line(node, node.label, depth, True))
            shown += lines(node.children, folded, depth + 1)
    return shown


def folded_to_fit(nodes: Sequence[Node], room: int) -> frozenset[str]:
    """The fewest levels of branches to fold, the innermost first, so that `room` rows suffice.

    All of them where that is not enough.
    """
    known = list(branches(nodes))
    for deepest in range(max((depth for _, depth in known), default=-1) + 1, -1, -1):
        folded = frozenset(node.path for node, depth in known if depth >= deepest)
        if len(lines(nodes, folded)) <= room:
            return folded
    return frozenset(node.path for node, _ in known)


def above(nodes: Sequence[Node], path: str) -> list[str]:
    """The paths of the branches that the parameter or branch of this path lies in."""
    return [
        node.path for node, _ in branches(nodes) if path != node.path and path.startswith(node.path)
    ]


def ordered(nodes: Sequence[Node], key: Callable[[tuple[int, ...]], float]) -> tuple[Node, ...]:
    """The same tree with the largest `key` of the rows of a node first, at every level."""
    inner = [replace(node, children=ordered(node.children, key)) for node in nodes]
    return tuple(sorted(inner, key=lambda node: -key(node.rows)))


def matching(nodes: Sequence[Node], text: str) -> tuple[Node, ...]:
    """What of the tree has all words of `text` in its path, without regard to case."""
    words = text.lower().split()
    kept = []
    for node in nodes:
        below = matching(node.children, text)
        if len(below) == 1:
            kept.append(replace(below[0], label=f"{node.label}/{below[0].label}"))
        elif below:
            rows = tuple(row for child in below for row in child.rows)
            kept.append(replace(node, rows=rows, children=below))
        elif not node.children and all(word in node.path.lower() for word in words):
            kept.append(node)
    return tuple(kept)


def abbreviated(label: str, width: int, among: Sequence[str] = ()) -> str:
    """A name in at most `width` characters that keeps its numbers.

    Parts in the middle go, as few as suffice, where no other name of those that it stands `among`
    differs from it there alone. Then words lose letters, the longest first: those that other names
    have too, then all.

    >>> abbreviated("decoder_block_17/self_attention/query/kernel", 31)
    'decoder_block_17/…/query/kernel'
    """
    if len(label) <= width:
        return label
    parts = kept = label.split("/")
    others = [other.split("/") for other in among if other != label]
    for size in range(1, len(parts) - 1):
        for start in range(1, len(parts) - size):
            head, gone, tail = parts[:start], parts[start : start + size], parts[start + size :]
            alike = any(o[:start] == head and o[len(o) - len(tail) :] == tail for o in others)
            if not alike and not any(map(_number, gone)):
                kept = [*head, "…", *tail]
                if len("/".join(kept)) <= width:
                    return "/".join(kept)
    widths = [len(part) for part in kept]
    elsewhere = {part for other in others for part in other}
    for common_only in (True, False):
        while sum(widths) + len(kept) - 1 > width:
            usable = [i for i, part in enumerate(kept) if widths[i] > _least(part)]
            if common_only:
                usable = [i for i in usable if kept[i] in elsewhere]
            if not usable:
                break
            widths[max(usable, key=lambda i: widths[i])] -= 1
    return "/".join(map(_narrowed, kept, widths))


def _number(part: str) -> str:
    """The number at its end, "" where there is none."""
    found = re.search(r"\d+$", part)
    return found.group() if found else ""


def _least(part: str) -> int:
    """A letter, "…" and the number."""
    return min(len(part), 2 + len(_number(part)))


def _narrowed(part: str, width: int) -> str:
    """A word with "…" in place of its middle, or of all before the number at its end."""
    if len(part) <= width:
        return part
    end = _number(part) or part[len(part) - (width - 1) // 2 :]
    return part[: max(1, width - 1 - len(end))].rstrip("_") + "…" + end
