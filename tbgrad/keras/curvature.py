"""Periodic curvature estimates during training: what to estimate, on which data, and when."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tbgrad import hessian
from tbgrad.keras.attachment import Attachment
from tbgrad.keras.probe import check_fixed, is_dataset, probe_batch, with_weights
from tbgrad.log.brief import percent
from tbgrad.log.records import CurvatureEstimate, Eigenvalue
from tbgrad.log.text import number
from tbgrad.monitoring.arguments import check_steps
from tbgrad.monitoring.schedule import EstimateSchedule
from tbgrad.monitoring.sentences import brief


@dataclass(frozen=True)
class Curvature:
    """How the monitor estimates the curvature of the loss during training.

    Args:
        data: where the probe batch comes from, `(x, y)` or `(x, y, sample_weight)` as for
            `model.fit`: arrays, or nested lists, tuples and dicts of them; or a `tf.data.Dataset`
            of batches of these. The `class_weight` of `fit` counts for it, too. Not for
            `GradientSummaryWriter.curvature`, which is given a loss.
        every: steps between two estimates. There is one before the first step and one after the
            last too.
        samples: size of the probe batch, drawn once from `data`, of a dataset the first ones; all
            of it where it has fewer.
        k: eigenvalues of the Hessian at each end of its spectrum.
        trace: whether to estimate its trace, too.
        density_every: steps between two estimates of its spectral density, and of the shares of its
            eigenvalues above and below zero; None for none. Up to 5,000 parameters they are exact
            where the budget allows.
        budget: wall-clock time that estimates may take, tracing their functions included, as a
            share of what the training takes without them. Where they would take more, they come
            less often than `every` says, and a note in the log says so. The first and the last come
            in any case. None sets no limit.
        tol: an eigenvalue has converged when its error bound is at most this share of it.
        max_products: Hessian-vector products that one estimate of eigenvalues may take.
        spectrum_at_end: whether the last estimate has all eigenvalues, of up to 5,000 parameters,
            and so the exact share of them that is positive (`curvature/minimum_ratio`); of more its
            density. Takes as many products as there are parameters, whatever the budget.

    The estimate is of the compiled loss, regularisation included, with the model as in inference
    (no dropout, BatchNorm with its moving averages), by Lanczos iteration started from the
    eigenvectors of the estimate before. With Adam, AdamW and RMSprop there is one of the
    preconditioned Hessian too, which their stability depends on. It takes the memory of ten vectors
    of the size of the weights, or 64 MiB where that is more, besides that of a gradient.

    Raises:
        ValueError: a number is out of range, or `data` is not a tuple of two or three.
    """

    data: Any = None
    every: int = 500
    samples: int = 256
    k: int = 1
    trace: bool = False
    density_every: int | None = None
    budget: float | None = 0.05
    tol: float = 1e-2
    max_products: int = 60
    spectrum_at_end: bool = False

    def __post_init__(self) -> None:
        check_steps("Curvature.every", self.every)
        if self.density_every is not None:
            check_steps("Curvature.density_every", self.density_every)
        if (
            self.data is not None
            and not is_dataset(self.data)
            and (not isinstance(self.data, tuple | list) or len(self.data) not in (2, 3))
        ):
            raise ValueError(
                "Curvature.data is (x, y) or (x, y, sample_weight), as for model.fit, or a "
                f"tf.data.Dataset of batches of these; not {type(self.data).__name__}"
            )
        if self.samples < 1:
            raise ValueError(f"Curvature.samples is at least 1, not {self.samples}")
        if self.k < 1:
            raise ValueError(f"Curvature.k is at least 1, not {self.k}")
        if self.budget is not None and not self.budget > 0:
            raise ValueError(f"Curvature.budget is a share above 0 or None, not {self.budget}")
        if not 0 < self.tol < 1:
            raise ValueError(f"Curvature.tol is a share between 0 and 1, not {self.tol}")
        if self.max_products < 2 * self.k:
            raise ValueError(
                f"Curvature.max_products is at least 2 k = {2 * self.k}, not {self.max_products}"
            )


class CurvatureProbe:
    """Estimates the curvature of one loss and logs it, within a share of the time.

    `make` gives the loss and its variables when the first estimate is due; `samples` is how many
    samples the loss is of, 0 where that is not known.
    """

    def __init__(
        self,
        settings: Curvature,
        make: Callable[[], tuple[Any, Sequence[Any]]],
        attachment: Attachment,
        samples: int = 0,
    ) -> None:
        self._settings = settings
        self._make = make
        self._variables: Sequence[Any] = ()
        self._attachment = attachment
        self._optimizer, self._log = attachment.optimizer, attachment.log
        self._samples = samples
        self._operator: hessian.HessianOperator | None = None
        self._preconditioned: hessian.PreconditionedOperator | None = None
        self._starts: dict[str, Any] = {}
        self._schedule = EstimateSchedule(settings.every, settings.budget, time.monotonic())
        self._last_density: int | None = None
        self._failed = self._not_finite = False

    def due(self, step: int, now: float) -> bool:
        """Whether an estimate is due between two steps, `step` updates being done.

        `now` is of `time.monotonic`. Says so once where the budget leaves out one after the other.
        """
        due = self._schedule.due(step, now)
        if self._schedule.overdue:
            self._tell_left_out()
        return due

    def end(self) -> CurvatureEstimate | None:
        """The last estimate, after the last step; says so where the budget left some out."""
        if self._schedule.left_out:
            self._tell_left_out()
        return self.estimate(last=True)

    def _tell_left_out(self) -> None:
        self._log.note_once(
            "budget",
            f"estimates of the curvature took {number(self._schedule.spent, 2)} s, more than "
            f"{percent(self._settings.budget or 0.0)} of the time: they come less often than every "
            f"{self._settings.every} steps. Curvature(budget=...) allows more",
        )

    def estimate(self, *, last: bool = False) -> CurvatureEstimate | None:
        """Estimate at the present weights and log it; a failure ends the estimates, no more."""
        step = self._attachment.step
        whole = last and self._settings.spectrum_at_end
        if self._failed or (self._schedule.has(step) and not whole):
            return None
        started = time.perf_counter()
        self._attachment.drain()  # the steps before stand before the estimate in the log
        try:
            if self._operator is None:
                loss, self._variables = self._make()
                self._operator = hessian.HessianOperator(loss, self._variables)
                self._operator.prepare()
            traced = time.perf_counter()
            with self._operator.fixed():
                estimate = self._eigenvalues(step, self._operator, started)
                density = self._density(step, self._operator, whole)
            if density is not None:
                shares = ("minimum_ratio", "negative_fraction", "zero_fraction")
                estimate = replace(estimate, **{name: getattr(density, name) for name in shares})
            grid = None if density is None else (density.grid, density.density)
            self._log.add_curvature(step, estimate, grid)
        except hessian.NotFiniteError as error:
            self._schedule.missed(step)
            if not self._not_finite:
                self._log.note(f"no curvature at step {step}, and none until it is finite. {error}")
            self._not_finite = True
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._schedule.end()
            self._log.note(f"no curvature from step {step} on. {brief(error)}")
            return None
        self._schedule.done(step, time.perf_counter() - started, once=traced - started)
        self._not_finite = False
        return estimate

    def _eigenvalues(
        self, step: int, operator: hessian.HessianOperator, started: float
    ) -> CurvatureEstimate:
        settings = self._settings
        both = self._extremes("plain", operator, step, min(2 * settings.k, operator.size), "BE")
        threshold, formula = hessian.stability_threshold(self._optimizer)
        preconditioned, converged, hvps = None, both.converged, both.hvps
        adaptive = hessian.preconditioner(self._optimizer, self._variables)
        if adaptive is not None:
            if self._preconditioned is None:
                diagonal = adaptive.diagonal
                self._preconditioned = hessian.PreconditionedOperator(operator, diagonal)
            self._preconditioned.precondition(adaptive.diagonal)
            top = self._extremes("preconditioned", self._preconditioned, step, 1, "LA")
            preconditioned = Eigenvalue(float(top.values[0]), float(top.residuals[0]))
            threshold, formula = adaptive.threshold, adaptive.formula
            converged, hvps = converged and top.converged, hvps + top.hvps
        trace, error = math.nan, math.nan
        if settings.trace:
            trace_estimate = hessian.trace(operator, seed=step, progress=False)
            trace, error, hvps = (
                trace_estimate.value,
                trace_estimate.standard_error,
                hvps + trace_estimate.hvps,
            )
        return CurvatureEstimate(
            eigenvalues=tuple(
                Eigenvalue(float(value), float(residual))
                for value, residual in zip(both.values, both.residuals, strict=True)
            ),
            converged=bool(converged),
            hvps=int(hvps),
            seconds=time.perf_counter() - started,
            loss=float(both.loss),
            samples=self._samples,
            stability_threshold=threshold,
            threshold_formula=formula,
            preconditioned=preconditioned,
            trace=trace,
            trace_error=error,
            method=operator.method,
        )

    def _extremes(
        self, name: str, operator: Any, step: int, k: int, which: Any
    ) -> hessian.Eigenvalues:
        """Extreme eigenvalues, started from those of the estimate before."""
        eigenvalues = hessian.eigenvalues(
            operator,
            k=k,
            which=which,
            tol=self._settings.tol,
            start=self._starts.get(name),
            max_products=self._settings.max_products,
            seed=step,
            progress=False,
        )
        self._starts[name] = eigenvalues.vectors
        return eigenvalues

    def _density(
        self, step: int, operator: hessian.HessianOperator, whole: bool
    ) -> hessian.SpectralDensity | None:
        """The spectral density where it is due, exact where that costs no more than is allowed."""
        small = operator.size <= hessian.MAX_SIZE
        if whole and not small:
            self._log.note(
                f"spectrum_at_end: {operator.size:,} parameters have more eigenvalues than the "
                f"{hessian.MAX_SIZE:,} that can be computed: the last estimate has their density"
            )
            return hessian.spectral_density(operator, seed=step, progress=False)
        if whole:
            return hessian.spectrum(operator, progress=False).density()
        every = self._settings.density_every
        if every is None:
            return None
        if self._last_density is not None and step // every <= self._last_density // every:
            return None
        self._last_density = step
        seconds = operator.size * operator.last_seconds
        affordable = self._schedule.affords(seconds, time.monotonic())
        if small and affordable:
            return hessian.spectrum(operator, progress=False).density()
        return hessian.spectral_density(operator, seed=step, progress=False)


def probe_of_fit(
    curvature: Curvature, model: Any, attachment: Attachment, arguments: Mapping[str, Any]
) -> CurvatureProbe | None:
    """The probe for a `fit` with these arguments; None, and a note, where there can be none."""
    log = attachment.log
    try:
        batch, samples = probe_batch(curvature.data, curvature.samples)
        check_fixed(model, samples)
        batch, sentence = with_weights(batch, arguments)
        if sentence:
            log.note_once("weights", sentence)
    except Exception as error:  # noqa: BLE001 - the gradients are logged all the same
        log.note(f"no curvature. {brief(error)}")
        return None
    return CurvatureProbe(
        curvature,
        lambda: (hessian.model_loss(model, *batch), model.trainable_variables),
        attachment,
        samples,
    )
