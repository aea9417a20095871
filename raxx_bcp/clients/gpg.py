"""GnuPG through python-gnupg: one public key in a private keyring, judged by name, then used to encrypt.

Traps that this module closes (measured, GnuPG 2.2.40 and python-gnupg 0.5.7): an expired recipient fails
with "No data", not "expired"; an untrusted one gives empty output without an exception; an e-mail address
as recipient goes to the network; a wrong recipient succeeds. So this module judges the key before it encrypts
anything, names it by full fingerprint, and reads the output's recipients back from its packets.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from raxx_bcp.clients import openpgp
from raxx_bcp.clients.gpg_decrypt import (
    DecryptionFailedError,
    MessageDamagedError,
    NoSecretKeyError,
    decrypt,
    stop_agents,
)
from raxx_bcp.clients.gpg_space import NoSpaceError, private_folder, refuse_full, spoken_in_english
from raxx_bcp.errors import PermanentError, UsageError

__all__ = [
    "Ciphertext",
    "DecryptionFailedError",
    "EncryptionFailedError",
    "KeyRefusedError",
    "Keyring",
    "MessageDamagedError",
    "NoSecretKeyError",
    "NoSpaceError",
    "PublicKey",
    "decrypt",
    "keyring",
]

PRIVATE_BLOCK: Final = b"PGP PRIVATE KEY BLOCK"
_BUFFER_BYTES: Final = 256 * 1024


class KeyRefusedError(PermanentError):
    """The operator's public key cannot be used: missing, wrong, revoked, expired or unable to encrypt."""


class EncryptionFailedError(PermanentError):
    """GnuPG did not produce a whole message to exactly the expected recipient."""


