"""The stand-in as a part of the sandbox: what it hands out, and that its faults and its account outlive it."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from raxx_bcp.policy import load_policy
from raxx_bcp_sandbox import processes
from raxx_bcp_sandbox.hosts import marks, network
from raxx_bcp_sandbox.parts import infisical, lightsail, s3
from raxx_bcp_sandbox.supervisor import UNSET, Sandbox
from raxx_bcp_tests.sandbox.conftest import MakeSandbox, kill
from raxx_bcp_tests.sandbox.hosts.lab import until


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
        "RAXX_BCP_FREESCOUT__SITE_DIRECTORY",
        "RAXX_BCP_FREESCOUT__SITE_PORT",
        "RAXX_BCP_SANDBOX_DIR",
        "RAXX_BCP_THROWAWAY_INSTANCES__EGRESS_PROBES",
        "RAXX_BCP_THROWAWAY_INSTANCES__POLL_SECONDS",
        "RAXX_BCP_THROWAWAY_INSTANCES__SSH_PORT",
        "RAXX_BCP_THROWAWAY_INSTANCES__WORKER_CIDR",
        "RAXX_BCP_VAULT_DRILL__API_PORT",
        "RAXX_BCP_VAULT_DRILL__START_UNITS",
        "RAXX_BCP_VAULT_SNAPSHOT__POLL_SECONDS",
    }
    assert [each["name"] for each in client().get_instances()["instances"]] == ["raxx-vault", "raxx-tickets"]
    policy = load_policy(environ=environment)
    net = network.load(local.directory / "lightsail" / "hosts")
    assert net is not None
    assert (policy.vault_snapshot.poll_seconds, policy.throwaway_instances.poll_seconds) == (0.5, 0.5)
    assert policy.throwaway_instances.egress_probes == (f"{net.sink}:{net.smtp}",)
    assert (policy.throwaway_instances.ssh_port, policy.throwaway_instances.worker_cidr) == (net.ssh, "127.0.0.1/32")
    assert (policy.freescout.site_directory, policy.freescout.site_port) == ("site", net.site)
    assert policy.vault_drill.api_port == net.api
    addresses = {each["publicIpAddress"].rpartition(".")[0] for each in client().get_instances()["instances"]}
    assert addresses == {net.prefix}
    assert load_policy(environ={}).vault_snapshot.instance == "raxx-vault"
    assert load_policy(environ={}).freescout.instance == "raxx-tickets"


def test_its_key_is_the_operators_of_s3_and_the_vaults_identities_are_infisicals() -> None:
    of_s3 = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(lightsail.PART.credentials) == of_s3 | set(infisical.PART.credentials)
    for name, make in lightsail.PART.credentials.items():
        assert (s3.PART if name in of_s3 else infisical.PART).credentials[name] is make


def test_the_secret_is_in_no_command_line_and_the_store_is_private(local: Sandbox) -> None:
    pid = local.status().part("lightsail").pid
    family = processes.family(psutil.Process(pid))
    lines = " ".join(word for each in family for word in each.cmdline())
    assert not [secret for secret in local.credentials().values() if secret in lines]
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


def test_its_instances_end_with_it_however_it_ends(local: Sandbox) -> None:
    hosts = local.directory / "lightsail" / "hosts"
    until(lambda: bool(running(hosts)), "production does not run")
    pid = local.status().part("lightsail").pid
    assert pid is not None
    kill(pid)
    assert running(hosts), "what a kill -9 of the stand-in leaves"
    local.down()
    assert running(hosts) == []
    local.up()
    until(lambda: bool(running(hosts)), "production does not run")
    local.down()
    assert running(hosts) == []


def running(hosts: Path) -> list[psutil.Process]:
    """The MariaDBs and sites of instances."""
    databases = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(hosts) in " ".join(process.cmdline()):
                databases.append(process)
    main = [each for each in databases if "raxx_bcp_sandbox.lightsail" in each.cmdline()]
    return [each for each in databases if each not in main] + marks.processes_of(hosts / "instances")
