"""What every test may ask for: the sandbox, an environment that points at it, and a day that never changes."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime

import pytest

from raxx_bcp.policy import Policy, VaultExport, load_policy
from raxx_bcp_sandbox.supervisor import UNSET, Sandbox
from raxx_bcp_tests.leftovers import Leftovers
from raxx_bcp_tests.sandbox_fixture import breakable_sandbox, sandbox

__all__ = ["breakable_sandbox", "sandbox"]

pytest_plugins = ["pytester"]

NOW = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)
DAY = "2031-03-14"


@pytest.fixture
def sandbox_environ(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """This process's environment, pointing at the sandbox; put back afterwards."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


@pytest.fixture
def policy(sandbox_environ: dict[str, str]) -> Policy:
    """The shipped policy with prefixes of this test's own, so that tests share the bucket without meeting."""
    shipped, own = load_policy(environ=sandbox_environ), f"test-{uuid.uuid4().hex[:12]}"
    export = shipped.vault_export.model_copy(update={"prefix": f"{own}/"})
    evidence = shipped.evidence.model_copy(update={"prefix": f"{own}-evidence/"})
    heroku = shipped.heroku_postgres.model_copy(update={"facts_prefix": f"{own}-facts/"})
    return shipped.model_copy(update={"vault_export": export, "evidence": evidence, "heroku_postgres": heroku})


@pytest.fixture
def export_policy(policy: Policy) -> VaultExport:
    """The D3 part of ``policy``."""
    return policy.vault_export


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole demo and the browser first: begun last, they ran alone for minutes while the other cores waited."""
    items.sort(key=lambda item: "ui" not in item.path.parts)


def pytest_configure(config: pytest.Config) -> None:
    """Look at the end for processes that were left behind; workers are looked after by what started them."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Leftovers(), "leftovers")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI every part is there, so a skipped test hides something: it fails the session."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("RAXX_BCP_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("A test was skipped where every part is available: that fails the run.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
