"""The walk over the served vault: everything is brought home, and a bad page anywhere ends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from raxx_bcp.clients.infisical import Infisical, Project
from raxx_bcp.clients.infisical_errors import DeniedError, TokenUsedUpError
from raxx_bcp.errors import BcpError, PermanentError, TransientError, UnreadableAnswerError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault import gate, walk
from raxx_bcp.vault.emptied_folders import emptied_folders
from raxx_bcp.vault.gate import Baseline
from raxx_bcp.vault.survey import EnvironmentSurvey, Survey
from raxx_bcp_sandbox.infisical.seed import empty_world, expected_items
from raxx_bcp_sandbox.infisical.shapes import encoded_secret, secret_listed
from raxx_bcp_sandbox.infisical.state import Secret
from raxx_bcp_tests.clients.leaks import everything_held, everything_shown
from raxx_bcp_tests.clients.vaults import SECRETS, WatchedVault, watched_vault
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS

PLATFORM, PAYMENTS, OPS = "raxx-platform", "raxx-payments", "raxx-ops"


@pytest.fixture
def vault() -> Iterator[WatchedVault]:
    with watched_vault() as served:
        yield served


@pytest.fixture(scope="module")
def unbroken() -> Iterator[WatchedVault]:
    """A vault that no test of this module changes."""
    with watched_vault() as served:
        yield served


def walked(client: Infisical, concurrency: int = 4) -> Survey:
    return walk.survey(client, walk.memberships(client), concurrency=concurrency, progress=lambda _: None)


def surveyed(vault: WatchedVault, concurrency: int = 4) -> Survey:
    with vault.client() as client:
        return walked(client, concurrency)


def environment_of(survey: Survey, project: str, environment: str) -> EnvironmentSurvey:
    return next(
        one
        for found in survey.projects
        if found.project.slug == project
        for one in found.environments
        if one.environment.slug == environment
    )


def seeded(vault: WatchedVault, project: str, environment: str, path: str, key: str) -> Secret:
    found = vault.world.project_by_slug(project)
    assert found is not None
    return found.environments[environment].folders[path].secrets[key]


def test_the_joined_projects_come_with_ones_own_roles(unbroken: WatchedVault) -> None:
    with unbroken.client() as client:
        joined = walk.memberships(client)
    assert [member.project.slug for member in joined] == [OPS, PAYMENTS, PLATFORM]
    assert [[role.role for role in member.roles or ()] for member in joined] == [["viewer"]] * 3
    assert [msgspec.json.decode(member.raw)["slug"] for member in joined] == [OPS, PAYMENTS, PLATFORM]


def test_before_the_gate_no_secret_is_asked_for(unbroken: WatchedVault) -> None:
    before = unbroken.watch.count(f"GET {SECRETS}")
    with unbroken.client() as client:
        walk.memberships(client)
    assert unbroken.watch.count(f"GET {SECRETS}") == before


def test_a_role_that_may_not_be_read_is_unknown_and_not_empty(vault: WatchedVault) -> None:
    vault.faults.switch("vault-role-weakened", on=True)
    with vault.client() as client:
        roles = {member.project.slug: member.roles for member in walk.memberships(client)}
    assert roles[PAYMENTS] is None
    assert roles[OPS]


def deny(vault: WatchedVault, slug: str, conditions: dict[str, Any]) -> None:
    """An inverted additional privilege on the exporter's identity; its role stays Viewer."""
    project = vault.world.project_by_slug(slug)
    assert project is not None
    assert vault.world.exporter_id is not None
    rule = {"subject": "secrets", "action": ["describeSecret", "readValue"], "conditions": conditions, "inverted": True}
    member = project.members[vault.world.exporter_id]
    member.privileges.append({"slug": "hide-some", "isTemporary": False, "permissions": [rule]})


def hides(vault: WatchedVault, conditions: dict[str, Any]) -> tuple[int, list[str]]:
    """How many secrets a denial leaves out with status 200, and what the gate says of it."""
    before = sum(row.secrets for row in surveyed(vault).counts())
    deny(vault, OPS, conditions)
    after = sum(row.secrets for row in surveyed(vault).counts())
    with vault.client() as client:
        findings = gate.membership_findings(walk.memberships(client), None, VaultExport())
    return before - after, [finding.detail for finding in findings]


def any_secret(vault: WatchedVault, *, tagged: bool = False) -> Secret:
    project = vault.world.project_by_slug(OPS)
    assert project is not None
    return next(
        secret
        for secret in vault.world.secrets.values()
        if secret.folder.environment.project is project and (secret.tags or not tagged)
    )


