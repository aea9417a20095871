"""MariaDB unpacked from the distribution's own packages, without root and without installing anything.

No package of PyPI or npm carries ``mariadbd``. On Debian and its derivatives ``apt-get download`` fetches the packages
and ``dpkg -x`` unpacks them into our own directory, once for all sandboxes of a user. Libraries that the machine
lacks (a slim image has neither ``liburing`` nor ``libaio``) are fetched in the same way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from raxx_bcp.errors import UsageError

REMEDY: Final = (
    "Install MariaDB's server and client (Debian, Ubuntu: apt-get install mariadb-server mariadb-client; "
    "macOS: brew install mariadb), or point MARIADB_BIN at the bin directory of an installation."
)
_PACKAGES: Final = (
    "mariadb-server-core",
    "mariadb-client-core",
    "mariadb-client",  # mariadb-dump
    "mariadb-common",
    "libmariadb3",
)
_PROGRAMS: Final = ("usr/sbin/mariadbd", "usr/bin/mariadb", "usr/bin/mariadb-dump")
_PACKAGE_OF: Final = {
    "libaio.so.1": "libaio1",
    "libaio.so.1t64": "libaio1t64",
    "libbsd.so.0": "libbsd0",
    "libedit.so.2": "libedit2",
    "libmariadb.so.3": "libmariadb3",
    "libmd.so.0": "libmd0",
    "libncurses.so.6": "libncurses6",
    "libnuma.so.1": "libnuma1",
    "libpcre2-8.so.0": "libpcre2-8-0",
    "libsystemd.so.0": "libsystemd0",
    "libtinfo.so.6": "libtinfo6",
    "liburing.so.2": "liburing2",
}
_MISSING: Final = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)
_ROUNDS: Final = 3
_APT_SECONDS: Final = 300


def unpacked(cache: Path) -> Path:
    """The directory that holds ``usr`` of the unpacked packages, below ``cache``; made on the first call (2 s).

    Safe for several processes at once: one unpacks, the others wait for it. Raises ``UsageError`` when the packages are
    not available: no apt, no network, or the wrong kind of machine.
    """
    root = cache / "packages"
    with locked(cache):
        if not root.is_dir():
            _unpack(cache, root)
    return root


def libraries(root: Path) -> tuple[Path, ...]:
    """The directories of shared libraries below an unpacked ``root``."""
    found = {file.parent for usr in ("usr/lib", "lib") for file in (root / usr).glob("*/*.so*")}
    return tuple(sorted(found))


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Hold the lock of ``cache``, which is created when it is missing.

    Raises ``UsageError`` when it cannot be created.
    """
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(cache / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UsageError(
            f"MariaDB's cache {cache} cannot be written to ({error.strerror}).",
            "Point XDG_CACHE_HOME at a directory that you may write to, on a disk with room.",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unpack(cache: Path, root: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise UsageError("MariaDB was not found, and this machine has no apt-get to unpack it with.", REMEDY)
    work = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
    try:
        fresh, apt = work / "root", _Apt(work)
        apt.unpack(_PACKAGES, fresh)
        for _ in range(_ROUNDS):
            missing = _missing_libraries(fresh)
            if not missing:
                break
            apt.unpack([_package_of(name) for name in missing], fresh)
        else:
            raise UsageError(f"The libraries {', '.join(missing)} of MariaDB's packages cannot be had.", REMEDY)
        fresh.rename(root)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Apt:
    """Downloads packages into ``work`` and unpacks them; with its own package lists when the machine's lack them."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._options: list[str] = []

    def unpack(self, packages: Sequence[str], root: Path) -> None:
        """Download ``packages`` and unpack them into ``root``."""
        debs = self._work / "debs"
        debs.mkdir()
        if not self._run(["download", *packages], debs) and not self._own_lists(packages, debs):
            raise UsageError("MariaDB was not found, and its packages could not be downloaded with apt-get.", REMEDY)
        for deb in sorted(debs.glob("*.deb")):
            if not _quietly(["dpkg", "-x", str(deb), str(root)], debs):
                raise UsageError(f"MariaDB's package {deb.name} could not be unpacked into {root}.", REMEDY)
        shutil.rmtree(debs)

    def _own_lists(self, packages: Sequence[str], debs: Path) -> bool:
        """Try again with package lists that we fetch ourselves, which needs no root either."""
        state, kept = self._work / "state", self._work / "cache"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (kept / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        settings = {
            "Dir::State": str(state),
            "Dir::State::lists": str(state / "lists"),
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": str(kept),
            "APT::Sandbox::User": "",
        }
        self._options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        return self._run(["update"], debs) and self._run(["download", *packages], debs)

    def _run(self, arguments: Sequence[str], directory: Path) -> bool:
        return _quietly(["apt-get", "-q", *self._options, *arguments], directory)


def _quietly(argv: Sequence[str], directory: Path) -> bool:
    try:
        done = subprocess.run(
            argv, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, timeout=_APT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _missing_libraries(root: Path) -> list[str]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    environment["LD_LIBRARY_PATH"] = ":".join(str(path) for path in libraries(root))
    missing: set[str] = set()
    for name in _PROGRAMS:
        said = subprocess.run(
            ["ldd", root / name], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if said.returncode != 0:
            raise UsageError(f"MariaDB's packages hold no {name} that this machine can run.", REMEDY)
        missing.update(_MISSING.findall(said.stdout))
    return sorted(missing)


def _package_of(library: str) -> str:
    package = _PACKAGE_OF.get(library)
    if package is None:
        raise UsageError(f"MariaDB's packages need {library}, which this machine does not have.", REMEDY)
    return package
