"""D4: a backup of the customer database on Heroku, restored into a throwaway app and compared with production.

Production is only read. The drill makes one app with one database. Its name says which drill it belongs to and until
when, so that a sweeper finds what a killed drill left.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import App, Database, DatabaseInfo, Transfer, TransferState, WaitState
from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.engine.expiring_names import expiring_name, expiry_in
from raxx_bcp.drills.engine.leases import Lease
from raxx_bcp.drills.engine.record import REGION, RESOURCE
from raxx_bcp.drills.heroku_postgres import database, restore_warnings
from raxx_bcp.drills.heroku_postgres.catalogue import PUBLIC
from raxx_bcp.drills.heroku_postgres.fresh_backup import capture_with_facts
from raxx_bcp.drills.heroku_postgres.restore_log import complaints
from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore, Measure, begun, limits_of, measure
from raxx_bcp.drills.heroku_postgres.wanted import FRESH, NEWEST, RANDOM_OLDER, Wanted
from raxx_bcp.errors import BackupWrongError, BcpError, CouldNotVerifyError, UsageError
from raxx_bcp.policy import HerokuPostgres
from raxx_bcp.waiting import Deadline, Waiting

BACKUP_AGE: Final = "backup age"
TRANSFER: Final = "transfer"
WARNINGS: Final = restore_warnings.NAME

_GB: Final = 1_000_000_000
_HEADROOM: Final = 1.1
"""A plan is full at its limit; a restore needs a little more than the data while it runs."""


@dataclass(frozen=True)
class Plan:
    """A plan of Heroku Postgres: what fits, and its price (Heroku's price list, a month of 30 days)."""

    name: str
    holds_bytes: int
    usd_per_hour: float


PLANS: Final = (
    Plan("essential-0", 1 * _GB, 0.007),
    Plan("essential-1", 10 * _GB, 0.0125),
    Plan("essential-2", 32 * _GB, 0.028),
    Plan("standard-0", 64 * _GB, 0.069),
    Plan("standard-2", 256 * _GB, 0.278),
)


def heroku_postgres(
    drill: Drill, heroku: Heroku, policy: HerokuPostgres, wanted: Wanted, facts: FactsStore | None = None
) -> None:
    """Restore one backup and examine it. Raises what the clients raise; the drill records it.

    ``facts`` is where those of production at the backup's moment are stored; None: nowhere.
    """
    deadline = Deadline.of(policy.rto_minutes, policy.poll_seconds, drill.clock, drill.sleep)
    with drill.phase("select"):
        production = heroku.database_of(policy.app)
        info = heroku.database_info(production.id)
        known, made, measured = heroku.transfers(policy.app), None, None
        if wanted.backup == FRESH:
            made, measured = capture_with_facts(heroku, policy, production, facts, deadline, drill.progress)
        backup = _select(drill, known, wanted.backup, policy, made)
    with drill.phase("provision"):
        plan = _plan(info, wanted.plan)
        app = _lease_app(drill, heroku, policy, plan)
        restored = heroku.create_database(app.name, plan.name, info.postgres_major)
        # Production is looked at while Heroku works: its counts are those of the backup's moment in any case.
        measured = measured or measure(heroku, policy, backup, facts, drill.clock)
        drill.target["compared_with"] = measured.said
        _await_database(drill, heroku, policy, restored)
    with drill.phase("restore"):
        told = _restore(drill, heroku, policy, backup, restored, measured.facts, deadline)
    with drill.phase("verify"):
        _verify(drill, heroku, policy, wanted, backup, app, measured, told)
    drill.check_restore_time()


# -- select ----------------------------------------------------------------------------------------------


def _select(
    drill: Drill, transfers: list[Transfer], wanted: str, policy: HerokuPostgres, made: Transfer | None
) -> Transfer:
    """Choose one, and judge the age of the newest good backup, whichever is restored.

    A backup that the drill has ``made`` hides nothing: if Heroku's own backups have stopped, their age still shows
    that.
    """
    good = sorted((one for one in transfers if one.restorable), key=_finished, reverse=True)
    if not good and made is None:
        raise BackupWrongError(
            f"There is no good backup of {policy.app}: nothing could be restored.",
            "Look at heroku pg:backups, and make one now: heroku pg:backups:capture.",
        )
    age = drill.started_utc - _finished(good[0]) if good else None
    which = (
        f"the newest good backup, {good[0].label}, is too old" if good else "there was no good backup but the drill's"
    )
    drill.check(
        BACKUP_AGE,
        expected=f"at most {policy.rpo_hours} hours",
        actual=f"{age.total_seconds() / 3600:.1f} hours" if age is not None else "none",
        ok=age is not None and age <= timedelta(hours=policy.rpo_hours),
        reason=f"{which}: look at heroku pg:backups:schedules",
    )
    chosen, because = (made, "made by this drill") if made else _chosen(good, wanted, transfers)
    drill.source(
        Source(
            backup_id=f"{policy.app} {chosen.label}",
            created_utc=begun(chosen),
            selected_because=because,
            size_bytes=chosen.processed_bytes,
        )
    )
    return chosen


def _chosen(good: list[Transfer], wanted: str, transfers: list[Transfer]) -> tuple[Transfer, str]:
    if wanted == NEWEST:
        return good[0], f"the newest of {len(good)} good backups"
    if wanted == RANDOM_OLDER:
        if len(good) < 2:
            raise UsageError("There is only one good backup, so no older one to choose.", "Ask for the newest.")
        return random.choice(good[1:]), f"a random one of {len(good) - 1} older good backups"  # noqa: S311 - no secret
    named = [one for one in good if one.label == wanted]
    if named:
        return named[0], "named by the operator"
    known = ", ".join(one.label for one in transfers if one.is_backup)
    choices = f"Choose {NEWEST}, {RANDOM_OLDER}, {FRESH}, or one of: {known}."
    raise UsageError(f"There is no good backup {wanted}.", choices)


def _finished(transfer: Transfer) -> datetime:
    return transfer.finished_utc or datetime.min.replace(tzinfo=UTC)


# -- provision -------------------------------------------------------------------------------------------


def throwaway_name(prefix: str, expires: datetime, token: str) -> str:
    """``raxx-drill-2611242045-a1b2c3``: the end of its lease is in the app's name itself."""
    return expiring_name(prefix, expires, token)


def expiry_of(name: str, prefix: str) -> datetime | None:
    """When the lease in a throwaway app's name ends; None for any other name, which is then not ours."""
    return expiry_in(name, prefix, "[0-9a-f]{6}")


def app_lease(heroku: Heroku, name: str, usd_per_hour: float) -> Lease:
    """The lease of a throwaway app. It is gone when it is no longer listed."""
    return Lease(
        kind="heroku app",
        name=name,
        release=lambda: heroku.delete_app(name),
        gone=lambda: name not in {app.name for app in heroku.apps_with_prefix()},
        usd_per_hour=usd_per_hour,
    )


def _plan(info: DatabaseInfo, wanted: str) -> Plan:
    fitting = [plan for plan in PLANS if plan.holds_bytes >= info.num_bytes * _HEADROOM]
    if wanted:
        named = [plan for plan in PLANS if plan.name == wanted]
        if not named:
            raise UsageError(f"There is no plan {wanted}.", f"Choose one of: {', '.join(plan.name for plan in PLANS)}.")
        return named[0]
    if not fitting:
        raise UsageError(
            f"The database has {info.num_bytes} bytes, more than any plan that drills use.",
            "Name a plan for the drill.",
        )
    return fitting[0]


def _lease_app(drill: Drill, heroku: Heroku, policy: HerokuPostgres, plan: Plan) -> App:
    name = throwaway_name(policy.throwaway_prefix, drill.expires_utc, drill.token)
    drill.target = {RESOURCE: name, REGION: policy.region or "us", "plan": plan.name}
    return drill.lease(
        app_lease(heroku, name, plan.usd_per_hour),
        lambda: heroku.create_app(name, region=policy.region, team=policy.team),
    )


def _await_database(drill: Drill, heroku: Heroku, policy: HerokuPostgres, made: Database) -> None:
    """Ask until it is ready. It must have production's major version, since other clients and servers do not fit."""

    def look() -> str | Waiting:
        status = heroku.wait_status(made.id)
        if status.state is WaitState.ERROR:
            raise CouldNotVerifyError(
                f"Heroku could not provide the throwaway database of {made.app_name}.",
                "Look at status.heroku.com, then start the drill again: the backup was not judged.",
            )
        if status.state is not WaitState.READY:
            return Waiting("Heroku still makes it.")
        return heroku.database_info(made.id).postgres_version

    def late(seen: str) -> CouldNotVerifyError:
        return CouldNotVerifyError(
            f"The database of {made.app_name} was not ready after {policy.provision_deadline_minutes} minutes: {seen}",
            "Look at status.heroku.com, then start the drill again: the backup was not judged.",
        )

    patience = Deadline.of(policy.provision_deadline_minutes, policy.poll_seconds, drill.clock, drill.sleep)
    drill.target["postgres"] = patience.ask(look, late, drill.progress)


# -- restore ---------------------------------------------------------------------------------------------


def _restore(
    drill: Drill,
    heroku: Heroku,
    policy: HerokuPostgres,
    backup: Transfer,
    restored: Database,
    expected: database.Facts,
    deadline: Deadline,
) -> Transfer:
    """Start it, ask until it has ended or the RTO is over, then cancel. Returns the transfer with its log."""
    url = heroku.signed_url(policy.app, backup.num).url
    begun = heroku.restore(restored, url, extensions_to_make(expected))

    def look() -> Transfer | Waiting:
        transfer = heroku.transfer(restored.app_id, begun.uuid)
        if transfer.state is not TransferState.RUNNING:
            transfer = heroku.transfer(restored.app_id, begun.uuid, verbose=True)
        if transfer.state is TransferState.RUNNING:
            return Waiting(f"{transfer.processed_bytes} bytes were restored.")
        return transfer

    def late(seen: str) -> CouldNotVerifyError:
        with contextlib.suppress(BcpError):  # the app is deleted in any case
            heroku.cancel(restored.app_name, begun.uuid)
        return CouldNotVerifyError(
            f"The restore of {backup.label} was not over after {policy.rto_minutes} minutes, and was cancelled: {seen}",
            "Look at the size of the database and at status.heroku.com; raise heroku_postgres.rto_minutes if the "
            "promise itself is wrong.",
        )

    told = deadline.ask(look, late, drill.progress)
    why = f" ({', '.join(told.reasons)})" if told.reasons else ""
    ended = f"{told.state.value}{why}"
    succeeded = told.state is TransferState.SUCCEEDED
    if told.state is TransferState.CANCELED or (not succeeded and told.lies_with_heroku):
        raise CouldNotVerifyError(
            f"The restore of backup {backup.label} ended as {ended}: that is no word on the backup.",
            "Look at status.heroku.com and at the throwaway database's plan, then start the drill again.",
        )
    drill.check(TRANSFER, expected="succeeded", actual=ended, ok=succeeded, reason=f"pg_restore ended as {ended}")
    if not succeeded:
        raise BackupWrongError(
            f"The restore of backup {backup.label} ended as {ended}.",
            "The backup cannot be restored: make a new one now (heroku pg:backups:capture), and find out why.",
        )
    return told


def extensions_to_make(production: database.Facts) -> list[str]:
    """Production's extensions as the restore takes them, ``hstore`` or ``heroku_ext.hstore``.

    One in ``public`` is not qualified (``heroku pg:backups:restore --extensions``, the CLI's help). PostgreSQL's own
    (``plpgsql``, in ``pg_catalog``) are in every database.
    """
    places = sorted(production.extension_schemas.items())
    return [name if schema == PUBLIC else f"{schema}.{name}" for name, schema in places if not schema.startswith("pg_")]


# -- verify ----------------------------------------------------------------------------------------------


def _verify(
    drill: Drill,
    heroku: Heroku,
    policy: HerokuPostgres,
    wanted: Wanted,
    backup: Transfer,
    app: App,
    measured: Measure,
    told: Transfer,
) -> None:
    """Compare the restored database with production. Reads its address only now: Heroku may have changed it."""
    found = database.actual_from(
        heroku.database_url(app.name),
        backup_finished=_finished(backup),
        connections=policy.connections,
        limits=limits_of(policy),
        moment_columns=policy.newest_row_columns,
        like=measured.facts,
    )
    expected, actual = measured.facts, measured.alike(found)
    drill.newest_record_utc = actual.newest_utc
    drill.add(restore_warnings.judged(told.warnings, complaints(told.logs), expected, actual))
    tolerance = policy.row_tolerance_ratio if wanted.row_tolerance_ratio is None else wanted.row_tolerance_ratio
    revisions = tuple(sorted(wanted.revision.split(","))) if wanted.revision else None
    known = policy.revisions_directory
    history = database.RevisionHistory.of_directory(Path(known)) if known else None
    for one in database.compare(
        expected,
        actual,
        tolerance_ratio=tolerance,
        revisions=revisions,
        history=history,
        allowance=measured.allowance,
    ):
        drill.add(one)
