"""What the recorded answers imply beyond themselves: writes, permissions, seeds, size, silence."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp_sandbox.infisical.__main__ import main, world_for
from raxx_bcp_sandbox.infisical.permissions import Permission, Rule, rules_of_role
from raxx_bcp_sandbox.infisical.scale import scale_world
from raxx_bcp_sandbox.infisical.secret_writes import normalise
from raxx_bcp_sandbox.infisical.seed import expected_items, raxx_world
from raxx_bcp_sandbox.infisical.shapes import encoded_secret
from raxx_bcp_sandbox.infisical.state import Project
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock, Vault, raxx_vault

OPS = "raxx-ops"


@pytest.fixture
def restored(vault: Vault) -> tuple[Vault, str, Project]:
    """A new project of the restore identity."""
    token = vault.token(CREDENTIALS.restore)
    made = vault.post("/api/v1/projects", token, {"projectName": "Restored", "slug": "restored"})
    return vault, token, vault.world.projects[made.json()["project"]["id"]]


def batch(project: Project, *rows: dict[str, Any], path: str = "/") -> dict[str, Any]:
    return {"projectId": project.id, "environment": "dev", "secretPath": path, "secrets": list(rows)}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  padded  ", "padded"),
        ("x\n\n\n", "x\n"),
        ("x\n", "x\n"),
        ("x\n ", "x"),
        ("   ", ""),
        (" \n", ""),
        ("", ""),
        ("\tlead: 1\n  more: 2", "lead: 1\n  more: 2"),
        ("\u00a0x\ufeff", "x"),
        ("\x1fx", "\x1fx"),
    ],
)
def test_values_are_normalised_on_write(sent: str, kept: str) -> None:
    assert normalise(sent) == kept


@given(st.text())
def test_normalisation_is_stable(value: str) -> None:
    assert normalise(normalise(value)) == normalise(value)


def test_seeded_values_survive_normalisation(vault: Vault) -> None:
    assert all(normalise(secret.value) == secret.value for secret in vault.world.secrets.values())


def test_a_write_is_read_back(restored: tuple[Vault, str, Project]) -> None:
    vault, token, project = restored
    tag = vault.post(f"/api/v1/projects/{project.id}/tags", token, {"slug": "red", "color": "#f00"}).json()["tag"]
    row = {
        "secretKey": "KEY/with:odd%20name",
        "secretValue": " v\n\n",
        "secretComment": "c",
        "skipMultilineEncoding": True,
        "tagIds": [tag["id"]],
        "secretMetadata": [{"key": "a", "value": "b"}],
    }
    assert vault.post("/api/v4/secrets/batch", token, batch(project, row)).status_code == 200
    read = vault.secrets("restored", "dev", token).json()["secrets"][0]
    assert (read["secretValue"], read["secretComment"], read["skipMultilineEncoding"]) == ("v\n", "c", True)
    assert read["tags"] == [{"id": tag["id"], "slug": "red", "color": "#f00", "name": "red"}]
    assert read["secretMetadata"] == [{"key": "a", "value": "b", "isEncrypted": False}]
    changed = {**batch(project), "secrets": [{"secretKey": "KEY/with:odd%20name", "secretReminderRepeatDays": 7}]}
    assert vault.patch("/api/v4/secrets/batch", token, changed).json()["secrets"][0]["version"] == 2
    assert vault.secrets("restored", "dev", token).json()["secrets"][0]["secretReminderRepeatDays"] == 7


def test_a_batch_is_all_or_nothing(restored: tuple[Vault, str, Project]) -> None:
    vault, token, project = restored
    row = {"secretKey": "A", "secretValue": "1"}
    foreign = {"secretKey": "B", "secretValue": "1", "tagIds": ["no-such-tag"]}
    assert vault.post("/api/v4/secrets/batch", token, batch(project, row, foreign)).status_code == 404
    twice = vault.post("/api/v4/secrets/batch", token, batch(project, row, row))
    assert (twice.status_code, twice.json()["message"]) == (400, "Secret already exists: A")
    bad = vault.post("/api/v4/secrets/batch", token, batch(project, row, {"secretKey": "C"}))
    assert bad.json()["message"][0]["path"] == ["secrets", 1, "secretValue"]
    assert vault.secrets("restored", "dev", token).json()["secrets"] == []


@pytest.mark.parametrize(
    "fields", [{"secretMetadata": ["x"]}, {"tagIds": [{}]}, {"skipMultilineEncoding": "yes"}, {"secretValue": None}]
)
def test_secret_bodies_are_checked(restored: tuple[Vault, str, Project], fields: dict[str, Any]) -> None:
    vault, token, project = restored
    row = {"secretKey": "A", "secretValue": "1", **fields}
    answer = vault.post("/api/v4/secrets/batch", token, batch(project, row))
    assert answer.status_code == 422
    assert answer.json()["message"][0]["path"][:3] == ["secrets", 0, next(iter(fields))]


def test_update_of_what_is_not_there(restored: tuple[Vault, str, Project]) -> None:
    vault, token, project = restored
    body = batch(project, {"secretKey": "A", "secretValue": "1"})
    assert vault.patch("/api/v4/secrets/batch", token, body).status_code == 404
    ignored = vault.patch("/api/v4/secrets/batch", token, {**body, "mode": "ignore"})
    assert ignored.json() == {"secrets": []}


def test_bodies_up_to_one_mebibyte(restored: tuple[Vault, str, Project]) -> None:
    vault, token, project = restored
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{vault.address}/api/v4/secrets/batch"
    empty = json.dumps(batch(project, {"secretKey": "BIG", "secretValue": ""}))
    fits = empty.replace('"secretValue": ""', f'"secretValue": "{"x" * (1_048_576 - len(empty))}"')
    over = fits.replace('"secretValue": "x', '"secretValue": "xx')
    assert len(fits) == 1_048_576
    refused = vault.session.post(url, data=over, headers=headers, timeout=10)
    assert (refused.status_code, refused.json()["message"]) == (500, "Something went wrong")
    assert vault.session.post(url, data=fits, headers=headers, timeout=10).status_code == 200


def test_folder_times_follow_writes(restored: tuple[Vault, str, Project]) -> None:
    vault, token, project = restored
    where = {"projectId": project.id, "environment": "dev", "path": "/"}
    made = vault.post("/api/v2/folders", token, {**where, "name": "a"}).json()["folder"]
    assert made["lastSecretModified"] is None
    vault.post("/api/v4/secrets/batch", token, batch(project, {"secretKey": "A", "secretValue": "1"}, path="/a"))
    assert vault.get("/api/v2/folders", token, **where).json()["folders"][0]["lastSecretModified"]


def test_environment_positions_shift(restored: tuple[Vault, str, Project]) -> None:
    vault, token, project = restored
    body = {"name": "First", "slug": "first", "position": 1}
    assert vault.post(f"/api/v1/projects/{project.id}/environments", token, body).status_code == 200
    assert [one.slug for one in project.ordered_environments()] == ["first", "dev", "staging", "prod"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"projectName": "x" * 65}, ["projectName"]),
        ({"projectName": "x", "slug": "abcd"}, ["slug"]),
        ({"projectName": "x", "slug": "Not A Slug"}, ["slug"]),
        ({"projectName": 7}, ["projectName"]),
    ],
)
def test_project_bodies_are_checked(vault: Vault, body: dict[str, Any], path: list[str]) -> None:
    answer = vault.post("/api/v1/projects", vault.token(CREDENTIALS.restore), body)
    assert answer.status_code == 422
    assert answer.json()["message"][0]["path"] == path


def test_a_person_sees_own_overrides_only_when_asking(vault: Vault) -> None:
    owner = next(actor for actor in vault.world.actors.values() if actor.kind == "user")
    body = {"projectId": vault.project_id(OPS), "environment": "dev", "secretPath": "/"}
    with raxx_vault(vault.world) as served:
        token = served.authority.token_for(owner)
        served.post("/api/v4/secrets/DB_HOST", token, {**body, "type": "personal", "secretValue": "mine"})
        asked = served.secrets(OPS, "dev", token, includePersonalOverrides="true").json()["secrets"]
        plain = served.secrets(OPS, "dev", served.token(), includePersonalOverrides="true").json()["secrets"]
    assert ("personal", "mine") in {(one["type"], one["secretValue"]) for one in asked}
    assert {one["type"] for one in plain} == {"shared"}


@pytest.mark.parametrize(
    ("path", "seen"),
    [("/api", True), ("/api/a/b", True), ("/apis", False), ("/", False), ("/x/api", False)],
)
def test_glob_conditions(path: str, seen: bool) -> None:  # noqa: FBT001
    rule = Rule("secrets", frozenset({"readValue"}), {"secretPath": {"$glob": "/api/**"}})
    assert Permission([rule]).can("readValue", "secrets", secretPath=path) is seen
    assert Permission([rule]).can("readValue", "secrets")


def test_an_inverted_rule_takes_back() -> None:
    keep_out = Rule("secrets", frozenset({"readValue"}), {"environment": {"$in": ["prod"]}}, inverted=True)
    permission = Permission([*rules_of_role("viewer"), keep_out])
    assert permission.can("readValue", "secrets", environment="dev")
    assert not permission.can("readValue", "secrets", environment="prod")
    assert permission.can("describeSecret", "secrets", environment="prod")


def test_the_seed_has_what_breaks_naive_exports() -> None:
    projects = expected_items(raxx_world(CREDENTIALS))
    assert [project["slug"] for project in projects] == [OPS, "raxx-payments", "raxx-platform"]
    environments = [one for project in projects for one in project["environments"]]
    secrets = [secret for one in environments for secret in one["secrets"]]
    assert len(environments) == 10
    assert 280 <= len(secrets) <= 340
    folders = {folder["path"] for one in environments for folder in one["folders"]}
    assert {"/runbooks/dns/zones", "/archive/2024"} <= folders
    assert {len(one["imports"]) for one in environments} == {0, 3}
    assert "/does-not-exist" in {link["source_path"] for one in environments for link in one["imports"]}
    assert any(secret["is_rotated"] for secret in secrets)
    assert any(secret["reminder_repeat_days"] for secret in secrets)
    assert any(entry["isEncrypted"] for secret in secrets for entry in secret["metadata"])
    assert all(len(secret["value"]) >= 24 for secret in secrets if secret["value"])
    values = [secret["value"] for secret in secrets if secret["value"]]
    assert len(set(values)) == len(values)
    assert all("rxs_" in value for value in values)


def test_an_export_over_http_agrees_with_the_expected_items(vault: Vault) -> None:
    token = vault.token()
    for project in expected_items(vault.world):
        for environment in project["environments"]:
            rows = vault.secrets(project["slug"], environment["slug"], token).json()["secrets"]
            got = {(row["secretPath"], row["secretKey"]): row["secretValue"] for row in rows}
            assert got == {(one["path"], one["key"]): one["value"] for one in environment["secrets"]}


def test_only_one_seeded_reference_a_project_is_broken(vault: Vault) -> None:
    rows = vault.secrets("raxx-platform", "staging", vault.token(), expandSecretReferences="true").json()["secrets"]
    found = {row["secretKey"]: row["secretValue"] for row in rows}
    assert found["FROM_DEV"].startswith("api_token.rxs_")
    rows = vault.secrets("raxx-platform", "dev", vault.token(), expandSecretReferences="true").json()["secrets"]
    found = {row["secretKey"]: row["secretValue"] for row in rows}
    assert found["BROKEN_REFERENCE"].startswith("/rxs_")
    assert "${ not a reference }" in found["SHELL_TEXT"]


def test_seeding_is_deterministic() -> None:
    one, two = (raxx_world(CREDENTIALS, FakeClock()) for _ in range(2))
    assert expected_items(one) == expected_items(two)
    assert [encoded_secret(secret) for secret in one.secrets.values()] == [
        encoded_secret(secret) for secret in two.secrets.values()
    ]


def test_the_scale_vault_is_even_and_of_real_size() -> None:
    world = scale_world(CREDENTIALS, secrets=1800, folders=4)
    sizes = [len(encoded_secret(secret)) for secret in world.secrets.values()]
    assert len(sizes) == 1800
    assert 630 <= sum(sizes) / len(sizes) <= 660
    assert len({secret.folder.id for secret in world.secrets.values()}) == 36


def test_other_seeds() -> None:
    assert expected_items(world_for("empty", CREDENTIALS, secrets=0, folders=1)) == []
    assert len(world_for("scale", CREDENTIALS, secrets=9, folders=1).secrets) == 9
    with pytest.raises(ValueError, match="at least one folder"):
        scale_world(CREDENTIALS, folders=0)


def test_without_credentials_it_exits_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--port", "1"], {"RAXX_SANDBOX_CLIENT_ID": "only-half"})
    assert caught.value.code == 2
    assert "RAXX_SANDBOX_CLIENT_SECRET in the environment" in capsys.readouterr().err


def test_nothing_secret_is_printed(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with raxx_vault() as vault:
        token = vault.token()
        for project in expected_items(vault.world):
            for environment in project["environments"]:
                vault.secrets(project["slug"], environment["slug"], token)
        vault.get("/api/v9/nope", token)
        vault.session.post(f"{vault.address}/api/v4/secrets/batch", data=b"{rxs_", timeout=10)
        text = repr((vault.world.projects, vault.world.actors, vault.world.secrets))
    printed = capfd.readouterr()
    for place in (printed.out, printed.err, caplog.text, text):
        assert "rxs_" not in place
        assert token not in place
        assert CREDENTIALS.exporter.client_secret not in place
    assert CREDENTIALS.exporter.client_secret not in repr(CREDENTIALS)


def test_the_token_holds_no_client_secret(vault: Vault) -> None:
    payload = vault.token().split(".")[1]
    assert CREDENTIALS.exporter.client_secret not in base64.urlsafe_b64decode(payload + "==").decode()
