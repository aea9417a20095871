#!/usr/bin/env python3
"""Backs up a FreeScout on its own host: database, ``.env``, attachments, modules, and a manifest that proves them.

One file, Python 3.9 and its standard library only, so that a careful person can read what runs as root on the help
desk. Every member is encrypted to the operator's public key before it leaves the host; nothing in clear is written to
a disk. The database dump and the counts of the manifest see the same moment: both begin their transaction under one
short read lock. The manifest is stored last: a set without it is not there. The page: deploy/freescout-backup/.

Usage: freescout-backup [--config FILE] [--json] run|check|ended
Exit codes: 0 stored (or well), 1 failed, 2 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import contextlib
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, Final

UTC: Final = timezone.utc  # noqa: UP017 - Python 3.9 has no datetime.UTC
CONFIG: Final = Path("/etc/freescout-backup.conf")
STATE: Final = Path("/var/lib/freescout-backup")
KIND: Final = "raxx-bcp/freescout-dump"
DATABASE_NAME: Final = "database.sql.gz"
ENV_NAME: Final = "env"
ATTACHMENTS_NAME: Final = "attachments.tar.gz"
ARCHIVES: Final = {ATTACHMENTS_NAME: "storage/app/attachment", "modules.tar.gz": "Modules"}
MANIFEST: Final = "manifest.json"
ENCRYPTED: Final = ".gpg"
TABLES: Final = (
    *("activity_logs", "attachments", "conversation_folder", "conversations", "customer_channel", "customers"),
    *("emails", "failed_jobs", "folders", "followers", "jobs", "ltm_translations", "mailbox_user", "mailboxes"),
    *("migrations", "modules", "notifications", "options", "password_resets", "polycast_events", "send_logs"),
    *("subscriptions", "threads", "users"),
)
"""All 24 of FreeScout 1.8.145 and 1.8.235, as installed."""
FINGERPRINT: Final = (
    "COUNT(*), COALESCE(MAX(id), 0), COALESCE(SUM(CRC32(CONCAT_WS('|', id, conversation_id, type, state, "
    "COALESCE(body, ''), COALESCE(message_id, ''), UNIX_TIMESTAMP(created_at)))), 0)"
)
EMOJI_PATTERN: Final = r"[\\x{10000}-\\x{10FFFF}]"
DUMP_OPTIONS: Final = (
    *("--single-transaction", "--quick", "--skip-lock-tables", "--hex-blob", "--no-tablespaces", "--triggers"),
    *("--default-character-set=utf8mb4", "--max-allowed-packet=1G"),
    *("--loose-set-gtid-purged=OFF", "--loose-column-statistics=0"),  # MySQL 8 only
)
TRAILER: Final = b"-- Dump completed"
KEY_WARNING_DAYS: Final = 60
_SNAPSHOT_SECONDS: Final = 120.0
"""Until the dump must have begun to print tables; the read lock is held no longer."""
_NO_RELOAD: Final = (1227, 1044, 1045)
"""What MariaDB and MySQL answer to somebody who may not FLUSH TABLES."""
_BLOCK_BYTES: Final = 1 << 20
_GPG_PATH: Final = 60
"""gpg looks for its agent's socket in its home, and a socket's path has room for some 100 characters."""
_GPG_NEEDS_BYTES: Final = 64 * 1024
"""A keyring of one key, its trust database and locks take about 20 KB (measured, GnuPG 2.2.40)."""
_TOLD_BY_ITSELF: Final = ("", "success", "exit-code")
"""systemd's results of a run that ended by its own will (systemd.exec(5), $SERVICE_RESULT)."""
_TRANSIENT: Final = (429, 500, 502, 503, 504)


class BackupError(Exception):
    """What failed and on what, and what to do. ``code`` is the program's exit code."""

    def __init__(self, what: str, remedy: str, code: int = 1) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.code = code


def utc_now() -> datetime:
    """The clock of a real run."""
    return datetime.now(UTC)


def say(text: str) -> None:
    """Progress and errors, for the journal."""
    sys.stderr.write(f"freescout-backup: {text}\n")
    sys.stderr.flush()


# --- configuration ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Login:
    """How the database is reached. Without a password, its Unix socket tells who asks."""

    name: str
    user: str
    password: str = field(default="", repr=False)
    host: str = ""
    port: int = 3306
    socket: str = ""
    client: str = ""
    dump: str = ""
    lock_wait_seconds: int = 60
    """How long a table that somebody holds is waited for."""


@dataclass(frozen=True)
class Storage:
    """Where a set goes. ``endpoint`` is empty for AWS itself."""

    bucket: str
    region: str
    prefix: str
    endpoint: str = ""
    part_bytes: int = 16 << 20
    tries: int = 5
    """Of one request, where what went wrong may pass: 2, 4, 8 and 16 seconds apart."""


