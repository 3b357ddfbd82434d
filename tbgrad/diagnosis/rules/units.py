"""Faults of a layer's units: those that are dead, and those that are saturated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis.architecture import batch_of_one
from tbgrad.diagnosis.change import safe_rate
from tbgrad.diagnosis.initial_weights import alike, layers_of, thin_weights, wide_weights
from tbgrad.diagnosis.regularization import decay
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule, Severity
from tbgrad.diagnosis.suspects import Explained, Suspect, dropout, inputs
from tbgrad.log.brief import percent
from tbgrad.log.text import number

BIASED = 2.0
"""Root mean square of a bias that begins far from zero."""

ALL = 0.999
"""Share of units that are all of them."""

SEEN = 10
"""So many steps may go by until units are known to be dead that were so from the first one on."""


def _resting(moment: Moment) -> Any:
    """Share of units without any gradient, [P], in the row of each layer that tells; else 0."""
    dead, layers = moment.record.statistic("dead_fraction"), moment.layers
    norms = moment.record.statistic("norm")
    if dead is None or norms is None or layers is None or len(layers.heads) < 2:
        return None
    if not (norms > 0).any():
        return None  # a loss that is constant, or zero already, says nothing of single units
    shares = np.zeros(layers.count)
    shares[layers.heads] = layers.without_gradient(dead)
    return shares


def _dead_shares(moment: Moment) -> Any:
    """The same of units that rest in batch after batch, going by all that were logged of late."""
    return None if _resting(moment) is None else moment.facts.dead_shares


def _dead(moment: Moment) -> Any:
    shares, layers = _dead_shares(moment), moment.layers
    if shares is None or layers is None:
        return None
    dead = shares >= moment.settings.dead_units
    return dead & ~layers.saturating


def _dead_headline(moment: Moment, rows: Rows) -> str:
    return _units_are("dead", moment, rows, _dead_shares(moment)[rows])


def _units_are(what: str, moment: Moment, rows: Rows, shares: Any) -> str:
    """Of which share of the units of which layers something is so."""
    manifest = moment.manifest
    named = [manifest.parameters[row].layer for row in rows] if manifest is not None else []
    of = f"layer {named[0]}" if len(named) == 1 else f"layers {', '.join(named[:3])}"
    more = ", …" if len(named) > 3 else ""
    if shares.min() > ALL:
        return f"all units of {of}{more} are {what}"
    return f"{_percents(shares)} of the units of {of}{more} are {what}"


def _dead_evidence(moment: Moment, rows: Rows) -> str:
    return (
        f"{_dead_headline(moment, rows)}: no gradient reaches them, batch after batch "
        f"(alert from {percent(moment.settings.dead_units)})"
    )


def _output(moment: Moment, rows: Rows) -> Suspect | None:
    """Whether the last layer itself is among the dead."""
    manifest, layers = moment.manifest, moment.layers
    if manifest is None or layers is None or not len(layers.kernels):
        return None
    there = any(manifest.parameters[row].layer == layers.last for row in rows)
    behind = manifest.parameters[layers.kernels[-1]].normalization in ("after", "both")
    if there and behind and manifest.output_units == 1:
        return Suspect(
            "a normalization of the one unit of the output, which is the same for all samples",
            "remove the normalization behind the last layer",
        )
    if not there or manifest.output_activation not in ("relu", "softmax"):
        return None
    return Suspect(
        f"a {manifest.output_activation} behind the last layer, where the loss expects logits",
        f"remove activation={manifest.output_activation!r} from the last layer",
    )


def _bias(moment: Moment, rows: Rows) -> Suspect | None:
    """A bias so far from zero that it holds its units where they are."""
    manifest, first = moment.manifest, moment.facts.first_weights
    if manifest is None or first is None or len(first) != len(manifest.parameters):
        return None
    far = np.zeros(len(first), np.bool_)
    for row in rows:
        parameter = manifest.parameters[row]
        far[row] = parameter.role == "bias" and parameter.initializer != "zeros"
        far[row] &= _usual_size(moment, row) > BIASED
    if not far.any():
        return None
    row = int(np.flatnonzero(far)[0])
    return Suspect(
        f"a bias that begins at about ±{number(_usual_size(moment, row), 2)} in layer "
        f"{manifest.parameters[row].layer}",
        f"set bias_initializer='zeros' in {layers_of(moment, far)}",
    )


def _usual_size(moment: Moment, row: int) -> float:
    """Root mean square of what a parameter began with."""
    manifest, first = moment.manifest, moment.facts.first_weights
    assert manifest is not None
    assert first is not None
    return float(first[row]) / math.sqrt(max(1, manifest.parameters[row].size))


def _sees_nothing(moment: Moment) -> Suspect | None:
    """Inputs of zeros: of others half of the units of a first layer are positive."""
    shares, layers, manifest = moment.facts.dead_shares, moment.layers, moment.manifest
    if shares is None or layers is None or manifest is None or layers.embeds:
        return None
    last = [row for row in layers.heads if manifest.parameters[row].layer == layers.last]
    hidden = [row for row in layers.heads if row not in last]
    early = moment.since <= moment.trend.first_step + SEEN
    if not hidden or shares[hidden].min() <= ALL or shares[last].max(initial=0.0) > ALL:
        return None
    if not early or _thrown(moment):
        return None
    return Suspect(
        "inputs of zeros: all units of all layers are dead from the beginning",
        "look at the inputs, np.abs(x).max(): the model gets zeros alone",
    )


def _thrown(moment: Moment) -> Suspect | None:
    """A step that was too large; of units that were dead at once it cannot have been the work."""
    facts = moment.facts
    if not facts.worst_update > moment.settings.update_ratio:
        return None
    return Suspect("a step that was too large and threw the units there", safe_rate(moment))


def _explained(rows: Rows) -> Explained:
    return Explained(
        (
            lambda m: _output(m, rows),
            lambda m: _bias(m, rows),
            batch_of_one,
            alike,
            _sees_nothing,
            thin_weights,
            dropout,
            decay,
            _thrown,
            inputs,
        ),
        (
            "ReLU units whose input is negative for every sample",
            "much Dropout behind them, or inputs that hardly differ",
        ),
        lambda m, rows: Advice(
            f"replace activation='relu' by 'leaky_relu' in {_named(m, rows)}",
            "put a BatchNormalization layer before the activation",
        ),
    )


def _saturated_explained(moment: Moment, rows: Rows) -> Explained:
    layers = moment.layers
    assert layers is not None
    entrance = layers.entrance is None or set(rows) & set(layers.entrance[:2])
    suspicions = (inputs,) if entrance else ()
    return Explained(
        (*suspicions, lambda m: _bias(m, rows), wide_weights, _thrown),
        (
            "inputs that are not scaled, so that the units are driven far from zero",
            "weights or biases that became too large",
        ),
        Advice(
            "scale the inputs to mean 0 and deviation 1 (a keras.layers.Normalization, adapted)"
            if entrance and len(layers.kernels) and _first_layer(moment, rows)
            else "put a BatchNormalization layer before the activation",
            f"use activation='relu' in {_named(moment, rows)}",
        ),
    )


def _named(moment: Moment, rows: Rows) -> str:
    """These layers, in words."""
    if moment.manifest is None or moment.layers is None:
        return "that layer"
    of = np.zeros(moment.layers.count, np.bool_)
    of[rows] = True
    return layers_of(moment, of)


def _first_layer(moment: Moment, rows: Rows) -> bool:
    manifest, layers = moment.manifest, moment.layers
    if manifest is None or layers is None:
        return False
    first = manifest.parameters[layers.kernels[0]].layer
    return any(manifest.parameters[row].layer == first for row in rows)


def _dead_severity(moment: Moment) -> Severity:
    """Of a layer with some units left, something passes; of a dead one nothing."""
    shares = _dead_shares(moment)
    return "error" if shares is not None and shares.max() >= 0.95 else "warning"


def _percents(shares: Any) -> str:
    low, high = f"{percent(shares.min())}", f"{percent(shares.max())}"
    return low if low == high else f"{low} to {high}"


def _saturation(moment: Moment) -> Any:
    """For every row: share of units without gradient, norm of the weights into a unit."""
    shares, layers = _resting(moment), moment.layers
    weights = moment.record.statistic("weight_norm")
    if shares is None or layers is None or weights is None or not layers.saturating.any():
        return None
    return shares, weights / np.sqrt(layers.units)


def _saturated(moment: Moment) -> Any:
    saturation = _saturation(moment)
    if saturation is None or moment.layers is None:
        return None
    shares, scales = saturation
    limits = moment.settings
    flat = (shares >= limits.saturated_units) | (scales >= limits.saturated_weights)
    return flat & moment.layers.saturating


def _saturated_evidence(moment: Moment, rows: Rows) -> str:
    shares, scales = _saturation(moment)
    limits = moment.settings
    said = []
    if (shares[rows] >= limits.saturated_units).any():
        flat = np.asarray(rows)[shares[rows] >= limits.saturated_units]
        said.append(
            f"{_units_are('saturated', moment, flat, shares[flat])}: no gradient reaches them "
            f"(alert from {percent(limits.saturated_units)})"
        )
    if (scales[rows] >= limits.saturated_weights).any():
        said.append(
            f"the weights into a unit have a norm of "
            f"{number(np.nanmax(scales[rows]), 3)}, so that inputs "
            f"of the order of one leave the activation's slope "
            f"(alert from {number(limits.saturated_weights)})"
        )
    return " and ".join(said)


DEAD = Rule(
    name="dead_units",
    shows="dead_fraction",
    severity=_dead_severity,
    applies=_dead,
    evidence=_dead_evidence,
    causes=lambda moment, rows: _explained(rows).causes(moment, rows),
    advice=lambda moment, rows: _explained(rows).advice(moment, rows),
    headline=_dead_headline,
    threshold=lambda moment: moment.settings.dead_units,
    opens_after=10,
    closes_after=5,
)
SATURATED = Rule(
    name="saturated_layer",
    shows="zero_fraction",
    severity="warning",
    applies=_saturated,
    evidence=_saturated_evidence,
    causes=lambda moment, rows: _saturated_explained(moment, rows).causes(moment, rows),
    advice=lambda moment, rows: _saturated_explained(moment, rows).advice(moment, rows),
    headline="units are saturated",
    opens_after=10,
    closes_after=5,
)
