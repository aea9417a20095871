"""The real states beside the scratch. The drill only looks at them, before and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.clients.s3_scratch import MARK, NO_VERSION, CurrentObject, Surroundings
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import Policy

REAL_STATE: Final = "real state is versioned"
UNTOUCHED: Final = "real objects untouched"
STATE_SUFFIX: Final = ".tfstate"
LOCK_SUFFIX: Final = ".tflock"
"""Terraform's lock files come and go at any time (S3 backend, ``use_lockfile``)."""


def check_real_state(drill: Drill, bucket: Bucket, current: Mapping[str, CurrentObject], policy: Policy) -> None:
    """The newest real state file: is it there, readable, and a version of its own? Does not read its content."""
    states = {key: one for key, one in current.items() if _is_real_state(key, policy) and not one.is_delete_marker}
    expected = "a state file with versions"
    if not states:
        drill.not_run(REAL_STATE, f"there is no *{STATE_SUFFIX} in bucket {bucket.name}", expected=expected)
        return
    key, newest = max(states.items(), key=lambda item: item[1].modified_utc)
    if newest.version_id == NO_VERSION:
        drill.not_run(
            REAL_STATE,
            f"{key}, the newest of {len(states)}, was written before versions were kept: no real state shows that they "
            "are",
            expected=expected,
        )
        return
    try:
        stored = bucket.head(key)
    except CouldNotVerifyError as error:
        drill.not_run(REAL_STATE, error.what, expected=expected)
        return
    drill.check(
        REAL_STATE,
        expected=expected,
        actual=f"{key} of {newest.modified_utc:%Y-%m-%d %H:%M} UTC with {newest.version_count} version(s)",
        ok=stored is not None and stored.version_id is not None,
        reason=f"{key} was listed and is not there" if stored is None else f"{key} has no version of its own",
    )


def _is_real_state(key: str, policy: Policy) -> bool:
    """Leaves out what this software itself stores in the bucket."""
    started = f"{policy.evidence.prefix.rstrip('/')}-started/"
    own = (policy.vault_export.prefix, policy.evidence.prefix, started, policy.freescout.dump_prefix)
    return key.endswith(STATE_SUFFIX) and not key.startswith(own)


def check_untouched(
    drill: Drill, bucket: Bucket, surroundings: Surroundings, before: Mapping[str, CurrentObject]
) -> None:
    """Was everything kept that was current before? Others may write newer versions on top meanwhile."""
    after = surroundings.current()
    changed = [key for key, one in before.items() if not key.endswith(LOCK_SUFFIX) and after.get(key) != one]
    lost, ours, hidden = [], [], []
    for key in changed:
        was, now = before[key], after.get(key)
        if was.is_delete_marker or (now and (now.version_id, now.etag) == (was.version_id, was.etag)):
            continue
        if now is None or was.version_id not in surroundings.version_ids(key):
            lost.append(key)
        elif now.is_delete_marker:
            hidden.append(key)
        elif key.endswith(STATE_SUFFIX) and _is_ours(bucket, key, drill.id):
            ours.append(key)
    expected = f"{len(before)} objects as before"
    if hidden and not lost and not ours:
        drill.not_run(
            UNTOUCHED, f"deleted while the drill ran, by whom is not known: {_some(hidden)}", expected=expected
        )
        return
    others = len(changed) - len(lost) - len(ours)
    drill.check(
        UNTOUCHED,
        expected=expected,
        actual=expected
        if not changed
        else f"{expected}, {len(lost)} gone, {len(ours)} written by the drill, {others} changed by others meanwhile",
        ok=not lost and not ours,
        reason=f"gone or changed by this drill: {_some([*lost, *ours])}",
    )


def _is_ours(bucket: Bucket, key: str, drill_id: str) -> bool:
    stored = bucket.head(key)
    return stored is not None and stored.metadata.get(MARK) == drill_id


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
