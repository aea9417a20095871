"""``raxx-bcp state-bucket`` on the sandbox: exit codes, JSON, and the typed confirmation."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.commands.state_bucket import state_bucket
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.state_bucket.conftest import BUCKET


def call(*arguments: str) -> Result:
    return CliRunner().invoke(state_bucket, list(arguments))


@pytest.mark.usefixtures("shipped")
def test_a_healthy_bucket_ends_with_exit_code_0() -> None:
    result = call("check")
    assert result.exit_code == 0
    assert "PASS             versioning" in result.stdout
    assert "raxx-app/terraform.tfstate" in result.stdout
    assert "3 prior versions" in result.stdout
    assert "3 of 7 lines are open" in result.stdout
    said = json.loads(call("check", "--json").stdout)
    assert (said["ok"], said["status"], said["worst"], len(said["checks"])) == (True, "pass", "WARN", 7)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("bucket-versioning-off", 1, "raxx-bcp state-bucket enable-versioning"),
        ("terraform-reads-exports", 1, "TerraformDoesNotReadExports"),
        ("state-bucket-denied", 3, "the history of the state is not known"),
    ],
)
@pytest.mark.usefixtures("shipped")
def test_a_broken_bucket_is_seen(breakable_sandbox: Sandbox, fault: str, code: int, words: str) -> None:
    breakable_sandbox.break_(fault)
    result = call("check")
    assert result.exit_code == code
    assert words in result.stdout
    assert json.loads(call("check", "--json").stdout)["ok"] is False


@pytest.mark.usefixtures("shipped")
def test_versioning_is_switched_on_once(breakable_sandbox: Sandbox, settings: BucketSettings) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    first = call("enable-versioning", "--confirm", BUCKET, "--json")
    assert first.exit_code == 0
    assert json.loads(first.stdout) == {
        "ok": True,
        "status": "pass",
        "error": None,
        "remedy": None,
        "bucket": BUCKET,
        "versioning": "Enabled",
        "before": "Suspended",
        "changed": True,
    }
    assert settings.versioning().versioning.value == "Enabled"
    assert "nothing was changed" in call("enable-versioning", "--confirm", BUCKET).stdout


@pytest.mark.parametrize("arguments", [[], ["--confirm", "yes"], ["--confirm", ""]])
@pytest.mark.usefixtures("shipped")
def test_without_the_name_it_is_refused(
    breakable_sandbox: Sandbox, settings: BucketSettings, arguments: list[str]
) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    result = call("enable-versioning", *arguments)
    assert result.exit_code == 2
    assert "Nothing was changed" in result.stderr
    assert BUCKET in result.stderr
    assert settings.versioning().versioning.value == "Suspended"


@pytest.mark.parametrize(("typed", "code", "versioning"), [(BUCKET, 0, "Enabled"), ("yes", 2, "Suspended")])
def test_on_a_terminal_the_name_is_asked_for(
    shipped: Policy, breakable_sandbox: Sandbox, settings: BucketSettings, typed: str, code: int, versioning: str
) -> None:
    breakable_sandbox.break_("bucket-versioning-off")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from raxx_bcp.commands.state_bucket import state_bucket; state_bucket()"]
    try:
        os.write(ours, f"{typed}\n".encode())
        done = subprocess.run(
            [*command, "enable-versioning", "--json"],
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code, done.stderr
    assert (
        f"This switches versioning on in bucket {shipped.state_bucket.name}, and changes nothing else." in done.stderr
    )
    assert json.loads(done.stdout)["ok"] is (code == 0), "the question goes to stderr, the answer is JSON alone"
    assert settings.versioning().versioning.value == versioning
