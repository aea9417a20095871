"""freescout-backup on a real MariaDB, gpg and S3: what it stores is restored by Tier 2 and passes every check."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.drills.freescout import artefact, compare, dump_set, facts
from raxx_bcp.freescout import backup_tool as tool
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.freescout.rows import literal
from raxx_bcp_sandbox.keys import STRANGER, KeyPair, cannot_encrypt, expired, make_key, revoked
from raxx_bcp_tests.clients.gnupg_lab import changed
from raxx_bcp_tests.clients.servers import Reply, scripted
from raxx_bcp_tests.drills.freescout.stage import CHECKS, TODAY, Stage, check, passed, said
from raxx_bcp_tests.faults.freescout_dumps import TAKEN
from raxx_bcp_tests.faults.scanning import found_in_bytes, found_in_files, watched_arguments

DAY = TODAY.isoformat()
NAMES = {"database.sql.gz.gpg", "env.gpg", "attachments.tar.gz.gpg", "modules.tar.gz.gpg", "manifest.json"}
_PROGRAM = """\
#!{python}
import subprocess, sys
given = subprocess.run([{real!r}, *sys.argv[1:]], stdout=subprocess.PIPE, close_fds=False)
out = given.stdout
{change}
sys.stdout.buffer.write(out)
sys.exit(given.returncode)
"""


@pytest.fixture(scope="module")
def operator() -> KeyPair:
    return make_key()


@pytest.fixture
def config(stage: Stage, operator: KeyPair, tmp_path: Path) -> tool.Config:
    """Of a host whose FreeScout is the healthy one, and whose storage is the stage's own prefix."""
    server, client = stage.healthy.server, stage.shelf.client
    credentials = client._request_signer._credentials  # type: ignore[attr-defined]
    return tool.Config(
        site=stage.healthy.site,
        login=tool.Login(
            name=freescout.DATABASE,
            user="root",
            socket=str(server.socket),
            client=str(server.binaries.client),
            dump=str(server.binaries.dump),
        ),
        storage=tool.Storage(stage.shelf.bucket.name, "us-east-1", stage.prefix, client.meta.endpoint_url),
        credentials=tool.Credentials(credentials.access_key, credentials.secret_key),
        public_key=operator.public.encode(),
        fingerprint=operator.fingerprint,
        state=tmp_path / "state",
        environment=server.binaries.environment(),
    )


def run(config: tool.Config) -> dict[str, Any]:
    return tool.run(config, lambda: TAKEN)


def stored(stage: Stage) -> set[str]:
    return {one.key.removeprefix(f"{stage.prefix}{DAY}/") for one in stage.shelf.bucket.objects(stage.prefix)}


def manifest_of(stage: Stage) -> dump_set.Manifest:
    key = f"{stage.prefix}{DAY}/{tool.MANIFEST}"
    return dump_set.read_manifest(stage.shelf.bucket.get(key), key)


def logged_in(config: tool.Config, **changes: Any) -> tool.Config:
    return dataclasses.replace(config, login=dataclasses.replace(config.login, **changes))


def dumping_with(config: tool.Config, tmp_path: Path, change: str) -> tool.Config:
    """As ``config``, with a dump program whose output ``out`` is changed."""
    program = tmp_path / "changed-dump"
    program.write_text(_PROGRAM.format(python=sys.executable, real=config.login.dump, change=change))
    program.chmod(0o700)
    return logged_in(config, dump=str(program))


# --- healthy ---------------------------------------------------------------------------------------------------------


def test_what_it_stores_is_restored_and_passes_every_check(
    stage: Stage, config: tool.Config, operator: KeyPair
) -> None:
    assert run(config)["ok"] is True
    assert stored(stage) == NAMES
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)


def test_its_manifest_is_what_the_drill_reads_and_holds_the_true_counts(stage: Stage, config: tool.Config) -> None:
    run(config)
    manifest, counted = manifest_of(stage), stage.healthy.dump_set.manifest
    assert manifest.rows == counted["rows"]
    assert manifest.threads_fingerprint.crc32_sum == counted["threads_fingerprint"]["crc32_sum"]
    assert manifest.max_thread_id == counted["max_thread_id"]
    assert manifest.emoji_threads == counted["emoji_threads"]
    assert manifest.freescout_version == counted["freescout_version"]
    assert manifest.mariadb_version.startswith(stage.healthy.server.version)
    assert manifest.consistency.startswith("one snapshot, begun under a read lock of ")


