"""tbgrad: see what the gradients and the curvature of a Keras model do while it trains.

To read logs: `read`, `LogDirectory`, and the `Run`, `Series` and `Buckets` that they hand out;
`AlertSettings`. To train, with TensorFlow (`pip install 'tbgrad[tensorflow]'`): `GradientMonitor`,
`GradientSummaryWriter`, `Curvature`, `GradientNormEarlyStopping`, and the functions of
`tbgrad.hessian`.

The names load on first use, so that `import tbgrad` is free and never loads TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbgrad import hessian
    from tbgrad.diagnosis import AlertSettings
    from tbgrad.history import LogDirectory, Run, Series, read
    from tbgrad.run import Buckets
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


if not TYPE_CHECKING:  # or else a type checker would take any name for one of ours

    def __getattr__(name):
        if name == "hessian":
            return importlib.import_module("tbgrad.hessian")
        if name not in _MODULES:
            raise AttributeError(f"module 'tbgrad' has no attribute {name!r}")
        try:
            return getattr(importlib.import_module(_MODULES[name]), name)
        except ModuleNotFoundError as error:
            if _needs_training(error):
                raise ImportError(_sentence(f"tbgrad.{name}")) from None
            raise


def __dir__() -> list[str]:
    """The names that can be loaded here: `help` loads all that it is told of."""
    trains = all(importlib.util.find_spec(name) for name in ("tensorflow", "keras"))
    here = [name for name in __all__ if trains or not _trains(name)]
    return sorted([*globals(), *here])


def _trains(name: str) -> bool:
    return _MODULES.get(name, "").startswith("tbgrad.training")


def _needs_training(error: ModuleNotFoundError) -> bool:
    return (error.name or "").partition(".")[0] in ("tensorflow", "keras")


def _sentence(name: str) -> str:
    return (
        f"{name} needs TensorFlow and Keras, and one of them is not installed: "
        "pip install 'tbgrad[tensorflow]' (to read logs needs neither)"
    )
