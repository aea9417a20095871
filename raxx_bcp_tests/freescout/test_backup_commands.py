"""``raxx-bcp freescout …-backup`` as a person types it, over SSH to the sandbox's help desk, its S3 and its Slack."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import CLI, help_desk_key, run

HOST = "raxx-tickets"


@pytest.fixture
def environ(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """A prefix nobody may put to but the help desk: its own."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **sandbox.environment()}


@pytest.fixture
def key(sandbox: Sandbox, tmp_path: Path) -> Path:
    """What ``aws iam create-access-key`` printed."""
    return help_desk_key(sandbox, tmp_path)


@pytest.fixture
def token(sandbox: Sandbox, tmp_path: Path) -> Path:
    file = tmp_path / "slack"
    file.touch(mode=0o600)
    file.write_text(sandbox.environment()["SLACK_BOT_TOKEN"])
    return file


@pytest.fixture
def removed(environ: dict[str, str]) -> Iterator[None]:
    """Nothing is on the host before and after."""
    assert run(environ, "freescout", "uninstall-backup", HOST, "--yes").returncode == 0
    yield
    assert run(environ, "freescout", "uninstall-backup", HOST, "--yes").returncode == 0


def told(environ: dict[str, str], *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run(environ, "freescout", *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("removed")
def test_it_is_put_there_and_looked_at_and_removed(environ: dict[str, str], key: Path, token: Path) -> None:
    assert "it is not installed" in told(environ, "backup-status", HOST, code=1)["error"]
    secrets = ("--credentials", str(key), "--slack-token-file", str(token))
    first = told(environ, "install-backup", HOST, *secrets)
    assert (first["in_order"], first["warning"], first["enabled"], first["timer"]) == (True, "", "enabled", "active")
    assert first["threads"] > 0
    assert len(first["changed"]) == 8
    again = told(environ, "install-backup", HOST, "--full-every-days", "7")
    assert again["changed"] == ["/etc/freescout-backup.conf"]
    assert told(environ, "install-backup", HOST)["changed"] == []
    assert told(environ, "backup-status", HOST)["in_order"]
    gone = told(environ, "uninstall-backup", HOST, "--yes")
    assert "/etc/freescout-backup.credentials" in gone["changed"]
    assert "it is not installed" in told(environ, "backup-status", HOST, code=1)["error"]


@pytest.mark.usefixtures("removed")
def test_what_is_wrong_is_found_before_anything_is_put_there(environ: dict[str, str], key: Path) -> None:
    assert "no AWS credentials" in told(environ, "install-backup", HOST, code=1)["error"]
    broken = key.with_name("broken.json")
    broken.touch(mode=0o600)
    broken.write_text(key.read_text().replace('"SecretAccessKey": "', '"SecretAccessKey": "x'))
    found = told(environ, "install-backup", HOST, "--credentials", str(broken), code=1)
    assert "could not be stored (SignatureDoesNotMatch)" in found["error"]
    assert "Nothing on the host was changed" in found["remedy"]
    assert "it is not installed" in told(environ, "backup-status", HOST, code=1)["error"]


@pytest.mark.usefixtures("removed")
def test_a_key_comes_by_stdin_and_slack_without_a_token_is_a_warning(environ: dict[str, str], key: Path) -> None:
    argv = [CLI, "freescout", "install-backup", HOST, "--credentials", "-", "--json"]
    done = subprocess.run(argv, env=environ, input=key.read_bytes(), capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["warning"].startswith("a failed night is told to nobody")


def test_wrong_use_is_2(environ: dict[str, str], key: Path) -> None:
    assert "not the help desk's host" in told(environ, "install-backup", "raxx-vault", code=2)["error"]
    key.chmod(0o644)
    assert "may be read by others" in told(environ, "install-backup", HOST, "--credentials", str(key), code=2)["error"]
    key.chmod(0o600)
    key.write_text("{}")
    assert "no AWS access key" in told(environ, "install-backup", HOST, "--credentials", str(key), code=2)["error"]
    both = ("--credentials", "-", "--slack-token-file", "-")
    assert "cannot both come" in told(environ, "install-backup", HOST, *both, code=2)["error"]
