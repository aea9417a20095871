"""The D4 evidence row, schema version 1: what a restore test must leave behind for an auditor.

The groups of fields answer NIST 800-53 CP-4, CP-9(1), CP-9(8), CP-10, SOC 2 A1.3 and CC7.5, ISO 27001 A.8.13 and
CIS 11.5 together; no framework prescribes a schema. Times are UTC, sizes bytes, durations whole seconds rounded up
(a target is never met by rounding), money millionths of a US dollar. A row never holds a secret, a signed URL, a
connection string or restored content.

A row never changes. What becomes known later (a review, a ticket) is another row that refers to it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

KIND: Final = "raxx-bcp/evidence-row"
SCHEMA_VERSION: Final = 1
SCHEMA_ID: Final = "urn:raxx-bcp:evidence-row:1"
GENESIS_SHA256: Final = "0" * 64
"""What the first row holds in place of the hash of a row before it."""

CONTROL_IDS: Final = (
    "NIST 800-53 CP-4",
    "NIST 800-53 CP-9(1)",
    "NIST 800-53 CP-10",
    "SOC 2 A1.3",
    "ISO 27001 A.8.13",
    "CIS 11.5",
)
"""What a restore drill is evidence for."""

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Words = Annotated[str, Meta(min_length=1)]
Utc = Annotated[datetime, Meta(tz=True)]


class Verdict(enum.StrEnum):
    """COULD_NOT_VERIFY is never a pass and never counts as fresh."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    COULD_NOT_VERIFY = "COULD_NOT_VERIFY"


class CheckStatus(enum.StrEnum):
    """NOT_RUN always says why."""

    PASS = "PASS"  # noqa: S105 - a status, not a password
    FAIL = "FAIL"
    NOT_RUN = "NOT_RUN"


class Decision(enum.StrEnum):
    """What a reviewer says of a row."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of fields. Raises ``ValueError`` when it is made with a fraction or a time that is not UTC."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value: Any = getattr(self, name)
            if isinstance(value, float):
                raise ValueError(f"{name} is a whole number in a row, not {value}")  # noqa: TRY004 - one refusal
            if isinstance(value, datetime) and value.utcoffset() != timedelta(0):
                raise ValueError(f"{name} must be a time in UTC")


class Identity(Part, frozen=True, kw_only=True):
    """Which drill this was."""

    drill_id: Words
    drill: Words
    """The drill's kind, such as ``heroku_postgres``; the gate looks for it."""
    system: Words
    tier: str = ""
    scenario: str = ""
    trigger: Literal["manual", "schedule"] = "manual"
    dagster_run_id: str = ""
    dagster_run_url: str = ""
    runbook_version: str = ""
    control_ids: tuple[str, ...] = CONTROL_IDS


class Source(Part, frozen=True, kw_only=True):
    """The backup that was restored, and why this one. ``age_seconds`` is its age when the drill began."""

    backup_id: Words
    created_utc: Utc
    age_seconds: int
    selected_because: Words
    version_id: str = ""
    size_bytes: int | None = None
    sha256: str = ""
    key_fingerprint: str = ""


class Target(Part, frozen=True, kw_only=True):
    """Where it was restored to. ``isolation`` holds what was asserted before anything was examined."""

    resource_id: str = ""
    region: str = ""
    isolation: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    """Tools and engines, by name."""


class Phase(Part, frozen=True, kw_only=True):
    """One phase. ``ended_utc`` is None when it was cut off."""

    name: Words
    started_utc: Utc
    ended_utc: Utc | None = None

    @property
    def duration_seconds(self) -> float | None:
        """How long it took; None when it was cut off."""
        return None if self.ended_utc is None else (self.ended_utc - self.started_utc).total_seconds()


class Objective(Part, frozen=True, kw_only=True):
    """A promise and what was measured. Make it with ``objective``, which rounds up."""

    target_seconds: int
    measured_seconds: int | None = None
    met: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        measured = self.measured_seconds
        if self.met != (None if measured is None else measured <= self.target_seconds):
            raise ValueError(f"met={self.met} does not follow from {measured} of {self.target_seconds} seconds")


class Timing(Part, frozen=True, kw_only=True):
    """When, how long, and whether RTO and RPO held. ``newest_record_utc`` is the newest restored record's time."""

    started_utc: Utc
    ended_utc: Utc
    phases: tuple[Phase, ...]
    rto: Objective
    rpo: Objective
    newest_record_utc: Utc | None = None


class CheckRow(Part, frozen=True, kw_only=True):
    """One comparison. ``reason`` says why it failed or was not run. A pass needs every mandatory one."""

    name: Words
    expected: str
    actual: str
    status: CheckStatus
    reason: str = ""
    mandatory: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status is not CheckStatus.PASS and not self.reason.strip():
            raise ValueError(f"check {self.name} is {self.status.value} and does not say why")


class Resource(Part, frozen=True, kw_only=True):
    """A throwaway resource. ``gone_utc`` is when it was no longer listed; None: that was not seen."""

    kind: Words
    name: Words
    created_utc: Utc
    gone_utc: Utc | None = None
    kept_until_utc: Utc | None = None
    problem: str = ""
    cost_micro_usd: int = 0


