"""The add-on as an optional second backup: Lightsail's automatic snapshots of the vault, at an hour clear of ours.

They cannot be D1 itself: they start on the full hour only (EnableAddOn), so never at 06:30, and all of them are
deleted with the instance. The policy refuses an invalid or overlapping hour before any call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import ADDON_OFF, VaultSnapshot

AUTOMATIC_KEPT: Final = 7
ADR_ESTIMATE_GB: Final = 40
"""ADR-0103 D1 reckons with $0.05 a GB and month x 40 GB x 7, about $14."""


@dataclass(frozen=True)
class AddOn:
    """The policy's value and the actual one (``off`` or ``HH:00``), and the add-on's highest cost a month."""

    instance: str
    promised: str
    found: str
    extra_usd: float
    adr_estimate_usd: float
    changed: bool = False

    @property
    def in_line(self) -> bool:
        return self.promised == self.found

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.in_line,
            "instance": self.instance,
            "promised": self.promised,
            "found": self.found,
            "changed": self.changed,
            "extra_monthly_cost_usd": round(self.extra_usd, 2),
            "adr_estimate_usd": round(self.adr_estimate_usd, 2),
        }

    def text(self) -> str:
        """For people."""
        state = "in line" if self.in_line else "not in line"
        return (
            f"Automatic snapshots of {self.instance}: {self.found}; the policy says {self.promised} ({state}).\n"
            f"Switched on, they cost up to ${self.extra_usd:.2f} a month on top of the ADR's estimate of "
            f"${self.adr_estimate_usd:.2f} for the daily ones."
        )


def look(lightsail: Snapshots, policy: VaultSnapshot) -> AddOn:
    """Compare without changing anything. Raises ``AbsentError`` where the instance does not exist."""
    instance = lightsail.instance(policy.instance)
    price = policy.price_usd_per_gb_month
    return AddOn(
        instance=policy.instance,
        promised=policy.addon,
        found=instance.automatic_utc or ADDON_OFF,
        extra_usd=price * instance.disk_gb * AUTOMATIC_KEPT,
        adr_estimate_usd=price * ADR_ESTIMATE_GB * policy.keep,
    )


def apply(lightsail: Snapshots, policy: VaultSnapshot) -> AddOn:
    """Bring the add-on in line with the policy and read it back. Does nothing where it already is in line."""
    before = look(lightsail, policy)
    if before.in_line:
        return before
    if policy.addon == ADDON_OFF:
        lightsail.disable_automatic(policy.instance)
    else:
        lightsail.enable_automatic(policy.instance, policy.addon)
    after = look(lightsail, policy)
    if not after.in_line:
        raise CouldNotVerifyError(
            f"Lightsail accepted the change, and still says that automatic snapshots of {policy.instance} are "
            f"{after.found} instead of {policy.addon}.",
            "Look again in a minute: raxx-bcp snapshot addon.",
        )
    return AddOn(after.instance, after.promised, after.found, after.extra_usd, after.adr_estimate_usd, changed=True)
