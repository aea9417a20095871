"""The help desk as a sandbox begins: all that a drill looks at is there, and sound."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pytest

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import env, laravel, schema, seed, tree
from raxx_bcp_sandbox.freescout.rows import Value, literal
from raxx_bcp_sandbox.mariadb import MariadbServer
from raxx_bcp_tests.faults.freescout_dumps import TAKEN, HealthySet, healthy_set
from raxx_bcp_tests.faults.scanning import found_in_bytes

# contracts/freescout.md, "SQL checks".
COLUMNS = {
    "attachments": "id thread_id file_dir file_name mime_type size",
    "conversations": (
        "id number threads_count folder_id status state subject customer_email has_attachments mailbox_id user_id "
        "customer_id created_at updated_at last_reply_at"
    ),
    "customers": "id first_name last_name",
    "emails": "id customer_id email",
    "folders": "id mailbox_id type total_count",
    "jobs": "queue payload attempts available_at",
    "mailbox_user": "mailbox_id user_id",
    "mailboxes": "id name email out_server out_port out_username out_password in_server in_password meta",
    "migrations": "migration batch",
    "options": "name value",
    "threads": (
        "id conversation_id type status state body message_id customer_id created_by_user_id has_attachments created_at"
    ),
    "users": "id email password role type status",
}

EXPECTED = (
    "eyJpdiI6Ik1ERXlNelExTmpjNE9XRmlZMlJsWmc9PSIsInZhbHVlIjoiSytLV0pldWxRQ09KRGdVWUtOUkhtdz09Ii"
    "wibWFjIjoiOTY1ZmUxMDA1MGM4YTg3MmY5MWI4MzJlMjE0NDZkOGIzNDZhNWNhYTFmMWU1NWM3MGY4YjM1NjQ0YWI2"
    "YzkyOSJ9"
)


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> HealthySet:
    """A FreeScout of the newer version, whose server has been stopped."""
    with healthy_set(tmp_path_factory.mktemp("newer"), freescout.NEWER) as made:
        return made


def rows(healthy: HealthySet, query: str) -> list[list[str]]:
    """Ask the help desk's database."""
    return healthy.server.sql(query, freescout.DATABASE)


class TestTheDatabase:
    def test_it_has_the_twenty_four_tables_and_nothing_else(self, healthy: HealthySet) -> None:
        found = rows(
            healthy,
            "SELECT table_name, engine, table_collation, table_type FROM information_schema.tables "
            "WHERE table_schema = 'freescout'",
        )
        assert sorted(row[0] for row in found) == list(freescout.TABLES)
        assert len(found) == 24
        assert {tuple(row[1:]) for row in found} == {("InnoDB", "utf8mb4_unicode_ci", "BASE TABLE")}
        for what in ("triggers WHERE trigger_schema", "routines WHERE routine_schema"):
            assert rows(healthy, f"SELECT 1 FROM information_schema.{what} = 'freescout'") == []  # noqa: S608
        foreign = "SELECT 1 FROM information_schema.referential_constraints WHERE constraint_schema = 'freescout'"
        assert rows(healthy, foreign) == []

    @pytest.mark.parametrize("table", sorted(COLUMNS))
    def test_its_columns_have_the_real_names(self, healthy: HealthySet, table: str) -> None:
        found = {row[0] for row in rows(healthy, f"SHOW COLUMNS FROM `{table}`")}
        assert set(COLUMNS[table].split()) <= found

    def test_it_is_of_the_size_of_a_small_help_desk(self, healthy: HealthySet) -> None:
        counts = healthy.dump_set.manifest["rows"]
        assert counts["conversations"] == 300
        assert counts["threads"] == 1500
        assert counts["attachments"] == 40
        assert counts["jobs"] == 5
        assert counts["mailboxes"] == 3
        assert min(counts.values()) > 0

    def test_the_counters_agree_with_the_rows(self, healthy: HealthySet) -> None:
        query = (
            "SELECT COUNT(*) FROM conversations c WHERE threads_count <> "
            "(SELECT COUNT(*) FROM threads t WHERE t.conversation_id = c.id)"
        )
        assert rows(healthy, query) == [["0"]]

    def test_nothing_lies_in_the_future_and_the_newest_is_fresh(self, healthy: HealthySet) -> None:
        ((newest, oldest, fetched),) = rows(
            healthy,
            "SELECT UNIX_TIMESTAMP(MAX(created_at)), UNIX_TIMESTAMP(MIN(created_at)), "
            "(SELECT value FROM options WHERE name = 'fetch_emails_last_run') FROM threads",
        )
        now = TAKEN.timestamp()
        assert timedelta(0) < timedelta(seconds=now - int(newest)) < timedelta(minutes=30)
        assert timedelta(seconds=now - int(oldest)) > timedelta(days=300)
        assert int(fetched) == now - 180

    def test_mails_are_in_many_scripts(self, healthy: HealthySet) -> None:
        for word in ("großartig", "žluťoučký", "ボート", "الق", "🚣", "👩‍👩‍👧‍👦"):
            query = f"SELECT COUNT(*) FROM threads WHERE BINARY body LIKE {literal(f'%{word}%')}"  # noqa: S608
            assert int(rows(healthy, query)[0][0]) > 0, word

    def test_an_admin_may_log_in_and_another_was_switched_off(self, healthy: HealthySet) -> None:
        assert rows(healthy, "SELECT status, COUNT(*) FROM users WHERE role = 2 AND type = 1 GROUP BY 1") == [
            ["1", "1"],
            ["2", "1"],
        ]
        ((password,),) = rows(healthy, "SELECT password FROM users WHERE id = 1")
        assert bcrypt.checkpw(b"sandbox Alma", password.replace("$2y", "$2b").encode())

    def test_migrations_are_the_codes_and_one_of_a_module(self, healthy: HealthySet) -> None:
        code = {path.stem for path in (healthy.site / tree.MIGRATIONS).glob("*.php")}
        module = {path.stem for path in (healthy.site / tree.MODULES).glob("*/Database/Migrations/*.php")}
        found = {row[0] for row in rows(healthy, "SELECT migration FROM migrations")}
        assert len(code) >= 60
        assert len(module) == 1
        assert found == code | module

    def test_attachments_are_on_disk_with_their_size(self, healthy: HealthySet) -> None:
        found = rows(healthy, "SELECT file_dir, file_name, size FROM attachments")
        kinds = set()
        for directory, name, size in found:
            content = (healthy.site / tree.ATTACHMENTS / directory / name).read_bytes()
            assert len(content) == int(size) > 0
            kinds.add(content[:4])
        assert {b"\x89PNG", b"%PDF"} < kinds
        assert all(re.fullmatch(r"\d/\d/1/", directory) for directory, _name, _size in found)

    def test_jobs_wait_for_customers(self, healthy: HealthySet) -> None:
        found = rows(healthy, "SELECT payload, attempts, available_at FROM jobs")
        assert all("SendReplyToCustomer" in payload for payload, _attempts, _at in found)
        assert {(attempts, at) for _payload, attempts, at in found} == {("0", str(int(TAKEN.timestamp())))}

    def test_1_8_145_has_no_token_type(self, healthy: HealthySet) -> None:
        assert rows(healthy, "SHOW COLUMNS FROM attachments LIKE 'token_type'") == []

    def test_the_newer_version_has_both_sorts_of_tokens(self, newer: HealthySet) -> None:
        with newer.server:
            query = "SELECT token_type, COUNT(*) FROM attachments GROUP BY 1 ORDER BY 1"
            assert rows(newer, query) == [["NULL", "20"], ["3", "20"]]
        assert newer.dump_set.manifest["freescout_version"] == freescout.NEWER


