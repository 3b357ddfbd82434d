"""The Hessian of a loss: products, eigenvalues, trace, spectral density, and stability."""

from tbgrad.records import Share
from tbgrad.training.hessian.adaptive import Preconditioner, preconditioner
from tbgrad.training.hessian.batches import BatchedLoss
from tbgrad.training.hessian.density import SpectralDensity, spectral_density
from tbgrad.training.hessian.eigenvalues import Eigenvalues, eigenvalues
from tbgrad.training.hessian.errors import HessianError, NotFiniteError
from tbgrad.training.hessian.exact import MAX_SIZE, Spectrum, matrix, spectrum
from tbgrad.training.hessian.gauss_newton import GaussNewtonOperator
from tbgrad.training.hessian.layers import layer_eigenvalues
from tbgrad.training.hessian.model_loss import model_loss, model_outputs
from tbgrad.training.hessian.operator import HessianOperator
from tbgrad.training.hessian.preconditioned import PreconditionedOperator
from tbgrad.training.hessian.stability import stability_threshold
from tbgrad.training.hessian.trace import Trace, trace

__all__ = [
    "MAX_SIZE",
    "BatchedLoss",
    "Eigenvalues",
    "GaussNewtonOperator",
    "HessianError",
    "HessianOperator",
    "NotFiniteError",
    "PreconditionedOperator",
    "Preconditioner",
    "Share",
    "SpectralDensity",
    "Spectrum",
    "Trace",
    "eigenvalues",
    "layer_eigenvalues",
    "matrix",
    "model_loss",
    "model_outputs",
    "preconditioner",
    "spectral_density",
    "spectrum",
    "stability_threshold",
    "trace",
]
