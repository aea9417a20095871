"""The D4 gate: may a BCP card close? Pure: it takes rows and returns a decision with its reasons.

ADR-0103 D4: ``heroku-postgres`` needs the Heroku drill; ``freescout`` needs Tier 1 or Tier 2. A card is open when one
of its drills meets every condition:

- its newest row that is not COULD_NOT_VERIFY is a PASS: a FAIL shuts the gate until a newer PASS, and a
  COULD_NOT_VERIFY counts neither as a pass nor as a failure nor as fresh;
- that PASS is at most ``max_age_days`` old (CIS 11.5: quarterly) and not dated in the future;
- its teardown is confirmed;
- where the policy asks for a reviewer, somebody other than the operator has accepted that very row. A rejection shuts
the gate whatever the policy says;
- the ledger is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.errors import UsageError
from raxx_bcp.evidence.chain import CHAIN_INTACT, ChainReport
from raxx_bcp.evidence.row import CheckStatus, Decision, DrillEntry, EvidenceRow, ReviewEntry, Verdict, drill_of

A_DRILL_EXISTS: Final = "a_drill_exists"
PASSED: Final = "passed"
RECENT_ENOUGH: Final = "recent_enough"
TEARDOWN_CONFIRMED: Final = "teardown_confirmed"
REVIEWED: Final = "reviewed"
_CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True)
class Card:
    """A BCP card, and the drills that can close it; one is enough."""

    name: str
    title: str
    drills: tuple[str, ...]


CARDS: Final = (
    Card("heroku-postgres", "Customer data: Heroku Postgres", ("heroku_postgres",)),
    Card("freescout", "Customer data: FreeScout", ("freescout_snapshot", "freescout_dump")),
    Card("vault", "Secrets: the vault's export", ("vault_export",)),
    Card("vault-snapshot", "Secrets: the vault host's snapshot", ("vault_snapshot",)),
    Card("terraform-state", "Terraform state: the state bucket's versions", ("state_recovery",)),
)


@dataclass(frozen=True)
class GateDecision:
    """``conditions`` are those of the drill that is closest to opening the card, ``row_sequence`` its row."""

    card: Card
    open: bool
    drill: str
    row_sequence: int | None
    conditions: tuple[Check, ...]

    @property
    def status(self) -> Status:
        return worst(self.conditions)

    @property
    def missing(self) -> tuple[Check, ...]:
        """The conditions that are not met."""
        return tuple(condition for condition in self.conditions if condition.status is not Status.PASS)

    @property
    def reason(self) -> str:
        """In words: what opens it, or what blocks it."""
        if self.open:
            return f"open: {_joined(self.conditions[:-1])}"
        return f"shut: {_joined(self.missing)}"

    def check(self) -> Check:
        """The same as one check, named after the card."""
        name = f"gate_{self.card.name.replace('-', '_')}"
        remedy = " ".join(dict.fromkeys(condition.remedy for condition in self.missing if condition.remedy))
        return Check(name, self.status, f"{self.card.name} is {self.reason}", remedy)

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "card": self.card.name,
            "open": self.open,
            "status": self.status.value,
            "drill": self.drill,
            "row_sequence": self.row_sequence,
            "reason": self.reason,
            "conditions": [condition.as_dict() for condition in self.conditions],
        }


@dataclass
class History:
    """What the gate needs from the ledger: the rows of every drill, and the last review of each reviewer.

    ``add`` it to ``Ledger.verify(visit=…)``; it keeps one row a drill and verdict, however long the ledger is.
    """

    newest: dict[tuple[str, Verdict], EvidenceRow] = field(default_factory=dict)
    reviews: dict[tuple[int, str], list[ReviewEntry]] = field(default_factory=dict)

    def add(self, row: EvidenceRow) -> None:
        """Take one row into account, in any order."""
        entry = row.entry
        if isinstance(entry, ReviewEntry):
            self.reviews.setdefault((entry.row_sequence, entry.row_sha256), []).append(entry)
            return
        key = (entry.identity.drill, entry.verdict)
        if key not in self.newest or order_of(row) > order_of(self.newest[key]):
            self.newest[key] = row

    def deciding(self, drill: str) -> EvidenceRow | None:
        """The newest PASS or FAIL of a drill, else its newest row of any verdict."""
        rows = [row for (kind, _verdict), row in self.newest.items() if kind == drill]
        verified = [row for row in rows if drill_of(row).verdict is not Verdict.COULD_NOT_VERIFY]
        return max(verified or rows, key=order_of, default=None)

    def reviews_of(self, row: EvidenceRow) -> list[ReviewEntry]:
        """Each reviewer's last review of this very row."""
        last: dict[str, ReviewEntry] = {}
        for review in sorted(self.reviews.get((row.sequence, row.sha256), []), key=lambda one: one.reviewed_utc):
            last[_person(review.reviewer)] = review
        return list(last.values())


def history_of(rows: Iterable[EvidenceRow]) -> History:
    """The history of ``rows``."""
    history = History()
    for row in rows:
        history.add(row)
    return history


def card_named(name: str) -> Card:
    """Raises ``UsageError`` naming the existing cards."""
    for card in CARDS:
        if card.name == name:
            return card
    raise UsageError(f"There is no BCP card {name}.", f"Choose one of {', '.join(card.name for card in CARDS)}.")


