"""The framing of event files: tailing, damage, and finding the files."""

from __future__ import annotations

import os
import resource
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbgrad.log import framing
from tbgrad.log import tail as log_tail
from tbgrad.log.framing import frame
from tbgrad.log.tail import EventFileTail
from tests.log.test_framing import reference_masked_crc32c
from tests.support.events import NAME, event, events_of, records, steps_of, write_events


def test_reads_what_is_there_and_then_what_came_since(tmp_path):
    path = write_events(tmp_path / NAME, [event(1), event(2)])
    tail = EventFileTail(path)
    assert tail.grown()
    assert steps_of(tail) == [1, 2]
    assert not tail.grown()
    assert steps_of(tail) == []
    with path.open("ab") as file:
        file.write(b"".join(records(2, first=3)))
    assert tail.grown()
    assert steps_of(tail) == [3, 4]
    assert tail.damage == []
    assert tail.unfinished() is None


def test_every_truncation_waits_for_the_rest(tmp_path):
    parts = records(3)
    whole = b"".join(parts)
    ends = [len(b"".join(parts[: i + 1])) for i in range(3)]
    path = tmp_path / NAME
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        tail = EventFileTail(path)
        complete = sum(end <= cut for end in ends)
        assert steps_of(tail) == list(range(1, complete + 1))
        assert (tail.unfinished() is not None) == (cut not in (0, *ends))
        assert not tail.grown()
        with path.open("ab") as file:
            file.write(whole[cut:])
        assert steps_of(tail) == list(range(complete + 1, 4))
        assert tail.damage == []
        assert tail.unfinished() is None


