"""The loader on a real MariaDB: the same content as the client program restores, whatever the dump looks like."""

# ruff: noqa: S608 - the statements are these tests' own
from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pwd
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.drills.freescout import artefact, remote_program
from raxx_bcp.drills.freescout.host_side import loader, splitter, unpacking, wire
from raxx_bcp.drills.hosts.shell import SQL_CLIENT
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.mariadb import MariadbServer
from raxx_bcp_tests.drills.freescout.local_host import LocalHost
from raxx_bcp_tests.faults.freescout_dumps import HealthySet

TEXT = "the tide was low and the kayak stayed ashore"
"""Stands for a customer's text."""


@pytest.fixture
def server(host: LocalHost) -> Iterator[MariadbServer]:
    host.server.sql("CREATE DATABASE loaded CHARACTER SET utf8mb4")
    try:
        yield host.server
    finally:
        host.server.sql("DROP DATABASE IF EXISTS loaded; DROP DATABASE IF EXISTS other")


def load(host: LocalHost, packed: bytes, connections: int = 3, database: str = "loaded") -> dict[str, Any]:
    client = [str(host.home / "bin" / "mariadb"), *SQL_CLIENT[1:]]
    return loader.restore(io.BytesIO(packed), database, connections, client)


def load_text(host: LocalHost, text: str, connections: int = 3) -> dict[str, Any]:
    return load(host, gzip.compress(text.encode()), connections)


def checksums(server: MariadbServer, database: str) -> dict[str, str]:
    tables = [name for (name,) in server.sql("SHOW TABLES", database)]
    listed = ", ".join(f"`{name}`" for name in tables)
    return {name.partition(".")[2]: total for name, total in server.sql(f"CHECKSUM TABLE {listed} EXTENDED", database)}


def dump_of(healthy: HealthySet, folder: Path, *options: str) -> bytes:
    path = folder / "dump.sql.gz"
    dumps.write_dump(healthy.server, path, *options)
    return path.read_bytes()


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_content_is_that_of_the_source(
    host: LocalHost, server: MariadbServer, healthy: HealthySet, connections: int
) -> None:
    told = load(host, healthy.dump_set.files[dumps.DUMP].read_bytes(), connections)
    assert (told["packed"], told["trailer"], told["error"], told["refused"]) == ("whole", True, None, 0)
    assert told["rows"] == {name: count for name, count in healthy.dump_set.manifest["rows"].items() if count}
    assert checksums(server, "loaded") == checksums(healthy.server, "freescout")


@pytest.mark.parametrize(
    "options",
    [
        ("--skip-extended-insert",),
        ("--no-autocommit",),
        ("--net-buffer-length=4096",),
        ("--complete-insert", "--skip-add-locks", "--skip-disable-keys"),
        ("--databases",),
        ("--compact",),
        ("--skip-set-charset", "--skip-comments"),
        ("--replace",),
        ("--insert-ignore",),
        ("--order-by-primary", "--single-transaction", "--dump-date=FALSE"),
    ],
)
def test_content_is_that_of_the_source_however_it_was_dumped(
    host: LocalHost, server: MariadbServer, healthy: HealthySet, tmp_path: Path, options: tuple[str, ...]
) -> None:
    told = load(host, dump_of(healthy, tmp_path, *options))
    assert told["error"] is None
    assert told["rows"] == {name: count for name, count in healthy.dump_set.manifest["rows"].items() if count}
    assert checksums(server, "loaded") == checksums(healthy.server, "freescout")
    assert told["databases"] == (["freescout"] if "--databases" in options else [])


def test_statements_that_depend_on_each_other_keep_their_order(host: LocalHost, server: MariadbServer) -> None:
    """Each row is made from what the statement before it left; a SET counts for every connection."""
    lines = ["CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (n int);"]
    for number in range(40):
        lines += [
            f"SET @word = 'w{number}';",
            f"INSERT INTO a VALUES ({2 * number}, @word);",
            f"INSERT INTO a VALUES ({2 * number + 1}, @word);",
            "INSERT INTO b SELECT COUNT(*) FROM a;",
        ]
    told = load_text(host, "\n".join(lines))
    assert told["error"] is None
    expected = [[str(number), f"w{number // 2}"] for number in range(80)]
    assert server.sql("SELECT id, v FROM a ORDER BY id", "loaded") == expected
    assert server.sql("SELECT n FROM b", "loaded") == [[str(2 * number)] for number in range(1, 41)]


def test_triggers_with_a_delimiter_of_their_own(host: LocalHost, server: MariadbServer) -> None:
    text = """CREATE TABLE a (id int);
INSERT INTO a VALUES (1),(2);
DELIMITER ;;
/*!50003 CREATE TRIGGER twice BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.id = NEW.id * 2; SET @x = 1; END */;;
DELIMITER ;
-- Dump completed
"""
    told = load_text(host, text)
    assert (told["error"], told["rows"]) == (None, {"a": 2})
    server.sql("INSERT INTO a VALUES (5)", "loaded")
    assert server.sql("SELECT id FROM a ORDER BY id", "loaded") == [["1"], ["2"], ["10"]]


