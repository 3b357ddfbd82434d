"""Event files where TensorFlow can write and Python cannot: `gs://`, `s3://`, `hdfs://`, `ram://`."""

from __future__ import annotations

import time

import tensorflow as tf

from tbgrad.monitoring.storage import SIGN_SECONDS, LocalStorage, Storage, is_remote

FLUSH_SECONDS = 30.0
"""Object stores take a file as a whole each time it is flushed."""


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


class RemoteStorage:
    """Directories that TensorFlow can reach; errors are those of Python where there is one."""

    seen_after = FLUSH_SECONDS + SIGN_SECONDS

    def create(self, path: str) -> RemoteFile:
        """A new file; raises tensorflow.errors.OpError where it cannot be made."""
        return RemoteFile(path)

    def names(self, directory: str) -> list[str]:
        """The names in a directory; raises OSError where it cannot be listed."""
        try:
            return [str(name) for name in tf.io.gfile.listdir(directory)]
        except tf.errors.OpError as error:
            raise OSError(str(error)) from error

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file; raises OSError where it cannot be read."""
        try:
            with tf.io.gfile.GFile(path, "rb") as file:
                return bytes(file.read(size))
        except tf.errors.OpError as error:
            raise OSError(str(error)) from error


def storage_of(logdir: object) -> Storage:
    """What reaches a log directory."""
    return RemoteStorage() if is_remote(logdir) else LocalStorage()
