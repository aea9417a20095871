"""A dump set of a FreeScout: database, ``.env``, attachments, modules, and a manifest that says what is in them.

The counts in the manifest describe the same state as the dump: the server accepts no writes meanwhile.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox.freescout import env, schema, tree
from raxx_bcp_sandbox.freescout.seed import DATABASE
from raxx_bcp_sandbox.mariadb import MAX_PACKET, MariadbServer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

KIND: Final = "raxx-bcp/freescout-dump"
SCHEMA_VERSION: Final = 1
DUMP: Final = "database.sql.gz"
ENV: Final = "env"
ATTACHMENTS: Final = "attachments.tar.gz"
MODULES: Final = "modules.tar.gz"
MANIFEST: Final = "manifest.json"
ENCRYPTED: Final = ".gpg"
PARTS: Final = ("env", "attachments", "modules")
DUMP_OPTIONS: Final = (
    "--single-transaction",
    "--skip-lock-tables",
    "--default-character-set=utf8mb4",
    f"--max-allowed-packet={MAX_PACKET}",
)
_GPG_SECONDS: Final = 120
_REMEDY: Final = "Read the log of its MariaDB, then make the set again."

FINGERPRINT: Final = """
SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT_WS('|', id, conversation_id, type, state, COALESCE(body, ''),
    COALESCE(message_id, ''), UNIX_TIMESTAMP(created_at)))), 0) FROM threads"""
_EMOJI: Final = r"SELECT COUNT(*) FROM threads WHERE body REGEXP '[\\x{10000}-\\x{10FFFF}]'"


@dataclass(frozen=True)
class DumpSet:
    """The files of one set in ``directory``, by their names in the bucket."""

    directory: Path
    names: tuple[str, ...]

    @property
    def files(self) -> dict[str, Path]:
        """Name and place of each file."""
        return {name: self.directory / name for name in self.names}

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest's content; empty when the set has none."""
        path = self.files.get(MANIFEST)
        return {} if path is None else dict(json.loads(path.read_bytes()))


def dump_set(
    server: MariadbServer,
    site: Path,
    taken: datetime,
    directory: Path,
    *,
    parts: Sequence[str] = PARTS,
    recipient: str = "",
    gpg_home: Path | None = None,
    database: str = DATABASE,
) -> DumpSet:
    """Dump the FreeScout of ``server`` and ``site`` into ``directory``, as taken at ``taken`` (aware).

    With a ``recipient``, the fingerprint of a key in ``gpg_home``, every file but the manifest is encrypted to it and
    has ``.gpg`` after its name. Raises ``PermanentError`` when a tool fails.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _no_writes(server, database):
        write_dump(server, directory / DUMP, database=database)
        facts = _facts(server, database)
    names = [DUMP, *_pack(site, directory, parts)]
    if recipient:
        names = [_encrypt(directory / name, recipient, gpg_home) for name in names]
    manifest = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "taken_utc": taken.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "freescout_version": _version(site),
        "mariadb_version": server.version,
        "app_timezone": env.read(site).get("APP_TIMEZONE", "UTC"),
        "files": {name: _described(directory / name) for name in names},
        **facts,
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return DumpSet(directory, (*names, MANIFEST))


def write_dump(server: MariadbServer, path: Path, *options: str, database: str = DATABASE) -> None:
    """``mariadb-dump | gzip``. ``options`` come after the usual ones. Raises ``PermanentError``."""
    argv = server.client_argv("mariadb-dump", *DUMP_OPTIONS, *options, database)
    with subprocess.Popen(
        argv, env=server.binaries.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as dump:
        if dump.stdout is not None:
            with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as zipped:
                shutil.copyfileobj(dump.stdout, zipped)
    if dump.returncode != 0:
        raise PermanentError(f"mariadb-dump of {database} failed (exit {dump.returncode}).", _REMEDY)


def describe_again(dumped: DumpSet, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Write the files' current sizes and checksums into the manifest, then apply ``change`` to it."""
    manifest = dumped.manifest
    manifest["files"] = {name: _described(path) for name, path in dumped.files.items() if name != MANIFEST}
    if change is not None:
        change(manifest)
    dumped.files[MANIFEST].write_text(json.dumps(manifest, indent=2) + "\n")