def test_a_database_that_is_not_empty_is_refused_and_left_as_it_was(
    host: LocalHost, server: MariadbServer, healthy: HealthySet
) -> None:
    """Failure 14: the restore ends with 0, and old rows are counted as restored."""
    server.sql("CREATE TABLE threads (id int); INSERT INTO threads VALUES (7)", "loaded")
    told = load(host, healthy.dump_set.files[dumps.DUMP].read_bytes())
    assert told["refused"] == 1
    assert server.sql("SELECT id FROM threads", "loaded") == [["7"]]
    named = {one.name: one for one in artefact.judge(told)}
    assert "held 1 tables already" in named[artefact.RESTORED].reason


@pytest.mark.parametrize(
    ("statement", "code", "objects"),
    [
        (f"INSERT INTO a VALUES (2, '{TEXT}'), (2, 'x');", 1062, ["a", "PRIMARY"]),
        (f"INSERT INTO a VALUES (1, '{TEXT}', 3);", 1136, ["a"]),
        (f"INSERT INTO gone VALUES (1, '{TEXT}');", 1146, ["gone", "loaded.gone"]),
        (f"{TEXT};", 1064, []),
        ("CREATE TABLE c (v text COLLATE utf8mb4_0900_ai_ci);", 1273, ["utf8mb4_0900_ai_ci"]),
        ("SET @@GLOBAL.GTID_PURGED='a:1-2';", 1193, ["GTID_PURGED"]),
        ("CREATE TABLE a (id int);", 1050, ["a"]),
    ],
)
def test_an_error_is_its_code_and_its_objects(
    host: LocalHost, server: MariadbServer, statement: str, code: int, objects: list[str]
) -> None:
    text = (
        f"CREATE TABLE a (id int PRIMARY KEY, v text);\nINSERT INTO a VALUES (1, 'x');\n{statement}\n-- Dump completed"
    )
    told = load_text(host, text)
    assert told["error"] == {"code": code, "objects": objects}
    assert told["trailer"], "what comes after an error is still looked at"
    assert TEXT not in repr(told)
    assert TEXT not in repr(artefact.judge(told))


def test_a_server_that_dies_is_an_error_and_not_a_wait_for_ever(short: Path) -> None:
    with MariadbServer(short / "dying") as server:
        server.sql("CREATE DATABASE loaded")
        (short / "dying" / "client").write_text(
            "#!/bin/sh\nexec env "
            + " ".join(f"{name}={value}" for name, value in server.binaries.environment().items() if name != "PATH")
            + " "
            + " ".join(server.client_argv())
            + ' "$@"\n'
        )
        (short / "dying" / "client").chmod(0o755)
        rows = ";\n".join(f"INSERT INTO a VALUES ({number}, REPEAT('x', 20000))" for number in range(20_000))
        packed = io.BytesIO(gzip.compress(f"CREATE TABLE a (id int, v longtext);\n{rows};\n".encode(), 1))
        killer = threading.Timer(0.3, server.kill)
        killer.start()
        told = loader.restore(packed, "loaded", 2, [str(short / "dying" / "client"), *SQL_CLIENT[1:]])
        killer.join()
    assert told["error"] is not None
    assert told["error"]["code"] in (1053, 2002, 2013)


def test_without_a_server_or_a_client_the_code_says_so(host: LocalHost, server: MariadbServer) -> None:
    assert load(host, b"", database="nowhere")["error"] == {"code": 1049, "objects": []}
    missing = loader.restore(io.BytesIO(b""), "loaded", 2, ["/nonexistent/mariadb"])
    assert missing["error"] == {"code": 2000, "objects": []}
    assert server.alive()


def test_the_login_of_a_debian_or_ubuntu_host(host: LocalHost, server: MariadbServer) -> None:
    """There, a user of the system is let in by the socket alone, as who they are, after another method was offered."""
    name = pwd.getpwuid(os.getuid()).pw_name
    account = f"`{name}`@localhost IDENTIFIED VIA"
    server.sql(
        f"{'ALTER' if name == 'root' else 'CREATE OR REPLACE'} USER {account} unix_socket OR mysql_native_password"
    )
    try:
        connection = wire.Connection(str(server.socket), name, "information_schema")
        connection.query(b"SELECT TABLE_NAME FROM TABLES")
        connection.query(b"DO 1")
        connection.close()
    finally:
        host.server.sql(f"ALTER USER {account} mysql_native_password USING ''")
    with pytest.raises(wire.SqlError) as raised:
        wire.Connection(str(server.socket), "nobody-of-ours", "information_schema")
    assert raised.value.code == 1045


PLAIN = b"CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n-- Dump completed on 2031-03-14\n"


def zstd(text: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc", "--check"], input=text, capture_output=True, check=True).stdout


def flipped(packed: bytes) -> bytes:
    """One bit of its middle changed."""
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 4]) + packed[middle + 1 :]


