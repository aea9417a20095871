"""``raxx-bcp demo`` as a person leaves it running, and a browser to look at it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from raxx_bcp_sandbox.commands.demo import JOBS
from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.supervisor import UNSET, Sandbox
from raxx_bcp_tests.faults.commands import CLI

BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Demo:
    """A demo whose UI answers at ``url``; ``slack_url`` shows what Slack received."""

    url: str
    slack_url: str
    table: str
    process: subprocess.Popen[str]
    sandbox: Sandbox


def demo_environ(directory: Path) -> dict[str, str]:
    """An empty HOME and a sandbox of its own; nothing of the developer's cloud."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in UNSET and not name.startswith(("INFISICAL_", "SLACK_", "RAXX_BCP_", "AWS_"))
    }
    return {**kept, "HOME": str(home), "RAXX_BCP_SANDBOX_DIR": str(directory / "s")}


@contextmanager
def running_demo(*only: str) -> Iterator[Demo]:
    """Start it, with all of its jobs or ``only`` some, wait for its UI, and end it with Ctrl-C's signal."""
    directory = Path(tempfile.mkdtemp(prefix="raxx-"))
    port = free_port()
    process = subprocess.Popen(
        [CLI, "demo", "--port", str(port), *(f"--only={job}" for job in only)],
        env=demo_environ(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sandbox = Sandbox(directory / "s")
    try:
        slack = _wait_for_ui(process)
        assert process.stdout is not None
        table = "".join(iter(process.stdout.readline, "")) if process.poll() is not None else _table(process, only)
        yield Demo(f"http://127.0.0.1:{port}", slack, table, process, sandbox)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        if (directory / "s").exists():
            sandbox.down()
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_ui(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        found = re.search(r"The UI: (\S+).*What Slack received: (\S+)", line)
        if found:
            return found.group(2)
    pytest.fail("the demo ended before its UI was up:\n" + "".join(said))


def _table(process: subprocess.Popen[str], only: tuple[str, ...]) -> str:
    """The result rows and the empty line before them, all printed before the UI was announced."""
    assert process.stdout is not None
    rows = 2 + len(only) if only else 4 + len(JOBS)
    return "".join(process.stdout.readline() for _row in range(rows))


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page in the machine's own Chromium; skips where there is none (which CI does not accept)."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH: install it to run the browser tests (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(60_000)
            yield page
        finally:
            browser.close()
