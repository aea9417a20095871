"""Says whether a restored FreeScout is the expected help desk: its facts as checks for the evidence row.

Reasons name tables, migrations and numbers, never a customer's text. Each expectation says where it is known from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.freescout import facts as asked
from raxx_bcp.drills.freescout.expected import (
    CONTENT,
    EMOJI,
    NONE,
    ROWS,
    SOME,
    Expectation,
    Moment,
    listed,
    written_rows,
)
from raxx_bcp.drills.freescout.facts import NEVER_EMPTY, Facts
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.freescout.backup_tool import TABLES

__all__ = ["CONTENT", "DISK_CHECKS", "EMOJI", "ROWS", "SQL_CHECKS", "compare", "compare_disk", "jobs"]

JOBS: Final = "jobs not run"
SCHEMA: Final = "schema"
DATA_AGE: Final = "data age"
ORPHANS: Final = "orphans"
ADMIN: Final = "active admin"
HASHES: Final = "password hashes"
APP_KEY: Final = "app key"
MIGRATIONS: Final = "migrations"
ATTACHMENTS: Final = "attachments on disk"
SQL_CHECKS: Final = (SCHEMA, ROWS, DATA_AGE, ORPHANS, ADMIN, HASHES, EMOJI, CONTENT)
DISK_CHECKS: Final = (APP_KEY, MIGRATIONS, ATTACHMENTS)
NOT_IN_CODE: Final = "not in the code"
CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far the clock of the host and that of the backup's maker may differ."""
_BY_ITSELF: Final = frozenset(
    {"activity_logs", "failed_jobs", "notifications", "password_resets", "polycast_events", "send_logs", "options"}
)
"""Tables that FreeScout also writes to, or clears, by itself."""
_NO_ANSWER: Final = "tables or columns that it asks about are missing"


def compare(
    found: Facts,
    expected: Expectation,
    *,
    taken_utc: datetime,
    fetch_age: timedelta,
    tolerance_ratio: float,
    known_to: timedelta = timedelta(),
) -> list[CheckResult]:
    """Every check of ``SQL_CHECKS``. The backup was taken at ``taken_utc``, or up to ``known_to`` later."""
    return [
        _schema(found),
        _rows(found, expected, tolerance_ratio),
        _data_age(found, taken_utc, fetch_age, known_to),
        _orphans(found),
        _admin(found.number(asked.ADMINS)),
        _hashes(found.number(asked.HASHES)),
        _emoji(found, expected),
        _content(found, expected),
    ]


def compare_disk(survey: Mapping[str, Any]) -> list[CheckResult]:
    """Every check of ``DISK_CHECKS``, from what ``host_side.site_files`` reported."""
    return [_app_key(survey), _migrations(survey["migrations"]), _attachments(survey["attachments"])]


def jobs(found: int, facts: Facts, expected: Expectation, taken_utc: datetime) -> CheckResult:
    """``found`` were queued when the copy was looked at: none of them may have started since the backup."""
    reserved = facts.moment(asked.RESERVED)
    reasons = []
    if reserved is not None and reserved > taken_utc + CLOCK_SLACK:
        reasons.append("a job was begun on the restored copy")
    queued = expected.rows.get("jobs") if expected.moment is Moment.SAME and expected.settled else None
    if queued is None:
        return _checked(JOBS, "none begun since the backup", f"{found} queued", reasons)
    if found != queued:
        reasons.append(f"{queued} were queued when the backup was taken")
    return _checked(JOBS, f"{queued} queued, none begun ({expected.origin})", f"{found} queued", reasons)


def _schema(found: Facts) -> CheckResult:
    missing = [table for table in TABLES if table not in found.rows]
    there = len(TABLES) - len(missing)
    reasons = [
        f"missing: {listed(missing)}" if missing else "",
        f"columns are missing: {listed(found.missing_columns)}" if found.missing_columns else "",
    ]
    return _checked(SCHEMA, f"{len(TABLES)} tables", f"{there} tables", reasons)


