"""A drill as its evidence row, and where drills are put on record."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from raxx_bcp import __version__
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.engine.journal import Journal
from raxx_bcp.drills.engine.leases import Returned
from raxx_bcp.evidence.confidential import withhold_secrets
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import (
    CheckRow,
    DrillEntry,
    Identity,
    People,
    Phase,
    Resource,
    Source,
    Target,
    Timing,
    objective,
    teardown,
)
from raxx_bcp.evidence.spool import Spool, record

RESOURCE: Final = "resource"
REGION: Final = "region"


class LedgerRecorder:
    """Starts in the journal, ends in the ledger; the row is on this machine's disk until S3 has accepted it."""

    def __init__(self, journal: Journal, ledger: Ledger, spool: Spool) -> None:
        self._journal = journal
        self._ledger = ledger
        self._spool = spool

    def begin(self, drill: Drill) -> None:
        """Raises what ``Bucket.put`` raises: the drill must not start then."""
        self._journal.begin(drill)

    def write(self, drill: Drill) -> int:
        """The row's sequence number. Raises what ``Ledger.append`` raises: the row is stored here and written later."""
        return record(entry_of(drill, drill.clock()), self._spool, self._ledger).sequence


def entry_of(drill: Drill, ended: datetime) -> DrillEntry:
    """The row's content. Everything that looks like a secret is withheld."""
    order, backup = drill.order, drill.source_backup
    source = None
    if backup is not None:
        source = Source(
            backup_id=withhold_secrets(backup.backup_id),
            created_utc=backup.created_utc,
            age_seconds=max(0, math.ceil((drill.started_utc - backup.created_utc).total_seconds())),
            selected_because=withhold_secrets(backup.selected_because),
            size_bytes=backup.size_bytes,
            sha256=backup.sha256,
            key_fingerprint=backup.key_fingerprint,
        )
    return DrillEntry(
        identity=Identity(
            drill_id=drill.id,
            drill=order.kind,
            system=order.system,
            tier=order.tier,
            scenario=withhold_secrets(order.scenario),
            trigger="schedule" if order.trigger == "schedule" else "manual",
            dagster_run_id=order.run_id,
            dagster_run_url=order.run_url,
            runbook_version=__version__,
        ),
        source=source,
        target=_target(drill),
        timing=Timing(
            started_utc=drill.started_utc,
            ended_utc=ended,
            phases=tuple(Phase(name=p.name, started_utc=p.started_utc, ended_utc=p.ended_utc) for p in drill.phases),
            rto=objective(order.rto_target_seconds, drill.rto_seconds),
            rpo=objective(order.rpo_target_seconds, drill.rpo_seconds),
            newest_record_utc=drill.newest_record_utc,
        ),
        checks=tuple(
            CheckRow(
                name=one.name,
                expected=withhold_secrets(one.expected),
                actual=withhold_secrets(one.actual),
                status=one.status,
                reason=withhold_secrets(one.told),
            )
            for one in drill.results
        ),
        verdict=drill.verdict,
        findings=tuple(withhold_secrets(finding) for finding in drill.findings),
        teardown=teardown(_resource(one) for one in drill.leases.returned),
        people=People(operator=withhold_secrets(order.operator)),
    )


def _target(drill: Drill) -> Target | None:
    if not drill.target:
        return None
    versions = {name: withhold_secrets(value) for name, value in drill.target.items() if name not in (RESOURCE, REGION)}
    return Target(
        resource_id=drill.target.get(RESOURCE, ""),
        region=drill.target.get(REGION, ""),
        isolation=tuple(withhold_secrets(each) for each in drill.isolation),
        versions=versions,
    )


def _resource(one: Returned) -> Resource:
    return Resource(
        kind=one.kind,
        name=one.name,
        created_utc=one.created_utc,
        gone_utc=one.gone_utc,
        kept_until_utc=one.kept_until_utc,
        problem=withhold_secrets(one.problem),
        cost_micro_usd=math.ceil(one.usd * 1_000_000),
    )
