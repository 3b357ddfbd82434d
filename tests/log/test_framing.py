"""Checksums and frames, against an independent computation and TensorBoard itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tbgrad.log.framing import frame, masked_crc32c
from tests.support.events import event


def reference_masked_crc32c(data: bytes) -> int:
    """CRC32C bit by bit from its polynomial, then the mask: shares nothing with the product."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def test_checksum_known_vector():
    # RFC 3720, B.4: the CRC32C of 32 zero bytes is 0x8A9136AA.
    rotated = 0x8A9136AA >> 15 | (0x8A9136AA << 17) % 2**32
    assert masked_crc32c(bytes(32)) == (rotated + 0xA282EAD8) % 2**32


@given(st.binary(max_size=100))
def test_checksum_matches_an_independent_computation(data):
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as pure_python

    assert masked_crc32c(data) == reference_masked_crc32c(data) == pure_python(data)


def test_frame_is_what_tensorboard_writes(tmp_path):
    from tensorboard.summary.writer.record_writer import RecordWriter

    content = event(3).SerializeToString()
    with (tmp_path / "theirs").open("wb") as file:
        RecordWriter(file).write(content)
    assert frame(content) == (tmp_path / "theirs").read_bytes()