@pytest.mark.parametrize(
    ("packed", "state"),
    [
        (gzip.compress(PLAIN), "whole"),
        (gzip.compress(PLAIN[:30]) + gzip.compress(PLAIN[30:]), "whole"),
        (gzip.compress(PLAIN)[:-4], "truncated"),
        (gzip.compress(PLAIN)[:10], "truncated"),
        (gzip.compress(PLAIN) + b"more", "followed by something else"),
        (gzip.compress(PLAIN)[:-8] + zlib.crc32(b"else").to_bytes(4, "little") + gzip.compress(PLAIN)[-4:], "corrupt"),
        (PLAIN, "whole"),
        (b"\0\1\2" + PLAIN, unpacking.UNKNOWN),
        (b"", "empty"),
        (lzma.compress(PLAIN), "whole"),
        (lzma.compress(PLAIN)[:-9], "truncated"),
        (lzma.compress(PLAIN[:20]) + lzma.compress(PLAIN[20:]), "whole"),
        (flipped(lzma.compress(PLAIN)), "corrupt"),
        (bz2.compress(PLAIN), "whole"),
        (bz2.compress(PLAIN)[:-9], "truncated"),
        (flipped(bz2.compress(PLAIN)), "corrupt"),
        (zstd(PLAIN), "whole"),
        (zstd(PLAIN)[:-9], "truncated or corrupt"),
        (flipped(zstd(PLAIN)), "truncated or corrupt"),
    ],
    # Named by words: gzip writes the second into its header, and two test workers may start in different seconds.
    ids=[
        *("whole", "two-members", "no-trailer", "header-only", "more-behind", "wrong-checksum", "plain", "rubbish"),
        *("nothing", "xz", "xz-cut", "xz-twice", "xz-flipped", "bzip2", "bzip2-cut", "bzip2-flipped"),
        *("zstd", "zstd-cut", "zstd-flipped"),
    ],
)
def test_what_became_of_the_packed_dump(host: LocalHost, server: MariadbServer, packed: bytes, state: str) -> None:
    told = load(host, packed)
    assert told["packed"] == state
    assert server.alive()
    named = {one.name: one.status.value for one in artefact.judge(told)}
    assert named[artefact.COMPRESSION] == ("PASS" if state == "whole" else "FAIL")


def test_two_databases_in_one_dump_are_told(host: LocalHost, server: MariadbServer) -> None:
    text = "CREATE DATABASE one;\nUSE one;\nCREATE TABLE a (id int);\nUSE `two`;\nCREATE TABLE b (id int);\n"
    told = load_text(host, text)
    assert told["databases"] == ["one", "two"]
    assert [name for (name,) in server.sql("SHOW DATABASES") if name in ("one", "two")] == []
    named = {one.name: one.reason for one in artefact.judge(told)}
    assert "2 databases" in named[artefact.DIALECT]


def test_the_commands_of_a_client_in_a_dump_are_not_run(host: LocalHost, server: MariadbServer, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    told = load_text(host, f"\\! touch {marker}\nsystem touch {marker}\nCREATE TABLE a (id int);\n")
    assert not marker.exists()
    assert told["error"] is not None
    assert server.alive()


def test_a_program_for_a_bare_python_does_the_same(host: LocalHost, server: MariadbServer) -> None:
    source = remote_program.program(splitter, wire, unpacking, loader, arguments=("loaded", 2, SQL_CLIENT))
    printed = host.python(source, stdin=[gzip.compress(PLAIN)])
    assert b'"rows": {"a": 1}' in printed
    assert server.sql("SELECT id FROM a", "loaded") == [["1"]]


def test_without_the_program_zstd_the_host_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO(zstd(PLAIN))
    monkeypatch.setenv("PATH", "/nowhere")
    packed = unpacking.Packed()
    assert list(packed.blocks(stream)) == []
    assert packed.state == unpacking.NO_ZSTD


def opened(path: Path, form: str) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    """A file that packs quickly what is written to it."""
    if form == "gzip":
        return gzip.GzipFile(path, "wb", compresslevel=1)
    return bz2.BZ2File(path, "wb", compresslevel=1) if form == "bzip2" else lzma.LZMAFile(path, "wb", preset=0)


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2"])
def test_memory_stays_flat(host: LocalHost, server: MariadbServer, tmp_path: Path, form: str) -> None:
    """200 MB of SQL, in a process of its own: its peak is a small part of that."""
    path = tmp_path / "big.sql"
    with opened(path, form) as packed:
        packed.write(b"-- MariaDB dump 10.19\nCREATE TABLE a (id int, v longtext);\n")
        value = b"x" * 2000
        for first in range(0, 100_000, 500):
            rows = b",\n".join(b"(%d,'%b')" % (number, value) for number in range(first, first + 500))
            packed.write(b"INSERT INTO `a` VALUES\n" + rows + b";\n")
        packed.write(b"-- Dump completed\n")
    source = remote_program.program(splitter, wire, unpacking, loader, arguments=("loaded", 2, SQL_CLIENT))
    source += "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    told, peak_kb = host.python(source, stdin=[path.read_bytes()]).decode().splitlines()
    assert '"rows": {"a": 100000}' in told
    assert int(peak_kb) < 64 * 1024
