"""Trainings with one planted fault each, by which thresholds were chosen."""

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

ALL = {"mlp": MLP, "cnn": CNN, "lstm": LSTM, "transformer": TRANSFORMER}


def planted() -> tuple[Case, ...]:
    """All of them."""
    return (*_gradients(), *_layers(), *_rates(), *_losses(), *_others(), *_setup())


def _gradients() -> Iterator[Case]:
    deep = Fault("vanishing_gradient", "hidden_0")
    sigmoid = {"activation": "sigmoid", "depth": 8}
    yield deep("mlp deep sigmoid", MLP, **sigmoid)
    yield deep("mlp deep sigmoid sgd", replace(WINE, **MOMENTUM), **sigmoid)
    yield deep("cnn deep sigmoid", replace(CNN, depth=6), activation="sigmoid")
    yield deep("mlp deep sigmoid cancer", CANCER, **sigmoid)
    small = Fault("vanishing_gradient", "hidden_0")
    yield small("mlp small init", replace(MLP, depth=6), gain=0.05)
    yield small("mlp small init tanh", replace(DIABETES, depth=6, activation="tanh"), gain=0.05)
    yield small("cnn small init", replace(CNN, depth=6), gain=0.05)

    large = Fault("exploding_gradient")
    yield large("mlp large init", replace(MLP, depth=6), gain=6.0)
    slow = replace(MLP, **MOMENTUM | {"rate": 1e-3}, depth=6)
    yield large("mlp large init sgd", slow, gain=6.0)
    yield large("cnn large init", replace(CNN, depth=6), gain=6.0)
    yield large("rnn exploding recurrence", replace(RNN, activation="linear"), gain=1.8)
    yield large("rnn exploding relu recurrence", replace(RNN, activation="relu"), gain=2.5)
    bare = replace(TRANSFORMER, wrong="no normalization")
    yield large("transformer large init", bare, gain=12.0)
    yield large("mlp raw inputs", CANCER, raw=True)

    nonfinite = Fault("nonfinite")
    for name, base in ALL.items():
        yield nonfinite(f"{name} corrupt batch", base, inf_at=25)
    guarded = replace(MLP, output="relu", loss="guarded logarithm")
    yield nonfinite("mlp bare logarithm", guarded, loss="bare logarithm")

    spike = Fault("gradient_spike")
    bases = {"mlp": replace(MLP, **MOMENTUM), "cnn": CNN, "diabetes": DIABETES}
    for name, base in bases.items():
        yield spike(f"{name} one wild batch", base, spike_at=60)

    clipped = Fault("clipping_always")
    for name, base in (("mlp", MLP), ("lstm", LSTM), ("transformer", TOKENS)):
        steep = descent(base, 0.05)
        yield clipped(f"{name} clipped far too low", steep, settings={"global_clipnorm": 1e-3})


def _layers() -> Iterator[Case]:
    dead = Fault("dead_units")
    yield dead("mlp dead relu", MLP, "hidden_1", bias=-10.0, biased="hidden_1")
    yield dead("mlp dead relu table", WINE, "hidden_0", bias=-20.0, biased="hidden_0")
    yield dead("cnn dead relu", CNN, "hidden_1", bias=-10.0, biased="hidden_1")
    yield dead("transformer dead relu", TRANSFORMER, "hidden_", bias=-20.0)
    yield dead("gan dead judge", GAN, "dead", wrong="dead judge")

    saturated = Fault("saturated_layer", "hidden_")
    tanh, cancer = {"activation": "tanh"}, replace(CANCER, activation="sigmoid")
    yield saturated("mlp saturated by raw inputs", replace(WINE, **tanh), "hidden_0", raw=True)
    yield saturated("mlp saturated by init", replace(MLP, **tanh), gain=40.0)
    yield saturated("mlp saturated sigmoid", cancer, gain=60.0)
    yield saturated("cnn saturated by init", replace(CNN, **tanh), gain=60.0)
    yield saturated("mlp saturated by bias", replace(DIABETES, **tanh), bias=20.0)

    detached = Fault("no_gradient", "branch")
    for name, base in (ALL | {"transformer": TOKENS}).items():
        layer = "positions" if name == "transformer" else ""
        yield detached(f"{name} detached branch", base, layer, wrong="detached")
    head = Fault("no_gradient", "hidden_")
    yield head("mlp only the head trains", MLP, wrong="only the head")
    yield head("lstm only the head trains", LSTM, wrong="only the head")
    none = Fault("no_gradient")
    yield none("mlp relu before the loss", MLP, output="relu", output_bias=-8.0)
    binary = replace(CANCER, binary=True)
    yield none("mlp softmax of one", binary, output="softmax", from_logits=False)
    below = replace(binary, output_bias=-3.0)
    yield none("mlp loss of a probability", below, from_logits=False)

    frozen = Fault("frozen_parameter", "hidden_0")
    yield frozen("cnn pinned", CNN, wrong="pinned")
    yield frozen("mlp pinned", WINE, wrong="pinned")

    held = Fault("not_trainable", "hidden_0")
    yield held("mlp not trainable", MLP, wrong="not trainable")

    uneven = Fault("layer_rate_mismatch", "hidden_1")
    for name, base in (("mlp", MLP), ("cnn", CNN)):
        normal = descent(base, 0.01, normalization=True)
        yield uneven(f"{name} one large layer", normal, wrong="one large layer")


