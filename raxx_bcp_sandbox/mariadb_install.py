"""The MariaDB that the sandbox uses: where its programs are, and an empty data directory made by them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp_sandbox import mariadb_packages
from raxx_bcp_sandbox.mariadb_packages import REMEDY
from raxx_bcp_sandbox.processes import PART_VARIABLE

BIN_VARIABLE: Final = "MARIADB_BIN"
DATA: Final = "data"
"""The name of the data directory, below a server's directory."""
SYSTEM: Final = (Path("/usr/sbin"), Path("/usr/local/sbin"))
"""Directories of servers that a user's PATH leaves out."""
_INSTALL_SECONDS: Final = 600
_VERSION: Final = re.compile(r"Ver (\d+(?:\.\d+)+)-MariaDB")


@dataclass(frozen=True)
class MariadbBinaries:
    """The programs of one installation."""

    server: Path
    client: Path
    dump: Path
    install_db: Path
    basedir: Path
    version: str
    """Such as ``10.11.19``."""
    libraries: tuple[Path, ...] = ()
    """Where its shared libraries are, when they are not in the machine's standard directories."""

    @property
    def messages(self) -> Path | None:
        """The directory of error messages by language (``--lc-messages-dir``); None: at the server's default path."""
        found = [self.basedir / "share" / name for name in ("mysql", "mariadb")]
        return next((path for path in found if (path / "english").is_dir()), None)

    @property
    def plugins(self) -> Path | None:
        """The directory of server plugins (``--plugin-dir``); None: at the server's default path."""
        found = [self.basedir / "lib" / name / "plugin" for name in ("mysql", "mariadb")]
        return next((path for path in found if path.is_dir()), None)

    def environment(self) -> dict[str, str]:
        """The whole environment of one of its programs. It has our mark, so that ``sandbox down`` finds a server."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = ":".join(str(path) for path in self.libraries)
        if PART_VARIABLE in os.environ:
            environment[PART_VARIABLE] = os.environ[PART_VARIABLE]
        return environment

    def server_options(self) -> list[str]:
        """The options with which ``mariadbd`` and ``mariadb-install-db`` find their files, and run as root for root."""
        options = [f"--basedir={self.basedir}"]
        if self.messages is not None:
            options.append(f"--lc-messages-dir={self.messages}")
        if self.plugins is not None:
            options.append(f"--plugin-dir={self.plugins}")
        return [*options, "--user=root"] if os.getuid() == 0 else options


def default_cache() -> Path:
    """Where MariaDB is unpacked and its empty data directory is stored: ``raxx-bcp/mariadb`` in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path(os.environ.get("HOME") or "/") / ".cache")
    return Path(home).absolute() / "raxx-bcp" / "mariadb"


def binaries(cache: Path | None = None) -> MariadbBinaries:
    """The MariaDB to use: ``$MARIADB_BIN``, else the one on PATH, else unpacked into ``cache`` (2 s, once).

    Raises ``UsageError`` when none is available.
    """
    named = os.environ.get(BIN_VARIABLE)
    if named:
        found = _installation([Path(named).absolute()])
        if found is None:
            raise UsageError(f"{BIN_VARIABLE} is {named}, and mariadbd or mariadb-dump is not there.", REMEDY)
        return found
    on_path = [Path(part) for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part]
    return _installation([*on_path, *SYSTEM]) or _unpacked(cache or default_cache())


def _installation(directories: list[Path]) -> MariadbBinaries | None:
    """An installation with all programs, beside each other or in the directories that packages use."""
    server = _program("mariadbd", directories)
    if server is None:
        return None
    basedir = server.resolve().parent.parent
    # Its own programs first: a directory on PATH may hold a wrapper of the same name.
    around = [*(basedir / name for name in ("bin", "sbin", "scripts")), *directories]
    client, dump = _program("mariadb", around), _program("mariadb-dump", around)
    install_db = _program("mariadb-install-db", around)
    if client is None or dump is None or install_db is None:
        return None
    unpacked = basedir.name == "usr" and basedir.parent != Path("/")
    libraries = mariadb_packages.libraries(basedir.parent) if unpacked else ()
    return MariadbBinaries(server, client, dump, install_db, basedir, _version(server, libraries), libraries)


def _program(name: str, directories: list[Path]) -> Path | None:
    return next((path / name for path in directories if os.access(path / name, os.X_OK)), None)


def _unpacked(cache: Path) -> MariadbBinaries:
    root = mariadb_packages.unpacked(cache)
    libraries = mariadb_packages.libraries(root)
    usr = root / "usr"
    server, bin_ = usr / "sbin" / "mariadbd", usr / "bin"
    tools = (bin_ / "mariadb", bin_ / "mariadb-dump", bin_ / "mariadb-install-db")
    return MariadbBinaries(server, *tools, usr, _version(server, libraries), libraries)


def _version(server: Path, libraries: tuple[Path, ...]) -> str:
    environment = {"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(str(path) for path in libraries)}
    try:
        said = subprocess.run(
            [server, "--no-defaults", "--version"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{server} cannot be run ({type(error).__name__}).", REMEDY) from error
    found = _VERSION.search(said)
    if found is None:
        raise UsageError(f"{server} does not say that it is a MariaDB.", REMEDY)
    return found.group(1)


def prepare(directory: Path, *, binaries: MariadbBinaries, cache: Path | None = None) -> None:
    """Make an empty data directory in ``directory`` if there is none, from one that is stored in ``cache``."""
    data = directory / DATA
    if data.is_dir():
        return
    template = _template(binaries, cache or default_cache())
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = directory / f"{DATA}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(template, fresh)
    fresh.rename(data)


def _template(programs: MariadbBinaries, cache: Path) -> Path:
    """An empty data directory made by this very server (0.6–5 s, once)."""
    maker = hashlib.sha256(str(programs.server).encode()).hexdigest()[:8]
    template = cache / f"empty-{programs.version}-{maker}"
    with mariadb_packages.locked(cache):
        if not template.is_dir():
            fresh = cache / f"{template.name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            _install_db(programs, fresh)
            fresh.rename(template)
    return template


def _install_db(programs: MariadbBinaries, data: Path) -> None:
    options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=16M"]
    # Its own temporary folder: in a shared one it would delete the temporary tables of running servers.
    with tempfile.TemporaryDirectory(prefix="raxx-my-install-") as temporary:
        done = subprocess.run(
            [programs.install_db, "--no-defaults", *programs.server_options(), f"--datadir={data}", *options],
            env={**programs.environment(), "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise PermanentError(
            f"mariadb-install-db of MariaDB {programs.version} failed in {data.parent} (exit {done.returncode}).",
            "Check that the disk has room, then try again; MARIADB_BIN names another installation.",
        )
