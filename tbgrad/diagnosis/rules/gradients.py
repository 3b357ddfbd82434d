"""Faults that show in the gradients themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.rule import Moment, Rows, Rule, share
from tbgrad.log.tags import CLIP_FACTOR, GRADIENT_NORM, GRADIENT_NORM_MAX, LOSS


def _sensitivity(moment: Moment) -> Any:
    """Gradient norm times weight norm of every kernel: how the loss answers a relative change.

    In a network of linear and ReLU layers without biases it is the same for every layer, whatever
    its size and the scale of its weights.
    """
    record, layers = moment.record, moment.layers
    norms, weights = record.statistic("norm"), record.statistic("weight_norm")
    if norms is None or weights is None or layers is None:
        return None
    return (norms * weights)[layers.kernels].astype(np.float64)


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
    rows[layers.kernels[known]] = np.logical_and.accumulate(weak)
    return rows


def _vanishing_evidence(moment: Moment, _: Rows) -> str:
    products = _sensitivity(moment)
    products = products[np.isfinite(products)]
    limit = moment.settings.vanishing_gradient
    return (
        f"gradient norm times weight norm falls from {products.max():.2g} to {products[0]:.2g} "
        f"towards the input, by a factor of {_quotient(products.max(), products[0])} "
        f"(alert above {1 / limit:,.0f})"
    )


def _quotient(above: float, below: float) -> str:
    return f"{above / below:,.0f}" if below > 0 else "infinity"


def _exploding(moment: Moment) -> Any:
    scalars = moment.record.scalars
    loss, norm = scalars.get(LOSS, 1.0), scalars.get(GRADIENT_NORM_MAX, math.nan)
    if not math.isfinite(loss) or not math.isfinite(norm):
        return None
    return norm > moment.settings.exploding_gradient * math.sqrt(max(1.0, abs(loss)))


def _exploding_evidence(moment: Moment, _: Rows) -> str:
    scalars, layers = moment.record.scalars, moment.layers
    said = f"the gradient norm is {scalars[GRADIENT_NORM_MAX]:.3g}"
    if LOSS in scalars:
        said += f" at a loss of {scalars[LOSS]:.3g}"
    norms = moment.record.peaks
    if norms is not None and moment.record.manifest is not None and layers is not None:
        largest = int(np.argmax(np.nan_to_num(norms, nan=-1.0)))
        said += f", largest in {moment.record.manifest.names[largest]}"
    return f"{said} (alert above {moment.settings.exploding_gradient:g} · √loss)"


def _nonfinite(moment: Moment) -> Any:
    if moment.record.norms is not None:
        return np.isinf(moment.record.norms)
    counts = moment.record.statistic("nonfinite")
    return None if counts is None else counts > 0


def _nonfinite_evidence(moment: Moment, rows: Rows) -> str:
    return f"the gradient is not finite at step {moment.record.step}, in {share(moment, rows)}"


def _nonfinite_loss(moment: Moment) -> Any:
    loss, gradients = moment.record.scalars.get(LOSS), _nonfinite(moment)
    if loss is None:
        return None
    return not math.isfinite(loss) and not (gradients is not None and gradients.any())


def _no_gradient(moment: Moment) -> Any:
    record = moment.record
    norms, weights = record.statistic("norm"), record.statistic("weight_norm")
    if norms is None or weights is None:
        return None
    none = np.isnan(norms)
    if none.all():
        return None
    lost = _nonfinite(moment)
    if lost is not None:
        none &= ~lost
    none &= ~_waits(moment)
    trend = moment.trend
    done = trend.recent_loss < 0.25 * trend.first_loss  # a loss of zero has no gradient, either
    if not (norms > 0).any() and not (lost is not None and lost.any()) and not done:
        none = np.ones_like(none)  # a gradient of zeros reaches nobody either
    return none & ~np.isnan(weights)  # of what is not trained now there are no weights


def _waits(moment: Moment) -> Any:
    """Which parameters had no update since the last record, and will have one in their turn."""
    peaks, counts = (moment.record.statistic(name) for name in ("norm_max", "nonfinite"))
    if peaks is None or counts is None:
        return np.bool_(False)
    return np.isnan(peaks) & (counts == 0)


def _no_gradient_evidence(moment: Moment, rows: Rows) -> str:
    norms = moment.record.statistic("norm")
    if norms is not None and (norms == 0).all():
        return "the gradient of all parameters is exactly zero: the loss does not depend on them"
    return f"no gradient reached {share(moment, rows)}"


def _spike_score(moment: Moment) -> tuple[float, float, float]:
    """Peak norm of the record, the usual one, and robust standard deviations between them."""
    peak = moment.record.scalars.get(GRADIENT_NORM_MAX, math.nan)
    logs = np.log(np.fromiter(moment.trend.norms, np.float64))
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    usual = math.exp(middle)
    return peak, usual, math.log(max(peak, 1e-300) / usual) / max(spread, 0.1)


def _spike(moment: Moment) -> Any:
    peak = moment.record.scalars.get(GRADIENT_NORM_MAX, math.nan)
    if not math.isfinite(peak) or len(moment.trend.norms) < 20:
        return None
    if peak < moment.settings.spike_ratio * moment.trend.norms[-1]:
        return False
    peak, usual, score = _spike_score(moment)
    limits = moment.settings
    # Near the end, gradients of next to nothing vary by orders of magnitude and do no harm.
    usual = max(usual, moment.trend.first_norm / limits.spike_ratio)
    far = peak > limits.spike_ratio * usual and score > limits.spike_score
    return far and not moment.trend.unmoved(moment.record.scalars.get(LOSS, math.nan))


def _spike_evidence(moment: Moment, _: Rows) -> str:
    record, trend = moment.record, moment.trend
    peak, usual, score = _spike_score(moment)
    said = (
        f"the gradient norm of {peak:.3g} is {peak / usual:.3g} times the usual {usual:.2g}, "
        f"{score:.0f} robust standard deviations (alert above {moment.settings.spike_ratio:g} "
        f"times and {moment.settings.spike_score:g})"
    )
    loss, before = record.scalars.get(LOSS, math.nan), list(trend.losses)[:-1]
    if math.isfinite(loss) and before:
        said += f"; the loss is {loss:.3g}, before {float(np.median(before)):.3g}"
    peaks = record.peaks
    if peaks is not None and record.manifest is not None:
        largest = int(np.argmax(np.nan_to_num(peaks, nan=-1.0)))
        said += f"; largest in {record.manifest.names[largest]}, {peaks[largest]:.3g}"
    return said


def _clipping(moment: Moment) -> Any:
    factor = moment.record.scalars.get(CLIP_FACTOR)
    return None if factor is None else factor < moment.settings.clip_factor


VANISHING = Rule(
    name="vanishing_gradient",
    shows="norm",
    severity="warning",
    applies=_vanishing,
    evidence=_vanishing_evidence,
    causes=(
        "sigmoid or tanh layers behind each other, each of which takes most of the gradient away",
        "weights that begin too small, so that every layer shrinks what it passes on",
        "many layers without normalization or residual connections",
    ),
    advice="use activation='relu' or 'gelu' with kernel_initializer='he_normal', and put a "
    "normalization layer or a residual connection around the deep part",
    opens_after=5,
    closes_after=5,
)
EXPLODING = Rule(
    name="exploding_gradient",
    shows=GRADIENT_NORM,
    severity="error",
    applies=_exploding,
    evidence=_exploding_evidence,
    causes=(
        "weights that begin too large, so that every layer, or every step of a recurrence, makes "
        "more of what it passes on",
        "inputs or targets that are not scaled",
        "a learning rate so large that the weights grow",
    ),
    advice="scale the inputs to mean 0 and deviation 1, use kernel_initializer='he_normal' or "
    "'glorot_uniform' (recurrent_initializer='orthogonal'), and set global_clipnorm=1.0 in the "
    "optimizer",
    opens_after=3,
    closes_after=10,
    every_step=True,
)
NONFINITE_GRADIENT = Rule(
    name="nonfinite",
    shows="nonfinite",
    severity="error",
    applies=_nonfinite,
    evidence=_nonfinite_evidence,
    causes=(
        "a batch or its labels hold NaN or infinite values",
        "the learning rate is so large that the weights diverged",
        "an operation left its range: a logarithm or a quotient of zero, float16 beyond 65,504",
    ),
    advice="check the batch of that step with np.isfinite; if it is sound, lower learning_rate or "
    "set global_clipnorm=1.0 in the optimizer",
    closes_after=20,
    every_step=True,
)
NONFINITE_LOSS = Rule(
    name="nonfinite",
    shows=LOSS,
    severity="error",
    applies=_nonfinite_loss,
    evidence=lambda moment, _: f"the loss is {moment.record.scalars[LOSS]}",
    causes=NONFINITE_GRADIENT.causes,
    advice=NONFINITE_GRADIENT.advice,
    closes_after=20,
    every_step=True,
)
NO_GRADIENT = Rule(
    name="no_gradient",
    shows="zero_fraction",
    severity="warning",
    applies=_no_gradient,
    evidence=_no_gradient_evidence,
    causes=(
        "the loss does not depend on it: a layer or a branch whose output is not used, a softmax "
        "over a single unit",
        "the way to it is cut: tf.stop_gradient, NumPy or Python code, an integer cast",
    ),
    advice="follow the layer's output to the loss in call(); if the layer is meant to stay as it "
    "is, set trainable=False",
    opens_after=3,
    closes_after=5,
)
SPIKE = Rule(
    name="gradient_spike",
    shows=GRADIENT_NORM_MAX,
    severity="warning",
    applies=_spike,
    evidence=_spike_evidence,
    causes=(
        "a batch with wrong or unusual samples or labels",
        "a learning rate near the limit, so that a step leaves the valley",
        "of Adam: a second moment that was small when large gradients came back",
    ),
    advice="look at the batch of this step; global_clipnorm of a few times the usual norm keeps "
    "such a step harmless, a smaller beta_2 shortens the memory of Adam",
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
        f"clipping leaves {moment.record.scalars[CLIP_FACTOR]:.2g} of the gradient "
        f"(alert below {moment.settings.clip_factor:g})"
    ),
    causes=(
        "the clip value is far below the usual norm, so that it sets the size of every step",
        "the gradient is far larger than it should be: targets or inputs that are not scaled",
    ),
    advice="set clipnorm or global_clipnorm to about the largest gradient/norm of a calm "
    "stretch, and scale targets and inputs to the order of one",
    opens_after=20,
    closes_after=5,
)
