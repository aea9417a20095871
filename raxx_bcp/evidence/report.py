"""The report for an auditor and for on-call: one self-contained HTML file, and Markdown for the BCP document.

All of it comes from one reading of the ledger. A card has two clocks: the age of its newest good backup, and the age
of its newest drill that passed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.evidence import formatting as wording
from raxx_bcp.evidence.chain import ChainReport
from raxx_bcp.evidence.gate import CARDS, Card, GateDecision, History, gate, order_of
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.names import REPORT_HTML, REPORT_MARKDOWN
from raxx_bcp.evidence.picture import Measurement, Picture, picture
from raxx_bcp.evidence.row import CheckStatus, DrillEntry, EvidenceRow, Objective, ReviewEntry, Verdict, drill_of

if TYPE_CHECKING:
    import jinja2  # loading it takes as long as the rest of this room: only code that writes a report does it

ROWS_SHOWN: Final = 300
"""The report shows the newest drills; the ledger holds all."""


@dataclass(frozen=True)
class CardState:
    """A card with its gate and two clocks. ``backed_up_utc`` is a drill's source where no newer backup is known."""

    decision: GateDecision
    backed_up_utc: datetime | None
    restored_utc: datetime | None

    @property
    def card(self) -> Card:
        return self.decision.card


@dataclass(frozen=True)
class DrillRow:
    """A drill's row with its later reviews."""

    row: EvidenceRow
    drill: DrillEntry
    reviews: tuple[ReviewEntry, ...]

    @property
    def passed_checks(self) -> int:
        return sum(check.status is CheckStatus.PASS for check in self.drill.checks)

    @property
    def reviewed(self) -> str:
        """Each reviewer and verdict, in words; empty when there is no review."""
        return ", ".join(f"{review.reviewer}: {review.decision.value}" for review in self.reviews)

    def cells(self) -> dict[str, str]:
        """The columns of the table in the BCP document, in its order."""
        timing, source = self.drill.timing, self.drill.source
        return {
            "Row": str(self.row.sequence),
            "Ended (UTC)": wording.minute(timing.ended_utc),
            "Drill": self.drill.identity.drill,
            "Backup": f"{source.backup_id}, {wording.spoken(source.age_seconds)} old" if source else "none was chosen",
            "RTO": _promise(timing.rto),
            "RPO": _promise(timing.rpo),
            "Checks": f"{self.passed_checks} of {len(self.drill.checks)}",
            "Verdict": self.drill.verdict.value,
            "Torn down": "yes" if self.drill.teardown.confirmed else "NOT CONFIRMED",
            "Operator": self.drill.people.operator,
            "Reviewed": self.reviewed or "no",
        }


@dataclass(frozen=True)
class Report:
    """Everything that is shown. ``rows`` are the newest first; ``drill_count`` also counts those that are not shown."""

    now: datetime
    place: str
    chain: ChainReport
    cards: tuple[CardState, ...]
    rows: tuple[DrillRow, ...]
    drill_count: int
    pictures: tuple[Picture, ...]

    def html(self) -> str:
        """One file without script that loads nothing."""
        return _templates().get_template("report.html.j2").render(report=self, now=self.now, Verdict=Verdict)

    def markdown(self) -> str:
        """The table for the BCP document, and each card's gate."""
        headings = ["Card", "Gate", "Backed up", "Restored", "Why"]
        cards = [
            [
                state.card.name,
                "open" if state.decision.open else "SHUT",
                wording.age(state.backed_up_utc, self.now, "unknown"),
                wording.age(state.restored_utc, self.now, "never"),
                state.decision.reason.partition(": ")[2],
            ]
            for state in self.cards
        ]
        drills = [list(row.cells().values()) for row in self.rows]
        columns = list(self.rows[0].cells()) if self.rows else []
        parts = [
            "# Restore drills: the evidence",
            f"As of {wording.minute(self.now)} UTC, from {_escaped(self.place)}. {_escaped(self.chain.check().detail)}",
            "## May the BCP card close?",
            _table(headings, cards),
            "## Drills",
            _table(columns, drills) if drills else "No drill is on record.",
        ]
        if self.drill_count > len(self.rows):
            parts.append(f"The newest {len(self.rows)} of {self.drill_count} drills; the ledger holds all.")
        return "\n\n".join(parts) + "\n"

    def table(self) -> list[dict[str, str]]:
        """The drills as rows of texts, the newest first."""
        return [row.cells() for row in self.rows]


@dataclass
class _Collected:
    """The result of one reading of the ledger: bounded, however long the ledger is."""

    history: History = field(default_factory=History)
    drills: deque[EvidenceRow] = field(default_factory=lambda: deque(maxlen=ROWS_SHOWN))
    drill_count: int = 0

    def add(self, row: EvidenceRow) -> None:
        self.history.add(row)
        if isinstance(row.entry, DrillEntry):
            self.drills.append(row)
            self.drill_count += 1


