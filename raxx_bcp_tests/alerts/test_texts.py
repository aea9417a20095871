"""What an alert says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from raxx_bcp.alerts.texts import RunTrouble, run_trouble

UI = "https://bcp.example.com"
TROUBLE = RunTrouble(
    run_id="0123456789abcdef",
    job_name="daily_vault_export",
    ended="failed",
    assets=("vault_export",),
    reason="The vault refused the login.\nWhat to do: create a new client secret.",
    ended_utc=datetime(2031, 3, 14, 7, 1, tzinfo=UTC),
    last_good_utc=datetime(2031, 3, 13, 7, 1, tzinfo=UTC),
)


def test_it_says_what_failed_since_when_what_to_do_and_where_to_look() -> None:
    message = run_trouble(TROUBLE, UI)
    assert message.text == "raxx-bcp: vault_export failed"
    assert "*vault_export failed* (2031-03-14 07:01 UTC)" in message.body
    assert "What to do: create a new client secret." in message.body
    assert "*Last good:* 2031-03-13 07:01 UTC, 24 hours earlier" in message.body
    assert "<https://bcp.example.com/runs/0123456789abcdef|01234567>" in message.body


def test_a_killed_run_that_left_no_reason_says_so() -> None:
    assert "probably killed" in run_trouble(replace(TROUBLE, reason=""), UI).body


def test_a_run_started_by_hand_is_called_that_and_not_by_dagsters_inner_name() -> None:
    body = run_trouble(replace(TROUBLE, job_name="__ASSET_JOB"), UI).body
    assert "|01234567> started by hand" in body
    assert "__ASSET_JOB" not in body
    assert "of job daily_vault_export" in run_trouble(TROUBLE, UI).body


def test_a_short_while_is_told_in_minutes() -> None:
    recently = datetime(2031, 3, 14, 6, 51, tzinfo=UTC)
    assert "10 minutes earlier" in run_trouble(replace(TROUBLE, last_good_utc=recently), UI).body


def test_never_good_is_said() -> None:
    assert "never, as far as Dagster knows" in run_trouble(replace(TROUBLE, last_good_utc=None), UI).body


def test_a_run_without_assets_is_named_by_its_job() -> None:
    assert run_trouble(replace(TROUBLE, assets=()), UI).text == "raxx-bcp: daily_vault_export failed"


def test_a_reason_cannot_mention_people_or_make_links() -> None:
    body = run_trouble(replace(TROUBLE, reason="<!channel> & <http://evil|click>"), UI).body
    assert "<!channel>" not in body
    assert "&lt;!channel&gt; &amp; &lt;http://evil|click&gt;" in body


def test_a_very_long_reason_is_cut_before_slacks_limit() -> None:
    body = run_trouble(replace(TROUBLE, reason="x" * 50_000), UI).body
    assert len(body) < 3000
    assert "*Run:*" in body, "the link is what must not be cut off"
