"""What S3 removes by itself: prior versions, after enough time; and nothing that is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3_settings import LifecycleRule

NONCURRENT: Final = "noncurrent_lifecycle"
SHORTEST_DAYS: Final = 30
"""A state file that was damaged on a holiday must still be there when somebody looks."""
_RUNBOOK: Final = "docs/runbooks/state-bucket-posture.md"
_LONGEST_ID: Final = 200


@dataclass(frozen=True)
class Kept:
    """What must be kept. ``state_keys`` is None where the versions may not be listed."""

    state_keys: tuple[str, ...] | None
    prefixes: tuple[str, ...]
    """The exports and the evidence, which are never removed."""

    def state_files_of(self, rule: LifecycleRule) -> bool | None:
        """Does ``rule`` apply to any state file? None where that is not known."""
        if self.state_keys is not None:
            return any(key.startswith(rule.prefix) for key in self.state_keys) or not rule.prefix
        if not rule.prefix:
            return True
        return False if rule.prefix.startswith(self.prefixes) else None

    def prefixes_of(self, rule: LifecycleRule) -> list[str]:
        """Which of ``prefixes`` does ``rule`` apply to?"""
        return [one for one in self.prefixes if one.startswith(rule.prefix) or rule.prefix.startswith(one)]


def noncurrent_lifecycle(rules: Sequence[LifecycleRule] | None, kept: Kept, *, mfa_delete: bool, month: str) -> Check:
    """Are prior versions of the state removed after enough time, and nothing else?

    A rule that is narrowed by tags or sizes counts where it would harm, and not where it would help. ``month``
    (``YYYY-MM``) sets how often a person is alerted again.
    """
    enabled = [rule for rule in rules or () if rule.enabled]
    return (
        _destroys(enabled, kept, month)
        or _unknown(enabled, kept)
        or _too_early(enabled, kept)
        or _tidies(enabled, kept, mfa_delete=mfa_delete)
    )


def _destroys(rules: Sequence[LifecycleRule], kept: Kept, month: str) -> Check | None:
    for rule in rules:
        reached = [f"{prefix}*" for prefix in kept.prefixes_of(rule)]
        if kept.state_files_of(rule):
            reached.insert(0, "state files")
        if rule.expires_current and reached:
            return Check(
                NONCURRENT,
                Status.FAIL,
                f"{_named(rule)} expires current objects {_when(rule)}: it removes {', '.join(reached)}.",
                "Remove the rule, or narrow its prefix to what may go. Until then look for delete markers: "
                f"{_RUNBOOK}.",
                warning_id=f"{month} {rule.rule_id}"[:_LONGEST_ID],
            )
    return None


def _unknown(rules: Sequence[LifecycleRule], kept: Kept) -> Check | None:
    for rule in rules:
        removes = rule.expires_current or rule.noncurrent_days is not None
        if removes and kept.state_files_of(rule) is None:
            return Check(
                NONCURRENT,
                Status.COULD_NOT_VERIFY,
                f"whether {_named(rule)} reaches state files is not known, since versions may not be listed.",
                "Grant s3:ListBucketVersions: deploy/iam/state-bucket-keeper-policy.json.",
            )
    return None


def _too_early(rules: Sequence[LifecycleRule], kept: Kept) -> Check | None:
    for rule in rules:
        if rule.noncurrent_days is not None and rule.noncurrent_days < SHORTEST_DAYS and kept.state_files_of(rule):
            but = f" but for the newest {rule.noncurrent_kept}" if rule.noncurrent_kept else ""
            return Check(
                NONCURRENT,
                Status.WARN,
                f"{_named(rule)} deletes prior versions of state files after {rule.noncurrent_days} days{but}: "
                "what is noticed later cannot be taken back.",
                f"Set NoncurrentDays to {SHORTEST_DAYS} or more: {_RUNBOOK}.",
            )
    return None


def _tidies(rules: Sequence[LifecycleRule], kept: Kept, *, mfa_delete: bool) -> Check:
    tidying = [rule for rule in rules if rule.noncurrent_days is not None and not rule.narrowed]
    keys = kept.state_keys or ()
    left = [key for key in keys if not any(key.startswith(rule.prefix) for rule in tidying)]
    if tidying and not left:
        shown = ", ".join(f"{_named(rule)}: {rule.noncurrent_days} days" for rule in tidying)
        return Check(NONCURRENT, Status.PASS, f"prior versions are removed in good time ({shown}), nothing in use is.")
    if mfa_delete:
        detail = "no rule removes prior versions, which MFA delete does not allow; the root user removes them by hand."
        return Check(NONCURRENT, Status.PASS, detail)
    whose = f" of {', '.join(left[:3])}{' and others' if len(left) > 3 else ''}" if tidying else ""
    return Check(
        NONCURRENT,
        Status.WARN,
        f"no rule ever removes prior versions{whose}: they pile up.",
        f"Add a rule that removes them after {SHORTEST_DAYS} days or more, such as 365; or choose MFA delete, which "
        f"excludes such rules: {_RUNBOOK}.",
    )


def _named(rule: LifecycleRule) -> str:
    reach = f"under {rule.prefix}" if rule.prefix else "for all objects"
    return f"lifecycle rule {rule.rule_id or 'without an id'} ({reach})"


def _when(rule: LifecycleRule) -> str:
    if rule.expires_on is not None:
        return f"on {rule.expires_on:%Y-%m-%d}"
    return f"{rule.expires_after_days} days after they were stored"
