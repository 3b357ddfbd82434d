"""`tbgrad.hessian`: the public door to the room of the Hessian."""

from __future__ import annotations

import importlib

import pytest

import tbgrad
import tbgrad.hessian
from tbgrad import hessian
from tbgrad.hessian import eigenvalues, trace

pytestmark = pytest.mark.tensorflow


def test_names_can_be_imported_from_it() -> None:
    room = importlib.import_module("tbgrad.training.hessian")
    assert hessian is tbgrad.hessian
    assert hessian.trace is trace
    assert callable(trace)
    assert eigenvalues is room.eigenvalues
    assert hessian.__all__ == room.__all__
    assert set(room.__all__) <= set(dir(hessian))
    with pytest.raises(AttributeError, match=r"'tbgrad\.hessian' has no attribute 'nonsense'"):
        _ = hessian.nonsense
