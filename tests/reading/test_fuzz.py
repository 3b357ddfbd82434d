"""What the fuzzer found worth keeping, and logs of every kind cut and joined at random."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.reading import CORPUS, check, file_of, input_of

INPUTS = sorted(CORPUS.iterdir())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_what_the_fuzzer_kept(path: Path, tmp_path: Path) -> None:
    check(path.read_bytes(), tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_damaged_mixtures_of_them(tmp_path: Path) -> None:
    rng = random.Random(0)
    inputs = [path.read_bytes() for path in INPUTS]
    assert inputs
    for _ in range(150):
        whole = bytearray(b"".join(file_of(data) for data in rng.choices(inputs, k=3)))
        for _ in range(rng.randrange(4)):
            if whole:
                whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        check(b"\x00" + bytes(whole), tmp_path)


def test_inputs_stand_for_what_they_say() -> None:
    from tbgrad.log.framing import frame

    assert file_of(b"\x00abc") == b"abc"
    assert file_of(input_of([b"one", b""])) == frame(b"one") + frame(b"")
