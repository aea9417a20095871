"""``heroku_postgres_facts`` as Dagster runs and shows it, on the sandbox."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from raxx_bcp.definitions import build_defs
from raxx_bcp.drills.heroku_postgres.facts_asset import FACTS, SOON
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx

JOB = "daily_heroku_postgres_facts"


def run(policy: Policy) -> dg.ExecuteInProcessResult:
    raxx = Raxx(policy, lambda: dt.datetime.now(dt.UTC))
    job = build_defs(policy, {"raxx": raxx}).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False)


def test_it_is_taken_once_a_backup_and_shows_numbers(policy: Policy) -> None:
    first = run(policy)
    assert first.success
    (event,) = first.asset_materializations_for_node(FACTS)
    shown = {name: value.value for name, value in event.metadata.items()}
    assert isinstance(shown["row_count"], int)
    assert shown["row_count"] >= 1000
    assert isinstance(shown["hashed_row_count"], int)
    assert 0 < shown["hashed_row_count"] <= shown["row_count"]
    assert shown["size_bytes"] != 0
    (check,) = first.get_asset_check_evaluations()
    assert check.check_name == SOON
    again = run(policy)
    assert again.success
    (event,) = again.asset_materializations_for_node(FACTS)
    assert set(event.metadata) == {"backup"}, "it is there already: production was not looked at"
    (check,) = again.get_asset_check_evaluations()
    assert check.passed


def test_without_a_key_it_says_which_and_materializes_nothing(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEROKU_API_KEY")
    failed = run(policy)
    assert not failed.success
    assert failed.asset_materializations_for_node(FACTS) == []
    (event,) = [event for event in failed.all_events if event.is_step_failure]
    user = event.step_failure_data.user_failure_data
    assert user is not None
    assert "HEROKU_API_KEY" in (user.description or "")
