"""What does not fit behind the last layer: causes that are there, each with its remedy."""

from __future__ import annotations

import math

from tbgrad.diagnosis.rule import Moment
from tbgrad.diagnosis.suspects import (
    ABSOLUTE,
    LEARNED,
    SQUARED,
    Suspect,
    came_to_rest,
)
from tbgrad.log.text import number

PROBABILITIES = {"softmax", "sigmoid", "hard_sigmoid"}

LONG = 200
"""So many steps into a training a loss has come down by what other terms it has can fall."""

WIDTHS = dict.fromkeys(PROBABILITIES, 1.0) | {"tanh": 2.0}
"""By activation, how far two outputs can lie from each other."""


def wrong_output(moment: Moment) -> Suspect | None:
    """A loss, or targets, that expect something else than the last layer gives."""
    if beyond := _beyond_the_output(moment):
        return beyond
    manifest = moment.manifest
    if manifest is None:
        return None
    if manifest.output_activation == "dropout":
        return Suspect(
            "a Dropout behind the last layer: the loss gets outputs that are set to zero at random",
            "remove the Dropout behind the last layer",
        )
    if manifest.logits is None or not manifest.output_activation:
        return None
    if "crossentropy" not in manifest.loss or "," in manifest.loss:
        return None
    given, name = manifest.output_activation, manifest.loss
    if manifest.output_units == 1 and given == "softmax":
        return Suspect(
            "a softmax over a single unit is always one",
            "give the last layer activation='sigmoid' in place of 'softmax'",
        )
    if manifest.output_units == 1 and "binary" not in name:
        return Suspect(
            f"the loss {name} is told of one class only: the output has a single unit",
            "give the last layer as many units as there are classes",
        )
    if manifest.logits and given != "linear":
        return Suspect(
            f"the loss {name} takes logits, the output goes through {given}",
            f"remove activation={given!r} from the last layer (or set from_logits=False)",
        )
    if not manifest.logits and given not in PROBABILITIES:
        fits = "sigmoid" if "binary" in name else "softmax"
        return Suspect(
            f"the loss {name} expects probabilities, the last layer is {given}",
            "set from_logits=True in the loss"
            if given == "linear"
            else f"replace activation={given!r} of the last layer by {fits!r}",
        )
    return None


def _beyond_the_output(moment: Moment) -> Suspect | None:
    """Targets that no output can come to: an error larger than all outputs lie from each other.

    Such an output ends at its limit, without a gradient, and the loss hardly below that at first:
    one that has further terms in it falls further. Where some targets are within, the gradient of
    these is left.
    """
    manifest, trend = moment.manifest, moment.trend
    if manifest is None or not manifest.output_units:
        return None
    if not came_to_rest(moment) and trend.count < LONG:
        return None
    given, loss = manifest.output_activation, trend.recent_loss
    width = WIDTHS.get(given, math.inf)
    largest = width**2 if manifest.loss in SQUARED else width
    known = manifest.loss in (*SQUARED, *ABSOLUTE)
    if not known or loss <= max(largest, LEARNED * trend.first_loss):
        return None
    return Suspect(
        f"targets beyond what {given} can give: of those within, {manifest.loss} is at most "
        f"{number(largest)}",
        f"remove activation={given!r} from the last layer (or scale the targets to its range)",
    )


def saturated_output(moment: Moment) -> Suspect | None:
    """An output whose activation lets no gradient through, under a loss that does not undo that."""
    manifest, trend = moment.manifest, moment.trend
    if manifest is None or manifest.output_activation not in WIDTHS:
        return None
    if "crossentropy" in manifest.loss or not came_to_rest(moment):
        return None
    given = manifest.output_activation
    loss = "binary" if given == "sigmoid" else "categorical"
    return Suspect(
        f"the output is saturated: {given} lets {number(trend.usual_norm / trend.first_norm, 1)} "
        "of the gradient at first through",
        f"compile with loss='{loss}_crossentropy' in place of {manifest.loss!r}"
        if given in PROBABILITIES
        else f"remove activation={given!r} from the last layer",
    )


def relu_output(moment: Moment) -> Suspect | None:
    """A ReLU as output: where it is zero for all samples, so is the gradient."""
    if moment.manifest is None or moment.manifest.output_activation != "relu":
        return None
    return Suspect(
        "a ReLU behind the last layer, zero for all samples",
        "remove activation='relu' from the last layer",
    )
