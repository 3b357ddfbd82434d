"""Logs of TensorFlow, Keras and PyTorch's writer are read; TensorBoard's own reader reads ours."""

from __future__ import annotations

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.log.decode import decode_array
from tbgrad.log.tags import CURVATURE, HISTOGRAMS, MANIFEST, NOTES, PARAMETERS, Kind
from tbgrad.reading.directory import read
from tests.support.logs import write_run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def test_a_log_of_tf_summary(tf, tmp_path):
    sample = np.linspace(-1, 3, 50, dtype=np.float32)
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        for step in (1, 2):
            tf.summary.scalar("accuracy", 0.25 * step, step=step)
            tf.summary.scalar("broken", np.nan, step=step)
            tf.summary.histogram("weights", sample, step=step, buckets=5)
            tf.summary.text("remark", f"step {step} ü", step=step)
            tf.summary.image("picture", np.zeros((1, 4, 4, 3)), step=step)
    run = read(tmp_path)["."]
    assert run.damage == ()
    assert run.manifest is None
    assert set(run) == {"accuracy", "broken", "weights", "remark"}
    assert run["accuracy"].kind is Kind.SCALAR
    assert run["accuracy"].values.tolist() == [0.25, 0.5]
    assert np.isnan(run["broken"].values).all()
    assert run["weights"].kind is Kind.HISTOGRAM
    counts, edges = np.histogram(sample, bins=5)
    for buckets in run["weights"].values:
        np.testing.assert_allclose(buckets[:, 2], counts)
        np.testing.assert_allclose(buckets[:, 0], edges[:-1], atol=1e-6)
        np.testing.assert_allclose(buckets[:, 1], edges[1:], atol=1e-6)
    assert run["remark"].values.tolist() == ["step 1 ü", "step 2 ü"]


def test_a_log_of_the_keras_callback(tf, tmp_path):
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="out")])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 3)), np.zeros((8, 2))
    callback = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_graph=True)
    history = model.fit(x, y, validation_data=(x, y), epochs=3, verbose=0, callbacks=[callback])
    runs = read(tmp_path)
    assert set(runs) == {"train", "validation"}
    assert runs["train"].damage == ()
    train = runs["train"]["epoch_loss"]
    assert train.steps.tolist() == [0, 1, 2]
    np.testing.assert_allclose(train.values, history.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        runs["validation"]["epoch_loss"].values, history.history["val_loss"], rtol=1e-6
    )
    histograms = [s for s in runs["train"].values() if s.kind is Kind.HISTOGRAM]
    assert len(histograms) == 2  # kernel and bias
    assert sum(histograms[0].values[-1][:, 2]) in (6, 2)


def test_a_file_that_grows_while_tensorflow_writes_it(tf, tmp_path):
    from tbgrad.reading.directory import LogDirectory

    log = LogDirectory(tmp_path)
    writer = tf.summary.create_file_writer(str(tmp_path))
    for step in range(1, 4):
        with writer.as_default():
            tf.summary.scalar("loss", float(step), step=step)
        writer.flush()
        log.poll()
        assert log.runs["."]["loss"].values.tolist() == list(range(1, step + 1))


@pytest.fixture(scope="module")
def our_log(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("ours")
    manifest = write_run(logdir / "a", steps=400)
    return logdir, manifest, read(logdir)["a"]


def test_tensorboards_accumulator_reads_our_log(our_log):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    logdir, _, run = our_log
    accumulator = EventAccumulator(str(logdir / "a"), size_guidance={"tensors": 0})
    accumulator.Reload()
    assert set(accumulator.Tags()["tensors"]) == {*run, MANIFEST}
    for tag in ("loss", PARAMETERS, HISTOGRAMS):
        theirs = accumulator.Tensors(tag)
        assert [e.step for e in theirs] == run[tag].steps.tolist()
        assert [e.wall_time for e in theirs] == run[tag].wall_times.tolist()
        values = np.array([tensor_util.make_ndarray(e.tensor_proto) for e in theirs])
        np.testing.assert_array_equal(values, run[tag].values)
    (manifest,) = accumulator.Tensors(MANIFEST)
    text = tensor_util.make_ndarray(manifest.tensor_proto).item()
    assert decode_array(MANIFEST, np.array(text, object))[1] == run.manifest


def test_tensorboards_data_provider_serves_our_log(our_log):
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.histogram.metadata import PLUGIN_NAME as HISTOGRAM_TAB
    from tensorboard.plugins.scalar.metadata import PLUGIN_NAME as SCALAR_TAB

    logdir, manifest, run = our_log
    multiplexer = EventMultiplexer(tensor_size_guidance={"tbgrad": 1000, "scalars": 1000})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    context = RequestContext()

    scalars = provider.list_scalars(context, experiment_id="", plugin_name=SCALAR_TAB)["a"]
    assert {"loss", "gradient/norm", "curvature/lambda_max"} <= set(scalars)
    points = provider.read_scalars(
        context, experiment_id="", plugin_name=SCALAR_TAB, downsample=1000
    )["a"]["gradient/norm"]
    assert [p.step for p in points] == run["gradient/norm"].steps.tolist()
    assert [p.value for p in points] == run["gradient/norm"].values.tolist()

    histograms = provider.list_tensors(context, experiment_id="", plugin_name=HISTOGRAM_TAB)["a"]
    assert set(histograms) == {f"gradient_histogram/{p.path}" for p in manifest.parameters}
    data = provider.read_tensors(
        context, experiment_id="", plugin_name=HISTOGRAM_TAB, downsample=1000
    )["a"]
    for tag, samples in data.items():
        for sample, ours in zip(samples, run[tag].values, strict=True):
            np.testing.assert_array_equal(sample.numpy, ours)

    packed = provider.list_tensors(context, experiment_id="", plugin_name="tbgrad")["a"]
    assert set(packed) == {MANIFEST, PARAMETERS, CURVATURE}
    counts = provider.list_tensors(context, experiment_id="", plugin_name="tbgrad_histograms")
    assert set(counts["a"]) == {HISTOGRAMS}


def test_notes_appear_in_tensorboards_text_tab(tmp_path):
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext

    from tbgrad.log.append import EventFileWriter

    with EventFileWriter(tmp_path / "a") as writer:
        writer.add(3, [encode.note("no second derivative")])
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path))
    (sample,) = provider.read_tensors(
        RequestContext(), experiment_id="", plugin_name="text", downsample=10
    )["a"][NOTES]
    assert sample.step == 3
    assert sample.numpy.item() == b"no second derivative"
