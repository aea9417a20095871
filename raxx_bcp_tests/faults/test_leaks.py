"""Planted secrets are found nowhere but inside the ciphertext."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from raxx_bcp.drills.heroku_postgres.connections import heroku_client
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import private_environ, run
from raxx_bcp_tests.faults.scanning import found_in_bytes, found_in_files, watched_arguments
from raxx_bcp_tests.vault.world import opened

ROOT = Path(__file__).resolve().parent.parent.parent
CREDENTIALS = (
    "INFISICAL_CLIENT_SECRET",
    "INFISICAL_ORG_ADMIN_CLIENT_SECRET",
    "AWS_SECRET_ACCESS_KEY",
    "HEROKU_API_KEY",
    "SLACK_BOT_TOKEN",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rb-") as made:
        yield Path(made)


def _planted(policy: Policy, sandbox: Sandbox, day: str) -> set[str]:
    """The unique marker inside every value of the vault, read from the decrypted export itself."""
    document = json.dumps(opened(policy, sandbox, day), ensure_ascii=False)
    return set(re.findall(r"rxs_[0-9a-f]{24}", document))


def _dagster_job(environ: dict[str, str], job: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "dagster", "job", "execute", "-m", "raxx_bcp.definitions", "-j", job, *options]
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, check=False, timeout=180)


def test_nothing_of_the_vault_and_no_credential_is_left_anywhere(
    policy: Policy, sandbox_environ: dict[str, str], breakable_sandbox: Sandbox, folder: Path
) -> None:
    environ = private_environ(sandbox_environ, folder, policy.vault_export.prefix)
    arguments: set[bytes] = set()
    with watched_arguments(arguments):
        by_hand = run(environ, "vault", "export", "--json")
        by_dagster = _dagster_job(environ, "daily_vault_export")
        printed = [by_hand.stdout.encode(), by_hand.stderr.encode(), by_dagster.stdout, by_dagster.stderr]
        for fault in ("vault-hidden-values", "vault-error-body", "vault-login-refused", "s3-down"):
            breakable_sandbox.break_(fault)
            failed = run(environ, "vault", "export", "--json")
            in_dagster = _dagster_job(environ, "freshness_sentinel" if fault == "s3-down" else "daily_vault_export")
            breakable_sandbox.mend(fault)
            assert failed.returncode == (3 if fault == "vault-error-body" else 1), "an error page tells nothing"
            assert in_dagster.returncode != 0
            printed += [failed.stdout.encode(), failed.stderr.encode(), in_dagster.stdout, in_dagster.stderr]
    assert by_hand.returncode == 0, by_hand.stderr
    assert by_dagster.returncode == 0, by_dagster.stderr.decode()[-2000:]

    planted = _planted(policy, breakable_sandbox, json.loads(by_hand.stdout)["export_date"])
    assert len(planted) > 300, "the scan must have something to look for"
    credentials = {environ[name] for name in CREDENTIALS}
    everything = planted | credentials
    assert any(b"gpg" in line for line in arguments), "the watcher must have seen gpg at work"
    assert found_in_bytes(b"\n".join(arguments), everything) == []
    assert found_in_bytes(b"\n".join(printed), everything) == []
    assert found_in_files(folder, everything) == {}, "DAGSTER_HOME, HOME or TMPDIR holds a secret"
    outside = {
        path
        for path in found_in_files(breakable_sandbox.directory, planted)
        if "/lightsail/hosts/" not in str(path)  # the disk of the vault's own host, which is what a snapshot copies
    }
    assert outside == set(), "the S3 store or a log holds a secret"
    assert found_in_files(breakable_sandbox.directory / "logs", credentials) == {}
    assert not list((folder / "t").iterdir()), "a temporary file was left behind"


def test_the_scan_finds_what_is_planted(tmp_path: Path) -> None:
    secret = "rxs_0123456789abcdef01234567"
    (tmp_path / "healthy.txt").write_bytes(b"nothing here")
    for name, content in {
        "plain.bin": b"\x00\xff" + secret.encode() + b"\x00",
        "hex.log": secret.encode().hex().encode(),
        "base64.json": __import__("base64").b64encode(b"xy" + secret.encode() + b"tail"),
    }.items():
        (tmp_path / name).write_bytes(content)
    found = found_in_files(tmp_path, [secret])
    assert {Path(path).name for path in found} == {"plain.bin", "hex.log", "base64.json"}


def test_the_watcher_sees_arguments() -> None:
    seen: set[bytes] = set()
    with watched_arguments(seen):
        while not any(b"rxs_seen" in line for line in seen):
            subprocess.run([sys.executable, "-c", "pass", "rxs_seen"], check=True)
    assert found_in_bytes(b"\n".join(seen), ["rxs_seen"]) == ["rxs_seen"]


def test_no_key_password_or_signed_address_of_a_drill_is_left_anywhere(
    policy: Policy, sandbox_environ: dict[str, str], breakable_sandbox: Sandbox, folder: Path
) -> None:
    prefixes = {"RAXX_BCP_EVIDENCE__PREFIX": policy.evidence.prefix}
    environ = {**private_environ(sandbox_environ, folder, policy.vault_export.prefix), **prefixes}
    with heroku_client(policy) as heroku:
        password = conninfo_to_dict(heroku.database_url("raxx-app-prod").get_secret_value())["password"]
    planted = {environ["HEROKU_API_KEY"], environ["AWS_SECRET_ACCESS_KEY"], str(password)}
    config = folder / "config.yaml"
    config.write_text("ops: {heroku_postgres_drill: {config: {operator: alice}}}")
    arguments: set[bytes] = set()
    with watched_arguments(arguments):
        by_hand = run(environ, "drill", "heroku-postgres", "--operator", "alice", "--json")
        by_dagster = _dagster_job(environ, "drill_heroku_postgres", "-c", str(config))
        breakable_sandbox.break_("heroku-backup-truncated")
        failed = run(environ, "drill", "heroku-postgres", "--operator", "alice", "--json")
    assert by_hand.returncode == 0, by_hand.stderr
    assert by_dagster.returncode == 0, by_dagster.stderr.decode()[-2000:]
    assert failed.returncode == 1
    printed = [each.encode() for done in (by_hand, failed) for each in (done.stdout, done.stderr)]
    printed += [by_dagster.stdout, by_dagster.stderr]
    assert found_in_bytes(b"\n".join(printed), planted) == []
    assert found_in_bytes(b"\n".join(arguments), planted) == []
    assert found_in_files(folder, planted) == {}, "DAGSTER_HOME, HOME, TMPDIR or the spool holds a secret"
    assert found_in_files(breakable_sandbox.directory / "s3", {str(password)}) == {}, "a row or a report holds a secret"
    assert found_in_files(breakable_sandbox.directory / "logs", planted) == {}
    signed = re.compile(rb"signature=", re.IGNORECASE)
    assert not [text for text in printed if signed.search(text)]
    assert not [path for path in folder.rglob("*") if path.is_file() and signed.search(path.read_bytes())]


def test_no_ticket_key_or_vault_value_of_a_drill_is_left_anywhere(
    policy: Policy, sandbox_environ: dict[str, str], breakable_sandbox: Sandbox, folder: Path
) -> None:
    prefixes = {"RAXX_BCP_EVIDENCE__PREFIX": policy.evidence.prefix}
    environ = {**private_environ(sandbox_environ, folder, policy.vault_export.prefix), **prefixes}
    key = breakable_sandbox.directory / "keys" / "operator.key.asc"
    config = folder / "config.yaml"
    config.write_text(f"ops: {{freescout_dump_drill: {{config: {{operator: alice, private_key_file: {key}}}}}}}")
    arguments: set[bytes] = set()
    with watched_arguments(arguments):
        exported = run(environ, "vault", "export", "--json")
        tier_1 = run(environ, "drill", "freescout-snapshot", "--operator", "alice", "--json")
        tier_2 = _dagster_job(environ, "drill_freescout_dump", "-c", str(config))
        vault = run(environ, "drill", "vault-export", "--operator", "alice", "--private-key-file", str(key), "--json")
        breakable_sandbox.break_("host-app-key-wrong")
        failed = run(environ, "drill", "freescout-snapshot", "--operator", "alice", "--json")
    assert exported.returncode == 0, exported.stderr
    assert vault.returncode == 0, vault.stderr
    assert tier_2.returncode == 0, tier_2.stderr.decode()[-2000:]
    assert '"app key"' in failed.stdout
    planted = _planted(policy, breakable_sandbox, json.loads(exported.stdout)["export_date"])
    credentials = {environ[name] for name in (*CREDENTIALS, "INFISICAL_DRILL_CLIENT_SECRET")}
    everything = planted | credentials | set(freescout.planted())
    printed = [each.encode() for done in (exported, tier_1, vault, failed) for each in (done.stdout, done.stderr)]
    printed += [tier_2.stdout, tier_2.stderr]
    assert found_in_bytes(b"\n".join(printed), everything) == []
    assert found_in_bytes(b"\n".join(arguments), everything) == []
    assert found_in_files(folder, everything) == {}, "DAGSTER_HOME, HOME, TMPDIR or the spool holds a secret"
    assert found_in_files(breakable_sandbox.directory / "logs", everything) == {}
