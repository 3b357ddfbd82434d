"""Trainings without a fault, well tuned: whatever an alert says of them is false."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.clinic.case import (
    CANCER,
    CNN,
    DIABETES,
    GAN,
    LSTM,
    MLP,
    RNN,
    TOKENS,
    TRANSFORMER,
    WINE,
    Case,
    descent,
)
from tests.clinic.recipe import Recipe


def healthy() -> tuple[Case, ...]:
    """All of them; those aside come last."""
    return (
        *(Case(f"healthy {name}", recipe) for name, recipe in _recipes()),
        *(Case(f"aside healthy {name}", recipe, aside=True) for name, recipe in _aside()),
    )


def _momentum(base: Recipe, rate: float = 0.02) -> Recipe:
    return replace(base, optimizer="SGD", rate=rate, settings={"momentum": 0.9})


def _warm(base: Recipe) -> Recipe:
    settings = {"weight_decay": 0.01, "global_clipnorm": 1.0}
    return replace(base, optimizer="AdamW", rate=2e-3, schedule="warmup", settings=settings)


def _optimizers(base: Recipe) -> Iterator[tuple[str, Recipe]]:
    """One recipe with five optimizers."""
    numbers = base is DIABETES
    yield "adam", base
    yield "sgd", descent(base, 0.03 if numbers else 0.1)
    yield "momentum", _momentum(base, 0.005 if numbers else 0.02)
    yield "rmsprop", replace(base, optimizer="RMSprop")
    yield "adamw clip", _warm(base)


def _recipes() -> Iterator[tuple[str, Recipe]]:
    for base in (MLP, WINE, CANCER, DIABETES):
        for name, recipe in _optimizers(base):
            yield f"mlp {base.data} {name}", recipe
    for kind, base in (("cnn", CNN), ("transformer rows", TRANSFORMER)):
        for name, recipe in _optimizers(base):
            yield f"{kind} {name}", recipe
    more = {"normalization": True, "depth": 4}
    yield "cnn batch normalization", replace(CNN, **more)
    yield "cnn fixed order", replace(CNN, order="fixed", steps=1200)
    yield "mlp fixed order", replace(MLP, order="fixed", steps=1200)
    yield "lstm fixed order", replace(LSTM, order="fixed", steps=1200)
    rest = {"depth": 4, "normalization": True, "steps": 1200}  # with five samples left at the end
    yield "mlp fixed order batch normalization", replace(MLP, order="fixed", **rest)
    yield "mlp weight decay", replace(descent(MLP, 0.1), settings={"weight_decay": 1e-3})
    yield "cnn dropout", replace(CNN, dropout=0.3)
    yield "cnn mixed precision", replace(CNN, mixed="float16")
    yield "cnn cosine", replace(_momentum(CNN), schedule="cosine")
    yield "mlp tanh", replace(MLP, activation="tanh")
    yield "mlp gelu deep", replace(MLP, activation="gelu", depth=5)
    yield "mlp deep relu", replace(MLP, depth=8)
    yield "mlp deep batch normalization", replace(_momentum(MLP), **more)
    yield "mlp sigmoid slow start", replace(MLP, activation="sigmoid", depth=3)
    yield "mlp sigmoid shallow", replace(MLP, activation="sigmoid", depth=1, rate=5e-3)
    yield "mlp validation", replace(MLP, samples=1200)
    yield "mlp small batch", replace(MLP, batch=8)
    yield "mlp one sample a batch", descent(MLP, 0.02, batch=1, steps=1000)
    yield "mlp large batch", replace(MLP, batch=256, rate=2e-3)
    yield "mlp raw targets", replace(DIABETES, raw_targets=True, rate=1e-2)
    yield "mlp long", replace(WINE, steps=2000)
    yield "mlp curvature", replace(_momentum(WINE), curvature=50)
    yield "lstm waves", LSTM
    clipped = {"momentum": 0.9, "clipnorm": 1.0}
    yield "lstm waves momentum", replace(_momentum(LSTM, 0.1), settings=clipped)
    yield "lstm rows", replace(LSTM, data="rows")
    yield "lstm tokens", replace(LSTM, data="tokens")
    yield "lstm deep", replace(LSTM, depth=2)
    yield "rnn waves", RNN
    yield "rnn rows rmsprop", replace(RNN, data="rows", optimizer="RMSprop")
    yield "transformer tokens", TOKENS
    yield "transformer tokens warmup", _warm(TOKENS)
    yield "transformer deep", replace(TRANSFORMER, depth=4)
    yield "gan ring", GAN
    yield "gan ring rmsprop", replace(GAN, optimizer="RMSprop", settings={}, rate=2e-4)
    yield "gan digits", replace(GAN, data="digits", rate=2e-4, width=96)


def _aside() -> Iterator[tuple[str, Recipe]]:
    yield "mlp digits nadam", replace(MLP, optimizer="Nadam", width=80)
    yield "mlp digits adagrad", replace(MLP, optimizer="Adagrad", rate=0.05)
    nesterov = {"momentum": 0.9, "nesterov": True}
    yield "mlp wine nesterov", replace(_momentum(WINE, 0.01), settings=nesterov)
    yield "mlp wine lion", replace(WINE, optimizer="Lion", rate=2e-4)
    yield "mlp breast_cancer elu", replace(CANCER, activation="elu", depth=4)
    yield "mlp breast_cancer batch 16", replace(CANCER, batch=16, rate=5e-4)
    yield "mlp diabetes tanh", replace(DIABETES, activation="tanh", rate=2e-3)
    yield "mlp diabetes deep", replace(DIABETES, depth=4, rate=5e-4)
    yield "mlp swish", replace(MLP, activation="swish", depth=4)
    cosine = replace(_momentum(MLP), schedule="cosine")
    yield "mlp silu momentum cosine", replace(cosine, activation="silu")
    yield "mlp large batch momentum", replace(_momentum(MLP), batch=512)
    yield "mlp validation cancer", replace(CANCER, samples=400)
    yield "linear digits", descent(MLP, 0.2, depth=0)
    yield "cnn tanh", replace(CNN, activation="tanh")
    yield "cnn elu deep", replace(CNN, activation="elu", depth=4)
    normal = replace(_momentum(CNN), normalization=True, depth=4)
    yield "cnn batch normalization momentum", normal
    yield "cnn nadam wide", replace(CNN, optimizer="Nadam", width=72)
    yield "cnn warmup", replace(_warm(CNN), width=36)
    yield "lstm wide", replace(LSTM, width=48, rate=1e-3)
    yield "lstm rows rmsprop", replace(LSTM, data="rows", optimizer="RMSprop", rate=1e-3)
    yield "lstm tokens clip", replace(LSTM, data="tokens", settings={"global_clipnorm": 1.0})
    yield "rnn rows", replace(RNN, data="rows", rate=2e-3)
    yield "rnn fixed order", replace(RNN, order="fixed", steps=1200)
    yield "transformer wide", replace(TRANSFORMER, width=64, rate=5e-4)
    yield "transformer gelu", replace(TRANSFORMER, activation="gelu", depth=3)
    yield "transformer rows nadam", replace(TRANSFORMER, optimizer="Nadam")
    yield "transformer tokens mixed", replace(TOKENS, mixed="float16")
    yield "transformer fixed order", replace(TRANSFORMER, order="fixed", steps=1200)
    yield "gan ring wide", replace(GAN, width=96, rate=3e-4)
    yield "gan digits small batch", replace(GAN, data="digits", rate=2e-4, width=96, batch=32)
