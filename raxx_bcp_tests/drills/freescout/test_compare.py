"""Facts against expectations: each check alone, on the healthy side and on the broken one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.freescout import artefact, compare, facts, site
from raxx_bcp.drills.freescout.dump_set import DumpSet
from raxx_bcp.drills.freescout.expected import (
    NOTHING_KNOWN,
    Expectation,
    LastDrill,
    Moment,
    of_last_drill,
    parse_fingerprint,
    parse_rows,
    written_rows,
)
from raxx_bcp.drills.freescout.facts import Facts, Fingerprint
from raxx_bcp.evidence.confidential import withhold_secrets
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.freescout.backup_tool import TABLES
from raxx_bcp.policy import FreeScout

TAKEN = datetime(2031, 3, 14, 6, 0, tzinfo=UTC)
ROWS = dict.fromkeys(TABLES, 100)
PRINT = Fingerprint(100, 120, 4711)
ANSWERS = {
    **{one.name: ("0",) for one in facts.ORPHANS},
    facts.ADMINS: ("2",),
    facts.HASHES: ("0",),
    facts.EMOJI: ("1",),
    facts.THREADS: ("100", "120", "4711"),
    facts.NEWEST: (str(int(TAKEN.timestamp()) - 60),),
    facts.FETCHED: (str(int(TAKEN.timestamp()) - 180),),
    facts.RESERVED: ("0",),
}
FOUND = Facts("10.11.19", ROWS, (), ANSWERS)
MANIFEST = Expectation("the manifest", Moment.SAME, ROWS, PRINT, emoji=True)
EARLIER = Expectation("drill x", Moment.EARLIER, ROWS, PRINT, emoji=True, settled=False)


def looked(found: Facts, expected: Expectation = MANIFEST) -> dict[str, CheckResult]:
    checks = compare.compare(found, expected, taken_utc=TAKEN, fetch_age=timedelta(hours=2), tolerance_ratio=0.05)
    assert [one.name for one in checks] == list(compare.SQL_CHECKS)
    return {one.name: one for one in checks}


def failed(found: Facts, expected: Expectation = MANIFEST) -> set[str]:
    return {name for name, one in looked(found, expected).items() if one.status is CheckStatus.FAIL}


def with_rows(**rows: int) -> Facts:
    return replace(FOUND, rows={**ROWS, **rows})


def with_answers(**answers: str) -> Facts:
    named = {key.replace("_", " "): (value,) for key, value in answers.items()}
    return replace(FOUND, answers={**ANSWERS, **named})


@pytest.mark.parametrize("expected", [MANIFEST, EARLIER, NOTHING_KNOWN])
def test_what_is_right_passes_and_says_what_it_was_compared_with(expected: Expectation) -> None:
    assert failed(FOUND, expected) == set()
    for name in (compare.ROWS, compare.EMOJI, compare.CONTENT):
        assert expected.origin in looked(FOUND, expected)[name].expected


def test_the_same_moment_is_equal_and_an_earlier_one_a_lower_bound() -> None:
    assert failed(with_rows(customers=101)) == {compare.ROWS}
    assert failed(with_rows(customers=96)) == {compare.ROWS}
    assert failed(with_rows(customers=300), EARLIER) == set()
    assert failed(with_rows(customers=95), EARLIER) == set()
    assert failed(with_rows(customers=94), EARLIER) == {compare.ROWS}
    assert "customers has 94 rows instead of 100" in looked(with_rows(customers=94), EARLIER)[compare.ROWS].reason
    assert failed(with_rows(customers=1), NOTHING_KNOWN) == set()
    assert failed(with_rows(threads=1), NOTHING_KNOWN) == {compare.CONTENT}, "it read 100, and there is one"
    assert failed(with_rows(mailboxes=0), NOTHING_KNOWN) == {compare.ROWS}


def test_tables_that_change_by_themselves_are_compared_with_the_very_dump_only() -> None:
    assert failed(with_rows(send_logs=1), EARLIER) == set()
    assert failed(with_rows(send_logs=1), replace(EARLIER, moment=Moment.SAME)) == set()
    assert failed(with_rows(send_logs=1)) == {compare.ROWS}
    assert failed(with_rows(jobs=0)) == set(), "jobs have a check of their own"


def test_schema_names_what_is_missing() -> None:
    found = replace(FOUND, rows={table: 1 for table in ROWS if table != "mailboxes"})
    assert compare.SCHEMA in failed(found)
    assert "mailboxes" in looked(found)[compare.SCHEMA].reason
    assert failed(replace(FOUND, missing_columns=("users.role",))) == {compare.SCHEMA}


@pytest.mark.parametrize(
    ("hours", "words"),
    [(-9 * 24.0, "older than the backup"), (-2.1, "older than the backup"), (1.0, "younger than the backup")],
)
def test_data_is_as_old_as_the_backup(hours: float, words: str) -> None:
    found = with_answers(last_fetch=str(TAKEN.timestamp() + hours * 3600))
    assert failed(found) == {compare.DATA_AGE}
    assert words in looked(found)[compare.DATA_AGE].reason
    assert failed(with_answers(last_fetch=str(TAKEN.timestamp() - 1.9 * 3600))) == set()


def test_data_without_a_moment_is_not_known_to_be_fresh() -> None:
    assert failed(with_answers(last_fetch="NULL")) == {compare.DATA_AGE}
    assert failed(with_answers(newest_thread="NULL")) == {compare.DATA_AGE}


@pytest.mark.parametrize("kind", [one.name for one in facts.ORPHANS])
def test_each_kind_of_orphan_is_named_with_its_number(kind: str) -> None:
    found = replace(FOUND, answers={**ANSWERS, kind: ("3",)})
    assert failed(found) == {compare.ORPHANS}
    assert f"{kind}: 3" in looked(found)[compare.ORPHANS].reason
    unknown = {name: answer for name, answer in ANSWERS.items() if name != kind}
    assert failed(replace(FOUND, answers=unknown)) == {compare.ORPHANS}


@pytest.mark.parametrize(
    ("found", "expected", "name"),
    [
        (with_answers(active_admins="0"), MANIFEST, compare.ADMIN),
        (with_answers(odd_password_hashes="1"), MANIFEST, compare.HASHES),
        (with_answers(emoji="0"), MANIFEST, compare.EMOJI),
        (with_answers(emoji="0"), NOTHING_KNOWN, compare.EMOJI),
        (FOUND, replace(MANIFEST, emoji=False), compare.EMOJI),
        (replace(FOUND, answers={**ANSWERS, facts.THREADS: ("100", "120", "4712")}), MANIFEST, compare.CONTENT),
    ],
)
def test_each_other_check_fails_alone(found: Facts, expected: Expectation, name: str) -> None:
    assert failed(found, expected) == {name}


def test_what_could_not_be_asked_is_no_pass() -> None:
    found = replace(FOUND, answers={})
    assert failed(found) == set(compare.SQL_CHECKS) - {compare.SCHEMA, compare.ROWS}


# -- jobs ------------------------------------------------------------------------------------------------


def test_jobs_were_not_run() -> None:
    queued = replace(MANIFEST, rows={**ROWS, "jobs": 5})
    assert compare.jobs(5, FOUND, queued, TAKEN).status is CheckStatus.PASS
    assert compare.jobs(4, FOUND, queued, TAKEN).status is CheckStatus.FAIL
    assert compare.jobs(4, FOUND, EARLIER, TAKEN).status is CheckStatus.PASS
    begun = with_answers(jobs_reserved=str(TAKEN.timestamp() + 3600))
    for expected in (queued, EARLIER, NOTHING_KNOWN):
        assert compare.jobs(5, begun, expected, TAKEN).status is CheckStatus.FAIL
    before = with_answers(jobs_reserved=str(TAKEN.timestamp() - 3600))
    assert compare.jobs(5, before, EARLIER, TAKEN).status is CheckStatus.PASS


# -- where expectations come from ------------------------------------------------------------------------


def test_the_last_drill_is_an_independent_truth_for_what_is_not_older() -> None:
    rows = {table: count for table, count in ROWS.items() if table != "jobs"}
    checks = ((compare.ROWS, written_rows(rows)), (compare.CONTENT, str(PRINT)), (compare.EMOJI, "some"))
    last = LastDrill("drill-1", "raxx-tickets 2031-03-13", TAKEN - timedelta(days=1), checks)
    later = of_last_drill(last, "raxx-tickets 2031-03-14", TAKEN)
    assert (later.moment, later.rows, later.fingerprint, later.emoji) == (Moment.EARLIER, rows, PRINT, True)
    same = of_last_drill(last, last.backup_id, last.taken_utc)
    assert same.moment is Moment.SAME
    assert failed(FOUND, same) == set()
    older = of_last_drill(last, "raxx-tickets 2031-03-07", TAKEN - timedelta(days=7))
    assert older.moment is Moment.UNKNOWN
    assert "later backup" in older.origin
    assert of_last_drill(None, "x", TAKEN) is NOTHING_KNOWN


def test_what_is_recorded_can_be_read_again_and_is_not_withheld() -> None:
    assert parse_rows(withhold_secrets(written_rows(ROWS))) == ROWS
    assert parse_fingerprint(withhold_secrets(str(PRINT))) == PRINT
    assert parse_fingerprint("") is None


# -- the disk and the pages ------------------------------------------------------------------------------

SURVEY: Mapping[str, Any] = {
    "app_key": "usable",
    "sealed": {"found": 5, "good": 5},
    "attachments": {"rows": 40, "missing": 0, "other_size": 0, "bytes": 1000},
    "migrations": {"code": 70, "applied": 71, "not_applied": [], "unknown": []},
}


@pytest.mark.parametrize(
    ("change", "name", "status"),
    [
        ({}, "", CheckStatus.PASS),
        ({"app_key": "empty"}, compare.APP_KEY, CheckStatus.FAIL),
        ({"app_key": "no .env"}, compare.APP_KEY, CheckStatus.FAIL),
        ({"sealed": {"found": 5, "good": 4}}, compare.APP_KEY, CheckStatus.FAIL),
        ({"sealed": {"found": 0, "good": 0}}, compare.APP_KEY, CheckStatus.NOT_RUN),
        ({"sealed": None}, compare.APP_KEY, CheckStatus.FAIL),
        (
            {"attachments": {"rows": 40, "missing": 1, "other_size": 0, "bytes": 9}},
            compare.ATTACHMENTS,
            CheckStatus.FAIL,
        ),
        (
            {"attachments": {"rows": 40, "missing": 0, "other_size": 1, "bytes": 9}},
            compare.ATTACHMENTS,
            CheckStatus.FAIL,
        ),
        ({"attachments": None}, compare.ATTACHMENTS, CheckStatus.FAIL),
        (
            {"migrations": {"code": 70, "applied": 69, "not_applied": ["m"], "unknown": []}},
            compare.MIGRATIONS,
            CheckStatus.FAIL,
        ),
        (
            {"migrations": {"code": 70, "applied": 72, "not_applied": [], "unknown": ["m"]}},
            compare.MIGRATIONS,
            CheckStatus.FAIL,
        ),
        (
            {"migrations": {"code": 0, "applied": 0, "not_applied": [], "unknown": []}},
            compare.MIGRATIONS,
            CheckStatus.FAIL,
        ),
        ({"migrations": None}, compare.MIGRATIONS, CheckStatus.FAIL),
    ],
)
def test_the_disk(change: dict[str, Any], name: str, status: CheckStatus) -> None:
    told = {one.name: one.status for one in compare.compare_disk({**SURVEY, **change})}
    assert told == {**dict.fromkeys(compare.DISK_CHECKS, CheckStatus.PASS), **({name: status} if name else {})}


LINK = {"token": "md5", "status": 200, "size": 10, "expected": 10}
PAGE = {"page": 200, "origin": "", "ended": 0, "plain": False}
BACK = {**PAGE, "status": 302, "path": "/login"}


@pytest.mark.parametrize(
    ("links", "login", "expected"),
    [
        ([LINK], BACK, (CheckStatus.PASS, CheckStatus.PASS)),
        ([LINK, {**LINK, "token": "hmac", "status": 403}], BACK, (CheckStatus.FAIL, CheckStatus.PASS)),
        ([{**LINK, "size": 9}], BACK, (CheckStatus.FAIL, CheckStatus.PASS)),
        ([], BACK, (CheckStatus.NOT_RUN, CheckStatus.PASS)),
        (None, {**BACK, "status": 500, "path": ""}, (CheckStatus.FAIL, CheckStatus.FAIL)),
        ([LINK], {**BACK, "path": "/home"}, (CheckStatus.PASS, CheckStatus.FAIL)),
        ([LINK], {**PAGE, "page": 0, "ended": 7, "status": 0, "path": ""}, (CheckStatus.PASS, CheckStatus.FAIL)),
    ],
)
def test_the_pages(links: Any, login: Any, expected: tuple[CheckStatus, CheckStatus]) -> None:
    assert tuple(one.status for one in site.judge({"links": links, "login": login}, FreeScout())) == expected


# -- the dump --------------------------------------------------------------------------------------------


def test_rows_of_the_dump_are_those_in_the_database() -> None:
    """Failure 13: the restore says that it went well, and data is missing."""
    assert artefact.dump_rows({"threads": 5}, {"threads": 5, "jobs": 0}).status is CheckStatus.PASS
    lost = artefact.dump_rows({"threads": 5, "users": 2}, {"threads": 5})
    assert (lost.status, lost.reason) == (CheckStatus.FAIL, "users has 0 of 2 rows")
    assert artefact.dump_rows({"threads": 5}, {"threads": 5, "users": 1}).status is CheckStatus.FAIL


def test_a_collation_that_this_mariadb_knows_is_no_fault() -> None:
    good = {
        "form": "gzip",
        "packed": "whole",
        "bytes": 9,
        "trailer": True,
        "databases": [],
        "refused": 0,
        "error": None,
    }
    told = {one.name: one.status for one in artefact.judge({**good, "foreign": ["collation utf8mb4_0900_ai_ci"]})}
    assert told[artefact.DIALECT] is CheckStatus.PASS
    error = {"code": 1273, "objects": ["utf8mb4_0900_ai_ci"]}
    broken = {**good, "foreign": ["collation utf8mb4_0900_ai_ci"], "error": error}
    named = {one.name: one for one in artefact.judge(broken)}
    assert named[artefact.DIALECT].status is CheckStatus.FAIL
    assert "utf8mb4_0900_ai_ci" in named[artefact.RESTORED].reason
    trigger = {one.name: one.status for one in artefact.judge({**good, "foreign": ["a DEFINER of another server"]})}
    assert trigger[artefact.DIALECT] is CheckStatus.FAIL
    replication = {**good, "foreign": ["GTID_PURGED"]}
    for server, status in (("mariadb", CheckStatus.FAIL), ("mysql", CheckStatus.PASS)):
        assert {one.name: one.status for one in artefact.judge(replication, server=server)}[artefact.DIALECT] is status


def test_a_set_is_complete_when_the_policys_parts_are_there() -> None:
    empty = DumpSet("2031-03-14", {})
    assert artefact.complete(empty, ()).status is CheckStatus.FAIL
    assert "env" in artefact.complete(empty, ("env",)).reason
