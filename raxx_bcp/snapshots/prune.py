"""Keep seven, and do no harm: a pure plan decides what may be deleted. It is shown first, and checked again.

It deletes only our own snapshots of this instance (tag, name and instance agree), only when the newest good one is
today's, and never so that fewer than ``keep`` good ones are left (ADR-0103 D1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from raxx_bcp.clients.lightsail import AVAILABLE, ERROR, InstanceSnapshot, Snapshots
from raxx_bcp.errors import BcpError
from raxx_bcp.snapshots.names import is_ours
from raxx_bcp.waiting import Progress, silent


@dataclass(frozen=True)
class PrunePlan:
    """What stays and what goes, newest first. ``why_not`` says why nothing may be deleted."""

    keep: tuple[InstanceSnapshot, ...]
    delete: tuple[InstanceSnapshot, ...]
    why_not: str = ""

    def lines(self) -> list[str]:
        """The plan for people, to read before it is carried out."""
        if self.why_not:
            return [f"nothing is pruned: {self.why_not}"]
        going = [f"goes: {one.name} ({one.state}, {one.created_utc:%Y-%m-%d %H:%M} UTC)" for one in self.delete]
        return [f"{len(self.keep)} good ones stay, {len(self.delete)} go", *going]


@dataclass(frozen=True)
class Pruned:
    """The result of the plan. ``refused`` are the names that are still there, each with the reason."""

    plan: PrunePlan
    deleted: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kept": [one.name for one in self.plan.keep],
            "planned": [one.name for one in self.plan.delete],
            "deleted": list(self.deleted),
            "refused": [{"name": name, "why": why} for name, why in self.refused],
            "dry_run": self.dry_run,
            "why_not": self.plan.why_not,
        }


def plan(snapshots: Iterable[InstanceSnapshot], instance: str, keep: int, newest: str) -> PrunePlan:
    """Decide. ``newest`` is the name of today's snapshot, which must be the newest good one of ours.

    Besides good ones beyond ``keep``, it deletes those of ours that ended in error, once a newer good one exists. A
    pending one stays: it may still become a backup.
    """
    ours = sorted((one for one in snapshots if is_ours(one, instance)), key=lambda one: one.created_utc, reverse=True)
    good = [one for one in ours if one.state == AVAILABLE]
    if not good or good[0].name != newest:
        return PrunePlan(tuple(good), (), f"{newest} is not the newest available snapshot of ours")
    broken = [one for one in ours if one.state == ERROR and one.created_utc < good[0].created_utc]
    return PrunePlan(tuple(good[:keep]), (*good[keep:], *broken))


def carry_out(
    lightsail: Snapshots, decided: PrunePlan, instance: str, *, dry_run: bool, progress: Progress = silent
) -> Pruned:
    """Print the plan, then delete; a snapshot that cannot be deleted is reported, and the others are still deleted."""
    for line in decided.lines():
        progress(line)
    if dry_run:
        progress("dry run: nothing was deleted")
        return Pruned(decided, (), (), dry_run=True)
    deleted: list[str] = []
    refused: list[tuple[str, str]] = []
    for snapshot in decided.delete:
        problem = _delete(lightsail, snapshot, instance)
        if problem:
            refused.append((snapshot.name, problem))
        else:
            deleted.append(snapshot.name)
        progress(f"{snapshot.name}: {problem or 'deleted'}")
    return Pruned(decided, tuple(deleted), tuple(refused), dry_run=False)


def _delete(lightsail: Snapshots, planned: InstanceSnapshot, instance: str) -> str:
    """Delete what is still the very snapshot of the plan; empty when it is gone, else why it is not."""
    try:
        now = lightsail.get(planned.name)
        if now is None:
            return ""
        if not is_ours(now, instance) or now.created_utc != planned.created_utc:
            return "it is no longer the snapshot that was planned for: left alone"
        lightsail.delete_snapshot(planned.name)
    except BcpError as error:
        return error.what
    return ""
