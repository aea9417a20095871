"""The corpus of dump sets: each broken one is broken in the way its name says, and in no other that would hide it."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import gnupg
import pytest
from botocore.stub import ANY, Stubber

from raxx_bcp.errors import PermanentError
from raxx_bcp.sandbox import freescout
from raxx_bcp.sandbox.freescout import dumps, env, laravel, tree
from raxx_bcp.sandbox.freescout.dumps import DumpSet
from raxx_bcp.sandbox.keys import make_key, private_home
from raxx_bcp.sandbox.mariadb import MariadbServer, SqlFailedError
from raxx_bcp_tests.faults.freescout_dumps import (
    BROKEN,
    CAUGHT_BY,
    HARD,
    ORPHANS,
    OTHER_KEY,
    TAKEN,
    HealthySet,
    members,
)

TRAILER = b"\n-- Dump completed on "
ORPHAN_QUERIES = {
    "threads without conversation": "threads LEFT JOIN conversations c ON c.id = conversation_id WHERE c.id IS NULL",
    "conversations without mailbox": "conversations c LEFT JOIN mailboxes m ON m.id = c.mailbox_id WHERE m.id IS NULL",
    "conversations without folder": "conversations c LEFT JOIN folders f ON f.id = c.folder_id WHERE f.id IS NULL",
    "conversations without customer": "conversations c LEFT JOIN customers u ON u.id = customer_id WHERE u.id IS NULL",
    "emails without customer": "emails e LEFT JOIN customers u ON u.id = e.customer_id WHERE u.id IS NULL",
    "attachments without thread": "attachments a LEFT JOIN threads t ON t.id = a.thread_id WHERE t.id IS NULL",
    "mailbox_user without user": "mailbox_user x LEFT JOIN users u ON u.id = x.user_id WHERE u.id IS NULL",
    "mailbox_user without mailbox": "mailbox_user x LEFT JOIN mailboxes m ON m.id = x.mailbox_id WHERE m.id IS NULL",
    "published conversations without threads": (
        "conversations c LEFT JOIN threads t ON t.conversation_id = c.id WHERE c.state = 2 AND t.id IS NULL"
    ),
}

Sql = Callable[..., list[list[str]]]
Restore = Callable[[DumpSet], Sql]
Broken = Callable[[str], DumpSet]


def text_of(made: DumpSet) -> bytes:
    """The SQL of a set."""
    return gzip.decompress(made.files[dumps.DUMP].read_bytes())


def number(rows: list[list[str]]) -> int:
    """The one number of an answer."""
    ((value,),) = rows
    return int(value)


def count(asked: Sql, source: str) -> int:
    """How many rows ``source``, a table or a join, has."""
    return number(asked(f"SELECT COUNT(*) FROM {source}"))  # noqa: S608


def counts(asked: Sql) -> dict[str, int]:
    """The rows of each table of FreeScout."""
    return {name: count(asked, name) for name in freescout.TABLES}


def source_of(healthy: HealthySet) -> Sql:
    """Asks the database that the healthy set was dumped from."""
    return lambda script: healthy.server.sql(script, freescout.DATABASE)


@dataclass(frozen=True)
class OperatorKey:
    """A key whose secret half is in the keyring of ``home``."""

    fingerprint: str
    home: Path


@pytest.fixture(scope="module")
def operator_key() -> Iterator[OperatorKey]:
    """The operator's key."""
    pair = make_key()
    with private_home() as home:
        gnupg.GPG(gnupghome=str(home)).import_keys(pair.secret)
        yield OperatorKey(pair.fingerprint, home)


