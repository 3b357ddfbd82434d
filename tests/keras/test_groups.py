"""Several models and optimizers side by side, as in a GAN."""

from __future__ import annotations

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

import tbgrad
from tests.support.linear_model import (
    BATCH,
    EAGER,
    FITTED,
    RATE,
    STEPS,
    W,
    X,
    Y,
    batch,
    fit,
    gradient_norms,
    linear,
    norms_in,
    own_loop,
    writer_for,
)

pytestmark = pytest.mark.tensorflow


def files_in(directory):
    return sorted(path.name for path in directory.iterdir())


def groups_in(logdir):
    """Norms by the group that the names of parameters begin with."""
    return {name: run["gradient/norm"] for name, run in tbgrad.read(logdir).items()}


def test_two_writers_log_two_groups_into_one_run(tmp_path):
    models = {"generator": linear("generator"), "critic": linear("critic", 2 * W)}
    optimizers = {group: keras.optimizers.SGD(RATE) for group in models}
    writers = {
        group: writer_for(tmp_path / "gan", model, optimizers[group], group=group)
        for group, model in models.items()
    }
    for group, model in models.items():
        optimizers[group].build(model.trainable_variables)

    @tf.function
    def train_step(x, y):
        for group, model in models.items():
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - y))
            gradients = tape.gradient(loss, model.trainable_variables)
            writers[group].observe(gradients, loss=loss)
            optimizers[group].apply(gradients, model.trainable_variables)

    for step in range(STEPS):
        train_step(*map(tf.constant, batch(step)))
    writers["generator"].close()  # the other one goes on
    train_step(*map(tf.constant, batch(0)))
    writers["critic"].close()
    assert len(files_in(tmp_path / "gan")) == 1
    runs = tbgrad.read(tmp_path)
    assert list(runs) == ["gan/critic", "gan/generator"]
    for group, w in (("generator", W), ("critic", 2 * W)):
        run = runs[f"gan/{group}"]
        (name,) = run.names
        assert name.endswith(f"{group}/kernel")
        np.testing.assert_allclose(
            run["gradient/norm"].values[:STEPS], gradient_norms(w)[0], rtol=1e-5
        )
        assert len(run["gradient/norm"]) == STEPS + (group == "critic")
        assert f"gradient_histogram/{name}" in run
        assert run.damage == ()
    multiplexer = event_accumulator.EventAccumulator(str(tmp_path / "gan")).Reload()
    assert {"generator/loss", "critic/gradient/norm"} <= set(multiplexer.Tags()["tensors"])


def test_groups_resume_each_at_its_own_step(tmp_path):
    def session(start, steps):
        for group, ahead in (("generator", 0), ("critic", 100)):
            model, optimizer = linear(group), keras.optimizers.SGD(RATE)
            writer = writer_for(tmp_path, model, optimizer, group=group, start_step=start + ahead)
            open_writers.append(writer)
            own_loop(model, optimizer, writer, tf.function, steps=steps)
        while open_writers:
            open_writers.pop().close()

    open_writers = []
    session(0, 8)
    session(5, 2)
    found = groups_in(tmp_path)
    assert found["generator"].steps.tolist() == [*range(1, 8)]
    assert found["critic"].steps.tolist() == [*range(101, 108)]


def test_a_disk_that_fails_is_told_to_each_group_once(tmp_path, caplog):
    writers = {}
    for group in ("generator", "critic"):
        model, optimizer = linear(group), keras.optimizers.SGD(RATE)
        writers[group] = (
            model,
            optimizer,
            writer_for(tmp_path / "run", model, optimizer, group=group),
        )
    shutil.rmtree(tmp_path / "run")
    for model, optimizer, writer in writers.values():
        own_loop(model, optimizer, writer, tf.function)
    for *_, writer in writers.values():
        writer.close()
    ended = [r.getMessage() for r in caplog.records if "ended after a failure" in r.getMessage()]
    assert len(ended) == 2
    assert ["(generator)" in ended[0], "(critic)" in ended[1]] == [True, True]


def test_one_group_twice_in_a_run_keeps_both_files_readable(tmp_path):
    """As in a notebook, where a cell runs again before the former writer was closed."""
    model, optimizer = linear(), keras.optimizers.SGD(RATE)
    former = writer_for(tmp_path, model, optimizer, group="a")
    own_loop(model, optimizer, former, tf.function, steps=2)
    again = writer_for(tmp_path, model, optimizer, group="a")
    former.close()
    own_loop(model, optimizer, again, tf.function, steps=2)
    again.close()
    assert len(files_in(tmp_path)) == 2
    assert groups_in(tmp_path)["a"].steps.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("group", ["a/b", 3])
