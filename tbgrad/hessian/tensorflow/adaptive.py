"""Adaptive optimizers as gradient descent in coordinates of their own, and when that is stable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.tensorflow.thresholds import decayed, innermost
from tbgrad.keras import internals
from tbgrad.keras.parameters import trained


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """What an adaptive optimizer divides its steps by.

    Attributes:
        diagonal: D, [n] float64, above zero: a step with the present moments is −η D⁻¹ m.
        threshold: the largest eigenvalue of D^−½ H D^−½ at which the optimizer is stable.
        formula: of the threshold.
    """

    diagonal: NDArray[np.float64]
    threshold: float
    formula: str


def preconditioner(optimizer: Any, variables: Sequence[Any]) -> Preconditioner | None:
    """The preconditioner of Adam, AdamW or RMSprop at its present moments.

    With the squares of the gradients v held still, their iteration on ½ λ w² is that of gradient
    descent with momentum on λ/D, and leaves the unit disc through −1 at

    - λ/D = (1 + β₁)(2/η − d) / (1 − β₁) for Adam with decoupled weight decay d: 38/η at
      β₁ = 0.9 and d = 0,
    - λ/D = (1 + β)(2/η − d) for RMSprop with momentum β

    (Cohen et al., "Adaptive gradient methods at the edge of stability", 2022). D has the bias
    corrections and the ε of Keras' own update, and is tested on it.

    Args:
        optimizer: a Keras optimizer; of a LossScaleOptimizer the inner one counts.
        variables: the n parameters, in the order of the Hessian.

    Returns:
        None for other optimizers, before the first update, and where the optimizer does not have
        one of the variables.
    """
    optimizer = innermost(optimizer)
    kind = next((kind for kind in _KINDS if isinstance(optimizer, kind)), None)
    if kind is None or type(optimizer).update_step is not kind.update_step:
        return None
    eta = float(tf.convert_to_tensor(optimizer.learning_rate))
    indices = [internals.index(optimizer, variable) for variable in trained(variables)]
    updated = int(tf.convert_to_tensor(optimizer.iterations)) > 0
    if not updated or not eta > 0 or None in indices:
        return None
    adam = kind is keras.optimizers.Adam
    diagonal = _adam if adam else _rmsprop
    parts = [diagonal(optimizer, index) for index in indices if index is not None]
    beta = float(optimizer.beta_1 if adam else optimizer.momentum)
    step, formula = decayed(optimizer, eta)
    threshold = step * (1 + beta) / (1 - beta if adam else 1)
    if adam and beta:
        formula = f"(1+β₁)({formula})/(1−β₁)" if optimizer.weight_decay else "(2+2β₁)/((1−β₁)η)"
    elif beta:
        formula = f"(1+β)({formula})" if optimizer.weight_decay else "(2+2β)/η"
    return Preconditioner(np.concatenate(parts), threshold, formula)


def _adam(optimizer: Any, index: int) -> NDArray[np.float64]:
    updates = int(tf.convert_to_tensor(optimizer.iterations))
    squares = internals.squares(optimizer, index, largest=optimizer.amsgrad)
    seen, seen_squares = 1 - optimizer.beta_1**updates, 1 - optimizer.beta_2**updates
    root = np.sqrt(_flat(squares)) + optimizer.epsilon
    diagonal: NDArray[np.float64] = root * seen / np.sqrt(seen_squares)
    return diagonal


def _rmsprop(optimizer: Any, index: int) -> NDArray[np.float64]:
    squares = _flat(internals.squares(optimizer, index))
    if optimizer.centered:
        squares = np.maximum(squares - _flat(internals.mean(optimizer, index)) ** 2, 0)
    diagonal: NDArray[np.float64] = np.sqrt(squares + optimizer.epsilon)
    return diagonal


def _flat(variable: Any) -> NDArray[np.float64]:
    return np.asarray(tf.convert_to_tensor(variable), dtype=np.float64).ravel()


_KINDS = (keras.optimizers.Adam, keras.optimizers.RMSprop)