class TestDeterminism:
    def test_the_same_moment_gives_the_same_rows(self) -> None:
        first, second = (list(freescout.help_desk(TAKEN).statements()) for _ in range(2))
        assert first == second

    def test_another_moment_moves_the_times_only(self) -> None:
        then, later = freescout.help_desk(TAKEN), freescout.help_desk(TAKEN + timedelta(days=100))
        bodies = [[row["body"] for row in desk.rows["threads"]] for desk in (then, later)]
        assert bodies[0] == bodies[1]
        assert then.rows["threads"][0]["created_at"] != later.rows["threads"][0]["created_at"]

    def test_jobs_fall_due_when_told(self) -> None:
        due = datetime(2031, 12, 24, tzinfo=UTC)
        desk = freescout.help_desk(TAKEN, jobs_due=due)
        assert {row["available_at"] for row in desk.rows["jobs"]} == {int(due.timestamp())}


class TestLaravel:
    def test_an_encrypted_value_is_what_laravel_writes(self) -> None:
        """Made with ``openssl`` and the formula of Laravel's Encrypter, not with this code."""
        key = "base64:" + "QUFB" * 10 + "QUE="
        value = laravel.encrypt(key, "geheim", b"0123456789abcdef")
        assert value == EXPECTED

    @pytest.mark.parametrize("spoilt", ["", "no base64!", "e30=", "W10=", "bnVsbA=="])
    def test_what_is_no_encrypted_value_is_of_no_key(self, spoilt: str) -> None:
        assert laravel.is_of_key(freescout.APP_KEY, spoilt) is False

    @pytest.mark.parametrize("key", ["", "base64:", "base64:!!", "base64:QUFB", "short"])
    def test_a_key_of_another_length_is_refused(self, key: str) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            laravel.key_bytes(key)

    def test_every_encrypted_value_is_of_the_key_and_of_no_other(self, healthy: HealthySet) -> None:
        values = rows(
            healthy,
            "SELECT in_password FROM mailboxes UNION ALL SELECT out_password FROM mailboxes "
            "UNION ALL SELECT value FROM options WHERE name = 'mail_password'",
        )
        assert len(values) == 7
        assert all(laravel.is_of_key(freescout.APP_KEY, value) for (value,) in values)
        assert not any(laravel.is_of_key(laravel.app_key(b"x"), value) for (value,) in values)

    def test_tokens(self) -> None:
        assert laravel.token("base64:abc", 7, 1234, "a.png", None) == "42b83d54634dfc04ea43c9cd2a40d2fd"
        assert laravel.token("base64:abc", 7, 1234, "a.png", 1) == laravel.token("base64:abc", 7, 1234, "b", None)
        assert laravel.token("base64:abc", 7, 1234, "a.png", 3) != laravel.token("base64:abc", 7, 1234, "b.png", 3)

    def test_an_attachments_directory_is_two_digits_of_its_ids_md5(self) -> None:
        """md5("1") is c4ca4238…, md5("2") c81e728d…."""
        assert laravel.attachment_directory(1) == "4/4/1/"
        assert laravel.attachment_directory(2) == "8/1/1/"


