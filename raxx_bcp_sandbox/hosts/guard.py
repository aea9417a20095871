"""The copy guard of an instance: on production's disks, inactive there, and active on every copy of them.

As the real one (deploy/copy-guard): it compares the identity with the record before any unit starts, sets masks that a
reboot clears, closes egress before there is a network, and marks when it did so. The identity of a machine is its
instance's name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.hosts.layout import Layout

FOLDER: Final = "copy-guard"
MARKS: Final = Path("run", FOLDER, "marks")
"""Below the disk, where /run is mapped to; a boot removes it."""
NETWORK: Final = ("network-pre.target", "sysinit.target", "basic.target", "network.target")
UNIT: Final = "copy-guard.service"
LATE_SECONDS: Final = 7.5
"""The delay of a late guard."""
_ALWAYS_MASKED: Final = ("cron", "supervisor", "postfix", "exim4", "anacron", "atd", "docker", "containerd")
_ON_DEMAND: Final = ("infisical", "docker", "containerd")


@dataclass
class Guard:
    """What the guard did at this boot. ``moments``: of each unit, in seconds since the kernel's start."""

    masked: frozenset[str] = frozenset()
    moments: dict[str, float] = field(default_factory=dict)
    awake: bool = False


def put(layout: Layout, machine: str, kind: str) -> None:
    """Install it on a disk: ``machine`` is the original."""
    folder = layout.etc / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine").write_text(f"{machine}\n")
    (folder / "kind").write_text(f"{kind}\n")


def remove(layout: Layout) -> None:
    """Take it off a disk."""
    for name in ("machine", "kind"):
        (layout.etc / FOLDER / name).unlink(missing_ok=True)


def installed(layout: Layout) -> bool:
    """Is it on the disk?"""
    return (layout.etc / FOLDER / "kind").exists()


def same_machine(layout: Layout, machine: str) -> bool:
    """Is this the machine on record?"""
    try:
        return (layout.etc / FOLDER / "machine").read_text().strip() == machine
    except OSError:
        return False


def wake(layout: Layout, machine: str, units: Iterable[str], *, late: bool) -> Guard:
    """What it does at a boot of ``machine``; when the guard is ``awake``, the caller closes the firewall."""
    with contextlib.suppress(FileNotFoundError):
        (layout.disk / MARKS).unlink()
    now = time.monotonic()
    moments = dict.fromkeys(NETWORK, now + 1.0)
    if not installed(layout) or same_machine(layout, machine):
        return Guard(moments=moments)
    closed = now + (1.0 + LATE_SECONDS if late else 0.5)
    masked = frozenset({*_ALWAYS_MASKED, *(each for each in units if each in _ON_DEMAND)})
    marks = layout.disk / MARKS
    marks.parent.mkdir(parents=True, exist_ok=True)
    marks.write_text(
        f"copy_guard=1\nkind={kind_of(layout)}\nidentity=differs\nmasked_at={now:.2f}\nmasked={len(masked)}\n"
        f"egress_closed_at={closed:.2f}\n"
    )
    return Guard(masked, {**moments, UNIT: closed}, awake=True)


def kind_of(layout: Layout) -> str:
    """The list that it was installed with."""
    try:
        return (layout.etc / FOLDER / "kind").read_text().strip()
    except OSError:
        return ""


def on_demand(unit: str) -> bool:
    """May it be started on a copy, once egress is closed?"""
    return unit.removesuffix(".service") in _ON_DEMAND


def rules(version: int) -> tuple[str, ...]:
    """What closes egress, for IP version 4 or 6."""
    before = _RULES.index("-A OUTPUT -j REJECT")
    return _RULES if version == 6 else (*_RULES[:before], _METADATA, *_RULES[before:])


_METADATA: Final = "-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j ACCEPT"
"""The cloud's metadata address, from which cloud-init reads the drill's launch script."""
_RULES: Final = (
    "-P OUTPUT DROP",
    "-P FORWARD DROP",
    "-F OUTPUT",
    "-F FORWARD",
    "-A OUTPUT -o lo -j ACCEPT",
    "-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A OUTPUT -o docker0 -j ACCEPT",
    "-A OUTPUT -o br-+ -j ACCEPT",
    "-A OUTPUT -j REJECT",
    "-A FORWARD -o docker0 -j ACCEPT",
    "-A FORWARD -o br-+ -j ACCEPT",
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -j REJECT",
)
