"""Is the ledger unchanged? Walks the chain and says which row is missing, altered, moved or foreign.

Each row holds the hash of the row before it. So a changed row no longer fits the next one, and a removed or moved one
leaves a gap. The chain cannot show that its newest rows were cut off, or that everything from some row on was rewritten
with new hashes. A witness shows that: ``HEAD.json``, the bucket's own versions, or a number and hash that somebody
kept outside. The decision record 0012 says what is detected and what is not.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.s3 import ObjectVersion
from raxx_bcp.evidence import row_hash
from raxx_bcp.evidence.head import Head, LastRow
from raxx_bcp.evidence.names import BESIDE_THE_ROWS, row_name, sequence_of
from raxx_bcp.evidence.row import GENESIS_SHA256, EvidenceRow
from raxx_bcp.evidence.row_hash import AlteredError, Link, NewerRowError, NotARowError

CHAIN_INTACT: Final = "chain_intact"
_REMEDY: Final = (
    "Do not rely on the rows from there on. Look at the object's versions and at who made them (CloudTrail), keep a "
    "copy of what is there now, and remove the versions above the original one."
)


class Trouble(enum.StrEnum):
    """What can be wrong with a ledger."""

    MISSING = "missing"
    ALTERED = "altered"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Problem:
    """One place where the ledger was changed. ``sequence`` is None for an object without a number."""

    trouble: Trouble
    sequence: int | None
    key: str
    why: str

    def __str__(self) -> str:
        place = self.key if self.sequence is None else f"row {self.sequence} ({self.key})"
        return f"{place} is {self.trouble.value}: {self.why}"


@dataclass(frozen=True)
class ChainReport:
    """The result. ``problems`` are in the order of rows; ``unknowns`` are what could not be judged."""

    rows: int
    last: LastRow | None
    problems: tuple[Problem, ...] = ()
    unknowns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Problem | None:
        """The first problem: everything behind it may follow from it."""
        return self.problems[0] if self.problems else None

    @property
    def status(self) -> Status:
        if self.problems:
            return Status.FAIL
        return Status.COULD_NOT_VERIFY if self.unknowns else Status.PASS

    def check(self) -> Check:
        """The same as one check."""
        if self.first:
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            return Check(CHAIN_INTACT, Status.FAIL, f"{self.first}{more}.", _REMEDY)
        if self.unknowns:
            remedy = "See what is in the way and run raxx-bcp evidence verify again."
            return Check(CHAIN_INTACT, Status.COULD_NOT_VERIFY, f"{'; '.join(self.unknowns)}.", remedy)
        end = f"{self.rows} rows, each follows the one before; the last is {self.last}" if self.last else "no row yet"
        return Check(CHAIN_INTACT, Status.PASS, f"{end}.")

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "status": self.status.value,
            "row_count": self.rows,
            "last_row": str(self.last) if self.last else None,
            "first_problem": str(self.first) if self.first else None,
            "problems": [
                {"trouble": one.trouble.value, "sequence": one.sequence, "key": one.key, "why": one.why}
                for one in self.problems
            ],
            "unknowns": list(self.unknowns),
            "notes": list(self.notes),
        }


@dataclass
class Walk:
    """One walk along the chain: ``step`` for each object in key order, then ``report``."""

    prefix: str
    visit: Callable[[EvidenceRow], None]
    rows: int = 0
    expected: int = 1
    previous: str | None = GENESIS_SHA256
    """The hash that the next row must hold; None when the row before it cannot be trusted."""
    hashes: dict[int, str] = field(default_factory=dict)
    """The hash found at each place."""
    befores: dict[int, str] = field(default_factory=dict)
    """The hash of the row before it that each row holds."""
    moved: list[tuple[int, Link]] = field(default_factory=list)
    unreadable: list[tuple[int, str, str]] = field(default_factory=list)
    """An object at a row's place that is not a row: its number, the hash of its bytes, and what is wrong with it."""
    problems: list[Problem] = field(default_factory=list)
    unknowns: list[str] = field(default_factory=list)

    def step(self, key: str, body: bytes | None) -> None:
        """Look at the next object. ``body`` is None for one that vanished while it was read."""
        name = key.removeprefix(self.prefix)
        if name in BESIDE_THE_ROWS:
            return
        sequence = sequence_of(name)
        if sequence is None:
            self._found(Trouble.FOREIGN, None, "nothing of ours has this name", key)
        elif body is not None:
            self._gap(sequence, "the rows around it are there")
            self.expected = sequence + 1
            self._row(sequence, body)

    def report(self, head: Head, held: LastRow | None, versions: Iterable[ObjectVersion] | None) -> ChainReport:
        """The result of the walk and the witnesses together. ``versions`` is None where they could not be read."""
        last = max(self.hashes, default=0)
        witnesses = {"the number and hash that were given": held, "HEAD.json": head.witness}
        known = max(last, *(witness.sequence if witness else 0 for witness in witnesses.values()))
        self._settle_moved()
        self._settle_unreadable(known)
        for who, witness in witnesses.items():
            if witness:
                self._testify(witness, who)
        if head.unreadable:
            self._found(Trouble.ALTERED, None, "it cannot be understood", f"{self.prefix}HEAD.json")
        kept = self._judge_versions(versions) if versions is not None else False
        if last and head.witness is None and not head.unreadable and not kept:
            self.unknowns.append("HEAD.json is not there and the bucket shows no versions: newest rows may be missing")
        return ChainReport(
            rows=self.rows,
            last=LastRow(last, self.hashes[last]) if last else None,
            problems=_joined(self.problems),
            unknowns=tuple(self.unknowns),
            notes=(f"HEAD.json vouches for the rows up to {head.sequence} only",) if 0 < head.sequence < last else (),
        )

    def _row(self, sequence: int, body: bytes) -> None:
        previous, self.previous = self.previous, None
        try:
            link = row_hash.link_of(body)
        except NotARowError as error:
            self.unreadable.append((sequence, row_hash.sha256_of(body), str(error)))
            return
        except AlteredError as error:
            self._found(Trouble.ALTERED, sequence, str(error))
            return
        self.hashes[sequence], self.befores[sequence] = link.sha256, link.previous_sha256
        if link.sequence != sequence:
            self.moved.append((sequence, link))
            return
        self.previous = link.sha256
        if previous is not None and link.previous_sha256 != previous:
            self._misfit(sequence)
        self._open(sequence, link)

    def _misfit(self, sequence: int) -> None:
        """The row holds another hash than that of the row before it."""
        if sequence == 1:
            self._found(Trouble.ALTERED, 1, "it names a row before it, and it is the first")
            return
        why = f"it is whole and has a hash of its own, but row {sequence} was written after another row {sequence - 1}"
        self._found(Trouble.ALTERED, sequence - 1, why)

    def _open(self, sequence: int, link: Link) -> None:
        try:
            row = row_hash.row_of(link)
        except NewerRowError as error:
            self.unknowns.append(f"row {sequence} cannot be read: {error}")
        except NotARowError as error:
            self._found(Trouble.FOREIGN, sequence, str(error))
        else:
            self.rows += 1
            self.visit(row)

    def _gap(self, sequence: int, why: str) -> None:
        if sequence > self.expected:
            upto = sequence - 1
            more = f", and so is every row up to {upto}" if upto > self.expected else ""
            self._found(Trouble.MISSING, self.expected, f"{why}{more}")
            self.previous = None

    def _settle_moved(self) -> None:
        """A row at another's place: a copy when its own place has it too, else both were moved."""
        for sequence, link in self.moved:
            copied = self.hashes.get(link.sequence) == link.sha256
            trouble = Trouble.DUPLICATED if copied else Trouble.REORDERED
            self._found(trouble, sequence, f"{row_name(sequence)} holds row {link.sequence}")

    def _settle_unreadable(self, known: int) -> None:
        """An object that is not a row. Where a row was, somebody altered it. Where the next row was written after
        these very bytes, or no row is known there yet, somebody put the object there."""
        for sequence, sha256, why in self.unreadable:
            never_ours = sequence > known or self.befores.get(sequence + 1) == sha256
            self._found(Trouble.FOREIGN if never_ours else Trouble.ALTERED, sequence, why)

    def _testify(self, witness: LastRow, who: str) -> None:
        last = max(self.expected - 1, 0)
        if witness.sequence > last:
            self._gap(witness.sequence + 1, f"{who} says that row {witness.sequence} was written")
        elif witness.sequence in self.hashes and self.hashes[witness.sequence] != witness.sha256:
            self._found(Trouble.ALTERED, witness.sequence, f"{who} remembers another row {witness.sequence}")

    def _judge_versions(self, versions: Iterable[ObjectVersion]) -> bool:
        """A row is written once and never deleted. Returns whether the bucket keeps versions at all."""
        kept = False
        of_row: dict[int, list[ObjectVersion]] = {}
        for version in versions:
            kept = kept or version.version_id not in ("", "null")
            sequence = sequence_of(version.key.removeprefix(self.prefix))
            if sequence is not None:
                of_row.setdefault(sequence, []).append(version)
        for sequence, found in of_row.items():
            self._judge_row(sequence, found)
        return kept

    def _judge_row(self, sequence: int, versions: list[ObjectVersion]) -> None:
        newest = next((version for version in versions if version.is_latest), versions[0])
        when = f"{newest.modified_utc:%Y-%m-%d %H:%M} UTC"
        if newest.is_delete_marker:
            self._found(Trouble.MISSING, sequence, f"it was deleted on {when}, and can be had back from its versions")
        elif len(versions) > 1:
            why = f"it was written again on {when}, and what was there before can be had back from its versions"
            self._found(Trouble.ALTERED, sequence, why)

    def _found(self, trouble: Trouble, sequence: int | None, why: str, key: str = "") -> None:
        self.problems.append(Problem(trouble, sequence, key or self.prefix + row_name(sequence or 0), why))


def with_note(report: ChainReport, *notes: str) -> ChainReport:
    """``report`` with further remarks that are not problems."""
    return replace(report, notes=(*report.notes, *notes))


def _joined(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """In the order of rows, each once: the findings of several witnesses about one row are joined."""
    joined: dict[tuple[Trouble, str], Problem] = {}
    for problem in sorted(set(problems), key=_place):
        same = joined.get((problem.trouble, problem.key))
        why = f"{same.why}; {problem.why}" if same else problem.why
        joined[problem.trouble, problem.key] = replace(problem, why=why)
    return tuple(joined.values())


def _place(problem: Problem) -> tuple[int, int, str]:
    """By row; foreign objects last."""
    sequence = problem.sequence if problem.sequence is not None else 10**9
    return (sequence, list(Trouble).index(problem.trouble), problem.why)
