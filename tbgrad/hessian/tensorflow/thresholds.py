"""The largest Hessian eigenvalue at which an optimizer is stable."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def stability_threshold(optimizer: Any) -> tuple[float | None, str]:
    """The sharpness above which `optimizer` diverges on a quadratic, and the formula of it.

    On ½ λ w² the iteration of full-batch gradient descent with step size η, momentum β and
    decoupled weight decay d is linear, and its matrix leaves the unit disc through −1 at

    - λ = 2/η − d for plain descent,
    - λ = (1 + β)(2/η − d) with momentum,
    - λ = (1 + β)(2/η − d) / (1 + 2β) with Nesterov momentum

    (for d = 0: Cohen et al., "Gradient descent on neural networks typically occurs at the edge of
    stability", ICLR 2021; all six are tested on Keras' own iteration). η is the current value of a
    schedule. Gradient accumulation does not matter. Clipping lets the weights stay where the bare
    iteration would diverge, and the formula says where it is set.

    Args:
        optimizer: a Keras optimizer; of a LossScaleOptimizer the inner one counts.

    Returns:
        (threshold, formula), in the units of the eigenvalues of the loss; threshold is None where
        none is known, and formula then says why.

    >>> stability_threshold(keras.optimizers.SGD(0.5))
    (4.0, '2/η')
    """
    if optimizer is None:
        return None, "no threshold: the optimizer is not known"
    optimizer = innermost(optimizer)
    name = type(optimizer).__name__
    sgd = keras.optimizers.SGD
    if not isinstance(optimizer, sgd) or type(optimizer).update_step is not sgd.update_step:
        return None, (
            f"no threshold for the plain Hessian: {name} is not gradient descent with momentum "
            f"(of adaptive methods see `preconditioner`)"
        )
    eta = float(tf.convert_to_tensor(optimizer.learning_rate))
    if not eta > 0:
        return None, f"no threshold: the learning rate is {eta:g}"
    beta = float(optimizer.momentum)
    threshold, formula = decayed(optimizer, eta)
    decay = bool(optimizer.weight_decay)
    if beta:
        threshold *= 1 + beta
        formula = f"(1+β)({formula})" if decay else "(2+2β)/η"
    if beta and optimizer.nesterov:
        threshold /= 1 + 2 * beta
        formula = f"{formula}/(1+2β)" if decay else "(2+2β)/(η(1+2β))"
    if any((optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm)):
        formula += ", where clipping does not act"
    if optimizer.use_ema and optimizer.ema_overwrite_frequency:
        formula += ", between two overwrites by the moving average"
    return threshold, formula


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the variables, inside any `LossScaleOptimizer`."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def decayed(optimizer: Any, eta: float) -> tuple[float, str]:
    """2/η less the decoupled weight decay, and the formula of it."""
    decay = float(optimizer.weight_decay or 0.0)
    return 2 / eta - decay, "2/η − weight decay" if decay else "2/η"
