"""Who must have no access: nobody without TLS, and Terraform's roles not to the exports.

The exports are in the bucket that every pipeline can read (ADR-0103 D3), so the bucket's policy must exclude them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.state_bucket.bucket_policy import Denial

TLS_ONLY: Final = "tls_only"
TERRAFORM: Final = "terraform_cannot_read_exports"
READS: Final = ("s3:GetObject", "s3:GetObjectVersion")

_SHIPPED: Final = "deploy/iam/state-bucket-policy.json"
_LONGEST_ID: Final = 200


def tls_only(bucket: str, denials: Sequence[Denial] | None) -> Check:
    """Is every request that came without TLS refused, on the bucket and on its objects?

    ``denials`` is None where the bucket has no policy.
    """
    refusing = [
        denial
        for denial in denials or ()
        if denial.holds_for_everyone
        and denial.actions.covers_all("s3:")
        and (denial.only_without_tls or not denial.conditions)
    ]
    arn = f"arn:aws:s3:::{bucket}"
    whole = any(one.resources.covers(arn) for one in refusing)
    objects = any(one.resources.covers_all(f"{arn}/") for one in refusing)
    if whole and objects:
        return Check(TLS_ONLY, Status.PASS, "requests without TLS are refused, on the bucket and on its objects.")
    return Check(
        TLS_ONLY,
        Status.WARN,
        _plain_http(denials, whole=whole, objects=objects),
        f'Add the statement "TlsOnly" of {_SHIPPED} to the bucket\'s policy.',
    )


def terraform_cannot_read(
    bucket: str, denials: Sequence[Denial] | None, prefix: str, roles: Sequence[str], month: str
) -> Check:
    """Does the bucket's policy deny each of ``roles`` to read what is under ``prefix``?

    ``month`` (``YYYY-MM``) sets how often a person is alerted again.
    """
    open_roles = [role for role in roles if not _denied(bucket, denials, prefix, role)]
    if not open_roles:
        return Check(
            TERRAFORM, Status.PASS, f"the bucket's policy keeps {', '.join(map(_short, roles))} out of {prefix}*."
        )
    short = ", ".join(map(_short, open_roles))
    lacks = "the bucket has no policy" if denials is None else "the bucket's policy has no Deny without a condition"
    return Check(
        TERRAFORM,
        Status.FAIL,
        f"{lacks} that keeps {short} from reading {prefix}*.{_set_aside(denials or (), open_roles)} "
        "Whether a role's own policy allows it is not visible here.",
        f'Add the statement "TerraformDoesNotReadExports" of {_SHIPPED} to the bucket\'s policy, naming every role.',
        warning_id=f"{month} {' '.join(map(_short, open_roles))}"[:_LONGEST_ID],
    )


def no_roles() -> Check:
    """The result where the policy file names no role."""
    return Check(
        TERRAFORM,
        Status.COULD_NOT_VERIFY,
        "it is not known which roles Terraform has.",
        "Name them in state_bucket.terraform_role_arns of bcp.toml.",
    )


def _denied(bucket: str, denials: Iterable[Denial] | None, prefix: str, role: str) -> bool:
    partition = role.split(":")[1]
    exports = f"arn:{partition}:s3:::{bucket}/{prefix}"
    return any(
        denial.names(role)
        and not denial.conditions
        and denial.covers_actions(READS)
        and denial.resources.covers_all(exports)
        for denial in denials or ()
    )


def _set_aside(denials: Iterable[Denial], roles: Sequence[str]) -> str:
    """Statements that look sufficient, but apply only on a condition."""
    named = [
        denial.sid or "one without a Sid"
        for denial in denials
        if denial.conditions
        and not denial.only_without_tls
        and denial.covers_actions(READS)
        and any(denial.names(role) for role in roles)
    ]
    return f" It has a Deny with a condition, which does not count: {', '.join(named)}." if named else ""


def _plain_http(denials: Sequence[Denial] | None, *, whole: bool, objects: bool) -> str:
    if denials is None:
        return "the bucket has no policy, so plain http is not refused."
    if not (whole or objects):
        return "the bucket's policy does not refuse plain http to everybody."
    refused, open_ = ("the bucket", "its objects") if whole else ("its objects", "the bucket")
    return f"the bucket's policy refuses plain http for {refused}, and not for {open_}."


def _short(role: str) -> str:
    return role.partition(":role/")[2]
