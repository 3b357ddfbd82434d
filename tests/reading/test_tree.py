"""Which runs a directory holds: files in transfer, links, names, what cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

from tbgrad.log.tail import EventFileTail
from tbgrad.reading.tree import find_event_files
from tests.support.events import NAME, event, steps_of, write_events


def test_files_in_transfer_are_no_logs(tmp_path):
    for name in (f".{NAME}.Ab12Cd", f"{NAME}.part", f".~tmp~/{NAME}", f".rsync-partial/{NAME}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_event_files(tmp_path) == {}
    (tmp_path / NAME).touch()
    assert find_event_files(tmp_path) == {".": [tmp_path / NAME]}


def test_links_that_lead_to_links_end(tmp_path):
    for name in "abcd":
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).touch()
    for here in "abcd":
        for there in "abcd":
            if here != there:
                (tmp_path / here / f"to-{there}").symlink_to(f"../{there}")
    aliases: dict[str, str] = {}
    runs = find_event_files(tmp_path, aliases=aliases)
    assert set(runs) - set(aliases) == set("abcd")
    assert set(aliases) == {
        f"{here}/to-{there}" for here in "abcd" for there in "abcd" if here != there
    }


def test_finds_runs_by_directory(tmp_path):
    for name in ("a/x/" + NAME, "a/" + NAME, NAME, "b/notes.txt", "c/events.out.tfevents.2"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "c/events.out.tfevents.10").touch()
    (tmp_path / "c/tfevents.directory").mkdir()
    os.mkfifo(tmp_path / "c/tfevents.pipe")
    assert find_event_files(tmp_path) == {
        ".": [tmp_path / NAME],
        "a": [tmp_path / "a" / NAME],
        "a/x": [tmp_path / "a/x" / NAME],
        "c": [tmp_path / "c/events.out.tfevents.10", tmp_path / "c/events.out.tfevents.2"],
    }


def test_links_are_followed_once_and_loops_are_not(tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / NAME).touch()
    (tmp_path / "alias").symlink_to("zoo")
    (tmp_path / "zoo" / "up").symlink_to("..")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "dangling.tfevents").symlink_to("nowhere")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / NAME).touch()
    (tmp_path / "linked").symlink_to(elsewhere)
    problems: dict[str, str] = {}
    aliases: dict[str, str] = {}
    assert set(find_event_files(tmp_path, problems, aliases)) == {"alias", "zoo", "linked"}
    assert aliases == {"alias": "zoo"}
    assert set(problems) <= {str(tmp_path / "itself")}


def test_an_unreadable_directory_hides_only_itself(tmp_path, monkeypatch):
    for name in ("locked", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).touch()
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    problems: dict[str, str] = {}
    assert set(find_event_files(tmp_path, problems)) == {"open"}
    assert problems == {str(tmp_path / "locked"): "Permission denied"}


def test_a_name_that_is_not_utf8_is_read(tmp_path):
    directory = os.fsencode(tmp_path) + b"/run-\xff\xfe"
    os.mkdir(directory)
    path = Path(os.fsdecode(directory + b"/tfevents.\xe9"))
    write_events(path, [event(1)])
    (name,) = find_event_files(tmp_path)
    assert os.fsencode(name) == b"run-\xff\xfe"
    assert steps_of(EventFileTail(path)) == [1]
