"""The corpus of FreeScout dump sets: one healthy set, what can be wrong with it, and what is only hard to restore.

Each broken set is made from the healthy one, by surgery on its bytes or by SQL on a copy of its database. Its manifest
tells the truth about the source: counts and fingerprint are the healthy ones, while sizes and checksums are those of
the broken files, so that a checksum alone catches nothing. Only ``other-checksum`` is otherwise.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import itertools
import lzma
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps, env, laravel, tree
from raxx_bcp_sandbox.freescout.dumps import DumpSet
from raxx_bcp_sandbox.mariadb import MariadbServer

TAKEN: Final = datetime(2031, 3, 14, 6, 0, tzinfo=UTC)
"""When the healthy set was taken."""
OTHER_KEY: Final = laravel.app_key(b"another help desk")
STALE_DAYS: Final = 9
_KEPT_OF_TRUNCATED: Final = 0.6
_numbers = itertools.count()


@dataclass(frozen=True)
class HealthySet:
    """A FreeScout whose MariaDB runs, and a whole dump set of it."""

    server: MariadbServer
    site: Path
    dump_set: DumpSet


Build = Callable[[HealthySet, Path], DumpSet]
"""Makes the set in a directory that does not exist yet, or is empty."""


@contextlib.contextmanager
def healthy_set(directory: Path, version: str = freescout.VERSION) -> Iterator[HealthySet]:
    """A help desk as of ``TAKEN`` below ``directory``, with its dump set; about a second."""
    freescout.install(directory, TAKEN, version=version)
    site = directory / freescout.SITE
    with MariadbServer(directory / freescout.MARIADB) as server:
        yield HealthySet(server, site, dumps.dump_set(server, site, TAKEN, directory / "set"))


def _copied(healthy: HealthySet, directory: Path) -> DumpSet:
    shutil.copytree(healthy.dump_set.directory, directory, dirs_exist_ok=True)
    return DumpSet(directory, healthy.dump_set.names)


def _by_bytes(change: Callable[[bytes], bytes]) -> Build:
    """``change`` is made to the compressed dump."""

    def build(healthy: HealthySet, directory: Path) -> DumpSet:
        made = _copied(healthy, directory)
        path = made.files[dumps.DUMP]
        path.write_bytes(change(path.read_bytes()))
        dumps.describe_again(made)
        return made

    return build


def _by_text(change: Callable[[bytes], bytes]) -> Build:
    """``change`` is made to the SQL."""
    return _by_bytes(lambda packed: gzip.compress(change(gzip.decompress(packed)), mtime=0))


def _by_sql(script: str, *options: str) -> Build:
    """``script`` is run on a copy of the database, which is then dumped with ``options``."""

    def build(healthy: HealthySet, directory: Path) -> DumpSet:
        made = _copied(healthy, directory)
        with scratch(healthy) as database:
            if script:
                healthy.server.sql(script, database)
            dumps.write_dump(healthy.server, made.files[dumps.DUMP], *options, database=database)
        dumps.describe_again(made)
        return made

    return build


@contextlib.contextmanager
def scratch(healthy: HealthySet) -> Iterator[str]:
    """The name of a database that holds what the healthy dump holds; dropped afterwards."""
    database = f"scratch_{next(_numbers)}"
    healthy.server.sql(f"CREATE DATABASE {database}")
    try:
        healthy.server.load([gzip.decompress(healthy.dump_set.files[dumps.DUMP].read_bytes())], database)
        yield database
    finally:
        healthy.server.sql(f"DROP DATABASE {database}")


def _without(part: str) -> Build:
    """The set has no such file, and its manifest knows of none."""

    def build(healthy: HealthySet, directory: Path) -> DumpSet:
        made = _copied(healthy, directory)
        made.files[part].unlink()
        made = DumpSet(directory, tuple(name for name in made.names if name != part))
        if part != dumps.MANIFEST:
            dumps.describe_again(made)
        return made

    return build


def _with_key(key: str) -> Build:
    def build(healthy: HealthySet, directory: Path) -> DumpSet:
        made = _copied(healthy, directory)
        site = directory / "site-of-the-key"
        site.mkdir()
        shutil.copyfile(made.files[dumps.ENV], site / env.NAME)
        env.change(site, "APP_KEY", key)
        (site / env.NAME).replace(made.files[dumps.ENV])
        site.rmdir()
        dumps.describe_again(made)
        return made

    return build


def _half_of_the_attachments(healthy: HealthySet, directory: Path) -> DumpSet:
    made = _copied(healthy, directory)
    site = directory / "site-of-half"
    shutil.copytree(healthy.site / tree.ATTACHMENTS, site / tree.ATTACHMENTS)
    for path in sorted(path for path in site.rglob("*") if path.is_file())[::2]:
        path.unlink()
    dumps.pack(site, tree.ATTACHMENTS, made.files[dumps.ATTACHMENTS])
    shutil.rmtree(site)
    dumps.describe_again(made)
    return made


def _short_attachments(healthy: HealthySet, directory: Path) -> DumpSet:
    """Every file is there, and each has lost its last byte."""
    made = _copied(healthy, directory)
    site = directory / "site-of-short"
    shutil.copytree(healthy.site / tree.ATTACHMENTS, site / tree.ATTACHMENTS)
    for path in (path for path in site.rglob("*") if path.is_file()):
        path.write_bytes(path.read_bytes()[:-1])
    dumps.pack(site, tree.ATTACHMENTS, made.files[dumps.ATTACHMENTS])
    shutil.rmtree(site)
    dumps.describe_again(made)
    return made


def _packed_as(ending: str, pack: Callable[[bytes], bytes]) -> Build:
    """The same text in another form, under its usual name."""

    def build(healthy: HealthySet, directory: Path) -> DumpSet:
        made = _copied(healthy, directory)
        name = f"database.sql{ending}"
        (directory / name).write_bytes(pack(gzip.decompress(made.files[dumps.DUMP].read_bytes())))
        made.files[dumps.DUMP].unlink()
        made = DumpSet(directory, (name, *(one for one in made.names if one != dumps.DUMP)))
        dumps.describe_again(made)
        return made

    return build


def _zstd(text: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=text, capture_output=True, check=True).stdout


def _without_comments(change: Callable[[bytes], bytes]) -> Build:
    """Dumped with ``--skip-comments``, which leaves the last line out too, and then changed."""

    def build(healthy: HealthySet, directory: Path) -> DumpSet:
        made = _by_sql("", "--skip-comments")(healthy, directory)
        path = made.files[dumps.DUMP]
        path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))
        dumps.describe_again(made)
        return made

    return build


def _other_checksum(healthy: HealthySet, directory: Path) -> DumpSet:
    """The dump was written again after the manifest: the content is the same, the bytes are not."""
    made = _copied(healthy, directory)
    path = made.files[dumps.DUMP]
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=0))
    return made


def _truncated(packed: bytes) -> bytes:
    return packed[: int(len(packed) * _KEPT_OF_TRUNCATED)]


def _flipped_in_the_middle(packed: bytes) -> bytes:
    """One bit of the compressed data; what comes of it, if anything, the CRC knows."""
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 0x10]) + packed[middle + 1 :]


def _flipped_in_a_body(text: bytes) -> bytes:
    """One letter of one mail becomes another, before the dump is compressed."""
    place = text.index(b"kayak", text.index(b"INSERT INTO `threads`"))
    return text[:place] + bytes([text[place] ^ 0x02]) + text[place + 1 :]


def _without_trailer(text: bytes) -> bytes:
    return text[: text.rindex(b"-- Dump completed")]


def _cut_before_threads(text: bytes) -> bytes:
    return text[: text.index(b"-- Table structure for table `threads`")]


def _doubled_row(text: bytes) -> bytes:
    """The first row of ``threads`` once more after the last: error 1062, on a statement that holds a mail."""
    start = text.index(b"INSERT INTO `threads` VALUES")
    end = text.index(b"UNLOCK TABLES;", start)
    found = re.compile(rb"INSERT INTO `threads` VALUES\s*\((.*?)\),\s*\(2,", re.DOTALL).match(text, start)
    if found is None:
        raise LookupError("the dump's first row of threads was not found")
    return text[:end] + b"INSERT INTO `threads` VALUES (" + found.group(1) + b");\n" + text[end:]


def _by_mysql(text: bytes) -> bytes:
    header = b"-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n"
    return header + text.partition(b"\n")[2].replace(b"utf8mb4_unicode_ci", b"utf8mb4_0900_ai_ci")


def _with_gtid(text: bytes) -> bytes:
    line = b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77';\n"
    place = text.index(b"\n--\n-- Table structure")
    return text[:place] + b"\n" + line + text[place:]


def _with_definer(text: bytes) -> bytes:
    """A trigger of somebody whom this server does not know, made before the rows: error 1449 on the first of them."""
    trigger = (
        b"/*!50003 CREATE*/ /*!50017 DEFINER=`admin`@`10.0.0.5`*/ /*!50003 TRIGGER threads_bi BEFORE INSERT "
        b"ON `threads` FOR EACH ROW SET NEW.imported = NEW.imported */;\n"
    )
    place = text.index(b"LOCK TABLES `threads` WRITE;")
    return text[:place] + trigger + text[place:]


def _elsewhere(healthy: HealthySet, directory: Path) -> DumpSet:
    """The dump of another application's database."""
    made = _copied(healthy, directory)
    database = f"scratch_{next(_numbers)}"
    healthy.server.sql(f"CREATE DATABASE {database}")
    try:
        healthy.server.sql(
            "CREATE TABLE wp_posts (ID bigint AUTO_INCREMENT PRIMARY KEY, post_title text);"
            "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'somebody');"
            "INSERT INTO wp_posts (post_title) SELECT CONCAT('Post ', seq) FROM seq_1_to_5000;",
            database,
        )
        dumps.write_dump(healthy.server, made.files[dumps.DUMP], database=database)
    finally:
        healthy.server.sql(f"DROP DATABASE {database}")
    dumps.describe_again(made)
    return made


