"""The stand-in as a part of the sandbox: what it hands out, and that its faults and its account outlive it."""

from __future__ import annotations

import stat
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from raxx_bcp.policy import load_policy
from raxx_bcp.sandbox.parts import lightsail, s3
from raxx_bcp.sandbox.supervisor import UNSET, Sandbox
from raxx_bcp_tests.sandbox.conftest import MakeSandbox, kill


@pytest.fixture
def local(make: MakeSandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox of this part alone, which this process's environment leads to."""
    sandbox = make([lightsail.PART])
    sandbox.up()
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for name, value in (sandbox.environment() | sandbox.credentials()).items():
        monkeypatch.setenv(name, value)
    return sandbox


def client() -> Any:
    """As the product makes one: from the environment alone."""
    return boto3.Session().client(
        "lightsail", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1})
    )


def test_the_environment_is_all_that_a_client_needs(local: Sandbox) -> None:
    environment = local.environment()
    assert set(environment) == {
        "AWS_ENDPOINT_URL_LIGHTSAIL",
        "RAXX_BCP_SANDBOX_DIR",
        "RAXX_BCP_VAULT_SNAPSHOT__POLL_SECONDS",
    }
    assert [each["name"] for each in client().get_instances()["instances"]] == ["raxx-vault", "raxx-tickets"]
    assert load_policy(environ=environment).vault_snapshot.poll_seconds == 0.5
    assert load_policy(environ={}).vault_snapshot.instance == "raxx-vault"
    assert load_policy(environ={}).freescout.instance == "raxx-tickets"


def test_its_key_is_the_operators_of_s3() -> None:
    assert set(lightsail.PART.credentials) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for name, make in lightsail.PART.credentials.items():
        assert s3.PART.credentials[name] is make


def test_the_secret_is_in_no_command_line_and_the_store_is_private(local: Sandbox) -> None:
    pid = local.status().part("lightsail").pid
    assert local.credentials()["AWS_SECRET_ACCESS_KEY"] not in " ".join(psutil.Process(pid).cmdline())
    assert stat.S_IMODE((local.directory / "lightsail").stat().st_mode) == 0o700


def test_the_account_and_its_faults_outlive_the_process(local: Sandbox) -> None:
    lightsail_client = client()
    lightsail_client.delete_instance_snapshot(instanceSnapshotName="raxx-vault-before-ubuntu-22")
    local.break_("lightsail-denied")
    pid = local.status().part("lightsail").pid
    assert pid is not None
    kill(pid)
    assert local.up().active_faults == ("lightsail-denied",)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        lightsail_client.get_instances()
    assert local.mend_all() == ("lightsail-denied",)
    left = [each["name"] for each in lightsail_client.get_instance_snapshots()["instanceSnapshots"]]
    assert [name for name in left if not name.startswith("raxx-bcp-")] == ["raxx-tickets-before-upgrade"]
