"""The sensor that cannot lose an alert.

Dagster's own run-failure sensor moves its cursor even when its body raises, so an alert that Slack did
not accept is lost. Here a run counts as reported only when Slack accepted the message: a tag on the run itself
records that at once. The cursor only says where to start looking. It looks back a little further, since databases
may show an earlier event later. A tick that cannot deliver raises, is red in the UI, and is tried again.
"""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from raxx_bcp.alerts.runs import facts_of, warnings_of
from raxx_bcp.alerts.texts import check_warning, run_trouble
from raxx_bcp.clients.slack import Message
from raxx_bcp.errors import BcpError
from raxx_bcp.policy import Alerts
from raxx_bcp.resources import Raxx

TOLD_TAG: Final = "raxx-bcp/alerted"
TOLD_ASSETS_TAG: Final = "raxx-bcp/alerted_assets"
WARNED_TAG: Final = "raxx-bcp/warned"
PASSED: Final = "passed"
SENTINEL_JOB: Final = "freshness_sentinel"
FIRST_LOOK_BACK_SECONDS: Final = 24 * 3600
"""How far back the very first tick looks: it also reports what failed before the sensor ever ran."""
REMINDER_SECONDS: Final = 24 * 3600
"""The hourly sentinel reports a late backup once, then once a day while it lasts."""
_OVERLAP_IDS: Final = 200
_BATCH: Final = 200


def alert_sensor(policy: Alerts) -> dg.SensorDefinition:
    """``alert_on_trouble``: a Slack message for each run that failed, was killed or was cancelled."""

    @dg.sensor(
        name="alert_on_trouble",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Tells Slack {policy.slack_channel} of each failed, killed or cancelled run, exactly once, and of a "
            "warning such as a key that expires soon when it begins."
        ),
    )
    def alert_on_trouble(context: dg.SensorEvaluationContext, raxx: dg.ResourceParam[Raxx]) -> dg.SkipReason:
        cursor = _Cursor.read(context.cursor, raxx.clock())
        told = 0
        for ending in _endings(context.instance, cursor):
            speak = _warn if ending.how == PASSED else _tell
            told += speak(context.instance, ending, raxx)
            cursor.after = max(cursor.after, ending.storage_id)
        context.update_cursor(cursor.written())
        return dg.SkipReason(f"told Slack {told} times" if told else "nothing new went wrong")

    return alert_on_trouble


class _Cursor:
    """``since``: epoch seconds before which nothing is reported; ``after``: the highest storage id handled."""

    def __init__(self, since: float, after: int) -> None:
        self.since, self.after = since, after

    @classmethod
    def read(cls, written: str | None, now: datetime) -> "_Cursor":
        if not written:
            return cls(now.timestamp() - FIRST_LOOK_BACK_SECONDS, 0)
        fields = json.loads(written)
        return cls(float(fields["since"]), int(fields["after"]))

    def written(self) -> str:
        return json.dumps({"since": self.since, "after": self.after})


class _Ending:
    def __init__(self, storage_id: int, run_id: str, how: str, at: float) -> None:
        self.storage_id, self.run_id, self.how, self.at = storage_id, run_id, how, at


def _endings(instance: dg.DagsterInstance, cursor: _Cursor) -> Iterator[_Ending]:
    """Endings in the order in which they were stored; good ones too, since they may hold a warning."""
    start = max(0, cursor.after - _OVERLAP_IDS)
    filters = {
        "failed": dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=start),
        "was cancelled": dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_CANCELED, after_storage_id=start),
        PASSED: dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_SUCCESS, after_storage_id=start),
    }
    found: list[_Ending] = []
    horizon = math.inf
    for how, records_filter in filters.items():
        records = instance.fetch_run_status_changes(records_filter, limit=_BATCH, ascending=True).records
        if len(records) == _BATCH:  # there may be more of this kind: do not let the other kind get ahead of it
            horizon = min(horizon, records[-1].storage_id)
        found += [
            _Ending(record.storage_id, record.event_log_entry.run_id, how, record.timestamp)
            for record in records
            if record.timestamp >= cursor.since
        ]
    yield from sorted((one for one in found if one.storage_id <= horizon), key=lambda one: one.storage_id)


def _tell(instance: dg.DagsterInstance, ending: _Ending, raxx: Raxx) -> int:
    """1 when Slack accepted a message, 0 when there was nothing to report."""
    facts = facts_of(instance, ending.run_id)
    if facts is None or TOLD_TAG in facts.tags:
        return 0
    if facts.job_name == SENTINEL_JOB and _told_lately(instance, ending.at, facts.assets):
        _mark(instance, ending.run_id, "covered by an earlier alert")
        return 0
    message = run_trouble(facts.trouble(ending.how, datetime.fromtimestamp(ending.at, UTC)), raxx.policy.alerts.ui_url)
    _mark(instance, ending.run_id, f"slack {_post(raxx, message, ending.run_id)}", facts.assets)
    return 1


def _warn(instance: dg.DagsterInstance, ending: _Ending, raxx: Raxx) -> int:
    """How many warnings of a good run were reported now. Each ``warning_id`` is reported once, on any run."""
    told = 0
    for warned in warnings_of(instance, ending.run_id):
        mark = {f"{WARNED_TAG}.{warned.check_name}": warned.warning_id}
        if instance.get_run_records(dg.RunsFilter(tags=mark), limit=1):
            continue
        at = datetime.fromtimestamp(ending.at, UTC)
        message = check_warning(warned.asset, warned.check_name, warned.detail, at, raxx.policy.alerts.ui_url)
        _post(raxx, message, ending.run_id)
        instance.add_run_tags(ending.run_id, mark)
        told += 1
    return told


def _post(raxx: Raxx, message: Message, run_id: str) -> str:
    """Slack's timestamp of the accepted message. Raises ``dg.Failure``, which leaves the cursor where it was."""
    try:
        return raxx.slack().post(raxx.policy.alerts.slack_channel, message)
    except BcpError as error:
        raise dg.Failure(
            f"The alert for run {run_id} was not delivered: {error.what} {error.remedy} "
            "It is kept and tried again at the next tick."
        ) from None


def _told_lately(instance: dg.DagsterInstance, at: float, assets: tuple[str, ...]) -> bool:
    """Has Slack accepted an alert of the sentinel for all of ``assets`` within a day, with no good run since?

    Another asset that becomes late meanwhile is news, and is reported.
    """
    runs = instance.get_run_records(dg.RunsFilter(job_name=SENTINEL_JOB), limit=48)
    for record in runs:
        ended = record.end_time or 0.0
        if ended >= at or at - ended > REMINDER_SECONDS:
            continue
        if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
            return False
        tags = record.dagster_run.tags
        if tags.get(TOLD_TAG, "").startswith("slack "):
            return set(assets) <= set(tags.get(TOLD_ASSETS_TAG, "").split())
    return False


def _mark(instance: dg.DagsterInstance, run_id: str, how: str, assets: tuple[str, ...] = ()) -> None:
    instance.add_run_tags(run_id, {TOLD_TAG: how, TOLD_ASSETS_TAG: " ".join(assets) or "none"})