def make_report(
    ledger: Ledger,
    now: datetime,
    *,
    max_age_days: int = 90,
    reviewer_required: bool = False,
    backed_up: Mapping[str, datetime] | None = None,
) -> Report:
    """Read and verify the ledger once, and say what it means.

    ``backed_up`` gives the time of a card's newest good backup where it is known, by the card's name.
    Raises what ``Ledger.verify`` raises.
    """
    collected = _Collected()
    chain = ledger.verify(visit=collected.add)
    history = collected.history
    states = []
    for card in CARDS:
        decision = gate(history, card, now, chain, max_age_days=max_age_days, reviewer_required=reviewer_required)
        states.append(_state(decision, history, (backed_up or {}).get(card.name)))
    return Report(
        now=now,
        place=f"s3://{ledger.bucket.name}/{ledger.prefix}",
        chain=chain,
        cards=tuple(states),
        rows=tuple(_drill_rows(collected)),
        drill_count=collected.drill_count,
        pictures=tuple(_pictures(collected.drills)),
    )


def store_report(bucket: Bucket, prefix: str, report: Report) -> tuple[str, str]:
    """Store both forms beside the rows, replacing the earlier report. Returns their two keys."""
    html, markdown = f"{prefix}{REPORT_HTML}", f"{prefix}{REPORT_MARKDOWN}"
    kind = {"kind": "evidence-report"}
    bucket.put(html, report.html().encode(), content_type="text/html; charset=utf-8", metadata=kind)
    bucket.put(markdown, report.markdown().encode(), content_type="text/markdown; charset=utf-8", metadata=kind)
    return html, markdown


def _state(decision: GateDecision, history: History, backed_up: datetime | None) -> CardState:
    of_card = [row for (drill, _verdict), row in history.newest.items() if drill in decision.card.drills]
    passed = [row for row in of_card if drill_of(row).verdict is Verdict.PASS]
    sources = [source.created_utc for row in of_card if (source := drill_of(row).source)]
    return CardState(
        decision=decision,
        backed_up_utc=max([*sources, *([backed_up] if backed_up else [])], default=None),
        restored_utc=max((drill_of(row).timing.ended_utc for row in passed), default=None),
    )


def _drill_rows(collected: _Collected) -> list[DrillRow]:
    newest_first = sorted(collected.drills, key=order_of, reverse=True)
    return [DrillRow(row, drill_of(row), tuple(collected.history.reviews_of(row))) for row in newest_first]


def _pictures(rows: deque[EvidenceRow]) -> list[Picture]:
    by_drill: dict[str, list[EvidenceRow]] = {}
    for row in rows:
        by_drill.setdefault(drill_of(row).identity.drill, []).append(row)
    drawn = []
    for drill, of in sorted(by_drill.items()):
        drawn.append(picture(f"{drill}: time to restore (RTO)", _measured(of, lambda row: row.timing.rto)))
        drawn.append(picture(f"{drill}: data that would be lost (RPO)", _measured(of, lambda row: row.timing.rpo)))
    return [one for one in drawn if one]


def _measured(rows: list[EvidenceRow], of: Callable[[DrillEntry], Objective]) -> list[Measurement]:
    drills = [(row.sequence, drill_of(row)) for row in rows]
    return [Measurement(drill.timing.ended_utc, number, of(drill), drill.verdict) for number, drill in drills]


def _promise(objective: Objective) -> str:
    if objective.measured_seconds is None:
        return f"not measured, target {wording.spoken(objective.target_seconds)}"
    held = "met" if objective.met else "MISSED"
    return f"{wording.spoken(objective.measured_seconds)} of {wording.spoken(objective.target_seconds)}, {held}"


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(text: str) -> str:
    """Escape a name, so that it cannot break the table or become markup."""
    text = " ".join(text.split()).replace("\\", "\\\\")
    for character in "|<[`*":
        text = text.replace(character, f"\\{character}")
    return text


def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("raxx_bcp.evidence"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["wording"] = wording
    return environment


def rows_as_dicts(report: Report) -> list[dict[str, Any]]:
    """The drills for machines: numbers as numbers, the newest first."""
    return [
        {
            "sequence": one.row.sequence,
            "sha256": one.row.sha256,
            "drill_id": one.drill.identity.drill_id,
            "drill": one.drill.identity.drill,
            "system": one.drill.identity.system,
            "ended_utc": one.drill.timing.ended_utc.isoformat(),
            "verdict": one.drill.verdict.value,
            "backup_id": one.drill.source.backup_id if one.drill.source else None,
            "rto_seconds": one.drill.timing.rto.measured_seconds,
            "rpo_seconds": one.drill.timing.rpo.measured_seconds,
            "checks_passed": one.passed_checks,
            "checks_total": len(one.drill.checks),
            "teardown_confirmed": one.drill.teardown.confirmed,
            "operator": one.drill.people.operator,
            "reviews": [{"reviewer": each.reviewer, "decision": each.decision.value} for each in one.reviews],
        }
        for one in report.rows
    ]
