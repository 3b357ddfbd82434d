"""Faults that show in how far the weights move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.change import raised_rate, rate_of, safe_rate
from tbgrad.diagnosis.initial_weights import wide_weights
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule, share
from tbgrad.diagnosis.suspects import (
    HALF_REMEDY,
    Explained,
    half_precision,
    inputs,
    momentum,
    raised,
    share_of,
)
from tbgrad.log.brief import percent
from tbgrad.log.tags import LEARNING_RATE, LOSS_SCALE, SKIPPED_UPDATES
from tbgrad.log.text import number

OVERWHELMING = 3.0
"""An update so many times as large as the weights needs no second one."""


def _ratios(moment: Moment) -> Any:
    """Relative update of every kernel, in rows of all parameters; NaN elsewhere."""
    updates, weights = (moment.record.statistic(s) for s in ("update_norm", "weight_norm"))
    if updates is None or weights is None or moment.layers is None:
        return None
    rows = moment.layers.kernels
    ratios = np.full(moment.layers.count, np.nan)
    ratios[rows] = updates[rows] / weights[rows]
    return np.where(np.isfinite(ratios), ratios, np.nan)


def _steps(moment: Moment) -> Any:
    """The same, but a weight that begins near zero counts as one of an ordinary size."""
    return None if moment.record.table is None else moment.facts.updates


def _too_large(moment: Moment) -> Any:
    steps = _steps(moment)
    if steps is None or np.isnan(steps).all():
        return None
    return steps > moment.settings.update_ratio


def _too_large_evidence(moment: Moment, rows: Rows) -> str:
    largest = float(np.nanmax(_steps(moment)[rows]))
    share = f"up to {percent(largest)}" if largest < 1 else f"{number(largest, 3)} times the size"
    rate = moment.record.scalars.get(LEARNING_RATE, math.nan)
    return (
        f"one update changes {share} of the weights, {largest / 1e-3:,.0f} times the "
        f"usual thousandth (alert above {percent(moment.settings.update_ratio)})"
        + (f", at a learning rate of {number(rate, 3)}" if math.isfinite(rate) else "")
    )


def _overwhelming(moment: Moment) -> Any:
    """Updates that outweigh the weights: after one of them these are no longer those it was."""
    return _steps(moment) > OVERWHELMING


def _too_large_headline(moment: Moment, rows: Rows) -> str:
    largest = max(float(np.nanmax(_steps(moment)[rows])), moment.facts.worst_update)
    rate = moment.record.scalars.get(LEARNING_RATE, math.nan)
    at = f" at a learning rate of {number(rate, 3)}" if math.isfinite(rate) else ""
    return f"one update moved {share_of(largest)}{at}"


def _frozen_advice(moment: Moment, rows: Rows) -> Advice:
    manifest = moment.manifest
    kind = manifest.parameters[rows[0]].dtype if manifest is not None and len(rows) else ""
    if kind in ("float16", "bfloat16"):
        return Advice(HALF_REMEDY.format(kind))
    if rate_of(moment) < 1e-5 and moment.facts.ended_since < 0:
        return Advice(raised_rate(moment, 0.0), "look for what sets the weight back")
    return Advice(
        "look for what sets the weight back after each update: a constraint, a callback",
        "build the optimizer with the variables that are trained",
    )


def _frozen(moment: Moment) -> Any:
    record = moment.record
    norms, updates = record.statistic("norm"), record.statistic("update_norm")
    weights, rate = record.statistic("weight_norm"), record.scalars.get(LEARNING_RATE, 0.0)
    if norms is None or updates is None or weights is None or not rate > 0:
        return None
    return (updates == 0) & (rate * norms > moment.settings.lost_update * weights)


def _mismatch(moment: Moment) -> Any:
    ratios = _ratios(moment)
    if ratios is None or (ratios > 0).sum() < 3:
        return None
    return (ratios > 0) & (ratios * moment.settings.rate_mismatch < _usual(ratios))


def _usual(ratios: Any) -> float:
    moving = np.sort(ratios[ratios > 0])
    return float(moving[len(moving) // 2])  # np.median takes three times as long


def _mismatch_evidence(moment: Moment, rows: Rows) -> str:
    ratios = _ratios(moment)
    usual, slow = _usual(ratios), float(np.nanmin(ratios[rows]))
    return (
        f"the relative update of these layers is down to {number(slow, 1)}, that of the others "
        f"{number(usual, 1)}, {usual / slow:,.0f} times as large "
        f"(alert above {number(moment.settings.rate_mismatch)} times)"
    )


def _mismatch_advice(moment: Moment, rows: Rows) -> Advice:
    ratios, manifest = _ratios(moment), moment.record.manifest
    assert manifest is not None
    wide = wide_weights(moment)
    if wide is not None:
        return Advice(wide.remedy, "raise the learning rate of these layers alone")
    factors = [f"{manifest.names[row]} × {_usual(ratios) / ratios[row]:,.0f}" for row in rows[:3]]
    rates = f"raise the learning rate of single layers ({', '.join(factors)})"
    name = str(manifest.optimizer.get("name", ""))
    if name == "SGD":
        return Advice("use Adam in place of SGD, which scales each layer by itself", rates)
    return Advice(rates, "begin with smaller weights there, where a normalization follows")


def _loss_scale(moment: Moment) -> Any:
    scalars, limits = moment.record.scalars, moment.settings
    scale, skipped = scalars.get(LOSS_SCALE), scalars.get(SKIPPED_UPDATES)
    if scale is None and skipped is None:
        return None
    low = scale is not None and scale < limits.loss_scale
    return low or (skipped is not None and skipped >= limits.skipped_updates)


def _too_low_from(moment: Moment) -> float | None:
    """Where it is the scale that is low, and not updates that are skipped."""
    scale, limit = moment.record.scalars.get(LOSS_SCALE, math.nan), moment.settings.loss_scale
    return limit if scale < limit else None


def _loss_scale_evidence(moment: Moment, _: Rows) -> str:
    scalars, limits = moment.record.scalars, moment.settings
    said = []
    if not math.isnan(scalars.get(LOSS_SCALE, math.nan)):
        said.append(
            f"the loss scale is {number(scalars[LOSS_SCALE], 3)} (alert below "
            f"{number(limits.loss_scale)})"
        )
    if scalars.get(SKIPPED_UPDATES, 0) > 0:
        said.append(
            f"{scalars[SKIPPED_UPDATES]:,.0f} updates were skipped since the last logged one, "
            f"their gradients overflowed (alert from {number(limits.skipped_updates)})"
        )
    return " and ".join(said)


def _not_trainable(moment: Moment) -> Any:
    manifest = moment.record.manifest
    if manifest is None or moment.record.statistic("norm") is None:
        return None
    return np.ones(len(manifest.frozen), np.bool_)


_TOO_LARGE = Explained(
    (half_precision, raised, momentum),
    ("the learning rate is too large", "the weights begin far smaller than the optimizer's step"),
    lambda moment, _: Advice(safe_rate(moment), "begin with a warm-up of the learning rate"),
)
_SCALE = Explained(
    (wide_weights, inputs),
    (
        "the gradients overflow float16 even without a scale: the training diverges",
        "a batch holds NaN or infinite values, so that every scale fails",
    ),
    lambda moment, _: Advice(
        "train in mixed_bfloat16 in place of mixed_float16", safe_rate(moment, 10.0)
    ),
)

TOO_LARGE = Rule(
    name="update_too_large",
    shows="update_norm",
    severity="warning",
    applies=_too_large,
    evidence=_too_large_evidence,
    causes=_TOO_LARGE.causes,
    advice=_TOO_LARGE.advice,
    headline=_too_large_headline,
    at_once=_overwhelming,
    opens_after=2,
    closes_after=5,
)
FROZEN = Rule(
    name="frozen_parameter",
    shows="update_norm",
    severity="warning",
    applies=_frozen,
    evidence=lambda moment, rows: (
        f"the update changed nothing in {share(moment, rows)} although there is a gradient, "
        f"at a learning rate of {number(moment.record.scalars[LEARNING_RATE], 3)}"
    ),
    causes=(
        "the update is smaller than the precision of the weight: float16 or bfloat16 weights, "
        "a learning rate far too small",
        "a constraint, or a callback, puts the weight back after each update",
        "the optimizer was built with other variables than those that are trained",
    ),
    advice=_frozen_advice,
    headline="updates change nothing in some weights",
    opens_after=5,
    closes_after=2,
)
NOT_TRAINABLE = Rule(
    name="not_trainable",
    shows="weight_norm",
    severity="info",
    applies=_not_trainable,
    evidence=lambda _, rows: f"{len(rows)} layers do not train: trainable=False",
    causes=("the layer, or a model around it, has trainable=False",),
    advice=Advice("if that is not meant, set layer.trainable=True and compile again"),
    headline="layers do not train",
    names=lambda manifest: manifest.frozen,
)
MISMATCH = Rule(
    name="layer_rate_mismatch",
    shows="update_norm",
    severity="info",
    applies=_mismatch,
    evidence=_mismatch_evidence,
    causes=Explained(
        (wide_weights,),
        (
            "weights of very different size, as of a layer before a normalization, which "
            "hides that",
            "a layer whose gradient is scaled down, or hardly reaches the loss",
        ),
        _mismatch_advice,
    ).causes,
    advice=_mismatch_advice,
    headline="some layers hardly move",
    opens_after=10,
    closes_after=5,
)
LOSS_SCALE_COLLAPSE = Rule(
    name="loss_scale_collapse",
    shows=LOSS_SCALE,
    needs=LOSS_SCALE,
    severity="error",
    applies=_loss_scale,
    evidence=_loss_scale_evidence,
    causes=_SCALE.causes,
    advice=_SCALE.advice,
    headline="updates are skipped: the scaled loss overflows",
    threshold=_too_low_from,
    closes_after=20,
)
