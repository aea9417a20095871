"""What Dagster knows about a run that ended badly, including one whose process was killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from raxx_bcp.alerts.texts import RunTrouble
from raxx_bcp.dagster_terms import WARNING_ID

_WITHOUT_REASON: Final = {
    dg.DagsterEventType.RUN_FAILURE: (
        "its process was killed or its host was lost (out of memory? a restart?). Nothing is half-written: "
        "look at the run, then start the job again."
    ),
    dg.DagsterEventType.RUN_CANCELED: (
        "a person or the time limit ended it. Nothing is half-written: if it was not meant, start the job again."
    ),
}


@dataclass(frozen=True)
class RunFacts:
    """One run, as its event log shows it."""

    run_id: str
    job_name: str
    tags: Mapping[str, str]
    assets: tuple[str, ...]
    reason: str
    last_good_utc: datetime | None

    def trouble(self, how: str, at: datetime) -> RunTrouble:
        """The same for an alert: ``how`` the run ended, and when (UTC)."""
        return RunTrouble(self.run_id, self.job_name, how, self.assets, self.reason, at, self.last_good_utc)


@dataclass(frozen=True)
class Warned:
    """A check of a good run that warns; ``warning_id`` stays the same for as long as it is the same warning."""

    asset: str
    check_name: str
    detail: str
    warning_id: str


def warnings_of(instance: dg.DagsterInstance, run_id: str) -> list[Warned]:
    """The warnings of a run that a person must be told about, such as a key that expires soon."""
    return [
        Warned(check.asset_key.to_user_string(), check.check_name, check.description or "", str(told.value))
        for check in _failed_checks(instance, run_id)
        if (told := check.metadata.get(WARNING_ID)) is not None
    ]


def facts_of(instance: dg.DagsterInstance, run_id: str) -> RunFacts | None:
    """Read the run's events; None where the run itself has been deleted."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return None
    assets = _assets(instance, run_id)
    return RunFacts(
        run_id=run_id,
        job_name=record.dagster_run.job_name,
        tags=record.dagster_run.tags,
        assets=tuple(key.to_user_string() for key in assets),
        reason=_reason(instance, run_id),
        last_good_utc=_last_good(instance, assets[0]) if assets else None,
    )


def _assets(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetKey]:
    """Planned minus materialized: a killed run has no step failure, and job runs carry no selection."""
    planned = _keys(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    done = set(_keys(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION))
    missing = [key for key in planned if key not in done]
    return missing or _with_failed_checks(instance, run_id)


def _keys(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> list[dg.AssetKey]:
    events = (entry.dagster_event for entry in instance.all_logs(run_id, of_type=kind))
    return list(dict.fromkeys(event.asset_key for event in events if event and event.asset_key))


def _with_failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetKey]:
    return list(dict.fromkeys(check.asset_key for check in _failed_checks(instance, run_id)))


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetCheckEvaluation]:
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    data = (entry.dagster_event.event_specific_data for entry in entries if entry.dagster_event)
    return [check for check in data if isinstance(check, dg.AssetCheckEvaluation) and not check.passed]


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """The failing step's own message; else a red check's; else how the run ended (killed, timed out)."""
    failures = [
        entry.dagster_event.step_failure_data
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event
    ]
    said = [text for data in failures if (text := _own_words(data))]
    failed = _failed_checks(instance, run_id)
    errors = [check for check in failed if check.severity is dg.AssetCheckSeverity.ERROR]  # warnings fail no run
    red = [f"{check.check_name}: {check.description or 'failed'}" for check in errors or failed]
    raised = [text for data in failures if (text := _raised(data))]
    if said or red or raised:
        return "\n".join(said or red or raised)
    return _how_it_ended(instance, run_id)


def _how_it_ended(instance: dg.DagsterInstance, run_id: str) -> str:
    """For a run that left no reason of its own: killed, lost with its host, out of time, or cancelled."""
    for kind, remedy in _WITHOUT_REASON.items():
        for entry in instance.all_logs(run_id, of_type=kind):
            if entry.dagster_event:
                return f"{entry.dagster_event.message or ''}\nWhat to do: {remedy}".strip()
    return ""


def _own_words(failure: object) -> str:
    """What our code reported when it raised ``dg.Failure``."""
    user = getattr(failure, "user_failure_data", None)
    return str(user.description) if user is not None and user.description else ""


def _raised(failure: object) -> str:
    error = getattr(failure, "error", None)
    return str(error.message).strip() if error is not None else ""


def _last_good(instance: dg.DagsterInstance, key: dg.AssetKey) -> datetime | None:
    event = instance.get_latest_materialization_event(key)
    return datetime.fromtimestamp(event.timestamp, UTC) if event else None
