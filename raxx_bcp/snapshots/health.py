"""What the inventory means: each promise of D1 as one check, the same on the command line and in Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.lightsail import AVAILABLE, ERROR, Snapshots
from raxx_bcp.daily import expected_day
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import ADDON_OFF, VaultSnapshot
from raxx_bcp.snapshots.freescout import BackupState
from raxx_bcp.snapshots.inventory import Kind, Row, SnapshotInventory
from raxx_bcp.snapshots.names import is_ours

FRESH: Final = "newest_is_fresh"
ENOUGH: Final = "enough_good_ones"
STUCK: Final = "none_stuck"
RETENTION: Final = "not_above_retention"
FREESCOUT: Final = "freescout_backup"
ADDON: Final = "addon_as_promised"
COPIES: Final = "copies"
CHECK_NAMES: Final = (FRESH, ENOUGH, STUCK, RETENTION, FREESCOUT, ADDON, COPIES)
IS_THERE: Final = "snapshot_is_there"
"""The same as ``newest_is_fresh``, on ``vault_snapshot`` itself and every hour."""

_TAKE: Final = "Look at the last run of vault_snapshot in Dagster; to take one now: raxx-bcp snapshot take."


def checks_of(inventory: SnapshotInventory) -> tuple[Check, ...]:
    """Every promise, in the order of ``CHECK_NAMES``."""
    return (
        _fresh(FRESH, inventory.good[0] if inventory.good else None, inventory.policy.vault_snapshot, inventory.now),
        _enough(inventory),
        _none_stuck(inventory),
        _not_above_retention(inventory),
        _freescout(inventory),
        _addon(inventory),
        _copies(inventory),
    )


def is_there(home: Snapshots, policy: VaultSnapshot, now: datetime) -> Check:
    """Is the newest due snapshot there and available? By Lightsail's times; denied is COULD_NOT_VERIFY."""
    try:
        ours = (one for one in home.all() if is_ours(one, policy.instance) and one.state == AVAILABLE)
        newest = max(ours, key=lambda one: one.created_utc, default=None)
    except CouldNotVerifyError as error:
        return Check(IS_THERE, Status.COULD_NOT_VERIFY, error.what, error.remedy)
    row = None
    if newest is not None:
        facts = (newest.name, newest.instance_name, Kind.MANUAL, newest.state, newest.created_utc, newest.size_gb)
        row = Row(*facts, ours=True, good=True, region=home.region)
    return _fresh(IS_THERE, row, policy, now)


def _fresh(name: str, newest: Row | None, policy: VaultSnapshot, now: datetime) -> Check:
    expected = expected_day(now, policy)
    if newest is None:
        return Check(name, Status.FAIL, f"There is no available snapshot of {policy.instance} by us at all.", _TAKE)
    made = newest.created_utc.astimezone(UTC)
    age = f"{newest.name}, {newest.age_hours(now):.1f} hours old"
    if made > now + timedelta(minutes=15):
        return Check(
            name,
            Status.COULD_NOT_VERIFY,
            f"{newest.name} was made at {made:%Y-%m-%d %H:%M} UTC, which is in the future by this machine's clock.",
            "Set this machine's clock (timedatectl), then look again.",
        )
    if made.date().isoformat() < expected:
        late = f"The snapshot of {policy.instance} of {expected} is late: the newest good one is {age}."
        return Check(name, Status.FAIL, late, _TAKE)
    return Check(name, Status.PASS, f"{age}.")


def _enough(inventory: SnapshotInventory) -> Check:
    keep, good = inventory.policy.vault_snapshot.keep, inventory.good
    if len(good) >= keep:
        return Check(ENOUGH, Status.PASS, f"{len(good)} good ones, {keep} are promised.")
    detail = f"{len(good)} good ones, {keep} are promised."
    remedy = (
        "If this has been in use for longer than that, find out who deleted them (CloudTrail: DeleteInstanceSnapshot)."
    )
    young = bool(good) and inventory.now - good[-1].created_utc < timedelta(days=keep)
    return Check(ENOUGH, Status.WARN if young else Status.FAIL, detail, f"In the first week this is normal. {remedy}")


def _none_stuck(inventory: SnapshotInventory) -> Check:
    limit = timedelta(minutes=inventory.policy.vault_snapshot.deadline_minutes)
    open_rows = [row for row in inventory.rows if not row.good]
    failed = [row.name for row in open_rows if row.state in (ERROR, "Failed")]
    old = [row for row in open_rows if row.name not in failed and inventory.now - row.created_utc > limit]
    stuck = [f"{row.name} ({row.state} for {row.age_hours(inventory.now):.1f} hours)" for row in old]
    if stuck:
        remedy = "Look at them in the Lightsail console; start raxx-bcp snapshot take for a second attempt."
        return Check(STUCK, Status.FAIL, f"Not finished: {', '.join(stuck)}.", remedy)
    if failed:
        remedy = "Ours are deleted once a newer good one exists; others are for their owner to look at."
        return Check(STUCK, Status.WARN, f"Ended in error: {', '.join(failed)}.", remedy)
    return Check(STUCK, Status.PASS, "none is pending for too long, none has failed.")