@dataclass(frozen=True)
class Credentials:
    """Of a role that may only put below the prefix."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Slack:
    """Who is told of a failed night. Without a token, nobody but the journal."""

    channel: str = ""
    url: str = "https://slack.com/api"
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Config:
    """Everything that a run needs."""

    site: Path
    login: Login
    storage: Storage
    credentials: Credentials
    public_key: bytes = field(repr=False)
    fingerprint: str = ""
    slack: Slack = Slack()
    full_every_days: int = 1
    """How often all attachments are stored. On the nights between, only those that came since."""
    state: Path = STATE
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    say: Callable[[str], None] = say
    """Where progress goes."""


def read_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Raises ``BackupError`` (code 2) for a file that is missing, or a line that is missing or wrong."""
    parser = _parsed(path)
    site = Path(_wanted(parser, path, "site", "directory"))
    key_file = Path(_wanted(parser, path, "encryption", "public_key_file"))
    try:
        public_key = key_file.read_bytes()
    except OSError as error:
        raise BackupError(f"{key_file} cannot be read ({error.strerror}).", _CONFIG_REMEDY, 2) from None
    fingerprint = re.sub(r"\s", "", _wanted(parser, path, "encryption", "fingerprint")).upper()
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", fingerprint):
        raise BackupError(f"{path}: encryption.fingerprint is no full fingerprint.", _CONFIG_REMEDY, 2)
    return Config(
        site=site,
        login=_login(parser, path, site),
        storage=Storage(
            bucket=_wanted(parser, path, "storage", "bucket"),
            region=_wanted(parser, path, "storage", "region"),
            prefix=parser.get("storage", "prefix", fallback="freescout-dumps/"),
            endpoint=environment.get("AWS_ENDPOINT_URL_S3", "") or parser.get("storage", "endpoint", fallback=""),
            tries=_number(parser, path, ("storage", "tries"), Storage.tries, 9),
        ),
        credentials=_credentials(environment),
        public_key=public_key,
        fingerprint=fingerprint,
        slack=slack_of(path, environment),
        full_every_days=_number(parser, path, ("attachments", "full_every_days"), 1, 31),
        state=Path(environment.get("STATE_DIRECTORY", str(STATE))),
        environment=environment,
    )


def slack_of(path: Path, environment: Mapping[str, str]) -> Slack:
    """Who is told, also where the rest of the file is wrong. Raises ``BackupError`` (code 2) for one without lines."""
    parser = _parsed(path)
    return Slack(
        channel=parser.get("slack", "channel", fallback=""),
        url=environment.get("SLACK_API_URL", "") or parser.get("slack", "url", fallback="") or Slack.url,
        token=_credential(environment, "slack-token", "SLACK_BOT_TOKEN"),
    )


def _parsed(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, configparser.Error) as error:
        raise BackupError(f"{path} cannot be read ({type(error).__name__}).", _CONFIG_REMEDY, 2) from None
    return parser


_CONFIG_REMEDY: Final = "deploy/freescout-backup/ has the file as it must be; freescout-backup check looks at it."


def _wanted(parser: configparser.ConfigParser, path: Path, section: str, name: str) -> str:
    value = parser.get(section, name, fallback="").strip()
    if not value:
        raise BackupError(f"{path} has no {section}.{name}.", _CONFIG_REMEDY, 2)
    return value


def _number(parser: configparser.ConfigParser, path: Path, name: tuple[str, str], default: int, most: int) -> int:
    given = parser.get(*name, fallback=str(default)).strip()
    if not re.fullmatch(r"\d{1,4}", given) or not 1 <= int(given) <= most:
        raise BackupError(f"{path}: {'.'.join(name)} is no number from 1 to {most}.", _CONFIG_REMEDY, 2)
    return int(given)


def _login(parser: configparser.ConfigParser, path: Path, site: Path) -> Login:
    """From ``[database]``, and what that leaves out from the site's ``.env``."""
    own = dict(parser["database"]) if parser.has_section("database") else {}
    env = read_env(site)
    password = "" if "user" in own else env.get("DB_PASSWORD", "")
    return Login(
        name=own.get("name") or env.get("DB_DATABASE") or "freescout",
        user=own.get("user") or env.get("DB_USERNAME") or "root",
        password=password,
        host="" if own.get("socket") else env.get("DB_HOST", ""),
        port=int(own.get("port") or env.get("DB_PORT") or 3306),
        socket=own.get("socket", ""),
        client=own.get("client_program", ""),
        dump=own.get("dump_program", ""),
        lock_wait_seconds=_number(parser, path, ("database", "lock_wait_seconds"), Login.lock_wait_seconds, 600),
    )


def read_env(site: Path) -> dict[str, str]:
    """The site's ``.env``, unquoted. Raises ``BackupError`` where there is none: a set without it is no FreeScout."""
    try:
        text = (site / ".env").read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BackupError(
            f"{site}/.env cannot be read ({type(error).__name__}).", "Set site.directory to FreeScout's own folder.", 2
        ) from None
    lines = re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE)
    return {name: value.strip().strip("\"'") for name, value in lines}


def _credential(environment: Mapping[str, str], name: str, variable: str) -> str:
    """systemd's ``LoadCredential=``, else a variable."""
    directory = environment.get("CREDENTIALS_DIRECTORY")
    if directory:
        with contextlib.suppress(OSError, UnicodeError):
            return (Path(directory) / name).read_text(encoding="utf-8").strip()
    return environment.get(variable, "")


