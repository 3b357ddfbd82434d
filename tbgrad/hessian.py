"""The Hessian of a loss: products, eigenvalues, trace, spectral density, and stability.

    from tbgrad.hessian import HessianOperator, eigenvalues, model_loss

    operator = HessianOperator(model_loss(model, x, y), model.trainable_variables)
    eigenvalues(operator, k=3).values

The names load on first use, and with them TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

import tbgrad

if TYPE_CHECKING:
    from tbgrad.training.hessian import *  # noqa: F403
    from tbgrad.training.hessian import __all__ as __all__
else:

    def __getattr__(name):
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module 'tbgrad.hessian' has no attribute {name!r}")
        try:
            module = importlib.import_module("tbgrad.training.hessian")
        except ModuleNotFoundError as error:
            if tbgrad._needs_training(error):
                raise ImportError(tbgrad._sentence(f"tbgrad.hessian.{name}")) from None
            raise
        if name != "__all__" and name not in module.__all__:
            raise AttributeError(f"module 'tbgrad.hessian' has no attribute {name!r}")
        return getattr(module, name)


def __dir__() -> list[str]:
    """The names that can be loaded here."""
    if not all(importlib.util.find_spec(name) for name in ("tensorflow", "keras")):
        return sorted(globals())
    return sorted([*globals(), *importlib.import_module("tbgrad.training.hessian").__all__])
