"""Logging in: lockout, expiry, renewal, revocation, and what a token says."""

from __future__ import annotations

import base64
import json

import pytest

from raxx_bcp_sandbox.infisical.auth import Authority
from raxx_bcp_sandbox.infisical.errors import ApiError
from raxx_bcp_sandbox.infisical.identities import Login
from raxx_bcp_sandbox.infisical.seed import raxx_world
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock, Vault

GOOD = CREDENTIALS.exporter
LOCKED = "This identity auth method is temporarily locked, please try again later"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> World:
    return raxx_world(CREDENTIALS, clock)


@pytest.fixture
def authority(world: World) -> Authority:
    return Authority(world)


def refusal(authority: Authority, client_secret: str) -> str:
    with pytest.raises(ApiError) as caught:
        authority.login(GOOD.client_id, client_secret)
    assert caught.value.status == 401
    assert isinstance(caught.value.message, str)
    return caught.value.message


def test_three_failures_lock_for_300_seconds_also_the_right_secret(authority: Authority, clock: FakeClock) -> None:
    for _ in range(3):
        assert refusal(authority, "wrong") == "Invalid credentials"
    assert refusal(authority, GOOD.client_secret) == LOCKED
    clock.advance(299)
    assert refusal(authority, GOOD.client_secret) == LOCKED
    clock.advance(1)
    assert authority.login(GOOD.client_id, GOOD.client_secret)["tokenType"] == "Bearer"


def test_a_token_may_be_used_as_often_as_its_identity_says_and_is_deleted_then(
    authority: Authority, world: World
) -> None:
    auth = world.actors[world.exporter_id or ""].auth
    assert auth is not None
    auth.token_uses_limit = 3
    token = authority.login(GOOD.client_id, GOOD.client_secret)["accessToken"]
    for _ in range(3):
        authority.authenticate(f"Bearer {token}")
    for said in ("Access denied due to access token usage limit reached", "No identity access token found"):
        with pytest.raises(ApiError) as caught:
            authority.authenticate(f"Bearer {token}")
        assert (caught.value.status, caught.value.message) == (401, said)
    auth.token_uses_limit = 0
    token = authority.login(GOOD.client_id, GOOD.client_secret)["accessToken"]
    for _ in range(50):
        authority.authenticate(f"Bearer {token}")


def test_failures_are_forgotten_after_30_seconds(authority: Authority, clock: FakeClock) -> None:
    for _ in range(4):
        refusal(authority, "wrong")
        refusal(authority, "wrong")
        clock.advance(30)
    assert authority.login(GOOD.client_id, GOOD.client_secret)


def test_a_success_forgets_the_failures(authority: Authority) -> None:
    for _ in range(3):
        refusal(authority, "wrong")
        refusal(authority, "wrong")
        authority.login(GOOD.client_id, GOOD.client_secret)


def test_lockout_strikes_one_client_id_only(authority: Authority) -> None:
    for _ in range(4):
        refusal(authority, "wrong")
    other = CREDENTIALS.restore
    assert other is not None
    assert authority.login(other.client_id, other.client_secret)


def test_a_token_expires_and_cannot_be_renewed(authority: Authority, clock: FakeClock) -> None:
    token = authority.login(GOOD.client_id, GOOD.client_secret)["accessToken"]
    clock.advance(3599)
    authority.authenticate(f"Bearer {token}")
    clock.advance(1)
    with pytest.raises(ApiError) as caught:
        authority.authenticate(f"Bearer {token}")
    assert (caught.value.status, caught.value.error) == (403, "TokenError")
    with pytest.raises(ApiError, match="TokenError"):
        authority.renew(token)


def test_renewal_ends_at_the_longest_life(authority: Authority, clock: FakeClock) -> None:
    token = authority.login(GOOD.client_id, GOOD.client_secret)["accessToken"]
    clock.advance(3000)
    token = authority.renew(token)["accessToken"]
    clock.advance(3000)
    last = authority.renew(token)
    assert (last["expiresIn"], last["accessTokenMaxTTL"]) == (1200, 7200)


def test_a_secret_past_its_life_is_refused_then_revoked(authority: Authority, world: World, clock: FakeClock) -> None:
    actor = next(actor for actor in world.actors.values() if actor.id == world.exporter_id)
    world.add_client_secret(actor, "short-lived", ttl=60)
    assert authority.login(GOOD.client_id, "short-lived")
    clock.advance(61)
    assert refusal(authority, "short-lived") == "Access denied due to expired client secret"
    assert refusal(authority, "short-lived") == "Invalid credentials"


def test_the_token_names_identity_and_organisation(authority: Authority, world: World) -> None:
    token = authority.login(GOOD.client_id, GOOD.client_secret)["accessToken"]
    head, body, _ = (part + "=" * (-len(part) % 4) for part in token.split("."))
    assert json.loads(base64.urlsafe_b64decode(head)) == {"alg": "HS256", "typ": "JWT"}
    payload = json.loads(base64.urlsafe_b64decode(body))
    assert payload["identityId"] == world.exporter_id
    assert payload["orgId"] == world.org_id
    assert payload["exp"] - payload["iat"] == 3600


@pytest.mark.parametrize("header", ["Bearer a.b", "Bearer a.b.c.d", "Bearer ä.ö.ü", "Bearer e30.e30.!"])
def test_a_malformed_token_is_a_token_error(authority: Authority, header: str) -> None:
    with pytest.raises(ApiError, match="TokenError"):
        authority.authenticate(header)


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer "])
def test_a_missing_token_is_401(authority: Authority, header: str | None) -> None:
    with pytest.raises(ApiError, match="UnauthorizedError"):
        authority.authenticate(header)


def test_unknown_client_ids_are_never_locked(vault: Vault) -> None:
    for _ in range(5):
        answer = vault.login(Login("nobody", "nothing"))
        assert (answer.status_code, answer.json()["message"]) == (401, "Invalid credentials")
