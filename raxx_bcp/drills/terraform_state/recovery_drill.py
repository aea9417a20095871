"""D2: a state file overwritten and deleted in a scratch of the state bucket, and recovered from its versions.

The posture check shows that versioning is switched on. This drill shows that a lost state comes back from its versions.
It only looks at the real states. It writes, deletes and purges only below its own prefix. The prefix is in the same
bucket, so the drill tests that bucket's versioning, encryption and rights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from raxx_bcp.clients.s3 import Bucket, Versioning
from raxx_bcp.clients.s3_errors import ObjectAbsentError
from raxx_bcp.clients.s3_scratch import Scratch, ScratchVersion, Surroundings
from raxx_bcp.clients.s3_settings import BucketSettings, MfaDelete
from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.engine.leases import Lease
from raxx_bcp.drills.engine.record import RESOURCE
from raxx_bcp.drills.terraform_state.real_states import check_real_state, check_untouched
from raxx_bcp.drills.terraform_state.state_file import Mark, new_lineage, read_mark, synthetic_state
from raxx_bcp.drills.terraform_state.wanted import Wanted
from raxx_bcp.errors import BackupWrongError
from raxx_bcp.policy import Policy

VERSIONING: Final = "versioning"
DAMAGE: Final = "damage"
VERSION_FOUND: Final = "version found"
CONTENT: Final = "content"
MARK_CHECK: Final = "serial and lineage"
SUPERSEDED: Final = "delete marker superseded"
NAME: Final = "state.json"
"""The suffix of the scratch object. It is not ``.tfstate``, which the bucket's posture would take for a real state."""

_GOOD_SERIAL: Final = 7


@dataclass(frozen=True)
class Connections:
    """The drill's clients: three that only look, and for a drill's id the client for its scratch."""

    bucket: Bucket
    settings: BucketSettings
    surroundings: Surroundings
    scratch: Callable[[str], Scratch]


@dataclass(frozen=True)
class _Lost:
    """The good version that the drill then damages. The time is the server's own."""

    version_id: str
    mark: Mark
    sha256: str
    size_bytes: int


def connections_of(policy: Policy) -> Connections:
    """Uses the machine's own AWS settings. Makes no call yet."""
    name, prefix = policy.state_bucket.name, policy.state_recovery.scratch_prefix
    return Connections(
        bucket=Bucket(name),
        settings=BucketSettings(name),
        surroundings=Surroundings(name, scratch_prefix=prefix),
        scratch=lambda drill_id: Scratch(name, prefix, drill_id),
    )


def state_recovery(drill: Drill, connections: Connections, policy: Policy, wanted: Wanted) -> None:
    """Lose a state file and get it back. Raises what the clients raise; the drill records it."""
    scratch = connections.scratch(drill.id)
    with drill.phase("select"):
        for_good = _versions_are_kept(drill, connections.settings)
        before = connections.surroundings.current()
        check_real_state(drill, connections.bucket, before, policy)
    with drill.phase("provision"):
        drill.target = {RESOURCE: f"s3://{scratch.bucket}/{scratch.root}"}
        lease = scratch_lease(scratch, for_good=for_good)
        lost = drill.lease(lease, lambda: _write(scratch, wanted.size_kb))
    with drill.phase("damage"):
        _damage(drill, scratch)
    with drill.phase("restore"):
        found = _find(drill, scratch, lost)
        restored = scratch.copy_back(NAME, found.version_id)
    with drill.phase("verify"):
        _verify(drill, scratch, lost, restored)
        check_untouched(drill, connections.bucket, connections.surroundings, before)
    drill.check_restore_time("losing and recovering the state")
    if for_good:
        versions = [one for one in scratch.versions(NAME) if not one.is_delete_marker]
        drill.findings.append(
            f"MFA delete is on, so {len(versions)} versions of the scratch, {sum(one.size_bytes for one in versions)} "
            "bytes, stay below a delete marker: only the root user could remove them."
        )


def scratch_lease(scratch: Scratch, *, for_good: bool) -> Lease:
    """The lease of a drill's scratch. It is gone when it has no version and no delete marker.

    ``for_good``: under MFA delete no role can remove a version, by design. The scratch then counts as gone when a
    delete marker is on top, so that a list of the bucket does not show it.
    """
    return Lease(
        kind="s3 scratch",
        name=f"{scratch.bucket}/{scratch.root.rstrip('/')}",
        release=scratch.hide if for_good else lambda: _purge(scratch),
        gone=scratch.is_hidden if for_good else scratch.is_empty,
    )


def _purge(scratch: Scratch) -> None:
    scratch.purge()


# -- select ----------------------------------------------------------------------------------------------


def _versions_are_kept(drill: Drill, settings: BucketSettings) -> bool:
    """Makes nothing where it could not be recovered. True: versions are kept for good (MFA delete)."""
    state = settings.versioning()
    if not drill.check(
        VERSIONING,
        expected=Versioning.ENABLED.value,
        actual=state.versioning.value,
        reason=f"versioning of bucket {settings.name} is {state.versioning.value}: what is overwritten is lost",
    ):
        raise BackupWrongError(
            f"Bucket {settings.name} keeps no versions ({state.versioning.value}): a lost state stays lost.",
            "Switch versioning on: raxx-bcp state-bucket enable-versioning (ADR-0103 D2).",
        )
    return state.mfa_delete is MfaDelete.ENABLED


