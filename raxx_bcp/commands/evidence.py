"""``raxx-bcp evidence``: D4's ledger from the command line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import click

from raxx_bcp import environment
from raxx_bcp.checks import Status
from raxx_bcp.clock import utc_now
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option, progress
from raxx_bcp.errors import (
    EXIT_COULD_NOT_VERIFY,
    EXIT_PASS,
    CouldNotVerifyError,
    PermanentError,
    TransientError,
    UsageError,
)
from raxx_bcp.evidence.gate import GateDecision, History, card_named, gate
from raxx_bcp.evidence.head import LastRow
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.report import Report, make_report, rows_as_dicts, store_report
from raxx_bcp.evidence.row import Decision, DrillEntry, EvidenceRow, FollowUp, ReviewEntry
from raxx_bcp.policy import Policy, load_policy


@click.group()
def evidence() -> None:
    """D4: the record of restore drills, and whether a BCP card may close on it."""


@evidence.command("list")
@json_option
@exit_codes
def list_command(*, as_json: bool) -> int:
    """The drills on record, the newest first."""
    report = _report(load_policy())
    check = report.chain.check()
    result = {"ok": check.status is Status.PASS, "rows": rows_as_dicts(report), "chain": report.chain.as_dict()}
    emit(result, "\n".join([*_table(report), *check_lines((check,))]), as_json=as_json, checks=(check,))
    return exit_code(check.status)


@evidence.command("verify")
@click.option("--expect", metavar="ROW:SHA256", help="A row's number and hash, as the BCP document holds them.")
@json_option
@exit_codes
def verify_command(*, expect: str | None, as_json: bool) -> int:
    """Is the ledger what was written? Names the first row that is missing, altered, moved or foreign."""
    held = _witness(expect) if expect else None
    ledger = _ledger(load_policy())
    with _unknown_where_unreadable():
        report = ledger.verify(held=held)
    notes = [f"  note: {note}" for note in report.notes]
    more = [f"  {problem}" for problem in report.problems[1:]]
    result = {"ok": report.status is Status.PASS, **report.as_dict()}
    text = "\n".join([*check_lines((report.check(),)), *more, *notes])
    emit(result, text, as_json=as_json, checks=(report.check(),))
    return exit_code(report.status)


@evidence.command("report")
@click.option("--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Write it as one HTML file.")
@click.option("--markdown", "markdown_file", type=click.Path(dir_okay=False, path_type=Path), help="Write Markdown.")
@click.option("--store", is_flag=True, help="Store both beside the rows in S3.")
@json_option
@exit_codes
def report_command(*, html_file: Path | None, markdown_file: Path | None, store: bool, as_json: bool) -> int:
    """The table for the BCP document; without an option it is printed as Markdown."""
    policy = load_policy()
    ledger = _ledger(policy)
    report = _report(policy, ledger)
    written = [
        _write(path, text())
        for path, text in ((html_file, report.html), (markdown_file, report.markdown))
        if path is not None
    ]
    if store:
        written += [f"s3://{ledger.bucket.name}/{key}" for key in store_report(ledger.bucket, ledger.prefix, report)]
    result = {
        "ok": report.chain.status is Status.PASS,
        "written": written,
        "cards": [state.decision.as_dict() for state in report.cards],
        "rows": rows_as_dicts(report),
        "chain": report.chain.as_dict(),
    }
    text = "\n".join(written) if written else report.markdown().rstrip()
    emit(result, text, as_json=as_json, checks=(report.chain.check(),))
    return exit_code(report.chain.status)


@evidence.command("gate")
@click.option("--card", "card_name", required=True, metavar="CARD", help="Such as heroku-postgres or freescout.")
@json_option
@exit_codes
def gate_command(*, card_name: str, as_json: bool) -> int:
    """May this BCP card close? 0: open, 1: shut, 3: could not verify; says which condition is missing."""
    card = card_named(card_name)
    policy = load_policy()
    history = History()
    ledger = _ledger(policy)
    with _unknown_where_unreadable():
        chain = ledger.verify(visit=history.add)
    decision = gate(
        history,
        card,
        utc_now(),
        chain,
        max_age_days=policy.evidence.max_age_days,
        reviewer_required=policy.evidence.reviewer_required,
    )
    emit({"ok": decision.open, **decision.as_dict()}, _gate_text(decision), as_json=as_json, checks=(decision.check(),))
    return EXIT_PASS if decision.open else exit_code(decision.status) or EXIT_COULD_NOT_VERIFY


@evidence.command("review")
@click.argument("sequence", type=click.IntRange(min=1))
@click.option("--reviewer", required=True, metavar="WHO", help="You: somebody else than the drill's operator.")
@click.option("--decision", required=True, type=click.Choice([decision.value for decision in Decision]))
@click.option("--comment", default="", metavar="TEXT", help="Goes on record; no secrets.")
@click.option("--ticket", default="", metavar="ID", help="Where what was found is followed up.")
@json_option
@exit_codes
def review_command(*, sequence: int, reviewer: str, decision: str, comment: str, ticket: str, as_json: bool) -> None:
    """Put on record that you have looked at row SEQUENCE: a new row that refers to it."""
    ledger = _ledger(load_policy())
    row = ledger.row(sequence)
    entry = _review_of(row, reviewer, Decision(decision), comment, ticket)
    try:
        written = ledger.append(entry)
    except ValueError as error:
        raise UsageError(f"The review was not written: {error}.", "Take that out of the text.") from None
    result = {
        "ok": True,
        "sequence": written.sequence,
        "sha256": written.sha256,
        "row_sequence": sequence,
        "reviewer": entry.reviewer,
        "decision": decision,
    }
    text = f"row {written.sequence}: {entry.reviewer} {decision} row {sequence} ({entry.drill_id})"
    emit(result, text, as_json=as_json)


def _review_of(row: EvidenceRow, reviewer: str, decision: Decision, comment: str, ticket: str) -> ReviewEntry:
    """Raises ``UsageError`` for a row that is not a drill's, and for a reviewer who is empty or was its operator."""
    drill = row.entry
    if not isinstance(drill, DrillEntry):
        raise UsageError(f"Row {row.sequence} is a review and not a drill.", "Name a drill: raxx-bcp evidence list.")
    who = reviewer.strip()
    if not who:
        raise UsageError("The review names no reviewer.", "Say who you are: --reviewer NAME.")
    if who.casefold() == drill.people.operator.strip().casefold():
        raise UsageError(
            f"{who} was the operator of row {row.sequence} and cannot be its reviewer.", "Ask somebody else to look."
        )
    return ReviewEntry(
        row_sequence=row.sequence,
        row_sha256=row.sha256,
        drill_id=drill.identity.drill_id,
        reviewer=who,
        reviewed_utc=utc_now(),
        decision=decision,
        comment=comment,
        follow_up=FollowUp(ticket=ticket) if ticket else None,
    )