def test_nothing_of_the_help_desk_is_readable_on_its_way(stage: Stage, config: tool.Config, tmp_path: Path) -> None:
    arguments: set[bytes] = set()
    with watched_arguments(arguments):
        told = run(config)
    bucket = stage.shelf.bucket
    sent = b"".join(bucket.get(one.key) for one in bucket.objects(stage.prefix))
    planted = (*freescout.planted(), config.credentials.secret_key)
    assert found_in_bytes(sent, planted) == []
    assert found_in_bytes(b"".join(arguments), planted) == []
    assert found_in_bytes(json.dumps(told).encode() + repr(config).encode(), planted) == []
    assert found_in_files(tmp_path / "state", planted) == {}


def test_an_ordinary_user_with_a_password_locks_the_tables_instead(
    stage: Stage, config: tool.Config, operator: KeyPair
) -> None:
    told = run(logged_in(config, user=freescout.seed.DATABASE_USER, password=freescout.seed.database_password()))
    assert told["manifest"]["consistency"].startswith("one snapshot, begun under a read lock of ")
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)


@contextlib.contextmanager
def writing(stage: Stage) -> Iterator[None]:
    """Somebody writes to a ticket without a pause, and takes it back afterwards."""
    server, over, begun = stage.healthy.server, threading.Event(), threading.Event()
    columns = "conversation_id, user_id, type, status, state, action_type, body, source_via, source_type, created_at"
    one = (
        f"INSERT INTO threads ({columns}) SELECT conversation_id, user_id, type, status, state, action_type,"  # noqa: S608
        f" CONCAT({literal('written meanwhile ')}, UUID()), source_via, source_type, created_at FROM threads LIMIT 1;"
    )

    def write() -> None:
        while not over.is_set():
            server.sql(one * 20, freescout.DATABASE)
            begun.set()

    ((newest,),) = server.sql("SELECT MAX(id) FROM threads", freescout.DATABASE)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        over.set()
        writer.join()
        server.sql(f"DELETE FROM threads WHERE id > {int(newest)}", freescout.DATABASE)  # noqa: S608 - our own number


def test_the_counts_are_of_the_dumps_moment_though_somebody_never_stops_writing(
    stage: Stage, config: tool.Config, operator: KeyPair
) -> None:
    with writing(stage):
        run(config)
    assert manifest_of(stage).rows["threads"] > stage.healthy.dump_set.manifest["rows"]["threads"]
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert {compare.ROWS, compare.CONTENT} <= passed(drill), said(drill)


