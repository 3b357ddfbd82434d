"""What of the layers is shown: measure, order, search, folds, and which line is selected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import SEVERITIES
from tbgrad.reading import layer_history, parameter_tree
from tbgrad.reading.layer_history import MEASURES, LayerHistory, badness
from tbgrad.reading.parameter_tree import Line, Node
from tbgrad.reading.run import Run
from tbgrad_tui import facts

ORDERS = ("in order", "worst first", "most changed first", "alerts first")
"""What layers may be sorted by, in the order of the key."""


class LayerView:
    """The lines of a run's layers; which one is selected stays as the run goes on.

    `folded` are the paths of the branches that are; None as long as the user leaves it to the room
    that there is. `row` is the parameter that the selected line stands for: the worst of a branch.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.measure = MEASURES["norm"]
        self.order = ORDERS[0]
        self.text = ""
        self.folded: frozenset[str] | None = None
        self.path = ""
        self._room = 1
        self._tree: tuple[object, tuple[Node, ...]] = None, ()
        self._nodes: tuple[tuple[object, ...], tuple[Node, ...]] = (), ()
        self._shown: tuple[tuple[object, ...], tuple[frozenset[str], list[Line]]] = (
            (),
            (frozenset(), []),
        )

    # ------------------------------------------------------------------------ what there is

    @property
    def history(self) -> LayerHistory | None:
        """The measure through the training; None where the log has nothing of parameters."""
        return facts.layer_history(self.run, self.measure) if self.run is not None else None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The tree: what was searched for, in the order that was asked for."""
        run = self.run
        if run is None:
            return ()
        if self._tree[0] != run.names:
            self._tree = run.names, parameter_tree.tree_of(run.names)
        sorted_by = (run, self.measure) if self.order != ORDERS[0] else ()
        key = self._tree[1], self.order, self.text, *sorted_by
        if not _same(key, self._nodes[0]):
            nodes = parameter_tree.matching(self._tree[1], self.text)
            sizes = self._sizes()
            if sizes is not None:
                nodes = parameter_tree.ordered(nodes, lambda rows: float(sizes[list(rows)].max()))
            self._nodes = key, nodes
        return self._nodes[1]

    def _sizes(self) -> NDArray[np.float64] | None:
        """What each parameter is sorted by, None in the order of the log."""
        history, run = self.history, self.run
        if self.order == ORDERS[0] or history is None or run is None:
            return None
        if self.order == ORDERS[1]:
            return badness(history.newest, self.measure, history.lost)
        if self.order == ORDERS[2]:
            return layer_history.change(history, self.measure)
        alerts = facts.alerts_by_name(run)
        grave = {severity: len(SEVERITIES) - i for i, severity in enumerate(SEVERITIES)}
        return np.array([grave[alerts[n].severity] if n in alerts else 0.0 for n in run.names])

    def lines(self) -> list[Line]:
        """The lines, folded by hand or as the room asks for."""
        return self._seen()[1]

    def _folded(self) -> frozenset[str]:
        return self._seen()[0]

    def _seen(self) -> tuple[frozenset[str], list[Line]]:
        """What is folded, and the lines that are left: found once for all that ask."""
        nodes = self.nodes
        key = nodes, self.folded, self._room if self.folded is None else 0
        if not _same(key, self._shown[0]):
            folded = self.folded
            if folded is None:
                folded = parameter_tree.folded_to_fit(nodes, self._room)
            self._shown = key, (folded, parameter_tree.lines(nodes, folded))
        return self._shown[1]

    def fit(self, room: int) -> None:
        """So many rows there are."""
        self._room = room

    # ------------------------------------------------------------------------ what is selected

    def index(self, lines: Sequence[Line]) -> int:
        """Which line is selected: that of the path, that in which it is folded, its first one."""
        paths = [line.node.path for line in lines]
        if self.path in paths:
            return paths.index(self.path)
        for i, path in enumerate(paths):
            if path.endswith("/") and self.path.startswith(path) and not lines[i].is_open:
                return i
        of_layer = (i for i, path in enumerate(paths) if path.startswith(self.path))
        return next(of_layer, 0) if self.path else 0

    @property
    def row(self) -> int:
        """The parameter that the selected line stands for."""
        lines = self.lines()
        return self.worst(lines[self.index(lines)].node) if lines else 0

    @property
    def parameter(self) -> str:
        """Its name, "" as long as nobody has selected any."""
        names = self.run.names if self.run is not None else ()
        return names[self.row] if self.path and names else ""

    def worst(self, node: Node) -> int:
        """The worst of the parameters of a node."""
        history = self.history
        if len(node.rows) == 1 or history is None:
            return node.rows[0]
        rows = list(node.rows)
        bad = badness(history.newest[rows], self.measure, history.lost[rows])
        return rows[int(np.argmax(bad))]

    def select(self, index: int) -> None:
        """Select a line, the first or last one beyond the ends."""
        lines = self.lines()
        if lines:
            self.path = lines[max(0, min(index, len(lines) - 1))].node.path

    def move(self, lines: int) -> None:
        """Select a line further down."""
        self.select(self.index(self.lines()) + lines)

    def reveal(self, row: int) -> None:
        """Select a parameter, and open the branches that it is in."""
        assert self.run is not None
        self.path = self.run.names[row]
        if all(row not in node.rows for node in self.nodes):
            self.text = ""
        hidden = self._folded() & set(parameter_tree.above(self.nodes, self.path))
        if hidden:
            self.folded = self._folded() - hidden

    # ------------------------------------------------------------------------ what keys change

    def change(self, what: str, by: int = 1) -> bool:
        """What a key does; False where there was nothing to do it to."""
        if what == "measure":
            self.next_measure(by)
        elif what == "alert":
            return self.next_alert()
        else:
            {"fold": self.fold, "fold_all": self.fold_all, "sort": self.sort}[what]()
        return True

    def fold(self) -> None:
        """Open a folded branch; fold an open one, or that in which the selected line is."""
        lines = self.lines()
        if not lines:
            return
        node, folded = lines[self.index(lines)].node, self._folded()
        if node.children:
            self.folded = folded ^ {node.path}
            self.path = node.path
        elif around := parameter_tree.above(self.nodes, node.path):
            self.folded = folded | {around[-1]}
            self.path = around[-1]

    def fold_all(self) -> None:
        """Fold all branches; where they are, open all."""
        every = frozenset(node.path for node, _ in parameter_tree.branches(self.nodes))
        self.folded = frozenset() if every <= self._folded() else every

    def next_measure(self, by: int) -> None:
        """Show another measure; those that the log does not have are passed over."""
        measures = list(MEASURES.values())
        at = measures.index(self.measure)
        for i in range(1, len(measures) + 1):
            self.measure = measures[(at + i * by) % len(measures)]
            history = self.history
            if history is not None and not np.isnan(history.values).all():
                break

    def sort(self) -> None:
        """By what comes next."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]

    def search(self, text: str) -> None:
        """Show what has these words in its name; all where there are none."""
        self.text = text
        self.folded = None

    def next_alert(self) -> bool:
        """Go to the next parameter with an open alert, in the order of the lines; if there is one.

        From a branch that is to the first within it.
        """
        run = self.run
        if run is None:
            return False
        alerts = facts.alerts_by_name(run)
        whole = parameter_tree.lines(self.nodes, frozenset())
        rows = [line.node.rows[0] for line in whole if not line.node.children]
        places = {row: place for place, row in enumerate(rows)}
        ill = [place for place, row in enumerate(rows) if run.names[row] in alerts]
        if not ill:
            return False
        lines, at = self.lines(), -1
        if lines and self.path:
            node = lines[self.index(lines)].node
            at = min(places[row] for row in node.rows) - bool(node.children)
        self.reveal(rows[next((place for place in ill if place > at), ill[0])])
        return True


def _same(key: tuple[object, ...], former: tuple[object, ...]) -> bool:
    """Whether nothing changed: large things are the same one, not an equal one."""
    return len(key) == len(former) and all(
        new is old or (isinstance(new, str | int) and new == old)
        for new, old in zip(key, former, strict=True)
    )
