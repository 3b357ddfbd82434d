"""Event files where TensorFlow can write and Python cannot: `gs://`, `s3://`, `hdfs://`, `ram://`."""

from __future__ import annotations

import time

import tensorflow as tf

FLUSH_SECONDS = 30.0
"""Object stores take a file as a whole each time it is flushed."""


def is_remote(logdir: object) -> bool:
    """Whether a log directory is an address rather than a path."""
    return "://" in str(logdir)


class RemoteFile:
    """A new file behind `tf.io.gfile`; readers see it grow every `FLUSH_SECONDS`.

    Raises:
        tensorflow.errors.OpError: it cannot be written there.
    """

    def __init__(self, path: str) -> None:
        tf.io.gfile.makedirs(path.rpartition("/")[0])
        self._file = tf.io.gfile.GFile(path, "wb")
        self._flushed = 0.0

    def write(self, data: bytes) -> None:
        """Append `data`, and flush where that was long ago."""
        self._file.write(data)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Bring what was written to where readers see it."""
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, and write no more."""
        self._file.close()
