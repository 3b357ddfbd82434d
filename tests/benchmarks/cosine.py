"""How far the cosine told from sketches is off: `python -m tests.benchmarks.cosine`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tbgrad.keras import sketch

SEEDS = 100
ROWS, WIDTH, TOKENS = 20_000, 64, 200


def dense(rng, kind):
    """Two gradients of one kind, as matrices."""
    shape = (300, 700)
    a, b = rng.standard_normal((2, *shape))
    if kind == "of rank one":
        a, b = (np.outer(*(rng.standard_normal(n) for n in shape)) for _ in range(2))
    if kind == "rows alike":
        a, b = (x + 3 * rng.standard_normal(shape[1]) for x in (a, b))
    if kind == "a few large values":
        a, b = (x * np.exp(3 * rng.standard_normal(shape)) for x in (a, b))
    return a, 0.3 * a * np.std(b) / np.std(a) + b


def rows(rng):
    """The rows of an embedding that two batches of words meet, and their gradients."""
    common = rng.standard_normal(WIDTH)
    for _ in range(2):
        index = rng.zipf(1.3, TOKENS) % ROWS
        yield (rng.standard_normal((TOKENS, WIDTH)) + common).astype(np.float32), index


def cosine(a, b):
    """That of the whole gradients, in float64."""
    a, b = np.ravel(a), np.ravel(b)
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def main() -> None:
    """Print mean, root mean square and largest error over seeds."""
    print(f"{'gradient':20}  {'mean':>8}  {'rms':>7}  {'largest':>7}  {'said':>7}")
    for kind in ("normal", "of rank one", "rows alike", "a few large values", "embedding"):
        errors, said = [], []
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            if kind == "embedding":
                pair = list(rows(rng))
                found = sketch.cosine(*[sketch.of_rows(*map(tf.constant, part)) for part in pair])
                whole = np.zeros((2, ROWS, WIDTH))
                for each, (values, index) in zip(whole, pair, strict=True):
                    np.add.at(each, index, values)
            else:
                whole = dense(rng, kind)
                flat = [tf.constant(np.ravel(x)[np.newaxis].astype(np.float32)) for x in whole]
                found = sketch.cosine(*map(sketch.of_dense, flat))
            true = cosine(*whole)
            errors.append(float(found[0]) - true)
            said.append((1 - true**2) / np.sqrt(sketch.BUCKETS))
        rms = np.sqrt(np.mean(np.square(errors)))
        print(
            f"{kind:20}  {np.mean(errors):8.4f}  {rms:7.4f}  {np.abs(errors).max():7.4f}  "
            f"{np.sqrt(np.mean(np.square(said))):7.4f}"
        )


if __name__ == "__main__":
    main()
