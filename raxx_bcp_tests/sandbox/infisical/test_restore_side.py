"""What the stand-in has for restores: its status, its one delete, saved worlds, and faults of writing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.infisical.__main__ import app_of, loopback, main
from raxx_bcp_sandbox.infisical.identities import PREFIX
from raxx_bcp_sandbox.infisical.saved import SavedWorldError, load_world, save_world
from raxx_bcp_sandbox.infisical.seed import PLATFORM, expected_items, raxx_world
from raxx_bcp_sandbox.part import Part, Place
from raxx_bcp_sandbox.parts import infisical_drill
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, LOGIN, FakeClock, Vault, raxx_vault, serving

ENVIRONMENT = {f"{PREFIX}CLIENT_ID": "exporter-id", f"{PREFIX}CLIENT_SECRET": "exporter-secret"}


def test_the_status_needs_no_token(vault: Vault) -> None:
    answer = vault.session.get(f"{vault.address}/api/status", timeout=10)
    assert answer.status_code == 200
    assert answer.json() == {
        "date": "2027-01-15T08:00:00.000Z",
        "message": "Ok",
        "emailConfigured": False,
        "inviteOnlySignup": False,
        "redisConfigured": True,
        "secretScanningConfigured": False,
        "samlDefaultOrgSlug": "raxx-k3-p7",
    }


def test_a_project_is_deleted_by_its_admin_with_all_that_it_holds(vault: Vault) -> None:
    token = vault.token(CREDENTIALS.restore)
    made = vault.post("/api/v1/projects", token, {"projectName": "Mine", "slug": "mine-all-mine"}).json()["project"]
    where = {"projectId": made["id"], "environment": "dev", "secretPath": "/"}
    row = {"secretKey": "K", "secretValue": "v"}
    vault.post("/api/v4/secrets/batch", token, {**where, "secrets": [row]})
    before = len(vault.world.secrets)
    address, headers = f"{vault.address}/api/v1/projects/{made['id']}", {"authorization": f"Bearer {token}"}
    answer = vault.session.delete(address, headers=headers, timeout=10)
    assert answer.status_code == 200
    assert answer.json()["project"]["id"] == made["id"]
    assert len(vault.world.secrets) == before - 1
    assert vault.session.delete(address, headers=headers, timeout=10).status_code == 404
    remade = vault.post("/api/v1/projects", token, {"projectName": "Mine", "slug": "mine-all-mine"})
    assert remade.status_code == 200


def test_a_project_is_not_deleted_by_anybody_else(vault: Vault) -> None:
    address = f"{vault.address}/api/v1/projects/{vault.project_id(PLATFORM)}"
    for who in (CREDENTIALS.exporter, CREDENTIALS.restore, CREDENTIALS.org_admin):
        headers = {"authorization": f"Bearer {vault.token(who)}"}
        assert vault.session.delete(address, headers=headers, timeout=10).status_code == 403
    assert vault.session.delete(address, timeout=10).status_code == 401
    assert vault.world.project_by_slug(PLATFORM) is not None


def _write(vault: Vault, token: str, key: str) -> requests.Response:
    where = {"projectId": vault.project_id("raxx-mine"), "environment": "dev", "secretPath": "/"}
    return vault.post("/api/v4/secrets/batch", token, {**where, "secrets": [{"secretKey": key, "secretValue": "v"}]})


def _own_project(vault: Vault) -> str:
    token = vault.token(CREDENTIALS.restore)
    assert vault.post("/api/v1/projects", token, {"projectName": "M", "slug": "raxx-mine"}).status_code == 200
    return token


def test_under_approvals_every_way_of_writing_a_secret_is_answered_and_nothing_is_written(vault: Vault) -> None:
    token = _own_project(vault)
    assert set(_write(vault, token, "A").json()) == {"secrets"}
    before = expected_items(vault.world)
    vault.faults.switch("vault-approvals", on=True)
    where = {"projectId": vault.project_id("raxx-mine"), "environment": "dev", "secretPath": "/", "secretValue": "w"}
    answers = [
        _write(vault, token, "B"),
        vault.post("/api/v4/secrets/C", token, where),
        vault.patch("/api/v4/secrets/A", token, where),
        vault.patch(
            "/api/v4/secrets/batch",
            token,
            {**where, "mode": "upsert", "secrets": [{"secretKey": "A", "secretValue": "w"}]},
        ),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert {tuple(answer.json()) for answer in answers} == {("approval",)}
    assert expected_items(vault.world) == before
    vault.faults.switch("vault-approvals", on=False)
    assert set(_write(vault, token, "B").json()) == {"secrets"}


def test_a_lost_answer_is_lost_once_and_the_write_is_done(vault: Vault) -> None:
    token = _own_project(vault)
    vault.faults.switch("vault-write-lost", on=True)
    with pytest.raises(requests.RequestException):
        _write(vault, token, "A")
    assert _write(vault, token, "A").status_code == 400, "it is there"
    assert _write(vault, token, "B").status_code == 200
    vault.faults.switch("vault-write-lost", on=True)
    with pytest.raises(requests.RequestException):
        _write(vault, token, "C")


def test_a_saved_world_is_the_same_world(tmp_path: Path) -> None:
    clock = FakeClock()
    world = raxx_world(CREDENTIALS, clock)
    file = tmp_path / "vault.json"
    save_world(world, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["vault.json"]
    again = load_world(file, clock)
    assert expected_items(again) == expected_items(world)
    assert again.exporter_id == world.exporter_id
    assert again.secrets.keys() == world.secrets.keys()
    other = tmp_path / "again.json"
    save_world(again, other)
    assert other.read_bytes() == file.read_bytes()


def test_a_saved_world_knows_its_identities_and_goes_on_living(tmp_path: Path) -> None:
    with raxx_vault() as vault:
        before = vault.secrets(PLATFORM, "dev", vault.token()).json()
        save_world(vault.world, tmp_path / "vault.json")
    with raxx_vault(load_world(tmp_path / "vault.json", FakeClock())) as vault:
        assert vault.secrets(PLATFORM, "dev", vault.token()).json() == before
        assert vault.login(CREDENTIALS.org_admin).status_code == 200
        token = vault.token(CREDENTIALS.restore)
        assert vault.post("/api/v1/projects", token, {"projectName": "N"}).status_code == 200


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "foreign", "list"])
def test_a_vault_without_a_usable_database_answers_500_to_everything(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "vault.json"
    save_world(raxx_world(CREDENTIALS, FakeClock()), file)
    whole = file.read_bytes()
    damaged = {"empty": b"", "cut": whole[:5000], "foreign": b'{"kind":"other"}', "list": b"[]"}
    file.unlink()
    if damage != "missing":
        file.write_bytes(damaged[damage])
    with pytest.raises(SavedWorldError):
        load_world(file)
    with serving(app_of(file, rate_limited=False)) as address:
        status = requests.get(f"{address}/api/status", timeout=10)
        assert status.status_code == 500
        assert "database" in status.json()["message"]
        body = {"clientId": CREDENTIALS.exporter.client_id, "clientSecret": CREDENTIALS.exporter.client_secret}
        assert requests.post(address + LOGIN, json=body, timeout=10).status_code == 500
        assert requests.get(f"{address}/api/v1/projects", timeout=10).status_code == 500


@contextmanager
def _served(*arguments: str, address: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "raxx_bcp_sandbox.infisical", "--port", str(port), *arguments]
    process = subprocess.Popen([*command, "--address", address], env=ENVIRONMENT)
    url = f"http://{address}:{port}"
    try:
        for _attempt in range(400):
            try:
                requests.get(f"{url}/api/status", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_saved_by_the_command_and_served_at_another_address_of_loopback(tmp_path: Path) -> None:
    file = tmp_path / "vault.json"
    main(["--seed", "raxx", "--save", str(file)], ENVIRONMENT)
    assert json.loads(file.read_text())["kind"] == "raxx-bcp/sandbox-vault"
    with _served("--load", str(file), address="127.0.5.9") as url:
        body = {"clientId": "exporter-id", "clientSecret": "exporter-secret"}
        assert requests.post(url + LOGIN, json=body, timeout=10).status_code == 200
        assert requests.get(f"{url}/api/status", timeout=10).json()["message"] == "Ok"


def test_it_is_served_on_loopback_only_and_not_told_two_things_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert loopback("127.0.5.9") == "127.0.5.9"
    for arguments, complaint in (
        (["--port", "1", "--address", "0.0.0.0"], "0.0.0.0 is not a loopback address"),  # noqa: S104
        (["--port", "1", "--address", "vault"], "vault is not a loopback address"),
        ([], "give --port"),
        (["--port", "1", "--save", "x"], "give --port"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments, ENVIRONMENT)
        assert caught.value.code == 2
        assert complaint in capsys.readouterr().err


def test_the_throwaway_vault_hands_out_its_writer_and_nobody_else(tmp_path: Path) -> None:
    part: Part = infisical_drill.PART
    credentials = {name: make() for name, make in part.credentials.items()}
    place: Place = part.place(tmp_path, {"http": 8707}, credentials)
    handed_out = part.environment(place)
    assert handed_out == {
        "INFISICAL_DRILL_URL": "http://127.0.0.1:8707",
        "INFISICAL_DRILL_CLIENT_ID": credentials["INFISICAL_DRILL_CLIENT_ID"],
        "INFISICAL_DRILL_CLIENT_SECRET": credentials["INFISICAL_DRILL_CLIENT_SECRET"],
    }
    assert part.launch is not None
    launch = part.launch(place)
    assert launch.argv[-2:] == ("--seed", "empty")
    assert launch.environment["RAXX_SANDBOX_RESTORE_CLIENT_ID"] == handed_out["INFISICAL_DRILL_CLIENT_ID"]
    assert not set(credentials.values()) & set(launch.argv)
    assert {fault.name for fault in part.faults} == {"drill-vault-down", "drill-vault-approvals"}
