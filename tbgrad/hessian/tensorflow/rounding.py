"""What the rounding of weights does to derivatives at them."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import tensorflow as tf

from tbgrad.hessian.rows import Vector
from tbgrad.hessian.tensorflow.variables import FlatVariables

CONDITION = 4.0
"""What is rounded within a product, layer after layer, moves it by so many times what rounding of
the weights does: enough for the truth to lie within the bounds of 99 of 100 small networks."""


def moved_by_rounding(
    variables: FlatVariables, product_now: Callable[[], Vector], product: Vector
) -> float:
    """How far a product is off (2-norm) by rounding, as a share of it.

    As far as it moves where each weight moves by its rounding.
    """
    size = float(tf.norm(product))
    if not size:
        return 0.0
    weights = variables.flat(variables.variables)
    up = tf.random.stateless_uniform(tf.shape(weights), (0, 1)) < 0.5
    eps = float(np.finfo(variables.dtype).eps)
    with variables.moving() as move_by:
        move_by(tf.where(up, eps * weights, -eps * weights))
        moved = float(tf.norm(product_now() - product))
    return CONDITION * moved / size


def first_step(variables: FlatVariables, *, quantised: bool) -> float:
    """The step of differences that balances rounding and bend where derivatives are of order 1."""
    weights = variables.flat(variables.variables)
    types = {v.dtype.as_numpy_dtype for v in variables.variables}
    coarsest = max(float(ml_dtypes.finfo(t).eps) for t in types)  # type: ignore[no-untyped-call]
    if quantised:
        coarsest = max(coarsest, 2.0**-8)
    length: float = coarsest ** (1 / 3) * max(1.0, float(tf.norm(weights)))
    return length