@pytest.mark.parametrize("by", ["name", "tag", "path", "root", "environment"])
def test_secrets_that_a_privilege_hides_are_missed_by_nothing_but_the_privilege(vault: WatchedVault, by: str) -> None:
    secret = any_secret(vault, tagged=by == "tag")
    conditions: dict[str, dict[str, dict[str, Any]]] = {
        "name": {"secretName": {"$eq": secret.key}},
        "tag": {"secretTags": {"$in": [tag.slug for tag in secret.tags]}},
        "path": {"secretPath": {"$glob": "/backups/**"}},
        "root": {"secretPath": {"$eq": "/"}},
        "environment": {"environment": {"$eq": "prod"}},
    }
    lost, findings = hides(vault, conditions[by])
    assert lost > 0
    assert len(findings) == 1
    assert "In raxx-ops the additional privilege hide-some denies the identity secrets" in findings[0]


def test_a_rule_that_names_no_subject_denies_everything_and_one_that_allows_is_read(vault: WatchedVault) -> None:
    """The vendor's schema makes ``subject`` optional: such a rule is neither damage nor harmless."""
    deny(vault, OPS, {})
    project = vault.world.project_by_slug(OPS)
    assert project is not None
    assert vault.world.exporter_id is not None
    (privilege,) = project.members[vault.world.exporter_id].privileges
    privilege["permissions"] = [{"action": ["readValue"], "inverted": True}]
    with vault.client() as client:
        (finding,) = gate.membership_findings(walk.memberships(client), None, VaultExport())
    assert "the additional privilege hide-some denies the identity all" in finding.detail
    privilege["permissions"] = [{"action": ["readValue"]}]
    with vault.client() as client:
        assert gate.membership_findings(walk.memberships(client), None, VaultExport()) == []


@pytest.mark.parametrize("route", [SECRETS, "/api/v2/folders", "/api/v1/projects"])
def test_bytes_that_are_no_utf_8_end_in_one_sentence_that_holds_none_of_them(vault: WatchedVault, route: str) -> None:
    planted = b"planted-secret-\xff-value"
    with vault.client() as client:
        body = b'{"%s":[{"id":"%s"}]}' % (route.rpartition("/")[2].encode(), planted)
        vault.watch.answer(route, body)
        with pytest.raises(PermanentError, match="is not valid UTF-8 JSON") as caught:
            walked(client, 1)
    assert "planted" not in everything_held(caught.value)


def test_privileges_that_a_server_does_not_list_are_unknown_and_not_none() -> None:
    with watched_vault(without="/api/v1/additional-privilege/identity") as older, older.client() as client:
        assert [member.privileges for member in walk.memberships(client)] == [None] * 3


def test_the_healthy_identity_has_no_privilege_that_denies(unbroken: WatchedVault) -> None:
    with unbroken.client() as client:
        assert [member.privileges for member in walk.memberships(client)] == [()] * 3


def test_every_secret_folder_and_import_is_counted(unbroken: WatchedVault) -> None:
    counts = {(row.project, row.environment): row for row in surveyed(unbroken).counts()}
    for project in expected_items(unbroken.world):
        for environment in project["environments"]:
            row = counts.pop((project["slug"], environment["slug"]))
            assert row.secrets == len(environment["secrets"])
            assert row.folders == len(environment["folders"])
            assert row.imports == len(environment["imports"])
    assert not counts


def test_the_healthy_vault_passes_the_gate(unbroken: WatchedVault) -> None:
    with unbroken.client() as client:
        joined = walk.memberships(client)
        policy = VaultExport(expected_projects=(OPS, PAYMENTS, PLATFORM))
        assert gate.membership_findings(joined, None, policy) == []
        assert gate.content_findings(walked(client)) == []


def test_the_survey_knows_when_the_youngest_secret_was_changed(unbroken: WatchedVault) -> None:
    newest = max(secret.updated_at for secret in unbroken.world.secrets.values())
    assert surveyed(unbroken).newest_change == newest


def test_the_survey_says_who_read_and_shows_no_value(unbroken: WatchedVault) -> None:
    survey = surveyed(unbroken)
    assert survey.url == unbroken.address
    assert survey.identity.identity_id == unbroken.world.exporter_id
    assert "rxs_" not in repr(survey)


def test_progress_is_told_for_every_environment_and_holds_no_value(unbroken: WatchedVault) -> None:
    told: list[str] = []
    with unbroken.client() as client:
        walk.survey(client, walk.memberships(client), concurrency=4, progress=told.append)
    assert len(told) == 10
    assert "read raxx-ops/dev: 31 secrets, 5 folders, 3 imports" in told
    assert "rxs_" not in "".join(told)


