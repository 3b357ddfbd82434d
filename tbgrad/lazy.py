"""Public names that load on first use (PEP 562), so that importing a package costs nothing."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

NEEDED = ("tensorflow", "keras")
"""What of the modules that watch a training not every install has."""

_TRAINING = ("tbgrad.keras", "tbgrad.hessian.tensorflow")


def lazy(
    package: str, modules: Mapping[str, str], more: Mapping[str, object]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        modules: by public name the module that has it, or that it is.
        more: the globals of the package.
    """

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(modules[name])
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in NEEDED:
                raise ImportError(
                    f"{package}.{name} needs TensorFlow and Keras, and one of them is not "
                    "installed: pip install 'tbgrad[tensorflow]' (to read logs needs neither)"
                ) from None
            raise
        return module if modules[name] == f"{package}.{name}" else getattr(module, name)

    def names() -> list[str]:
        # `help` loads all that it is told of.
        trains = all(importlib.util.find_spec(name) for name in NEEDED)
        here = (n for n, module in modules.items() if trains or not module.startswith(_TRAINING))
        return sorted({*more, *here})

    return load, names
