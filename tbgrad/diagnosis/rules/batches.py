"""What the noise between batches says about their size."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.diagnosis.change import divided_rate
from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.log.brief import percent
from tbgrad.log.tags import GRADIENT_NORM
from tbgrad.log.text import number

LARGEST = 16.0
"""A batch is made at most so many times larger at once: a step then costs as much more."""


def _noise_scale(moment: Moment) -> float:
    """Gradient noise scale over the batch size, from the cosine of successive gradients.

    For gradients G + noise the expected cosine is |G|² / (|G|² + tr Σ / B), and tr Σ / |G|² is the
    simple noise scale of McCandlish et al. (2018).
    """
    cosine = moment.trend.mean_cosine
    return 1 / cosine - 1 if cosine > 0 else math.inf if cosine <= 0 else math.nan


def _noisy(moment: Moment) -> Any:
    scale, trend = _noise_scale(moment), moment.trend
    if moment.record.table is None or math.isnan(scale) or math.isnan(trend.first_loss):
        return None
    overshoots = trend.mean_cosine < -0.15
    converged = trend.recent_loss < 0.5 * trend.first_loss
    return scale > moment.settings.noise_scale and not overshoots and not converged


def _noisy_evidence(moment: Moment, _: Rows) -> str:
    noise = _noise_scale(moment)
    scale = f"{noise:,.0f} times the batch" if noise < 1e4 else "far larger than the batch"
    return (
        f"successive gradients have next to nothing in common (cosine "
        f"{moment.trend.mean_cosine:.3f} on average): the gradient noise scale is {scale} "
        f"(alert above {number(moment.settings.noise_scale)} times)"
    )


def _too_large(moment: Moment) -> Any:
    scale = _noise_scale(moment)
    if moment.record.table is None or math.isnan(scale):
        return None
    return scale < moment.settings.useful_batch


def _too_large_evidence(moment: Moment, _: Rows) -> str:
    return (
        f"successive gradients are nearly the same (cosine {moment.trend.mean_cosine:.3f}): noise "
        f"makes up {percent(_noise_scale(moment))} of them (alert below "
        f"{percent(moment.settings.useful_batch)}), a batch several times smaller would point the "
        "same way"
    )


def _batch_size(moment: Moment) -> int:
    manifest = moment.manifest
    return manifest.batches[-1].batch_size if manifest is not None and manifest.batches else 0


def _noisy_advice(moment: Moment, _: Rows) -> Advice:
    size, scale = _batch_size(moment), _noise_scale(moment)
    times = 2 ** round(math.log2(min(LARGEST, max(4.0, scale))))
    first = (
        f"raise batch_size from {size} to {times * size}"
        if size
        else f"make batch_size {times} times larger"
    )
    return Advice(first, divided_rate(moment, 3))


def _too_large_advice(moment: Moment, _: Rows) -> Advice:
    size = _batch_size(moment)
    if size < 4:
        return Advice("divide batch_size by 4: it reaches the same loss after fewer samples")
    return Advice(
        f"lower batch_size from {size} to {size // 4}: it reaches the same loss after fewer samples"
    )


NOISY = Rule(
    name="noise_dominated",
    shows=GRADIENT_NORM,
    severity="info",
    applies=_noisy,
    evidence=_noisy_evidence,
    causes=(
        "the batch is too small for the size of the steps",
        "the training is near its end, where the common part of the gradients is gone",
    ),
    advice=_noisy_advice,
    headline="the gradient is mostly noise",
    opens_after=10,
    closes_after=40,
)
TOO_LARGE = Rule(
    name="batch_too_large",
    shows=GRADIENT_NORM,
    severity="info",
    applies=_too_large,
    evidence=_too_large_evidence,
    causes=("the batch is larger than the differences between samples make useful",),
    advice=_too_large_advice,
    headline="the batch is larger than useful",
    opens_after=5,
    closes_after=40,
)