def _credentials(environment: Mapping[str, str]) -> Credentials:
    access = _credential(environment, "aws-access-key-id", "AWS_ACCESS_KEY_ID")
    secret = _credential(environment, "aws-secret-access-key", "AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        raise BackupError("There are no AWS credentials.", _CONFIG_REMEDY, 2)
    return Credentials(access, secret, _credential(environment, "aws-session-token", "AWS_SESSION_TOKEN"))


# --- the database: one moment for the dump and for the counts -----------------------------------------------------


class Session:
    """One connection, held by the client program: statements in, rows out. Knows errors by their number only."""

    def __init__(self, config: Config) -> None:
        self._ended = False
        argv = client_argv(config, "--batch", "--raw", "--skip-column-names", "--unbuffered", config.login.name)
        self._process = start(config, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, *statements: str) -> list[list[str]]:
        """The rows of all ``statements``. Raises ``SqlError``; the session is over then."""
        stdin, stdout = _pipes(self._process)
        mark = "raxx-end-of-answer"
        with contextlib.suppress(BrokenPipeError):
            stdin.write("".join(f"{one};\n" for one in (*statements, f"SELECT '{mark}'")).encode())
            stdin.flush()
        rows: list[list[str]] = []
        for line in stdout:
            row = line.decode("utf-8", "replace").rstrip("\n").split("\t")
            if row == [mark]:
                return rows
            rows.append(row)
        error = self._process.stderr.read().decode("utf-8", "replace") if self._process.stderr else ""
        found = re.search(r"ERROR (\d+)", error)
        raise SqlError(int(found.group(1)) if found else 0)


class SqlError(BackupError):
    """The database refused a statement; ``number`` is its own, and no text of it is kept: that can quote a row."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"The database refused a statement (error {number or 'unknown'}).",
            "Look the number up in MariaDB's error list; freescout-backup check logs in and tells more.",
        )
        self.number = number


@dataclass(frozen=True)
class Moment:
    """A dump on its way and a session that sees what it sees."""

    dump: subprocess.Popen[bytes]
    begun: bytes
    """What the dump has printed already."""
    reader: Session
    consistency: str


@contextlib.contextmanager
def one_moment(config: Config) -> Iterator[Moment]:
    """Start the dump and the counting session under one read lock, released as soon as both have their snapshot.

    ``mariadb-dump --single-transaction`` has its snapshot before it prints the first table. Where a table is of an
    engine without transactions, the lock is held until the dump is done. Raises ``BackupError``.
    """
    with contextlib.ExitStack() as stack:
        holder, reader = stack.enter_context(_holder(config)), stack.enter_context(Session(config))
        lasting = _without_transactions(reader, config.login.name)
        began = time.monotonic()
        argv = client_argv(config, *DUMP_OPTIONS, config.login.name, program="dump")
        dump = start(config, argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        stack.callback(_end, dump)
        begun = _until_first_table(dump)
        reader.ask(
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"
        )
        if lasting:
            consistency = f"all tables locked until the dump was done ({lasting} is not InnoDB)"
        else:
            holder.ask("UNLOCK TABLES")
            consistency = f"one snapshot, begun under a read lock of {time.monotonic() - began:.2f} s"
        yield Moment(dump, begun, reader, consistency)


@contextlib.contextmanager
def _holder(config: Config) -> Iterator[Session]:
    """A session that holds every write back: of the whole server, or where it may not do that, of this database."""
    seconds = config.login.lock_wait_seconds
    wait = f"SET SESSION lock_wait_timeout = {seconds}"
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(Session(config))
        try:
            session.ask(wait, "FLUSH TABLES WITH READ LOCK")
        except SqlError as error:
            if error.number not in _NO_RELOAD:
                raise _lock_error(error, seconds) from None
            session = stack.enter_context(Session(config))
            tables = session.ask(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
            )
            names = ", ".join("`{}` READ".format(name.replace("`", "``")) for (name,) in tables)
            if names:
                try:
                    session.ask(wait, f"LOCK TABLES {names}")
                except SqlError as second:
                    raise _lock_error(second, seconds) from None
        yield session


def _lock_error(error: SqlError, seconds: int) -> BackupError:
    if error.number in (1205, 1213):
        return BackupError(
            f"The tables could not be locked within {seconds} s: something holds one of them.",
            "Look at SHOW FULL PROCESSLIST on the help desk; the next night tries again.",
        )
    return error


def _without_transactions(session: Session, database: str) -> str:
    """Name of a table whose engine knows no snapshot, or an empty text."""
    rows = session.ask(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        " AND table_type = 'BASE TABLE' AND engine <> 'InnoDB' LIMIT 1"
    )
    return f"{database}.{rows[0][0]}" if rows else ""


def _until_first_table(dump: subprocess.Popen[bytes]) -> bytes:
    """What the dump prints until its snapshot is sure. A database without tables ends without one."""
    timer = threading.Timer(_SNAPSHOT_SECONDS, dump.kill)
    timer.start()
    begun = b""
    try:
        while b"CREATE TABLE" not in begun:
            piece = os.read(_out(dump).fileno(), _BLOCK_BYTES)
            if not piece:
                break
            begun += piece
    finally:
        timer.cancel()
    return begun


def facts(session: Session) -> dict[str, Any]:
    """The counts of the manifest, as ``session`` sees them."""
    there = {
        row[0]
        for row in session.ask("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
    }
    missing = [name for name in ("threads", "migrations", "users") if name not in there]
    if missing:
        raise BackupError(
            f"The database has no table {missing[0]}: it is no FreeScout's.", "Set database.name to FreeScout's own."
        )
    counted = [
        session.ask(f"SELECT '{name}', COUNT(*) FROM `{name}`")[0]  # noqa: S608 - names of ours
        for name in TABLES
        if name in there
    ]
    ((count, newest, total),) = session.ask(f"SELECT {FINGERPRINT} FROM threads")  # noqa: S608 - of this module
    ((emoji,),) = session.ask(f"SELECT COUNT(*) FROM threads WHERE body REGEXP '{EMOJI_PATTERN}'")  # noqa: S608
    rows = {name: int(number) for name, number in counted}
    return {
        "rows": rows,
        "threads_fingerprint": {"count": int(count), "crc32_sum": int(float(total))},
        "max_thread_id": int(newest),
        "emoji_threads": int(emoji),
        "migrations": rows["migrations"],
    }


def client_argv(config: Config, *arguments: str, program: str = "client") -> list[str]:
    """The client or dump program's command line without the login, which ``start`` hands over."""
    own = config.login.client if program == "client" else config.login.dump
    names = ("mariadb", "mysql") if program == "client" else ("mariadb-dump", "mysqldump")
    path = config.environment.get("PATH", os.defpath)
    found = own or next((name for name in names if shutil.which(name, path=path)), "")
    if not found:
        raise BackupError(f"The program {names[0]} is not here.", "Install mariadb-client, or mysql-client.", 2)
    return [found, "--defaults-file=/dev/fd/{}", *arguments]


def start(config: Config, argv: list[str], **pipes: Any) -> subprocess.Popen[bytes]:
    """Start a client program; it reads the login from a pipe, so a password is in no file and no command line."""
    login = config.login
    given = {"user": login.user, "password": login.password, "socket": login.socket}
    if login.host and not login.socket:
        given.update(host=login.host, port=str(login.port))
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in given.items() if value}
    read, write = os.pipe()
    try:
        os.write(write, "".join(["[client]\n", *(f'{name} = "{value}"\n' for name, value in quoted.items())]).encode())
        os.close(write)
        filled = [word.format(read) if word.startswith("--defaults-file=") else word for word in argv]
        return subprocess.Popen(filled, pass_fds=(read,), env=dict(config.environment), **pipes)
    except OSError as error:
        raise BackupError(f"{argv[0]} could not be started ({error.strerror}).", _CONFIG_REMEDY, 2) from None
    finally:
        os.close(read)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None:
        raise BackupError("A program has no input.", "This is a mistake in freescout-backup.")
    return process.stdin, _out(process)


