"""The operator's public key: its source, its pinned fingerprint, and its expiry."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.gpg import KeyRefusedError, PublicKey
from raxx_bcp.errors import UsageError

KEY_EXPIRY: Final = "key_expiry"
KEY_VARIABLE: Final = "RAXX_BCP_GPG_PUBLIC_KEY"
KEY_FILE_VARIABLE: Final = "RAXX_BCP_GPG_PUBLIC_KEY_FILE"
FINGERPRINT_VARIABLE: Final = "RAXX_BCP_GPG_FINGERPRINT"


@dataclass(frozen=True)
class OperatorKey:
    """The armoured public key as given, and the full fingerprint that it must have."""

    armoured: bytes
    fingerprint: str


def operator_key(pinned_by_policy: str, environ: Mapping[str, str] | None = None) -> OperatorKey:
    """Read the key from the environment or the file that it names.

    Raises ``UsageError`` when no fingerprint is pinned or the two pins differ, ``KeyRefusedError`` when
    there is no key.
    """
    environ = os.environ if environ is None else environ
    by_environment = environ.get(FINGERPRINT_VARIABLE, "").replace(" ", "").upper()
    if pinned_by_policy and by_environment and pinned_by_policy != by_environment:
        raise UsageError(
            f"bcp.toml pins the key {pinned_by_policy} and {FINGERPRINT_VARIABLE} says {by_environment}.",
            "Find out from the operator in person which is right; then make both the same.",
        )
    fingerprint = pinned_by_policy or by_environment
    if not fingerprint:
        raise UsageError(
            "No key fingerprint is pinned, so any key would do.",
            f"Set vault_export.gpg_fingerprint in bcp.toml, or {FINGERPRINT_VARIABLE}, to the operator's full one.",
        )
    return OperatorKey(_armoured(environ), fingerprint)


def expiry_check(key: PublicKey, warning_days: Sequence[int], now: datetime) -> Check:
    """PASS, or a warning within each of ``warning_days`` (60, 30, 7) before the key stops working."""
    left = key.days_left(now)
    if key.expires_utc is None or left is None:
        return Check(KEY_EXPIRY, Status.PASS, f"{key.fingerprint} does not expire.")
    detail = f"{key.fingerprint} expires on {key.expires_utc:%Y-%m-%d}, in {int(left)} days"
    if left > max(warning_days, default=0):
        return Check(KEY_EXPIRY, Status.PASS, f"{detail}.")
    threshold = min(days for days in warning_days if left <= days)
    return Check(
        KEY_EXPIRY,
        Status.WARN,
        f"{detail} (within {threshold}). From then on no export can be made.",
        "Extend it where the private key is (gpg --quick-set-expire), and export the public key again.",
        warning_id=f"{key.fingerprint}-{threshold}-days",
    )


def _armoured(environ: Mapping[str, str]) -> bytes:
    inline, path = environ.get(KEY_VARIABLE, ""), environ.get(KEY_FILE_VARIABLE, "")
    if inline:
        return inline.encode()
    if not path:
        raise KeyRefusedError(
            "The operator's public key is missing: neither the variable nor the file is set.",
            f"Set {KEY_VARIABLE} to the armoured key, or {KEY_FILE_VARIABLE} to its path.",
        )
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise KeyRefusedError(
            f"The operator's public key file {path} cannot be read: {error.strerror}.",
            f"Correct {KEY_FILE_VARIABLE}, or put the file there (gpg --armor --export FINGERPRINT).",
        ) from None
