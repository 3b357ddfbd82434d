"""Planted faults that were kept aside: no threshold was chosen by them."""

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
    MOMENTUM,
    RNN,
    TOKENS,
    TRANSFORMER,
    WHOLE_DIABETES,
    WINE,
    Case,
    Fault,
    descent,
)

WIDE_CNN = replace(CNN, width=36)
TOKENS_LSTM = replace(LSTM, data="tokens", width=32)
ROWS_LSTM = replace(LSTM, data="rows")


def aside() -> tuple[Case, ...]:
    """All of them."""
    cases = (*_gradients(), *_layers(), *_rates(), *_others())
    return tuple(replace(case, name=f"aside {case.name}", aside=True) for case in cases)


def _gradients() -> Iterator[Case]:
    deep = Fault("vanishing_gradient", "hidden_0")
    sigmoid = {"activation": "sigmoid"}
    yield deep("mlp deep sigmoid wide", replace(MLP, width=96, depth=6), **sigmoid)
    yield deep("mlp deep sigmoid diabetes", replace(DIABETES, depth=7), **sigmoid)
    momentum = replace(WIDE_CNN, **MOMENTUM, depth=7)
    yield deep("cnn deep sigmoid momentum", momentum, **sigmoid)
    small = Fault("vanishing_gradient", "hidden_0")
    yield small("mlp small init cancer", replace(CANCER, depth=6), gain=0.08)

    large = Fault("exploding_gradient")
    yield large("mlp large init cancer", replace(CANCER, depth=5), gain=10.0)
    rmsprop = replace(WIDE_CNN, optimizer="RMSprop", depth=5)
    yield large("cnn large init rmsprop", rmsprop, gain=8.0)
    rows = replace(RNN, data="rows", activation="relu")
    yield large("rnn exploding recurrence", rows, gain=5.0)
    yield large("mlp raw wine", WINE, raw=True)

    nonfinite = Fault("nonfinite")
    yield nonfinite("mlp corrupt batch", CANCER, inf_at=40)
    yield nonfinite("rnn corrupt batch", RNN, inf_at=10)
    yield nonfinite("transformer corrupt batch", replace(TRANSFORMER, depth=1), inf_at=60)

    spike = Fault("gradient_spike")
    yield spike("mlp one wild batch", CANCER, spike_at=45)
    momentum = replace(WIDE_CNN, **MOMENTUM | {"rate": 0.01})
    yield spike("cnn one wild batch", momentum, spike_at=70)

    clipped = Fault("clipping_always")
    yield clipped("cnn clipped far too low", descent(CNN, 0.05), settings={"clipnorm": 5e-4})


def _layers() -> Iterator[Case]:
    dead = Fault("dead_units")
    momentum = replace(CANCER, **MOMENTUM)
    yield dead("mlp dead relu sgd", momentum, "hidden_1", bias=-15.0, biased="hidden_1")
    deep = replace(WIDE_CNN, depth=4)
    yield dead("cnn dead relu deep", deep, "hidden_2", bias=-6.0, biased="hidden_2")
    wide = replace(TOKENS, width=48)
    yield dead("transformer dead relu", wide, "hidden_1", bias=-12.0, biased="hidden_1")
    gan = replace(GAN, width=64, batch=32)
    yield dead("gan dead judge", gan, "dead", wrong="dead judge")

    saturated = Fault("saturated_layer", "hidden_")
    tanh, sigmoid = {"activation": "tanh"}, {"activation": "sigmoid"}
    yield saturated("mlp saturated cancer raw", replace(CANCER, **tanh), "hidden_0", raw=True)
    yield saturated("mlp saturated sigmoid wine", replace(WINE, **sigmoid), "hidden_0", raw=True)
    yield saturated("cnn saturated by bias", replace(CNN, **tanh), bias=15.0)

    detached = Fault("no_gradient")
    yield detached("rnn detached branch", RNN, "branch", wrong="detached")
    yield detached("transformer detached branch", TRANSFORMER, "positions", wrong="detached")
    yield detached("cnn only the head trains", WIDE_CNN, "hidden_", wrong="only the head")
    name = "transformer only the head trains"
    yield detached(name, TRANSFORMER, "hidden_", wrong="only the head")

    frozen = Fault("frozen_parameter", "hidden_0")
    yield frozen("transformer pinned", TRANSFORMER, wrong="pinned")

    held = Fault("not_trainable", "hidden_0")
    yield held("cnn not trainable", CNN, wrong="not trainable")

    uneven = Fault("layer_rate_mismatch", "hidden_1")
    normal = descent(MLP, 0.02, normalization=True, depth=4, width=64)
    yield uneven("mlp one large layer", normal, wrong="one large layer")


