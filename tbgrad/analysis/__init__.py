"""What a point of the loss is, once training has stopped there.

    import tbgrad

    loss = tbgrad.hessian.model_loss(model, x, y)
    found = tbgrad.find_critical_point(loss, model.trainable_variables)
    found.kind, found.index, found.gradient_norm

The names load on first use; computing takes TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbgrad.lazy import lazy

if TYPE_CHECKING:
    from tbgrad.analysis.critical_points import (
        CriticalPoint,
        find_critical_point,
        find_critical_points,
    )
    from tbgrad.analysis.gradient_check import GradientCheck, gradient_check

__all__ = [
    "CriticalPoint",
    "GradientCheck",
    "find_critical_point",
    "find_critical_points",
    "gradient_check",
]

_MODULES = {
    "CriticalPoint": "tbgrad.analysis.critical_points",
    "GradientCheck": "tbgrad.analysis.gradient_check",
    "find_critical_point": "tbgrad.analysis.critical_points",
    "find_critical_points": "tbgrad.analysis.critical_points",
    "gradient_check": "tbgrad.analysis.gradient_check",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy("tbgrad.analysis", _MODULES, globals())