def test_every_flipped_bit_costs_one_record_and_is_counted(tmp_path):
    parts = records(4)
    whole = b"".join(parts)
    starts = [len(b"".join(parts[:i])) for i in range(4)]
    path = tmp_path / NAME
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        tail = EventFileTail(path)
        hit = max(i for i in range(4) if starts[i] <= bit // 8)
        intact = [step for step in (1, 2, 3, 4) if step != hit + 1]
        read = events_of(tail)
        assert [e.step for e in read] == intact, f"bit {bit}"
        assert all(e == event(e.step) for e in read)
        end = tail.unfinished()
        noted = [*tail.damage, *([end] if end else [])]
        assert [(d.file, d.offset) for d in noted] == [(str(path), starts[hit])], f"bit {bit}"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_reading_in_any_pieces_equals_reading_whole(tmp_path_factory, data):
    parts = records(6)
    whole = bytearray(b"".join(parts))
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[position] ^= data.draw(st.integers(1, 255))
    insert = data.draw(st.integers(0, len(whole)))
    whole[insert:insert] = data.draw(st.binary(max_size=40))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    chunk = data.draw(st.sampled_from([1, 7, 64, 8 << 20]))
    search = data.draw(st.sampled_from([1, 5, 64 << 10]))
    directory = tmp_path_factory.mktemp("pieces")
    with pytest.MonkeyPatch.context() as patch:
        (directory / "whole").write_bytes(whole)
        at_once = EventFileTail(directory / "whole")
        expected = [e.SerializeToString() for e in events_of(at_once)]
        patch.setattr(log_tail, "CHUNK_BYTES", chunk)
        patch.setattr(framing, "SEARCH_BYTES", search)
        growing = directory / "growing"
        growing.write_bytes(b"")
        tail = EventFileTail(growing)
        read = []
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            with growing.open("ab") as file:
                file.write(whole[start:end])
            if tail.grown():
                read += [e.SerializeToString() for e in events_of(tail)]
    assert read == expected
    assert [(d.offset, d.reason) for d in tail.damage] == [
        (d.offset, d.reason) for d in at_once.damage
    ]


def test_an_abandoned_read_goes_on_where_it_stopped(tmp_path):
    path = write_events(tmp_path / NAME, [event(step) for step in range(1, 6)])
    tail = EventFileTail(path, batch_records=2)
    reading = tail.read()
    assert next(reading).contents == [event(step).SerializeToString() for step in (1, 2)]
    reading.close()
    assert tail.grown()
    assert steps_of(tail) == [3, 4, 5]


def test_a_sound_header_with_a_huge_length_allocates_nothing(tmp_path):
    path = tmp_path / NAME
    for length in (framing.MAX_RECORD_BYTES, framing.MAX_RECORD_BYTES + 1, 2**63, 2**64 - 1):
        claim = struct.pack("<Q", length)
        header = claim + struct.pack("<I", reference_masked_crc32c(claim))
        path.write_bytes(records(1)[0] + header + b"".join(records(2, first=2)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tail = EventFileTail(path)
        possible = length <= framing.MAX_RECORD_BYTES  # then it could still be on its way
        assert steps_of(tail) == ([1] if possible else [1, 2, 3])
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
        assert possible or len(tail.damage) == 1
        assert not possible or tail.unfinished() is not None


def test_a_hole_of_zeros_is_passed(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(records(1)[0] + bytes(3_000_000) + records(1, first=2)[0])
    tail = EventFileTail(path)
    assert steps_of(tail) == [1, 2]
    assert [d.reason for d in tail.damage] == [
        "3,000,000 bytes are not records; reading went on after them"
    ]


def test_an_empty_record_after_damage_is_found(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(b"x" * 40 + frame(b"") + records(1)[0])
    tail = EventFileTail(path)
    assert steps_of(tail) == [0, 1]
    assert tail.damage[0].reason.startswith("40 bytes")


def test_a_record_that_is_no_event_is_skipped_and_counted(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(records(1)[0] + frame(b"\xff\xff\xff") + records(1, first=2)[0])
    tail = EventFileTail(path)
    assert steps_of(tail) == [1, 2]
    assert [(d.offset, "not an Event" in d.reason) for d in tail.damage] == [
        (len(records(1)[0]), True)
    ]


def test_a_replaced_cut_or_deleted_file_is_noticed(tmp_path):
    path = write_events(tmp_path / NAME, [event(1), event(2)])

    def followed() -> EventFileTail:
        tail = EventFileTail(path)
        assert not tail.replaced()
        assert len(steps_of(tail)) == 2
        assert not tail.replaced()
        return tail

    tail = followed()
    os.replace(write_events(tmp_path / "new", [event(8), event(9)]), path)
    assert tail.replaced()
    tail = followed()
    os.truncate(path, 10)
    assert tail.replaced()
    write_events(path, [event(1), event(2)])
    tail = followed()
    path.unlink()
    assert tail.replaced()


def test_a_file_rewritten_in_place_with_more_is_noticed(tmp_path):
    path = write_events(tmp_path / NAME, [event(1), event(2)])
    tail = EventFileTail(path)
    assert steps_of(tail) == [1, 2]
    with path.open("r+b") as file:  # the same inode, and never seen shorter
        file.write(b"".join(records(3, first=7)))
    assert tail.grown()
    assert steps_of(tail) == []
    assert tail.replaced()


HOLES = {
    "at the growing end": (50, 100),
    "with records behind it": (50, 70),
    "of data behind a whole header": (50, 51),
    "at the beginning": (0, 10),
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_that_is_filled_later_is_read_then(tmp_path, hole):
    """As NFS and copies in place show a file: zeros where the bytes are still on their way."""
    parts = records(100)
    whole = b"".join(parts)
    first, last = HOLES[hole]
    start, end = (len(b"".join(parts[:i])) for i in (first, last))
    start += framing.HEADER_BYTES if hole.startswith("of data") else 0
    path = tmp_path / NAME
    path.write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    tail = EventFileTail(path)
    assert steps_of(tail) == [*range(1, first + 1), *range(last + 1, 101)]
    assert (tail.unfinished() is None) == (last < 100)
    with path.open("r+b") as file:
        file.seek(start)
        file.write(whole[start:end])
    if tail.replaced():  # records behind the hole were read: their order is to be kept
        tail = EventFileTail(path)
        assert steps_of(tail) == list(range(1, 101))
    else:
        assert tail.grown()
        assert steps_of(tail) == list(range(first + 1, 101))
    with path.open("ab") as file:
        file.write(records(1, first=101)[0])
    assert not tail.replaced()
    assert steps_of(tail) == [101]
    assert tail.damage == []
    assert tail.unfinished() is None


def test_damage_that_stays_costs_nothing_once_the_file_is_calm(tmp_path):
    path = tmp_path / NAME
    path.write_bytes(records(1)[0] + bytes(40) + records(1, first=2)[0] + bytes(40))
    os.utime(path, (1.0, 1.0))
    tail = EventFileTail(path)
    assert steps_of(tail) == [1, 2]
    assert tail.unfinished() is not None
    assert not tail.replaced()
    opened = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: opened.append(1))
        assert not tail.replaced()
        assert not tail.grown()
    assert opened == []


def test_a_copy_that_takes_the_place_of_the_file_goes_on_where_that_ended(tmp_path):
    path = write_events(tmp_path / NAME, [event(step) for step in range(1, 6)])
    tail = EventFileTail(path)
    assert steps_of(tail) == [1, 2, 3, 4, 5]
    longer = write_events(tmp_path / "new", [event(step) for step in range(1, 9)])
    os.replace(longer, path)
    assert not tail.replaced()
    assert steps_of(tail) == [6, 7, 8]
    other = write_events(tmp_path / "new", [*(event(step) for step in range(1, 5)), event(9)] * 2)
    os.replace(other, path)  # alike at the beginning, and another log
    assert tail.replaced()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08", "compressed with gzip: decompress it first, as with gunzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with Zstandard: decompress it first, as with unzstd"),
    ],
)
def test_a_compressed_log_is_called_so(tmp_path, content, words):
    path = tmp_path / f"{NAME}.gz"
    path.write_bytes(content + bytes(100))
    with pytest.raises(OSError, match="compressed") as raised:
        steps_of(EventFileTail(path))
    assert words in raised.value.strerror
