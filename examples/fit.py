"""Monitor `model.fit`: three lines, marked below."""

import sys

import keras
from sklearn.datasets import load_digits

import tbgrad  # 1

logdir = sys.argv[1] if len(sys.argv) > 1 else "runs/fit"
x, y = load_digits(return_X_y=True)
x = x.astype("float32") / 16

model = keras.Sequential(
    [
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)

monitor = tbgrad.GradientMonitor(  # 2
    logdir, every=10, curvature=tbgrad.Curvature(data=(x, y), every=200, budget=0.5)
)
model.fit(x, y, epochs=10, verbose=2, callbacks=[monitor])  # 3

print(f"Look at it: tbgrad watch {logdir}")
