"""The optional copy of each snapshot in another region: started here, inventoried later, pruned by the same rule.

A copy survives the loss of the region, not that of the account. CopySnapshot takes no tags, so a copy gets its tags
in a second call; we never delete one that could not be tagged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.lightsail import AVAILABLE, InstanceSnapshot, Snapshots
from raxx_bcp.errors import BcpError
from raxx_bcp.snapshots.names import is_ours
from raxx_bcp.snapshots.prune import Pruned, carry_out, plan
from raxx_bcp.waiting import Progress, silent

COPY = "copy"


@dataclass(frozen=True)
class Copied:
    """What was done in the other region. ``pruned`` is None where pruning did not run."""

    check: Check
    pruned: Pruned | None = None


def copy_to(
    away: Snapshots | None,
    home_region: str,
    snapshot: InstanceSnapshot,
    keep: int,
    *,
    dry_run: bool,
    progress: Progress = silent,
) -> Copied:
    """Start today's copy in ``away`` and prune the old ones there.

    A failure is a failed check, not an exception: the snapshot itself is still good.
    """
    if away is None:
        return Copied(Check(COPY, Status.PASS, "the policy asks for no copy in another region."))
    if away.region == home_region:
        same = f"not copied: vault_snapshot.copy_region is {home_region}, where the snapshots are."
        return Copied(Check(COPY, Status.FAIL, same, "Name another region in bcp.toml, or none."))
    instance = snapshot.instance_name
    try:
        begun = _begin(away, home_region, snapshot)
        there = sorted((one for one in away.all() if is_ours(one, instance)), key=lambda one: one.created_utc)
        good = [one for one in there if one.state == AVAILABLE]
        pruned = None
        if good:
            decided = plan(there, instance, keep, good[-1].name)
            pruned = carry_out(away, decided, instance, dry_run=dry_run, progress=progress)
    except BcpError as error:
        return Copied(Check(COPY, Status.FAIL, f"not copied: {error.what}", error.remedy))
    detail = f"{snapshot.name} {begun} {away.region}; {len(good)} copies are available there."
    if pruned is not None and pruned.refused:
        names = ", ".join(name for name, _why in pruned.refused)
        return Copied(Check(COPY, Status.WARN, f"{detail} Not deleted there: {names}.", _LOOK), pruned)
    return Copied(Check(COPY, Status.PASS, detail), pruned)


_LOOK = "Delete them by hand in the Lightsail console of that region, or give the role the right to."


def _begin(away: Snapshots, home_region: str, snapshot: InstanceSnapshot) -> str:
    there = away.get(snapshot.name)
    if there is None:
        away.copy_here(snapshot.name, home_region)
    if there is None or not is_ours(there, snapshot.instance_name):
        away.tag(snapshot.name, _tags(snapshot))
    return "is being copied to" if there is None else "had been copied to"


def _tags(snapshot: InstanceSnapshot) -> Mapping[str, str]:
    return {key: value for key, value in snapshot.tags.items() if key.startswith("raxx-bcp-")}
