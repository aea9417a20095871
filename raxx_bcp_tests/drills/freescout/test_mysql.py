"""Both tiers' parts on a real MySQL: its login by socket, its passwords, its dumps."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.freescout import artefact, database_client, examine, facts, remote_program, restoring, site
from raxx_bcp.drills.freescout.expected import NOTHING_KNOWN
from raxx_bcp.drills.freescout.host_side import arrange, login
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import FreeScout
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import env, tree
from raxx_bcp_sandbox.mariadb import MariadbServer
from raxx_bcp_tests.drills.freescout.local_host import LocalHost
from raxx_bcp_tests.drills.freescout.mysql_server import MysqlServer, mysql_server
from raxx_bcp_tests.drills.freescout.stage import Stage, passed, said
from raxx_bcp_tests.faults.freescout_dumps import TAKEN

PASSWORD = 'p"w\\ #;é$x'
RESTORED = "restored"
_DUMP = ("--single-transaction", "--no-tablespaces", "--default-character-set=utf8mb4")


pytestmark = pytest.mark.xdist_group("mysql")
"""Its servers are made once, not by each worker."""


@dataclass
class Desk:
    """A help desk on MySQL, nothing of whose web site runs."""

    host: LocalHost
    server: MysqlServer

    def policy(self, **changes: str) -> FreeScout:
        told = {"site_directory": freescout.SITE, "database_server": "mysql", "site_port": 1}
        return FreeScout.model_validate({**told, **changes})

    def dump(self) -> bytes:
        argv = self.server.client_argv("mysqldump", *_DUMP, freescout.DATABASE)
        done = subprocess.run(argv, capture_output=True, check=True)
        return done.stdout

    def restore(self, sql: bytes) -> dict[str, Any]:
        """As Tier 2 does it, into an empty database."""
        self.server.sql(f"DROP DATABASE IF EXISTS {RESTORED}")
        policy = self.policy(database=RESTORED)
        self.host.client = database_client.of_new_host(policy)
        target = restoring.Target(self.host, policy, 300.0)
        return dict(restoring.load_database(target, iter([gzip.compress(sql, 1)])))


@pytest.fixture(scope="module")
def desk(short: Path) -> Iterator[Desk]:
    home = short / "mysql"
    (home / "bin").mkdir(parents=True)
    desk = freescout.help_desk(TAKEN)
    with mysql_server(home / "db") as server:
        server.sql(f"CREATE DATABASE {freescout.DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci")
        server.load(desk.statements(), freescout.DATABASE)
        server.sql(
            "ALTER TABLE threads CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci", freescout.DATABASE
        )
        user, secret = f"'{freescout.DATABASE_USER}'@'localhost'", PASSWORD.replace("\\", "\\\\")
        server.sql(
            f"CREATE USER {user} IDENTIFIED WITH caching_sha2_password BY '{secret}';"
            f"GRANT ALL ON {freescout.DATABASE}.* TO {user};"
        )
        host = LocalHost(home, cast("MariadbServer", server), 1)
        tree.write(host.site, desk.files)
        env.change(host.site, "DB_PASSWORD", f"'{PASSWORD}'")
        server.write_client(home / "bin" / "mysql")
        yield Desk(host, server)


def examined(desk: Desk, stage: Stage, policy: FreeScout) -> Drill:
    desk.host.client = database_client.of_copy(policy)
    drill = stage.drill()
    restored = examine.Restored(
        desk.host, policy, NOTHING_KNOWN, TAKEN, lambda: 0, client=desk.host.client, timeout_seconds=60.0
    )
    examine.examine(drill, restored)
    return drill


@pytest.mark.parametrize("how", ["socket", "env"])
def test_a_copy_on_mysql_is_examined_like_any_other(
    desk: Desk, stage: Stage, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(examine, "_SITE_SECONDS", 0.1)  # nothing is served here
    drill = examined(desk, stage, desk.policy(database_login=how))
    assert passed(drill) == set(examine.CHECKS) - set(site.CHECKS), said(drill)
    assert drill.target["mysql"] == desk.server.version
    assert PASSWORD not in said(drill) + "\n".join(desk.host.ran)


def test_it_is_no_mariadb(desk: Desk, stage: Stage) -> None:
    (desk.host.home / "bin" / "mariadb").write_bytes((desk.host.home / "bin" / "mysql").read_bytes())
    (desk.host.home / "bin" / "mariadb").chmod(0o755)
    with pytest.raises(CouldNotVerifyError, match=r"runs MySQL .*, and bcp.toml says MariaDB"):
        examined(desk, stage, desk.policy(database_server="mariadb"))


def test_its_dump_is_restored_row_for_row(desk: Desk) -> None:
    """Over connections of our own, as root by the socket, with rows of any size."""
    report = desk.restore(desk.dump())
    judged = artefact.judge(report, server="mysql")
    assert {one.status for one in judged} == {CheckStatus.PASS}, judged
    assert "collation utf8mb4_0900_ai_ci" in report["foreign"]
    before, after = (facts.ask(desk.host, name) for name in (freescout.DATABASE, RESTORED))
    assert after.fingerprint == before.fingerprint
    assert artefact.dump_rows(report["rows"], after.rows).status is CheckStatus.PASS
    tables = ", ".join(f"`{name}`" for (name,) in desk.server.sql("SHOW TABLES", RESTORED))
    source, copy = (
        [total for _name, total in desk.server.sql(f"CHECKSUM TABLE {tables} EXTENDED", name)]
        for name in (freescout.DATABASE, RESTORED)
    )
    assert source == copy


def test_replications_words_in_it_are_no_fault(desk: Desk) -> None:
    words = b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';\n"
    head = b"SET @@SESSION.SQL_LOG_BIN= 0;\n" + words
    report = desk.restore(desk.dump().replace(b"\n\n", b"\n\n" + head, 1))
    judged = {one.name: one for one in artefact.judge(report, server="mysql")}
    assert report["error"] is None
    assert "GTID_PURGED" in report["foreign"]
    assert judged[artefact.DIALECT].status is CheckStatus.PASS


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda sql: sql[: len(sql) // 2], artefact.TRAILER),
        (lambda sql: sql.replace(b"utf8mb4_0900_ai_ci", b"utf8mb4_uca9999_ai_ci"), artefact.RESTORED),
    ],
    ids=["cut", "a collation of nobody's"],
)
def test_a_broken_dump_of_it_is_caught(desk: Desk, change: Any, check: str) -> None:
    judged = {one.name: one.status for one in artefact.judge(desk.restore(change(desk.dump())), server="mysql")}
    assert judged[check] is CheckStatus.FAIL


def test_the_site_is_let_into_it(desk: Desk, tmp_path: Path) -> None:
    desk.restore(b"CREATE TABLE t (id int);\n-- Dump completed\n")
    client = database_client.of_new_host(desk.policy())
    source = remote_program.program(login, arrange, arguments=(str(tmp_path), RESTORED, client))
    given = b"APP_KEY=x\nDB_USERNAME=another\nDB_PASSWORD='it''s'\n"
    for _time in ("made", "made again"):
        assert json.loads(desk.host.python(source, stdin=given)) == {"user": True}
    own = database_client.of_copy(desk.policy(site_directory=str(tmp_path), database_login="env"))
    desk.host.client = own
    assert desk.host.sql("SHOW TABLES;", database=RESTORED) == [["t"]]


def test_what_mysqldump_prints_is_read_as_it_is(desk: Desk) -> None:
    """The positive control: it is MySQL's dump, with its own words, that was restored above."""
    text = desk.dump()
    assert text.startswith(b"-- MySQL dump")
    assert b"utf8mb4_0900_ai_ci" in text
    assert text.splitlines()[-1].startswith(b"-- Dump completed")