def _not_above_retention(inventory: SnapshotInventory) -> Check:
    keep, count = inventory.policy.vault_snapshot.keep, len(inventory.good)
    if count <= keep:
        return Check(RETENTION, Status.PASS, f"{count} of ours, at most {keep} are kept.")
    detail = f"{count} of ours, and only {keep} should be kept: pruning does not work."
    return Check(RETENTION, Status.WARN, detail, "Look at the check retention of vault_snapshot for the reason.")


def _freescout(inventory: SnapshotInventory) -> Check:
    """There, complete, and ended before the vault's snapshot started (ADR-0103 D1).

    Lightsail does not report when a snapshot ended. So ours carries a tag with the state of FreeScout's at
    the moment when ours started: ``complete`` then means that it had ended by then.
    """
    backup, instance = inventory.freescout, inventory.policy.freescout.instance
    what = f"The backup of {instance} of {backup.day}"
    remedy = f"Look at the automatic snapshots of {instance} in the Lightsail console, and at its own backup job."
    if backup.state is BackupState.ABSENT:
        return Check(FREESCOUT, Status.FAIL, f"{what} is not there.", remedy)
    if backup.state is BackupState.FAILED:
        return Check(FREESCOUT, Status.FAIL, f"{what} failed.", remedy)
    if backup.state is BackupState.UNKNOWN:
        return Check(FREESCOUT, Status.COULD_NOT_VERIFY, f"{what} has a state that is not known here.", remedy)
    if backup.state is BackupState.RUNNING:
        late = f"{what}, begun {backup.created_utc:%H:%M} UTC, still runs."
        return Check(FREESCOUT, Status.FAIL, late, remedy)
    return _stagger(inventory, what)


def _stagger(inventory: SnapshotInventory, what: str) -> Check:
    backup, schedule = inventory.freescout, inventory.policy.vault_snapshot.schedule_utc
    begun = f"begun {backup.created_utc:%H:%M} UTC" if backup.created_utc else "begun at an unknown time"
    ours = next((row for row in inventory.ours if row.created_utc.date().isoformat() == backup.day), None)
    if backup.created_utc and f"{backup.created_utc.astimezone(UTC):%H:%M}" >= schedule:
        remedy = "Move FreeScout's backup to an earlier hour, so that it ends by 06:00 UTC."
        return Check(FREESCOUT, Status.FAIL, f"{what}, {begun}, did not end before {schedule}.", remedy)
    if ours is None or not ours.freescout:
        return Check(FREESCOUT, Status.PASS, f"{what}, {begun}, is complete.")
    if ours.freescout.startswith(BackupState.COMPLETE):
        return Check(FREESCOUT, Status.PASS, f"{what}, {begun}, had ended when {ours.name} was begun.")
    return Check(
        FREESCOUT,
        Status.WARN,
        f"{what}, {begun}, is complete now, but when {ours.name} was begun it was {ours.freescout}.",
        "The half hour between the two was not kept: move FreeScout's backup to an earlier hour.",
    )


def _addon(inventory: SnapshotInventory) -> Check:
    promised, there = inventory.policy.vault_snapshot, inventory.automatic_utc or ADDON_OFF
    if promised.addon == there:
        return Check(ADDON, Status.PASS, f"automatic snapshots of {promised.instance}: {there}, as promised.")
    detail = f"automatic snapshots of {promised.instance}: {there}, and the policy says {promised.addon}."
    return Check(ADDON, Status.WARN, detail, "Bring it in line with: raxx-bcp snapshot addon --apply.")


def _copies(inventory: SnapshotInventory) -> Check:
    region = inventory.policy.vault_snapshot.copy_region
    if not region:
        return Check(COPIES, Status.PASS, "the policy asks for no copy in another region.")
    good = [row for row in inventory.copies if row.good]
    expected = expected_day(inventory.now - timedelta(days=1), inventory.policy.vault_snapshot)
    if not good or good[0].created_utc.date().isoformat() < expected:
        newest = f"the newest is {good[0].name}" if good else "there is none"
        remedy = "Look at the check copy of vault_snapshot for the reason."
        return Check(COPIES, Status.FAIL, f"No fresh copy in {region}: {newest}.", remedy)
    return Check(COPIES, Status.PASS, f"{len(good)} copies in {region}, the newest is {good[0].name}.")