def test_counts_of_another_moment_would_be_caught(
    stage: Stage, config: tool.Config, operator: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: without the one moment the restore of the same dump differs from its manifest."""
    with writing(stage):
        run_facts = tool.facts

        def later(session: tool.Session) -> dict[str, Any]:
            session.ask("COMMIT")
            return run_facts(session)

        monkeypatch.setattr(tool, "facts", later)
        run(config)
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert not {compare.ROWS, compare.CONTENT} <= passed(drill), said(drill)


def test_a_table_without_transactions_keeps_the_lock_until_the_dump_is_done(stage: Stage, config: tool.Config) -> None:
    server = stage.healthy.server
    server.sql("CREATE TABLE zz_old (id INT) ENGINE=Aria", freescout.DATABASE)
    try:
        told = run(config)
    finally:
        server.sql("DROP TABLE zz_old", freescout.DATABASE)
    expected = f"all tables locked until the dump was done ({freescout.DATABASE}.zz_old is not InnoDB)"
    assert told["manifest"]["consistency"] == expected


def test_a_large_member_goes_in_parts_and_comes_back_as_it_was(
    stage: Stage, config: tool.Config, tmp_path: Path
) -> None:
    storage = dataclasses.replace(config.storage, part_bytes=5 << 20)
    store = tool.Store(storage, config.credentials)
    content = bytes(range(256)) * (12 << 12)
    sent = store.upload(f"{stage.prefix}large", [content[:7_000_001], content[7_000_001:]], only_new=True)
    assert sent.size_bytes == len(content) > 2 * storage.part_bytes
    assert stage.shelf.bucket.get(f"{stage.prefix}large") == content
    with pytest.raises(tool.ExistsError):
        store.upload(f"{stage.prefix}large", [content], only_new=True)


def test_an_upload_that_broke_off_leaves_no_object(stage: Stage, config: tool.Config) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (11 << 20)
        raise tool.BackupError("it broke", "")

    store = tool.Store(dataclasses.replace(config.storage, part_bytes=5 << 20), config.credentials)
    with pytest.raises(tool.BackupError, match="it broke"):
        store.upload(f"{stage.prefix}broken", broken(), only_new=True)
    assert list(stage.shelf.bucket.objects(f"{stage.prefix}broken")) == []
    uploads = stage.shelf.client.list_multipart_uploads(Bucket=stage.shelf.bucket.name, Prefix=stage.prefix)
    assert not uploads.get("Uploads")


# --- once a day ------------------------------------------------------------------------------------------------------


def test_a_second_run_of_the_day_stores_nothing(stage: Stage, config: tool.Config) -> None:
    run(config)
    first = manifest_of(stage)
    assert run(config) == {"ok": True, "day": DAY, "already": True}
    assert manifest_of(stage) == first


def test_a_failed_run_is_repeated_and_its_leftovers_are_replaced(
    stage: Stage, config: tool.Config, operator: KeyPair, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(config.site, site)
    shutil.rmtree(site / "Modules")
    with pytest.raises(tool.BackupError, match="Modules could not be read whole"):
        run(dataclasses.replace(config, site=site))
    assert stored(stage) == NAMES - {"modules.tar.gz.gpg", "manifest.json"}
    run(config)
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)


def test_a_run_that_was_killed_when_the_manifest_was_stored_or_about_to_be_stores_nothing_else_again(
    stage: Stage, config: tool.Config, operator: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files, encrypted anew, would belie the manifest that is there."""

    class KilledError(Exception):
        pass

    def killed(*_given: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(tool, "_put_manifest", killed)
        with pytest.raises(KilledError):
            run(config)
    before = {one.key: one.etag for one in stage.shelf.bucket.objects(stage.prefix)}
    assert tool.MANIFEST not in stored(stage)
    assert run(config)["ok"]
    state = json.loads((config.state / "state.json").read_text())
    (config.state / "state.json").write_text(json.dumps({**state, "done": False, "manifest": manifest_json(stage)}))
    assert run(config)["ok"]
    after = {one.key: one.etag for one in stage.shelf.bucket.objects(stage.prefix)}
    assert {key: after[key] for key in before} == before
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)


def manifest_json(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.shelf.bucket.get(f"{stage.prefix}{DAY}/{tool.MANIFEST}"))
    return found


def test_what_another_host_stored_is_not_written_over(stage: Stage, config: tool.Config, tmp_path: Path) -> None:
    run(config)
    first = manifest_of(stage)
    with pytest.raises(tool.ExistsError, match=r"database\.sql\.gz\.gpg is there already"):
        run(dataclasses.replace(config, state=tmp_path / "another"))
    assert manifest_of(stage) == first


def test_two_runs_at_once_are_one(config: tool.Config) -> None:
    with tool._alone(config.state), pytest.raises(tool.BackupError, match="Another freescout-backup runs"):
        run(config)


# --- attachments that were stored before ------------------------------------------------------------------------------


@pytest.fixture
def site(config: tool.Config, tmp_path: Path) -> Path:
    """A copy of the help desk's site, which may be changed."""
    copied = tmp_path / "site"
    shutil.copytree(config.site, copied)
    return copied


def night(config: tool.Config, back: int) -> dict[str, Any]:
    return tool.run(config, lambda: TAKEN - timedelta(days=back))


def test_between_full_nights_only_new_attachments_are_stored_and_all_come_back(
    stage: Stage, config: tool.Config, operator: KeyPair, site: Path
) -> None:
    weekly = dataclasses.replace(config, site=site, full_every_days=7)
    old = site / "storage/app/attachment/gone-tomorrow.bin"
    old.write_bytes(b"deleted between the nights" * 100)
    full = night(weekly, 1)
    old.unlink()
    new = site / "storage/app/attachment/of-today.bin"
    new.write_bytes(b"came today")
    partial = night(weekly, 0)
    name = "attachments.tar.gz.gpg"
    assert "bases" not in full["manifest"]
    base = partial["manifest"]["bases"]["attachments"]
    assert base == {"day": (TODAY - timedelta(days=1)).isoformat(), "name": name, **full["manifest"]["files"][name]}
    assert partial["manifest"]["files"][name]["size_bytes"] < full["manifest"]["files"][name]["size_bytes"] / 5
    stage.private_key = operator.secret.encode()
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)
    (restored,) = Path(stage.host.home).rglob("of-today.bin")
    assert restored.read_bytes() == b"came today"
    assert list(Path(stage.host.home).rglob("gone-tomorrow.bin")) == []


