"""Updates that were not seen: why, as far as that can be told, and what to do."""

from __future__ import annotations

from typing import Any

import keras

from tbgrad.keras.optimizers import calls_of


def updates_unseen(model: Any, optimizer: Any, calls: int, batches: int) -> str:
    """A sentence on a training that was not seen, whose optimizer was applied `calls` times."""
    if calls:
        return (
            f"{calls:,} updates were made and none was seen: include= and exclude= leave none of "
            "their parameters, or train_step applies them in a function of its own that was traced "
            "before"
        )
    others = [
        f"model.{name}"
        for name, value in vars(model).items()
        if isinstance(value, keras.optimizers.Optimizer)
        and value is not optimizer
        and calls_of(value)
    ]
    return (
        f"no update of the weights was seen in {batches:,} batches: the optimizer that is watched "
        "makes none. "
        + (
            f"Watch another one that does: GradientMonitor(…, optimizer={others[0]})"
            if others
            else "Where train_step applies another one, give it as optimizer=…"
        )
    )
