"""Carries the plan of ``retention`` out: said first, each set looked at again, its manifest first.

A set without its manifest is no set: whatever interrupts the pruning, nothing half is believed, and the next run takes
the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3 import Bucket, Versioning
from raxx_bcp.clients.s3_dump_removal import OURS, DumpRemoval
from raxx_bcp.daily import expected_day
from raxx_bcp.drills.freescout.dump_set import MANIFEST
from raxx_bcp.errors import BcpError
from raxx_bcp.freescout.inventory import Due
from raxx_bcp.freescout.retention import Plan, StoredSet, look, plan
from raxx_bcp.policy import FreeScout
from raxx_bcp.waiting import Progress, silent

RETENTION: Final = "retention"
_WHAT_DELETED_MEANS: Final = {
    Versioning.ENABLED: "the bucket keeps versions: what goes lies below delete markers until a lifecycle rule for old "
    "versions ends them",
    Versioning.SUSPENDED: "the bucket's versioning is suspended: what goes is gone for good",
    Versioning.NEVER_ENABLED: "the bucket keeps no versions: what goes is gone for good",
}
_LOOK: Final = "Look at raxx-bcp freescout list; the next run tries again."
_RIGHTS: Final = "Give the role deploy/iam/freescout-retention-policy.json; the next run tries again."


@dataclass(frozen=True)
class Pruned:
    """What became of the plan. ``refused`` are days with what of them could not be deleted, and why."""

    plan: Plan
    deleted: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    applied: bool
    deletion: str
    """What deleting means in this bucket."""

    @property
    def check(self) -> Check:
        """As a finding. Slack is told of a warning once a month: old sets that stay cost cents, not a backup."""
        newest = self.plan.keep[0].stored.day if self.plan.keep else ""
        warning_id = f"{RETENTION}-{newest[:7]}"
        if self.refused:
            reasons = "; ".join(f"{day}: {why}" for day, why in self.refused)
            return Check(RETENTION, Status.WARN, f"not deleted: {reasons}", _RIGHTS, warning_id)
        if self.plan.why_not:
            return Check(RETENTION, Status.WARN, f"nothing was pruned: {self.plan.why_not}.", _LOOK, warning_id)
        done = f"{len(self.deleted)} deleted" if self.applied else f"{len(self.plan.delete)} would go"
        return Check(RETENTION, Status.PASS, f"{len(self.plan.keep)} sets stay, {done}.")

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kept": [{**one.stored.as_dict(), "because": one.because} for one in self.plan.keep],
            "planned": [one.as_dict() for one in self.plan.delete],
            "deleted": list(self.deleted),
            "refused": [{"day": day, "why": why} for day, why in self.refused],
            "applied": self.applied,
            "why_not": self.plan.why_not,
            "deletion": self.deletion,
        }


def prune(
    bucket: Bucket,
    removal: DumpRemoval,
    policy: FreeScout,
    now: datetime,
    *,
    apply: bool,
    progress: Progress = silent,
) -> Pruned:
    """Say what would go, and with ``apply`` delete it.

    Raises ``CouldNotVerifyError`` where the sets or one of their manifests cannot be seen: then nothing is deleted.
    """
    sets = look(bucket, policy.dump_prefix, policy.dump_parts)
    decided = plan(
        sets,
        daily=policy.dump_keep_daily,
        weekly=policy.dump_keep_weekly,
        today=now.astimezone(UTC).date().isoformat(),
        needed_day=expected_day(now, Due.of(policy)) if policy.dumps_expected else "",
    )
    deletion = _deletion(bucket)
    for line in [*decided.lines(), *([deletion] if decided.delete else [])]:
        progress(line)
    if not apply:
        if decided.delete:
            progress("only a plan: nothing was deleted (--apply deletes)")
        return Pruned(decided, (), (), applied=False, deletion=deletion)
    deleted, refused = [], []
    for one in decided.delete:
        problem = _delete(bucket, removal, one)
        if problem:
            refused.append((one.day, problem))
        else:
            deleted.append(one.day)
        progress(f"{one.day}: {problem or 'deleted'}")
    return Pruned(decided, tuple(deleted), tuple(refused), applied=True, deletion=deletion)


def _deletion(bucket: Bucket) -> str:
    try:
        return _WHAT_DELETED_MEANS[bucket.versioning()]
    except BcpError:
        return "whether the bucket keeps versions is not known: what goes may be gone for good"


def _delete(bucket: Bucket, removal: DumpRemoval, planned: StoredSet) -> str:
    """Delete the very files of the plan; empty when they are gone, else why they are not."""
    folder = f"{removal.prefix}{planned.day}/"
    try:
        if _files(bucket, folder, removal.prefix) != {one.key: one.etag for one in planned.files}:
            return "it is no longer the set that was planned for: left alone"
        names = sorted((one.key.removeprefix(folder) for one in planned.files), key=lambda name: name != MANIFEST)
        for name in names:
            removal.delete(planned.day, name)
        left = _files(bucket, folder, removal.prefix)
    except BcpError as error:
        return error.what
    return f"still there: {', '.join(sorted(left))}" if left else ""


def _files(bucket: Bucket, folder: str, prefix: str) -> Mapping[str, str]:
    """ETag by key of what carries a name of ours."""
    return {one.key: one.etag for one in bucket.objects(folder) if OURS.fullmatch(one.key.removeprefix(prefix))}