def _rows(found: Facts, expected: Expectation, tolerance_ratio: float) -> CheckResult:
    empty = [table for table in NEVER_EMPTY if not found.rows.get(table)]
    reasons = [f"no rows in {listed(empty)}" if empty else "", listed(_differing(found, expected, tolerance_ratio))]
    told = {table: count for table, count in found.rows.items() if table != "jobs"}
    return _checked(ROWS, _rows_expected(expected, tolerance_ratio), written_rows(told), reasons)


def _rows_expected(expected: Expectation, tolerance_ratio: float) -> str:
    if expected.moment is Moment.SAME:
        return f"{written_rows(_comparable(expected))} ({expected.origin})"
    more_than_none = f"more than 0 in {len(NEVER_EMPTY)} tables"
    if expected.moment is Moment.EARLIER:
        return f"{more_than_none}, at least {written_rows(_comparable(expected))} less {tolerance_ratio:.1%} \
({expected.origin})"
    return f"{more_than_none} ({expected.origin})"


def _comparable(expected: Expectation) -> dict[str, int]:
    """Without ``jobs``, which have a check of their own and are deleted before the rows are counted."""
    if expected.moment is Moment.SAME and expected.settled:
        return {table: count for table, count in expected.rows.items() if table != "jobs"}
    return {table: count for table, count in expected.rows.items() if table != "jobs" and table not in _BY_ITSELF}


def _differing(found: Facts, expected: Expectation, tolerance_ratio: float) -> Iterator[str]:
    if expected.moment is Moment.UNKNOWN:
        return
    same = expected.moment is Moment.SAME
    for table, count in sorted(_comparable(expected).items()):
        here = found.rows.get(table)
        if here is None:
            continue  # its own check reports it
        least = count if same else count - math.ceil(count * tolerance_ratio)
        if here < least or (same and here != count):
            yield f"{table} has {here} rows instead of {count}"


def _data_age(found: Facts, taken_utc: datetime, fetch_age: timedelta, known_to: timedelta) -> CheckResult:
    """By the moment when FreeScout last fetched mail: APP_TIMEZONE skews the rows' own times."""
    fetched, newest = found.moment(asked.FETCHED), found.moment(asked.NEWEST)
    hours = fetch_age.total_seconds() / 3600
    wanted = f"mail fetched at most {hours:.0f} hours before {taken_utc:%Y-%m-%dT%H:%M:%SZ}"
    if known_to:
        wanted += f", or up to {known_to.total_seconds() / 3600:.0f} hours after it (only the day is known)"
    reasons = []
    if fetched is None:
        reasons.append("when mail was last fetched is not recorded")
    elif fetched < taken_utc - fetch_age:
        reasons.append(f"the data is {(taken_utc - fetched).total_seconds() / 3600:.1f} hours older than the backup")
    elif fetched > taken_utc + known_to + CLOCK_SLACK:
        reasons.append("the data is younger than the backup, so it does not come from it")
    if newest is None:
        reasons.append("there is no newest thread")
    return _checked(DATA_AGE, wanted, f"{fetched:%Y-%m-%dT%H:%M:%SZ}" if fetched else NONE, reasons)


def _orphans(found: Facts) -> CheckResult:
    counts = {one.name: found.number(one.name) for one in asked.ORPHANS}
    unknown = [name for name, count in counts.items() if count is None]
    some = [f"{name}: {count}" for name, count in counts.items() if count]
    reasons = [listed(some), f"not known: {listed(unknown)}" if unknown else ""]
    total = sum(count or 0 for count in counts.values())
    return _checked(ORPHANS, f"0 of {len(counts)} kinds", f"{total} of {len(counts) - len(unknown)} kinds", reasons)


def _admin(number: int | None) -> CheckResult:
    if number is None:
        return _checked(ADMIN, "at least 1", "", [_NO_ANSWER])
    return _checked(ADMIN, "at least 1", str(number), ["" if number else "nobody could administer it"])


