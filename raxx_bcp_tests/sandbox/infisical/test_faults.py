"""Each fault fires as its sentence says, and mending it shows the healthy vault again."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from raxx_bcp_sandbox.infisical.faults import KNOWN
from raxx_bcp_sandbox.infisical.scale import scale_world
from raxx_bcp_sandbox.infisical.seed import expected_items
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, LOGIN, Vault, raxx_vault

PLATFORM, PAYMENTS, OPS = "raxx-platform", "raxx-payments", "raxx-ops"
ENVIRONMENTS = [
    (slug, environment)
    for slug in (PLATFORM, PAYMENTS, OPS)
    for environment in ("dev", "staging", "prod", *(["preview"] if slug == PLATFORM else []))
]


def switch(vault: Vault, fault: str, *, on: bool = True) -> None:
    method = "PUT" if on else "DELETE"
    answer = vault.session.request(method, f"{vault.address}/_sandbox/faults/{fault}", timeout=10)
    assert answer.status_code == 200


def listed(vault: Vault, token: str) -> dict[str, list[dict[str, Any]]]:
    """All secrets that a client can list, by project and environment."""
    found = {}
    for slug, environment in ENVIRONMENTS:
        answer = vault.secrets(slug, environment, token)
        assert answer.status_code == 200
        found[f"{slug}/{environment}"] = answer.json()["secrets"]
    return found


def folders(vault: Vault, slug: str, environment: str, token: str) -> list[dict[str, Any]]:
    query = {"projectId": vault.project_id(slug), "environment": environment, "path": "/", "recursive": "true"}
    rows: list[dict[str, Any]] = vault.get("/api/v2/folders", token, **query).json()["folders"]
    return rows


def own_role(vault: Vault, slug: str, token: str) -> requests.Response:
    project = vault.project_id(slug)
    return vault.get(f"/api/v1/projects/{project}/memberships/identities/{vault.world.exporter_id}", token)


def suspects(vault: Vault, token: str) -> list[str]:
    """Folders that say they have secrets and list none."""
    found = []
    for slug, environment in ENVIRONMENTS:
        filled = {secret["secretPath"] for secret in vault.secrets(slug, environment, token).json()["secrets"]}
        for folder in folders(vault, slug, environment, token):
            if folder["lastSecretModified"] and folder["relativePath"] not in filled:
                found.append(f"{slug}/{environment}{folder['relativePath']}")
    return found


@pytest.mark.parametrize("fault", sorted(KNOWN))
def test_mending_restores_the_healthy_vault(vault: Vault, fault: str) -> None:
    token = vault.token()
    expected = expected_items(vault.world)
    healthy = listed(vault, token)
    switch(vault, fault)
    for slug, environment in ENVIRONMENTS:
        vault.secrets(slug, environment, token)
    vault.login()
    switch(vault, fault, on=False)
    assert listed(vault, token) == healthy
    assert expected_items(vault.world) == expected
    assert suspects(vault, token) == []
    assert vault.login().status_code == 200


def test_every_fault_has_one_sentence(vault: Vault) -> None:
    known = vault.session.get(f"{vault.address}/_sandbox/faults", timeout=10).json()["known"]
    assert known == KNOWN
    assert all(sentence.endswith(".") for sentence in known.values())


def test_down(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-down")
    assert vault.login().status_code == 503
    assert vault.get("/api/v1/projects", token).status_code == 503


def test_login_refused(vault: Vault) -> None:
    switch(vault, "vault-login-refused")
    for _ in range(5):
        answer = vault.login()
        assert (answer.status_code, answer.json()["message"]) == (401, "Invalid credentials")
    assert vault.login(CREDENTIALS.org_admin).status_code == 200
    switch(vault, "vault-login-refused", on=False)
    assert vault.login().status_code == 200


def test_role_weakened(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-role-weakened")
    assert vault.secrets(PAYMENTS, "dev", token).json()["message"] == "You are not allowed to describeSecret on secrets"
    assert own_role(vault, PAYMENTS, token).status_code == 403
    assert len(vault.get("/api/v1/projects", token).json()["projects"]) == 3
    assert vault.secrets(OPS, "dev", token).status_code == 200


def test_project_left(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-project-left")
    slugs = [project["slug"] for project in vault.get("/api/v1/projects", token).json()["projects"]]
    assert slugs == [OPS, PLATFORM]
    assert vault.secrets(PAYMENTS, "dev", token).json()["error"] == "ProjectMembershipNotFound"
    admin = vault.get("/api/v1/organization-admin/projects", vault.token(CREDENTIALS.org_admin), limit=100)
    assert admin.json()["count"] == 3


def test_partial_permission(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-partial-permission")
    answer = vault.secrets(OPS, "prod", token)
    assert answer.status_code == 200
    assert {secret["secretPath"] for secret in answer.json()["secrets"]} == {"/backups"}
    role = own_role(vault, OPS, token).json()["identityMembership"]["roles"][0]
    assert (role["role"], role["customRoleName"]) == ("custom", "One folder only")
    assert len(folders(vault, OPS, "prod", token)) == 5
    imports = {"projectId": vault.project_id(OPS), "environment": "prod", "path": "/"}
    assert len(vault.get("/api/v2/secret-imports", token, **imports).json()["secretImports"]) == 3


def test_hidden_values(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-hidden-values")
    secrets = vault.secrets(OPS, "prod", token, viewSecretValue="true", includeImports="true").json()
    rows = [*secrets["secrets"], *(row for one in secrets["imports"] for row in one["secrets"])]
    assert {(row["secretValue"], row["secretValueHidden"]) for row in rows} == {("<hidden-by-infisical>", True)}
    query = {"projectId": vault.project_id(OPS), "environment": "prod"}
    one = vault.get("/api/v4/secrets/DB_HOST", token, **query).json()["secret"]
    assert one["secretValue"] == "<hidden-by-infisical>"


def test_emptied(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-emptied")
    assert not any(listed(vault, token).values())
    assert suspects(vault, token) == []
    assert len(vault.get("/api/v1/projects", token).json()["projects"]) == 3
    assert folders(vault, OPS, "dev", token)


def test_no_projects(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-no-projects")
    assert vault.get("/api/v1/projects", token).json() == {"projects": []}
    assert vault.secrets(OPS, "dev", token).status_code == 404


def test_shrunk(vault: Vault) -> None:
    token = vault.token()
    before = sum(map(len, listed(vault, token).values()))
    switch(vault, "vault-shrunk")
    after = sum(map(len, listed(vault, token).values()))
    assert after == before - round(before * 0.6)
    assert suspects(vault, token) == []


def test_folder_silent(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-folder-silent")
    assert suspects(vault, token) == [f"{OPS}/dev/backups"]


def test_error_page(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-error-page")
    answer = vault.secrets(PAYMENTS, "prod", token)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "text/html"
    assert vault.secrets(PAYMENTS, "dev", token).status_code == 200


def test_error_body(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-error-body")
    answer = vault.secrets(PAYMENTS, "prod", token)
    assert (answer.status_code, answer.json()) == (200, {"error": "401"})
    assert vault.secrets(OPS, "prod", token).json()["secrets"]


def test_rate_limited(vault: Vault) -> None:
    token = vault.token()
    switch(vault, "vault-rate-limited")
    answers = [vault.get("/api/v1/projects", token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == ["1", "1", None]
    assert answers[0].json()["error"] == "RateLimitExceeded"
    assert vault.login().status_code == 429


def test_token_expires(vault: Vault) -> None:
    switch(vault, "vault-token-expires")
    token = vault.token()
    assert vault.login().json()["expiresIn"] == 2
    assert vault.get("/api/v1/projects", token).status_code == 200
    vault.clock.advance(2)
    answer = vault.get("/api/v1/projects", token)
    assert (answer.status_code, answer.json()["error"]) == (403, "TokenError")
    assert vault.get("/api/v1/projects", vault.token()).status_code == 200


def test_slow(vault: Vault) -> None:
    switch(vault, "vault-slow")
    assert vault.session.post(vault.address + LOGIN, json={}, timeout=10).status_code == 422
    assert vault.clock.slept == [0.2]


@pytest.mark.parametrize("fault", ["vault-error-page", "vault-folder-silent", "vault-project-left", "vault-shrunk"])
def test_faults_strike_a_scale_vault_too(fault: str) -> None:
    with raxx_vault(scale_world(CREDENTIALS, secrets=180, folders=2)) as vault:
        token = vault.token()
        names = [(slug, one) for slug in (PLATFORM, PAYMENTS, OPS) for one in ("dev", "staging", "prod")]
        healthy = [vault.secrets(slug, one, token).content for slug, one in names]
        switch(vault, fault)
        assert [vault.secrets(slug, one, token).content for slug, one in names] != healthy
