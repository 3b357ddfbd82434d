"""What is known of a run that explains faults: causes that are there, each with its remedy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tbgrad.diagnosis.change import (
    MOST,
    USUAL_UPDATE,
    amount,
    by_default,
    divided_rate,
    literal,
    rate_of,
    safe_rate,
    setting,
)
from tbgrad.diagnosis.rule import Advice, Moment, Rows
from tbgrad.log.brief import percent
from tbgrad.log.text import number

LEARNED = 0.5
"""A loss below so much of that at first has learned something, whatever its terms and weights."""

USUAL_EPSILON = 1e-7
"""What optimizers in Keras have where nothing else is said."""

LARGE_EPSILON = 1e-5
"""An epsilon is no larger by accident: a gradient that is outweighed by less vanishes by itself."""

OUTWEIGHS = 10.0
"""A term that is so many times as large as the other is what counts of their sum."""

SOON = 64
"""So many steps, and as many as there were until then, may go by until a change shows."""

HALF_REMEDY = "keep weights in float32 in place of {0}: dtype='mixed_{0}'"

SQUARED = ("mean_squared_error", "mse")
ABSOLUTE = ("mean_absolute_error", "mae")


class Suspect(NamedTuple):
    """A cause that is known to be there, and what to change."""

    cause: str
    remedy: str


Suspicion: TypeAlias = Callable[[Moment], Suspect | None]


def chance(moment: Moment) -> float:
    """The loss of a classifier that knows nothing; NaN where that is not known."""
    manifest = moment.manifest
    if manifest is None or "crossentropy" not in manifest.loss or "," in manifest.loss:
        return math.nan
    if "binary" in manifest.loss:
        return math.log(2)
    return math.log(manifest.output_units) if manifest.output_units > 1 else math.nan


def came_to_rest(moment: Moment) -> bool:
    """Whether the gradient is next to nothing beside that at first."""
    trend = moment.trend
    return trend.usual_norm < moment.settings.small_gradient * trend.first_norm


def momentum(moment: Moment) -> Suspect | None:
    """A momentum that remembers for longer than anything lasts."""
    for name in ("momentum", "beta_1"):
        value = setting(moment, name)
        if moment.settings.momentum <= value < 1:
            return Suspect(
                f"{name} is {literal(value)}: a step goes on for some {1 / (1 - value):,.0f} steps",
                f"lower {name} from {literal(value)} to 0.9",
            )
    return None


def epsilon(moment: Moment) -> Suspect | None:
    """An epsilon that outweighs the gradients it is added to, so that updates are next to nothing.

    Of Adam and its kin: an update is the rate times m / (√v + epsilon), with √v of the size of the
    gradient of one weight (Kingma and Ba, "Adam", 2015, algorithm 1).
    """
    value, manifest = setting(moment, "epsilon"), moment.manifest
    if manifest is None or not value > LARGE_EPSILON:
        return None
    weights = sum(math.prod(parameter.shape) for parameter in manifest.parameters)
    gradient = moment.trend.usual_norm / math.sqrt(max(1, weights))
    if not value > OUTWEIGHS * gradient:
        return None
    return Suspect(
        f"epsilon is {literal(value)}, and the gradient of a weight about {number(gradient, 1)}: "
        "updates are as many times smaller",
        f"lower epsilon from {literal(value)} to {literal(USUAL_EPSILON)}",
    )


def dropout(moment: Moment) -> Suspect | None:
    """A dropout that lets next to nothing through."""
    manifest = moment.manifest
    if manifest is None or not moment.settings.dropout <= manifest.dropout < 1:
        return None
    rate, which = literal(manifest.dropout), manifest.dropout_of
    return Suspect(
        f"{which} of {rate} lets {percent(1 - manifest.dropout)} through",
        f"lower the rate of {which} from {rate} to 0.5",
    )


def inputs(moment: Moment) -> Suspect | None:
    """Inputs that are not scaled."""
    facts = moment.facts
    if len(facts.inputs) < 3 or not facts.input_scale > moment.settings.input_scale:
        return None
    return Suspect(
        f"the inputs are not scaled: their size is about {facts.input_scale:,.0f}",
        "scale the inputs to mean 0 and deviation 1 (a keras.layers.Normalization, adapted)",
    )


def targets(moment: Moment) -> Suspect | None:
    """Targets of a large scale under a squared or absolute error."""
    scale = target_scale(moment)
    if not scale > moment.settings.target_scale:
        return None
    return Suspect(
        f"the targets are not scaled: the loss amounts to an error of about {number(scale, 2)}",
        f"divide the targets by {amount(scale)} (their standard deviation, if you know it)",
    )


def target_scale(moment: Moment) -> float:
    """The error that the loss at first amounts to, in units of the targets; NaN if not known."""
    manifest, trend = moment.manifest, moment.trend
    loss = min(trend.first_loss, trend.opening_loss)
    if manifest is None or not loss > 0 or "," in manifest.loss:
        return math.nan
    if manifest.loss in SQUARED:
        return math.sqrt(loss)
    return loss if manifest.loss in (*ABSOLUTE, "huber", "log_cosh") else math.nan


def rate(moment: Moment) -> Suspect | None:
    """A learning rate that is measured to be too large."""
    facts = moment.facts
    if facts.worst_stability > moment.settings.stability:
        how = f"{facts.worst_stability:.1f} times beyond the stability threshold"
    elif facts.worst_update > moment.settings.update_ratio:
        how = f"one update moved {share_of(facts.worst_update)}"
    else:
        return None
    now = rate_of(moment)
    which = f" of {number(now, 3)}" if now > 0 else ""
    return Suspect(f"the learning rate{which} is too large: {how}", safe_rate(moment))


def raised(moment: Moment) -> Suspect | None:
    """A learning rate that was raised at once, not long ahead of the fault."""
    was = moment.facts.raised
    if was is None or not 0 <= moment.since - was.step <= max(SOON, was.step):
        return None
    if rate_of(moment) < was.rate / 2:
        return None
    before, now = literal(was.before, 3), literal(was.rate, 3)
    return Suspect(
        f"learning_rate was raised from {before} to {now} at step {was.step:,}",
        f"lower learning_rate from {now} to {before}",
    )


def forgetful(moment: Moment) -> Suspect | None:
    """Ftrl, whose weights are made of its sums of gradients alone: those at first are lost.

    McMahan et al., "Ad click prediction: a view from the trenches", 2013, algorithm 1.
    """
    manifest = moment.manifest
    if manifest is None or str(manifest.optimizer.get("name", "")).lower() != "ftrl":
        return None
    return Suspect(
        "Ftrl, which is for one layer: its first update puts all weights to about zero",
        "train with another optimizer than Ftrl, Adam for one",
    )


def half_precision(moment: Moment) -> Suspect | None:
    """Weights in float16, in which the optimizer computes, too."""
    manifest = moment.manifest
    if manifest is None or {p.dtype for p in manifest.parameters} != {"float16"}:
        return None
    return Suspect(
        "weights are float16, and so is what the optimizer keeps: squares of gradients and an "
        "epsilon of 1e-7 are zero there",
        HALF_REMEDY.format("float16"),
    )


def moves_far(moment: Moment) -> bool:
    """Whether an update, as it was logged last, changes much of all weights."""
    return moment.trend.update_ratio > moment.settings.large_update


def restless(moment: Moment) -> Suspect | None:
    """A learning rate whose every step moves too far for the loss to fall further."""
    if not moves_far(moment):
        return None
    ratio, now = moment.trend.update_ratio, rate_of(moment)
    which = f" of {number(now, 3)}" if now > 0 else ""
    return Suspect(
        f"the learning rate{which} is too large: every update moves {percent(ratio)} of the "
        f"weights, {ratio / USUAL_UPDATE:,.0f} times what is usual",
        divided_rate(moment, by_default(moment, min(MOST, ratio / USUAL_UPDATE))),
    )


def share_of(ratio: float) -> str:
    """How much of the weights an update changed, in words."""
    if ratio < 1:
        return f"{percent(ratio)} of the weights"
    return f"{number(ratio, 2)} times the weights"


def schedule(moment: Moment) -> Suspect | None:
    """A schedule that has come to its end."""
    facts = moment.facts
    if facts.ended_since < 0:
        return None
    return Suspect(
        f"the schedule ended at step {facts.ended_since:,}: learning_rate is "
        f"{number(facts.rate, 1)} "
        f"after {number(facts.peak_rate, 1)}",
        f"keep learning_rate at {literal(facts.peak_rate, 3)}: its schedule ended too early",
    )


def from_the_start(moment: Moment, step: int) -> bool:
    """Whether a fault that began at `step` was there before any update can have caused it."""
    return step <= max(1, moment.trend.first_step)


@dataclass(frozen=True)
class Explained:
    """The causes and the advice of a rule: what is known to be there comes ahead of what may be."""

    suspicions: tuple[Suspicion, ...]
    usual: tuple[str, ...] | Callable[[Moment], tuple[str, ...]]
    otherwise: Advice | Callable[[Moment, Rows], Advice]

    def causes(self, moment: Moment, _: Rows) -> tuple[str, ...]:
        """Those that are known, else the usual ones."""
        known = tuple(suspect.cause for suspect in self._found(moment))
        usual = self.usual if isinstance(self.usual, tuple) else self.usual(moment)
        return known or usual

    def advice(self, moment: Moment, rows: Rows) -> Advice:
        """The remedy of the first cause that is known, then that of the next."""
        remedies = [suspect.remedy for suspect in self._found(moment)]
        other = (
            self.otherwise if isinstance(self.otherwise, Advice) else self.otherwise(moment, rows)
        )
        remedies += [other.first, other.then]
        distinct = list(dict.fromkeys(remedy for remedy in remedies if remedy))
        return Advice(distinct[0], distinct[1] if len(distinct) > 1 else "")

    def known(self, moment: Moment) -> bool:
        """Whether one of the causes is known to be there."""
        return bool(self._found(moment))

    def _found(self, moment: Moment) -> list[Suspect]:
        found = (suspicion(moment) for suspicion in self.suspicions)
        return [suspect for suspect in found if suspect is not None]
