"""What an estimate of the curvature is in the log, and what the rules see of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.record import Record
from tbgrad.log import encode
from tbgrad.log.records import CurvatureEstimate
from tbgrad.log.tags import (
    LAMBDA_MAX,
    LAMBDA_MIN,
    MINIMUM_RATIO,
    NEGATIVE_FRACTION,
    STABILITY,
    TRACE,
)


def curvature_values(
    step: int,
    estimate: CurvatureEstimate,
    density: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
) -> tuple[list[Any], Record]:
    """The values of an estimate at a step, with its spectral density, and the rules' record."""
    shares = {
        MINIMUM_RATIO: estimate.minimum_ratio,
        NEGATIVE_FRACTION: estimate.negative_fraction,
    }
    # A share that is hardly known would be taken for a number.
    known = {tag: share.value for tag, share in shares.items() if share and share.known}
    scalars = {
        LAMBDA_MAX: estimate.lambda_max.value,
        LAMBDA_MIN: estimate.lambda_min.value,
        STABILITY: estimate.stability,
        TRACE: estimate.trace,
        **known,
    }
    values = [encode.scalar(tag, x) for tag, x in scalars.items() if not math.isnan(x)]
    if density is not None:
        values.append(encode.density(*density))
    return [encode.curvature(estimate), *values], Record(step, known, curvature=estimate)
