"""How an identity may log in, read from the vault: for ``doctor``, which warns before an export fails on it."""

from __future__ import annotations

import msgspec

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_errors import LoginRefusedError, TokenUsedUpError
from raxx_bcp.errors import CouldNotVerifyError, PermanentError


class _UniversalAuth(msgspec.Struct, rename="camel"):
    access_token_num_uses_limit: int


class _Settings(msgspec.Struct, rename="camel"):
    identity_universal_auth: _UniversalAuth


def token_uses_limit(reader: Infisical, identity_id: str) -> int | None:
    """How often an access token of ``identity_id`` may be used; 0 is without limit, None where it cannot be read.

    It needs an organisation role that reads identities. An exporter with ``no-access`` may not even read its own
    (54c); the second identity may. A server that answers otherwise than documented counts as one that does not tell.
    Raises ``LoginRefusedError``, ``TokenUsedUpError`` or ``TransientError``.
    """
    route = f"/api/v1/auth/universal-auth/identities/{identity_id}"
    try:
        return reader.read(route, _Settings).identity_universal_auth.access_token_num_uses_limit
    except (LoginRefusedError, TokenUsedUpError):
        raise
    except (CouldNotVerifyError, PermanentError):
        return None
