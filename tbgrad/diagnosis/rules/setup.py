"""Faults of how a training is set up: its output, its optimizer, its weights, its data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tbgrad.diagnosis.change import literal
from tbgrad.diagnosis.facts import ENDED
from tbgrad.diagnosis.initial_weights import alike, alike_rows
from tbgrad.diagnosis.output import wrong_output
from tbgrad.diagnosis.regularization import decay, fallen_weights
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.diagnosis.suspects import (
    Suspicion,
    dropout,
    inputs,
    momentum,
    schedule,
)
from tbgrad.log.brief import percent
from tbgrad.log.tags import LEARNING_RATE, LOSS
from tbgrad.log.text import number

MUCH = 0.5
"""A loss above so much of the first has not fallen far."""

SURE = 3.0
"""So many times what a correlation deviates by where there is nothing in common."""

SMOOTH = 0.3
"""Of what courses have in common, what neighbouring steps have in common too."""

FAR = 0.05
"""A loss that goes up and down by so much of itself."""

LASTED = 50
"""So many steps at the end of a schedule are no last few."""


def _high(moment: Moment, share: float = MUCH) -> bool:
    """Whether the loss has not fallen far."""
    trend = moment.trend
    return trend.count > 0 and trend.recent_loss > share * trend.scale


def _set_up(suspicion: Suspicion) -> Callable[[Moment], Any]:
    """Whether it is so: of settings, which any record shows."""
    return lambda moment: None if moment.manifest is None else suspicion(moment) is not None


def _causes(suspicion: Suspicion) -> Callable[[Moment, Rows], tuple[str, ...]]:
    def causes(moment: Moment, _: Rows) -> tuple[str, ...]:
        found = suspicion(moment)
        return (found.cause,) if found is not None else ()

    return causes


def _cause(suspicion: Suspicion) -> Callable[[Moment, Rows], str]:
    return lambda moment, rows: "; ".join(_causes(suspicion)(moment, rows))


def _remedy(suspicion: Suspicion, then: str = "") -> Callable[[Moment, Rows], Advice]:
    def advice(moment: Moment, _: Rows) -> Advice:
        found = suspicion(moment)
        return Advice(found.remedy if found is not None else "", then)

    return advice


def _zero(moment: Moment) -> Any:
    """Weights that began alike, and where that shows: in no gradient, or in a loss that stays."""
    rows = alike_rows(moment)
    if rows is None or moment.record.table is None:
        return None
    return rows if moment.facts.no_gradient or _high(moment, 0.9) else np.zeros_like(rows)


def _ended(moment: Moment) -> Any:
    """A schedule at its end for as long as it lasted, half of that if the loss is still high."""
    since, step = moment.facts.ended_since, moment.record.step
    if LEARNING_RATE not in moment.record.scalars:
        return None
    before = since - max(0, moment.trend.first_step)
    lasted = step - since
    enough = before / 2 if _too_early(moment) else before
    return since >= 0 and lasted >= max(LASTED, enough)


def _too_early(moment: Moment) -> bool:
    """Whether there was more to learn when the schedule ended."""
    return _high(moment, 0.25)


def _ended_evidence(moment: Moment, _: Rows) -> str:
    facts, trend = moment.facts, moment.trend
    said = (
        f"learning_rate is {number(facts.rate, 2)}, below {number(ENDED)} of its highest value "
        f"{number(facts.peak_rate, 2)}, since step {facts.ended_since:,}"
    )
    if _too_early(moment):
        return (
            f"{said}, and the loss of {number(trend.recent_loss, 3)} has not come far from "
            f"{number(trend.first_loss, 3)}"
        )
    return (
        f"{said}: the {moment.record.step - facts.ended_since:,} steps since change hardly anything"
    )


def _ended_advice(moment: Moment, rows: Rows) -> Advice:
    if _too_early(moment):
        return _remedy(schedule)(moment, rows)
    since, peak = moment.facts.ended_since, literal(moment.facts.peak_rate, 3)
    return Advice(
        f"end the training where its schedule ends, at step {since:,}",
        f"keep learning_rate at {peak} for longer",
    )


def _decayed(moment: Moment) -> Any:
    if moment.record.table is None:
        return None
    return decay(moment) is not None and _high(moment) and not moment.trend.falls


def _sorted(moment: Moment) -> Any:
    """Whether the loss takes the same smooth course in each epoch.

    Not so of shuffled data, whose epochs have nothing in common, nor of the same random order in
    each epoch, where neighbouring batches have nothing in common.
    """
    epochs = moment.facts.epochs
    if LOSS not in moment.record.scalars or moment.has_rival or math.isnan(epochs.likeness):
        return None
    limit = max(moment.settings.epoch_likeness, SURE * epochs.likeness_error)
    smooth = max(SMOOTH * epochs.likeness, SURE * epochs.smoothness_error)
    return epochs.likeness > limit and epochs.smoothness > smooth and epochs.amplitude > FAR


def _sorted_evidence(moment: Moment, _: Rows) -> str:
    epochs = moment.facts.epochs
    return (
        f"the loss takes the same course in each epoch (correlation {epochs.likeness:.2f}, alert "
        f"above {number(moment.settings.epoch_likeness)}), also beside the same place "
        f"({epochs.smoothness:.2f}), up and down by {percent(epochs.amplitude)}: what comes "
        "together in an epoch is learned together, and forgotten until the next"
    )


OUTPUT = Rule(
    name="output_mismatch",
    shows=LOSS,
    severity="warning",
    applies=_set_up(wrong_output),
    evidence=_cause(wrong_output),
    causes=_causes(wrong_output),
    advice=_remedy(wrong_output),
    headline="the loss does not fit the output of the last layer",
)
MOMENTUM = Rule(
    name="momentum_too_large",
    shows=LOSS,
    severity="warning",
    applies=_set_up(momentum),
    evidence=_cause(momentum),
    causes=_causes(momentum),
    advice=_remedy(momentum),
    headline=_cause(momentum),
)
DROPOUT = Rule(
    name="dropout_too_large",
    shows=LOSS,
    severity="warning",
    applies=_set_up(dropout),
    evidence=_cause(dropout),
    causes=_causes(dropout),
    advice=_remedy(dropout),
    headline=_cause(dropout),
)
ALIKE = Rule(
    name="zero_initialization",
    shows="weight_norm",
    severity="warning",
    applies=_zero,
    evidence=_cause(alike),
    causes=_causes(alike),
    advice=_remedy(alike),
    headline="units begin all alike",
    opens_after=3,
    closes_after=20,
)
INPUTS = Rule(
    name="inputs_unscaled",
    shows="norm",
    severity="warning",
    applies=lambda moment: None if moment.record.table is None else inputs(moment) is not None,
    evidence=lambda moment, _: (
        f"the gradient of the first kernel over that of its bias says that inputs have a size of "
        f"{moment.facts.input_scale:,.0f} (alert above {number(moment.settings.input_scale)})"
    ),
    causes=_causes(inputs),
    advice=_remedy(inputs),
    headline=_cause(inputs),
    opens_after=5,
    closes_after=20,
)
SCHEDULE = Rule(
    name="schedule_ended",
    shows=LEARNING_RATE,
    severity="warning",
    applies=_ended,
    evidence=_ended_evidence,
    causes=_causes(schedule),
    advice=_ended_advice,
    headline="the learning rate has decayed to nothing",
    threshold=lambda moment: ENDED * moment.facts.peak_rate,
)
DECAY = Rule(
    name="weights_decayed",
    shows="weight_norm",
    severity="warning",
    applies=_decayed,
    evidence=lambda moment, _: (
        f"the norm of all kernels is {percent(fallen_weights(moment))} of that at first "
        f"(alert below {percent(moment.settings.decayed_weights)} where the loss does not fall)"
    ),
    causes=_causes(decay),
    advice=_remedy(decay),
    headline=_cause(decay),
    opens_after=3,
    closes_after=5,
)
SORTED = Rule(
    name="data_sorted",
    shows=LOSS,
    needs=LOSS,
    severity="warning",
    applies=_sorted,
    evidence=_sorted_evidence,
    causes=("the samples of an epoch come in the same order each time, sorted by their class",),
    advice=Advice(
        "shuffle the samples: dataset.shuffle(number of samples) ahead of batch()",
        "fit(shuffle=True) shuffles arrays, no datasets",
    ),
    headline="each epoch forgets the start of the one before: the data are sorted",
    closes_after=2,
    every_step=True,
)
