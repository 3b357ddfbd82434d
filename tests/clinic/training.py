"""Trains a recipe with the monitor beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

import tbgrad
from tests.clinic.data import load
from tests.clinic.models import LATENT, build
from tests.clinic.recipe import Recipe

VALIDATIONS = 40


def train(recipe: Recipe, seed: int, logdir: Path, *, part: float = 1.0, **monitor: Any) -> float:
    """Train, and say how well it ended: the lower the better, NaN where it diverged.

    The loss over all samples; over those of the validation where there is one; of a generator, how
    far its points lie from real ones and these from its points. Only the first `part` of the steps
    is trained.
    """
    keras.utils.set_random_seed(seed)
    keras.backend.clear_session()
    x, y, classes = load(recipe.data, raw=recipe.raw, raw_targets=recipe.raw_targets)
    rng = np.random.default_rng(seed)
    if recipe.normalized:
        scale = keras.layers.Normalization()
        scale.adapt(x)
        x = np.asarray(scale(x))
    if recipe.shuffled:
        y = rng.permutation(y)
    model = build(recipe, x.shape[1:], classes)
    settings: dict[str, Any] = {"verbose": 0, "shuffle": False, "batch_size": recipe.batch}
    if recipe.samples:
        known, epochs = recipe.samples, VALIDATIONS
        settings |= {"validation_data": (x[known:], y[known:]), "validation_freq": 1}
    else:
        known, epochs = len(x), 1
    steps = recipe.steps // epochs
    if epochs > 1:
        epochs = round(part * epochs)
    else:
        steps = round(part * steps)
    order = np.concatenate(
        [rng.permutation(known) for _ in range(2 + recipe.steps * recipe.batch // known)]
    )
    chosen = order[: steps * recipe.batch]
    if recipe.order:
        epochs = max(1, round(epochs * len(chosen) / known))
        chosen = order[:known]
        if recipe.order == "sorted":
            chosen = np.argsort(y[:known].ravel(), kind="stable")
    inputs, targets = x[chosen].copy(), y[chosen].copy()
    if recipe.inf_at:
        inputs.reshape(len(inputs), -1)[(recipe.inf_at - 1) * recipe.batch, -1] = np.inf
    if recipe.spike_at:
        first = (recipe.spike_at - 1) * recipe.batch
        inputs[first : first + recipe.batch] *= 1e4
    callbacks = _monitors(recipe, model, logdir, (x[:known], y[:known]), monitor)
    if recipe.early_stopping:
        patience = VALIDATIONS  # to the end, as without: the log stays as long
        stopping = keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True)
        callbacks = [*callbacks, stopping]
    model.fit(inputs, targets, epochs=epochs, callbacks=callbacks, **settings)
    if recipe.model == "gan":
        noise = np.random.default_rng(0).normal(size=(500, LATENT))
        return _distance(x[:500], model.generator.predict(noise, verbose=0))
    known = known if recipe.samples else 0
    return float(model.evaluate(x[known:], y[known:], batch_size=512, verbose=0))


def _distance(real: np.ndarray, made: np.ndarray) -> float:
    distances = np.linalg.norm(real[:, None] - made[None], axis=-1)
    return float(distances.min(0).mean() + distances.min(1).mean())


def _monitors(recipe: Recipe, model: Any, logdir: Path, data: Any, settings: Any) -> list[Any]:
    common = {"every": 1, "histograms_every": 10**6} | settings
    if recipe.model == "gan":
        named = {"generator": model.g_optimizer, "discriminator": model.d_optimizer}
        return [
            tbgrad.GradientMonitor(logdir, optimizer=each, group=group, **common)
            for group, each in named.items()
        ]
    curvature = None
    if recipe.curvature:
        curvature = tbgrad.Curvature(data=data, every=recipe.curvature, budget=None)
    return [tbgrad.GradientMonitor(logdir, curvature=curvature, **common)]