def _ledger(policy: Policy) -> Ledger:
    return Ledger(environment.state_bucket(policy), policy.evidence.prefix, policy.evidence.retention_days)


def _report(policy: Policy, ledger: Ledger | None = None) -> Report:
    with _unknown_where_unreadable():
        return make_report(
            ledger or _ledger(policy),
            utc_now(),
            max_age_days=policy.evidence.max_age_days,
            reviewer_required=policy.evidence.reviewer_required,
        )


@contextlib.contextmanager
def _unknown_where_unreadable() -> Iterator[None]:
    """A ledger that cannot be read says nothing about the drills: exit code 3, not 1 as for a closed gate."""
    try:
        yield
    except (TransientError, PermanentError) as error:
        raise CouldNotVerifyError(error.what, error.remedy) from None


def _witness(text: str) -> LastRow:
    found = re.fullmatch(r"([1-9]\d{0,7}):([0-9a-f]{64})", text.strip())
    if not found:
        raise UsageError(
            f"{text!r} is not a row's number and hash.",
            "Write it as raxx-bcp evidence verify prints it: 7:<64 hexadecimal digits>.",
        )
    return LastRow(int(found.group(1)), found.group(2))


def _write(path: Path, text: str) -> str:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PermanentError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from None
    progress(f"wrote {path}")
    return str(path)


def _table(report: Report) -> list[str]:
    rows = report.table()
    if not rows:
        return ["No drill is on record."]
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _gate_text(decision: GateDecision) -> str:
    head = (
        f"{decision.card.name}: {'open' if decision.open else 'shut'} ({decision.card.title}; drill {decision.drill})"
    )
    return "\n".join([head, *check_lines(decision.conditions)])
