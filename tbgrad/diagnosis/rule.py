"""What a rule is, and what it looks at: a record, the trend that led there, the thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.facts import Facts
from tbgrad.diagnosis.network import Network
from tbgrad.diagnosis.record import Record
from tbgrad.diagnosis.trend import Trend
from tbgrad.log.records import Manifest

if TYPE_CHECKING:
    from tbgrad.diagnosis.settings import AlertSettings

Rows: TypeAlias = NDArray[np.intp]
Severity: TypeAlias = Literal["info", "warning", "error"]


class Advice(NamedTuple):
    """The one thing to change first, and what to try where that is not it."""

    first: str
    then: str = ""


@dataclass(frozen=True)
class Moment:
    """One record, what led there, and from what on rules apply.

    Where an alert is put in words, now or again, `since` is the step at which it began.
    """

    record: Record
    trend: Trend
    settings: AlertSettings
    facts: Facts
    layers: Network | None = None
    since: int = -1

    @property
    def manifest(self) -> Manifest | None:
        """The newest one, also where the record has none."""
        return self.record.manifest or self.facts.manifest

    @property
    def has_rival(self) -> bool:
        """Whether models train against each other: a loss is what the other makes of it."""
        return self.manifest is not None and bool(self.manifest.group)


@dataclass(frozen=True)
class Rule:
    """A fault, and how it shows.

    `applies` says of a moment where the fault is: of the run (a bool) or of each of `names` (bools
    [P], by default of the parameters of the manifest); None where the record cannot tell. An alert
    is opened once that was so for `opens_after` steps in a row and closed once it was not for
    `closes_after` of them, twice as many each time it has come back: steps from the first such
    record to the newest, as far apart as they are, of which `case.enough` were seen. Where
    `at_once`, which may look at the same moment, is true of a row, one such record is enough. A
    rule with `every_step` looks at the loss and the norms alone: where every step is on file it is
    shown each. `evidence` says in words what was measured, in these rows, in the record that opened
    the alert or tells it again; `severity`, `causes` and `advice` may depend on that, too.
    `headline` is the fault in a few words, to which faces add where and when. Where such records
    are few, `told_always` has an alert that lasts told again at each, with what is measured there.
    `shows` is the scalar (by tag) or the statistic of the layers (by name) in which faces show the
    fault, `needs` the series without which the rule never says anything. `threshold` is from what
    value of what it `shows` on the rule applies at this moment, by the settings and what led there;
    None where it looks at something derived from that.
    """

    name: str
    shows: str
    severity: Severity | Callable[[Moment], Severity]
    applies: Callable[[Moment], Any]
    evidence: Callable[[Moment, Rows], str]
    causes: tuple[str, ...] | Callable[[Moment, Rows], tuple[str, ...]]
    advice: Advice | Callable[[Moment, Rows], Advice]
    headline: str | Callable[[Moment, Rows], str] = ""
    opens_after: int = 1
    closes_after: int = 1
    at_once: Callable[[Moment], Any] | None = None
    told_always: bool = False
    every_step: bool = False
    needs: str = ""
    threshold: Callable[[Moment], float | None] = lambda _: None
    names: Callable[[Manifest], tuple[str, ...]] = lambda manifest: manifest.names


def share(moment: Moment, rows: Rows) -> str:
    """How many of the parameters these rows are, for a sentence."""
    record = moment.record
    of = record.table if record.norms is None else record.norms
    assert of is not None
    return f"{len(rows)} of {len(of)} parameters"