class Readable(Protocol):
    """A source of plaintext."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class PublicKey:
    """A key that can be used for encryption now. Key ids are 16 hexadecimal digits."""

    fingerprint: str
    user_id: str
    encryption_key_id: str
    expires_utc: datetime | None
    """When the key or its encryption subkey expires, the earlier of the two; None: never."""

    def days_left(self, now: datetime) -> float | None:
        """Days until it expires, as of ``now`` (UTC)."""
        return None if self.expires_utc is None else (self.expires_utc - now).total_seconds() / 86400


@dataclass(frozen=True)
class Ciphertext:
    """A whole encrypted message and the readers that its packets name."""

    data: bytearray
    recipients: tuple[str, ...]


class Keyring:
    """A private, temporary GnuPG home that holds one public key and nothing else."""

    def __init__(self, gpg: Any, key: PublicKey, version: str) -> None:
        self._gpg = gpg
        self.key = key
        self.gpg_version = version

    def encrypt(self, plaintext: Readable) -> Ciphertext:
        """Stream ``plaintext`` into gpg. Raises ``EncryptionFailedError``, also when the source itself fails.

        Raises ``NoSpaceError`` where gpg had no space for its files.
        """
        data = bytearray()

        def collect(chunk: bytes) -> bool:
            data.extend(chunk)
            return False  # python-gnupg does not need to keep a second copy

        self._gpg.on_data = collect
        try:
            result = self._gpg.encrypt_file(
                plaintext,
                [self.key.fingerprint],
                always_trust=True,
                armor=False,
                extra_args=["--no-auto-key-locate", "--compress-algo", "zlib", "--compress-level", "1"],
            )
        except OSError as error:
            refuse_full(Path(self._gpg.gnupghome))
            raise EncryptionFailedError(
                f"gpg stopped while the export was streamed into it ({type(error).__name__}).",
                "Nothing was stored. Run gpg --version by hand on this machine, then start the export again.",
            ) from None
        if not result.ok or result.returncode != 0 or not data:
            refuse_full(Path(self._gpg.gnupghome), result.stderr)
            raise EncryptionFailedError(
                f"gpg could not encrypt to {self.key.fingerprint} (exit code {result.returncode}, {len(data)} bytes).",
                "Nothing was stored. Run raxx-bcp doctor: it names what is wrong with the key.",
            )
        return Ciphertext(data, self._readers(data))

    def _readers(self, data: bytearray) -> tuple[str, ...]:
        try:
            recipients = openpgp.inspect(data).recipients
        except openpgp.MalformedError as error:
            raise EncryptionFailedError(
                f"gpg's output is not one whole encrypted message: {error}.",
                "Nothing was stored. Run gpg --version by hand on this machine, then start the export again.",
            ) from None
        if recipients != (self.key.encryption_key_id,):
            raise EncryptionFailedError(
                f"The export was encrypted to {', '.join(recipients)} and not to {self.key.encryption_key_id} alone.",
                "Nothing was stored. Look for encrypt-to or default-recipient lines in gpg's configuration.",
            )
        return recipients


@contextlib.contextmanager
def keyring(armoured_key: bytes, fingerprint: str, *, now: datetime) -> Iterator[Keyring]:
    """Open a private keyring with the operator's public key, judged as of ``now`` (UTC).

    ``fingerprint`` is the full one that the policy pins. Raises ``KeyRefusedError`` naming what is wrong,
    ``NoSpaceError`` where gpg has no space, or ``UsageError`` where gpg itself is missing. The directory is removed
    when the block ends.
    """
    if shutil.which("gpg") is None:
        raise UsageError("The program gpg was not found.", "Install GnuPG 2.2 or newer (Debian: apt-get install gpg).")
    import gnupg

    if PRIVATE_BLOCK in armoured_key:
        raise KeyRefusedError(
            "What was given as the operator's public key is a PRIVATE key.",
            "Take it off this machine, treat it as exposed, and give the public half (gpg --armor --export).",
        )
    logging.getLogger("gnupg").setLevel(logging.ERROR)  # its debug lines hold the first bytes of data
    home = private_folder()
    try:
        options = ["--no-autostart", "--no-options"]
        gpg = gnupg.GPG(gnupghome=str(home), options=options, env=spoken_in_english(os.environ))
        gpg.buffer_size = _BUFFER_BYTES
        imported = gpg.import_keys(armoured_key)
        listed = gpg.list_keys()
        if imported.returncode or not listed:
            refuse_full(home, imported.stderr)
        version = ".".join(str(part) for part in gpg.version or ("unknown",))
        yield Keyring(gpg, _judge(listed, fingerprint, now), version)
    finally:
        stop_agents(home)
        shutil.rmtree(home, ignore_errors=True)


def _judge(listed: list[dict[str, Any]], fingerprint: str, now: datetime) -> PublicKey:
    if not listed:
        raise KeyRefusedError(
            "The operator's public key is missing: what was given holds no OpenPGP key.",
            "Export it with gpg --armor --export FINGERPRINT and set RAXX_BCP_GPG_PUBLIC_KEY or _FILE.",
        )
    found = next((key for key in listed if key["fingerprint"] == fingerprint), None)
    if found is None:
        raise KeyRefusedError(
            f"The wrong public key was given: the policy pins {fingerprint}, this is {listed[0]['fingerprint']}.",
            "Give the pinned key. Change the pin only after checking the new fingerprint with the operator in person.",
        )
    if len(listed) > 1:
        raise KeyRefusedError(
            f"{len(listed)} public keys were given where only the operator's belongs.",
            f"Export that one alone: gpg --armor --export {fingerprint}.",
        )
    _refuse_unusable(found, fingerprint, now)
    subkey = _encryption_key(found, fingerprint, now)
    expiries = [moment for moment in (_moment(found["expires"]), _moment(subkey["expires"])) if moment]
    return PublicKey(
        fingerprint=fingerprint,
        user_id=found["uids"][0] if found["uids"] else "",
        encryption_key_id=subkey["keyid"],
        expires_utc=min(expiries, default=None),
    )


def _refuse_unusable(key: dict[str, Any], fingerprint: str, now: datetime) -> None:
    expires = _moment(key["expires"])
    if key["trust"] == "r":
        raise KeyRefusedError(
            f"The operator's key {fingerprint} is revoked.",
            "Make a new key, check its fingerprint with the operator, and pin it in the policy.",
        )
    if key["trust"] == "e" or (expires and expires <= now):
        raise KeyRefusedError(
            f"The operator's key {fingerprint} expired on {expires:%Y-%m-%d}."
            if expires
            else f"The operator's key {fingerprint} has expired.",
            "Extend it where the private key is (gpg --quick-set-expire), and export the public key again.",
        )
    if key["trust"] in ("d", "i"):
        raise KeyRefusedError(
            f"The operator's key {fingerprint} is disabled or invalid.", "Export it again from the operator's keyring."
        )


def _encryption_key(key: dict[str, Any], fingerprint: str, now: datetime) -> dict[str, Any]:
    """The subkey that gpg will use: the newest usable one with the capability ``e``."""
    subkeys: list[dict[str, Any]] = list(key.get("subkey_info", {}).values())
    able = [sub for sub in subkeys if "e" in sub["cap"]] or ([key] if "e" in key["cap"] else [])
    usable = [
        sub for sub in able if sub["trust"] not in ("r", "e", "i", "d") and not _passed(_moment(sub["expires"]), now)
    ]
    if usable:
        return max(usable, key=lambda sub: int(sub["date"] or 0))
    if any(sub["trust"] == "e" or _passed(_moment(sub["expires"]), now) for sub in able):
        reason = "its encryption subkey has expired"
    elif any(sub["trust"] == "r" for sub in able):
        reason = "its encryption subkey is revoked"
    else:
        reason = "it has no encryption subkey"
    raise KeyRefusedError(
        f"The operator's key {fingerprint} cannot encrypt: {reason}.",
        "Add or extend an encryption subkey where the private key is, and export the public key again.",
    )


def _moment(epoch: str) -> datetime | None:
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else None


def _passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