_STALE: Final = """
UPDATE activity_logs SET created_at = created_at - INTERVAL 9 DAY;
UPDATE conversations SET created_at = created_at - INTERVAL 9 DAY, updated_at = updated_at - INTERVAL 9 DAY,
    last_reply_at = last_reply_at - INTERVAL 9 DAY, closed_at = closed_at - INTERVAL 9 DAY;
UPDATE send_logs SET created_at = created_at - INTERVAL 9 DAY, updated_at = updated_at - INTERVAL 9 DAY;
UPDATE threads SET created_at = created_at - INTERVAL 9 DAY, updated_at = updated_at - INTERVAL 9 DAY;
UPDATE options SET value = value - 9 * 86400 WHERE name LIKE 'fetch_emails_last%run';
"""

ORPHANS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "threads without conversation": "UPDATE threads SET conversation_id = 999999 WHERE id IN (7, 8, 9)",
        "conversations without mailbox": "UPDATE conversations SET mailbox_id = 999999 WHERE id = 5",
        "conversations without folder": "UPDATE conversations SET folder_id = 999999 WHERE id = 6",
        "conversations without customer": "UPDATE conversations SET customer_id = 999999 WHERE id = 7",
        "emails without customer": "UPDATE emails SET customer_id = 999999 WHERE id = 3",
        "attachments without thread": "UPDATE attachments SET thread_id = 999999 WHERE id = 4",
        "mailbox_user without user": "UPDATE mailbox_user SET user_id = 999999 WHERE id = 2",
        "mailbox_user without mailbox": "UPDATE mailbox_user SET mailbox_id = 999999 WHERE id = 3",
        "published conversations without threads": "UPDATE threads SET conversation_id = 2 WHERE conversation_id = 1",
    }
)
"""Each kind of orphan, and the statement that makes some: no table's count changes."""

