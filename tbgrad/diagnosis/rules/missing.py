"""Gradients that are not finite, and those that are missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.change import safe_rate
from tbgrad.diagnosis.initial_weights import alike
from tbgrad.diagnosis.output import relu_output, wrong_output
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule, share
from tbgrad.diagnosis.suspects import (
    Explained,
    Suspect,
    Suspicion,
    half_precision,
    raised,
    rate,
)
from tbgrad.log.median import median
from tbgrad.log.tags import LOSS

KNOWN_LOSSES = (
    "crossentropy", "squared", "absolute", "huber", "hinge", "log_cosh", "logcosh", "poisson",
    "divergence", "cosine", "dice", "tversky", "circle", "ctc", "mse", "mae", "mape", "msle",
)  # fmt: skip
"""Parts of the names of losses that guard themselves against a logarithm of zero."""

MASKED = "a mask that hides every position of a sample: a softmax of -inf alone, a mean of nothing"

CALM = 10.0
"""A norm or a loss so many times the usual one is no longer calm."""


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


def _nonfinite_calm(moment: Moment) -> bool:
    """Whether nothing grew ahead of what is not finite."""
    trend = moment.trend
    norms = list(trend.norms)
    risen = len(norms) > 3 and norms[-1] > CALM * median(norms)
    loss, first = trend.recent_loss, trend.undisturbed_loss
    return not risen and not loss > CALM * first


def _nonfinite_causes(moment: Moment) -> tuple[str, ...]:
    batch = "a batch or its labels hold NaN or infinite values"
    range_ = "an operation left its range: a logarithm or a quotient of zero, float16 beyond 65,504"
    if moment.trend.count == 0:
        masked = (MASKED,) if _reads_tokens(moment) else ()
        return *masked, batch, range_, "weights that begin too large"
    if _nonfinite_calm(moment):
        return batch, range_
    return "the weights diverged: what was computed grew ahead of it", batch, range_


def _nonfinite_otherwise(moment: Moment, _: Rows) -> Advice:
    step = moment.facts.lost_since if moment.facts.lost_since >= 0 else moment.record.step
    look = f"look at the batch of step {step:,}: np.isfinite(x).all(), also of labels"
    if moment.trend.count == 0 and _own_loss(moment):
        return Advice(
            "keep what a logarithm, a root or a quotient gets in the loss "
            f"{_own_loss(moment)} away from zero: add keras.config.epsilon()",
            look,
        )
    if moment.trend.count == 0 and _reads_tokens(moment):
        return Advice(
            "look for a sample whose mask hides every position: mask with -1e9 in place of -inf, "
            "and divide by a count of at least one",
            look,
        )
    if _nonfinite_calm(moment):
        return Advice(look, "look for a logarithm, a root or a quotient of zero in the loss")
    return Advice(safe_rate(moment, 10), look)


def _broken(moment: Moment) -> Suspect | None:
    """An update that is not finite, of a gradient that was."""
    step, manifest = moment.facts.broken_by, moment.manifest
    if step < 0:
        return None
    name = str(manifest.optimizer.get("name", "")) if manifest is not None else ""
    name = name or "the optimizer"
    return Suspect(
        f"the update of step {step:,} left weights that are not finite, though its gradient was: "
        f"the work of {name}, or of a constraint on the weights",
        f"train with another optimizer than {name}, Adam for one"
        if name.lower() != "adam"
        else "look at the settings of Adam: epsilon, and constraints on the weights",
    )


def _nonfinite_suspicions(moment: Moment) -> Any:
    """The rate is no cause of what was there before any update, nor where all was calm."""
    if moment.trend.count == 0 or _nonfinite_calm(moment):
        return None
    return raised(moment) or rate(moment)


def _no_gradient_otherwise(moment: Moment, rows: Rows) -> Advice:
    norms, manifest = moment.record.statistic("norm"), moment.manifest
    if norms is not None and (norms == 0).all():
        if moment.facts.worst_update > moment.settings.update_ratio:
            return Advice(safe_rate(moment), "replace 'relu' by activation='leaky_relu'")
        if _may_be_softmax_of_one(moment):
            return Advice(
                "give the last layer activation='sigmoid': a softmax of its one unit is always one",
                "follow the loss back: what of y_pred does it use?",
            )
        return Advice(
            "check the last layer: an activation that is constant there lets nothing through",
            "follow the loss back: what of y_pred does it use?",
        )
    if _only_the_last_trains(moment, rows):
        return Advice(
            "train all of model.trainable_variables: only those of the last layer get a gradient",
            "look for what cuts the way to the last layer: tf.stop_gradient, NumPy",
        )
    name = manifest.parameters[rows[0]].layer if manifest is not None and len(rows) else ""
    return Advice(
        f"follow the output of layer {name} to the loss in call()",
        "if the layer is meant to stay as it is, set trainable=False",
    )


def _may_be_softmax_of_one(moment: Moment) -> bool:
    """Whether a single unit goes through something unknown to a loss that takes a probability."""
    manifest = moment.manifest
    if manifest is None or manifest.output_units != 1 or manifest.output_activation:
        return False
    return "binary" in manifest.loss and manifest.logits is False


def _only_the_last_trains(moment: Moment, rows: Rows) -> bool:
    """Whether these rows are all but those of the last layer."""
    manifest, layers = moment.manifest, moment.layers
    if manifest is None or layers is None or not len(layers.kernels):
        return False
    others = {i for i, p in enumerate(manifest.parameters) if p.layer != layers.last}
    return bool(others) and set(rows.tolist()) == others


def _reads_tokens(moment: Moment) -> bool:
    """Whether what comes in are integers, which are always finite."""
    layers = moment.layers
    return layers is not None and layers.embeds


def _own_loss(moment: Moment) -> str:
    """The name of the loss where it is none of those that Keras has; "" where it is, or unknown."""
    manifest = moment.manifest
    name = manifest.loss if manifest is not None and "," not in manifest.loss else ""
    return "" if any(part in name for part in KNOWN_LOSSES) else name


def _all_zero(suspicion: Suspicion) -> Suspicion:
    """The same, of a gradient that is zero everywhere."""
    return lambda moment: suspicion(moment) if moment.facts.no_gradient else None


def _no_gradient_headline(moment: Moment, _: Rows) -> str:
    norms = moment.record.statistic("norm")
    if norms is not None and (norms == 0).all():
        return "the gradient of all parameters is exactly zero"
    return "no gradient reaches the parameters"


_NONFINITE = Explained(
    (half_precision, _broken, _nonfinite_suspicions), _nonfinite_causes, _nonfinite_otherwise
)
_NO_GRADIENT = Explained(
    (_all_zero(wrong_output), _all_zero(relu_output), alike),
    (
        "the loss does not depend on it: a layer or a branch whose output is not used",
        "the way to it is cut: tf.stop_gradient, NumPy or Python code, an integer cast",
    ),
    _no_gradient_otherwise,
)

NONFINITE_GRADIENT = Rule(
    name="nonfinite",
    shows="nonfinite",
    severity="error",
    applies=_nonfinite,
    evidence=_nonfinite_evidence,
    causes=_NONFINITE.causes,
    advice=_NONFINITE.advice,
    headline="the gradient is not finite",
    closes_after=20,
    every_step=True,
)
NONFINITE_LOSS = Rule(
    name="nonfinite",
    shows=LOSS,
    severity="error",
    applies=_nonfinite_loss,
    evidence=lambda moment, _: f"the loss is {moment.record.scalars[LOSS]}",
    causes=_NONFINITE.causes,
    advice=_NONFINITE.advice,
    headline="the loss is not finite",
    closes_after=20,
    every_step=True,
)
NO_GRADIENT = Rule(
    name="no_gradient",
    shows="zero_fraction",
    severity="warning",
    applies=_no_gradient,
    evidence=_no_gradient_evidence,
    causes=_NO_GRADIENT.causes,
    advice=_NO_GRADIENT.advice,
    headline=_no_gradient_headline,
    opens_after=3,
    closes_after=5,
)
