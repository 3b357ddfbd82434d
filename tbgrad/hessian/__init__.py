"""The Hessian of a loss: products, eigenvalues, trace, spectral density, and stability.

    from tbgrad.hessian import HessianOperator, eigenvalues, model_loss

    operator = HessianOperator(model_loss(model, x, y), model.trainable_variables)
    eigenvalues(operator, k=3).values

The names load on first use; what is of TensorFlow loads TensorFlow, and nothing else does. Products
of a matrix of any other origin come from a `SymmetricOperator` of `tbgrad.hessian.operator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbgrad.lazy import lazy

if TYPE_CHECKING:
    from tbgrad.hessian.batches import BatchedLoss
    from tbgrad.hessian.by_layer import layer_eigenvalues
    from tbgrad.hessian.density import SpectralDensity, spectral_density
    from tbgrad.hessian.errors import HessianError, NotFiniteError
    from tbgrad.hessian.exact import MAX_SIZE, Spectrum, matrix, spectrum
    from tbgrad.hessian.extremes import Eigenvalues, eigenvalues
    from tbgrad.hessian.tensorflow.adaptive import Preconditioner, preconditioner
    from tbgrad.hessian.tensorflow.batch_gradients import BatchGradients
    from tbgrad.hessian.tensorflow.gauss_newton import GaussNewtonOperator
    from tbgrad.hessian.tensorflow.hessian import HessianOperator
    from tbgrad.hessian.tensorflow.input_gradients import InputGradients, last_convolution
    from tbgrad.hessian.tensorflow.loss_points import LossPoints
    from tbgrad.hessian.tensorflow.losses import model_loss, model_outputs
    from tbgrad.hessian.tensorflow.preconditioned import PreconditionedOperator
    from tbgrad.hessian.tensorflow.thresholds import stability_threshold
    from tbgrad.hessian.trace_estimate import Trace, trace
    from tbgrad.log.share import Share

__all__ = [
    "MAX_SIZE",
    "BatchGradients",
    "BatchedLoss",
    "Eigenvalues",
    "GaussNewtonOperator",
    "HessianError",
    "HessianOperator",
    "InputGradients",
    "LossPoints",
    "NotFiniteError",
    "PreconditionedOperator",
    "Preconditioner",
    "Share",
    "SpectralDensity",
    "Spectrum",
    "Trace",
    "eigenvalues",
    "last_convolution",
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

_MODULES = {
    "MAX_SIZE": "tbgrad.hessian.exact",
    "BatchGradients": "tbgrad.hessian.tensorflow.batch_gradients",
    "BatchedLoss": "tbgrad.hessian.batches",
    "Eigenvalues": "tbgrad.hessian.extremes",
    "GaussNewtonOperator": "tbgrad.hessian.tensorflow.gauss_newton",
    "HessianError": "tbgrad.hessian.errors",
    "HessianOperator": "tbgrad.hessian.tensorflow.hessian",
    "InputGradients": "tbgrad.hessian.tensorflow.input_gradients",
    "LossPoints": "tbgrad.hessian.tensorflow.loss_points",
    "NotFiniteError": "tbgrad.hessian.errors",
    "PreconditionedOperator": "tbgrad.hessian.tensorflow.preconditioned",
    "Preconditioner": "tbgrad.hessian.tensorflow.adaptive",
    "Share": "tbgrad.log.share",
    "SpectralDensity": "tbgrad.hessian.density",
    "Spectrum": "tbgrad.hessian.exact",
    "Trace": "tbgrad.hessian.trace_estimate",
    "eigenvalues": "tbgrad.hessian.extremes",
    "last_convolution": "tbgrad.hessian.tensorflow.input_gradients",
    "layer_eigenvalues": "tbgrad.hessian.by_layer",
    "matrix": "tbgrad.hessian.exact",
    "model_loss": "tbgrad.hessian.tensorflow.losses",
    "model_outputs": "tbgrad.hessian.tensorflow.losses",
    "preconditioner": "tbgrad.hessian.tensorflow.adaptive",
    "spectral_density": "tbgrad.hessian.density",
    "spectrum": "tbgrad.hessian.exact",
    "stability_threshold": "tbgrad.hessian.tensorflow.thresholds",
    "trace": "tbgrad.hessian.trace_estimate",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy("tbgrad.hessian", _MODULES, globals())
