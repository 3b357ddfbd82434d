"""Why a Hessian cannot be had."""

from __future__ import annotations

import re


class HessianError(ValueError):
    """The Hessian of this loss cannot be had; the message names the cause and what to change."""


class NotFiniteError(HessianError):
    """Loss or product are not finite at these weights; at others they may be."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a product of a computation that returns what it has."""


class NoSecondDerivativeError(HessianError):
    """An operation in the loss has no second derivative in TensorFlow."""

    def __init__(self, error: Exception) -> None:
        match = re.search(r"(?:no entry for: |operation ')([\w/]+)|type: (\w+)", str(error))
        op = f" ({match[1] or match[2]})" if match else ""
        super().__init__(
            f"An op in the loss has no second derivative in TensorFlow{op}: replace it in the "
            f"model, pass a loss without it, or take products by finite differences "
            f'(method="finite differences").'
        )