def test_a_set_whose_base_is_gone_or_changed_is_caught(
    stage: Stage, config: tool.Config, operator: KeyPair, site: Path
) -> None:
    weekly = dataclasses.replace(config, site=site, full_every_days=7)
    night(weekly, 1)
    night(weekly, 0)
    stage.private_key = operator.secret.encode()
    name = f"{(TODAY - timedelta(days=1)).isoformat()}/attachments.tar.gz.gpg"
    key, client = stage.prefix + name, stage.shelf.client
    whole = stage.shelf.bucket.get(key)
    client.delete_object(Bucket=stage.shelf.bucket.name, Key=key)
    gone = stage.restore()
    assert name in check(gone, artefact.COMPLETE).reason
    stage.host.reset()
    client.put_object(
        Bucket=stage.shelf.bucket.name, Key=key, Body=stage.shelf.bucket.get(f"{stage.prefix}{DAY}/env.gpg")
    )
    assert passed(stage.restore()) < set(CHECKS)
    stage.host.reset()
    client.put_object(Bucket=stage.shelf.bucket.name, Key=key, Body=whole)
    again = stage.restore()
    assert passed(again) == set(CHECKS), said(again)


def test_after_the_promised_days_all_are_stored_again(config: tool.Config, site: Path) -> None:
    some = dataclasses.replace(config, site=site, full_every_days=3)
    manifests = [night(some, back)["manifest"] for back in (4, 3, 2, 1, 0)]
    bases = [manifest.get("bases", {}).get("attachments", {}).get("day") for manifest in manifests]
    first, fourth = ((TODAY - timedelta(days=back)).isoformat() for back in (4, 1))
    assert bases == [None, first, first, None, fourth]


def test_a_night_that_failed_is_no_base_and_a_lost_snapshot_file_stores_all(
    config: tool.Config, site: Path, tmp_path: Path
) -> None:
    weekly = dataclasses.replace(config, site=site, full_every_days=7)
    modules = site / "Modules"
    modules.rename(tmp_path / "away")
    with pytest.raises(tool.BackupError, match="Modules could not be read whole"):
        night(weekly, 2)
    (tmp_path / "away").rename(modules)
    assert "bases" not in night(weekly, 1)["manifest"]
    (listed,) = config.state.glob("attachments.snar-*")
    listed.unlink()
    assert "bases" not in night(weekly, 0)["manifest"]


# --- broken: no set is believed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param("out = out.rstrip().rsplit(b'\\n', 1)[0]", "no last line that says it is whole", id="no trailer"),
        pytest.param("out = out[: len(out) // 2]", "no last line that says it is whole", id="cut"),
        pytest.param("given.returncode = 3", r"failed \(exit code 3\)", id="exit code"),
        pytest.param("out = b''", "no last line that says it is whole", id="empty"),
    ],
)
def test_a_broken_dump_is_no_set(stage: Stage, config: tool.Config, tmp_path: Path, change: str, text: str) -> None:
    with pytest.raises(tool.BackupError, match=text):
        run(dumping_with(config, tmp_path, change))
    assert stored(stage) == set()


