"""The plaintext gate, line by line: each guard fires on its broken vault and is silent on the healthy one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.infisical import Environment, Identity, OrgProject, Privilege, PrivilegeRule, Project, Role
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault import gate
from raxx_bcp.vault.gate import Baseline, ExportRefusedError
from raxx_bcp.vault.survey import EnvironmentSurvey, FolderSurvey, Membership, ProjectSurvey, Survey

VIEWER = Role("viewer")
RAW = msgspec.Raw(b"{}")
POLICY = VaultExport()


def project(slug: str) -> Project:
    return Project(f"id-{slug}", slug.title(), slug, (Environment("e1", "Production", "prod"),))


def member(slug: str, *roles: Role, unreadable: bool = False) -> Membership:
    return Membership(project(slug), RAW, None if unreadable else roles or (VIEWER,), ())


def org(slug: str, kind: str = "secret-manager") -> OrgProject:
    return OrgProject(f"id-{slug}", slug, kind)


def folder(path: str, secrets: int, *, says: bool | None = None) -> FolderSurvey:
    claims = bool(secrets) if says is None else says
    return FolderSurvey(path, None if path == "/" else RAW, claims, secrets=[RAW] * secrets)


def survey(*folders: FolderSurvey, hidden: tuple[str, ...] = ()) -> Survey:
    environment = EnvironmentSurvey(
        environment=Environment("e1", "Production", "prod"),
        folders={one.path: one for one in folders},
        secret_count=sum(len(one.secrets) for one in folders),
        hidden_paths=hidden,
    )
    one = ProjectSurvey(project("raxx-ops"), RAW, [VIEWER], [], [environment])
    return Survey("https://vault", Identity("i", "o"), [one])


def details(findings: Sequence[Check]) -> list[str]:
    for finding in findings:
        assert (finding.name, finding.status) == ("completeness", Status.FAIL)
        assert finding.remedy
    return [finding.detail for finding in findings]


def test_a_healthy_membership_has_no_finding() -> None:
    joined = [member("raxx-ops"), member("raxx-payments", Role("member")), member("raxx-platform", Role("admin"))]
    policy = VaultExport(expected_projects=("raxx-ops", "raxx-payments"))
    organisation = [org("raxx-ops"), org("raxx-payments"), org("raxx-platform")]
    assert gate.membership_findings(joined, organisation, policy) == []
    assert gate.membership_findings(joined, None, policy) == []


def test_no_project_at_all_is_a_finding() -> None:
    assert details(gate.membership_findings([], None, POLICY)) == ["The identity has joined no project at all."]
    assert details(gate.membership_findings([], [], VaultExport(expected_projects=("a",))))


def test_each_expected_project_that_is_missing_is_a_finding() -> None:
    policy = VaultExport(expected_projects=("raxx-ops", "raxx-payments", "raxx-platform"))
    findings = gate.membership_findings([member("raxx-ops")], None, policy)
    assert details(findings) == [
        "Project raxx-payments is expected by the policy and was not seen.",
        "Project raxx-platform is expected by the policy and was not seen.",
    ]
    assert "add the machine identity to raxx-payments with the role Viewer" in findings[0].remedy


def test_a_project_of_the_organisation_that_was_not_joined_is_a_finding() -> None:
    findings = gate.membership_findings([member("raxx-ops")], [org("raxx-ops"), org("raxx-new")], POLICY)
    assert details(findings) == ["Project raxx-new exists and the identity has not joined it."]
    assert "raxx-new" in findings[0].remedy


def test_a_project_that_is_both_expected_and_listed_is_told_once() -> None:
    policy = VaultExport(expected_projects=("raxx-payments",))
    findings = gate.membership_findings([member("raxx-ops")], [org("raxx-ops"), org("raxx-payments")], policy)
    assert details(findings) == ["Project raxx-payments is expected by the policy and was not seen."]


@pytest.mark.parametrize("kind", ["cert-manager", "kms", "ssh", "secret-scanning"])
def test_projects_of_other_kinds_hold_no_secrets_and_are_not_missed(kind: str) -> None:
    organisation = [org("raxx-ops"), org("raxx-certs", kind)]
    assert gate.membership_findings([member("raxx-ops")], organisation, POLICY) == []


@pytest.mark.parametrize("role", ["viewer", "member", "admin"])
def test_a_role_that_reads_everything_is_no_finding(role: str) -> None:
    assert gate.weak_role(member("raxx-ops", Role(role))) == []
    assert gate.weak_role(member("raxx-ops", Role("custom", "half"), Role(role))) == []


@pytest.mark.parametrize(
    ("roles", "label"),
    [
        ((Role("no-access"),), "(no-access)"),
        ((Role("custom", "one-folder-only"),), "(one-folder-only)"),
        ((Role("viewer", is_temporary=True),), "(viewer (temporary))"),
        ((Role("no-access"), Role("admin", is_temporary=True)), "(no-access, admin (temporary))"),
        ((Role("Viewer"),), "(Viewer)"),
    ],
)
def test_a_role_that_may_hide_something_is_a_finding_that_names_it(roles: tuple[Role, ...], label: str) -> None:
    (detail,) = details(gate.weak_role(member("raxx-ops", *roles)))
    assert f"In raxx-ops the identity's role {label} may not see everything" in detail


def with_privileges(*privileges: Privilege) -> Membership:
    return Membership(project("raxx-ops"), RAW, (VIEWER,), privileges)


@pytest.mark.parametrize("subject", ["secrets", "secret-folders", "secret-imports", "tags", ["secrets", "webhooks"]])
def test_a_privilege_that_denies_is_a_finding_whatever_the_role_says(subject: str | list[str]) -> None:
    allows = Privilege("harmless", (PrivilegeRule("secrets"),))
    denies = Privilege("hide-some", (PrivilegeRule("webhooks"), PrivilegeRule(subject, inverted=True)))
    findings = gate.membership_findings([with_privileges(allows, denies)], None, POLICY)
    (detail,) = details(findings)
    assert "In raxx-ops the additional privilege hide-some denies the identity" in detail
    assert "remove the privilege hide-some" in findings[0].remedy


def test_privileges_that_allow_or_deny_what_no_export_holds_are_no_finding() -> None:
    allows = Privilege("more", (PrivilegeRule("secrets", inverted=False), PrivilegeRule(["tags", "secrets"])))
    elsewhere = Privilege("no-webhooks", (PrivilegeRule("webhooks", inverted=True),))
    assert gate.membership_findings([with_privileges(allows, elsewhere)], None, POLICY) == []


def test_privileges_that_cannot_be_read_are_a_finding() -> None:
    unknown = Membership(project("raxx-ops"), RAW, (VIEWER,), None)
    (detail,) = details(gate.membership_findings([unknown], None, POLICY))
    assert "In raxx-ops the identity's own additional privileges cannot be read" in detail


def test_no_role_and_an_unreadable_role_are_findings() -> None:
    nothing = Membership(project("raxx-ops"), RAW, (), ())
    assert "role (none) may not see everything" in details(gate.weak_role(nothing))[0]
    (finding,) = gate.weak_role(member("raxx-ops", unreadable=True))
    assert finding.detail == "In raxx-ops the identity may not even read its own role."
    assert "no additional privilege that denies" in finding.remedy, "it may have Viewer, and a denial that hides it"
    assert "add the machine identity" not in finding.remedy


def test_all_findings_of_a_membership_come_together() -> None:
    joined = [member("a", Role("no-access")), member("b", unreadable=True)]
    policy = VaultExport(expected_projects=("c",))
    assert len(details(gate.membership_findings(joined, [org("d")], policy))) == 4


def test_a_healthy_vault_has_no_finding() -> None:
    healthy = survey(folder("/", 0), folder("/api", 3), folder("/empty", 0))
    assert gate.content_findings(healthy) == []


def test_a_vault_without_secrets_is_a_finding() -> None:
    for empty in (survey(folder("/", 0), folder("/api", 0)), Survey("u", Identity("i", "o"), [])):
        assert details(gate.content_findings(empty)) == ["The vault showed no secret in any project."]


def test_hidden_values_are_a_finding_with_their_place() -> None:
    findings = gate.content_findings(survey(folder("/", 1), folder("/api", 2), hidden=("/", "/api")))
    assert details(findings) == ["raxx-ops/prod shows hidden values in /, /api."]


def test_many_hidden_paths_are_counted_rather_than_all_listed() -> None:
    paths = tuple(f"/f{number}" for number in range(9))
    (detail,) = details(gate.content_findings(survey(folder("/", 1), hidden=paths)))
    assert "/f0, " in detail
    assert "/f8" not in detail
    assert " more" in detail


BASELINE = Baseline("vault-exports/2026-02-02.json.gpg", 100)


@pytest.mark.parametrize(
    ("count", "status"),
    [
        (150, Status.PASS),
        (100, Status.PASS),
        (91, Status.PASS),
        (90, Status.PASS),
        (89, Status.FAIL),
        (40, Status.FAIL),
        (0, Status.FAIL),
    ],
)
def test_losing_more_than_the_threshold_fails_and_exactly_that_much_does_not(count: int, status: Status) -> None:
    check = gate.shrink_check(count, BASELINE, 0.1, "")
    assert (check.name, check.status) == ("shrink", status)
    assert f"{count} secrets, 100 in the last good export (vault-exports/2026-02-02.json.gpg)" in check.detail


@pytest.mark.parametrize(
    ("count", "ratio", "status"),
    [(99, 0.0, Status.FAIL), (100, 0.0, Status.PASS), (0, 1.0, Status.PASS), (50, 0.5, Status.PASS)],
)
def test_the_policys_own_threshold_counts(count: int, ratio: float, status: Status) -> None:
    assert gate.shrink_check(count, BASELINE, ratio, "").status is status


def test_a_failure_says_how_much_was_lost_and_how_to_accept_it() -> None:
    check = gate.shrink_check(40, BASELINE, 0.1, "")
    assert "60 fewer is more than the 10% that the policy allows" in check.detail
    assert "--accept-shrink" in check.remedy


def test_an_accepted_loss_is_a_warning_with_its_reason() -> None:
    check = gate.shrink_check(40, BASELINE, 0.1, "old shop closed")
    assert check.status is Status.WARN
    assert "accepted by hand: old shop closed" in check.detail


def test_a_reason_given_in_vain_is_no_warning() -> None:
    assert gate.shrink_check(95, BASELINE, 0.1, "just in case").status is Status.PASS


@pytest.mark.parametrize("reason", ["", "first"])
def test_the_first_export_has_nothing_to_compare_with(reason: str) -> None:
    check = gate.shrink_check(3, None, 0.1, reason)
    assert check.status is Status.PASS
    assert "no earlier export" in check.detail


def finding(number: int, status: Status = Status.FAIL, remedy: str = "Mend it.") -> Check:
    return Check("completeness", status, f"Finding {number}.", remedy)


def test_nothing_is_refused_where_nothing_failed() -> None:
    gate.refuse_if([])
    gate.refuse_if([finding(1, Status.PASS), finding(2, Status.WARN), finding(3, Status.COULD_NOT_VERIFY)])


def test_a_refusal_lists_the_findings_and_each_remedy_once() -> None:
    failed = [finding(1), finding(2), finding(3, remedy="Look.")]
    with pytest.raises(ExportRefusedError) as caught:
        gate.refuse_if([*failed, finding(4, Status.WARN)])
    assert caught.value.what == "The vault export was refused before encryption: Finding 1. Finding 2. Finding 3."
    assert caught.value.remedy == "Mend it. Look. Nothing was stored; earlier exports are untouched."
    assert caught.value.checks == tuple(failed)


def test_a_refusal_for_many_reasons_stays_readable_and_keeps_them_all() -> None:
    failed = [finding(number) for number in range(1, 31)]
    with pytest.raises(ExportRefusedError) as caught:
        gate.refuse_if(failed)
    assert "Finding 1. Finding 2." in caught.value.what
    assert "findings more." in caught.value.what
    assert len(caught.value.what) < 400
    assert caught.value.checks == tuple(failed)
