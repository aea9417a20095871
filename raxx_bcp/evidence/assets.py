"""The ledger in Dagster: the rows as a table, the report beside them, and the gate of each card as a check."""

from typing import Any, Final

import dagster as dg

from raxx_bcp.checks import Check
from raxx_bcp.dagster_terms import OWNER, check_result, operator_errors
from raxx_bcp.evidence.chain import CHAIN_INTACT
from raxx_bcp.evidence.gate import CARDS, Card, GateDecision
from raxx_bcp.evidence.report import Report, make_report, store_report
from raxx_bcp.resources import Raxx

ASSET: Final = "drill_evidence"
_MOST_ROWS: Final = 100
"""Rows of the table in Dagster's event log; the report and the ledger have more."""


def gate_check_name(card: Card) -> str:
    """``gate_heroku_postgres``."""
    return f"gate_{card.name.replace('-', '_')}"


def drill_evidence_asset(drills: tuple[str, ...]) -> dg.AssetsDefinition:
    """``drill_evidence``: the contents of the ledger in S3. Dagster's own database is a view, S3 is the record."""

    @dg.asset(
        name=ASSET,
        group_name="drills",
        kinds={"s3"},
        owners=[OWNER],
        deps=list(drills),
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec(
                CHAIN_INTACT,
                asset=ASSET,
                blocking=True,
                description="Every row is there, unchanged and in order: each holds the hash of the one before it.",
            ),
            *(
                dg.AssetCheckSpec(
                    gate_check_name(card),
                    asset=ASSET,
                    description=f"May the BCP card {card.name} close? {card.title}.",
                )
                for card in CARDS
            ),
        ],
        description=(
            "D4: the evidence rows of all restore drills, verified, with a report for the BCP document stored beside "
            "them. A red gate means that its card may not close, and says why."
        ),
    )
    def drill_evidence(context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
        evidence = raxx.policy.evidence
        with operator_errors(context):
            ledger = raxx.record().ledger
            report = make_report(
                ledger,
                raxx.clock(),
                max_age_days=evidence.max_age_days,
                reviewer_required=evidence.reviewer_required,
            )
            stored = store_report(ledger.bucket, ledger.prefix, report)
        gates = [_told_once(state.decision, f"{raxx.clock():%Y-%m}") for state in report.cards]
        return dg.MaterializeResult(
            metadata=_metadata(report, [f"s3://{ledger.bucket.name}/{key}" for key in stored]),
            check_results=[check_result(check) for check in (report.chain.check(), *gates)],
        )

    return drill_evidence


def _told_once(decision: GateDecision, month: str) -> Check:
    """A shut gate fails no run. Slack gets it once a month if a drill had opened the gate or tried to."""
    check = decision.check()
    told = f"{check.name}-{month}" if decision.row_sequence is not None and not decision.open else ""
    return Check(check.name, check.status, check.detail, check.remedy, warning_id=told)


def _metadata(report: Report, stored: list[str]) -> dict[str, Any]:
    table = report.table()[:_MOST_ROWS]
    columns = list(table[0]) if table else ["row"]
    open_cards = [state.card.name for state in report.cards if state.decision.open]
    return {
        "row_count": report.chain.rows,
        "open_card_count": len(open_cards),
        "open_cards": ", ".join(open_cards) or "none",
        "report": dg.MetadataValue.md("\n".join(f"- `{place}`" for place in stored)),
        "drills": dg.TableMetadataValue(
            records=[dg.TableRecord(dict(row)) for row in table],
            schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in columns]),
        ),
        "gates": dg.MetadataValue.md(
            "\n".join(f"- **{state.card.name}**: {state.decision.reason}" for state in report.cards)
        ),
    }
