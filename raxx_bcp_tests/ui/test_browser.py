"""The UI as a person sees it: green and fresh, then red with a reason, and a message in Slack."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from raxx_bcp.drills.engine.record_stores import record_of
from raxx_bcp.drills.places import places
from raxx_bcp.evidence.row import DrillEntry, Verdict
from raxx_bcp.policy import load_policy
from raxx_bcp_sandbox import processes
from raxx_bcp_tests.ui.running import Demo, browser_page, running_demo

SHOWN = (
    "daily_vault_snapshot",
    "daily_vault_export",
    "drill_heroku_postgres",
    "drill_freescout_snapshot",
    "daily_inventory",
)
"""The jobs whose results are looked at; ``test_demo.py`` runs all of them."""


@pytest.mark.browser
def test_what_a_person_sees_of_a_good_and_of_a_bad_day(monkeypatch: pytest.MonkeyPatch) -> None:
    with browser_page() as page, running_demo(*SHOWN) as demo:
        assert len(re.findall(r"^ok ", demo.table, re.MULTILINE)) == 1 + len(SHOWN)
        _a_good_day(page, demo)
        _an_operator_runs_a_drill(page, demo)
        _an_operator_cancels_a_drill(page, demo, monkeypatch)
        demo.sandbox.break_("vault-project-left")
        _a_bad_day(page, demo)
    assert processes.find(demo.sandbox.directory) == {}, "Ctrl-C ends all that it started"


def _a_good_day(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/assets/vault_export")
    expect(page.get_by_text("Passing").first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("secret_count").first).to_be_visible()
    page.goto(f"{demo.url}/assets/vault_export?view=checks")
    for check in ("completeness", "read_back", "recipients", "second_copy", "today_is_there"):
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    expect(page.get_by_text("Succeeded")).to_have_count(7)
    _green(page, demo, "vault_snapshot", "available", "retention", "snapshot_is_there")
    _green(page, demo, "snapshot_inventory", "newest_is_fresh", "enough_good_ones", "freescout_backup")
    _versioned(page, demo)
    page.goto(f"{demo.url}/automation")
    for name in (
        "daily_vault_snapshot_schedule",
        "daily_vault_export_schedule",
        "freshness_sentinel_schedule",
        "alert_on_trouble",
    ):
        expect(page.get_by_text(name).first).to_be_visible()


def _start_drill(page: Page, demo: Demo, operator: str) -> None:
    """Press Materialize, be asked who you are, say it."""
    page.goto(f"{demo.url}/assets/heroku_postgres_drill")
    page.get_by_role("button", name="Materialize").first.click()
    expect(page.get_by_text('Missing required config entry "operator"').first).to_be_visible(timeout=30_000)
    page.get_by_text("revision", exact=True).first.click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type(f"operator: {operator}")
    page.get_by_role("dialog").get_by_role("button", name="Materialize").click()
    page.wait_for_url("**/runs/**")


def _an_operator_runs_a_drill(page: Page, demo: Demo) -> None:
    """It passes, and its row is in the evidence without anybody asking for it; FreeScout's gate says what opened it."""
    _start_drill(page, demo, "carol")
    expect(page.get_by_text("Success").first).to_be_visible(timeout=120_000)
    page.goto(f"{demo.url}/assets/drill_evidence")
    expect(page.get_by_text("carol").first).to_be_visible(timeout=180_000)
    page.goto(f"{demo.url}/assets/freescout_snapshot_drill")
    expect(page.get_by_text("rto_seconds").first).to_be_visible(timeout=30_000)
    page.goto(f"{demo.url}/assets/drill_evidence?view=checks")
    page.get_by_text("gate_freescout", exact=True).first.click()
    expect(page.get_by_text("freescout is open").first).to_be_visible(timeout=30_000)


def _an_operator_cancels_a_drill(page: Page, demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that hangs is terminated from the UI: nothing is left, the row is there and is no pass."""
    demo.sandbox.break_("heroku-restore-hangs")
    _start_drill(page, demo, "dave")
    expect(page.get_by_text(re.compile(r"\d+ bytes were restored")).first).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="Terminate").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").last.click()
    expect(page.get_by_text("Canceled").first).to_be_visible(timeout=120_000)
    demo.sandbox.mend("heroku-restore-hangs")
    for name, value in demo.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    policy = load_policy()
    last = record_of(policy).ledger.tail()
    assert last is not None
    assert isinstance(last.entry, DrillEntry)
    assert (last.entry.people.operator, last.entry.verdict) == ("dave", Verdict.COULD_NOT_VERIFY)
    assert last.entry.teardown.confirmed
    with places(policy) as where:
        assert [one for place in where for one in place.leftovers()] == []


def _green(page: Page, demo: Demo, asset: str, *checks: str) -> None:
    page.goto(f"{demo.url}/assets/{asset}?view=checks")
    for check in checks:
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    expect(page.get_by_text("Failed")).to_have_count(0)


def _versioned(page: Page, demo: Demo) -> None:
    """The blocking line is green; what this S3 server cannot say (public access, MFA) is a warning, not a pass."""
    page.goto(f"{demo.url}/assets/state_bucket_posture?view=checks")
    expect(page.get_by_text("versioning", exact=True).first).to_be_visible()
    expect(page.get_by_text("Succeeded").first).to_be_visible()


def _a_bad_day(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/assets/vault_export")
    page.get_by_role("button", name="Materialize").first.click()
    expect(page.get_by_text("Launched run").first).to_be_visible()
    page.goto(f"{demo.url}/runs")
    expect(page.get_by_text("Failure").first).to_be_visible(timeout=90_000)
    page.goto(f"{demo.url}/assets/vault_export?view=checks")
    expect(page.get_by_text("completeness", exact=True).first).to_be_visible()
    expect(page.get_by_text("Failed").first).to_be_visible()
    page.goto(demo.slack_url)
    expect(page.get_by_text("vault_export failed").first).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Project raxx-payments is expected").first).to_be_visible()