def test_environments_without_secrets_and_projects_without_environments_are_kept(vault: WatchedVault) -> None:
    exporter = vault.world.actors[vault.world.exporter_id or ""]
    bare = vault.world.add_project("Zz bare", "zz-bare", creator=None, environments=())
    vault.world.add_member(bare, exporter, "viewer")
    empty = vault.world.add_project("Zz empty", "zz-empty", creator=None, environments=(("Only", "only"),))
    vault.world.add_member(empty, exporter, "viewer")
    survey = surveyed(vault)
    found = {project.project.slug: project.environments for project in survey.projects}
    assert found["zz-bare"] == []
    assert list(found["zz-empty"][0].folders) == ["/"]
    assert (found["zz-empty"][0].secret_count, found["zz-empty"][0].newest_change) == (0, "")


def test_a_vault_without_projects_is_an_empty_survey() -> None:
    with watched_vault(empty_world(CREDENTIALS)) as vault:
        survey = surveyed(vault)
    assert (survey.projects, survey.counts(), survey.newest_change) == ([], (), "")


def test_imports_are_asked_for_once_for_each_folder_and_secrets_once_for_each_environment(vault: WatchedVault) -> None:
    surveyed(vault)
    folders = sum(len(one["folders"]) + 1 for p in expected_items(vault.world) for one in p["environments"])
    assert vault.watch.count("GET /api/v2/secret-imports") == folders
    assert vault.watch.count(f"GET {SECRETS}") == 10
    assert vault.watch.count("GET /api/v2/folders") == 10


class Racing(Infisical):
    """A vault in which a folder with a secret is made after the folders were listed."""

    def folders(self, project_id: str, environment: str) -> list[msgspec.Raw]:
        rows = super().folders(project_id, environment)
        return [row for row in rows if msgspec.json.decode(row)["relativePath"] != "/payouts"]


def test_a_folder_made_while_reading_is_kept_with_its_secrets_and_imports(vault: WatchedVault) -> None:
    project = vault.world.project_by_slug(PAYMENTS)
    assert project is not None
    prod = project.environments["prod"]
    vault.world.add_import(prod.folders["/payouts"], prod, "/cards")
    login = CREDENTIALS.exporter
    with Racing(vault.address, login.client_id, login.client_secret) as client:
        found = environment_of(walked(client), PAYMENTS, "prod").folders["/payouts"]
    assert found.raw is None
    assert len(found.secrets) == 6
    assert len(found.imports) == 1


def test_hidden_values_are_found_with_their_folders(vault: WatchedVault) -> None:
    healthy = surveyed(vault)
    assert {one.hidden_paths for project in healthy.projects for one in project.environments} == {()}
    vault.faults.switch("vault-hidden-values", on=True)
    hidden = environment_of(surveyed(vault), OPS, "prod").hidden_paths
    assert hidden == ("/", "/backups", "/runbooks", "/runbooks/dns/zones")


@pytest.mark.parametrize("row", [{"secretValueHidden": True}, {"secretValue": "<hidden-by-infisical>"}])
def test_either_sign_of_hiding_is_enough(vault: WatchedVault, row: dict[str, Any]) -> None:
    secret = seeded(vault, OPS, "dev", "/backups", "DB_HOST")
    secret.encoded = msgspec.json.encode({**secret_listed(secret), **row})
    assert environment_of(surveyed(vault), OPS, "dev").hidden_paths == ("/backups",)


def test_a_token_that_is_used_up_is_not_taken_for_privileges_that_cannot_be_read(vault: WatchedVault) -> None:
    vault.limit_token_uses(1)
    with vault.client() as client, pytest.raises(TokenUsedUpError):
        walk.memberships(client)


def test_a_silent_folder_is_found_by_its_own_word(vault: WatchedVault) -> None:
    vault.faults.switch("vault-folder-silent", on=True)
    survey = surveyed(vault)
    folder = environment_of(survey, OPS, "dev").folders["/backups"]
    assert (folder.says_it_has_secrets, folder.secrets) == (True, [])
    assert emptied_folders(survey, None, {OPS}, VaultExport(), ()).unknown == ["raxx-ops/dev/backups"]


def test_no_folder_of_the_healthy_vault_is_taken_for_emptied(unbroken: WatchedVault) -> None:
    survey = surveyed(unbroken)
    same = Baseline("k", 1, survey.folders_with_secrets(), "k")
    for baseline in (None, same):
        assert emptied_folders(survey, baseline, set(), VaultExport(), ()).places == ()


