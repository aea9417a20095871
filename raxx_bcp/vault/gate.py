"""The plaintext gate: what must be true of the vault as read before a byte of it is encrypted.

An export that silently lacks something is worse than none, since it is discovered on the worst day.
Infisical answers 200 to an identity that sees only a part (captures 51_*). So four sources prove completeness:
the identity's own roles, the projects that the policy names, the organisation's own
list where a second identity may read it, and the last good export.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.infisical import FULL_READ_ROLES, PROJECT_KIND, OrgProject, Privilege
from raxx_bcp.errors import PermanentError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault.survey import Membership, Survey

COMPLETENESS: Final = "completeness"
SHRINK: Final = "shrink"
_MOST_NAMED: Final = 4
_DENIABLE: Final = frozenset(
    {"secrets", "secret-folders", "secret-imports", "tags", "environments", "workspace", "all", "*"}
)
"""Subjects whose denial leaves something out of an export, or may do so: in doubt, refuse."""

_INVITE: Final = (
    "In Infisical add the machine identity to {} with the role Viewer (Access Control > Machine Identities)."
)
_LOOK_AT_ROLE: Final = (
    "In Infisical open {} (Access Control > Machine Identities): the identity needs the role Viewer there, not "
    "temporary, and no additional privilege that denies: one that does hides the role as well."
)


class ExportRefusedError(PermanentError):
    """The gate is shut: ``checks`` holds every finding, not just the first."""

    def __init__(self, what: str, remedy: str, checks: tuple[Check, ...] = ()) -> None:
        super().__init__(what, remedy)
        self.checks = checks


@dataclass(frozen=True)
class Baseline:
    """The last good export, to compare with."""

    key: str
    secret_count: int
    folder_secrets: Mapping[str, int] | None = None
    """Secrets of each folder that has any, by ``project/environment/path``; None where no export records it."""
    folders_key: str = ""
    """The export that records it: older than ``key`` where the run of ``key`` was killed before its manifest."""


def membership_findings(
    joined: Sequence[Membership], organisation: Sequence[OrgProject] | None, policy: VaultExport
) -> list[Check]:
    """What the identity cannot see, found before any secret is read. Empty when all is well.

    ``organisation`` is every project by the organisation's own list, or None when nobody may read that.
    """
    weak = [finding for member in joined for finding in (*weak_role(member), *deny_privileges(member))]
    return unseen_projects(joined, organisation, policy) + weak


def proved_projects(joined: Sequence[Membership]) -> frozenset[str]:
    """Slugs of the projects in which role and privileges prove that the identity sees everything."""
    return frozenset(member.project.slug for member in joined if not (weak_role(member) or deny_privileges(member)))


def unseen_projects(
    joined: Sequence[Membership], organisation: Sequence[OrgProject] | None, policy: VaultExport
) -> list[Check]:
    """Projects that should be in the export and that the identity has not joined: the vault just omits them."""
    if not joined:
        return [_fail("The identity has joined no project at all.", _INVITE.format("every project"))]
    slugs = {member.project.slug for member in joined}
    expected = [
        _fail(f"Project {slug} is expected by the policy and was not seen.", _INVITE.format(slug))
        for slug in policy.expected_projects
        if slug not in slugs
    ]
    return expected + [
        _fail(f"Project {project.slug} exists and the identity has not joined it.", _INVITE.format(project.slug))
        for project in organisation or ()
        if project.type == PROJECT_KIND and project.slug not in slugs | set(policy.expected_projects)
    ]


def weak_role(member: Membership) -> list[Check]:
    """A role that may hide secrets: the vault leaves those out with status 200 (captures 51_*, 54b)."""
    slug = member.project.slug
    if member.roles is None:
        return [_fail(f"In {slug} the identity may not even read its own role.", _LOOK_AT_ROLE.format(slug))]
    if any(role.role in FULL_READ_ROLES and not role.is_temporary for role in member.roles):
        return []
    labels = ", ".join(role.label + (" (temporary)" if role.is_temporary else "") for role in member.roles) or "none"
    return [
        _fail(
            f"In {slug} the identity's role ({labels}) may not see everything, and what it hides is left out silently.",
            _INVITE.format(slug),
        )
    ]


def deny_privileges(member: Membership) -> list[Check]:
    """Additional privileges that deny: the vault leaves those secrets out with status 200, whatever the role says.

    They deny by name, tag, environment or path (the root too), also where they deny only the value. Measured on
    a real server: the role stays ``viewer``, and nothing else shows it.
    """
    slug = member.project.slug
    if member.privileges is None:
        if member.roles is None:
            return []  # the unreadable role is already reported, and this follows from it
        return [
            _fail(
                f"In {slug} the identity's own additional privileges cannot be read, and one that denies would hide "
                "secrets silently.",
                f"Look in Infisical whether the identity may read its own privileges in {slug} (GET "
                "/api/v1/additional-privilege/identity), and upgrade a server that lacks the route.",
            )
        ]
    return [
        _fail(
            f"In {slug} the additional privilege {privilege.slug} denies the identity {listed(denied)}, and what it "
            "hides is left out silently.",
            f"In Infisical open {slug} (Access Control > Machine Identities), remove the privilege {privilege.slug} "
            "from the exporter's identity, wait a minute, and export again.",
        )
        for privilege in member.privileges
        if (denied := _denied_subjects(privilege))
    ]


def _denied_subjects(privilege: Privilege) -> list[str]:
    return sorted({one for rule in privilege.permissions if rule.inverted for one in rule.subjects if one in _DENIABLE})


def content_findings(survey: Survey) -> list[Check]:
    """What is missing from the vault as read, compared with nothing earlier. Empty when all is well."""
    counts = survey.counts()
    if not sum(count.secrets for count in counts):
        return [
            _fail("The vault showed no secret in any project.", "Look at the vault in a browser before anything else.")
        ]
    findings: list[Check] = []
    for project in survey.projects:
        for environment in project.environments:
            place = f"{project.project.slug}/{environment.environment.slug}"
            if environment.hidden_paths:
                findings.append(
                    _fail(
                        f"{place} shows hidden values in {listed(environment.hidden_paths)}.",
                        "Give the identity a role that may read values there, or remove the hiding privilege.",
                    )
                )
    return findings


def shrink_check(secret_count: int, baseline: Baseline | None, threshold_ratio: float, accepted_reason: str) -> Check:
    """Has the vault lost more than ``threshold_ratio`` of its secrets since the last good export?

    ``accepted_reason`` is a person's recorded override; it turns the failure into a warning that stays visible.
    """
    if baseline is None:
        return Check(SHRINK, Status.PASS, f"{secret_count} secrets; there is no earlier export to compare with.")
    lost = baseline.secret_count - secret_count
    detail = f"{secret_count} secrets, {baseline.secret_count} in the last good export ({baseline.key})"
    if lost <= baseline.secret_count * threshold_ratio:
        return Check(SHRINK, Status.PASS, f"{detail}.")
    if accepted_reason:
        return Check(SHRINK, Status.WARN, f"{detail}; accepted by hand: {accepted_reason}.", "None: it is on record.")
    return Check(
        SHRINK,
        Status.FAIL,
        f"{detail}: {lost} fewer is more than the {threshold_ratio:.0%} that the policy allows.",
        'If the secrets were rightly deleted, export once with --accept-shrink "why"; else find out who lost them.',
    )


def refuse_if(findings: Iterable[Check]) -> None:
    """Raise ``ExportRefusedError`` with every finding that is a failure."""
    failed = tuple(finding for finding in findings if finding.status is Status.FAIL)
    if not failed:
        return
    remedies = dict.fromkeys(finding.remedy for finding in failed)
    details = [finding.detail for finding in failed]
    if len(details) > _MOST_NAMED:
        details[_MOST_NAMED:] = [f"And {len(details) - _MOST_NAMED} findings more."]
    raise ExportRefusedError(
        f"The vault export was refused before encryption: {' '.join(details)}",
        f"{' '.join(remedies)} Nothing was stored; earlier exports are untouched.",
        failed,
    )


def _fail(detail: str, remedy: str) -> Check:
    return Check(COMPLETENESS, Status.FAIL, detail, remedy)


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:_MOST_NAMED]) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )
