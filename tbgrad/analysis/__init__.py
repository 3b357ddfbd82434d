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
    from tbgrad.analysis.critical_points import find_critical_point, find_critical_points
    from tbgrad.analysis.gradient_check import gradient_check
    from tbgrad.analysis.input_maps import randomisation_check, sensitivity
    from tbgrad.analysis.landscape import line, plane
    from tbgrad.analysis.logged import log_analysis
    from tbgrad.log.critical_point import CriticalPoint
    from tbgrad.log.gradient_check import GradientCheck
    from tbgrad.log.landscape import Landscape
    from tbgrad.reading.trajectories import Trajectories, trajectories, weights_of

__all__ = [
    "CriticalPoint",
    "GradientCheck",
    "Landscape",
    "Trajectories",
    "find_critical_point",
    "find_critical_points",
    "gradient_check",
    "line",
    "log_analysis",
    "plane",
    "randomisation_check",
    "sensitivity",
    "trajectories",
    "weights_of",
]

_MODULES = {
    "CriticalPoint": "tbgrad.log.critical_point",
    "GradientCheck": "tbgrad.log.gradient_check",
    "Landscape": "tbgrad.log.landscape",
    "Trajectories": "tbgrad.reading.trajectories",
    "find_critical_point": "tbgrad.analysis.critical_points",
    "find_critical_points": "tbgrad.analysis.critical_points",
    "gradient_check": "tbgrad.analysis.gradient_check",
    "line": "tbgrad.analysis.landscape",
    "log_analysis": "tbgrad.analysis.logged",
    "plane": "tbgrad.analysis.landscape",
    "randomisation_check": "tbgrad.analysis.input_maps",
    "sensitivity": "tbgrad.analysis.input_maps",
    "trajectories": "tbgrad.reading.trajectories",
    "weights_of": "tbgrad.reading.trajectories",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy("tbgrad.analysis", _MODULES, globals())
