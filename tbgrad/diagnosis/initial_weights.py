"""Weights that begin too large, too small or all alike, and what suits the layers instead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.network import CONSTANT
from tbgrad.diagnosis.rule import Moment
from tbgrad.diagnosis.suspects import Suspect

RECTIFIED = {"relu", "leaky_relu", "relu6", "elu", "gelu", "silu", "swish", "prelu", "mish"}
"""Activations that take away about half, for which he_normal makes up."""

WIDE = 5.0
"""Norm of the weights into a unit that begin too large: he_normal makes it 1.4, glorot about 1."""


THIN = 0.3
"""The same of weights that begin too small."""

MANY = 4
"""More layers are not named one by one."""


def alike(moment: Moment) -> Suspect | None:
    """Weights that begin all alike."""
    rows = alike_rows(moment)
    manifest = moment.manifest
    if rows is None or manifest is None or not rows.any():
        return None
    first = manifest.parameters[int(np.flatnonzero(rows)[0])]
    began = first.initializer if first.initializer in CONSTANT else "zeros"
    return Suspect(
        f"all units of layer {first.layer} begin alike (kernel_initializer {began!r}) and get the "
        "same gradient",
        f"set kernel_initializer={initializer(moment, rows)!r} in {layers_of(moment, rows)} "
        f"in place of {began!r}",
    )


def initializer(moment: Moment, rows: NDArray[np.bool_]) -> str:
    """That which suits the activation behind most of these kernels."""
    assert moment.manifest is not None
    behind = [moment.manifest.parameters[i].activation for i in np.flatnonzero(rows)]
    rectified = sum(activation in RECTIFIED for activation in behind)
    return "he_normal" if 2 * rectified >= len(behind) else "glorot_uniform"


def layers_of(moment: Moment, rows: NDArray[np.bool_]) -> str:
    """The layers of these rows, in words; "all hidden layers" where they are no fewer than most."""
    layers, manifest = moment.layers, moment.manifest
    assert layers is not None
    assert manifest is not None
    named = list(dict.fromkeys(manifest.parameters[i].layer for i in np.flatnonzero(rows)))
    if len(named) == 1:
        return f"layer {named[0]}"
    hidden = {manifest.parameters[i].layer for i in layers.kernels[:-1]}
    if len(named) > MANY or (len(named) > 2 and hidden <= set(named)):
        return "all hidden layers"
    return f"layers {', '.join(named[:-1])} and {named[-1]}"


def alike_rows(moment: Moment) -> NDArray[np.bool_] | None:
    """Which kernels ahead of the last began with units all alike, [P]; None where not known."""
    layers, first = moment.layers, moment.facts.first_weights
    if layers is None or first is None or len(first) != layers.count:
        return None
    rows: NDArray[np.bool_] = layers.inner & (layers.constant | (first == 0))
    return rows


def wide_weights(moment: Moment) -> Suspect | None:
    """Weights that begin too large."""
    layers, first = moment.layers, moment.facts.first_weights
    if layers is None or first is None or len(first) != layers.count or not len(layers.kernels):
        return None
    scales = (first / np.sqrt(layers.units))[layers.kernels]
    if np.isnan(scales).all() or not np.nanmax(scales) > WIDE:
        return None
    worst, manifest = float(np.nanmax(scales)), moment.manifest
    cause = (
        f"weights that begin too large: those into a unit have a norm of {worst:.2g}, about 1 is "
        "usual"
    )
    rows = np.zeros(layers.count, np.bool_)
    rows[layers.kernels] = scales > WIDE
    of = [manifest.parameters[i].path for i in np.flatnonzero(rows)] if manifest is not None else []
    if of and all("recurrent_kernel" in path for path in of):
        return Suspect(cause, "use recurrent_initializer='orthogonal'")
    return Suspect(
        cause,
        f"set kernel_initializer={initializer(moment, rows)!r} in {layers_of(moment, rows)}",
    )


def thin_weights(moment: Moment) -> Suspect | None:
    """Weights that begin too small."""
    layers, first = moment.layers, moment.facts.first_weights
    if layers is None or first is None or len(first) != layers.count or len(layers.kernels) < 2:
        return None
    usual = float(np.median((first / np.sqrt(layers.units))[layers.kernels]))
    if not 0 < usual < THIN:
        return None
    return Suspect(
        f"weights that begin too small: those into a unit have a norm of {usual:.1g}, about 1 is "
        "usual",
        f"set kernel_initializer={initializer(moment, layers.inner)!r} in all hidden layers",
    )