class Teardown(Part, frozen=True, kw_only=True):
    """What became of everything that was made. Make it with ``teardown``, which draws the conclusion."""

    resources: tuple[Resource, ...]
    confirmed: bool
    confirmed_utc: Utc | None
    leftovers: tuple[str, ...]
    cost_micro_usd: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.leftovers != _leftovers(self.resources) or self.confirmed is bool(self.leftovers):
            raise ValueError("a teardown is confirmed when, and only when, every resource was seen to be gone")


class People(Part, frozen=True, kw_only=True):
    """Who did it. A reviewer is named by a review row."""

    operator: Words


class FollowUp(Part, frozen=True, kw_only=True):
    """What is done about it."""

    ticket: str = ""
    owner: str = ""
    due: date | None = None
    retest_drill_id: str = ""


class DrillEntry(Part, frozen=True, kw_only=True, tag_field="type", tag="drill"):
    """One restore drill.

    Raises ``ValueError`` when a PASS is claimed without checks, with a mandatory check that did not pass or without
    a confirmed teardown, and when any other verdict does not say why: a false pass cannot be made.
    """

    identity: Identity
    source: Source | None
    """None when the drill ended before it chose a backup."""
    target: Target | None
    timing: Timing
    checks: tuple[CheckRow, ...]
    verdict: Verdict
    findings: tuple[str, ...]
    teardown: Teardown
    people: People
    follow_up: FollowUp | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.verdict is Verdict.PASS:
            self._refuse_false_pass()
        elif (self.verdict is Verdict.FAIL or self.checks) and not self.findings and not _unmet(self.checks):
            raise ValueError(f"{self.verdict.value} without a finding or a check that says why")

    def _refuse_false_pass(self) -> None:
        mandatory = [check for check in self.checks if check.mandatory]
        unmet = _unmet(mandatory)
        if not mandatory:
            raise ValueError("PASS without a single mandatory check")
        if unmet:
            raise ValueError(f"PASS although these checks did not pass: {', '.join(unmet)}")
        if not self.teardown.confirmed:
            raise ValueError(f"PASS although not seen to be gone: {', '.join(self.teardown.leftovers)}")
        if self.source is None:
            raise ValueError("PASS without the backup that was restored")


class ReviewEntry(Part, frozen=True, kw_only=True, tag_field="type", tag="review"):
    """A person's word on an earlier row, named by its number and its hash."""

    row_sequence: Annotated[int, Meta(ge=1)]
    row_sha256: Sha256
    drill_id: Words
    reviewer: Words
    reviewed_utc: Utc
    decision: Decision
    comment: str = ""
    follow_up: FollowUp | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.reviewer.strip():
            raise ValueError("a review names its reviewer")


Entry = DrillEntry | ReviewEntry


class EvidenceRow(Part, frozen=True, kw_only=True):
    """An entry at its place in the ledger. ``sha256`` is over the canonical row without ``sha256`` itself."""

    kind: Literal["raxx-bcp/evidence-row"]
    schema_version: Literal[1]
    sequence: Annotated[int, Meta(ge=1)]
    written_utc: Utc
    written_by: str
    previous_sha256: Sha256
    sha256: Sha256
    entry: DrillEntry | ReviewEntry


def objective(target_seconds: float, measured_seconds: float | None) -> Objective:
    """A target beside what was measured, in seconds; the target rounded down, the measurement up."""
    target = math.floor(target_seconds)
    if measured_seconds is None:
        return Objective(target_seconds=target)
    measured = math.ceil(measured_seconds)
    return Objective(target_seconds=target, measured_seconds=measured, met=measured <= target)


def teardown(resources: Iterable[Resource]) -> Teardown:
    """What follows from the ``resources``: confirmed when all were seen to be gone, also when there were none."""
    made = tuple(resources)
    left = _leftovers(made)
    seen = [resource.gone_utc for resource in made if resource.gone_utc]
    return Teardown(
        resources=made,
        confirmed=not left,
        confirmed_utc=max(seen) if seen and not left else None,
        leftovers=left,
        cost_micro_usd=sum(resource.cost_micro_usd for resource in made),
    )


def same_event(entry: Entry) -> tuple[str, ...]:
    """What makes two entries the same event, of which the ledger must hold one row only."""
    if isinstance(entry, DrillEntry):
        return ("drill", entry.identity.drill_id)
    return ("review", entry.drill_id, str(entry.row_sequence), entry.reviewer, entry.reviewed_utc.isoformat())


def drill_of(row: EvidenceRow) -> DrillEntry:
    """The drill that a drill's row holds. Raises ``TypeError`` for a row of another type."""
    if not isinstance(row.entry, DrillEntry):
        raise TypeError(f"row {row.sequence} is no drill's")
    return row.entry


def json_schema() -> dict[str, Any]:
    """The published JSON Schema (2020-12)."""
    (schema,), definitions = msgspec.json.schema_components([EvidenceRow], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "raxx-bcp evidence row",
        **schema,
        "$defs": definitions,
    }


def _unmet(checks: Iterable[CheckRow]) -> list[str]:
    return [check.name for check in checks if check.status is not CheckStatus.PASS]


def _leftovers(resources: tuple[Resource, ...]) -> tuple[str, ...]:
    return tuple(f"{resource.kind} {resource.name}" for resource in resources if resource.gone_utc is None)
