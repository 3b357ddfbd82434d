"""tbgrad: see what the gradients and the curvature of a Keras model do while it trains.

The names below load on first use, so that `import tbgrad` is free and never loads TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tbgrad.diagnosis import AlertSettings
    from tbgrad.history import LogDirectory, Run, Series, read
    from tbgrad.run import Buckets
    from tbgrad.training import hessian
    from tbgrad.training.callback import GradientMonitor
    from tbgrad.training.curvature import Curvature
    from tbgrad.training.early_stopping import GradientNormEarlyStopping
    from tbgrad.training.writer import GradientSummaryWriter

__version__ = "0.1.0"

__all__ = [
    "AlertSettings",
    "Buckets",
    "Curvature",
    "GradientMonitor",
    "GradientNormEarlyStopping",
    "GradientSummaryWriter",
    "LogDirectory",
    "Run",
    "Series",
    "hessian",
    "read",
]

_MODULES = {
    "AlertSettings": "tbgrad.diagnosis",
    "Buckets": "tbgrad.run",
    "Curvature": "tbgrad.training.curvature",
    "GradientMonitor": "tbgrad.training.callback",
    "GradientNormEarlyStopping": "tbgrad.training.early_stopping",
    "GradientSummaryWriter": "tbgrad.training.writer",
    "LogDirectory": "tbgrad.history",
    "Run": "tbgrad.history",
    "Series": "tbgrad.history",
    "read": "tbgrad.history",
}


def __getattr__(name: str) -> Any:
    if name == "hessian":
        return importlib.import_module("tbgrad.training.hessian")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'tbgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