def _rates() -> Iterator[Case]:
    large = Fault("update_too_large")
    bases = {"mlp wine": WINE, "cnn": WIDE_CNN, "lstm rows": ROWS_LSTM, "transformer": TRANSFORMER}
    for name, base in bases.items():
        yield large(f"{name} rate too high", base, rate=200 * base.rate)

    diverging = Fault("loss_diverging")
    linear = descent(DIABETES, 0.005, depth=0, batch=64)
    yield diverging("linear diverging", linear, rate=0.5)
    yield diverging("cnn diverging tanh", descent(CNN, 0.05, activation="tanh"), rate=15.0)
    yield diverging("lstm diverging", replace(LSTM, **MOMENTUM), rate=20.0)

    swings = Fault("loss_oscillating")
    linear = descent(DIABETES, 0.0243, depth=0, batch=300)
    yield swings("linear oscillating", linear, rate=0.243)

    edge = Fault("edge_of_stability")
    linear = replace(WHOLE_DIABETES, depth=0, rate=0.03, curvature=15)
    yield edge("linear beyond the edge", linear, rate=0.3)


def _others() -> Iterator[Case]:
    stuck = Fault("loss_stuck")
    bases = {"mlp cancer": CANCER, "lstm tokens": TOKENS_LSTM, "cnn": WIDE_CNN}
    for name, base in bases.items():
        yield stuck(f"{name} rate too low", base, rate=base.rate / 500)
    yield stuck("transformer epsilon of one", TRANSFORMER, settings={"epsilon": 1.0})
    yield stuck("lstm labels shuffled", ROWS_LSTM, shuffled=True, steps=1600)
    yield stuck("mlp labels shuffled sgd", replace(MLP, **MOMENTUM), shuffled=True, steps=1600)

    noisy = Fault("noise_dominated")
    yield noisy("transformer batch of two", TRANSFORMER, batch=2, steps=800)

    whole = Fault("batch_too_large")
    yield whole("cnn whole data a batch", replace(CNN, optimizer="SGD", rate=0.01), batch=1797)

    overflow = Fault("loss_scale_collapse")
    mixed = replace(CANCER, depth=4, mixed="float16")
    yield overflow("mlp mixed overflow", mixed, raw=True, gain=60.0)

    overfits = Fault("overfitting")
    few = replace(CNN, width=48, rate=5e-3, batch=20, samples=1200)
    yield overfits("cnn overfitting", few, samples=40, shuffled=True, steps=800)

    shut = Fault("dropout_too_large")
    yield shut("cnn dropout of 0.98", replace(CNN, dropout=0.5), dropout=0.98)

    ended = Fault("schedule_ended")
    cosine = replace(ROWS_LSTM, schedule="cosine", rate=1e-3, steps=1000)
    yield ended("lstm schedule ends early", cosine, decay_steps=40)

    decayed = Fault("weights_decayed")
    light = replace(TRANSFORMER, optimizer="AdamW", settings={"weight_decay": 4e-3})
    yield decayed("transformer weight decay too large", light, settings={"weight_decay": 30.0})

    by_class = Fault("data_sorted")
    epochs = replace(ROWS_LSTM, order="fixed", steps=1200)
    yield by_class("lstm data sorted", epochs, order="sorted")