def test_a_database_that_is_no_freescouts_is_refused(stage: Stage, config: tool.Config) -> None:
    with pytest.raises(tool.BackupError, match="has no table threads"):
        run(logged_in(config, name="mysql"))
    assert tool.MANIFEST not in stored(stage)


def test_a_table_that_somebody_holds_ends_in_one_sentence(stage: Stage, config: tool.Config) -> None:
    server = stage.healthy.server
    with tool.Session(config) as other:
        other.ask("LOCK TABLES threads WRITE")
        with pytest.raises(tool.BackupError, match="could not be locked within 1 s"):
            run(logged_in(config, lock_wait_seconds=1))
    assert stored(stage) == set()
    assert server.sql("SELECT 1") == [["1"]]


def test_a_wrong_password_is_a_number_and_no_text(config: tool.Config) -> None:
    with pytest.raises(tool.SqlError, match=r"error 1045") as caught:
        run(logged_in(config, user=freescout.seed.DATABASE_USER, password="of-nobody"))
    assert "of-nobody" not in repr(caught.value)


def test_another_key_than_the_pinned_one_is_refused(stage: Stage, config: tool.Config) -> None:
    with pytest.raises(tool.BackupError, match="The public key file holds"):
        run(dataclasses.replace(config, public_key=make_key(STRANGER).public.encode()))
    assert stored(stage) == set()


@pytest.mark.parametrize("made", [expired, revoked, cannot_encrypt])
def test_a_key_that_cannot_be_used_is_refused(
    stage: Stage, config: tool.Config, operator: KeyPair, made: Callable[[KeyPair], str]
) -> None:
    with pytest.raises(tool.BackupError, match="has expired, is revoked, or cannot encrypt"):
        run(dataclasses.replace(config, public_key=made(operator).encode()))
    assert stored(stage) == set()


def test_a_key_that_expires_soon_is_warned_of_and_one_that_does_not_is_not(
    config: tool.Config, operator: KeyPair
) -> None:
    ends = (TAKEN + timedelta(days=30, hours=1)).strftime("%Y%m%dT%H%M%S")
    soon = changed(operator, ("--quick-set-expire", operator.fingerprint, ends))
    with tool.Key(dataclasses.replace(config, public_key=soon.encode()), TAKEN) as key:
        assert "expires in 30 days" in key.warning
    with tool.Key(config, TAKEN) as key:
        assert key.warning == ""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"credentials": tool.Credentials("nobody", "wrong")}, "could not be stored", id="credentials"),
        pytest.param({"bucket": "no-such-bucket"}, "could not be stored", id="bucket"),
        pytest.param({"endpoint": "http://127.0.0.1:9"}, "could not be stored .ConnectionRefusedError", id="away"),
    ],
)
def test_storage_that_refuses_ends_in_one_sentence(
    stage: Stage, config: tool.Config, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], text: str
) -> None:
    monkeypatch.setattr("raxx_bcp.freescout.backup_tool.time.sleep", lambda _seconds: None)
    credentials = change.pop("credentials", config.credentials)
    broken = dataclasses.replace(config, credentials=credentials, storage=dataclasses.replace(config.storage, **change))
    with pytest.raises(tool.BackupError, match=text):
        run(broken)
    assert stored(stage) == set()


# --- as a program ----------------------------------------------------------------------------------------------------


def written(config: tool.Config, tmp_path: Path, extra: str = "") -> tuple[Path, dict[str, str]]:
    """A configuration file and the environment that systemd would give."""
    login, storage = config.login, config.storage
    (tmp_path / "operator.asc").write_bytes(config.public_key)
    path = tmp_path / "freescout-backup.conf"
    path.write_text(
        f"[site]\ndirectory = {config.site}\n"
        f"[database]\nname = {login.name}\nuser = root\nsocket = {login.socket}\n"
        f"client_program = {login.client}\ndump_program = {login.dump}\n"
        f"[storage]\nbucket = {storage.bucket}\nregion = us-east-1\nprefix = {storage.prefix}\n"
        f"[encryption]\npublic_key_file = {tmp_path / 'operator.asc'}\nfingerprint = {config.fingerprint}\n{extra}"
    )
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "aws-access-key-id").write_text(config.credentials.access_key + "\n")
    (credentials / "aws-secret-access-key").write_text(config.credentials.secret_key + "\n")
    (credentials / "slack-token").write_text("xoxb-planted-token\n")
    environment = {
        **config.environment,
        "CREDENTIALS_DIRECTORY": str(credentials),
        "STATE_DIRECTORY": str(tmp_path / "state"),
        "AWS_ENDPOINT_URL_S3": storage.endpoint,
    }
    return path, environment


