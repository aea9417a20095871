"""Raxx on Heroku at a sandbox's start: production, a year of rows, and twelve days of backups of real states.

Each backup is dumped when production has the rows of that time. So an older backup really is an older state, and the
oldest one has an older Alembic revision.
"""

from __future__ import annotations

import math
from typing import Final

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox.heroku import production
from raxx_bcp_sandbox.heroku.backups import make_dump
from raxx_bcp_sandbox.heroku.plans import plan_named
from raxx_bcp_sandbox.heroku.records import PROVISIONED, Addon, Transfer, new_id
from raxx_bcp_sandbox.heroku.times import DAY, HOUR, utc
from raxx_bcp_sandbox.heroku.world import PRODUCTION, World, kept_at

STAGING: Final = "raxx-app-staging"
OLDEST_DAYS: Final = 12
OLDER_DAYS: Final = 9
SCHEDULED_HOUR: Final = 5
"""When Heroku backs production up, UTC."""
SCHEDULED_KEPT: Final = 7
_HISTORY_DAYS: Final = 400
_TAKES_SECONDS: Final = 20.0
_LATEST_SECONDS: Final = 300.0
_DAILY_GROWTH: Final = 0.001
SEEDED: Final = "seeded with an administrator"
"""An account of an earlier version, whose owners made their own extensions, is made again."""
_SCHEDULE: Final = "raxx_sandbox_schedule"


def seed(world: World, rows: int = production.ROWS) -> None:
    """Fill a new account. A filled one is left alone; a half-filled one is emptied first."""
    if world.store.setting(SEEDED):
        return
    for half in world.apps():
        world.delete_app(half)
    now = math.floor(world.clock.now())  # the Data API reports whole seconds: no row may be newer than its backup
    world.create_app(STAGING)
    app = world.create_app(PRODUCTION)
    addon = world.create_addon(app, plan_named("heroku-postgresql:essential-0"), "postgresql-raxx-10001")
    app.created_at = addon.created_at = addon.ready_at = now - _HISTORY_DAYS * DAY
    addon.state = PROVISIONED
    _live(world, addon, now, production.complete(rows))
    world.store.put(addon)
    world.store.put(app)
    world.store.set(SEEDED, "yes")


def catch_up(world: World) -> bool:
    """Take this morning's scheduled backup when there is none yet, with a few new rows; return whether it was taken."""
    with world.lock:
        addon = world.addons(world.app(PRODUCTION))[0]
        due = _morning(world.clock.now())
        kept = [each for each in world.transfers.of(addon.app_id) if each.good]
        if any(each.created_at >= due for each in kept):
            return False
        _grow_daily(world, addon, due)
        _back_up(world, addon, due, scheduled=True)
        _grow_daily(world, addon, world.clock.now())
        scheduled = [each for each in kept if each.schedule]
        for transfer in scheduled[: max(0, len(scheduled) + 1 - SCHEDULED_KEPT)]:
            _purge(world, transfer)
        return True


def _live(world: World, addon: Addon, now: float, complete: dict[str, int]) -> None:
    """Twelve days: rows are added, a migration runs, backups are taken; one fails, one is restored, one is dropped."""
    morning = _morning(now)
    oldest, older = now - OLDEST_DAYS * DAY, now - OLDER_DAYS * DAY
    for extension in production.EXTENSIONS:
        world.databases.add_extension(addon, extension)
    with world.databases.connect(addon) as owner:

        def grow(share: float, since: float, until: float) -> None:
            targets = {table: math.ceil(count * share) for table, count in complete.items()}
            production.grow(owner, targets, utc(since), utc(until))

        production.create(owner)
        grow(0.9, now - _HISTORY_DAYS * DAY, oldest)
        _back_up(world, addon, oldest)
        production.upgrade(owner)
        grow(0.995, oldest, older)
        _back_up(world, addon, older)
        _restored(world, addon, now - 8 * DAY)
        _dropped(world, addon, now - 7 * DAY, now - 1 * DAY)
        grow(0.998, older, morning - 2 * DAY)
        _back_up(world, addon, morning - 2 * DAY, scheduled=True)
        _failed(world, addon, morning - 1 * DAY)
        grow(0.999, morning - 2 * DAY, morning)
        _back_up(world, addon, morning, scheduled=True)
        grow(1.0, morning, now)
        owner.execute("ANALYZE")


def _grow_daily(world: World, addon: Addon, until: float) -> None:
    with world.databases.connect(addon) as owner:
        targets = {
            table: math.ceil(count * (1 + _DAILY_GROWTH)) for table, count in production.row_counts(owner).items()
        }
        del targets["alembic_version"]
        since = min(production.newest_moment(owner), utc(until))
        production.grow(owner, targets, since, utc(until))


def _morning(now: float) -> float:
    """When the last scheduled backup was due; one that is due in the current minute is left for later."""
    latest = now - _LATEST_SECONDS
    due = latest - latest % DAY + SCHEDULED_HOUR * HOUR
    return due if due <= latest else due - DAY


def _backup(world: World, addon: Addon, at: float, *, scheduled: bool = False) -> Transfer:
    url = world.databases.url(addon)
    transfer = world.transfers.new(addon, at, backup=True, from_url=url, to_url=kept_at())
    transfer.finished_at = transfer.updated_at = at + _TAKES_SECONDS
    transfer.source_bytes = world.databases.size_bytes(addon)
    if scheduled:
        schedule = world.store.setting(_SCHEDULE) or new_id()
        world.store.set(_SCHEDULE, schedule)
        transfer.schedule = schedule
    return transfer


def _back_up(world: World, addon: Addon, at: float, *, scheduled: bool = False) -> None:
    transfer = _backup(world, addon, at, scheduled=scheduled)
    path = world.files.path(transfer.uuid)
    said = make_dump(world.databases, addon, path)
    if said:
        raise PermanentError(
            f"The sandbox's production database could not be backed up ({said}).",
            "Run raxx-bcp sandbox down --purge, then raxx-bcp sandbox up: the sandbox is made anew.",
        )
    transfer.processed_bytes = path.stat().st_size
    transfer.succeeded = True
    world.transfers.keep(transfer)


def _failed(world: World, addon: Addon, at: float) -> None:
    transfer = _backup(world, addon, at, scheduled=True)
    transfer.succeeded = False
    transfer.say(at + 1, "error", "pg_dump: error: query failed: server closed the connection unexpectedly")
    world.transfers.keep(transfer)


def _dropped(world: World, addon: Addon, at: float, dropped_at: float) -> None:
    """A backup that succeeded, and that Heroku no longer keeps."""
    transfer = _backup(world, addon, at)
    transfer.succeeded, transfer.processed_bytes = True, transfer.source_bytes // 9
    transfer.deleted_at = dropped_at
    world.transfers.keep(transfer)


def _restored(world: World, addon: Addon, at: float) -> None:
    url = world.databases.url(addon)
    transfer = world.transfers.new(addon, at, backup=False, from_url=kept_at(), to_url=url)
    transfer.finished_at = transfer.updated_at = at + _TAKES_SECONDS
    transfer.succeeded = True
    world.transfers.keep(transfer)


def _purge(world: World, transfer: Transfer) -> None:
    transfer.deleted_at = world.clock.now()
    world.files.remove(transfer.uuid)
    world.transfers.keep(transfer)
