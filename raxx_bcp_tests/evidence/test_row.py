"""A false pass cannot be made, and whatever is not a pass says why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from raxx_bcp.evidence.row import (
    CheckRow,
    CheckStatus,
    Decision,
    DrillEntry,
    Objective,
    Phase,
    ReviewEntry,
    Source,
    Teardown,
    Verdict,
    drill_of,
    objective,
    same_event,
    teardown,
)
from raxx_bcp.evidence.row_hash import seal
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.evidence.world import APP, FAILED, LEFT, NOT_RUN, PASSED, drill, review

OPTIONAL = msgspec.structs.replace(FAILED, mandatory=False)


def test_the_healthy_drill_is_a_pass_also_with_an_optional_check_that_failed_or_nothing_made() -> None:
    for entry in (drill(), drill(checks=(PASSED, OPTIONAL)), drill(resources=())):
        assert entry.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"checks": (PASSED, FAILED)}, "PASS although these checks did not pass: row counts"),
        ({"checks": (PASSED, NOT_RUN)}, "PASS although these checks did not pass: sample"),
        ({"checks": ()}, "PASS without a single mandatory check"),
        ({"checks": (OPTIONAL,)}, "PASS without a single mandatory check"),
        ({"checks": (PASSED,), "resources": (APP, LEFT)}, "PASS although not seen to be gone: heroku app raxx-drill-2"),
    ],
)
def test_a_false_pass_is_refused_when_made_when_copied_and_when_read(broken: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        drill(**broken)  # type: ignore[arg-type]
    honest = drill(verdict=Verdict.COULD_NOT_VERIFY, findings=("unsure",), **broken)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=why):
        msgspec.structs.replace(honest, verdict=Verdict.PASS)
    forged = msgspec.to_builtins(honest) | {"verdict": "PASS"}
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(forged, DrillEntry)


def test_a_pass_names_the_backup() -> None:
    with pytest.raises(ValueError, match="PASS without the backup that was restored"):
        msgspec.structs.replace(drill(), source=None)


def test_what_is_no_pass_says_why() -> None:
    for verdict in (Verdict.FAIL, Verdict.COULD_NOT_VERIFY):
        with pytest.raises(ValueError, match=f"{verdict.value} without a finding or a check that says why"):
            drill(verdict=verdict, checks=(PASSED,))
        assert drill(verdict=verdict, checks=(PASSED,), findings=("the app was gone",)).verdict is verdict
        assert drill(verdict=verdict).verdict is verdict


def test_a_drill_that_ended_before_anything_can_be_recorded() -> None:
    entry = drill(verdict=Verdict.COULD_NOT_VERIFY, checks=(), resources=())
    early = msgspec.structs.replace(entry, source=None, target=None)
    assert early.teardown.confirmed


@pytest.mark.parametrize("status", [CheckStatus.FAIL, CheckStatus.NOT_RUN])
def test_a_check_that_did_not_pass_gives_its_reason(status: CheckStatus) -> None:
    with pytest.raises(ValueError, match=f"check tables is {status.value} and does not say why"):
        CheckRow(name="tables", expected="24", actual="", status=status, reason="  ")
    assert CheckRow(name="tables", expected="24", actual="24", status=CheckStatus.PASS).reason == ""


@pytest.mark.parametrize(
    ("measured", "stored", "met"), [(3600, 3600, True), (3600.001, 3601, False), (0.2, 1, True), (None, None, None)]
)
def test_a_target_is_never_met_by_rounding(*, measured: float | None, stored: int | None, met: bool | None) -> None:
    assert objective(3600.9, measured) == Objective(target_seconds=3600, measured_seconds=stored, met=met)


def test_a_target_that_is_said_to_be_met_and_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="met=True does not follow from 3601 of 3600 seconds"):
        Objective(target_seconds=3600, measured_seconds=3601, met=True)
    with pytest.raises(ValueError, match="met=True does not follow from None"):
        Objective(target_seconds=3600, met=True)


def test_a_teardown_is_confirmed_by_what_was_seen() -> None:
    done = teardown((APP, msgspec.structs.replace(APP, name="b", cost_micro_usd=30)))
    assert (done.confirmed, done.confirmed_utc, done.leftovers, done.cost_micro_usd) == (True, APP.gone_utc, (), 1150)
    left = teardown((APP, LEFT))
    assert (left.confirmed, left.confirmed_utc, left.leftovers) == (False, None, ("heroku app raxx-drill-2",))
    with pytest.raises(ValueError, match="a teardown is confirmed when, and only when"):
        Teardown(resources=(LEFT,), confirmed=True, confirmed_utc=NOW, leftovers=(), cost_micro_usd=0)


def test_times_are_utc_and_numbers_whole() -> None:
    with pytest.raises(ValueError, match="started_utc must be a time in UTC"):
        Phase(name="x", started_utc=datetime(2031, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    with pytest.raises(ValueError, match="started_utc must be a time in UTC"):
        Phase(name="x", started_utc=datetime(2031, 1, 1))  # noqa: DTZ001 - what is tested
    with pytest.raises(ValueError, match="age_seconds is a whole number in a row"):
        Source(backup_id="b", created_utc=NOW, age_seconds=1.5, selected_because="x")  # type: ignore[arg-type]
    took = Phase(name="x", started_utc=NOW, ended_utc=NOW + timedelta(seconds=1.5))
    assert took.duration_seconds == 1.5
    assert Phase(name="x", started_utc=NOW).duration_seconds is None


def test_a_review_names_its_reviewer_and_is_no_drill() -> None:
    row, _body = seal(drill(), sequence=1, previous_sha256="0" * 64, written=NOW)
    entry = review(row)
    assert isinstance(entry, ReviewEntry)
    with pytest.raises(ValueError, match="a review names its reviewer"):
        review(row, reviewer=" ")
    reviewed, _body = seal(entry, sequence=2, previous_sha256=row.sha256, written=NOW)
    with pytest.raises(TypeError, match="row 2 is no drill's"):
        drill_of(reviewed)
    assert drill_of(row) == drill()


def test_what_makes_two_entries_the_same_event() -> None:
    row, _body = seal(drill(), sequence=1, previous_sha256="0" * 64, written=NOW)
    assert same_event(drill()) == same_event(drill(verdict=Verdict.FAIL))
    assert same_event(drill()) != same_event(drill("another"))
    assert same_event(review(row)) == same_event(review(row, decision=Decision.REJECTED))
    assert len({same_event(review(row, at=NOW + timedelta(seconds=n))) for n in range(3)}) == 3
    assert same_event(review(row)) != same_event(drill())


def test_the_clock_of_the_tests_is_utc() -> None:
    assert NOW.tzinfo is UTC