class TestPlanted:
    def test_the_dump_and_the_files_hold_what_is_planted(self, healthy: HealthySet) -> None:
        everything = gzip.decompress(healthy.dump_set.files["database.sql.gz"].read_bytes())
        everything += healthy.dump_set.files["env"].read_bytes()
        mailbox_passwords = {
            seed.secret(f"{way} {box}") for way in ("in", "out") for box in ("support", "billing", "races")
        }
        encrypted = mailbox_passwords | {seed.secret("mail")}
        planted = set(freescout.planted())
        assert encrypted < planted
        found = set(found_in_bytes(everything.replace(b"\\'", b"'"), planted - encrypted))
        assert planted - encrypted - found == set()
        assert found_in_bytes(everything, encrypted) == []

    def test_it_names_the_keys_hashes_and_addresses(self) -> None:
        planted = freescout.planted()
        assert freescout.APP_KEY in planted
        assert freescout.database_password() in planted
        assert sum(each.startswith("$2y$") for each in planted) == 5
        assert sum("@mail-of-customers.example" in each for each in planted) == 200
        assert all(len(each) > 10 for each in planted)


class TestTheTree:
    def test_the_archive_of_the_code_has_one_folder_and_no_secret(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(freescout.code_archive("1.8.145"))) as tar:
            names = tar.getnames()
            config = tar.extractfile("freescout-1.8.145/config/app.php")
            assert config is not None
            assert b"'version' => '1.8.145'" in config.read()
            assert tar.getmember("freescout-1.8.145/artisan").mode == 0o755
        assert {name.partition("/")[0] for name in names} == {"freescout-1.8.145"}
        assert "freescout-1.8.145/.env" not in names
        assert "freescout-1.8.145/.env.example" in names
        assert sum("/database/migrations/" in name for name in names) == len(schema.migrations("1.8.145"))
        assert not [name for name in names if "/Modules/" in name and not name.endswith("Modules/.gitkeep")]

    def test_the_archive_is_the_same_every_time(self) -> None:
        assert freescout.code_archive() == freescout.code_archive()
        assert freescout.code_archive() != freescout.code_archive(freescout.NEWER)

    def test_env_is_for_its_owner_only(self, healthy: HealthySet) -> None:
        assert (healthy.site / ".env").stat().st_mode & 0o777 == 0o600
        assert env.read(healthy.site)["APP_KEY"] == freescout.APP_KEY
        assert env.read(healthy.site)["DB_PASSWORD"] == freescout.database_password()

    def test_env_is_changed_line_by_line(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("A=1\nB='two words'\n# C=3\n")
        assert env.read(tmp_path) == {"A": "1", "B": "two words"}
        env.change(tmp_path, "A", r"a\1b")
        env.change(tmp_path, "D", "4")
        env.drop(tmp_path, "B")
        assert (tmp_path / ".env").read_text() == "A=a\\1b\n# C=3\nD=4\n"
        assert env.read(tmp_path / "nowhere") == {}


class TestInstalling:
    def test_no_server_runs_afterwards_and_the_disk_boots_again(self, tmp_path: Path) -> None:
        key = laravel.app_key(b"another")
        freescout.install(tmp_path, TAKEN, app_key=key, version=freescout.NEWER)
        assert not (tmp_path / freescout.MARIADB / "server.pid").exists()
        assert env.read(tmp_path / freescout.SITE)["APP_KEY"] == key
        with MariadbServer(tmp_path / freescout.MARIADB) as server:
            ((password,),) = server.sql("SELECT in_password FROM mailboxes WHERE id = 1", freescout.DATABASE)
        assert laravel.is_of_key(key, password)


@pytest.mark.parametrize(
    "value", ["", "it's", "a\\b", "line\nbreak\r\t", "\x00\x1a", "🚣", "'; DROP TABLE x; --", 7, None]
)
def test_a_literal_is_read_back_as_it_was(healthy: HealthySet, value: Value) -> None:
    if value is None:
        assert healthy.server.sql(f"SELECT {literal(value)} IS NULL") == [["1"]]
    else:
        ((found,),) = healthy.server.sql(f"SELECT HEX(CONCAT('x', {literal(value)}))")
        assert bytes.fromhex(found).decode() == f"x{value}"


def test_the_migrations_are_those_of_the_real_code_of_1_8_145() -> None:
    names = schema.migrations("1.8.145")
    assert "2023_01_14_010101_change_deleted_folder_index" in names
    assert "2018_12_06_105300_add_nullable_to_in_password_field_in_mailbox_table" not in names
    assert list(names) == sorted(names)
