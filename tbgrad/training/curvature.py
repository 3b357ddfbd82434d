"""Periodic curvature estimates during training: what to estimate, on which data, and when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tbgrad.records import CurvatureEstimate, Eigenvalue
from tbgrad.training import hessian
from tbgrad.training.arguments import check_steps
from tbgrad.training.runlog import RunLog


@dataclass(frozen=True)
class Curvature:
    """How the monitor estimates the extreme eigenvalues of the Hessian during training.

    Args:
        data: where the probe batch comes from, `(x, y)` or `(x, y, sample_weight)` as for
            `model.fit`: arrays, or nested lists, tuples and dicts of them.
        every: steps between two estimates. There is one before the first step and one after the
            last too.
        samples: size of the probe batch, drawn once from `data`; all of it where it has fewer.
        tol: an eigenvalue has converged when its error bound is at most this share of it.
        max_products: Hessian-vector products that one estimate may take.

    The estimate is of the compiled loss, regularisation included, with the model as in inference
    (no dropout, BatchNorm with its moving averages), by Lanczos iteration started from the
    eigenvectors of the estimate before.

    Raises:
        ValueError: a number is out of range, or `data` is not a tuple of two or three.
    """

    data: Any
    every: int = 500
    samples: int = 256
    tol: float = 1e-2
    max_products: int = 60

    def __post_init__(self) -> None:
        check_steps("Curvature.every", self.every)
        if not isinstance(self.data, tuple | list) or len(self.data) not in (2, 3):
            raise ValueError(
                "Curvature.data is (x, y) or (x, y, sample_weight), as for model.fit; not "
                f"{type(self.data).__name__}"
            )
        if self.samples < 1:
            raise ValueError(f"Curvature.samples is at least 1, not {self.samples}")
        if not 0 < self.tol < 1:
            raise ValueError(f"Curvature.tol is a share between 0 and 1, not {self.tol}")
        if self.max_products < 2:
            raise ValueError(f"Curvature.max_products is at least 2, not {self.max_products}")


class CurvatureProbe:
    """Estimates the curvature of one model on one fixed probe batch and logs it."""

    def __init__(self, settings: Curvature, model: Any, optimizer: Any, log: RunLog) -> None:
        self._settings = settings
        self._log = log
        self._optimizer = optimizer
        self._model = model
        self._batch, self._samples = probe_batch(settings.data, settings.samples)
        self._operator: hessian.HessianOperator | None = None
        self._vectors: Any = None
        self._last: int | None = None
        self._failed = False
        self._not_finite = False

    def due(self, step: int) -> bool:
        """Whether an estimate is due between two steps, `step` updates being done."""
        if self._failed:
            return False
        return (
            self._last is None or step // self._settings.every > self._last // self._settings.every
        )

    def estimate(self) -> None:
        """Estimate at the present weights and log it; a failure ends the estimates, no more."""
        step = self._log.step
        if self._failed or step == self._last:
            return
        started = time.perf_counter()
        try:
            if self._operator is None:
                self._operator = hessian.HessianOperator(
                    hessian.model_loss(self._model, *self._batch), self._model.trainable_variables
                )
            found = hessian.eigenvalues(
                self._operator,
                k=min(2, self._operator.size),
                which="BE",
                tol=self._settings.tol,
                start=self._vectors,
                max_products=self._settings.max_products,
                seed=step,
            )
            threshold, formula = hessian.stability_threshold(self._optimizer)
        except hessian.NotFiniteError as error:
            self._last = step
            if not self._not_finite:
                self._log.note(f"no curvature at step {step}, and none until it is finite. {error}")
            self._not_finite = True
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._log.note(f"no curvature from step {step} on. {error}")
            return
        self._last, self._vectors, self._not_finite = step, found.vectors, False
        estimate = CurvatureEstimate(
            eigenvalues=tuple(
                Eigenvalue(float(value), float(residual))
                for value, residual in zip(found.values, found.residuals, strict=True)
            ),
            converged=bool(found.converged),
            hvps=int(found.hvps),
            seconds=time.perf_counter() - started,
            loss=float(found.loss),
            samples=self._samples,
            stability_threshold=threshold,
            threshold_formula=formula,
        )
        self._log.add_curvature(step, estimate)


def probe_batch(data: Any, samples: int) -> tuple[tuple[Any, ...], int]:
    """A fixed random choice of `samples` rows of nested arrays, and how many there are.

    Raises:
        ValueError: the arrays have no rows, or differ in their number.
    """
    import keras

    parts = tuple(keras.tree.map_structure(np.asarray, part) for part in data)
    lengths = {len(array) for array in keras.tree.flatten(parts)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"Curvature.data has arrays of {sorted(lengths)} samples: give x and y of one length"
        )
    count = lengths.pop()
    if count > samples:
        chosen = np.sort(np.random.default_rng(0).choice(count, samples, replace=False))
        parts = tuple(keras.tree.map_structure(lambda a: a[chosen], part) for part in parts)
    return parts, min(count, samples)
