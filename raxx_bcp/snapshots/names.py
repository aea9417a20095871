"""Which snapshots are ours: tag, name and instance must all agree. Nothing else is ever deleted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from raxx_bcp.clients.lightsail import InstanceSnapshot

KIND_TAG: Final = "raxx-bcp-kind"
KIND: Final = "daily-snapshot"
INSTANCE_TAG: Final = "raxx-bcp-instance"
DAY_TAG: Final = "raxx-bcp-day"
FREESCOUT_TAG: Final = "raxx-bcp-freescout"
"""The state of FreeScout's own backup when this snapshot started."""
LAST_ATTEMPT: Final = 9


@dataclass(frozen=True)
class Name:
    """A name of ours, parsed: the UTC day, and the attempt of that day (1 for the first)."""

    day: str
    attempt: int


def snapshot_name(instance: str, day: str, attempt: int = 1) -> str:
    """``raxx-bcp-raxx-vault-2026-11-24``; a second attempt on the same day ends in ``-r2``."""
    return f"raxx-bcp-{instance}-{day}" + (f"-r{attempt}" if attempt > 1 else "")


def read_name(name: str, instance: str) -> Name | None:
    """The parsed ``name`` when it is one of ours for ``instance``, else None."""
    found = re.fullmatch(rf"raxx-bcp-{re.escape(instance)}-(\d{{4}}-\d\d-\d\d)(?:-r([2-{LAST_ATTEMPT}]))?", name)
    return Name(found.group(1), int(found.group(2) or 1)) if found else None


def our_tags(instance: str, day: str) -> dict[str, str]:
    """The tags that make a snapshot ours."""
    return {KIND_TAG: KIND, INSTANCE_TAG: instance, DAY_TAG: day}


def is_ours(snapshot: InstanceSnapshot, instance: str) -> bool:
    """Is it a daily snapshot of ``instance`` that we made? The tag, the name and the instance must agree."""
    tagged = snapshot.tags.get(KIND_TAG) == KIND and snapshot.tags.get(INSTANCE_TAG) == instance
    same_instance = snapshot.instance_name == instance and not snapshot.from_automatic
    return tagged and same_instance and read_name(snapshot.name, instance) is not None