@pytest.fixture
def restore(healthy: HealthySet) -> Iterator[Restore]:
    """Restores a set into a database of its own, and gives what asks it."""
    names: list[str] = []

    def restored(made: DumpSet) -> Sql:
        name = f"restored_{len(names)}"
        names.append(name)
        healthy.server.sql(f"CREATE DATABASE {name}")
        healthy.server.load([text_of(made)], name)
        return lambda script: healthy.server.sql(script, name)

    yield restored
    for name in names:
        healthy.server.sql(f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
def broken(healthy: HealthySet, tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """Makes a set of the corpus, once; read it only."""
    made: dict[str, DumpSet] = {}

    def once(name: str) -> DumpSet:
        if name not in made:
            made[name] = {**BROKEN, **HARD}[name](healthy, tmp_path_factory.mktemp("set"))
        return made[name]

    return once


def test_every_set_says_what_must_catch_it() -> None:
    assert set(BROKEN) == set(CAUGHT_BY)
    assert not set(BROKEN) & set(HARD)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_set_differs_from_the_healthy_one_and_its_checksums_hide_it(
    broken: Broken, healthy: HealthySet, name: str
) -> None:
    made = broken(name)
    before = {each: path.read_bytes() for each, path in healthy.dump_set.files.items() if each != dumps.MANIFEST}
    after = {each: path.read_bytes() for each, path in made.files.items() if each != dumps.MANIFEST}
    assert before != after
    recorded = {each: one["sha256"] for each, one in made.manifest["files"].items()}
    actual = {each: hashlib.sha256(content).hexdigest() for each, content in after.items()}
    assert (recorded == actual) == (name != "other-checksum")
    assert made.manifest["rows"] == healthy.dump_set.manifest["rows"]


class TestBeforeSql:
    def test_the_healthy_dump_is_whole(self, healthy: HealthySet) -> None:
        assert text_of(healthy.dump_set).splitlines()[-1].startswith(b"-- Dump completed on ")

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("truncated", EOFError),
            ("flipped-compressed", (zlib.error, gzip.BadGzipFile, EOFError)),
            ("trailing-garbage", gzip.BadGzipFile),
        ],
    )
    def test_the_compression_tells(self, broken: Broken, name: str, error: type[Exception]) -> None:
        with pytest.raises(error):
            text_of(broken(name))

    @pytest.mark.parametrize("name", ["no-trailer", "cut-before-threads", "error-text", "empty-gzip"])
    def test_the_trailer_tells_and_the_compression_does_not(self, broken: Broken, name: str) -> None:
        assert TRAILER not in text_of(broken(name))

    def test_an_empty_gzip_has_twenty_bytes(self, broken: Broken) -> None:
        assert broken("empty-gzip").files[dumps.DUMP].stat().st_size == 20

    def test_only_the_trailer_is_missing(self, broken: Broken, restore: Restore, healthy: HealthySet) -> None:
        asked = restore(broken("no-trailer"))
        assert asked(dumps.FINGERPRINT) == source_of(healthy)(dumps.FINGERPRINT)

    @pytest.mark.parametrize("part", ["env", "attachments", "modules", "dump"])
    def test_a_part_is_missing(self, broken: Broken, part: str) -> None:
        files = {"env": dumps.ENV, "attachments": dumps.ATTACHMENTS, "modules": dumps.MODULES, "dump": dumps.DUMP}
        made = broken(f"no-{part}")
        assert set(made.files) == {*files.values(), dumps.MANIFEST} - {files[part]}
        assert not (made.directory / files[part]).exists()


class TestRefusedByMariadb:
    @pytest.mark.parametrize(
        ("name", "code"),
        [("mysql8-collation", 1273), ("mysql8-gtid", 1193), ("foreign-definer", 1449), ("doubled-row", 1062)],
    )
    def test_with_this_error_and_no_word_of_a_mail(
        self, broken: Broken, restore: Restore, name: str, code: int
    ) -> None:
        with pytest.raises(SqlFailedError) as refused:
            restore(broken(name))
        assert refused.value.code == code
        assert not [secret for secret in freescout.planted() if secret in str(refused.value)]

    def test_the_statement_that_fails_holds_a_mail(self, broken: Broken, healthy: HealthySet) -> None:
        added = text_of(broken("doubled-row")).count(b"INSERT INTO `threads` VALUES (1,1,")
        assert added == 1
        assert text_of(healthy.dump_set).count(b"INSERT INTO `threads` VALUES (1,1,") == 0