def test_a_group_that_is_no_name_gets_a_sentence(group, tmp_path):
    with pytest.raises(ValueError, match=r"group is a name without '/'"):
        tbgrad.GradientMonitor(tmp_path, group=group)


class Adversaries(keras.Model):
    """Two sub-networks and two optimizers in one `train_step`."""

    critic_twice = False

    def __init__(self):
        super().__init__()
        self.generator, self.critic = linear("generator"), linear("critic", 2 * W)

    def compile(self, optimizer, critic_optimizer, **settings):
        super().compile(optimizer, **settings)
        self.critic_optimizer = critic_optimizer

    def call(self, x):
        return self.generator(x)

    def train_step(self, data):
        x, y = data
        losses = {}
        for part, optimizer in (
            (self.generator, self.optimizer),
            (self.critic, self.critic_optimizer),
            (self.critic, self.critic_optimizer),
        )[: 2 + self.critic_twice]:
            with tf.GradientTape() as tape:
                losses[part.name] = tf.reduce_mean(tf.square(part(x) - y))
            gradients = tape.gradient(losses[part.name], part.trainable_variables)
            optimizer.apply(gradients, part.trainable_variables)
        return losses


def test_two_optimizers_in_one_train_step(tmp_path):
    model = Adversaries()
    model.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), jit_compile=False)
    model(X[:1])
    model.critic_optimizer.build(model.critic.trainable_variables)
    with writer_for(tmp_path / "c", model.critic, model.critic_optimizer):
        fit(model, tbgrad.GradientMonitor(tmp_path / "g", every=1))
    runs = tbgrad.read(tmp_path)
    np.testing.assert_allclose(norms_in(tmp_path, "g")[1], gradient_norms()[0], rtol=1e-5)
    np.testing.assert_allclose(norms_in(tmp_path, "c")[1], gradient_norms(2 * W)[0], rtol=1e-5)
    assert runs["c"].names == ("critic/kernel",)
    row = runs["g"].names.index("sequential/generator/kernel")
    np.testing.assert_allclose(runs["g"].statistic("norm")[:, row], gradient_norms()[0], rtol=1e-5)
    assert "apply" not in vars(model.optimizer)
    assert "apply" not in vars(model.critic_optimizer)


@pytest.mark.parametrize("mode", ["xla", "eager"])
def test_two_monitors_of_one_fit_log_two_groups_into_one_run(mode, tmp_path):
    model = Adversaries()
    model.critic_twice = True
    model.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), **(FITTED | EAGER)[mode])
    both = {"generator": model.optimizer, "critic": model.critic_optimizer}
    monitors = [
        tbgrad.GradientMonitor(tmp_path, every=1, optimizer=optimizer, group=group)
        for group, optimizer in both.items()
    ]
    for part in (slice(None, 4 * BATCH), slice(4 * BATCH, None)):  # two fits, one run
        model.fit(X[part], Y[part], batch_size=BATCH, shuffle=False, verbose=0, callbacks=monitors)
    found = groups_in(tmp_path)
    generator, critic = found["generator"], found["critic"]
    assert generator.steps.tolist() == [*range(1, STEPS + 1)]
    np.testing.assert_allclose(generator.values, gradient_norms()[0], rtol=1e-5)
    assert critic.steps.tolist() == [*range(1, 2 * STEPS + 1)]
    twice = np.repeat(np.arange(STEPS * BATCH).reshape(STEPS, BATCH), 2, axis=0).ravel()
    expected, _ = gradient_norms(2 * W, X[twice], Y[twice], steps=2 * STEPS)
    np.testing.assert_allclose(critic.values, expected, rtol=1e-5)
    (name,) = monitors[1].latest["parameters"]
    assert name.endswith("critic/kernel")
    for optimizer in both.values():
        assert "apply" not in vars(optimizer)


def test_two_monitors_find_their_cadences_and_lose_no_step(tmp_path):
    model = Adversaries()
    model.critic_twice = True
    model.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), jit_compile=False)
    both = {"generator": model.optimizer, "critic": model.critic_optimizer}
    monitors = [
        tbgrad.GradientMonitor(tmp_path, optimizer=optimizer, group=group)
        for group, optimizer in both.items()
    ]
    model.fit(X, Y, batch_size=BATCH, epochs=60, verbose=0, callbacks=monitors)
    runs = tbgrad.read(tmp_path)
    for group, steps in (("generator", 60 * STEPS), ("critic", 120 * STEPS)):
        run = runs[group]
        # On a slow machine there are steps with histograms between two of the others.
        every = run.manifest.cadences["every"]
        settled = set(range(every, steps + 1, every)) - set(range(steps // 2))
        assert settled <= set(run["tbgrad/parameters"].steps)
        assert "tbgrad/notes" not in run  # which would tell of lost steps
