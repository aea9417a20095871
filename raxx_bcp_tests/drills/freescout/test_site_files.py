"""What is read on the host's disk: keys, settings, file sizes; and the ``.env`` that is put into place."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.drills.freescout import remote_program
from raxx_bcp.drills.freescout.host_side import arrange, login, site_files
from raxx_bcp.drills.freescout.host_side.login import read_env
from raxx_bcp.drills.freescout.host_side.site_files import Site, is_sealed_with
from raxx_bcp.drills.hosts.shell import SQL_CLIENT
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import laravel
from raxx_bcp_tests.drills.freescout.local_host import LocalHost

KEY = base64.b64decode(freescout.APP_KEY.removeprefix("base64:"))


def sealed(text: bytes) -> bytes:
    return laravel.encrypt(freescout.APP_KEY, text.decode(), bytes(16)).encode()


def test_what_laravel_has_encrypted_was_made_with_its_key_and_no_other() -> None:
    value = sealed(b"a mailbox's password")
    assert is_sealed_with(KEY, value)
    assert not is_sealed_with(bytes(32), value)
    parts = json.loads(base64.b64decode(value))
    parts["value"] = parts["value"][:-4] + "AAA="
    assert not is_sealed_with(KEY, base64.b64encode(json.dumps(parts).encode()))


@given(st.binary(max_size=100))
def test_anything_else_was_not(value: bytes) -> None:
    assert not is_sealed_with(KEY, value)
    assert not is_sealed_with(KEY, base64.b64encode(value))


@pytest.mark.parametrize(
    "value", [b"[]", b'{"iv": 1, "value": 2, "mac": 3}', b'{"iv": "a", "value": "b", "mac": null}', b"7"]
)
def test_json_that_is_none_of_laravels_was_not(value: bytes) -> None:
    assert not is_sealed_with(KEY, base64.b64encode(value))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (None, "no .env"),
        ("APP_URL=x\n", "empty"),
        ("APP_KEY=\n", "empty"),
        (f"APP_KEY={freescout.APP_KEY}\n", "usable"),
        (f'export APP_KEY="{freescout.APP_KEY}"\n', "usable"),
        (f"#APP_KEY={freescout.APP_KEY}\n", "empty"),
        ("APP_KEY=SomeRandomString\n", "usable"),
        ("APP_KEY=base64:short\n", "malformed"),
        ("APP_KEY=base64:c2hvcnQ=\n", "malformed"),
    ],
)
def test_the_state_of_the_key(tmp_path: Path, text: str | None, state: str) -> None:
    if text is not None:
        (tmp_path / ".env").write_text(text)
    assert Site(str(tmp_path), "freescout", SQL_CLIENT).key_state() == state


def test_settings_are_read_as_phps_dotenv_does(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# x=1\nA=plain # a comment\nB=\"two words # no comment\"\nC='it is $x'\n D = e \nnone\n"
    )
    expected = {"A": "plain", "B": "two words # no comment", "C": "it is $x", "D": "e"}
    assert read_env(tmp_path / ".env") == expected
    assert read_env(tmp_path / "nothing") == {}


@pytest.mark.parametrize("name", [b"../../../etc/passwd\0", b"no/such", b"\xff\xfe", b"a" * 5000])
def test_a_row_with_an_odd_name_has_no_file(tmp_path: Path, name: bytes) -> None:
    assert site_files.size_on_disk(tmp_path, name) is None


def test_only_where_the_database_is_changes_in_the_env() -> None:
    env = b"APP_KEY=base64:x\nDB_HOST=10.0.0.9\n# a comment \xff\nDB_PORT = 3307\nMAIL_PASSWORD=secret"
    changed = arrange.changed(env, {"DB_HOST": "localhost", "DB_DATABASE": "freescout"})
    lines = changed.splitlines()
    assert lines[:4] == [b"APP_KEY=base64:x", b"# a comment \xff", b"DB_PORT = 3307", b"MAIL_PASSWORD=secret"]
    assert lines[4:] == [b"DB_HOST=localhost", b"DB_DATABASE=freescout"]


@pytest.mark.parametrize(
    ("credentials", "user"),
    [
        (b"DB_USERNAME=freescout\nDB_PASSWORD='it''s \\'", "freescout"),
        (b"DB_USERNAME=root\nDB_PASSWORD=roots", arrange.OWN_USER),
        (b"DB_USERNAME=someone\nDB_PASSWORD=", arrange.OWN_USER),
        (b"", arrange.OWN_USER),
    ],
)
def test_the_site_is_let_into_the_database(host: LocalHost, credentials: bytes, user: str) -> None:
    host.reset()
    host.sql(f"CREATE DATABASE {freescout.DATABASE}; CREATE TABLE {freescout.DATABASE}.t (id int)")
    source = remote_program.program(login, arrange, arguments=(freescout.SITE, freescout.DATABASE, SQL_CLIENT))
    printed = host.python(source, stdin=b"APP_KEY=x\n" + credentials)
    assert json.loads(printed) == {"user": True}
    path = host.site / ".env"
    assert path.stat().st_mode & 0o777 == 0o600
    settings = read_env(path)
    assert (settings["DB_USERNAME"], settings["DB_HOST"]) == (user, "localhost")
    argv = [part for part in host.server.client_argv("mariadb") if not part.startswith("--user")]
    logged_in = [*argv, f"--user={user}", f"--password={settings['DB_PASSWORD']}", "-N", freescout.DATABASE]
    environment = host.server.binaries.environment()
    done = subprocess.run(logged_in, input=b"SHOW TABLES", capture_output=True, env=environment, check=True)
    assert done.stdout == b"t\n"
    host.sql(f"DROP USER '{user}'@'localhost'")
