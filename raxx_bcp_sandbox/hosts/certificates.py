"""Logins to an instance: host keys, and short-lived user certificates as Lightsail issues them.

GetInstanceAccessDetails returns a private key and a certificate for it, signed by an authority that every instance
trusts. The sandbox has its own authority and keeps it with the instances.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import asyncssh

from raxx_bcp_sandbox.state import write_private

SECONDS: Final = 300.0
"""How long a certificate is valid."""
_EARLY_SECONDS: Final = 60.0
_HOST_ALGORITHMS: Final = ("ecdsa-sha2-nistp256", "ssh-ed25519")
_USER_ALGORITHM, _USER_BITS = "ssh-rsa", 2048


class Authority:
    """Signs user certificates. Its key is in ``file``, which is created when it is missing."""

    def __init__(self, file: Path) -> None:
        try:
            self._key = asyncssh.read_private_key(file)
        except (OSError, asyncssh.KeyImportError):
            self._key = asyncssh.generate_private_key("ssh-ed25519")
            write_private(file, self._key.export_private_key())

    @property
    def public(self) -> str:
        """The public key, as a line of authorized_keys has it."""
        return self._key.export_public_key().decode().strip()

    def login(self, user: str, now: float, seconds: float = SECONDS) -> dict[str, Any]:
        """A new key and its certificate for ``user``, valid for ``seconds`` from ``now`` (real time)."""
        key = asyncssh.generate_private_key(_USER_ALGORITHM, key_size=_USER_BITS)
        certificate = self._key.generate_user_certificate(
            key,
            f"lightsail-{user}",
            principals=[user],
            valid_after=int(now - _EARLY_SECONDS),
            valid_before=int(now + seconds),
        )
        return {
            "certKey": certificate.export_certificate().decode().strip(),
            "privateKey": key.export_private_key("pkcs1-pem").decode(),
            "username": user,
            "expiresAt": float(int(now + seconds)),
        }


def host_keys(directory: Path) -> list[asyncssh.SSHKey]:
    """An instance's host keys, from ``directory``; created at its first boot, as cloud-init does."""
    keys = []
    for algorithm in _HOST_ALGORITHMS:
        file = directory / f"host_{algorithm}"
        if not file.is_file():
            write_private(file, asyncssh.generate_private_key(algorithm).export_private_key())
        keys.append(asyncssh.read_private_key(file))
    return keys


def shown(keys: Sequence[asyncssh.SSHKey], witnessed: float) -> list[dict[str, Any]]:
    """HostKeyAttributes of Lightsail's model: the public key is base64 as in known_hosts."""
    lines = []
    for key in keys:
        algorithm, public = key.export_public_key().decode().split()[:2]
        raw = base64.b64decode(public)
        sha256 = base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
        sha1 = base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode().rstrip("=")
        lines.append(
            {
                "algorithm": algorithm,
                "publicKey": public,
                "witnessedAt": witnessed,
                "fingerprintSHA1": f"SHA1:{sha1}",
                "fingerprintSHA256": f"SHA256:{sha256}",
            }
        )
    return lines
