"""Could each drill start from here, and has one left something behind? Only looks."""

from __future__ import annotations

from typing import Final

from raxx_bcp.checks import Check, Status, guarded
from raxx_bcp.drills.kind import Requirement
from raxx_bcp.drills.kinds import spoken
from raxx_bcp.drills.loading import kinds
from raxx_bcp.drills.places import places
from raxx_bcp.policy import Policy

DRILLS: Final = "drills"
LEFTOVERS: Final = "drill leftovers"


def examine(policy: Policy) -> list[Check]:
    """One line for each setting that drills need, and what carries a drill's mark now. A missing setting is a WARN."""
    needing: dict[Requirement, list[str]] = {}
    for kind in kinds():
        if kind.requires is not None:
            needing.setdefault(kind.requires, []).append(spoken(kind.name))
    settings = [_setting(policy, required, names) for required, names in needing.items()]
    return [*settings, *guarded(LEFTOVERS, lambda: [_leftovers(policy)])]


def _setting(policy: Policy, required: Requirement, names: list[str]) -> Check:
    drills = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    if required.value(policy):
        return Check(DRILLS, Status.PASS, f"{required.setting} is set: {drills} can be started here.")
    detail = f"{required.setting} is not set: {drills} cannot be started here."
    return Check(DRILLS, Status.WARN, detail, required.remedy)


def _leftovers(policy: Policy) -> Check:
    with places(policy) as where:
        found = [leftover for place in where for leftover in place.leftovers()]
    if not found:
        return Check(LEFTOVERS, Status.PASS, "nothing that a drill has made is standing.")
    names = ", ".join(f"{one.lease.name} until {one.expires_utc:%Y-%m-%d %H:%M} UTC" for one in found)
    remedy = "If no drill runs: raxx-bcp drill sweep deletes each when its lease is over."
    return Check(LEFTOVERS, Status.WARN, f"standing: {names}.", remedy)