class TestInTheDatabase:
    def test_a_healthy_one_has_no_orphans(self, healthy: HealthySet) -> None:
        for query in ORPHAN_QUERIES.values():
            assert count(source_of(healthy), query) == 0, query

    @pytest.mark.parametrize("kind", sorted(ORPHANS))
    def test_each_kind_of_orphan_comes_alone(self, broken: Broken, restore: Restore, kind: str) -> None:
        asked = restore(broken(f"orphans-{kind.replace(' ', '-').replace('_', '-')}"))
        found = {name: count(asked, query) for name, query in ORPHAN_QUERIES.items()}
        assert {name for name, count in found.items() if count} == {kind}

    def test_other_tables(self, broken: Broken, restore: Restore) -> None:
        assert {name for (name,) in restore(broken("other-database"))("SHOW TABLES")} == {"users", "wp_posts"}

    def test_tables_end_before_threads(self, broken: Broken, restore: Restore) -> None:
        tables = {name for (name,) in restore(broken("cut-before-threads"))("SHOW TABLES")}
        assert set(freescout.TABLES) - tables == {"threads", "users"}

    def test_no_conversations(self, broken: Broken, restore: Restore) -> None:
        asked = restore(broken("no-conversations"))
        assert asked("SELECT COUNT(*) FROM conversations UNION ALL SELECT COUNT(*) FROM threads") == [["0"], ["0"]]

    def test_tables_without_a_row(self, broken: Broken, restore: Restore) -> None:
        asked = restore(broken("schema-only"))
        assert {name for (name,) in asked("SHOW TABLES")} == set(freescout.TABLES)
        assert set(counts(asked).values()) == {0}

    def test_all_is_nine_days_old(self, broken: Broken, restore: Restore, healthy: HealthySet) -> None:
        query = (
            "SELECT value FROM options WHERE name = 'fetch_emails_last_run';"
            "SELECT UNIX_TIMESTAMP(MAX(created_at)) FROM threads"
        )
        then, now = restore(broken("stale"))(query), source_of(healthy)(query)
        assert [int(new[0]) - int(old[0]) for new, old in zip(now, then, strict=True)] == [9 * 86400] * 2

    def test_one_letter_differs_and_only_the_fingerprint_knows(
        self, broken: Broken, restore: Restore, healthy: HealthySet
    ) -> None:
        asked = restore(broken("flipped-content"))
        ((threads, total),) = asked(dumps.FINGERPRINT)
        ((healthy_threads, healthy_total),) = source_of(healthy)(dumps.FINGERPRINT)
        assert threads == healthy_threads
        assert total != healthy_total
        assert counts(asked) == healthy.dump_set.manifest["rows"]

    def test_emoji_became_question_marks(self, broken: Broken, restore: Restore, healthy: HealthySet) -> None:
        asked = restore(broken("utf8mb3"))
        assert number(asked("SELECT COUNT(*) FROM threads WHERE HEX(body) LIKE '%F09F%'")) == 0
        assert number(asked("SELECT COUNT(*) FROM threads WHERE body LIKE '%?%'")) > 0
        assert healthy.dump_set.manifest["emoji_threads"] > 0

    def test_no_admin_may_log_in(self, broken: Broken, restore: Restore) -> None:
        query = "SELECT COUNT(*) FROM users WHERE role = 2 AND status = 1 AND type = 1"
        assert number(restore(broken("no-admin"))(query)) == 0

    def test_a_password_is_no_bcrypt_hash(self, broken: Broken, restore: Restore, healthy: HealthySet) -> None:
        query = "SELECT COUNT(*) FROM users WHERE password NOT REGEXP '^[$]2[aby][$][0-9]{2}[$].{53}$'"
        assert number(restore(broken("hashes-replaced"))(query)) == 1
        assert number(source_of(healthy)(query)) == 0

    def test_migrations_differ_from_the_code(self, broken: Broken, restore: Restore, healthy: HealthySet) -> None:
        code = {path.stem for path in (healthy.site / tree.MIGRATIONS).glob("*.php")}
        code |= {path.stem for path in (healthy.site / tree.MODULES).glob("*/Database/Migrations/*.php")}
        query = "SELECT migration FROM migrations"
        assert {name for (name,) in source_of(healthy)(query)} == code
        assert len(code - {name for (name,) in restore(broken("migration-missing"))(query)}) == 1
        assert {name for (name,) in restore(broken("migration-unknown"))(query)} - code == {"2032_01_01_000000_later"}

    def test_jobs_were_run(self, broken: Broken, restore: Restore) -> None:
        assert restore(broken("jobs-run"))("SELECT COUNT(*), SUM(attempts) FROM jobs") == [["4", "1"]]


