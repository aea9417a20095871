"""What the sandbox stores on disk: processes, ports, credentials and faults; and the lock for changes to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from raxx_bcp.errors import PermanentError, TransientError, UsageError
from raxx_bcp_sandbox.processes import Child
from raxx_bcp_sandbox.waiting import Clock, Say

DIRECTORY_VARIABLE = "RAXX_BCP_SANDBOX_DIR"
MARKER = ".raxx-bcp-sandbox"
_MARKER_TEXT = "This directory belongs to `raxx-bcp sandbox`; `raxx-bcp sandbox down --purge` deletes it.\n"
_STATE, _LOCK = "state.json", "lock"
_LOCK_SECONDS = 120.0


class PartState(msgspec.Struct):
    """The stored state of one part."""

    ports: dict[str, int] = {}
    pid: int | None = None
    started: float = 0.0
    log_from: int = 0
    """The size of its log in bytes before its last start."""

    @property
    def child(self) -> Child | None:
        """The process that was started last, if it was not stopped on purpose."""
        return None if self.pid is None else Child(self.pid, self.started)


class State(msgspec.Struct):
    """The whole stored state. Its repr leaves the credentials out."""

    parts: dict[str, PartState] = {}
    credentials: dict[str, str] = {}
    faults: list[str] = []
    up: bool = False

    def __repr__(self) -> str:
        return f"State(up={self.up}, parts={self.parts}, faults={self.faults})"


def default_directory() -> Path:
    """``$RAXX_BCP_SANDBOX_DIR``, else ``.sandbox`` where the command is run."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or ".sandbox").absolute()


def is_sandbox(directory: Path) -> bool:
    """Did we make ``directory``? Only then do we write to it or delete it."""
    return (directory / MARKER).is_file()


def open_directory(directory: Path) -> None:
    """Make ``directory`` ours, readable by its owner only; refuse one that holds something else."""
    try:
        # In this order: another `up` may be making it right now, and writes its marker before anything else.
        if directory.exists() and any(directory.iterdir()) and not is_sandbox(directory):
            raise UsageError(
                f"{directory} is not empty and was not made by raxx-bcp sandbox.",
                f"Point {DIRECTORY_VARIABLE} at a directory that is empty or does not exist.",
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        (directory / MARKER).write_text(_MARKER_TEXT)
        for name in ("logs", "tmp"):
            (directory / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The sandbox directory {directory} cannot be used ({error.strerror}).",
            f"Point {DIRECTORY_VARIABLE} at a directory that you may write to, on a disk with room.",
        ) from error


def load(directory: Path) -> State | None:
    """The stored state; None when there is none or it cannot be read (truncated, edited, ...)."""
    try:
        return msgspec.json.decode((directory / _STATE).read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def was_written(directory: Path) -> bool:
    """Is there a state.json, readable or not?"""
    return (directory / _STATE).exists()


def save(directory: Path, state: State) -> None:
    """Replace state.json in one step, on disk before this returns; a crash leaves the old or the new one."""
    content = msgspec.json.format(msgspec.json.encode(state), indent=2)
    write_private(directory / _STATE, content)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, in one step: temporary file, fsync, rename, fsync."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # always 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise PermanentError(
            f"{path} could not be written ({error.strerror}).",
            "Check that the disk has room and that the directory is yours, then try again.",
        ) from error


@contextlib.contextmanager
def locked(directory: Path, clock: Clock, say: Say) -> Iterator[None]:
    """Hold the sandbox's lock: two commands that change it never run at once."""
    descriptors: list[int] = []

    def acquired() -> bool:
        try:
            descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise TransientError(
                f"The sandbox directory {directory} cannot be locked ({error.strerror}).",
                "If another command has just deleted it, run raxx-bcp sandbox up again.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            current = (directory / _LOCK).stat()
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return False
        if current.st_ino != os.fstat(descriptor).st_ino:  # `down --purge` removed the file meanwhile
            os.close(descriptor)
            return False
        descriptors.append(descriptor)
        return True

    def waiting(seconds: float) -> None:
        say(f"Waiting for another raxx-bcp sandbox command to finish ({seconds:.0f} s) …")

    try:
        if not clock.until(acquired, _LOCK_SECONDS, waiting=waiting):
            raise TransientError(
                f"Another raxx-bcp sandbox command has held {directory} for {_LOCK_SECONDS:.0f} seconds.",
                "Wait for it or stop it, then try again.",
            )
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def purge(directory: Path) -> None:
    """Delete the sandbox's directory; refuse one that is not marked as ours."""
    if not is_sandbox(directory):
        raise UsageError(
            f"{directory} is not a sandbox directory: it has no {MARKER} file. Nothing was deleted.",
            f"Check {DIRECTORY_VARIABLE}; delete the directory yourself if it is really no longer needed.",
        )
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        raise UsageError(
            f"{directory} could not be deleted completely.",
            "Check who owns the files that are left there, then delete them yourself.",
        )