def upload(client: S3Client, bucket: str, prefix: str, day: date, dumped: DumpSet) -> list[str]:
    """Put a set into ``<prefix>YYYY-MM-DD/``, the manifest last; return the keys."""
    keys = []
    for name in sorted(dumped.names, key=lambda each: each == MANIFEST):
        key = f"{prefix}{day.isoformat()}/{name}"
        with dumped.files[name].open("rb") as content:
            client.put_object(Bucket=bucket, Key=key, Body=content)
        keys.append(key)
    return keys


@contextlib.contextmanager
def _no_writes(server: MariadbServer, database: str) -> Iterator[None]:
    """Hold a read lock of every table in a session of its own."""
    listed = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}'"  # noqa: S608 - our own name
    names = [f"`{database}`.`{name}` READ" for (name,) in server.sql(f"{listed} AND table_type = 'BASE TABLE'")]
    lock = f"LOCK TABLES {', '.join(names)};\n" if names else ""
    argv = server.client_argv("mariadb", "--batch", "--skip-column-names", "--unbuffered")
    with subprocess.Popen(
        argv,
        env=server.binaries.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as holder:
        if holder.stdin is None or holder.stdout is None:
            raise PermanentError("MariaDB's client has no pipes.", _REMEDY)
        holder.stdin.write(f"{lock}SELECT 'held';\n".encode())
        holder.stdin.flush()
        if holder.stdout.readline() != b"held\n":
            raise PermanentError(f"The tables of {server.directory} could not be locked for the dump.", _REMEDY)
        yield
        holder.stdin.close()


def _facts(server: MariadbServer, database: str) -> dict[str, Any]:
    counts = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM `{name}`" for name in schema.TABLES)  # noqa: S608
    rows = {name: int(count) for name, count in server.sql(counts, database)}
    ((count, total),) = server.sql(FINGERPRINT, database)
    ((newest,),) = server.sql("SELECT COALESCE(MAX(id), 0) FROM threads", database)
    ((emoji,),) = server.sql(_EMOJI, database)
    return {
        "rows": rows,
        "threads_fingerprint": {"count": int(count), "crc32_sum": int(total)},
        "max_thread_id": int(newest),
        "emoji_threads": int(emoji),
        "migrations": rows["migrations"],
    }


def _pack(site: Path, directory: Path, parts: Sequence[str]) -> list[str]:
    names = []
    if "env" in parts:
        shutil.copyfile(site / env.NAME, directory / ENV)
        names.append(ENV)
    for part, name, where in (("attachments", ATTACHMENTS, tree.ATTACHMENTS), ("modules", MODULES, tree.MODULES)):
        if part in parts:
            pack(site, where, directory / name)
            names.append(name)
    return names


def pack(site: Path, where: str, archive: Path) -> None:
    """``tar -cz`` of the directory ``where`` of ``site``, with names relative to it."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        tar.add(site / where, arcname=where)


def _encrypt(path: Path, recipient: str, home: Path | None) -> str:
    encrypted = path.with_name(path.name + ENCRYPTED)
    where = [] if home is None else ["--homedir", str(home)]
    options = ["--batch", "--no-tty", "--yes", "--trust-model", "always", "--recipient", recipient]
    argv = ["gpg", *where, *options, "--output", str(encrypted), "--encrypt", str(path)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_GPG_SECONDS)
    if done.returncode != 0:
        raise PermanentError(f"{path.name} could not be encrypted to {recipient} (gpg: {done.returncode}).", _REMEDY)
    path.unlink()
    return encrypted.name


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size_bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _version(site: Path) -> str:
    """As ``config/app.php`` says it."""
    _before, _, after = (site / "config" / "app.php").read_text().partition("'version' => '")
    return after.partition("'")[0]
