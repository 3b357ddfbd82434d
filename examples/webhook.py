"""Post every alert to a webhook, as of a chat room, and stop the training on the grave ones."""

import json
import sys
import urllib.request

import keras
from sklearn.datasets import load_digits

import tbgrad

logdir = sys.argv[1] if len(sys.argv) > 1 else "runs/webhook"
url = sys.argv[2] if len(sys.argv) > 2 else None


def post(alert):
    where = ", ".join(alert.parameters[:3]) or "the whole run"
    text = f"{alert.severity}: {alert.rule} {alert.state} at step {alert.last_step} in {where}"
    text += f"\n{alert.evidence}\n{alert.advice}"
    if url is None:
        print(text)
        return
    request = urllib.request.Request(
        url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


x, y = load_digits(return_X_y=True)
model = keras.Sequential([keras.layers.Dense(64, activation="tanh"), keras.layers.Dense(10)])
model.compile(
    optimizer=keras.optimizers.SGD(5.0),  # far too high, so that there is something to post
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)

monitor = tbgrad.GradientMonitor(
    logdir, every=1, on_alert=post, stop_on={"nonfinite", "loss_diverging"}
)
model.fit(x / 16, y, epochs=20, verbose=0, callbacks=[monitor])