def _hashes(odd: int | None) -> CheckResult:
    if odd is None:
        return _checked(HASHES, "0 that are not bcrypt's", "", [_NO_ANSWER])
    return _checked(HASHES, "0 that are not bcrypt's", str(odd), [f"{odd} could no longer log in" if odd else ""])


def _emoji(found: Facts, expected: Expectation) -> CheckResult:
    """A dump in the older utf8mb3 has a question mark in place of each."""
    here = found.number(asked.EMOJI)
    if here is None:
        return _checked(EMOJI, "known", "", [_NO_ANSWER])
    actual = SOME if here else NONE
    if expected.emoji is None:
        reason = "" if here else "no mail of the whole help desk holds one: was it dumped as utf8mb3?"
        return _checked(EMOJI, f"{SOME} ({expected.origin})", actual, [reason])
    wanted = SOME if expected.emoji else NONE
    reason = "" if wanted == actual else "mail that had emoji no longer has them: it was dumped as utf8mb3"
    return _checked(EMOJI, f"{wanted} ({expected.origin})", actual, [reason])


def _content(found: Facts, expected: Expectation) -> CheckResult:
    here = found.fingerprint
    if here is None:
        return _checked(CONTENT, "every thread's text", "", [_NO_ANSWER])
    if expected.fingerprint is None or expected.moment is not Moment.SAME:
        wanted = f"every thread's text can be read ({expected.origin} has no fingerprint of this moment)"
        reason = "" if here.count == found.rows.get("threads") else "not every row could be read"
        return _checked(CONTENT, wanted, str(here), [reason])
    reason = "" if here == expected.fingerprint else "the text of at least one thread is another"
    return _checked(CONTENT, f"{expected.fingerprint} ({expected.origin})", str(here), [reason])


def _app_key(survey: Mapping[str, Any]) -> CheckResult:
    """Proved by what was encrypted with it; nothing is decrypted."""
    wanted, state, sealed = "every encrypted value was made with it", survey["app_key"], survey["sealed"]
    if state != "usable":
        return _checked(APP_KEY, wanted, state, [f"APP_KEY is {state}" if state != "no .env" else "there is no .env"])
    if sealed is None:
        return _checked(APP_KEY, wanted, "", ["the database did not answer"])
    actual = f"{sealed['good']} of {sealed['found']}"
    if not sealed["found"]:
        reason = "no mailbox has a password, so nothing proves the key"
        return CheckResult(APP_KEY, wanted, actual, CheckStatus.NOT_RUN, reason)
    wrong = sealed["found"] - sealed["good"]
    return _checked(APP_KEY, wanted, actual, [f"{wrong} were made with another key" if wrong else ""])


def _migrations(told: Mapping[str, Any] | None) -> CheckResult:
    if told is None:
        return _checked(MIGRATIONS, "the code's", "", ["the table migrations could not be read"])
    reasons = [
        "the code has none: it is not a FreeScout's" if not told["code"] else "",
        f"not gone through: {listed(told['not_applied'])}" if told["not_applied"] else "",
        f"{NOT_IN_CODE}: {listed(told['unknown'])}" if told["unknown"] else "",
    ]
    return _checked(MIGRATIONS, f"the {told['code']} of the code", f"{told['applied']} gone through", reasons)


def _attachments(told: Mapping[str, int] | None) -> CheckResult:
    if told is None:
        return _checked(ATTACHMENTS, "every row's file", "", ["the table attachments could not be read"])
    bad = told["missing"] + told["other_size"]
    reasons = [
        f"{told['missing']} files are missing" if told["missing"] else "",
        f"{told['other_size']} files have another size" if told["other_size"] else "",
    ]
    return _checked(ATTACHMENTS, f"{told['rows']} files", f"{told['rows'] - bad} files, {told['bytes']} bytes", reasons)


def _checked(name: str, expected: str, actual: str, reasons: Iterable[str]) -> CheckResult:
    reason = "; ".join(one for one in reasons if one)
    return CheckResult(name, expected, actual, CheckStatus.FAIL if reason else CheckStatus.PASS, reason)
