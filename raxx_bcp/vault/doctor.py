"""Answers ADR-0103's open question 3 in software: what can this identity export, and what can it not?"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from raxx_bcp import environment
from raxx_bcp.checks import Check, Status, guarded
from raxx_bcp.clients.gpg import keyring
from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_errors import UNLIMITED_USES
from raxx_bcp.clients.infisical_settings import token_uses_limit
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.policy import Policy, VaultExport
from raxx_bcp.vault import gate, walk
from raxx_bcp.vault.export import organisation_projects
from raxx_bcp.vault.inventory import freshness_check
from raxx_bcp.vault.keys import expiry_check, operator_key
from raxx_bcp.vault.survey import Membership

USES: Final = "vault token"


def examine(policy: Policy, now: datetime) -> list[Check]:
    """Check all that the export needs, without reading a secret or writing an object."""
    bucket = environment.state_bucket(policy)
    return [
        *guarded("operator key", lambda: [_key(policy.vault_export, now)]),
        *guarded("vault", lambda: _vault(policy)),
        *guarded("state bucket", lambda: [freshness_check(bucket, policy.vault_export, now)]),
        _second_copy(policy),
    ]


def _key(policy: VaultExport, now: datetime) -> Check:
    operator = operator_key(policy.gpg_fingerprint)
    with keyring(operator.armoured, operator.fingerprint, now=now) as ring:
        expiry = expiry_check(ring.key, policy.key_warning_days, now)
        detail = f"{ring.key.user_id}: {expiry.detail} gpg {ring.gpg_version} encrypts to {ring.key.encryption_key_id}."
        return Check("operator key", expiry.status, detail, expiry.remedy)


def _vault(policy: Policy) -> list[Check]:
    admin_login = environment.org_admin_login()
    org_admin = admin_login.client(policy) if admin_login else None
    with environment.vault_login().client(policy) as vault:
        joined = walk.memberships(vault)
        who = Check("vault login", Status.PASS, f"machine identity {vault.identity.identity_id} at {vault.url}.")
        own = token_uses_limit(vault, vault.identity.identity_id)
    unseen = _unseen(joined, org_admin, policy.vault_export)
    uses = token_uses(vault, own, org_admin)
    return [who, *uses, *_projects(joined), *unseen]


def token_uses(vault: Infisical, own: int | None, org_admin: Infisical | None) -> list[Check]:
    """How often a token may be used, where that is known: from the setting, or because one was used up just now.

    ``own`` is the setting as the exporter may read it; None: it may not, so the second identity reads it.
    """
    limit = own
    if limit is None and org_admin is not None:
        with org_admin as admin:
            limit = token_uses_limit(admin, vault.identity.identity_id)
    if not limit and not vault.token_ran_out:
        return [] if limit is None else [Check(USES, Status.PASS, "an access token may be used without limit.")]
    often = f"{limit} times" if limit else "only so often (one was used up during this look)"
    detail = (
        f"an access token may be used {often} (accessTokenNumUsesLimit). An export logs in once more, and fails when "
        "two tokens are not enough."
    )
    return [Check(USES, Status.WARN, detail, UNLIMITED_USES)]


def _projects(joined: list[Membership]) -> list[Check]:
    checks = []
    for member in joined:
        problems = [*gate.weak_role(member), *gate.deny_privileges(member)]
        roles = ", ".join(role.label for role in member.roles or ()) or "unknown"
        name = f"project {member.project.slug}"
        if problems:
            checks += [Check(name, Status.FAIL, problem.detail, problem.remedy) for problem in problems]
        else:
            environments = ", ".join(environment.slug for environment in member.project.environments)
            checks.append(Check(name, Status.PASS, f"role {roles}; environments {environments}."))
    return checks


def _unseen(joined: list[Membership], org_admin: Infisical | None, policy: VaultExport) -> list[Check]:
    """What the identity does not see. The vault itself never reports that: it only leaves it out."""
    name = "projects not seen"
    organisation = organisation_projects(org_admin)
    missing = gate.unseen_projects(joined, organisation, policy)
    if missing:
        return [Check(name, Status.FAIL, finding.detail, finding.remedy) for finding in missing]
    if organisation is not None:
        return [Check(name, Status.PASS, "none: the organisation's own list holds no other project.")]
    remedy = (
        "Name every project in vault_export.expected_projects, or give a second identity with the organisation role "
        "Admin (INFISICAL_ORG_ADMIN_CLIENT_ID and _SECRET): only that one can list what was not joined."
    )
    if policy.expected_projects:
        seen = "all projects that the policy expects are seen; whether there are others, this identity cannot know."
        return [Check(name, Status.WARN, seen, remedy)]
    return [Check(name, Status.COULD_NOT_VERIFY, "an identity sees only what it has joined.", remedy)]


def _second_copy(policy: Policy) -> Check:
    copy = policy.vault_export.second_copy
    second = environment.second_bucket(policy)
    if second is None:
        return Check(
            "second copy",
            Status.WARN,
            "not configured: the exports would not survive the loss of this AWS account or region.",
            "Set vault_export.second_copy to a bucket in another account and region.",
        )
    found = guarded("second copy", lambda: [Check("second copy", Status.PASS, _reached(second))])
    own_account = "" if copy.profile else " It uses the same credentials: not a separate account."
    return Check("second copy", found[0].status, found[0].detail + own_account, found[0].remedy)


def _reached(second: Bucket) -> str:
    return f"bucket {second.name}: versioning {second.versioning().value}."
