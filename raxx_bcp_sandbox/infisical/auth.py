"""Logging in: universal auth, lockout, access tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec

from raxx_bcp_sandbox.infisical.errors import ApiError, token_error, unauthorized
from raxx_bcp_sandbox.infisical.state import Actor, ClientSecret, UniversalAuth
from raxx_bcp_sandbox.infisical.world import World

LOCKOUT_THRESHOLD = 3
LOCKOUT_WINDOW_S = 30
LOCKOUT_DURATION_S = 300
BROKEN_TOKEN_LIFE_S = 2
BROKEN_TOKEN_USES = 20
BAD_CREDENTIALS = "Invalid credentials"
LOCKED = "This identity auth method is temporarily locked, please try again later"
MALFORMED = "The provided access token is malformed. Please use a valid token or generate a new one and try again."
USED_UP = "Access denied due to access token usage limit reached"
EXPIRED = "Your token has expired. Please re-authenticate."


@dataclass(slots=True)
class IssuedToken:
    """What the vault stores about an access token that it issued."""

    id: str
    actor: Actor
    ttl: int
    max_ttl: int
    born: float
    revoked: bool = False
    uses: int = 0
    client_secret: ClientSecret | None = field(default=None, repr=False)


def _encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Authority:
    """Issues, checks, renews and revokes access tokens (real HS256 JWTs)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._key = secrets.token_bytes(32)
        self._issued: dict[str, IssuedToken] = {}

    def login(
        self, client_id: str, client_secret: str, *, refused: bool = False, short: bool = False
    ) -> dict[str, Any]:
        """Answer a universal auth login (captures 20, 40*, 42, 43d, 43f, 43g).

        Three failures, each within 30 s of the one before, lock the client id for 300 s, even for the right secret.
        ``refused`` shows a revoked secret without counting it; ``short`` issues a token of 2 s.
        """
        actor, auth = self._by_client_id(client_id)
        now = self.world.clock()
        if refused and actor.id == self.world.exporter_id:
            raise unauthorized(BAD_CREDENTIALS)
        if auth.locked_until > now:
            raise unauthorized(LOCKED)
        secret = self._matching(auth, client_secret)
        if secret is None:
            self._count_failure(auth, now)
            raise unauthorized(BAD_CREDENTIALS)
        self._use(secret, now)
        auth.failures = 0
        ttl, max_ttl = (BROKEN_TOKEN_LIFE_S, 2 * BROKEN_TOKEN_LIFE_S) if short else (auth.ttl, auth.max_ttl)
        token = self._issue(actor, ttl, max_ttl, secret)
        return self._answer(token, token.ttl)

    def token_for(self, actor: Actor, *, ttl: int = 864_000) -> str:
        """A token for any actor without a login: people have no universal auth login."""
        return self._sign(self._issue(actor, ttl, ttl, None), ttl)

    def authenticate(self, header: str | None, *, short: bool = False, few_uses: bool = False) -> Actor:
        """Whose request is this? 401 without or with a revoked token (41, 43b), else 403 (41b, 41c, 42c).

        401 also for a token that has reached its identity's ``accessTokenNumUsesLimit`` [run]; it is then deleted.
        ``few_uses`` limits the exporter's tokens to ``BROKEN_TOKEN_USES``.
        """
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("Token missing")
        issued = self._check(token, short=short)
        limit = self.uses_limit(issued.actor, few_uses=few_uses)
        if limit and issued.uses >= limit:
            del self._issued[issued.id]
            raise unauthorized(USED_UP)
        issued.uses += 1
        return issued.actor

    def uses_limit(self, actor: Actor, *, few_uses: bool = False) -> int:
        """How often a token of ``actor`` may be used; 0: no limit."""
        if few_uses and actor.id == self.world.exporter_id:
            return BROKEN_TOKEN_USES
        return actor.auth.token_uses_limit if actor.auth else 0

    def renew(self, token: str, *, short: bool = False) -> dict[str, Any]:
        """A new token for the rest of the first one's maximum lifetime (42b, 42d)."""
        issued = self._check(token, short=short)
        left = issued.born + issued.max_ttl - self.world.clock()
        life = int(min(issued.ttl, left))
        if life <= 0:
            raise unauthorized("Failed to renew MI access token due to Max TTL expiration")
        return self._answer(issued, life)

    def revoke(self, token: str, *, short: bool = False) -> dict[str, Any]:
        """End a token (43)."""
        self._check(token, short=short).revoked = True
        return {"message": "Successfully revoked access token"}

    def _by_client_id(self, client_id: str) -> tuple[Actor, UniversalAuth]:
        for actor in self.world.actors.values():
            if actor.auth is not None and actor.auth.client_id == client_id:
                return actor, actor.auth
        raise unauthorized(BAD_CREDENTIALS)

    @staticmethod
    def _matching(auth: UniversalAuth, plain: str) -> ClientSecret | None:
        digest = hashlib.sha256(plain.encode()).digest()
        for secret in auth.secrets:
            if not secret.revoked and hmac.compare_digest(secret.digest, digest):
                return secret
        return None

    @staticmethod
    def _count_failure(auth: UniversalAuth, now: float) -> None:
        if now >= auth.forget_failures_at:
            auth.failures = 0
        auth.failures += 1
        auth.forget_failures_at = now + LOCKOUT_WINDOW_S
        if auth.failures >= LOCKOUT_THRESHOLD:
            auth.locked_until = now + LOCKOUT_DURATION_S
            auth.failures = 0

    def _use(self, secret: ClientSecret, now: float) -> None:
        """Count a use. An attempt with a used-up or expired secret revokes it (43f, then 43g)."""
        reason = None
        if secret.ttl and now > secret.born + secret.ttl:
            reason = "Access denied due to expired client secret"
        elif secret.uses_limit and secret.uses >= secret.uses_limit:
            reason = "Access denied due to client secret usage limit reached"
        secret.updated_at = self.world.now()
        if reason is not None:
            secret.revoked = True
            raise unauthorized(reason)
        secret.uses += 1

    def _issue(self, actor: Actor, ttl: int, max_ttl: int, secret: ClientSecret | None) -> IssuedToken:
        token_id = self.world.new_id("access-token", actor.id)
        issued = IssuedToken(token_id, actor, ttl, max_ttl, self.world.clock(), client_secret=secret)
        self._issued[token_id] = issued
        return issued

    def _answer(self, token: IssuedToken, life: int) -> dict[str, Any]:
        return {
            "accessToken": self._sign(token, life),
            "expiresIn": life,
            "accessTokenMaxTTL": token.max_ttl,
            "tokenType": "Bearer",
        }

    def _sign(self, token: IssuedToken, life: int) -> str:
        now = int(self.world.clock())
        payload: dict[str, Any] = {
            "identityId" if token.actor.kind == "identity" else "userId": token.actor.id,
            "orgId": self.world.org_id,
            "identityAccessTokenId": token.id,
            "authTokenType": "identityAccessToken" if token.actor.kind == "identity" else "accessToken",
            "iat": now,
            "exp": now + life,
        }
        if token.client_secret is not None:
            payload["clientSecretId"] = token.client_secret.id
        head = _encode(msgspec.json.encode({"alg": "HS256", "typ": "JWT"}))
        signed = f"{head}.{_encode(msgspec.json.encode(payload))}"
        return f"{signed}.{_encode(hmac.digest(self._key, signed.encode(), 'sha256'))}"

    def _check(self, token: str, *, short: bool) -> IssuedToken:
        payload = self._verified(token)
        now = self.world.clock()
        life_end = min(payload["exp"], payload["iat"] + BROKEN_TOKEN_LIFE_S) if short else payload["exp"]
        if now >= life_end:
            raise token_error(EXPIRED)
        issued = self._issued.get(payload["identityAccessTokenId"])
        if issued is None:
            raise unauthorized("No identity access token found")
        if issued.revoked:
            raise unauthorized("Failed to authorize: token has been revoked")
        return issued

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            head, body, signature = token.split(".")
            given = _decode(signature)
            payload: dict[str, Any] = msgspec.json.decode(_decode(body), type=dict[str, Any])
        except (ValueError, msgspec.MsgspecError) as error:
            raise _malformed() from error
        if not hmac.compare_digest(given, hmac.digest(self._key, f"{head}.{body}".encode(), "sha256")):
            raise token_error("invalid signature")
        return payload


def _malformed() -> ApiError:
    return token_error(MALFORMED)
