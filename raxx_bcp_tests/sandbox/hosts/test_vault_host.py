"""A restored vault, asked through a tunnel; and what becomes of hosts where something that they need is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paramiko
import pytest
import requests

from raxx_bcp_sandbox.hosts import quirks
from raxx_bcp_tests.sandbox.hosts.lab import IDENTITIES, RESTORED, HostLab, Shell, host_lab, until
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

VAULT, COPY = "raxx-vault", "raxx-vault-restored"


def through(lab: HostLab, shell: Shell, request: str) -> bytes:
    """What the vault answers to a raw request that comes through a tunnel."""
    transport = shell.client.get_transport()
    assert isinstance(transport, paramiko.Transport)
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", lab.net.api), ("127.0.0.1", 1))
    channel.sendall(request.encode())
    answer = b""
    while data := channel.recv(65536):
        answer += data
    channel.close()
    return answer


def status(lab: HostLab, shell: Shell) -> bytes:
    """GET /api/status."""
    return through(lab, shell, "GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


def restored(lab: HostLab) -> Shell:
    """A vault from the newest daily snapshot."""
    snapshots: list[Any] = lab.client().get_instance_snapshots()["instanceSnapshots"]
    newest = max((each for each in snapshots if each["fromInstanceName"] == VAULT), key=lambda each: each["createdAt"])
    shell = lab.shell(lab.restore(COPY, instanceSnapshotName=newest["name"]))
    assert shell.run("systemctl is-enabled infisical").out == "masked-runtime\n"
    assert shell.run("sudo -n copy-guard start infisical.service").status == 0
    return shell


def test_it_answers_and_knows_the_exporter() -> None:
    with host_lab() as lab:
        shell = restored(lab)
        assert b"200 OK" in status(lab, shell)
        assert shell.run("systemctl is-active infisical").out == "active\n"
        url = f"http://{lab.access(COPY)['ipAddress']}:{lab.net.api}"
        login = {"clientId": "an-exporter", "clientSecret": "an-exporters-secret"}
        answer = requests.post(f"{url}/api/v1/auth/universal-auth/login", json=login, timeout=10)
        assert answer.status_code == 200
        token = {"Authorization": f"Bearer {answer.json()['accessToken']}"}
        projects = requests.get(f"{url}/api/v1/projects", headers=token, timeout=10).json()["projects"]
        assert {"raxx-platform", "raxx-payments", "raxx-ops"} <= {each["slug"] for each in projects}
        lab.delete(COPY)
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)


def test_one_that_has_lost_its_database() -> None:
    with host_lab() as lab:
        lab.lab.fault(quirks.VAULT_DATABASE_DOWN)
        shell = restored(lab)
        assert b" 500 " in status(lab, shell).splitlines()[0]


def test_without_mariadb_freescout_hosts_say_why_and_all_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIADB_BIN", str(tmp_path))
    with host_lab() as lab:
        assert b"200 OK" in status(lab, restored(lab))
        lab.restore(boot=False)

        def said() -> str:
            return refusal(lab.client().get_instance_access_details, instanceName=RESTORED).message

        until(lambda: "MARIADB_BIN" in said(), "it says nothing")
        assert said().startswith(f"The instance {RESTORED} is pending: ")
        lab.snapshot("raxx-tickets", "of-no-disk")
        production = refusal(lab.client().get_instance_access_details, instanceName="raxx-tickets").message
        assert production.startswith("The instance raxx-tickets has no body: ")


def test_without_the_vaults_identities_its_host_says_why() -> None:
    with host_lab(identities={}) as lab:
        snapshot = "raxx-vault-before-ubuntu-22"
        lab.restore(COPY, boot=False, instanceSnapshotName=snapshot)

        def said() -> str:
            return refusal(lab.client().get_instance_access_details, instanceName=COPY).message

        until(lambda: "A vault's disk cannot be made" in said(), "it says nothing")
        assert not any(secret in said() for secret in IDENTITIES.values())
