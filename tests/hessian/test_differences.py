"""The derivative of a gradient by differences, where it is known in closed form."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from tbgrad.hessian.differences import Difference, difference

RNG = np.random.default_rng(0)
DIRECTION = RNG.standard_normal(50)
UNIT = DIRECTION / np.linalg.norm(DIRECTION)
SLOPES = 10.0 ** RNG.uniform(-1, 1, 50)


def found(length: float, eps: float, step: float) -> Difference:
    """Of a gradient that waves with this length along every weight, rounded to `eps`."""

    def gradient_at(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gradient = SLOPES * length * np.sin(vector / length)
        noise = eps * np.random.default_rng(zlib.crc32(vector.tobytes())).uniform(-1, 1, 50)
        return gradient + noise, vector

    return difference(gradient_at, DIRECTION, step, enough=3e-3)


@pytest.mark.parametrize("step", [1e-3, 0.07, 1.0])
@pytest.mark.parametrize("length", [3e-3, 0.1, 10.0])
def test_the_step_fits_the_waves_of_the_gradient(length: float, step: float) -> None:
    """Also where it begins with one over many waves, which looks like rounding."""
    reference = found(length, 1e-8, step)
    true = SLOPES * UNIT
    off = np.linalg.norm(reference.product - true)
    assert off <= reference.error
    assert not reference.vague


@pytest.mark.parametrize("step", [1e-5, 1e-3])
def test_the_step_is_longer_than_rounding(step: float) -> None:
    reference = found(10.0, 1e-4, step)
    true = SLOPES * UNIT
    assert np.linalg.norm(reference.product - true) <= reference.error
    assert not reference.vague


def test_nothing_but_rounding_is_vague() -> None:
    reference = found(1e-7, 1e-2, 1e-3)
    assert reference.vague
