"""Faults of a layer's units: those that are dead, and those that are saturated."""

from __future__ import annotations

from typing import Any

import numpy as np

from tbgrad.diagnosis.rule import Moment, Rows, Rule, Severity


def _dead_shares(moment: Moment) -> Any:
    """Share of units without any gradient, [P], in the row of each layer that tells; else 0."""
    dead, layers = moment.record.statistic("dead_fraction"), moment.layers
    norms = moment.record.statistic("norm")
    if dead is None or norms is None or layers is None or len(layers.heads) < 2:
        return None
    if not (norms > 0).any():
        return None  # a loss that is constant, or zero already, says nothing of single units
    shares = np.zeros(layers.count)
    told = dead[layers.heads]
    shares[layers.heads] = np.where(np.isnan(told), dead[layers.bodies], told)
    return shares


def _dead(moment: Moment) -> Any:
    shares, layers = _dead_shares(moment), moment.layers
    if shares is None or layers is None:
        return None
    dead = shares >= moment.settings.dead_units
    return dead & ~layers.saturating


def _dead_evidence(moment: Moment, rows: Rows) -> str:
    return (
        f"in this batch no gradient reaches {_percents(_dead_shares(moment)[rows])} of the units "
        f"(alert from {moment.settings.dead_units:.0%})"
    )


def _dead_severity(moment: Moment) -> Severity:
    """Of a batch of few samples, and behind Dropout, many units rest; of a dead layer all do."""
    shares = _dead_shares(moment)
    return "error" if shares is not None and shares.max() >= 0.95 else "warning"


def _percents(shares: Any) -> str:
    low, high = f"{shares.min():.0%}", f"{shares.max():.0%}"
    return low if low == high else f"{low} to {high}"


def _saturation(moment: Moment) -> Any:
    """For every row: share of units without gradient, norm of the weights into a unit."""
    shares, layers = _dead_shares(moment), moment.layers
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
        dead = shares[rows][shares[rows] >= limits.saturated_units]
        said.append(
            f"no gradient reaches {_percents(dead)} of the units "
            f"(alert from {limits.saturated_units:.0%})"
        )
    if (scales[rows] >= limits.saturated_weights).any():
        said.append(
            f"the weights into a unit have a norm of {np.nanmax(scales[rows]):.3g}, so that inputs "
            f"of the order of one leave the activation's slope "
            f"(alert from {limits.saturated_weights:g})"
        )
    return " and ".join(said)


DEAD = Rule(
    name="dead_units",
    shows="dead_fraction",
    severity=_dead_severity,
    applies=_dead,
    evidence=_dead_evidence,
    causes=(
        "ReLU units whose input is negative for every sample: a bias far below zero, or a step "
        "that was too large and threw them there",
        "a ReLU or softmax behind the last layer, where the loss expects logits",
        "a batch of very few samples, or much Dropout, so that other units rest in each batch",
    ),
    advice="use activation='leaky_relu' or 'gelu', begin with bias_initializer='zeros', and lower "
    "learning_rate or warm it up",
    opens_after=10,
    closes_after=5,
)
SATURATED = Rule(
    name="saturated_layer",
    shows="zero_fraction",
    severity="warning",
    applies=_saturated,
    evidence=_saturated_evidence,
    causes=(
        "inputs that are not scaled, so that the units are driven far from zero",
        "weights or biases that begin, or became, too large",
    ),
    advice="scale the inputs of the layer to mean 0 and deviation 1 (a Normalization or "
    "BatchNormalization layer before it), use kernel_initializer='glorot_uniform', or "
    "activation='relu'",
    opens_after=10,
    closes_after=5,
)