def _rates() -> Iterator[Case]:
    large = Fault("update_too_large")
    for name, base in (ALL | {"transformer": TOKENS}).items():
        yield large(f"{name} rate too high", base, rate=300 * base.rate)
    yield large("gan rate too high", replace(GAN, discriminator_rate=5e-4), rate=0.2)
    yield large("linear rate too high", descent(MLP, 0.3, depth=0), rate=100.0)
    yield large("cnn sgd rate too high", descent(CNN, 0.03), rate=3.0)
    fast = replace(MLP, optimizer="SGD", rate=0.015, settings={"momentum": 0.95})
    yield large("mlp momentum rate too high", fast, rate=1.5)

    diverging = Fault("loss_diverging")
    yield diverging("linear diverging", descent(DIABETES, 0.006, depth=0), rate=0.6)
    yield diverging("mlp diverging", replace(MLP, **MOMENTUM, activation="tanh"), rate=10.0)
    yield diverging("rnn diverging", descent(RNN, 0.05), rate=20.0)
    yield diverging("transformer diverging", descent(TRANSFORMER, 0.05), rate=5.0)

    swings = Fault("loss_oscillating")
    linear = replace(WHOLE_DIABETES, depth=0)
    yield swings("linear oscillating", replace(linear, rate=0.0245), rate=0.245)
    momentum = replace(linear, rate=0.046, settings={"momentum": 0.9}, steps=600)
    yield swings("linear oscillating momentum", momentum, rate=0.46)

    edge = Fault("edge_of_stability")
    yield edge("linear beyond the edge", replace(linear, rate=0.028, curvature=10), rate=0.28)
    momentum = replace(linear, rate=0.052, settings={"momentum": 0.9}, curvature=10)
    yield edge("linear momentum beyond the edge", momentum, rate=0.52)


def _losses() -> Iterator[Case]:
    stuck = Fault("loss_stuck")
    for name, base in ALL.items():
        yield stuck(
            f"{name} rate too low", base, rate=base.rate / (1000 if name == "lstm" else 100)
        )
    yield stuck("mlp epsilon of one", MLP, settings={"epsilon": 1.0})
    yield stuck("mlp sgd rate too low", replace(WINE, **MOMENTUM), rate=5e-6)
    for name in ("mlp", "cnn", "transformer"):
        yield stuck(f"{name} labels shuffled", ALL[name], shuffled=True, steps=1600)

    few = {"rate": 5e-3, "batch": 20, "width": 128, "steps": 800}
    overfits = Fault("overfitting")
    yield overfits("mlp overfitting", replace(DIABETES, **few, samples=300), samples=40)
    noise = replace(WINE, **few, samples=140, shuffled=True)
    yield overfits("mlp overfitting noise", noise, samples=40)
    rows = replace(LSTM, **few, data="rows", samples=1200)
    yield overfits("lstm overfitting", rows, samples=40)


def _others() -> Iterator[Case]:
    zero = Fault("critical_point")
    hidden = replace(DIABETES, activation="tanh", curvature=20)
    yield zero("mlp saddle at zero", hidden, gain=0.0)

    noisy = Fault("noise_dominated")
    momentum = replace(MLP, **MOMENTUM | {"rate": 0.01})
    for name, base in (("mlp", momentum), ("cnn", CNN)):
        yield noisy(f"{name} batch of two", base, batch=2, steps=800)

    whole = Fault("batch_too_large")
    yield whole("mlp whole data a batch", descent(MLP, 0.02), batch=1797)

    overflow = Fault("loss_scale_collapse")
    for name, base in (("mlp", MLP), ("cnn", CNN)):
        mixed = replace(base, depth=4, mixed="float16")
        yield overflow(f"{name} mixed overflow", mixed, raw=True, gain=60.0)


def _setup() -> Iterator[Case]:
    zero = Fault("zero_initialization")
    yield zero("mlp zero init", MLP, gain=0.0)

    swings = Fault("momentum_too_large")
    momentum = replace(MLP, **MOMENTUM)
    yield swings("mlp momentum near one", momentum, settings={"momentum": 0.999})

    shut = Fault("dropout_too_large")
    yield shut("mlp dropout of 0.98", replace(MLP, dropout=0.5), dropout=0.98)

    unscaled = Fault("inputs_unscaled")
    yield unscaled("mlp inputs as measured", WINE, raw=True)

    mismatch = Fault("output_mismatch")
    binary = replace(CANCER, binary=True, width=48)
    yield mismatch("mlp linear output as a probability", binary, from_logits=False)

    ended = Fault("schedule_ended")
    cosine = replace(MLP, optimizer="SGD", rate=0.05, schedule="cosine", steps=1000)
    yield ended("mlp schedule ends early", cosine, decay_steps=60)
    warm = replace(CNN, schedule="warmup", steps=1000)
    yield ended("cnn schedule ends early", warm, decay_steps=30)

    decayed = Fault("weights_decayed")
    light = descent(MLP, 0.1)
    light = replace(light, settings={"weight_decay": 1e-3})
    yield decayed("mlp weight decay too large", light, settings={"weight_decay": 0.5})
    light = replace(CNN, optimizer="AdamW", settings={"weight_decay": 4e-3})
    yield decayed("cnn weight decay too large", light, settings={"weight_decay": 40.0})

    by_class = Fault("data_sorted")
    for name, base in (("mlp", MLP), ("cnn", CNN)):
        epochs = replace(base, order="fixed", steps=1200)
        yield by_class(f"{name} data sorted", epochs, order="sorted")

    absurd = Fault("loss_implausible")
    yield absurd("mlp loss beyond any chance", WINE, raw=True)
