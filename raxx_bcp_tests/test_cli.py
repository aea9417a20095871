"""The commands as a person types them: exit codes, one sentence, JSON for machines."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raxx_bcp.cli import main
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import private_environ, run


@pytest.fixture
def environ(sandbox_environ: dict[str, str], policy: Policy) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        yield private_environ(sandbox_environ, Path(folder), policy.vault_export.prefix)


def _json(environ: dict[str, str], *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run(environ, *arguments, "--json")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def test_export_list_and_verify_from_nothing(environ: dict[str, str], sandbox: Sandbox) -> None:
    receipt = _json(environ, "vault", "export")
    assert receipt["ok"] is True
    for name in ("key", "version_id", "secret_count", "project_count", "size_bytes", "ciphertext_sha256", "recipients"):
        assert receipt[name], name
    listed = _json(environ, "vault", "list")
    assert listed["days"][0]["state"] == "complete"
    assert listed["gaps"] == []
    key_file = str(sandbox.directory / "keys" / "operator.key.asc")
    verified = _json(environ, "vault", "verify", "--private-key-file", key_file)
    assert {check["status"] for check in verified["checks"]} == {"PASS"}


def test_nothing_exported_yet_is_a_failure_of_list_and_verify(environ: dict[str, str]) -> None:
    assert _json(environ, "vault", "list", code=1)["ok"] is False
    assert _json(environ, "vault", "verify", code=1)["ok"] is False


def test_an_emptied_folder_is_accepted_by_the_command_that_the_refusal_names(
    environ: dict[str, str], breakable_sandbox: Sandbox
) -> None:
    _json(environ, "vault", "export")
    breakable_sandbox.break_("vault-folder-silent")
    refused = run(environ, "vault", "export")
    assert refused.returncode == 1
    assert "--accept-emptied raxx-ops/dev/backups" in refused.stderr
    accepted = _json(environ, "vault", "export", "--accept-emptied", "raxx-ops/dev/backups")
    assert (accepted["ok"], accepted["status"], accepted["worst"]) == (True, "pass", "WARN")
    assert accepted["accepted_emptied_folders"] == ["raxx-ops/dev/backups"]
    warned = run(environ, "vault", "export")
    assert warned.returncode == 0
    assert "raxx-ops/dev/backups had secrets at some time and shows none" in warned.stdout
    assert run(environ, "vault", "export", "--accept-emptied", "raxx-ops").returncode == 2


def test_a_refusal_is_one_sentence_and_a_remedy(environ: dict[str, str], breakable_sandbox: Sandbox) -> None:
    breakable_sandbox.break_("vault-project-left")
    done = run(environ, "vault", "export")
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-2:]
    assert last[0].startswith("raxx-bcp: The vault export was refused before encryption: Project raxx-payments")
    assert last[1].startswith("  What to do: In Infisical add")
    failure = _json(environ, "vault", "export", code=1)
    assert failure["ok"] is False
    assert "raxx-payments" in failure["error"]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("INFISICAL_URL", "INFISICAL_URL is not set"),
        ("INFISICAL_CLIENT_SECRET", "INFISICAL_CLIENT_SECRET is not set"),
        ("RAXX_BCP_GPG_FINGERPRINT", "No key fingerprint is pinned"),
    ],
)
def test_a_missing_variable_is_wrong_use_and_named(environ: dict[str, str], missing: str, words: str) -> None:
    del environ[missing]
    done = run(environ, "vault", "export")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_policy_is_wrong_use(environ: dict[str, str]) -> None:
    done = run({**environ, "RAXX_BCP_VAULT_EXPORT__SHRINK_THRESHOLD_RATIO": "20"}, "vault", "export")
    assert done.returncode == 2
    assert "looks like a percentage" in done.stderr


def test_no_aws_credentials_is_wrong_use(environ: dict[str, str]) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environ[name]
    done = run({**environ, "AWS_EC2_METADATA_DISABLED": "true"}, "vault", "list")
    assert done.returncode == 2
    assert "no usable AWS credentials" in done.stderr


def test_wrong_arguments_are_wrong_use(environ: dict[str, str]) -> None:
    assert run(environ, "vault", "explode").returncode == 2
    assert run(environ, "vault", "verify", "--date", "yesterday").returncode == 2


NOT_TOLD_BY_THIS_S3_SERVER = {"mfa_delete": "WARN", "public_access_block": "COULD_NOT_VERIFY", "tls_only": "WARN"}
"""SeaweedFS reports no MFA delete, knows no public access block, and the sandbox is plain http."""


@pytest.fixture
def healthy(environ: dict[str, str]) -> dict[str, str]:
    """Today's export and snapshot are there; the exports lie where the bucket's policy guards them."""
    environ["RAXX_BCP_VAULT_EXPORT__PREFIX"] = "vault-exports/"
    assert run(environ, "vault", "export").returncode == 0
    taken = run(environ, "snapshot", "take")
    assert taken.returncode == 0, taken.stderr
    return environ


def test_doctor_is_content_with_a_healthy_raxx(healthy: dict[str, str]) -> None:
    examined = _json(healthy, "doctor")
    checks = {check["name"]: check for check in examined["checks"]}
    told = {name: check["status"] for name, check in checks.items() if check["status"] != "PASS"}
    assert told == NOT_TOLD_BY_THIS_S3_SERVER
    assert {"versioning", "newest_is_fresh", "freescout_backup"} <= set(checks)
    assert "role viewer; environments dev, staging, prod" in checks["project raxx-ops"]["detail"]
    assert "no other project" in checks["projects not seen"]["detail"]
    assert "without limit" in checks["vault token"]["detail"]


@pytest.mark.parametrize(
    ("fault", "name", "status", "words"),
    [
        ("vault-role-weakened", "project raxx-payments", "FAIL", "Viewer"),
        ("vault-partial-permission", "project raxx-ops", "FAIL", "one-folder-only"),
        ("vault-deny-privilege", "project raxx-payments", "FAIL", "remove the privilege no-production-secrets"),
        ("vault-project-left", "projects not seen", "FAIL", "raxx-payments"),
        ("vault-token-uses-limited", "vault token", "WARN", "may be used 20 times (accessTokenNumUsesLimit)"),
        ("vault-login-refused", "vault", "FAIL", "client secret"),
        ("key-expired", "operator key", "FAIL", "quick-set-expire"),
        ("key-expires-soon", "operator key", "WARN", "within 30"),
        ("bucket-versioning-off", "versioning", "FAIL", "raxx-bcp state-bucket enable-versioning"),
        ("freescout-backup-missing", "freescout_backup", "FAIL", "raxx-tickets"),
        ("lightsail-instance-missing", "lightsail", "FAIL", "raxx-vault"),
        ("slack-token-revoked", "alerts", "FAIL", "SLACK_BOT_TOKEN"),
        ("slack-down", "alerts", "COULD_NOT_VERIFY", "HTTP 503"),
    ],
)
def test_doctor_names_what_is_wrong_and_the_remedy(
    healthy: dict[str, str], breakable_sandbox: Sandbox, fault: str, name: str, status: str, words: str
) -> None:
    breakable_sandbox.break_(fault)
    code = {"FAIL": 1, "COULD_NOT_VERIFY": 3, "WARN": 0}[status]
    examined = _json(healthy, "doctor", code=code)
    (check,) = [check for check in examined["checks"] if check["name"] == name]
    assert check["status"] == status
    assert words in check["detail"] + check["remedy"]


def test_doctor_without_any_way_to_know_what_it_does_not_see_could_not_verify(healthy: dict[str, str]) -> None:
    environ = healthy
    for name in ("INFISICAL_ORG_ADMIN_CLIENT_ID", "INFISICAL_ORG_ADMIN_CLIENT_SECRET"):
        environ.pop(name)
    blind = {**environ, "RAXX_BCP_VAULT_EXPORT__EXPECTED_PROJECTS": "[]"}
    examined = _json(blind, "doctor", code=3)
    assert "vault token" not in {check["name"] for check in examined["checks"]}, "nobody can know"
    assert "COULD_NOT_VERIFY" in {c["status"] for c in examined["checks"] if c["name"] == "projects not seen"}
    examined = _json(environ, "doctor")
    assert "WARN" in {c["status"] for c in examined["checks"] if c["name"] == "projects not seen"}


@pytest.mark.parametrize(("name", "code"), [("heroku_postgres", 0), ("heroku-postgres", 0), ("heroku_oracle", 2)])
def test_a_drill_is_named_with_either_kind_of_line(name: str, code: int) -> None:
    result = CliRunner().invoke(main, ["drill", name, "--help"])
    assert result.exit_code == code, result.output