# -- provision and damage --------------------------------------------------------------------------------


def _write(scratch: Scratch, size_kb: int) -> _Lost:
    """Two writes of one state, as Terraform would make them; the second one is what must come back."""
    lineage = new_lineage()
    mark = Mark(lineage, _GOOD_SERIAL)
    scratch.put(NAME, synthetic_state(Mark(lineage, _GOOD_SERIAL - 1), size_kb))
    good = synthetic_state(mark, size_kb)
    version_id = scratch.put(NAME, good)
    if version_id is None:
        raise BackupWrongError(
            f"S3 stored {scratch.key(NAME)} without a version, although it says that versions are kept.",
            "Look at the bucket's versioning in the S3 console; a change takes up to 15 minutes.",
        )
    return _Lost(version_id, mark, hashlib.sha256(good).hexdigest(), len(good))


def _damage(drill: Drill, scratch: Scratch) -> None:
    """What has happened to real states: cut off during a write, replaced by another configuration's, deleted."""
    whole = scratch.get(NAME)
    scratch.put(NAME, whole[: len(whole) // 2])
    scratch.put(NAME, synthetic_state(Mark(new_lineage(), 1), 1))
    scratch.delete(NAME)
    current = scratch.head(NAME)
    drill.check(
        DAMAGE,
        expected="overwritten twice, deleted, answers 404",
        actual="overwritten twice, deleted, answers 404" if current is None else f"version {current} still answers",
        ok=current is None,
        reason="the object was still there after it was deleted: nothing was lost, so nothing can be recovered",
    )


# -- restore ---------------------------------------------------------------------------------------------


def _find(drill: Drill, scratch: Scratch, lost: _Lost) -> ScratchVersion:
    """Walk back to the newest version that is a state of that lineage; it must be the recorded one."""
    kept = scratch.versions(NAME)
    found = _newest_readable(scratch, kept, lost.mark.lineage)
    chosen = found.version_id if found else "none"
    drill.check(
        VERSION_FOUND,
        expected=lost.version_id,
        actual=chosen,
        reason=_why_not(lost, kept),
    )
    if found is None or chosen != lost.version_id:
        raise BackupWrongError(
            f"The good version of {scratch.key(NAME)} could not be found among {len(kept)} versions and markers.",
            "Look at the bucket's lifecycle rules (raxx-bcp state-bucket check): prior versions must not be removed at "
            "once.",
        )
    drill.source(
        Source(
            backup_id=f"s3://{scratch.bucket}/{scratch.key(NAME)}?versionId={found.version_id}",
            created_utc=found.modified_utc.astimezone(UTC),
            selected_because=f"the newest version that is a whole state of its lineage (serial {lost.mark.serial})",
            size_bytes=lost.size_bytes,
            sha256=lost.sha256,
        )
    )
    return found


def _newest_readable(scratch: Scratch, kept: list[ScratchVersion], lineage: str) -> ScratchVersion | None:
    for version in kept:
        if version.is_delete_marker:
            continue
        try:
            mark = read_mark(scratch.get(NAME, version_id=version.version_id))
        except ObjectAbsentError:
            continue
        if mark is not None and mark.lineage == lineage:
            return version
    return None


def _why_not(lost: _Lost, kept: list[ScratchVersion]) -> str:
    if lost.version_id not in {version.version_id for version in kept}:
        return "the good version is no longer kept: something removes prior versions"
    return "the newest whole state of that lineage is another version than the one that was good"


# -- verify ----------------------------------------------------------------------------------------------


def _verify(drill: Drill, scratch: Scratch, lost: _Lost, restored: str | None) -> None:
    body = scratch.get(NAME)
    drill.check(
        CONTENT,
        expected=f"sha256 {lost.sha256}, {lost.size_bytes} bytes",
        actual=f"sha256 {hashlib.sha256(body).hexdigest()}, {len(body)} bytes",
        reason="what came back is not byte for byte what was lost",
    )
    mark = read_mark(body)
    drill.check(MARK_CHECK, expected=lost.mark, actual=mark or "no state file")
    if mark is not None and mark == lost.mark:
        drill.newest_record_utc = drill.source_backup.created_utc if drill.source_backup else None
    versions = scratch.versions(NAME)
    current = scratch.head(NAME)
    markers = [one for one in versions if one.is_delete_marker]
    below = bool(markers) and not any(one.is_latest for one in markers)
    drill.check(
        SUPERSEDED,
        expected="the copy is current, the delete marker is below it",
        actual=f"{'the copy' if current and current == restored else 'something else'} is current, "
        f"the delete marker is {'below it' if below else 'gone' if not markers else 'on top'}",
        ok=current is not None and current == restored and below,
        reason="a plain read does not give the recovered state",
    )


def begun_utc(drill_id: str) -> datetime:
    """When the drill started, from its id. Raises ``ValueError`` for any other text."""
    return datetime.strptime(drill_id.split("-")[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
