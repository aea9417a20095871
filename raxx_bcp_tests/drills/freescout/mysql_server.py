"""A real MySQL for these tests, unpacked from Debian's packages without root and without installing anything.

Debian 12 has no MySQL, and no package of PyPI or npm carries ``mysqld``. Debian's unstable suite does, with libraries
that a stable machine lacks: so its own C library and loader come along, and everything runs through that loader. It is
the release that unstable has (9.7 in 2026); MySQL 8 itself is in no registry that these tests reach.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raxx_bcp_sandbox.mariadb import default_cache, greets
from raxx_bcp_sandbox.mariadb_packages import locked

PACKAGES = ("mysql-server-core", "mysql-client-core")
SUITE = "sid"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_NOT_NEEDED = ("perl", "libperl", "debconf", "adduser", "passwd")
_SECONDS = 300


@dataclass(frozen=True)
class Programs:
    """MySQL's programs below ``root``."""

    root: Path

    def argv(self, name: str, *arguments: object) -> list[str]:
        """The command line of ``sbin/mysqld``, ``bin/mysql`` or ``bin/mysqldump``."""
        loader = next(self.root.glob("usr/lib*/ld-linux-*.so.*"))
        libraries = sorted({str(path.parent) for path in self.root.glob("usr/lib/*/libc.so.6")})
        path = self.root / "usr" / name
        return [str(loader), "--library-path", ":".join(libraries), str(path), *map(str, arguments)]


@dataclass
class MysqlServer:
    """A running server on ``socket``, whose only account is whoever runs the tests, known by the socket."""

    programs: Programs
    socket: Path
    pid: int
    version: str = ""

    def client_argv(self, name: str = "mysql", *arguments: str) -> list[str]:
        return self.programs.argv(f"bin/{name}", "--no-defaults", f"--socket={self.socket}", *arguments)

    def sql(self, script: str | bytes, database: str = "") -> list[list[str]]:
        argv = self.client_argv("mysql", "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4")
        given = script.encode() if isinstance(script, str) else script
        done = subprocess.run([*argv, *filter(None, [database])], input=given, capture_output=True, check=True)
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def load(self, chunks: Iterable[bytes], database: str) -> None:
        self.sql(b"".join(chunks), database)

    def write_client(self, path: Path) -> None:
        """The plain client of a host, whose option files are not this machine's."""
        command = shlex.join(self.programs.argv("bin/mysql"))
        path.write_text(f'#!/bin/sh\nexec {command} "$@" --socket={self.socket}\n')
        path.chmod(0o755)


def programs(cache: Path | None = None) -> Programs:
    """Unpacked into the user's cache once (63 MB to fetch, 20 s). Skips where Debian's packages cannot be had."""
    folder = (cache or default_cache()).parent / "mysql-of-tests"
    with locked(folder):
        root = folder / "root"
        if not root.is_dir():
            _unpack(folder, root)
    return Programs(root)


def _unpack(folder: Path, root: Path) -> None:
    if shutil.which("apt-get") is None or not _KEYRING.is_file():
        pytest.skip("no MySQL: it is unpacked from Debian's packages, and this is no Debian")
    work = Path(tempfile.mkdtemp(prefix="unpacking-", dir=folder))
    try:
        _fetch(work)
        fresh = work / "root"
        for package in sorted((work / "cache" / "archives").glob("*.deb")):
            if not package.name.startswith(_NOT_NEEDED):
                subprocess.run(["dpkg", "-x", package, fresh], check=True, timeout=_SECONDS)
        fresh.rename(root)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetch(work: Path) -> None:
    """All that MySQL needs on an empty machine, by apt itself with package lists of its own."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {SUITE} main\n")
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": work / "state",
        "Dir::State::lists": work / "state" / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    download = ["install", "-y", "--no-install-recommends", "--download-only", *PACKAGES]
    for arguments in (["update"], download):
        done = subprocess.run(["apt-get", "-q", *options, *arguments], capture_output=True, text=True, timeout=_SECONDS)
        if done.returncode != 0:
            pytest.skip(f"no MySQL: apt-get {arguments[0]} for Debian's {SUITE} failed; are the packages reachable?")


def _mirror() -> str:
    """Where this machine gets Debian from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    mirrors = [one for one in found if one.rstrip("/").endswith("/debian")]
    if not mirrors:
        pytest.skip("no MySQL: this machine's apt-get knows no mirror of Debian (apt-get update)")
    return mirrors[0]


@contextlib.contextmanager
def mysql_server(folder: Path) -> Iterator[MysqlServer]:
    """A new one in ``folder``, stopped afterwards. 5 to 20 s to make."""
    made = programs()
    folder.mkdir(mode=0o700, parents=True)
    usr = made.root / "usr"
    options = (
        f"--datadir={folder / 'data'}",
        f"--basedir={usr}",
        f"--lc-messages-dir={usr / 'share' / 'mysql'}",
        f"--plugin-dir={usr / 'lib' / 'mysql' / 'plugin'}",
        "--secure-file-priv=NULL",
        "--innodb-redo-log-capacity=64M",
        "--innodb-doublewrite=OFF",
        "--disable-log-bin",
        *(["--user=root"] if os.getuid() == 0 else []),
    )
    log = folder / "log"
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    with log.open("ab") as file:
        argv = made.argv("sbin/mysqld", "--no-defaults", "--initialize-insecure", *options)
        subprocess.run(argv, env=environment, stdout=file, stderr=file, check=True, timeout=_SECONDS)
        socket = folder / "s"
        running = (f"--socket={socket}", f"--pid-file={folder / 'pid'}", "--skip-networking", "--mysqlx=OFF")
        argv = made.argv("sbin/mysqld", "--no-defaults", *options, *running, "--plugin-load-add=auth_socket.so")
        process = subprocess.Popen(argv, env=environment, stdout=file, stderr=file)
    try:
        for _attempt in range(600):
            if greets(socket):
                break
            assert process.poll() is None, "MySQL ended"
            time.sleep(0.1)  # a real process is being waited for
        server = MysqlServer(made, socket, process.pid)
        _known_by_the_socket(server)
        server.version = server.sql("SELECT VERSION();")[0][0]
        yield server
    finally:
        process.terminate()
        process.wait()


def _known_by_the_socket(server: MysqlServer) -> None:
    """As Ubuntu sets root up: no password, but whoever is the system's user of that name."""
    name = pwd.getpwuid(os.getuid()).pw_name
    account = f"'{name}'@'localhost'"
    verb = "ALTER" if name == "root" else "CREATE"
    script = f"{verb} USER {account} IDENTIFIED WITH auth_socket; GRANT ALL ON *.* TO {account} WITH GRANT OPTION;"
    argv = server.client_argv("mysql", "--user=root")
    subprocess.run(argv, input=script.encode(), capture_output=True, check=True)
