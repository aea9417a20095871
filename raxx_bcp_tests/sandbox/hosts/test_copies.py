"""Copies of disks, and the shelf where snapshots are kept."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp_sandbox.hosts.copies import copy_tree, link_tree
from raxx_bcp_sandbox.hosts.shelf import Origin, Shelf
from raxx_bcp_tests.sandbox.hosts.lab import until

ORIGIN = Origin("raxx-tickets", 1000.0)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A small disk."""
    made = tmp_path / "disk"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "file").write_text("as it was")
    (made / "link").symlink_to("deep/file")
    return made


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty one."""
    made = Shelf(tmp_path / "snapshots")
    yield made
    made.close(5)


def test_a_copy_is_whole_and_its_own(disk: Path, tmp_path: Path) -> None:
    os.mkfifo(disk / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(disk / "s"))
        copy_tree(disk, tmp_path / "copy")
    copy = tmp_path / "copy"
    assert sorted(each.name for each in copy.iterdir()) == ["deep", "link"]
    assert (copy / "link").readlink() == Path("deep/file")
    (disk / "deep" / "file").write_text("as it is")
    assert (copy / "deep" / "file").read_text() == "as it was"


def test_what_an_earlier_attempt_left_is_replaced(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.part").mkdir()
    (tmp_path / "copy.part" / "half").write_text("")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "old").write_text("")
    copy_tree(disk, tmp_path / "copy")
    assert not (tmp_path / "copy" / "old").exists()
    assert not (tmp_path / "copy" / "half").exists()
    assert not (tmp_path / "copy.part").exists()


def test_copies_of_copies_share_their_files(disk: Path, tmp_path: Path) -> None:
    link_tree(disk, tmp_path / "copy")
    assert (disk / "deep" / "file").samefile(tmp_path / "copy" / "deep" / "file")


def test_a_promised_copy_is_waited_for(shelf: Shelf, disk: Path) -> None:
    assert not shelf.has("a")
    shelf.promise("a", disk)
    assert shelf.has("a")
    shelf.keep("a", disk)
    with shelf.disk("a") as copy:
        assert (copy / "deep" / "file").read_text() == "as it was"


def test_what_a_kill_cut_off_is_copied_at_the_next_start(shelf: Shelf, disk: Path, tmp_path: Path) -> None:
    shelf.promise("a", disk)
    again = Shelf(tmp_path / "snapshots")
    again.recover()
    with again.disk("a") as copy:
        assert (copy / "deep" / "file").read_text() == "as it was"
    again.close(5)


def test_a_promise_may_be_renounced(shelf: Shelf, disk: Path) -> None:
    shelf.promise("a", disk)
    shelf.renounce("a")
    assert not shelf.has("a")


def test_a_copy_of_a_copy(shelf: Shelf, disk: Path) -> None:
    shelf.promise("a", disk)
    shelf.keep("a", disk)
    shelf.copy("a", "b", ORIGIN)
    shelf.delete("a")
    with shelf.disk("b") as copy:
        assert (copy / "deep" / "file").read_text() == "as it was"
    until(lambda: not shelf.has("a"), "a is left")


def test_a_copy_of_what_has_no_copy_is_a_note_of_where_it_comes_from(shelf: Shelf) -> None:
    shelf.copy("a", "b", ORIGIN)
    shelf.copy("b", "c", Origin("raxx-tickets", 9000.0))
    assert not shelf.has("c")
    assert shelf.origin("c") == ORIGIN
    assert shelf.origin("a") is None


def test_deleting_waits_for_whoever_reads(shelf: Shelf, disk: Path, tmp_path: Path) -> None:
    shelf.promise("a", disk)
    shelf.keep("a", disk)
    shelf.promise("b", disk)
    shelf.keep("b", disk)
    release = shelf.hold("a")
    shelf.keep_only(["b"])
    shelf.copy("b", "c", ORIGIN)
    with shelf.disk("c"):
        assert shelf.has("a"), "all before the copy is done, and a is still held"
    release()
    until(lambda: not shelf.has("a"), "a is left")
    assert shelf.has("b")