def program(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", str(Path(inspect.getfile(tool))), *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_as_a_program_it_checks_and_stores_and_prints_one_object(
    stage: Stage, config: tool.Config, tmp_path: Path
) -> None:
    path, environment = written(config, tmp_path)
    looked = program(environment, "--config", str(path), "--json", "check")
    assert looked.returncode == 0, looked.stderr
    assert json.loads(looked.stdout)["threads"] == stage.healthy.dump_set.manifest["rows"]["threads"]
    assert stored(stage) == set()
    done = program(environment, "--config", str(path), "--json", "run")
    assert done.returncode == 0, done.stderr
    day = json.loads(done.stdout)["day"]
    assert {one.key for one in stage.shelf.bucket.objects(stage.prefix)} == {
        f"{stage.prefix}{day}/{name}" for name in NAMES
    }


def test_a_failed_night_tells_slack_and_ends_with_1(stage: Stage, config: tool.Config, tmp_path: Path) -> None:
    broken = dumping_with(config, tmp_path, "given.returncode = 3")
    path, environment = written(broken, tmp_path, "[slack]\nchannel = D0AJ7K184TV\n")
    with scripted(Reply(b'{"ok":true}')) as slack:
        done = program({**environment, "SLACK_API_URL": slack.url}, "--config", str(path), "run")
    assert done.returncode == 1
    assert "failed (exit code 3)" in done.stderr
    (asked,) = slack.asked
    assert asked.path == "/chat.postMessage"
    assert asked.headers["authorization"] == "Bearer xoxb-planted-token"
    told = json.loads(asked.body)
    assert told["channel"] == "D0AJ7K184TV"
    assert "The FreeScout backup of" in told["text"]
    assert "xoxb" not in done.stderr + done.stdout


def test_slack_is_told_of_a_configuration_that_is_wrong_too(config: tool.Config, tmp_path: Path) -> None:
    path, environment = written(config, tmp_path, "[slack]\nchannel = D0AJ7K184TV\n")
    path.write_text(path.read_text().replace("directory = /", "directory = /nowhere/"))
    with scripted(Reply(b'{"ok":true}')) as slack:
        done = program({**environment, "SLACK_API_URL": slack.url}, "--config", str(path), "run")
    assert done.returncode == 2
    assert ".env cannot be read" in json.loads(slack.asked[0].body)["text"]


def test_a_run_that_is_told_to_stop_tells_slack(stage: Stage, config: tool.Config, tmp_path: Path) -> None:
    """systemd's time limit: the dump program waits for ever."""
    waiting = tmp_path / "waiting-dump"
    waiting.write_text(f"#!/bin/sh\ntouch {tmp_path / 'waits'}\nexec sleep 600\n")
    waiting.chmod(0o700)
    path, environment = written(logged_in(config, dump=str(waiting)), tmp_path, "[slack]\nchannel = D0AJ7K184TV\n")
    argv = [sys.executable, "-I", str(Path(inspect.getfile(tool))), "--config", str(path), "run"]
    with scripted(Reply(b'{"ok":true}')) as slack:
        process = subprocess.Popen(argv, env={**environment, "SLACK_API_URL": slack.url}, stderr=subprocess.DEVNULL)
        try:
            while not (tmp_path / "waits").exists():
                assert process.poll() is None
            process.terminate()
            assert process.wait(30) == 1
        finally:
            process.kill()
    assert "told to stop before it was done" in json.loads(slack.asked[0].body)["text"]
    assert stored(stage) == set()


