"""A broken dump ends in one first cause; what it explains is folded under it, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from raxx_bcp.drills.engine.drill import CheckResult, Drill
from raxx_bcp.drills.engine.explaining import why
from raxx_bcp.drills.engine.record import entry_of
from raxx_bcp.drills.freescout import artefact, compare, examine, site
from raxx_bcp.drills.freescout.causes import folded
from raxx_bcp.drills.freescout.kinds import DUMP
from raxx_bcp.errors import BackupWrongError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp_tests.drills.engine.doubles import StillClock, order

CHECKS = (*artefact.CHECKS, *examine.CHECKS)
OF_THE_DATABASE = {
    *compare.SQL_CHECKS,
    compare.JOBS,
    compare.MIGRATIONS,
    artefact.DUMP_ROWS,
    artefact.RESTORED,
    site.LOGIN,
}


def results(failed: Iterable[str], reasons: dict[str, str] | None = None) -> list[CheckResult]:
    told, wrong = reasons or {}, set(failed)
    return [
        CheckResult(name, "", "", CheckStatus.FAIL, told.get(name, f"{name} differs"))
        if name in wrong
        else CheckResult(name, "", "", CheckStatus.PASS)
        for name in CHECKS
    ]


def first(found: Iterable[CheckResult]) -> list[str]:
    return [one.name for one in found if one.status is not CheckStatus.PASS and not one.follows]


@pytest.mark.parametrize("cause", [artefact.COMPRESSION, artefact.TRAILER, artefact.DIALECT, artefact.RESTORED])
def test_a_broken_dump_is_one_cause(cause: str) -> None:
    assert first(folded(results({cause, *OF_THE_DATABASE}))) == [cause]


def test_the_earliest_cause_explains_the_later_ones() -> None:
    found = folded(results({artefact.COMPRESSION, artefact.TRAILER, artefact.RESTORED, compare.SCHEMA, compare.ROWS}))
    assert {one.follows for one in found if one.status is CheckStatus.FAIL} == {"", artefact.COMPRESSION}


def test_another_database_is_one_cause_and_missing_rows_are_one() -> None:
    schema = {compare.SCHEMA, compare.ROWS, compare.CONTENT, compare.DATA_AGE, site.LOGIN}
    assert first(folded(results(schema))) == [compare.SCHEMA]
    assert first(folded(results({compare.ROWS, compare.CONTENT, compare.ORPHANS}))) == [compare.ROWS]


def test_a_fault_of_its_own_is_never_folded() -> None:
    own = {compare.APP_KEY, compare.ATTACHMENTS, site.LINK, artefact.COMPLETE, artefact.CHECKSUMS}
    assert set(first(folded(results({artefact.COMPRESSION, *own})))) == {artefact.COMPRESSION, *own}
    silent = {
        compare.APP_KEY: "the database did not answer",
        compare.ATTACHMENTS: "the table attachments could not be read",
    }
    found = folded(results({artefact.COMPRESSION, *silent}, silent))
    assert first(found) == [artefact.COMPRESSION]
    assert first(folded(results({compare.DATA_AGE, compare.EMOJI}))) == [compare.DATA_AGE, compare.EMOJI]


def test_nothing_is_lost_and_a_pass_is_left_as_it_is() -> None:
    before = results({artefact.TRAILER, compare.ROWS})
    after = folded(before)
    assert [(one.name, one.status, one.reason) for one in after] == [
        (one.name, one.status, one.reason) for one in before
    ]
    assert folded(results(())) == results(())
    assert folded(after) == after


def test_the_verdict_the_row_and_the_alert_name_the_cause_once() -> None:
    clock = StillClock()
    drill = Drill(order(*CHECKS), clock, clock.sleep, lambda _message: None)
    drill.results = folded(results({artefact.TRAILER, *OF_THE_DATABASE}))
    assert drill.verdict is Verdict.FAIL
    (line,) = why(drill)
    assert line.startswith("dump trailer: dump trailer differs (13 checks are explained by it: restore, ")
    reasons = {one.name: one.reason for one in entry_of(drill, clock()).checks}
    assert reasons[compare.ROWS] == "follows from dump trailer: rows differs"
    assert reasons[artefact.TRAILER] == "dump trailer differs"


def test_checks_that_were_not_reached_are_counted_and_not_listed() -> None:
    clock = StillClock()
    drill = Drill(order(*DUMP.checks), clock, clock.sleep, lambda _message: None)
    drill.broke(BackupWrongError("The set has no database.", "Make one."))
    drill.close()
    finding, completed, unreached = why(drill)
    assert finding == "The set has no database. Make one."
    assert completed == "completed: The set has no database."
    assert unreached.startswith(f"{len(DUMP.checks)} checks are not reached: backup age, isolation, ")
