"""`tbgrad.hessian`: the public door to the room of the Hessian."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import tbgrad
import tbgrad.hessian
from tbgrad import hessian
from tbgrad.hessian import eigenvalues, trace

pytestmark = pytest.mark.tensorflow


def test_names_can_be_imported_from_it() -> None:
    assert hessian is tbgrad.hessian
    assert hessian.trace is trace
    assert callable(trace)
    assert hessian.eigenvalues is eigenvalues
    assert all(getattr(hessian, name) is not None for name in hessian.__all__)
    assert set(hessian.__all__) <= set(dir(hessian))
    with pytest.raises(AttributeError, match=r"'tbgrad\.hessian' has no attribute 'nonsense'"):
        _ = hessian.nonsense


def test_no_function_shadows_a_module() -> None:
    modules = [m.name for m in pkgutil.walk_packages(hessian.__path__, "tbgrad.hessian.")]
    names = {name.rpartition(".")[2] for name in modules}
    assert names & set(hessian.__all__) == set()
    for module in map(importlib.import_module, modules):
        own = {n for n, value in vars(module).items() if inspect.isfunction(value)}
        assert own & names == set()
