"""``raxx-bcp evidence`` as a person types it: exit codes, one sentence, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raxx_bcp.clock import utc_now
from raxx_bcp.commands.evidence import evidence
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import Decision, ReviewEntry, Verdict
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.evidence.world import Hand, drill, forge

Run = Callable[..., Result]


@pytest.fixture
def filled(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A Heroku drill of yesterday that passed and a FreeScout drill that failed; the commands look at this ledger."""
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__PREFIX", ledger.prefix)
    yesterday = utc_now() - timedelta(days=1)
    ledger.append(drill("h-1", ended=yesterday, operator="alice"))
    ledger.append(drill("f-1", kind="freescout_dump", ended=yesterday, verdict=Verdict.FAIL))
    return ledger


@pytest.fixture
def run() -> Run:
    def go(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(evidence, list(arguments))
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return go


def as_json(result: Result) -> dict[str, Any]:
    data = json.loads(result.stdout)
    assert isinstance(data, dict)
    return data


def test_list_shows_the_drills_newest_first(filled: Ledger, run: Run) -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split()[:2] == ["Row", "Ended"]
    assert "heroku_postgres" in lines[2]
    assert "chain_intact: 2 rows" in lines[3]
    data = as_json(run("list", "--json"))
    assert [row["drill_id"] for row in data["rows"]] == ["f-1", "h-1"]
    assert (data["ok"], data["chain"]["row_count"]) == (True, 2)


def test_nothing_on_record(ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__PREFIX", ledger.prefix)
    assert "No drill is on record." in run("list").stdout
    assert as_json(run("verify", "--json"))["row_count"] == 0
    assert "no row of a drill heroku_postgres" in run("gate", "--card", "heroku-postgres", code=1).stdout


def test_verify_names_the_first_altered_row(filled: Ledger, run: Run) -> None:
    assert "PASS" in run("verify").stdout
    Hand(filled).change(1, forge)
    assert "row 1 (" in run("verify", code=1).stdout
    data = as_json(run("verify", "--json", code=1))
    assert (data["ok"], data["problems"][0]["trouble"], data["problems"][0]["sequence"]) == (False, "altered", 1)
    assert run("list", code=1).stdout.splitlines()[-2].startswith("  FAIL")


def test_verify_against_what_was_kept_outside(filled: Ledger, run: Run) -> None:
    last = as_json(run("verify", "--json"))["last_row"]
    run("verify", "--expect", last)
    other = f"2:{'ab' * 32}"
    assert (
        "the number and hash that were given remembers another row 2" in run("verify", "--expect", other, code=1).stdout
    )
    later = f"3:{'ab' * 32}"
    assert "says that row 3 was written" in run("verify", "--expect", later, code=1).stdout
    for wrong in ("2", "2:abc", "0:" + "ab" * 32, "x:" + "ab" * 32):
        assert "is not a row's number and hash" in run("verify", "--expect", wrong, code=2).stderr


def test_the_report_goes_where_it_is_asked_to(filled: Ledger, run: Run, tmp_path: Path) -> None:
    printed = run("report").stdout
    assert printed.startswith("# Restore drills: the evidence")
    html, markdown = tmp_path / "r.html", tmp_path / "r.md"
    data = as_json(run("report", "--html", str(html), "--markdown", str(markdown), "--store", "--json"))
    stored = f"s3://{filled.bucket.name}/{filled.prefix}report"
    assert data["written"] == [str(html), str(markdown), f"{stored}.html", f"{stored}.md"]
    assert [card["open"] for card in data["cards"]] == [True, False, False, False, False]
    assert html.read_text().startswith("<!doctype html>")
    assert markdown.read_text().startswith("# Restore drills")
    assert b"<!doctype html>" in Hand(filled).read("report.html")
    assert as_json(run("verify", "--json"))["ok"]
    missing = str(tmp_path / "no" / "such" / "r.html")
    assert "cannot be written: No such file or directory" in run("report", "--html", missing, code=1).stderr


def test_the_gate_is_an_exit_code_and_a_sentence(filled: Ledger, run: Run) -> None:
    opened = as_json(run("gate", "--card", "heroku-postgres", "--json"))
    assert (opened["ok"], opened["open"], opened["row_sequence"]) == (True, True, 1)
    assert run("gate", "--card", "heroku-postgres").stdout.startswith("heroku-postgres: open")
    shut = run("gate", "--card", "freescout", code=1).stdout
    assert shut.startswith("freescout: shut")
    assert "FAIL             passed: row 2 is FAIL (row counts)" in shut
    assert as_json(run("gate", "--card", "vault", "--json", code=1))["open"] is False
    assert "no BCP card postgres" in run("gate", "--card", "postgres", code=2).stderr


def test_a_drill_that_verified_nothing_could_not_be_verified(
    ledger: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__PREFIX", ledger.prefix)
    ledger.append(drill(ended=utc_now(), verdict=Verdict.COULD_NOT_VERIFY))
    told = as_json(run("gate", "--card", "heroku-postgres", "--json", code=3))
    assert (told["status"], told["worst"]) == ("could_not_verify", "COULD_NOT_VERIFY")
    assert told["error"].startswith("gate_heroku_postgres: heroku-postgres is shut")


def test_the_policy_decides_on_age_and_reviewer(filled: Ledger, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__REVIEWER_REQUIRED", "true")
    assert "nobody else than its operator alice" in run("gate", "--card", "heroku-postgres", code=1).stdout
    run("review", "1", "--reviewer", "bob", "--decision", "accepted")
    run("gate", "--card", "heroku-postgres")
    old = drill("old", kind="state_recovery", ended=utc_now() - timedelta(days=2))
    filled.append(old)
    run("gate", "--card", "terraform-state", code=1)
    filled.append(drill("h-2", ended=utc_now() - timedelta(hours=1), operator="bob"))
    assert "operator bob" in run("gate", "--card", "heroku-postgres", code=1).stdout
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__REVIEWER_REQUIRED", "false")
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__MAX_AGE_DAYS", "1")
    assert "at most 1 are allowed" in run("gate", "--card", "terraform-state", code=1).stdout
    run("gate", "--card", "heroku-postgres")


def test_a_review_is_a_new_row_and_changes_none(filled: Ledger, run: Run) -> None:
    before = Hand(filled).read(1)
    data = as_json(
        run(
            "review",
            "1",
            "--reviewer",
            " bob ",
            "--decision",
            "rejected",
            "--comment",
            "no",
            "--ticket",
            "OPS-7",
            "--json",
        )
    )
    assert (data["ok"], data["sequence"], data["row_sequence"]) == (True, 3, 1)
    entry = filled.row(3).entry
    assert isinstance(entry, ReviewEntry)
    assert (entry.reviewer, entry.decision, entry.comment) == ("bob", Decision.REJECTED, "no")
    assert entry.row_sha256 == filled.row(1).sha256
    assert entry.follow_up
    assert entry.follow_up.ticket == "OPS-7"
    assert Hand(filled).read(1) == before
    assert "rejected by bob" in run("gate", "--card", "heroku-postgres", code=1).stdout
    assert run("review", "1", "--reviewer", "bob", "--decision", "accepted").stdout.startswith(
        "row 4: bob accepted row 1"
    )
    run("gate", "--card", "heroku-postgres")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("1", "--reviewer", "Alice", "--decision", "accepted"), 2, "was the operator of row 1"),
        (("1", "--reviewer", "  ", "--decision", "accepted"), 2, "names no reviewer"),
        (("9", "--reviewer", "bob", "--decision", "accepted"), 2, "There is no row 9"),
        (("0", "--reviewer", "bob", "--decision", "accepted"), 2, "0 is not in the range"),
        (("1", "--reviewer", "bob", "--decision", "perhaps"), 2, "perhaps"),
        (("1", "--decision", "accepted"), 2, "--reviewer"),
        (
            ("1", "--reviewer", "bob", "--decision", "accepted", "--comment", "postgres://a:hunter2@b/c"),
            2,
            "comment looks like a connection string",
        ),
    ],
)
def test_reviews_that_are_refused(filled: Ledger, run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    output = run("review", *arguments, code=code).output
    assert words in output
    assert "hunter2" not in output
    assert [row.sequence for row in filled.rows()] == [1, 2]


def test_a_review_cannot_be_reviewed(filled: Ledger, run: Run) -> None:
    run("review", "1", "--reviewer", "bob", "--decision", "accepted")
    assert (
        "Row 3 is a review and not a drill"
        in run("review", "3", "--reviewer", "carol", "--decision", "accepted", code=2).stderr
    )


def test_s3_away_is_could_not_verify_and_never_no_rows(
    filled: Ledger, run: Run, breakable_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    breakable_sandbox.break_("s3-down")
    for arguments in (("list",), ("verify",), ("report",), ("gate", "--card", "heroku-postgres")):
        result = run(*arguments, code=3)
        assert result.stdout == ""
        assert "S3 could not be reached" in result.stderr
    data = as_json(run("gate", "--card", "heroku-postgres", "--json", code=3))
    assert data["ok"] is False
    assert "S3 could not be reached" in run("review", "1", "--reviewer", "bob", "--decision", "accepted", code=1).stderr
    breakable_sandbox.mend("s3-down")
    run("gate", "--card", "heroku-postgres")
