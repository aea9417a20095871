"""A login whose key or certificate was damaged on its way from Lightsail: one sentence, and no piece of the key."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from raxx_bcp.clients import ssh
from raxx_bcp.clients.instance_shapes import Access
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp_tests.clients.leaks import everything_held

SEED = 20310314


def keys() -> dict[str, str]:
    edwards = ed25519.Ed25519PrivateKey.generate()
    old = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    openssh, traditional = serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.TraditionalOpenSSL
    return {
        "ed25519": edwards.private_bytes(pem, openssh, none).decode(),
        "rsa": old.private_bytes(pem, traditional, none).decode(),
    }


KEYS = keys()


def damaged(key: str, chance: random.Random) -> Iterator[str]:
    """Cut, changed in one place, shortened, overwritten, in one line."""
    for _time in range(60):
        at = chance.randrange(len(key) - 50)
        yield key[:at]
        yield key[:at] + chr(chance.randrange(1, 0x3000)) + key[at + 1 :]
        yield key[:at] + key[at + 5 :]
        yield key[:at] + "A" * 40 + key[at + 40 :]
    yield key.replace("\n", "")
    yield ""


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_damaged_login_is_one_sentence_without_the_key(kind: str) -> None:
    whole = KEYS[kind]
    for number, text in enumerate(damaged(whole, random.Random(SEED))):  # noqa: S311 - the same damage each time
        certificate = "ssh-ed25519-cert-v01@openssh.com AAAA" if number % 2 else "garbage \xff"
        access = Access("ubuntu", "127.0.0.1", (), datetime.now(UTC), text, certificate)
        with pytest.raises(CouldNotVerifyError, match="is of no known kind") as caught:
            ssh._private_key(access)
        held = everything_held(caught.value)
        assert not any(line in held for line in whole.splitlines()[1:-1])