def gate(
    rows: Iterable[EvidenceRow] | History,
    card: Card,
    now: datetime,
    chain: ChainReport,
    *,
    max_age_days: int = 90,
    reviewer_required: bool = False,
) -> GateDecision:
    """May ``card`` close? ``chain`` is the result of ``Ledger.verify`` for the same rows."""
    history = rows if isinstance(rows, History) else history_of(rows)
    decisions = []
    for drill in card.drills:
        row = history.deciding(drill)
        conditions = (
            *_conditions(row, drill, history, now, max_age_days=max_age_days, reviewer_required=reviewer_required),
            _chain(chain),
        )
        is_open = all(condition.status is Status.PASS for condition in conditions)
        decisions.append(GateDecision(card, is_open, drill, row.sequence if row else None, conditions))
    return min(decisions, key=lambda one: (not one.open, one.row_sequence is None, len(one.missing)))


def _conditions(
    row: EvidenceRow | None,
    drill: str,
    history: History,
    now: datetime,
    *,
    max_age_days: int,
    reviewer_required: bool,
) -> list[Check]:
    again = f"Run the drill {drill} and look at its row."
    if row is None:
        return [Check(A_DRILL_EXISTS, Status.FAIL, f"no row of a drill {drill}", again)]
    entry = drill_of(row)
    conditions = [
        Check(A_DRILL_EXISTS, Status.PASS, f"row {row.sequence} is drill {entry.identity.drill_id}"),
        _passed(row, again),
        _recent(row, now, max_age_days, again),
        _torn_down(row, again),
    ]
    reviews = history.reviews_of(row)
    if reviewer_required or any(review.decision is Decision.REJECTED for review in reviews):
        conditions.append(_reviewed(row, reviews))
    return conditions


def _passed(row: EvidenceRow, again: str) -> Check:
    entry = drill_of(row)
    if entry.verdict is Verdict.PASS:
        return Check(
            PASSED, Status.PASS, f"row {row.sequence} is {entry.verdict.value}, {_passed_count(entry)} checks passed"
        )
    status = Status.FAIL if entry.verdict is Verdict.FAIL else Status.COULD_NOT_VERIFY
    unmet = [check.name for check in entry.checks if check.status is not CheckStatus.PASS]
    of = f" ({', '.join(unmet)})" if unmet else ""
    later = "; only a newer pass opens the gate" if status is Status.FAIL else ""
    return Check(PASSED, status, f"row {row.sequence} is {entry.verdict.value}{of}{later}", again)


def _passed_count(entry: DrillEntry) -> str:
    return f"{sum(check.status is CheckStatus.PASS for check in entry.checks)} of {len(entry.checks)}"


def _recent(row: EvidenceRow, now: datetime, max_age_days: int, again: str) -> Check:
    ended = drill_of(row).timing.ended_utc
    age_days = (now - ended).total_seconds() / _DAY_SECONDS
    if ended - now > _CLOCKS_MAY_DIFFER:
        detail = f"row {row.sequence} ended on {ended:%Y-%m-%d %H:%M} UTC, which is in the future"
        return Check(
            RECENT_ENOUGH, Status.COULD_NOT_VERIFY, detail, "Check the clocks of the worker and of this machine."
        )
    if drill_of(row).verdict is Verdict.COULD_NOT_VERIFY:
        detail = f"row {row.sequence} verified nothing, so it is not fresh at any age"
        return Check(RECENT_ENOUGH, Status.COULD_NOT_VERIFY, detail, again)
    detail = f"row {row.sequence} is {max(age_days, 0):.1f} days old, at most {max_age_days} are allowed"
    return Check(RECENT_ENOUGH, Status.PASS if age_days <= max_age_days else Status.FAIL, detail, again)


def _torn_down(row: EvidenceRow, again: str) -> Check:
    done = drill_of(row).teardown
    if done.confirmed:
        return Check(TEARDOWN_CONFIRMED, Status.PASS, f"all that row {row.sequence} made was seen to be gone")
    detail = f"not seen to be gone: {', '.join(done.leftovers)}"
    return Check(TEARDOWN_CONFIRMED, Status.FAIL, detail, f"Delete it by hand or by the sweeper. {again}")


def _reviewed(row: EvidenceRow, reviews: list[ReviewEntry]) -> Check:
    remedy = f"Let somebody else than the operator run: raxx-bcp evidence review {row.sequence}"
    operator = drill_of(row).people.operator
    rejected = [review.reviewer for review in reviews if review.decision is Decision.REJECTED]
    accepted = [
        review.reviewer
        for review in reviews
        if review.decision is Decision.ACCEPTED and _person(review.reviewer) != _person(operator)
    ]
    if rejected:
        return Check(REVIEWED, Status.FAIL, f"row {row.sequence} was rejected by {', '.join(rejected)}", remedy)
    if not accepted:
        return Check(
            REVIEWED, Status.FAIL, f"nobody else than its operator {operator} has accepted row {row.sequence}", remedy
        )
    return Check(REVIEWED, Status.PASS, f"row {row.sequence} was accepted by {', '.join(accepted)}")


def _chain(chain: ChainReport) -> Check:
    if chain.status is Status.PASS:
        return Check(CHAIN_INTACT, Status.PASS, f"the ledger's {chain.rows} rows are what was written")
    return chain.check()


def _joined(conditions: tuple[Check, ...]) -> str:
    return "; ".join(condition.detail.rstrip(".") for condition in conditions) + "."


def order_of(row: EvidenceRow) -> tuple[datetime, int]:
    """By the time when the drill ended, since its row may be written later."""
    return (drill_of(row).timing.ended_utc, row.sequence)


def _person(name: str) -> str:
    return name.strip().casefold()