def test_the_secrets_of_every_folder_are_counted_by_its_place(unbroken: WatchedVault) -> None:
    expected: dict[str, int] = {}
    for project in expected_items(unbroken.world):
        for environment in project["environments"]:
            for secret in environment["secrets"]:
                place = f"{project['slug']}/{environment['slug']}{secret['path']}"
                expected[place] = expected.get(place, 0) + 1
    assert surveyed(unbroken).folders_with_secrets() == expected


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("vault-error-page", TransientError, "GET /api/v4/secrets with 502"),
        ("vault-error-body", UnreadableAnswerError, "a body that is not the API's"),
        ("vault-role-weakened", DeniedError, "denies this machine identity GET /api/v4/secrets"),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_one_bad_page_ends_the_walk(
    vault: WatchedVault, fault: str, kind: type[BcpError], said: str, concurrency: int
) -> None:
    vault.faults.switch(fault, on=True)
    with pytest.raises(kind, match=said) as caught:
        surveyed(vault, concurrency)
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize("route", ["/api/v2/folders", "/api/v2/secret-imports"])
@pytest.mark.parametrize(
    ("status", "body"), [(404, b'{"reqId":"r","message":"gone"}'), (200, b'{"error":"401"}'), (302, b"")]
)
def test_one_bad_page_of_any_other_kind_ends_it_too(vault: WatchedVault, route: str, status: int, body: bytes) -> None:
    with vault.client() as client:
        joined = walk.memberships(client)
        vault.watch.answer(route, body, status)
        with pytest.raises((PermanentError, UnreadableAnswerError)):
            walk.survey(client, joined, concurrency=4, progress=lambda _: None)


def test_bad_tags_end_it_too(vault: WatchedVault) -> None:
    vault.watch.answer(f"/api/v1/projects/{vault.project_id(OPS)}/tags", b'{"tags":[{"id":1}]}')
    with pytest.raises(PermanentError, match="tag of raxx-ops that does not fit"):
        surveyed(vault)


def test_a_token_that_expires_in_the_middle_of_the_walk_costs_one_login(vault: WatchedVault) -> None:
    healthy = surveyed(vault).counts()
    before = vault.watch.logins
    with vault.client() as client:
        joined = walk.memberships(client)
        vault.clock.advance(3_601)
        survey = walk.survey(client, joined, concurrency=8, progress=lambda _: None)
    assert survey.counts() == healthy
    assert vault.watch.logins == before + 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"secretValue": {"rxs_new": "shape"}}, "secretValue"),
        ({"secretComment": 7}, "secretComment"),
        ({"secretKey": None}, "secretKey"),
        ({"version": "rxs_seven"}, "version"),
        ({"tags": "rxs_tag"}, "tags"),
        ({"secretMetadata": [{"key": "rxs_key"}]}, "secretMetadata"),
        ({"secretValueHidden": "rxs_no"}, "secretValueHidden"),
        ({"secretReminderRepeatDays": "rxs_weekly"}, "secretReminderRepeatDays"),
    ],
)
def test_a_secret_of_another_shape_is_refused_by_its_field_and_never_by_its_value(
    vault: WatchedVault, change: dict[str, Any], place: str
) -> None:
    secret = seeded(vault, PAYMENTS, "prod", "/cards", "DB_PASSWORD")
    secret.encoded = msgspec.json.encode({**secret_listed(secret), **change})
    with pytest.raises(PermanentError) as caught:
        surveyed(vault)
    assert "a secret of raxx-payments/prod that does not fit the documented shape" in caught.value.what
    assert f"`$.{place}" in caught.value.what
    assert "rxs_" not in everything_shown(caught.value)


@pytest.mark.parametrize("field", ["secretKey", "secretValue", "secretPath", "secretValueHidden", "updatedAt"])
def test_a_secret_without_a_documented_field_is_refused_by_name(vault: WatchedVault, field: str) -> None:
    secret = seeded(vault, PAYMENTS, "prod", "/cards", "DB_PASSWORD")
    row = secret_listed(secret)
    del row[field]
    secret.encoded = msgspec.json.encode(row)
    with pytest.raises(PermanentError, match=f"missing required field `{field}`"):
        surveyed(vault)


def test_a_project_of_another_shape_is_refused(vault: WatchedVault) -> None:
    vault.watch.answer("/api/v1/projects", b'{"projects":[{"id":"p","name":"n","slug":"s"}]}')
    with vault.client() as client, pytest.raises(PermanentError, match=r"a project that does not fit .*environments"):
        walk.memberships(client)


def test_a_field_of_tomorrow_is_no_reason_to_refuse(vault: WatchedVault) -> None:
    secret = seeded(vault, PAYMENTS, "prod", "/cards", "DB_PASSWORD")
    tomorrow = encoded_secret(secret)[:-1] + b',"tomorrow":{"a":[1, 2]}}'
    secret.encoded = tomorrow
    rows = environment_of(surveyed(vault), PAYMENTS, "prod").folders["/cards"].secrets
    assert tomorrow in [bytes(row) for row in rows]


def test_a_membership_does_not_show_the_vendors_object(unbroken: WatchedVault) -> None:
    with unbroken.client() as client:
        (member, *_) = walk.memberships(client)
    assert "raw" not in repr(replace(member, project=Project("i", "n", "s", ())))
