"""A finished drill, as Dagster shows it: a pass materializes, anything else is red and materializes nothing."""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.dagster_terms import check_result
from raxx_bcp.drills.engine import explaining
from raxx_bcp.drills.engine.run import FinishedDrill
from raxx_bcp.evidence.row import Verdict

PASSED: Final = "passed"


def drill_results(done: FinishedDrill) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """A pass materializes; anything else is a red check with the same tables, and a failed run."""
    metadata = drill_metadata(done)
    verdict = done.verdict
    if verdict is Verdict.PASS:
        passed = Check(PASSED, Status.PASS, f"row {done.row_sequence}: {len(done.drill.results)} checks passed.")
        yield dg.MaterializeResult(metadata=metadata, check_results=[check_result(passed)])
        return
    why = " ".join(explaining.why(done.drill)[:6]) or "nothing was checked."
    yield dg.AssetCheckResult(
        check_name=PASSED,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{verdict.value}: {why} (row {done.row_sequence})",
        metadata={"status": verdict.value, **metadata},
    )
    raise dg.Failure(
        f"The drill ended as {verdict.value}: {why}\n"
        f"What to do: look at row {done.row_sequence} (raxx-bcp evidence report), fix what it names, and run the "
        "drill again. Nothing of production was changed.",
        metadata=metadata,
        allow_retries=False,
    )


def drill_metadata(done: FinishedDrill) -> dict[str, Any]:
    """What an operator looks at, under names that never change: Dagster plots the numbers."""
    drill = done.drill
    checks = [
        dg.TableRecord(
            {
                "check": one.name,
                "status": one.status.value,
                "expected": one.expected,
                "actual": one.actual,
                "reason": one.told,
            }
        )
        for one in drill.results
    ]
    phases = [
        dg.TableRecord(
            {
                "phase": phase.name,
                "started_utc": f"{phase.started_utc:%H:%M:%S}",
                "seconds": round((phase.ended_utc - phase.started_utc).total_seconds(), 1) if phase.ended_utc else -1.0,
            }
        )
        for phase in drill.phases
    ]
    metadata: dict[str, Any] = {
        "verdict": done.verdict.value,
        "row_sequence": done.row_sequence,
        "drill_id": drill.id,
        "operator": drill.order.operator,
        "check_count": len(drill.results),
        "backup": drill.source_backup.backup_id if drill.source_backup else "none was chosen",
        "checks": dg.TableMetadataValue(
            records=checks, schema=_schema("check", "status", "expected", "actual", "reason")
        ),
        "phases": dg.TableMetadataValue(
            records=phases,
            schema=dg.TableSchema(
                columns=[dg.TableColumn("phase"), dg.TableColumn("started_utc"), dg.TableColumn("seconds", "float")]
            ),
        ),
        "findings": dg.MetadataValue.md("\n".join(f"- {finding}" for finding in drill.findings) or "none"),
    }
    if drill.rto_seconds is not None:
        metadata["rto_seconds"] = round(drill.rto_seconds, 1)
    if drill.rpo_seconds is not None:
        metadata["rpo_seconds"] = round(drill.rpo_seconds, 1)
        metadata["backup_age_hours"] = round(drill.rpo_seconds / 3600, 2)
    return metadata


def _schema(*names: str) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name) for name in names])