@pytest.mark.parametrize(
    ("result", "tells"), [("timeout", 1), ("signal", 1), ("oom-kill", 1), ("exit-code", 0), ("success", 0)]
)
def test_a_run_that_was_killed_is_told_by_systemd(config: tool.Config, tmp_path: Path, result: str, tells: int) -> None:
    path, environment = written(config, tmp_path, "[slack]\nchannel = D0AJ7K184TV\n")
    with scripted(Reply(b'{"ok":true}')) as slack:
        given = {**environment, "SLACK_API_URL": slack.url, "SERVICE_RESULT": result}
        assert program(given, "--config", str(path), "ended").returncode == 0
    assert [f"ended from outside ({result})" in json.loads(one.body)["text"] for one in slack.asked] == [True] * tells


@pytest.mark.parametrize(
    ("reply", "warning"),
    [(b'{"ok":true}', ""), (b'{"ok":false,"error":"token_revoked"}', "Slack does not take the token (token_revoked)")],
)
def test_a_check_asks_slack_whether_it_takes_the_token(
    config: tool.Config, tmp_path: Path, reply: bytes, warning: str
) -> None:
    path, environment = written(config, tmp_path, "[slack]\nchannel = D0AJ7K184TV\n")
    with scripted(Reply(reply)) as slack:
        done = program({**environment, "SLACK_API_URL": slack.url}, "--config", str(path), "--json", "check")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["warning"].partition(":")[0] == warning
    assert slack.asked[0].path == "/auth.test"


def test_a_check_notices_a_role_that_may_not_put(config: tool.Config, tmp_path: Path) -> None:
    path, environment = written(config, tmp_path)
    (tmp_path / "credentials" / "aws-secret-access-key").write_text("wrong\n")
    done = program(environment, "--config", str(path), "check")
    assert done.returncode == 1
    assert "check could not be stored (SignatureDoesNotMatch)" in done.stderr


def test_slack_that_refuses_is_said_in_the_journal(config: tool.Config, tmp_path: Path) -> None:
    broken = dumping_with(config, tmp_path, "given.returncode = 3")
    path, environment = written(broken, tmp_path, "[slack]\nchannel = D0AJ7K184TV\n")
    with scripted(Reply(b'{"ok":false,"error":"channel_not_found"}')) as slack:
        done = program({**environment, "SLACK_API_URL": slack.url}, "--config", str(path), "run")
    assert "Slack took no message (channel_not_found)" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("bucket = ", "basket = ", "has no storage.bucket"),
        ("fingerprint = ", "fingerprint = 12 ", "encryption.fingerprint is no full fingerprint"),
        (
            "[encryption]",
            "[attachments]\nfull_every_days = 0\n[encryption]",
            "full_every_days is no number from 1 to 31",
        ),
        ("[site]", "site", "cannot be read (MissingSectionHeaderError)"),
        ("directory = /", "directory = /nowhere/", ".env cannot be read (FileNotFoundError)"),
    ],
)
def test_a_wrong_configuration_ends_with_2_and_says_which_line(
    config: tool.Config, tmp_path: Path, old: str, new: str, text: str
) -> None:
    path, environment = written(config, tmp_path)
    path.write_text(path.read_text().replace(old, new))
    done = program(environment, "--config", str(path), "--json", "run")
    assert done.returncode == 2
    assert text in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr


def test_without_credentials_it_ends_with_2(config: tool.Config, tmp_path: Path) -> None:
    path, environment = written(config, tmp_path)
    del environment["CREDENTIALS_DIRECTORY"]
    done = program(environment, "--config", str(path), "run")
    assert done.returncode == 2
    assert "There are no AWS credentials." in done.stderr


# --- what it shares with the drill ------------------------------------------------------------------------------------


def test_it_asks_what_the_drill_asks() -> None:
    assert tool.KIND == dumps.KIND
    (threads,) = [one for one in facts.QUESTIONS if one.name == facts.THREADS]
    assert threads.select == f"SELECT {tool.FINGERPRINT} FROM threads"  # noqa: S608 - of ours
    assert {name.partition(".")[0] for name in tool.ARCHIVES} == {"attachments", "modules"}


def test_it_is_python_3_9_and_of_the_standard_library_alone() -> None:
    tree = ast.parse(inspect.getsource(tool), feature_version=(3, 9))
    names = [one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