class TestFiles:
    def test_the_key_is_another_one(self, broken: Broken, healthy: HealthySet, tmp_path: Path) -> None:
        encrypted = source_of(healthy)("SELECT in_password FROM mailboxes")
        made = broken("wrong-app-key")
        shutil.copyfile(made.files[dumps.ENV], tmp_path / env.NAME)
        found = env.read(tmp_path)
        assert found == env.read(healthy.site) | {"APP_KEY": OTHER_KEY}
        assert not any(laravel.is_of_key(found["APP_KEY"], value) for (value,) in encrypted)
        assert all(laravel.is_of_key(freescout.APP_KEY, value) for (value,) in encrypted)

    def test_there_is_no_key(self, broken: Broken, tmp_path: Path) -> None:
        shutil.copyfile(broken("empty-app-key").files[dumps.ENV], tmp_path / env.NAME)
        assert env.read(tmp_path)["APP_KEY"] == ""

    def test_half_of_the_attachments_are_missing(self, broken: Broken, healthy: HealthySet) -> None:
        whole = members(healthy.dump_set.files[dumps.ATTACHMENTS])
        left = members(broken("half-of-the-attachments").files[dumps.ATTACHMENTS])
        assert len(whole) == 40
        assert len(left) == 20
        assert set(left) < set(whole)

    def test_every_attachment_is_a_byte_short(self, broken: Broken, healthy: HealthySet) -> None:
        def sizes(made: DumpSet) -> dict[str, int]:
            with tarfile.open(made.files[dumps.ATTACHMENTS]) as tar:
                return {member.name: member.size for member in tar.getmembers() if member.isfile()}

        short, whole = sizes(broken("short-attachments")), sizes(healthy.dump_set)
        assert short == {name: size - 1 for name, size in whole.items()}


class TestHardButHealthy:
    @pytest.mark.parametrize("name", sorted(set(HARD) - {"no-manifest"}))
    def test_it_restores_to_what_its_manifest_says(self, broken: Broken, restore: Restore, name: str) -> None:
        made = broken(name)
        asked = restore(made)
        ((threads, total),) = asked(dumps.FINGERPRINT)
        assert made.manifest["threads_fingerprint"] == {"count": int(threads), "crc32_sum": int(total)}
        assert made.manifest["rows"] == counts(asked)

    def test_one_row_is_larger_than_the_client_takes_by_itself(self, broken: Broken, restore: Restore) -> None:
        asked = restore(broken("row-over-16-mb"))
        assert number(asked("SELECT MAX(LENGTH(body)) FROM threads")) > 16 * 1024 * 1024

    def test_a_set_without_a_manifest(self, broken: Broken, healthy: HealthySet) -> None:
        made = broken("no-manifest")
        assert made.manifest == {}
        assert set(made.files) == set(healthy.dump_set.files) - {dumps.MANIFEST}


