"""Takes the README's screenshots anew from a real demo: ``make screenshots``."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from raxx_bcp_tests.ui.running import browser_page, running_demo

SETTLED_MILLISECONDS = 3000


def main(folder: Path) -> None:
    """Write catalog, asset pages, gates, a failure, and what Slack received, as PNG files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser_page() as page, running_demo() as demo:
        _take(page, f"{demo.url}/assets/vault_export", "Passing", folder / "vault-export.png")
        _take(page, f"{demo.url}/assets/vault_snapshot", "Passing", folder / "vault-snapshot.png")
        _take(page, f"{demo.url}/assets/heroku_postgres_drill", "rto_seconds", folder / "drill.png")
        _take(page, f"{demo.url}/assets/freescout_snapshot_drill", "rto_seconds", folder / "freescout.png")
        page.goto(f"{demo.url}/assets/drill_evidence?view=checks")
        page.get_by_text("gate_freescout", exact=True).first.click()
        page.wait_for_timeout(SETTLED_MILLISECONDS)
        page.screenshot(path=folder / "gates.png")
        _take(page, f"{demo.url}/assets", "Materialized", folder / "catalog.png")
        demo.sandbox.break_("vault-project-left")
        page.goto(f"{demo.url}/assets/vault_export")
        page.get_by_role("button", name="Materialize").first.click()
        expect(page.get_by_text("Launched run").first).to_be_visible()
        page.goto(f"{demo.url}/runs")
        expect(page.get_by_text("Failure").first).to_be_visible(timeout=90_000)
        _take(page, f"{demo.url}/assets/vault_export?view=checks", "Failed", folder / "failure.png")
        page.set_viewport_size({"width": 900, "height": 330})
        _take(page, demo.slack_url, "vault_export failed", folder / "slack.png")


def _take(page: Page, url: str, words: str, path: Path) -> None:
    page.goto(url)
    expect(page.get_by_text(words).first).to_be_visible(timeout=120_000)
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
