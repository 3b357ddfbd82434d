"""The gradient over all of the data, and how large it is beside its own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from tbgrad import hessian
from tbgrad.hessian.errors import HessianError
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.records import Parameter


def gradient_check(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int = 32,
    progress: bool | None = None,
) -> GradientCheck:
    """The exact gradient of a compiled model's loss over all of the data, at its present weights.

    Is training at a point where the gradient vanishes, or is the gradient of a batch only small
    beside its noise? Memory is that of a batch and of three vectors of the size of the weights,
    however many samples there are. The loss is that of `tbgrad.hessian.model_loss`: dropout off,
    BatchNormalization with its moving statistics, regularisation in.

    Of batches b of m_b samples with gradients g_b and the gradient g of all, the variance of a
    single sample is Σ m_b ‖g_b − g‖² / (batches − 1), and that of a batch of m an m-th of it.

    Args:
        model: a compiled and built Keras model.
        x, y, sample_weight: as for `fit`, or a `tf.data.Dataset` of batches as x alone, each of
            samples drawn at random: the noise of sorted ones is not that of training.
        batch_size: samples in memory at a time, and those that `noise` is of; a dataset brings its
            own.
        progress: whether to show on standard error how far it is; by default on a terminal.

    Returns:
        GradientCheck; `print` shows the layers, the largest first.

    Raises:
        HessianError: the model is not compiled or not built, the data do not fit together, or the
            loss is not finite.

    >>> print(tbgrad.gradient_check(model, x, y))
    """
    size = None if hasattr(x, "element_spec") else batch_size  # a dataset brings its batches
    loss = hessian.model_loss(model, x, y, sample_weight, batch_size=size)
    gradients = hessian.BatchGradients(loss, model.trainable_variables)
    moments = _Moments(gradients.parameters)
    console = Console(stderr=True)
    shown = console.is_terminal if progress is None else progress
    for samples, value, gradient in track(
        gradients, "Gradient of all samples", console=console, transient=True, disable=not shown
    ):
        moments.add(samples, value, gradient)
    return moments.told()


class _Moments:
    """Mean and variance of gradients, weighted by their samples, one after the other.

    By the update of Welford, for parts of the vector: the differences are those to the mean of what
    came before, and no sum of large squares is taken from another.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._ends = np.cumsum([0, *(parameter.size for parameter in parameters)])
        self._mean: NDArray[np.float64] = np.zeros(self._ends[-1])
        self._squares = np.zeros(len(parameters))
        self._loss = self._samples = 0.0
        self._batches, self._largest = 0, 0.0

    def add(self, samples: float, loss: float, gradient: NDArray[Any]) -> None:
        """One more batch."""
        self._batches += 1
        self._samples += samples
        self._largest = max(self._largest, samples)
        share = samples / self._samples
        away = gradient - self._mean
        self._mean += share * away
        self._loss += share * (loss - self._loss)
        self._squares += samples * (1 - share) * self._by_part(away)

    def _by_part(self, vector: NDArray[Any]) -> NDArray[np.float64]:
        return np.add.reduceat(np.square(vector, dtype=np.float64), self._ends[:-1])

    def told(self) -> GradientCheck:
        """What came of it."""
        if not self._batches:
            raise HessianError("The data have no batch: give at least one sample.")
        squares = self._by_part(self._mean)
        several = self._batches > 1
        variances = self._squares / (self._batches - 1) if several else self._squares * np.nan
        noises = np.sqrt(variances / self._largest)
        layers: dict[str, float] = {}
        for parameter, square in zip(self._parameters, squares.tolist(), strict=True):
            name = parameter.layer or parameter.path
            layers[name] = layers.get(name, 0.0) + square
        names = [parameter.path for parameter in self._parameters]
        return GradientCheck(
            loss=self._loss,
            norm=math.sqrt(squares.sum()),
            norms=dict(zip(names, np.sqrt(squares).tolist(), strict=True)),
            layer_norms={name: math.sqrt(square) for name, square in layers.items()},
            noise=math.sqrt((noises**2).sum()),
            noises=dict(zip(names, noises.tolist(), strict=True)),
            samples=round(self._samples),
            batch_size=round(self._largest),
        )
