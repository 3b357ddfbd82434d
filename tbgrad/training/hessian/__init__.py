"""The Hessian of a loss: products, extreme eigenvalues with error bounds, stability."""

from tbgrad.training.hessian.eigenvalues import Eigenvalues, eigenvalues
from tbgrad.training.hessian.model_loss import model_loss
from tbgrad.training.hessian.operator import HessianError, HessianOperator, NotFiniteError
from tbgrad.training.hessian.stability import stability_threshold

__all__ = [
    "Eigenvalues",
    "HessianError",
    "HessianOperator",
    "NotFiniteError",
    "eigenvalues",
    "model_loss",
    "stability_threshold",
]
