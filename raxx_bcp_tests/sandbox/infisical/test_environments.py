"""The stand-in's environments: deleted ones hold their slug for 14 days, come back last, and move among others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from raxx_bcp_sandbox.infisical.saved import load_world, save_world
from raxx_bcp_sandbox.infisical.seed import PLATFORM, expected_items
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock, Vault, raxx_vault


@pytest.fixture
def vault() -> Iterator[Vault]:
    with raxx_vault() as served:
        yield served


class _Admin:
    """The restore's identity as an admin of raxx-platform."""

    def __init__(self, vault: Vault) -> None:
        found = vault.world.project_by_slug(PLATFORM)
        assert found is not None
        self.vault, self.project = vault, found
        actor = next(one for one in vault.world.actors.values() if one.name == "raxx-bcp-restore")
        vault.world.add_member(found, actor, "admin")
        self.token = vault.token(CREDENTIALS.restore)

    def call(self, method: str, path: str = "", token: str = "", **body: Any) -> requests.Response:
        return self.vault.session.request(
            method,
            f"{self.vault.address}/api/v1/projects/{self.project.id}{path}",
            headers={"authorization": f"Bearer {token or self.token}"},
            json=body if method != "GET" else None,
            timeout=10,
        )

    def id_of(self, slug: str) -> str:
        return self.project.environments[slug].id

    def order(self) -> list[str]:
        return [one["slug"] for one in self.call("GET").json()["project"]["environments"]]

    def imports(self, slug: str) -> list[str]:
        query = {"projectId": self.project.id, "environment": slug, "path": "/"}
        found = self.vault.get("/api/v2/secret-imports", self.token, **query).json()["secretImports"]
        return [one["importEnv"]["slug"] for one in found]


def test_a_deleted_environment_holds_its_slug_is_listed_and_comes_back_last(vault: Vault) -> None:
    admin = _Admin(vault)
    before = expected_items(vault.world)
    staging = admin.id_of("staging")
    secrets = len(vault.world.secrets)
    assert "staging" in admin.imports("dev")
    deleted = admin.call("DELETE", f"/environments/{staging}")
    assert deleted.status_code == 200
    assert deleted.json()["environment"]["deleteAfter"] == "2027-01-29T08:00:00.000Z"
    assert admin.order() == ["dev", "prod", "preview"]
    (held,) = admin.call("GET").json()["project"]["deletedEnvironments"]
    assert (held["id"], held["slug"]) == (staging, "staging")
    assert "staging" not in admin.imports("dev")
    assert len(vault.world.secrets) < secrets
    assert vault.world.secret_rows() == secrets
    made = admin.call("POST", "/environments", name="Staging", slug="staging")
    assert made.status_code == 400
    assert "pending-deletion" in made.json()["message"]
    back = admin.call("POST", f"/environments/{staging}/restore")
    assert back.status_code == 200
    assert admin.order() == ["dev", "prod", "preview", "staging"]
    assert admin.call("GET").json()["project"]["deletedEnvironments"] == []
    assert admin.call("POST", f"/environments/{staging}/restore").status_code == 404
    assert admin.call("PATCH", f"/environments/{staging}", position=2).status_code == 200
    assert admin.order() == ["dev", "staging", "prod", "preview"]
    assert expected_items(vault.world) == before


def test_after_14_days_it_is_gone_for_good(vault: Vault) -> None:
    admin = _Admin(vault)
    staging = admin.id_of("staging")
    assert admin.call("DELETE", f"/environments/{staging}").status_code == 200
    vault.clock.advance(14 * 86_400)
    token = vault.token(CREDENTIALS.restore)
    assert admin.call("POST", f"/environments/{staging}/restore", token).status_code == 404
    assert admin.call("POST", "/environments", token, name="Staging", slug="staging").status_code == 200


def test_only_who_may_delete_brings_back(vault: Vault) -> None:
    admin = _Admin(vault)
    staging = admin.id_of("staging")
    viewer = vault.token()
    assert admin.call("DELETE", f"/environments/{staging}", viewer).status_code == 403
    assert admin.call("DELETE", f"/environments/{staging}").status_code == 200
    assert admin.call("POST", f"/environments/{staging}/restore", viewer).status_code == 403
    assert admin.call("PATCH", f"/environments/{admin.id_of('dev')}", viewer, position=2).status_code == 403
    assert admin.call("DELETE", f"/environments/{staging}").status_code == 404


def test_a_saved_world_keeps_what_is_deleted(vault: Vault, tmp_path: Any) -> None:
    admin = _Admin(vault)
    staging = admin.id_of("staging")
    assert admin.call("DELETE", f"/environments/{staging}").status_code == 200
    file = tmp_path / "vault.json"
    save_world(vault.world, file)
    again = load_world(file, FakeClock())
    assert again.secrets.keys() == vault.world.secrets.keys()
    assert again.secret_rows() == vault.world.secret_rows()
    project = again.project_by_slug(PLATFORM)
    assert project is not None
    assert list(again.deleted_environments(project)) == ["staging"]