def _out(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise BackupError("A program has no output.", "This is a mistake in freescout-backup.")
    return process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


# --- the members: plain bytes in, encrypted bytes out ---------------------------------------------------------------


def dumped(moment: Moment, database: str) -> Iterator[bytes]:
    """The dump, gzipped. Raises ``BackupError`` at its end unless the program ended well and said so itself."""
    tail = moment.begun[-512:]

    def plain() -> Iterator[bytes]:
        nonlocal tail
        yield moment.begun
        for piece in _blocks(_out(moment.dump)):
            tail = (tail + piece)[-512:]
            yield piece

    yield from _gzipped(plain())
    code = moment.dump.wait()
    lines = tail.rstrip().splitlines()
    if code != 0:
        raise BackupError(
            f"The dump of {database} failed (exit code {code}).",
            "Run mariadb-dump by hand on the help desk; a table may have been altered meanwhile, or be damaged.",
        )
    if not lines or not lines[-1].startswith(TRAILER):
        raise BackupError(f"The dump of {database} has no last line that says it is whole.", "Look at its disk.")


def archived(config: Config, directory: str, since: Path | None = None) -> Iterator[bytes]:
    """``tar`` of a directory of the site, gzipped; names begin there. Files that come and go meanwhile are no error.

    ``since`` is a snapshot file of GNU tar: what it knows is left out, and it knows all afterwards (its manual,
    "Using tar to Perform Incremental Dumps").
    """
    argv = ["tar", "-C", str(config.site), "--warning=no-file-changed", "--warning=no-file-removed"]
    argv += [f"--listed-incremental={since}", "--no-check-device"] if since else []
    tar = subprocess.Popen(
        [*argv, "-c", directory], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield from _gzipped(_blocks(_out(tar)))
        code = tar.wait()
    finally:
        _end(tar)
    if code not in (0, 1):  # 1: some files differ, GNU tar's manual, "Exit status"
        raise BackupError(
            f"{config.site}/{directory} could not be read whole (tar: {code}).", f"Look at it: ls -la {config.site}"
        )


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := os.read(stream.fileno(), _BLOCK_BYTES):
        yield piece


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    engine = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in pieces:
        yield engine.compress(piece)
    yield engine.flush()


class Key:
    """The operator's public key, alone in a private GnuPG home. Use as a context manager."""

    def __init__(self, config: Config, now: datetime) -> None:
        self._config = config
        self._now = now
        folder = "/tmp" if len(tempfile.gettempdir()) > _GPG_PATH else None  # noqa: S108 - made new, and private
        self._home = tempfile.TemporaryDirectory(prefix="freescout-backup-", dir=folder)
        quiet = ("--no-options", "--no-autostart", "--batch", "--no-tty", "--quiet")  # and no agent is left behind
        self._gpg = ["gpg", "--homedir", self._home.name, *quiet]
        self.warning = ""

    def __enter__(self) -> Key:
        try:
            self._run("--import", given=self._config.public_key)
            self.warning = self._judged(self._run("--with-colons", "--fixed-list-mode", "--list-keys").decode())
        except BaseException:
            self._home.cleanup()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._home.cleanup()

    def encrypt(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Raises what iterating ``pieces`` raises, and ``BackupError`` unless gpg ended well."""
        options = ("--trust-model", "always", "--compress-algo", "none", "--no-encrypt-to", "--recipient")
        argv = [*self._gpg, *options, self._config.fingerprint, "--encrypt"]
        gpg = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        stdin, stdout = _pipes(gpg)
        failure: list[BaseException] = []

        def feed() -> None:
            try:
                with stdin:
                    for piece in pieces:
                        stdin.write(piece)
            except BaseException as error:  # noqa: BLE001 - handed on to whoever reads what gpg gives out
                failure.append(error)
                gpg.kill()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        try:
            yield from _blocks(stdout)
        finally:
            gpg.kill() if gpg.poll() is None and sys.exc_info()[0] else None
            code = gpg.wait()
            feeder.join()
            stdout.close()
        if failure and not isinstance(failure[0], BrokenPipeError):
            raise failure[0]
        if code != 0 or failure:
            self._refuse_full()
            raise BackupError(f"gpg could not encrypt (exit code {code}).", "Look at the operator's key.")

    def _judged(self, listing: str) -> str:
        """Is it the pinned key, and may it encrypt? Returns a warning where it soon may not."""
        lines = [line.split(":") for line in listing.splitlines()]
        primaries = [lines[at + 1][9] for at, line in enumerate(lines) if line[0] == "pub"]
        if primaries != [self._config.fingerprint]:
            told = ", ".join(primaries) or "no key"
            raise BackupError(
                f"The public key file holds {told}, and not {self._config.fingerprint} alone.",
                "Put the operator's key in place, or correct encryption.fingerprint.",
                2,
            )
        keys = [line for line in lines if line[0] in ("pub", "sub")]
        able = [line for line in keys if "e" in line[11] and line[1] not in ("r", "e", "i")]
        if not able or any(line[0] == "pub" and line[1] in ("r", "e", "i") for line in keys):
            raise BackupError(
                f"The operator's key {self._config.fingerprint} has expired, is revoked, or cannot encrypt.",
                "Extend it or make another, and put the public key in place.",
            )
        ends = [int(line[6]) for line in keys if line[6] and (line in able or line[0] == "pub")]
        if not ends:
            return ""
        left = datetime.fromtimestamp(min(ends), UTC) - self._now
        if left > timedelta(days=KEY_WARNING_DAYS):
            return ""
        return f"the operator's key expires in {left.days} days: extend it, and put the public key in place"

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        try:
            done = subprocess.run([*self._gpg, *arguments], input=given, capture_output=True, check=False)
        except OSError:
            raise BackupError("The program gpg is not here.", "Install gnupg.", 2) from None
        if done.returncode != 0:
            self._refuse_full()
            raise BackupError("The operator's public key cannot be read.", _CONFIG_REMEDY, 2)
        return done.stdout

    def _refuse_full(self) -> None:
        """gpg calls a key missing or unreadable where it only has no room for its files (measured, GnuPG 2.2.40)."""
        folder = Path(self._home.name).parent
        if shutil.disk_usage(folder).free < _GPG_NEEDS_BYTES:
            raise BackupError(
                f"There is no space left in {folder}, where gpg keeps its files.", f"Free some: df -h {folder}"
            )


# --- S3: signed by hand, since the standard library has no client ---------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """One object as it was sent."""

    size_bytes: int
    sha256: str


class Store:
    """Puts objects below the prefix. Every body carries its SHA-256, which the server compares.

    Source: AWS Signature Version 4; S3's PutObject, UploadPart and conditional writes.
    """

    def __init__(self, storage: Storage, credentials: Credentials, tell: Callable[[str], None] = say) -> None:
        self._storage = storage
        self._credentials = credentials
        self._tell = tell
        endpoint = storage.endpoint or f"https://{storage.bucket}.s3.{storage.region}.amazonaws.com"
        self._url = urllib.parse.urlsplit(endpoint)
        self._base = f"/{storage.bucket}" if storage.endpoint else ""

    def probe(self) -> None:
        """May this role put here? An upload is begun and ended: nothing is stored. Raises ``BackupError``."""
        key = f"{self._storage.prefix}check"
        self._send("DELETE", key, {"uploadId": self._begin(key)}, b"", {})

    def put(self, key: str, body: bytes, *, only_new: bool) -> Stored:
        """Raises ``ExistsError`` where the key is there already and ``only_new``, else ``BackupError``."""
        self._send("PUT", key, {}, body, self._condition(only_new=only_new))
        return Stored(len(body), hashlib.sha256(body).hexdigest())

    def upload(self, key: str, pieces: Iterable[bytes], *, only_new: bool) -> Stored:
        """One object of any size in flat memory. It is there when all of ``pieces`` came without an error, or not."""
        digest, size, upload = hashlib.sha256(), 0, ""
        parts: list[str] = []
        try:
            for body in _in_parts(pieces, self._storage.part_bytes):
                digest.update(body)
                size += len(body)
                if not upload and len(body) < self._storage.part_bytes:
                    return self.put(key, body, only_new=only_new)
                if not upload:
                    upload = self._begin(key)
                parts.append(self._part(key, upload, len(parts) + 1, body))
            self._complete(key, upload, parts, only_new=only_new)
        except BaseException:
            if upload:
                with contextlib.suppress(BackupError):
                    self._send("DELETE", key, {"uploadId": upload}, b"", {})
            raise
        return Stored(size, digest.hexdigest())

    def _begin(self, key: str) -> str:
        answer = self._send("POST", key, {"uploads": ""}, b"", {"x-amz-checksum-algorithm": "SHA256"})
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", answer[1])
        if not found:
            raise BackupError(f"S3 began no upload of {key}.", "Try again.")
        return found[1].decode()

    def _part(self, key: str, upload: str, number: int, body: bytes) -> str:
        etag, _body = self._send("PUT", key, {"partNumber": str(number), "uploadId": upload}, body, {})
        sha = _base64(hashlib.sha256(body).digest())
        told = f"<ETag>{etag}</ETag><ChecksumSHA256>{sha}</ChecksumSHA256>"
        return f"<Part><PartNumber>{number}</PartNumber>{told}</Part>"

    def _complete(self, key: str, upload: str, parts: list[str], *, only_new: bool) -> None:
        body = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
        _etag, answer = self._send("POST", key, {"uploadId": upload}, body, self._condition(only_new=only_new))
        if b"<Error>" in answer:  # S3 answers 200 and an error: CompleteMultipartUpload's own page
            raise BackupError(f"S3 did not complete the upload of {key}.", "Try again.")

    @staticmethod
    def _condition(*, only_new: bool) -> dict[str, str]:
        return {"if-none-match": "*"} if only_new else {}

    def _send(
        self, method: str, key: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> tuple[str, bytes]:
        """ETag and body of the answer, after some tries of what may pass."""
        for attempt in range(1, self._storage.tries + 1):
            try:
                status, etag, answer = self._once(method, key, query, body, headers)
            except (OSError, http.client.HTTPException) as error:
                status, etag, answer = 0, "", type(error).__name__.encode()
            if status in (200, 204):
                return etag, answer
            if status in (409, 412):
                if attempt > 1 and status == 412:
                    return etag, answer  # an earlier try of this call was stored, though its answer was lost
                if status == 412:
                    raise ExistsError(key)
            elif status and status not in _TRANSIENT:
                raise self._refused(key, status, answer)
            if attempt < self._storage.tries:
                self._tell(f"S3 answers {status or answer.decode()} to {method} {key}: waiting {2**attempt} s")
                time.sleep(2**attempt)
        raise self._refused(key, status, answer)

    def _refused(self, key: str, status: int, answer: bytes) -> BackupError:
        code = re.search(rb"<Code>(\w+)</Code>", answer)
        told = code[1].decode() if code else (str(status) if status else answer.decode("ascii", "replace"))
        return BackupError(
            f"s3://{self._storage.bucket}/{key} could not be stored ({told}).",
            "Look at the credentials of the backup's role, its policy, the bucket's name and region, and the network.",
        )

    def _once(
        self, method: str, key: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        path = urllib.parse.quote(f"{self._base}/{key}")
        line = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote)
        signed = self._signed(method, path, line, body, headers)
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            link: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._url.netloc, timeout=120, context=context
            )
        else:
            link = http.client.HTTPConnection(self._url.netloc, timeout=120)
        with contextlib.closing(link):
            link.request(method, f"{path}?{line}" if line else path, body, signed)
            answer = link.getresponse()
            return answer.status, answer.headers.get("ETag", ""), answer.read(1 << 16)

    def _signed(self, method: str, path: str, line: str, body: bytes, extra: Mapping[str, str]) -> dict[str, str]:
        moment = utc_now().strftime("%Y%m%dT%H%M%SZ")
        sha = hashlib.sha256(body)
        headers = {"host": self._url.netloc, "x-amz-date": moment, "x-amz-content-sha256": sha.hexdigest(), **extra}
        if method == "PUT":
            headers["x-amz-checksum-sha256"] = _base64(sha.digest())
        if self._credentials.session_token:
            headers["x-amz-security-token"] = self._credentials.session_token
        names = ";".join(sorted(headers))
        listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n{line}\n{listed}\n{names}\n{sha.hexdigest()}"
        scope = f"{moment[:8]}/{self._storage.region}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self._credentials.secret_key}".encode()
        for word in scope.split("/"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"{self._credentials.access_key}/{scope}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


class ExistsError(BackupError):
    """The key is there already."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{key} is there already, and not from an attempt of this host's today.",
            "Another host may write to the same prefix; look who stored it (aws s3api list-object-versions).",
        )


def _in_parts(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Bodies of ``size`` bytes, the last of them shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# --- a night --------------------------------------------------------------------------------------------------------


def run(config: Config, clock: Callable[[], datetime]) -> dict[str, Any]:
    """Store the set of this UTC day; what it holds. Raises ``BackupError``; the last good set is as it was."""
    with _alone(config.state):
        now = clock().astimezone(UTC)
        day = now.date().isoformat()
        before = _state(config.state)
        if before.get("day") == day and before.get("done"):
            config.say(f"the set of {day} is stored already")
            return {"ok": True, "day": day, "already": True}
        today = before if before.get("day") == day else {}
        if today.get("manifest"):
            return _finished(config, day, today)
        return _night(config, clock, now, set(today.get("stored", ())))


class Attachments:
    """Are all attachments stored tonight, or those that came since the last night that stored all?

    The snapshot file of that night lies beside the state. Where it is gone, or its night is too long ago, all are.
    """

    def __init__(self, config: Config, day: str) -> None:
        self._state = config.state
        self._work = config.state / "attachments.snar.new"
        self._day = day
        self._sometimes = config.full_every_days > 1
        base = _state(config.state).get("base")
        self.base: dict[str, Any] | None = None
        if self._sometimes and isinstance(base, dict) and self._kept(base["day"]).exists():
            age = datetime.fromisoformat(day) - datetime.fromisoformat(base["day"])
            if timedelta(0) < age < timedelta(days=config.full_every_days):
                self.base = base

    def _kept(self, day: str) -> Path:
        """By its day: the state names the night and this its list, whatever is killed between the two."""
        return self._state / f"attachments.snar-{day}"

    def since(self) -> Path | None:
        """The snapshot file for ``archived``, fresh for a full night; None where every night is one."""
        self._work.unlink(missing_ok=True)
        if self.base:
            shutil.copyfile(self._kept(self.base["day"]), self._work)
        return self._work if self._sometimes else None

    def settled(self, stored: Mapping[str, Any]) -> dict[str, Any] | None:
        """All of the night but its manifest is stored: what later nights may build on."""
        if not self._sometimes:
            return None
        if self.base:
            self._work.unlink(missing_ok=True)
            return self.base
        self._work.replace(self._kept(self._day))
        return {"day": self._day, "name": ATTACHMENTS_NAME + ENCRYPTED, **stored}


def _night(config: Config, clock: Callable[[], datetime], now: datetime, again: set[str]) -> dict[str, Any]:
    day = now.date().isoformat()
    attachments = Attachments(config, day)
    store = Store(config.storage, config.credentials, config.say)
    files: dict[str, dict[str, Any]] = {}
    with Key(config, now) as key:
        if key.warning:
            config.say(key.warning)

        def keep(name: str, pieces: Iterable[bytes]) -> None:
            stored_name = name + ENCRYPTED
            _remember(config.state, day, [*again, *files, stored_name], done=False)
            sent = store.upload(
                f"{config.storage.prefix}{day}/{stored_name}",
                key.encrypt(pieces),
                only_new=stored_name not in again,
            )
            files[stored_name] = {"size_bytes": sent.size_bytes, "sha256": sent.sha256}
            config.say(f"stored {stored_name}: {sent.size_bytes} bytes")

        with one_moment(config) as moment:
            taken = clock().astimezone(UTC)
            keep(DATABASE_NAME, dumped(moment, config.login.name))
            counted = facts(moment.reader)
            consistency = moment.consistency
        keep(ENV_NAME, [(config.site / ".env").read_bytes()])
        for name, directory in ARCHIVES.items():
            keep(name, archived(config, directory, attachments.since() if name == ATTACHMENTS_NAME else None))
    manifest = {
        "kind": KIND,
        "schema_version": 1,
        "taken_utc": taken.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "consistency": consistency,
        "freescout_version": freescout_version(config.site),
        "mariadb_version": _server_version(config),
        "app_timezone": read_env(config.site).get("APP_TIMEZONE", "UTC"),
        "files": files,
        **({"bases": {"attachments": attachments.base}} if attachments.base else {}),
        **counted,
    }
    base = attachments.settled(files[ATTACHMENTS_NAME + ENCRYPTED])
    _remember(config.state, day, files, done=False, manifest=manifest, next_base=base)
    _put_manifest(store, config, day, manifest)
    _done(config.state, day, base)
    size = sum(one["size_bytes"] for one in files.values())
    config.say(f"the set of {day} is whole: {len(files)} files, {size} bytes; {consistency}")
    return {"ok": True, "day": day, "already": False, "size_bytes": size, "warning": key.warning, "manifest": manifest}


def _finished(config: Config, day: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """A run ended when all but, perhaps, the manifest was stored. Stored again, the rest would not be what it says."""
    with contextlib.suppress(ExistsError):
        _put_manifest(Store(config.storage, config.credentials, config.say), config, day, before["manifest"])
    _done(config.state, day, before.get("next_base"))
    config.say(f"the set of {day} is whole: its files were stored by a run that ended before its manifest was")
    size = sum(one["size_bytes"] for one in before["manifest"]["files"].values())
    return {"ok": True, "day": day, "already": False, "size_bytes": size, "warning": "", "manifest": before["manifest"]}


def _put_manifest(store: Store, config: Config, day: str, manifest: Mapping[str, Any]) -> None:
    body = (json.dumps(manifest, indent=2) + "\n").encode()
    store.put(f"{config.storage.prefix}{day}/{MANIFEST}", body, only_new=True)


def check(config: Config, clock: Callable[[], datetime]) -> dict[str, Any]:
    """All that a night needs and that can be seen without storing anything. Raises ``BackupError``."""
    with Key(config, clock()) as key:
        size = sum(map(len, key.encrypt([b"freescout-backup"])))
        warning = key.warning
    client_argv(config, program="dump")
    with Session(config) as session:
        counted = facts(session)
    for directory in ARCHIVES.values():
        if not (config.site / directory).is_dir():
            raise BackupError(f"{config.site}/{directory} is not there.", "Set site.directory to FreeScout's folder.")
    Store(config.storage, config.credentials, config.say).probe()
    warning = "; ".join(filter(None, (warning, slack_warning(config.slack))))
    threads = counted["rows"]["threads"]
    config.say(f"well: {threads} threads in {config.login.name}, encrypts to {config.fingerprint}. Nothing was stored")
    return {"ok": True, "threads": threads, "encrypted_bytes": size, "warning": warning}


def freescout_version(site: Path) -> str:
    """As ``config/app.php`` says it; empty where it does not."""
    with contextlib.suppress(OSError, UnicodeError):
        found = re.search(r"'version'\s*=>\s*'([\w.-]+)'", (site / "config" / "app.php").read_text(encoding="utf-8"))
        return found[1] if found else ""
    return ""


def _server_version(config: Config) -> str:
    with Session(config) as session:
        return session.ask("SELECT VERSION()")[0][0]


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One run at a time on this host."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise BackupError(f"{state} cannot be written ({error.strerror}).", "Run it by its service.", 2) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(
                "Another freescout-backup runs.", "Wait for it: systemctl status freescout-backup"
            ) from None
        yield


def _state(state: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        told = json.loads((state / "state.json").read_text())
        return told if isinstance(told, dict) else {}
    return {}


def _done(state: Path, day: str, base: Mapping[str, Any] | None) -> None:
    """The day's set is whole. Lists of attachments that no later night builds on go last."""
    _remember(state, day, [], done=True, base=base)
    for file in state.glob("attachments.snar-*"):
        if base is None or file.name != f"attachments.snar-{base['day']}":
            file.unlink()


def _remember(
    state: Path,
    day: str,
    stored: Iterable[str],
    *,
    done: bool,
    base: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
    next_base: Mapping[str, Any] | None = None,
) -> None:
    """Which of today's names this host has begun to store: only these may it store again. A ``base`` is kept.

    With a ``manifest`` all but that is stored, and nothing of it may be stored again; ``next_base`` counts from then.
    """
    new = state / "state.new"
    told = {"day": day, "stored": sorted(set(stored)), "done": done, "base": base or _state(state).get("base")}
    told.update({"manifest": manifest, "next_base": next_base} if manifest else {})
    new.write_text(json.dumps(told))
    new.replace(state / "state.json")


def tell_slack(slack: Slack, error: BackupError, day: str) -> None:
    """A failed night, to the channel of the policy. A message that is not accepted is said so in the journal."""
    if not slack.token or not slack.channel:
        say("nobody is told in Slack: there is no slack.channel or no token")
        return
    text = f":red_circle: The FreeScout backup of {day} failed: {error.what}\n{error.remedy}"
    refused = _ask_slack(slack, "chat.postMessage", {"channel": slack.channel, "text": text})
    say(f"Slack took no message ({refused})" if refused else f"told {slack.channel} in Slack")


def slack_warning(slack: Slack) -> str:
    """Why a failed night would be told to nobody; empty when the token is good."""
    if not slack.token or not slack.channel:
        return "a failed night is told to nobody: there is no slack.channel or no token"
    refused = _ask_slack(slack, "auth.test", {})
    return f"Slack does not take the token ({refused}): a failed night would be told to nobody" if refused else ""


def _ask_slack(slack: Slack, method: str, given: Mapping[str, str]) -> str:
    """Why Slack refused; empty when it did not."""
    headers = {"authorization": f"Bearer {slack.token}", "content-type": "application/json; charset=utf-8"}
    request = urllib.request.Request(f"{slack.url.rstrip('/')}/{method}", json.dumps(given).encode(), headers)  # noqa: S310 - configured
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - configured
            told = json.loads(answer.read(1 << 16))
        return "" if told.get("ok") else str(told.get("error", "no reason"))
    except (OSError, ValueError, AttributeError, http.client.HTTPException) as failure:
        return type(failure).__name__


def ended(slack: Slack, result: str, clock: Callable[[], datetime]) -> dict[str, Any]:
    """Told by systemd how a run ended: one that was killed could tell nobody itself (``ExecStopPost=``)."""
    if result not in _TOLD_BY_ITSELF:
        error = BackupError(
            f"it was ended from outside ({result}).",
            "Nothing of it counts as a set. systemctl status freescout-backup, then systemctl start it again.",
        )
        tell_slack(slack, error, clock().astimezone(UTC).date().isoformat())
    return {"ok": True, "result": result}


def _stopped(_number: int, _frame: object) -> None:
    """SIGTERM: by systemd's time limit, a shutdown, or a person."""
    raise BackupError("It was told to stop before it was done.", "journalctl -u freescout-backup tells by whom.")


def main(arguments: list[str] | None = None, clock: Callable[[], datetime] = utc_now) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="freescout-backup", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--json", action="store_true", help="print the result as one object")
    parser.add_argument("what", choices=("run", "check", "ended"))
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stopped)
    try:
        if given.what == "ended":
            result = ended(slack_of(given.config, os.environ), os.environ.get("SERVICE_RESULT", ""), clock)
        else:
            result = {"run": run, "check": check}[given.what](read_config(given.config, os.environ), clock)
    except (BackupError, OSError) as failure:
        error = failure if isinstance(failure, BackupError) else _of_the_host(failure)
        say(f"{error.what} {error.remedy}")
        if given.what == "run":
            with contextlib.suppress(BackupError):
                told = slack_of(given.config, os.environ)
                tell_slack(told, error, clock().astimezone(UTC).date().isoformat())
        result = {"ok": False, "error": error.what, "remedy": error.remedy}
        _print(result, wanted=given.json)
        return error.code
    _print(result, wanted=given.json)
    return 0


def _of_the_host(error: OSError) -> BackupError:
    """A full disk, most of the time."""
    where = f" ({error.filename})" if error.filename else ""
    return BackupError(f"{error.strerror or type(error).__name__}{where}.", "Look at the host's disk: df -h.")


def _print(result: Mapping[str, Any], *, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    sys.exit(main())
