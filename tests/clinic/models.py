"""The models of the clinic, by recipe."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tests.clinic.recipe import Recipe

LATENT = 8


def build(recipe: Recipe, shape: tuple[int, ...], classes: int) -> keras.Model:
    """The compiled model of a recipe."""
    keras.config.set_dtype_policy(f"mixed_{recipe.mixed}" if recipe.mixed else "float32")
    try:
        if recipe.model == "gan":
            return _gan(recipe, shape)
        entry = keras.Input(shape, dtype="int32" if recipe.data == "tokens" else "float32")
        features = _BODIES[recipe.model](recipe, entry)
        features = _mistaken(recipe, features)
        output, loss = _head(recipe, classes)
        kind = OnlyTheHead if recipe.wrong == "only the head" else keras.Model
        model = kind(entry, output(features))
    finally:
        keras.config.set_dtype_policy("float32")
    for layer in model.layers:
        if recipe.wrong == "not trainable" and layer.name == "hidden_0":
            layer.trainable = False
    model.compile(optimizer(recipe), loss, jit_compile=False)
    return model


def optimizer(recipe: Recipe, rate: float = 0.0) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe."""
    peak = rate or recipe.rate
    schedules = keras.optimizers.schedules
    chosen: Any = peak
    length = recipe.decay_steps or recipe.steps
    if recipe.schedule == "cosine":
        chosen = schedules.CosineDecay(peak, length)
    elif recipe.schedule == "warmup":
        chosen = schedules.CosineDecay(0.0, length, warmup_target=peak, warmup_steps=length // 10)
    made = getattr(keras.optimizers, recipe.optimizer)(chosen, **recipe.settings)
    # Only float16 needs a scale: bfloat16 has the range of float32.
    scaled = recipe.mixed == "float16"
    return keras.optimizers.LossScaleOptimizer(made) if scaled else made


def _initializer(recipe: Recipe) -> Any:
    kind = recipe.initializer or ("he_normal" if recipe.activation == "relu" else "glorot_normal")
    if not recipe.gain:
        return keras.initializers.Zeros()
    if kind not in ("he_normal", "glorot_normal"):
        return keras.initializers.get(kind)
    he = kind == "he_normal"
    scale = recipe.gain**2 * (2.0 if he else 1.0)
    return keras.initializers.VarianceScaling(scale, "fan_in" if he else "fan_avg", "normal")


def _options(recipe: Recipe, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "kernel_initializer": _initializer(recipe), "activation": recipe.activation, "name": name
    }  # fmt: skip
    if recipe.bias and name.startswith(recipe.biased):
        options["bias_initializer"] = keras.initializers.Constant(recipe.bias)
    if recipe.wrong == "pinned" and name == "hidden_0":
        options["kernel_constraint"] = _Pinned()
    if recipe.wrong == "one large layer" and name == "hidden_1":
        options["kernel_initializer"] = keras.initializers.RandomNormal(stddev=6.0)
    return options | recipe.layers.get(name, {})


def _hidden(recipe: Recipe, features: Any, layer: Any) -> Any:
    """A layer with its normalization, activation and dropout."""
    activation = layer.activation
    if recipe.normalization:
        layer.activation = keras.activations.linear
    features = layer(features)
    if recipe.normalization:
        features = keras.layers.BatchNormalization()(features)
        features = keras.layers.Activation(activation)(features)
    return keras.layers.Dropout(recipe.dropout)(features) if recipe.dropout else features


def _mlp(recipe: Recipe, features: Any) -> Any:
    for i in range(recipe.depth):
        layer = keras.layers.Dense(recipe.width, **_options(recipe, f"hidden_{i}"))
        features = _hidden(recipe, features, layer)
    return features


def _cnn(recipe: Recipe, features: Any) -> Any:
    for i in range(recipe.depth):
        options = _options(recipe, f"hidden_{i}")
        layer = keras.layers.Conv2D(recipe.width // 3, 3, padding="same", **options)
        features = _hidden(recipe, features, layer)
        if i == 0:
            features = keras.layers.MaxPooling2D()(features)
    return keras.layers.Flatten()(features)


def _recurrent(recipe: Recipe, features: Any) -> Any:
    if recipe.data == "tokens":
        features = keras.layers.Embedding(12, 16, name="embedding")(features)
    for i in range(recipe.depth):
        last = i == recipe.depth - 1
        if recipe.model == "lstm":
            layer = keras.layers.LSTM(recipe.width, return_sequences=not last, name=f"hidden_{i}")
        else:
            options: dict[str, Any] = {
                "activation": recipe.activation,
                "kernel_initializer": recipe.initializer or "glorot_uniform",
                "recurrent_initializer": keras.initializers.Orthogonal(recipe.gain),
                "name": f"hidden_{i}",
            }
            options |= recipe.layers.get(f"hidden_{i}", {})
            layer = keras.layers.SimpleRNN(recipe.width, return_sequences=not last, **options)
        features = layer(features)
    return features


def _transformer(recipe: Recipe, features: Any) -> Any:
    width = recipe.width
    if recipe.data == "tokens":
        features = keras.layers.Embedding(12, width, name="embedding")(features)
    else:
        features = keras.layers.Dense(width, name="embedding")(features)
    features = Positions(recipe.wrong == "detached", name="positions")(features)

    def norm(x: Any) -> Any:
        return keras.layers.LayerNormalization()(x) if recipe.wrong != "no normalization" else x

    for i in range(recipe.depth):
        options = {"kernel_initializer": _initializer(recipe), "name": f"attention_{i}"}
        options |= recipe.layers.get(f"attention_{i}", {})
        attention = keras.layers.MultiHeadAttention(2, width // 2, **options)
        normed = norm(features)
        features = features + attention(normed, normed)
        wide = keras.layers.Dense(2 * width, **_options(recipe, f"hidden_{i}"))(norm(features))
        narrow = keras.layers.Dense(width, kernel_initializer=_initializer(recipe))(wide)
        features = features + narrow
    return keras.layers.GlobalAveragePooling1D()(norm(features))


_BODIES = {
    "mlp": _mlp, "cnn": _cnn, "lstm": _recurrent, "rnn": _recurrent, "transformer": _transformer,
}  # fmt: skip


def _mistaken(recipe: Recipe, features: Any) -> Any:
    if recipe.wrong == "detached" and recipe.model != "transformer":
        branch = keras.layers.Dense(features.shape[-1], "relu", name="branch")(features)
        return features + keras.ops.stop_gradient(branch)
    return features


def _head(recipe: Recipe, classes: int) -> tuple[Any, Any]:
    """The output layer and the loss."""
    losses, activation = keras.losses, recipe.output
    units = 1 if recipe.binary else classes or 1
    behind = []
    if activation == "softmax" and units == 1:
        # A Softmax of Keras would hand its logits to the loss behind the user's back.
        activation, behind = "linear", [keras.layers.Lambda(tf.nn.softmax)]
    start = keras.initializers.Constant(recipe.output_bias)
    out = keras.layers.Dense(units, activation, name="out", dtype="float32", bias_initializer=start)
    if recipe.loss:
        loss: Any = _bare_logarithm if recipe.loss == "bare logarithm" else _guarded_logarithm
    elif recipe.binary:
        loss = losses.BinaryCrossentropy(from_logits=recipe.from_logits)
    elif classes:
        loss = losses.SparseCategoricalCrossentropy(from_logits=recipe.from_logits)
    else:
        loss = losses.MeanSquaredError()
    return keras.Sequential([out, *behind]) if behind else out, loss


def _bare_logarithm(labels: Any, values: Any) -> Any:
    """Cross-entropy of values that may be zero, by a logarithm without any care."""
    share = values / tf.reduce_sum(values, -1, keepdims=True)
    chosen = tf.gather(share, tf.cast(tf.reshape(labels, [-1]), tf.int32), axis=1, batch_dims=1)
    return -tf.math.log(chosen)


def _guarded_logarithm(labels: Any, values: Any) -> Any:
    """The same with the little that keeps it from zero."""
    return _bare_logarithm(labels, values + keras.config.epsilon())


class Positions(keras.layers.Layer):
    """Adds a learned vector to each place of a sequence."""

    def __init__(self, detached: bool, **options: Any) -> None:
        super().__init__(**options)
        self.detached = detached

    def build(self, shape: Any) -> None:
        self.embeddings = self.add_weight(shape=shape[1:], initializer="uniform", name="embeddings")

    def call(self, x: Any) -> Any:
        places = self.embeddings
        return x + (keras.ops.stop_gradient(places) if self.detached else places)


class _Pinned(keras.constraints.Constraint):
    """Puts the weight back to where it was at first."""

    def __init__(self) -> None:
        self.start: Any = None

    def __call__(self, weight: Any) -> Any:
        return tf.ones_like(weight) * 0.1


class OnlyTheHead(keras.Model):
    """Trains its last layer alone, as after a copied line of fine-tuning."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        chosen = self.get_layer("out").trainable_variables
        gradients = tape.gradient(loss, chosen)
        self.optimizer.apply(gradients, chosen)
        return {"loss": loss}


class Gan(keras.Model):
    """A generator and a discriminator, each with an optimizer of its own."""

    def __init__(self, generator: Any, discriminator: Any) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator

    def train_step(self, data: Any) -> Any:
        real, _ = data
        count = tf.shape(real)[0]
        judged = keras.losses.BinaryCrossentropy(from_logits=True)
        with tf.GradientTape() as tape:
            made = self.generator(tf.random.normal((count, LATENT)), training=True)
            says = [self.discriminator(x, training=True) for x in (real, made)]
            d_loss = judged(tf.fill((count, 1), 0.9), says[0]) + judged(
                tf.zeros((count, 1)), says[1]
            )
        variables = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            made = self.generator(tf.random.normal((count, LATENT)), training=True)
            g_loss = judged(tf.ones((count, 1)), self.discriminator(made, training=True))
        variables = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(g_loss, variables), variables)
        return {"loss": g_loss, "d_loss": d_loss}


def _gan(recipe: Recipe, shape: tuple[int, ...]) -> keras.Model:
    noise, points = keras.Input((LATENT,)), keras.Input(shape)
    made = _mlp(recipe, noise)
    generator = keras.Model(noise, keras.layers.Dense(shape[0], name="out")(made), name="generator")
    seen = points
    for i in range(2):
        seen = keras.layers.Dense(recipe.width, "leaky_relu", name=f"judge_{i}")(seen)
        if recipe.wrong == "dead judge" and i == 1:
            options = {"bias_initializer": keras.initializers.Constant(-30.0), "activation": "relu"}
            options |= recipe.layers.get("dead", {})
            seen = keras.layers.Dense(recipe.width, name="dead", **options)(seen)
    discriminator = keras.Model(
        points, keras.layers.Dense(1, name="out")(seen), name="discriminator"
    )
    model = Gan(generator, discriminator)
    model.compile(jit_compile=False)
    model.g_optimizer = optimizer(recipe)
    model.d_optimizer = optimizer(recipe, recipe.discriminator_rate)
    return model
