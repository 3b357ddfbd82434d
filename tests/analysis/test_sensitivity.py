"""Maps of sensitivity against closed forms, and in a log that TensorBoard itself reads."""

from __future__ import annotations

import re
from html import escape

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tbgrad
from tbgrad.analysis import randomisation_check, sensitivity
from tbgrad.analysis.map_pictures import pictures
from tbgrad.hessian import HessianError
from tbgrad.log.png import png

pytestmark = pytest.mark.tensorflow

RNG = np.random.default_rng(0)
FEW = RNG.standard_normal((5, 4)).astype(np.float32)
CLASSES = np.array([0, 2, 1, 0, 2])
IMAGES = RNG.standard_normal((3, 6, 5, 2)).astype(np.float32)


def compiled(*layers, loss="sparse_categorical_crossentropy", **arguments):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(layers)
    model.compile("sgd", loss, **arguments)
    return model


def from_logits():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def linear():
    """Logits of a linear classifier, its weights, and how far it is off with each sample."""
    model = compiled(keras.Input((4,)), keras.layers.Dense(3), loss=from_logits())
    kernel, bias = (w.astype(np.float64) for w in model.get_weights())
    return model, kernel, off(FEW @ kernel + bias, CLASSES)


def off(logits, classes):
    """Probabilities minus what they should be: the gradient with respect to the logits."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(p)), classes] -= 1
    return p


def test_the_gradient_of_each_sample(linear):
    model, kernel, wrong = linear
    np.testing.assert_allclose(sensitivity(model, FEW, CLASSES), wrong @ kernel.T, rtol=1e-5)


def test_smoothgrad_is_the_mean_over_noise():
    model = compiled(keras.Input((4,)), keras.layers.Dense(1), loss="mse")
    kernel, bias = (w.astype(np.float64) for w in model.get_weights())
    y = np.arange(5.0)
    found = sensitivity(model, FEW, y, method="smoothgrad", draws=7, noise=0.2, seed=3)
    rng = np.random.default_rng(3)
    spread = 0.2 * np.ptp(FEW, axis=1, keepdims=True)
    expected = np.zeros((5, 4))
    for _ in range(7):
        moved = FEW + spread * rng.standard_normal(FEW.shape)
        expected += 2 * (moved @ kernel + bias - y[:, np.newaxis]) * kernel.T / 7
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_integrated_gradients_add_up_to_the_difference_of_the_losses():
    model = compiled(
        keras.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(3), loss=from_logits()
    )
    start = np.full(4, 0.5, np.float32)
    found = sensitivity(model, FEW, CLASSES, method="integrated_gradients", baseline=start)

    def losses(x):
        return np.array(
            [
                float(from_logits()(np.array([y]), model(row[np.newaxis])))
                for row, y in zip(x, CLASSES, strict=True)
            ]
        )

    apart = losses(FEW) - losses(np.broadcast_to(start, FEW.shape))
    np.testing.assert_allclose(found.sum(axis=1), apart, atol=1e-5)


def test_grad_cam_shows_the_channels_that_lower_the_loss():
    """Of a convolution of one pixel, pooled: the gradient with respect to it is known."""
    model = compiled(
        keras.Input((6, 5, 2)),
        keras.layers.Conv2D(3, 1, activation="relu", name="pixels"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
        loss=from_logits(),
    )
    labels = np.array([1, 0, 2])
    kernel, bias, out, constant = (w.astype(np.float64) for w in model.get_weights())
    active = np.maximum(IMAGES @ kernel[0, 0] + bias, 0)
    wrong = off(active.mean(axis=(1, 2)) @ out + constant, labels)
    channels = -(wrong @ out.T) / 30
    expected = np.maximum(np.einsum("nhwk,nk->nhw", active, channels), 0)
    for layer in ("", "pixels"):
        found = sensitivity(model, IMAGES, labels, method="grad_cam", layer=layer)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_grad_cam_is_stretched_to_the_input():
    model = compiled(
        keras.Input((6, 5, 2)),
        keras.layers.Conv2D(3, 2, strides=2),
        keras.layers.Flatten(),
        keras.layers.Dense(3, "softmax"),
    )
    assert sensitivity(model, IMAGES, [0, 1, 2], method="grad_cam").shape == (3, 6, 5)


def test_words_have_the_length_of_the_gradient_of_their_embedding():
    model = compiled(
        keras.Input((7,), dtype="int32"),
        keras.layers.Embedding(11, 4),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(3),
        loss=from_logits(),
    )
    words = RNG.integers(0, 11, (5, 7))
    embeddings, kernel, bias = (w.astype(np.float64) for w in model.get_weights())
    wrong = off(embeddings[words].mean(axis=1) @ kernel + bias, CLASSES)
    expected = np.linalg.norm(wrong @ kernel.T, axis=1)[:, np.newaxis] / 7
    found = sensitivity(model, words, CLASSES)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (5, 7)), rtol=1e-5)
    with pytest.raises(HessianError, match="not of integers"):
        sensitivity(model, words, CLASSES, method="smoothgrad")


@pytest.fixture(scope="module")
def of_several():
    """Numbers, words and a mask of integers; its weights in float64, and a loss of its own."""
    numbers, words = (
        keras.Input((4,), name="numbers"),
        keras.Input((7,), dtype="int32", name="words"),
    )
    mask = keras.Input((1,), dtype="int32", name="mask")
    embedding = keras.layers.Embedding(11, 4, name="embedding")
    said = keras.layers.GlobalAveragePooling1D()(embedding(words))
    joined = keras.layers.Concatenate()([numbers, said, keras.ops.cast(mask, "float32")])
    keras.utils.set_random_seed(2)
    model = keras.Model([numbers, words, mask], keras.layers.Dense(3)(joined))
    model.compile("sgd", from_logits())
    return model, RNG.integers(0, 11, (5, 7)), np.ones((5, 1), np.int32)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_a_model_of_several_inputs_has_a_map_of_each(of_several, form):
    model, words, mask = of_several
    table, kernel, bias = (w.astype(np.float64) for w in model.get_weights())
    wrong = off(np.hstack([FEW, table[words].mean(axis=1), mask]) @ kernel + bias, CLASSES)
    x = [FEW, words, mask]
    if form == "dict":
        x = dict(zip(("words", "mask", "numbers"), (words, mask, FEW), strict=True))
    found = sensitivity(model, x, CLASSES)
    assert set(found) == {"numbers", "words"}  # a mask is not differentiable in
    np.testing.assert_allclose(found["numbers"], wrong @ kernel[:4].T, rtol=1e-4)
    lengths = np.linalg.norm(wrong @ kernel[4:8].T, axis=1)[:, np.newaxis] / 7
    np.testing.assert_allclose(found["words"], np.broadcast_to(lengths, (5, 7)), rtol=1e-4)
    along = sensitivity(model, x, CLASSES, method="integrated_gradients", points=16)

    def losses(numbers):
        logits = np.hstack([numbers, table[words].mean(axis=1), mask]) @ kernel + bias
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return -np.log((e / e.sum(axis=1, keepdims=True))[np.arange(5), CLASSES])

    apart = losses(FEW) - losses(np.zeros_like(FEW))
    np.testing.assert_allclose(along["numbers"].sum(axis=1), apart, atol=1e-5)
    with pytest.raises(HessianError, match="x has 2 parts, and the model 3 inputs"):
        sensitivity(model, [FEW, words], CLASSES)


def test_a_training_of_several_inputs_has_pictures_of_each(of_several, tmp_path):
    model, words, mask = of_several
    settings = tbgrad.Sensitivity(([FEW, words, mask], CLASSES), samples=2, budget=None)
    monitor = tbgrad.GradientMonitor(tmp_path, sensitivity=settings)
    model.fit([FEW, words, mask], CLASSES, verbose=0, callbacks=[monitor])
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    accumulator.Reload()
    for name in ("numbers", "words"):
        (first, last) = accumulator.Tensors(f"sensitivity/gradient/{name}")
        assert (first.step, last.step) == (0, 1)
        assert len(first.tensor_proto.string_val) == 2 + 2  # their size, and two of five samples


@pytest.mark.parametrize(("method", "alike"), [("gradient", 0.3), ("integrated_gradients", 0.6)])
def test_other_weights_give_other_maps(method, alike):
    """Adebayo et al. 2018; what shows the input alone would stay as it is, with 1.

    Integrated gradients have the input as a factor, and so stay a little alike.
    """
    x = RNG.standard_normal((400, 30)).astype(np.float32)
    y = (x[:, 3] > 0).astype(int)
    model = compiled(
        keras.Input((30,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(2, "softmax")
    )
    model.optimizer.learning_rate = 0.5
    model.fit(x, y, epochs=20, batch_size=100, verbose=0)
    x, y = x[:40], y[:40]
    before = model.get_weights()
    assert abs(randomisation_check(model, x, y, method=method)) < alike
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # The input that the label is made of moves the loss most.
    assert np.abs(sensitivity(model, x, y, method=method)).mean(axis=0).argmax() == 3


def test_bad_arguments(linear):
    model, *_ = linear
    for arguments, sentence in (
        ({"method": "magic"}, "method is one of gradient, smoothgrad"),
        ({"method": "grad_cam"}, "the model has none"),
        ({"layer": "nowhere"}, "no layer 'nowhere'; there are"),
        ({"method": "smoothgrad", "draws": 0}, "at least 1"),
        ({"method": "smoothgrad", "layer": "dense"}, "is of inputs, not of a layer"),
    ):
        layer = arguments.get("layer")
        chosen = arguments | ({"layer": model.layers[0].name} if layer == "dense" else {})
        with pytest.raises(HessianError, match=sentence):
            sensitivity(model, FEW, CLASSES, **chosen)
    with pytest.raises(HessianError, match="not compiled"):
        sensitivity(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), FEW, CLASSES)


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated:DeprecationWarning")
def test_features_by_name_have_bars(tmp_path):
    from tensorboard.plugin_util import markdown_to_safe_html

    model = compiled(keras.Input((4,)), keras.layers.Dense(3), loss=from_logits())
    names = ["age", "b|_<i>", "c", "d"]
    settings = tbgrad.Sensitivity((FEW, CLASSES), features=names, budget=None)
    monitor = tbgrad.GradientMonitor(tmp_path, sensitivity=settings)
    model.fit(FEW, CLASSES, verbose=0, callbacks=[monitor])
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    accumulator.Reload()
    tag = "sensitivity/gradient/features"
    assert accumulator.SummaryMetadata(tag).plugin_data.plugin_name == "text"
    (content,) = accumulator.Tensors(tag)[-1].tensor_proto.string_val
    html = markdown_to_safe_html(content.decode())
    cells = re.findall("<td[^>]*>(.*?)</td>", html)
    magnitudes = np.abs(sensitivity(model, FEW, CLASSES)).mean(axis=0)
    order = np.argsort(-magnitudes)
    assert cells[::3] == [escape(names[i]) for i in order]
    np.testing.assert_allclose([float(c) for c in cells[1::3]], magnitudes[order], rtol=1e-3)
    assert [len(bar) for bar in cells[2::3]] == [
        round(30 * m / magnitudes.max()) for m in magnitudes[order]
    ]
    with pytest.raises(ValueError, match=r"3 names of the columns .* shape of x is \(5, 4\)"):
        tbgrad.Sensitivity((FEW, CLASSES), features=names[:3])


@pytest.mark.parametrize("shape", [(3, 6, 5, 1), (3, 9), (3, 12, 4)], ids=["image", "row", "steps"])
def test_pictures(shape):
    x = RNG.standard_normal(shape)
    maps = RNG.standard_normal(shape).astype(np.float32)
    made = pictures(x, maps)
    assert len({picture.shape for picture in made}) == 1
    assert min(made[0].shape[:2]) >= 24
    decoded = tf.io.decode_png(png(made[0])).numpy()
    np.testing.assert_array_equal(decoded, made[0])
    largest, smallest = (np.full(shape, sign, np.float32) for sign in (1.0, -1.0))
    red = pictures(x, np.concatenate([largest[:, :1], smallest[:, 1:]], axis=1))[0]
    assert red[-1, -1, 2] > red[-1, -1, 0]  # blue lowers the loss


def test_a_training_with_pictures(tmp_path):
    model = compiled(
        keras.Input((6, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")
    )
    settings = tbgrad.Sensitivity((IMAGES, [0, 1, 2]), every=4, samples=2, budget=None)
    monitor = tbgrad.GradientMonitor(tmp_path, sensitivity=settings)
    model.fit(IMAGES, np.array([0, 1, 2]), batch_size=1, epochs=3, verbose=0, callbacks=[monitor])
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "tensors": 0})
    accumulator.Reload()
    events = accumulator.Tensors("sensitivity/gradient")
    assert [event.step for event in events] == [0, 4, 8, 9]
    width, height, first, second = events[-1].tensor_proto.string_val
    decoded = tf.io.decode_png(first).numpy()
    assert decoded.shape == (int(height), int(width), 3)
    maps = sensitivity(model, IMAGES[:2], [0, 1])
    np.testing.assert_array_equal(decoded, pictures(IMAGES[:2], maps)[0])
    metadata = accumulator.SummaryMetadata("sensitivity/gradient")
    assert metadata.plugin_data.plugin_name == "images"
    assert second != first


def test_data_that_do_not_fit_end_the_pictures_alone(tmp_path):
    model = compiled(keras.Input((4,)), keras.layers.Dense(3), loss=from_logits())
    monitor = tbgrad.GradientMonitor(tmp_path, sensitivity=tbgrad.Sensitivity((IMAGES, [0, 1, 2])))
    model.fit(FEW, CLASSES, batch_size=1, epochs=2, verbose=0, callbacks=[monitor])
    run = tbgrad.read(tmp_path)["."]
    (note,) = [text for _, text in run.notes if "sensitivity" in text]
    assert note.startswith("no sensitivity from step 0 on. ")
    assert run["gradient/norm"].steps.tolist() == list(range(1, 11))


def test_settings_that_make_no_sense():
    for arguments, sentence in (
        ({"data": FEW}, "is \\(x, y\\)"),
        ({"data": (FEW, CLASSES), "method": "magic"}, "method is one of"),
        ({"data": (FEW, CLASSES), "samples": 0}, "samples is at least 1"),
        ({"data": (FEW, CLASSES), "budget": 0}, "share above 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            tbgrad.Sensitivity(**arguments)
    with pytest.raises(TypeError, match=r"tbgrad.Sensitivity\(\(x, y\)\)"):
        tbgrad.GradientMonitor("nowhere", sensitivity=(FEW, CLASSES))
