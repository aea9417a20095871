"""What ``doctor`` says of the drills: which can be started here, and what one has left."""

from __future__ import annotations

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.s3_scratch import Scratch
from raxx_bcp.drills.readiness import DRILLS, LEFTOVERS, examine
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox


def test_on_the_sandbox_every_drill_can_be_started_and_nothing_is_left(policy: Policy) -> None:
    checks = examine(policy)
    assert [check.name for check in checks] == [DRILLS, DRILLS, DRILLS, LEFTOVERS]
    assert {check.status for check in checks} == {Status.PASS}


def test_what_is_not_set_up_is_a_warning_that_names_it(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEROKU_API_KEY")
    monkeypatch.delenv("INFISICAL_DRILL_URL")
    alone = policy.throwaway_instances.model_copy(update={"worker_cidr": ""})
    checks = examine(policy.model_copy(update={"throwaway_instances": alone}))
    assert [check.status for check in checks] == [Status.WARN] * 3 + [Status.PASS]
    for check, setting in zip(checks, ("HEROKU_API_KEY", "worker_cidr", "INFISICAL_DRILL_URL"), strict=False):
        assert f"{setting} is not set" in check.detail
        assert check.remedy


def test_what_a_drill_left_is_named(policy: Policy) -> None:
    name, prefix = policy.state_bucket.name, policy.state_recovery.scratch_prefix
    scratch = Scratch(name, prefix, "state_recovery-20310314T063000Z-a1b2c3")
    scratch.put("state.json", b"{}")
    try:
        found = examine(policy)[-1]
        assert found.status is Status.WARN
        assert "state_recovery-20310314T063000Z-a1b2c3 until 2031-03-14 10:30 UTC" in found.detail
    finally:
        scratch.purge()


def test_where_it_cannot_be_seen_nobody_claims_that_nothing_is_left(policy: Policy, breakable_sandbox: Sandbox) -> None:
    breakable_sandbox.break_("lightsail-denied")
    assert examine(policy)[-1].status is Status.COULD_NOT_VERIFY
