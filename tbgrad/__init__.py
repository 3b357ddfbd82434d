"""tbgrad: see what the gradients and the curvature of a Keras model do while it trains.

To read logs: `read`, `LogDirectory`, and the `Run`, `Series`, `Buckets`, `Layer`, `Histogram` and
`Extreme` that they hand out; `figure`; `AlertSettings`. To train, with TensorFlow
(`pip install 'tbgrad[tensorflow]'`): `GradientMonitor`, `GradientSummaryWriter`, `Curvature`,
`GradientNormEarlyStopping`, `gradient_check`, `find_critical_point`, and the functions of
`tbgrad.hessian`.

The names load on first use, so that `import tbgrad` is free and never loads TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbgrad.lazy import lazy

if TYPE_CHECKING:
    from tbgrad import analysis, hessian
    from tbgrad.analysis.critical_points import find_critical_point
    from tbgrad.analysis.gradient_check import gradient_check
    from tbgrad.diagnosis.settings import AlertSettings
    from tbgrad.figures import figure
    from tbgrad.keras.callback import GradientMonitor
    from tbgrad.keras.curvature import Curvature
    from tbgrad.keras.early_stopping import GradientNormEarlyStopping
    from tbgrad.keras.sensitivity import Sensitivity
    from tbgrad.keras.writer import GradientSummaryWriter
    from tbgrad.log.critical_point import CriticalPoint
    from tbgrad.log.gradient_check import GradientCheck
    from tbgrad.log.records import Alert, CurvatureEstimate, Manifest, Parameter
    from tbgrad.reading.directory import LogDirectory, read
    from tbgrad.reading.extremes import Extreme
    from tbgrad.reading.histogram import Histogram
    from tbgrad.reading.norms import Layer
    from tbgrad.reading.run import Run
    from tbgrad.reading.series import Buckets, Series

__version__ = "0.1.0"

__all__ = [
    "Alert",
    "AlertSettings",
    "Buckets",
    "CriticalPoint",
    "Curvature",
    "CurvatureEstimate",
    "Extreme",
    "GradientCheck",
    "GradientMonitor",
    "GradientNormEarlyStopping",
    "GradientSummaryWriter",
    "Histogram",
    "Layer",
    "LogDirectory",
    "Manifest",
    "Parameter",
    "Run",
    "Sensitivity",
    "Series",
    "analysis",
    "figure",
    "find_critical_point",
    "gradient_check",
    "hessian",
    "read",
]

_MODULES = {
    "Alert": "tbgrad.log.records",
    "AlertSettings": "tbgrad.diagnosis.settings",
    "Buckets": "tbgrad.reading.series",
    "CriticalPoint": "tbgrad.log.critical_point",
    "Curvature": "tbgrad.keras.curvature",
    "CurvatureEstimate": "tbgrad.log.records",
    "Extreme": "tbgrad.reading.extremes",
    "GradientCheck": "tbgrad.log.gradient_check",
    "GradientMonitor": "tbgrad.keras.callback",
    "GradientNormEarlyStopping": "tbgrad.keras.early_stopping",
    "GradientSummaryWriter": "tbgrad.keras.writer",
    "Histogram": "tbgrad.reading.histogram",
    "Layer": "tbgrad.reading.norms",
    "LogDirectory": "tbgrad.reading.directory",
    "Manifest": "tbgrad.log.records",
    "Parameter": "tbgrad.log.records",
    "Run": "tbgrad.reading.run",
    "Sensitivity": "tbgrad.keras.sensitivity",
    "Series": "tbgrad.reading.series",
    "analysis": "tbgrad.analysis",
    "figure": "tbgrad.figures",
    "find_critical_point": "tbgrad.analysis.critical_points",
    "gradient_check": "tbgrad.analysis.gradient_check",
    "hessian": "tbgrad.hessian",
    "read": "tbgrad.reading.directory",
}

if not TYPE_CHECKING:  # or else a type checker would take any name for one of ours
    __getattr__, __dir__ = lazy("tbgrad", _MODULES, globals())
