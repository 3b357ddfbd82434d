"""Post every alert to a webhook, as of a chat room, and stop on the grave ones."""

import argparse
import json
import urllib.request

import keras
from sklearn.datasets import load_digits

import tbgrad


def poster(url):
    """What is called with an alert: posts it to `url`, or prints it where there is none."""

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

    return post


def main(logdir="runs/webhook", url=None, epochs=20, seed=0):
    keras.utils.set_random_seed(seed)
    x, y = load_digits(return_X_y=True)
    model = keras.Sequential([keras.layers.Dense(64, activation="tanh"), keras.layers.Dense(10)])
    model.compile(
        optimizer=keras.optimizers.SGD(5.0),  # far too high, so that there is something to post
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    monitor = tbgrad.GradientMonitor(
        logdir, every=1, on_alert=poster(url), stop_on={"nonfinite", "loss_diverging"}
    )
    model.fit(x / 16, y, epochs=epochs, verbose=0, callbacks=[monitor])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/webhook")
    parser.add_argument("url", nargs="?", help="by default alerts are printed")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
