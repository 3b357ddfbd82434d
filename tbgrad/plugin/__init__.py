"""The "Gradients" tab of TensorBoard. Found by TensorBoard through the entry point `Loader`."""

from __future__ import annotations

from tbgrad.plugin.loader import Loader

__all__ = ["Loader"]