BROKEN: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "truncated": _by_bytes(_truncated),
        "no-trailer": _by_text(_without_trailer),
        "cut-before-threads": _by_text(_cut_before_threads),
        "without-comments-cut": _without_comments(lambda text: text[: len(text) * 6 // 10]),
        "other-database": _elsewhere,
        "no-conversations": _by_sql("DELETE FROM threads; DELETE FROM conversations"),
        **{
            f"orphans-{kind.replace(' ', '-').replace('_', '-')}": _by_sql(statement)
            for kind, statement in ORPHANS.items()
        },
        "stale": _by_sql(_STALE),
        "flipped-compressed": _by_bytes(_flipped_in_the_middle),
        "flipped-content": _by_text(_flipped_in_a_body),
        "trailing-garbage": _by_bytes(lambda packed: packed + b"\0garbage"),
        "error-text": _by_text(lambda _text: b'mariadb-dump: Got error: 2002: "Can\'t connect to local server"\n'),
        "empty-gzip": _by_text(lambda _text: b""),
        "empty-file": _by_bytes(lambda _packed: b""),
        "utf8mb3": _by_sql("", "--default-character-set=utf8mb3"),
        "schema-only": _by_sql("", "--no-data"),
        "mysql8-collation": _by_text(_by_mysql),
        "mysql8-gtid": _by_text(_with_gtid),
        "foreign-definer": _by_text(_with_definer),
        "doubled-row": _by_text(_doubled_row),
        "no-admin": _by_sql("UPDATE users SET status = 3 WHERE role = 2 AND status = 1"),
        "hashes-replaced": _by_sql("UPDATE users SET password = MD5(email) WHERE id = 3"),
        "migration-missing": _by_sql("DELETE FROM migrations WHERE id = 40"),
        "migration-unknown": _by_sql("UPDATE migrations SET migration = '2032_01_01_000000_later' WHERE id = 1"),
        "jobs-run": _by_sql("UPDATE jobs SET attempts = 1 WHERE id = 1; DELETE FROM jobs WHERE id = 2"),
        "no-env": _without(dumps.ENV),
        "no-attachments": _without(dumps.ATTACHMENTS),
        "no-modules": _without(dumps.MODULES),
        "no-dump": _without(dumps.DUMP),
        "wrong-app-key": _with_key(OTHER_KEY),
        "empty-app-key": _with_key(""),
        "half-of-the-attachments": _half_of_the_attachments,
        "short-attachments": _short_attachments,
        "other-checksum": _other_checksum,
    }
)
"""Every way in which a set can be bad, by name."""

