"""What doctor says of a token that may be used only so often: by the setting, by what it saw, or nothing at all."""

from __future__ import annotations

import pytest

from raxx_bcp.checks import Check, Status
from raxx_bcp.vault.doctor import token_uses
from raxx_bcp_tests.clients.vaults import WatchedVault, watched_vault
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS


def told(vault: WatchedVault, *, uses: int = 0, looks: int = 1, with_admin: bool = True) -> list[Check]:
    vault.limit_token_uses(uses)
    with vault.client() as exporter:
        for _ in range(looks):
            exporter.projects()
    return token_uses(exporter, None, vault.client(CREDENTIALS.org_admin) if with_admin else None)


def test_a_limit_is_a_warning_with_its_number_and_its_setting() -> None:
    with watched_vault() as vault:
        (check,) = told(vault, uses=50)
    assert check.status is Status.WARN
    assert "may be used 50 times (accessTokenNumUsesLimit)" in check.detail
    assert "Access Token Max Number of Uses to 0" in check.remedy


def test_no_limit_is_a_pass() -> None:
    with watched_vault() as vault:
        (check,) = told(vault)
    assert (check.status, check.detail) == (Status.PASS, "an access token may be used without limit.")


@pytest.mark.parametrize(("uses", "looks"), [(0, 5), (50, 5)])
def test_what_nobody_may_read_and_nothing_shows_is_not_talked_about(uses: int, looks: int) -> None:
    with watched_vault() as vault:
        assert told(vault, uses=uses, looks=looks, with_admin=False) == []


def test_a_token_that_ran_out_during_the_look_is_a_warning_though_nobody_may_read_the_setting() -> None:
    with watched_vault() as vault:
        (check,) = told(vault, uses=4, looks=6, with_admin=False)
    assert check.status is Status.WARN
    assert "one was used up during this look" in check.detail
