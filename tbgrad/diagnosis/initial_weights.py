"""Weights that begin too large, too small or all alike, and what suits the layers instead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.network import CONSTANT
from tbgrad.diagnosis.rule import Moment
from tbgrad.diagnosis.suspects import Suspect
from tbgrad.log.median import median
from tbgrad.log.records import Manifest
from tbgrad.log.text import number

RECTIFIED = {"relu", "leaky_relu", "relu6", "elu", "gelu", "silu", "swish", "prelu", "mish"}
"""Activations that take away about half, for which he_normal makes up."""

WIDE = 5.0
"""Norm of the weights into a unit that begin too large: he_normal makes it 1.4, glorot about 1."""

SUITS = 2**0.5
"""Norm of the weights into a unit above which even units of relu make more of what they get."""

LARGER = 1.5
"""So many times that norm is no chance."""

TOGETHER = 100.0
"""Layers in a row that make so much more of what comes in begin too large, none of them by much;
those that leave the square of it too little, too small."""

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
    """Weights that begin too large: some by far, or many that add up over the depth."""
    layers, first = moment.layers, moment.facts.first_weights
    manifest = moment.manifest
    if layers is None or first is None or len(first) != layers.count or manifest is None:
        return None
    scales = np.nan_to_num(first / np.sqrt(layers.units), nan=0.0)
    kernels = np.isin(np.arange(layers.count), layers.kernels)
    rows = kernels & (scales > WIDE)
    worst = float(scales[kernels].max(initial=0.0))
    cause = (
        f"weights that begin too large: those into a unit have a norm of "
        f"{number(worst, 2)}, about 1 is "
        "usual"
    )
    if not rows.any():
        # What a normalization scales again behind a layer does not add up.
        rows = kernels & _plain(manifest) & (scales > SUITS)
        grows = float(np.prod(scales[rows] / SUITS))
        if not grows > TOGETHER:
            return None
        cause += f", and {rows.sum()} layers make {number(grows, 1)} times too much of it together"
    of = [manifest.parameters[i].path for i in np.flatnonzero(rows)]
    if all("recurrent_kernel" in path for path in of):
        return Suspect(cause, "use recurrent_initializer='orthogonal'")
    return Suspect(
        cause,
        f"set kernel_initializer={initializer(moment, rows)!r} in {layers_of(moment, rows)}",
    )


def thin_weights(moment: Moment) -> Suspect | None:
    """Weights that begin too small: by far, or by an amount that adds up over the depth."""
    layers, first = moment.layers, moment.facts.first_weights
    manifest = moment.manifest
    if layers is None or first is None or len(first) != layers.count or manifest is None:
        return None
    if len(layers.kernels) < 2:
        return None
    scales = np.nan_to_num(first / np.sqrt(layers.units), nan=0.0)
    usual = median(scales[layers.kernels])
    if not usual > 0:
        return None
    cause = (
        f"weights that begin too small: those into a unit have a norm of "
        f"{number(usual, 1)}, about 1 is "
        "usual"
    )
    if usual >= THIN:
        of_relu = np.array([p.activation in RECTIFIED for p in manifest.parameters], np.bool_)
        rows = layers.inner & of_relu & _plain(manifest) & (scales > 0)
        shrinks = float(np.prod(scales[rows] / SUITS))
        if not shrinks < 1 / TOGETHER**2:
            return None
        cause += f", and {rows.sum()} layers leave {number(shrinks, 1)} of it together"
    return Suspect(cause, usual_weights(moment))


def larger_than_usual(moment: Moment) -> bool:
    """Whether weights begin larger than suits their layers, if not by far."""
    layers, first = moment.layers, moment.facts.first_weights
    if layers is None or first is None or len(first) != layers.count or not len(layers.kernels):
        return False
    scales = first[layers.kernels] / np.sqrt(layers.units[layers.kernels])
    return bool(np.nanmax(scales) > LARGER * SUITS)


def usual_weights(moment: Moment) -> str:
    """Advice to let all kernels begin as suits them."""
    assert moment.layers is not None
    chosen = initializer(moment, moment.layers.inner)
    return f"set kernel_initializer={chosen!r} in all hidden layers"


def _plain(manifest: Manifest) -> NDArray[np.bool_]:
    """Rows of layers behind which no normalization scales again, [P]."""
    return np.array([p.normalization in ("", "none") for p in manifest.parameters], np.bool_)
