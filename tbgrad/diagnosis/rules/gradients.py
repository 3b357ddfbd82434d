"""Faults that show in the gradients themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.architecture import softmax_within
from tbgrad.diagnosis.change import amount, literal, safe_rate, setting
from tbgrad.diagnosis.initial_weights import (
    alike,
    larger_than_usual,
    thin_weights,
    usual_weights,
    wide_weights,
)
from tbgrad.diagnosis.regularization import decay
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.diagnosis.suspects import (
    Explained,
    forgetful,
    from_the_start,
    inputs,
    momentum,
    raised,
    rate,
    target_scale,
    targets,
)
from tbgrad.log.tags import CLIP_FACTOR, GRADIENT_NORM, GRADIENT_NORM_MAX, LOSS
from tbgrad.log.text import number

NARROW = 10.0
"""A gradient that was larger at first is no measure of what is usual."""

GUARD = 5.0
"""So many times the usual norm clips what leaps, and nothing else."""

CLIP = "set global_clipnorm=1.0 in the optimizer"


def _sensitivity(moment: Moment) -> Any:
    """Gradient norm times weight norm along the way: how the loss answers a relative change.

    In a network of linear and ReLU layers without biases it is the same for every layer, whatever
    its size and the scale of its weights.
    """
    record, layers = moment.record, moment.layers
    norms, weights = record.statistic("norm"), record.statistic("weight_norm")
    if norms is None or weights is None or layers is None:
        return None
    return (norms * weights)[layers.way].astype(np.float64)


def _vanishing(moment: Moment) -> Any:
    products, layers = _sensitivity(moment), moment.layers
    if products is None or layers is None:
        return None
    known = np.isfinite(products)
    if known.sum() < 3:
        return None
    products = products[known]
    later = np.maximum.accumulate(products[::-1])[::-1]
    weak = products < moment.settings.vanishing_gradient * later
    rows = np.zeros(layers.count, np.bool_)
    rows[layers.way[known]] = np.logical_and.accumulate(weak)
    return rows


def _vanishing_evidence(moment: Moment, _: Rows) -> str:
    products = _sensitivity(moment)
    products = products[np.isfinite(products)]
    limit = moment.settings.vanishing_gradient
    return (
        f"gradient norm times weight norm falls from {number(products.max(), 2)} to "
        f"{number(products[0], 2)} "
        f"towards the input, by a factor of {_quotient(products.max(), products[0])} "
        f"(alert above {1 / limit:,.0f})"
    )


def _quotient(above: float, below: float) -> str:
    return number(above / below, 3) if below > 0 else "infinity"


def _exploding(moment: Moment) -> Any:
    scalars = moment.record.scalars
    loss, norm = scalars.get(LOSS, 1.0), scalars.get(GRADIENT_NORM_MAX, math.nan)
    if not math.isfinite(loss) or not math.isfinite(norm):
        return None
    return norm > _explodes_from(moment)


def _explodes_from(moment: Moment) -> float:
    """The largest norm that is no fault at this loss.

    A loss that may be negative is a logarithm of a density: its gradient grows with what is
    learned, as the density gets narrow, and is set against that at first, too.
    """
    loss, trend = moment.record.scalars.get(LOSS, 1.0), moment.trend
    at_first = min(NARROW, max(1.0, trend.first_norm)) if trend.signed else 1.0
    return moment.settings.exploding_gradient * math.sqrt(max(1.0, abs(loss))) * at_first


def _exploding_evidence(moment: Moment, _: Rows) -> str:
    scalars, layers = moment.record.scalars, moment.layers
    said = f"the gradient norm is {number(scalars[GRADIENT_NORM_MAX], 3)}"
    if LOSS in scalars:
        said += f" at a loss of {number(scalars[LOSS], 3)}"
    norms = moment.record.peaks
    if norms is not None and moment.record.manifest is not None and layers is not None:
        largest = int(np.argmax(np.nan_to_num(norms, nan=-1.0)))
        said += f", largest in {moment.record.manifest.names[largest]}"
    if moment.trend.signed:
        return f"{said} (alert above {number(_explodes_from(moment), 3)})"
    return f"{said} (alert above {number(moment.settings.exploding_gradient)} · √loss)"


def _clipping(moment: Moment) -> Any:
    factor = moment.record.scalars.get(CLIP_FACTOR)
    return None if factor is None else factor < moment.settings.clip_factor


def _vanishing_otherwise(moment: Moment, _: Rows) -> Advice:
    layers, manifest = moment.layers, moment.manifest
    normalize = "put a BatchNormalization layer before each activation of the deep part"
    residual = Advice(normalize, "put a residual connection around the layers of the deep part")
    if layers is None or manifest is None:
        return residual
    if layers.normalized:
        if not from_the_start(moment, moment.since):
            return Advice(safe_rate(moment, 10.0), "begin with a warm-up of the learning rate")
        residual = Advice(residual.then)
    if layers.saturating.any():
        kinds = {manifest.parameters[row].activation for row in np.flatnonzero(layers.saturating)}
        return Advice(
            f"replace activation={min(kinds)!r} by 'relu' in all hidden layers, with "
            "kernel_initializer='he_normal'",
            residual.first,
        )
    return residual


def _vanishing_causes(moment: Moment) -> tuple[str, ...]:
    causes, layers = [], moment.layers
    normalized = layers is not None and layers.normalized
    if normalized and not from_the_start(moment, moment.since):
        return ("updates that are too large: before them it came through",)
    if layers is not None and layers.saturating.any():
        causes.append("saturating layers behind each other, each of which takes most of it away")
    lacks = "residual connections" if normalized else "normalization or residual connections"
    return (*causes, f"many layers without {lacks}")


def _exploding_otherwise(moment: Moment, _: Rows) -> Advice:
    manifest = moment.manifest
    recurrent = manifest is not None and any("recurrent" in p.path for p in manifest.parameters)
    if recurrent:
        return Advice("use recurrent_initializer='orthogonal'", CLIP)
    if from_the_start(moment, moment.since):
        if moment.facts.input_scale <= moment.settings.input_scale and larger_than_usual(moment):
            return Advice(usual_weights(moment), CLIP)
        return Advice("scale the inputs to mean 0 and deviation 1", CLIP)
    return Advice(safe_rate(moment, 10), CLIP)


def _clipping_advice(moment: Moment, _: Rows) -> Advice:
    manifest = moment.manifest
    known = manifest.optimizer if manifest is not None else {}
    name = next((n for n in ("global_clipnorm", "clipnorm", "clipvalue") if known.get(n)), "")
    usual = GUARD * moment.trend.usual_norm
    large = target_scale(moment) > moment.settings.target_scale
    then = "scale the targets to the order of one" if large else ""
    if not name or not usual > 0:
        return Advice("divide the factor that clips by ten: let it be a guard, not the step", then)
    if name == "clipvalue":
        return Advice(
            f"use global_clipnorm={amount(usual)} in place of "
            f"clipvalue={literal(setting(moment, name))}",
            then,
        )
    return Advice(
        f"raise {name} from {literal(setting(moment, name))} to {amount(usual)}, {number(GUARD)} "
        "times the usual norm",
        then,
    )


_VANISHING = Explained(
    (alike, forgetful, softmax_within, thin_weights, rate, inputs, decay),
    _vanishing_causes,
    _vanishing_otherwise,
)
_EXPLODING = Explained(
    (raised, inputs, targets, wide_weights, momentum, rate),
    (
        "weights that begin too large, so that every layer, or every step of a recurrence, makes "
        "more of what it passes on",
        "inputs or targets that are not scaled",
    ),
    _exploding_otherwise,
)
VANISHING = Rule(
    name="vanishing_gradient",
    shows="norm",
    severity="warning",
    applies=_vanishing,
    evidence=_vanishing_evidence,
    causes=_VANISHING.causes,
    advice=_VANISHING.advice,
    headline="the gradient vanishes towards the input",
    opens_after=5,
    closes_after=5,
)
EXPLODING = Rule(
    name="exploding_gradient",
    shows=GRADIENT_NORM,
    severity="error",
    applies=_exploding,
    evidence=_exploding_evidence,
    causes=_EXPLODING.causes,
    advice=_EXPLODING.advice,
    headline=lambda moment, _: (
        f"the gradient explodes, to a norm of {number(moment.record.scalars[GRADIENT_NORM_MAX], 2)}"
    ),
    threshold=_explodes_from,
    opens_after=3,
    closes_after=10,
    every_step=True,
)
CLIPPING = Rule(
    name="clipping_always",
    shows=CLIP_FACTOR,
    needs=CLIP_FACTOR,
    severity="warning",
    applies=_clipping,
    evidence=lambda moment, _: (
        f"clipping leaves {number(moment.record.scalars[CLIP_FACTOR], 2)} of the gradient "
        f"(alert below {number(moment.settings.clip_factor)})"
    ),
    causes=(
        "the clip value is far below the usual norm, so that it sets the size of every step",
        "the gradient is far larger than it should be: targets or inputs that are not scaled",
    ),
    advice=_clipping_advice,
    headline="clipping leaves next to nothing of the gradient",
    threshold=lambda moment: moment.settings.clip_factor,
    opens_after=20,
    closes_after=5,
)
