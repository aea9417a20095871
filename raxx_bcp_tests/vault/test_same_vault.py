"""Is it the vault that the export was read from? By the organisation, under whatever address."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from raxx_bcp.clients.infisical import Identity
from raxx_bcp.errors import UsageError
from raxx_bcp.vault.document import Source
from raxx_bcp.vault.opening import OpenedExport, open_document
from raxx_bcp.vault.restore import carry_out, restore
from raxx_bcp.vault.restore_plan import Action, plan_restore
from raxx_bcp.vault.same_vault import VaultMatch, match_vault
from raxx_bcp_tests.vault.restoring import Target, restorable_items, small_plaintext, small_world, target

URL = "https://vault.raxx.example"
ORG = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def small() -> bytes:
    return small_plaintext()


@pytest.mark.parametrize(
    ("source_org", "url", "identity", "org", "shared", "kin"),
    [
        (ORG, "https://other.example", "restore", "another", (), VaultMatch.OTHER),
        (ORG, "https://other.example", "restore", ORG, (), VaultMatch.SOURCE),
        (ORG, "https://10.0.0.7", "restore", ORG, (), VaultMatch.SOURCE),
        (ORG, URL, "restore", ORG, (), VaultMatch.SOURCE),
        (ORG, URL, "restore", "another", (), VaultMatch.OTHER),
        (ORG, "https://other.example", "exporter", "another", (), VaultMatch.SOURCE),
        ("", "https://other.example", "restore", ORG, (), VaultMatch.UNKNOWN),
        (ORG, "https://other.example", "restore", "", (), VaultMatch.UNKNOWN),
        ("", "https://other.example", "restore", "", (), VaultMatch.UNKNOWN),
        ("", f"{URL}:443/", "restore", ORG, (), VaultMatch.SOURCE),
        (ORG, URL, "restore", "", (), VaultMatch.SOURCE),
        ("", "https://other.example", "restore", ORG, ("a project's id",), VaultMatch.SOURCE),
        ("", "https://other.example", "exporter", ORG, (), VaultMatch.SOURCE),
    ],
    ids=[
        "another organisation",
        "a second DNS name",
        "an address",
        "the same address",
        "another organisation of the same server",
        "the export's own identity",
        "an export without organisation",
        "a login without organisation",
        "neither",
        "an export without organisation, same address",
        "a login without organisation, same address",
        "an export without organisation, its projects",
        "an export without organisation, its identity",
    ],
)
def test_the_organisation_decides_and_hints_only_where_it_is_unknown(
    source_org: str, url: str, identity: str, org: str, shared: tuple[str, ...], kin: VaultMatch
) -> None:
    found = match_vault(Source(URL, source_org, "exporter"), url, Identity(identity, org), shared)
    assert found.kin is kin
    assert found.name == (source_org or URL)
    assert found.same_server is url.startswith(URL)
    assert found.as_dict()["is_source"] is {VaultMatch.SOURCE: True, VaultMatch.OTHER: False}.get(kin)


def _source_itself(small: bytes) -> tuple[OpenedExport, Any]:
    """The export, and the vault that it was read from, which has since lost a secret."""
    world = small_world()
    for project in world.projects.values():
        identity = next(actor for actor in world.actors.values() if actor.name == "raxx-bcp-restore")
        world.add_member(project, identity, "admin")
        del project.environments["prod"].folders["/"].secrets["ONE"]
    return open_document(small), world


def _localhost(there: Target) -> Target:
    there.address = there.address.replace("127.0.0.1", "localhost")
    return there


def test_a_restore_into_the_exports_own_vault_asks_for_its_name(small: bytes) -> None:
    document, world = _source_itself(small)
    with target(world) as there, _localhost(there).writer() as writer:
        with pytest.raises(UsageError) as caught:
            restore(document, writer)
        assert f"is the vault that the export was read from: organisation {world.org_id}" in caught.value.what
        assert "Nothing was written" in caught.value.what
        assert f"--into-source {world.org_id}" in caught.value.remedy
        assert there.wire.writes == []
        plan = plan_restore(document, writer)
        assert plan.as_dict()["is_source"] is True
        assert carry_out(plan_restore(document, writer, into_source=world.org_id), writer).ok
    assert there.wire.writes == ["POST /api/v4/secrets/batch"] * 2
    assert restorable_items(world) == restorable_items(small_world())


def test_the_exports_own_vault_may_be_compared_without_its_name(small: bytes) -> None:
    world = small_world()
    for project in world.projects.values():
        identity = next(actor for actor in world.actors.values() if actor.name == "raxx-bcp-restore")
        world.add_member(project, identity, "admin")
    with target(world) as there, there.writer() as writer:
        plan = plan_restore(open_document(small), writer)
        assert {project.action for project in plan.projects} == {Action.NOTHING}
        assert carry_out(plan, writer).ok
    assert there.wire.writes == []


def test_an_empty_vault_of_the_same_organisation_is_refused_too(small: bytes) -> None:
    document, world = _source_itself(small)
    world.projects.clear()
    with target(world) as there, there.writer() as writer, pytest.raises(UsageError, match="must be asked for by name"):
        restore(document, writer)
    assert there.wire.writes == []


@pytest.mark.parametrize("named", ["wrong", "http://127.0.0.1"])
def test_a_wrong_name_of_the_source_is_wrong_use(small: bytes, named: str) -> None:
    document, world = _source_itself(small)
    with target(world) as there, there.writer() as writer, pytest.raises(UsageError) as caught:
        plan_restore(document, writer, into_source=named)
    assert f"--into-source names {named}" in caught.value.what
    assert f"--into-source {world.org_id}" in caught.value.remedy


def test_the_sources_name_does_not_open_another_vault(small: bytes) -> None:
    """A slip in --to: what was consented to for the one vault is not done to another."""
    document = open_document(small)
    with target() as there, there.writer() as writer, pytest.raises(UsageError) as caught:
        restore(document, writer, into_source=document.source.org_id)
    assert there.world.org_id in caught.value.what
    assert "Correct --to" in caught.value.remedy
    assert there.wire.writes == []


def _without_organisation(plaintext: bytes, **source: str) -> OpenedExport:
    document = msgspec.json.decode(plaintext)
    document["source"].update(org_id="", **source)
    return open_document(msgspec.json.encode(document))


def test_an_old_export_goes_into_a_vault_that_nothing_speaks_against_and_it_is_said(small: bytes) -> None:
    document = _without_organisation(small)
    with target() as there, there.writer() as writer:
        plan = plan_restore(document, writer)
        assert plan.kinship.kin is VaultMatch.UNKNOWN
        assert "is not known: the export does not name its organisation" in plan.as_dict()["because"]
        assert plan.as_dict()["is_source"] is None
        assert carry_out(plan, writer).ok


def test_an_old_export_does_not_go_back_to_its_own_address_unasked(small: bytes) -> None:
    with target() as there, there.writer() as writer:
        document = _without_organisation(small, url=there.address)
        with pytest.raises(UsageError, match="is the address that the export was read from") as caught:
            restore(document, writer)
        assert f"--into-source {there.address}" in caught.value.remedy
        assert there.wire.writes == []
        assert restore(document, writer, into_source=there.address).ok


def test_an_old_export_recognises_its_own_projects(small: bytes) -> None:
    _document, world = _source_itself(small)
    with target(world) as there, there.writer() as writer:
        document = _without_organisation(small)
        with pytest.raises(UsageError, match="has projects with the ids of the export's"):
            restore(document, writer)
    assert there.wire.writes == []
