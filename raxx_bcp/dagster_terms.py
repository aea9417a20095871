"""Our words in Dagster's terms: checks, and errors that retry only what a retry can help."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.retries import waits_told
from raxx_bcp.clock import run_day
from raxx_bcp.daily import Daily, late_from
from raxx_bcp.errors import BcpError, TransientError

RAXX_KEY = "raxx"
SCHEDULED_TAG = "raxx-bcp/scheduled_for_utc"
WARNING_ID = "warning_id"
OWNER = "team:sre"


def check_result(check: Check, asset: str | None = None) -> dg.AssetCheckResult:
    """COULD_NOT_VERIFY is a failed check whose text says so; only WARN is a warning."""
    passed = check.status is Status.PASS
    severity = dg.AssetCheckSeverity.WARN if check.status is Status.WARN else dg.AssetCheckSeverity.ERROR
    description = check.detail if passed else f"{check.status.value}: {check.detail} {check.remedy}".strip()
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=asset,
        passed=passed,
        severity=severity,
        description=description,
        metadata={"status": check.status.value} | ({WARNING_ID: check.warning_id} if check.warning_id else {}),
    )


@contextlib.contextmanager
def operator_errors(
    context: dg.AssetExecutionContext, *, max_retries: int = 0, wait_seconds: int = 60
) -> Iterator[None]:
    """Turn a ``BcpError`` into Dagster's: a retry with doubling waits for a transient error, else a ``Failure``.

    A refused login is permanent and so never retried: three attempts would lock the identity. What a client waits for
    is a warning in the run's log.
    """
    try:
        with waits_told(context.log.warning):
            yield
    except TransientError as error:
        if context.retry_number < max_retries:
            context.log.warning("%s Trying again (%d of %d).", error.what, context.retry_number + 1, max_retries)
            raise dg.RetryRequested(max_retries, wait_seconds * 2**context.retry_number) from None
        raise failure(error) from None
    except BcpError as error:
        raise failure(error) from None


def failure(error: BcpError) -> dg.Failure:
    """The run's last message: what failed and what to do."""
    return dg.Failure(f"{error.what}\nWhat to do: {error.remedy}", allow_retries=False)


def day_of_run(context: dg.AssetExecutionContext) -> str:
    """The UTC day (``YYYY-MM-DD``) of this run, the same for every retry of its step."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    created = record.create_timestamp if record else None
    if created is None:
        raise dg.Failure(f"Dagster has no record of run {context.run.run_id}.", allow_retries=False)
    scheduled = context.run.tags.get(SCHEDULED_TAG)
    return run_day(datetime.fromisoformat(scheduled) if scheduled else None, created)


INVENTORY_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26))
"""For what is checked every day at 07:30: a day, and two hours for a late start."""


def daily_freshness(daily: Daily) -> dg.FreshnessPolicy:
    """Fresh when it was materialized since midnight, before today's is late."""
    late = late_from("2026-01-01", daily)
    since_midnight = timedelta(hours=late.hour, minutes=late.minute)
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"{late.minute} {late.hour} * * *",
        lower_bound_delta=max(since_midnight, timedelta(minutes=daily.late_after_minutes)),
        timezone="UTC",
    )


def late_clock(daily: Daily) -> str:
    """``HH:MM`` (UTC) from which today's is late."""
    return f"{late_from('2026-01-01', daily):%H:%M}"
