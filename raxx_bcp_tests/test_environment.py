"""Endpoints and credentials come from the environment, are named when missing, and are never shown."""

from __future__ import annotations

import pytest

from raxx_bcp import environment
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import Policy, SecondCopy, StateBucket, VaultExport

SECRET = "rxs_client_secret_0123456789"
LOGIN = {
    "INFISICAL_URL": "https://vault.raxx.example",
    "INFISICAL_CLIENT_ID": "rxs_client_id",
    "INFISICAL_CLIENT_SECRET": SECRET,
}
ADMIN = {"INFISICAL_ORG_ADMIN_CLIENT_ID": "rxs_admin_id", "INFISICAL_ORG_ADMIN_CLIENT_SECRET": SECRET}


def test_the_login_is_read_from_its_three_variables() -> None:
    login = environment.vault_login(LOGIN)
    assert (login.url, login.client_id, login.client_secret) == tuple(LOGIN.values())


@pytest.mark.parametrize("name", sorted(LOGIN))
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named_with_its_purpose(name: str, value: str | None) -> None:
    environ = {key: given for key, given in {**LOGIN, name: value}.items() if given is not None}
    with pytest.raises(UsageError) as caught:
        environment.vault_login(environ)
    assert f"The environment variable {name} is not set (the " in caught.value.what
    assert ".env.example" in caught.value.remedy
    assert SECRET not in str(caught.value)


def test_blanks_around_a_value_do_not_count() -> None:
    assert environment.required("X", "a test", {"X": " y\n"}) == "y"


def test_without_an_argument_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFISICAL_URL", "https://from.process")
    assert environment.required("INFISICAL_URL", "a test") == "https://from.process"


def test_a_login_shows_neither_id_nor_secret() -> None:
    assert "rxs_" not in repr(environment.vault_login(LOGIN))


def test_a_client_made_from_a_login_shows_neither() -> None:
    client = environment.vault_login(LOGIN).client(Policy())
    assert client.url == LOGIN["INFISICAL_URL"]
    assert "rxs_" not in repr(client)


def test_the_second_identity_is_optional() -> None:
    assert environment.org_admin_login(LOGIN) is None
    admin = environment.org_admin_login({**LOGIN, **ADMIN})
    assert admin is not None
    assert (admin.url, admin.client_id) == (LOGIN["INFISICAL_URL"], "rxs_admin_id")


def test_half_a_second_identity_is_refused_by_name() -> None:
    half = {**LOGIN, "INFISICAL_ORG_ADMIN_CLIENT_ID": "rxs_admin_id"}
    with pytest.raises(UsageError, match="INFISICAL_ORG_ADMIN_CLIENT_SECRET is not set"):
        environment.org_admin_login(half)


def test_the_buckets_are_those_of_the_policy() -> None:
    policy = Policy(state_bucket=StateBucket(name="raxx-elsewhere"))
    assert environment.state_bucket(policy).name == "raxx-elsewhere"
    assert environment.second_bucket(policy) is None
    copied = Policy(vault_export=VaultExport(second_copy=SecondCopy(bucket="raxx-copy", region="eu-west-1")))
    second = environment.second_bucket(copied)
    assert second is not None
    assert second.name == "raxx-copy"