class TestTheHealthySet:
    def test_the_manifest_tells_the_truth(self, healthy: HealthySet) -> None:
        manifest = healthy.dump_set.manifest
        assert manifest["kind"] == "raxx-bcp/freescout-dump"
        assert manifest["schema_version"] == 1
        assert manifest["taken_utc"] == TAKEN.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert manifest["freescout_version"] == freescout.VERSION
        assert manifest["mariadb_version"] == healthy.server.version
        assert set(manifest["rows"]) == set(freescout.TABLES)
        assert manifest["max_thread_id"] == manifest["threads_fingerprint"]["count"] == 1500
        for name, one in manifest["files"].items():
            content = healthy.dump_set.files[name].read_bytes()
            assert one == {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def test_the_manifest_holds_no_secret(self, healthy: HealthySet) -> None:
        text = healthy.dump_set.files[dumps.MANIFEST].read_text()
        assert not [secret for secret in freescout.planted() if secret in text]

    def test_a_dump_of_a_database_that_is_not_there_fails(self, healthy: HealthySet, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match="mariadb-dump of nowhere failed"):
            dumps.write_dump(healthy.server, tmp_path / "x.gz", database="nowhere")

    def test_counts_and_dump_are_of_one_state_while_mail_comes_in(self, healthy: HealthySet, tmp_path: Path) -> None:
        """Without a lock this set would be torn: rows arrive all the time, and the counts come after the dump."""
        shutil.copytree(healthy.site, tmp_path / "site")
        with healthy.server.frozen():
            shutil.copytree(healthy.server.directory, tmp_path / "mariadb")
        with MariadbServer(tmp_path / "mariadb", binaries=healthy.server.binaries) as server:
            ended = threading.Event()

            def mail_comes_in() -> None:
                while not ended.is_set():
                    server.sql("INSERT INTO emails (customer_id, email) VALUES (1, UUID()), (1, UUID())", "freescout")

            writer = threading.Thread(target=mail_comes_in)
            writer.start()
            try:
                made = dumps.dump_set(server, tmp_path / "site", TAKEN, tmp_path / "set")
            finally:
                ended.set()
                writer.join()
            server.sql("CREATE DATABASE again")
            server.load([text_of(made)], "again")
            then = number(server.sql("SELECT COUNT(*) FROM emails", "again"))
            now = number(server.sql("SELECT COUNT(*) FROM emails", "freescout"))
        assert made.manifest["rows"]["emails"] == then
        assert 200 <= then < now

    def test_encrypted_to_a_key_nothing_but_the_manifest_is_readable(
        self, healthy: HealthySet, operator_key: OperatorKey, tmp_path: Path
    ) -> None:
        made = dumps.dump_set(
            healthy.server,
            healthy.site,
            TAKEN,
            tmp_path / "set",
            recipient=operator_key.fingerprint,
            gpg_home=operator_key.home,
        )
        assert set(made.files) == {
            "attachments.tar.gz.gpg",
            "database.sql.gz.gpg",
            "env.gpg",
            "manifest.json",
            "modules.tar.gz.gpg",
        }
        assert set(made.manifest["files"]) == set(made.files) - {"manifest.json"}
        assert {path.name for path in made.directory.iterdir()} == set(made.files)
        opened = gnupg.GPG(gnupghome=str(operator_key.home)).decrypt(made.files["env.gpg"].read_bytes())
        assert opened.data == (healthy.site / env.NAME).read_bytes()
        ciphertext = made.files["database.sql.gz.gpg"].read_bytes()
        assert gzip.decompress(gnupg.GPG(gnupghome=str(operator_key.home)).decrypt(ciphertext).data).startswith(b"/*M!")

    def test_encryption_to_nobody_fails(self, healthy: HealthySet, operator_key: OperatorKey, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match="could not be encrypted"):
            dumps.dump_set(
                healthy.server, healthy.site, TAKEN, tmp_path, recipient="0" * 40, gpg_home=operator_key.home
            )

    def test_a_chosen_set_of_parts(self, healthy: HealthySet, tmp_path: Path) -> None:
        made = dumps.dump_set(healthy.server, healthy.site, TAKEN, tmp_path, parts=("env",))
        assert set(made.files) == {dumps.DUMP, dumps.ENV, dumps.MANIFEST}

    def test_it_is_uploaded_below_its_day_and_the_manifest_comes_last(self, healthy: HealthySet) -> None:
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url="http://127.0.0.1:9",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )
        with Stubber(client) as stub:
            expected = [f"dumps/2031-03-14/{name}" for name in healthy.dump_set.names if name != dumps.MANIFEST]
            expected.append(f"dumps/2031-03-14/{dumps.MANIFEST}")
            for key in expected:
                stub.add_response("put_object", {}, {"Bucket": "bucket", "Key": key, "Body": ANY})
            assert dumps.upload(client, "bucket", "dumps/", TAKEN.date(), healthy.dump_set) == expected
            stub.assert_no_pending_responses()
