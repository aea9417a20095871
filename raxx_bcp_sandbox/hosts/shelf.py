"""The copies of disks that snapshots are. One from before the sandbox gets its copy when needed.

``<id>/disk`` is a copy. ``<id>/origin.json`` has the instance and the time of a snapshot without a copy, where its
record does not have them. ``<id>/todo`` has what to copy, from the moment that a snapshot is taken until its copy is
complete. After a kill -9 the copy is made again.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec

from raxx_bcp_sandbox.hosts.copies import copy_tree, link_tree
from raxx_bcp_sandbox.hosts.loop import Worker


class Origin(msgspec.Struct, frozen=True):
    """The instance and the time (epoch seconds) of a snapshot."""

    instance: str
    taken_at: float


class Shelf:
    """All copies below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._worker = Worker("snapshots")
        self._changed = threading.Condition()
        self._holds: Counter[str] = Counter()
        self._doomed: set[str] = set()

    def recover(self) -> None:
        """Make again, in the background, the copies that a kill -9 has interrupted."""
        for todo in self._directory.glob("*/todo"):
            source = Path(todo.read_text())
            self._worker.do(lambda todo=todo, source=source: self._finish(todo.parent.name, source, copy_tree))  # type: ignore[misc]

    def promise(self, snapshot_id: str, source: Path) -> None:
        """Promise a copy of ``source`` under this id: from now on, callers that need it wait."""
        place = self._directory / snapshot_id
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / "todo").write_text(str(source))

    def renounce(self, snapshot_id: str) -> None:
        """Withdraw a promise whose copy cannot be made: the snapshot has none."""
        with self._changed:
            (self._directory / snapshot_id / "todo").unlink(missing_ok=True)
            self._changed.notify_all()

    def keep(self, snapshot_id: str, source: Path) -> None:
        """Make a promised copy, now."""
        self._finish(snapshot_id, source, copy_tree)

    def copy(self, source_id: str, copy_id: str, origin: Origin) -> None:
        """Copy a copy, in the background; for a snapshot without one, write a note of its origin."""
        if not self.has(source_id):
            place = self._directory / copy_id
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            (place / "origin.json").write_bytes(msgspec.json.encode(self.origin(source_id) or origin))
            return
        source = self._directory / source_id / "disk"
        self.promise(copy_id, source)
        self._hold(source_id)

        def make() -> None:
            try:
                self._wait(source_id)
                self._finish(copy_id, source, link_tree)
            finally:
                self._release(source_id)

        self._worker.do(make)

    def is_promised(self, snapshot_id: str) -> bool:
        """Is the copy still to be made?"""
        return (self._directory / snapshot_id / "todo").exists()

    def has(self, snapshot_id: str) -> bool:
        """Is there a copy, or will there be one?"""
        place = self._directory / snapshot_id
        return self.is_promised(snapshot_id) or (place / "disk").exists()

    def origin(self, snapshot_id: str) -> Origin | None:
        """The note of a snapshot without a copy."""
        try:
            return msgspec.json.decode((self._directory / snapshot_id / "origin.json").read_bytes(), type=Origin)
        except (OSError, msgspec.DecodeError):
            return None

    def hold(self, snapshot_id: str) -> Callable[[], None]:
        """Keep the copy, despite deletes, until the caller calls the returned function."""
        self._hold(snapshot_id)
        return lambda: self._release(snapshot_id)

    @contextlib.contextmanager
    def disk(self, snapshot_id: str) -> Iterator[Path]:
        """The copy, once it is complete."""
        self._wait(snapshot_id)
        yield self._directory / snapshot_id / "disk"

    def delete(self, snapshot_id: str) -> None:
        """Delete a copy, as soon as nobody reads it."""
        with self._changed:
            self._doomed.add(snapshot_id)
        self._worker.do(lambda: self._delete(snapshot_id))

    def keep_only(self, ids: Collection[str]) -> None:
        """Delete all other copies."""
        for place in self._directory.glob("*"):
            if place.name not in ids:
                self.delete(place.name)

    def close(self, seconds: float) -> None:
        """Wait for the started copies, for at most ``seconds``."""
        self._worker.close(seconds)

    # -- inside ------------------------------------------------------------------------------------------

    def _finish(self, snapshot_id: str, source: Path, copy: Callable[[Path, Path], None]) -> None:
        place = self._directory / snapshot_id
        with self._changed:
            doomed = snapshot_id in self._doomed
        if not doomed:
            copy(source, place / "disk")
        with self._changed:
            (place / "todo").unlink(missing_ok=True)
            self._changed.notify_all()

    def _wait(self, snapshot_id: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self.is_promised(snapshot_id))

    def _hold(self, snapshot_id: str) -> None:
        with self._changed:
            self._holds[snapshot_id] += 1

    def _release(self, snapshot_id: str) -> None:
        with self._changed:
            self._holds[snapshot_id] -= 1
            again = self._holds[snapshot_id] <= 0 and snapshot_id in self._doomed
        if again:
            self._worker.do(lambda: self._delete(snapshot_id))

    def _delete(self, snapshot_id: str) -> None:
        with self._changed:
            if self._holds[snapshot_id] > 0:
                return
        shutil.rmtree(self._directory / snapshot_id, ignore_errors=True)