CAUGHT_BY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "truncated": ("crc",),
        "no-trailer": ("trailer",),
        "cut-before-threads": ("trailer", "schema"),
        "without-comments-cut": ("trailer",),
        "other-database": ("schema",),
        "no-conversations": ("rows",),
        **{name: ("orphans",) for name in BROKEN if name.startswith("orphans-")},
        "stale": ("data age",),
        "flipped-compressed": ("crc",),
        "flipped-content": ("fingerprint",),
        "trailing-garbage": ("crc",),
        "error-text": ("trailer", "schema"),
        "empty-gzip": ("trailer", "schema"),
        "empty-file": ("crc",),
        "utf8mb3": ("emoji",),
        "schema-only": ("rows",),
        "mysql8-collation": ("error 1273",),
        "mysql8-gtid": ("error 1193",),
        "foreign-definer": ("error 1449",),
        "doubled-row": ("error 1062",),
        "no-admin": ("admin",),
        "hashes-replaced": ("hashes",),
        "migration-missing": ("migrations",),
        "migration-unknown": ("migrations",),
        "jobs-run": ("jobs",),
        "no-env": ("parts",),
        "no-attachments": ("parts",),
        "no-modules": ("parts",),
        "no-dump": ("parts",),
        "wrong-app-key": ("app key",),
        "empty-app-key": ("app key",),
        "half-of-the-attachments": ("attachments",),
        "short-attachments": ("attachments",),
        "other-checksum": ("checksum",),
    }
)
"""What must catch it, at the least; several: any of them."""


def _huge_row(healthy: HealthySet, directory: Path) -> DumpSet:
    """One mail of 17 MB, as an attachment pasted into a body makes: the manifest counts it."""
    made = _copied(healthy, directory)
    with scratch(healthy) as database:
        healthy.server.sql("UPDATE threads SET body = REPEAT('the tide was low ', 1048576) WHERE id = 10", database)
        dumps.write_dump(healthy.server, made.files[dumps.DUMP], database=database)
        ((count, total),) = healthy.server.sql(dumps.FINGERPRINT, database)
    fingerprint = {"count": int(count), "crc32_sum": int(total)}
    dumps.describe_again(made, lambda manifest: manifest.update(threads_fingerprint=fingerprint))
    return made


HARD: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "row-over-16-mb": _huge_row,
        "one-row-a-statement": _by_sql("", "--skip-extended-insert"),
        "all-rows-in-one-statement": _by_sql("", "--net-buffer-length=16M"),
        "without-locks": _by_sql("", "--skip-add-locks", "--skip-disable-keys"),
        "with-column-names": _by_sql("", "--complete-insert"),
        "hex-blobs": _by_sql("", "--hex-blob"),
        "without-comments-but-the-last": _by_sql("", "--skip-dump-date"),
        "without-comments": _by_sql("", "--skip-comments"),
        "plain": _packed_as("", bytes),
        "xz": _packed_as(".xz", lzma.compress),
        "bzip2": _packed_as(".bz2", bz2.compress),
        "zstd": _packed_as(".zst", _zstd),
        "no-manifest": _without(dumps.MANIFEST),
    }
)
"""Sets that are healthy and must pass, though they look different."""


def members(archive: Path) -> list[str]:
    """The names of the files in a tar archive."""
    with tarfile.open(archive) as tar:
        return sorted(member.name for member in tar.getmembers() if member.isfile())
