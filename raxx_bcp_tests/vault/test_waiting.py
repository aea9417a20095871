"""A vault that restarts while it is asked: outlasted, and who waits says what for, on stderr or in the run's log."""

from __future__ import annotations

import json
from collections.abc import Callable

import dagster as dg
import pytest
from click.testing import CliRunner

from raxx_bcp.cli import main
from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clock import utc_now
from raxx_bcp.definitions import build_defs
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp_sandbox.supervisor import Sandbox

Nap = Callable[[float], None]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Callable[[Nap], None]:
    """What a client does instead of sleeping, for as long as the test runs."""

    def set_nap(nap: Nap) -> None:
        defaults = Infisical.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "sleep", nap)

    return set_nap


@pytest.fixture
def prefix(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAXX_BCP_VAULT_EXPORT__PREFIX", policy.vault_export.prefix)


def _mend(sandbox: Sandbox) -> None:
    sandbox.mend_all()


def nothing(_seconds: float) -> None:
    """No time passes."""


@pytest.mark.usefixtures("prefix")
def test_a_command_outlasts_a_restart_and_says_on_stderr_what_it_waits_for(
    breakable_sandbox: Sandbox, naps: Callable[[Nap], None]
) -> None:
    breakable_sandbox.break_("vault-down")
    naps(lambda _seconds: _mend(breakable_sandbox))
    done = CliRunner().invoke(main, ["vault", "export", "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
    url = breakable_sandbox.environment()["INFISICAL_URL"]
    assert f"waiting for the vault at {url}: it answers 503; up to 60 s" in done.stderr.splitlines()


@pytest.mark.usefixtures("prefix")
def test_a_rate_limit_is_waited_out_aloud(breakable_sandbox: Sandbox, naps: Callable[[Nap], None]) -> None:
    naps(nothing)
    breakable_sandbox.break_("vault-rate-limited")
    done = CliRunner().invoke(main, ["vault", "export"])
    assert done.exit_code == 0, done.stderr
    assert "it answers 429; trying again in 1 s" in done.stderr


@pytest.mark.usefixtures("prefix")
def test_a_healthy_vault_is_not_waited_for(sandbox: Sandbox, naps: Callable[[Nap], None]) -> None:
    naps(lambda seconds: pytest.fail(f"slept {seconds} s"))
    done = CliRunner().invoke(main, ["vault", "export"])
    assert (done.exit_code, "waiting" in done.stderr) == (0, False), sandbox


def test_dagster_outlasts_a_restart_and_says_in_the_runs_log_what_it_waits_for(
    policy: Policy, breakable_sandbox: Sandbox, naps: Callable[[Nap], None]
) -> None:
    breakable_sandbox.break_("vault-down")
    naps(lambda _seconds: _mend(breakable_sandbox))
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(policy, {"raxx": Raxx(policy, utc_now)}).resolve_job_def("daily_vault_export")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert result.success
        said = [(entry.level, entry.user_message) for entry in instance.all_logs(result.run_id)]
    (waited,) = [level for level, message in said if "it answers 503; up to 60 s" in message]
    assert waited == 30, "a warning"


@pytest.mark.usefixtures("prefix")
def test_a_vault_that_stays_away_is_given_up_with_one_sentence(
    breakable_sandbox: Sandbox, naps: Callable[[Nap], None]
) -> None:
    slept: list[float] = []
    naps(slept.append)
    breakable_sandbox.break_("vault-down")
    done = CliRunner().invoke(main, ["vault", "export"])
    assert done.exit_code == 1
    assert 55 < sum(slept) <= 60
    assert "raxx-bcp: The vault answered POST /api/v1/auth/universal-auth/login with 503." in done.stderr
