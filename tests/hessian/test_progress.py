"""Long computations on a terminal: they show how far they are, and Ctrl-C returns what there is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tbgrad import hessian
from tbgrad.hessian.basis import Basis
from tests.hessian.operators import MatrixOperator
from tests.hessian.spectra import SPECTRA, matrix_of
from tests.support.terminal import Terminal

PROGRAM = """
import sys, time
import numpy as np
from tbgrad import hessian
from tests.hessian.operators import MatrixOperator
from tests.hessian.spectra import SPECTRA, matrix_of

class Slow(MatrixOperator):
    def multiply(self, vector):
        time.sleep(0.1 if sys.argv[1] == "eigenvalues" else 0.02)
        return super().multiply(vector)

operator = Slow(matrix_of(SPECTRA["spread"], np.float64))
compute = {
    "eigenvalues": lambda: hessian.eigenvalues(operator, tol=1e-15, max_products=10_000),
    # Few directions, so that there are samples when the bar is seen, however slow the machine.
    "trace": lambda: hessian.trace(operator, tol=1e-9, max_products=10_000, max_basis=5),
    "density": lambda: hessian.spectral_density(operator, probes=500, steps=20),
}[sys.argv[1]]
print("begun", flush=True)
found = compute()
print("returned", type(found).__name__, found.hvps, getattr(found, "converged", False), flush=True)
"""
TITLES = {
    "eigenvalues": ("Hessian eigenvalues", "Eigenvalues"),
    "trace": ("Hessian trace", "Trace"),
    "density": ("spectral density", "SpectralDensity"),
}


@pytest.mark.parametrize("what", TITLES)
def test_ctrl_c_on_a_terminal_returns_what_there_is(what: str) -> None:
    title, kind = TITLES[what]
    terminal = Terminal([sys.executable, "-c", PROGRAM, what])
    try:
        terminal.wait_for(title)
        os.kill(terminal.child.pid, signal.SIGINT)
        terminal.wait_for("returned")
        assert terminal.ends() == 0
        shown = "\n".join(terminal.screen.display)
        assert f"returned {kind}" in shown
        assert shown.rstrip().endswith("False")
        assert title not in shown.split("returned")[1]  # the bar is gone
    finally:
        if terminal.child.poll() is None:
            terminal.kill()


def test_ctrl_c_between_two_products_returns_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    append, calls = Basis.append, []

    def interrupted(self: Basis, q: Any, w: Any) -> None:
        calls.append(q)
        if len(calls) == 5:
            signal.raise_signal(signal.SIGINT)
        append(self, q, w)

    monkeypatch.setattr(Basis, "append", interrupted)
    operator = MatrixOperator(matrix_of(SPECTRA["spread"], np.float64))
    found = hessian.eigenvalues(operator, tol=1e-15, max_products=10_000)
    assert len(calls) == 5
    assert not found.converged
    true = SPECTRA["spread"][np.argmin(np.abs(SPECTRA["spread"] - found.values[0]))]
    assert abs(found.values[0] - true) <= found.residuals[0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_the_program_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Basis, "append", interrupted)
    operator = MatrixOperator(matrix_of(SPECTRA["spread"], np.float64))
    with pytest.raises(KeyboardInterrupt):
        hessian.eigenvalues(operator)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    short = PROGRAM.replace("probes=500", "probes=4")
    done = subprocess.run(
        [sys.executable, "-c", short, "density"], capture_output=True, text=True, check=True
    )
    assert "returned SpectralDensity" in done.stdout
    assert "spectral density" not in done.stdout + done.stderr
