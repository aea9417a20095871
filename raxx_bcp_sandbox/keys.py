"""OpenPGP keys for the sandbox and for tests, made with real GnuPG: a good one and its bad variants.

Every variant keeps the fingerprint of the key it was made from. A worker that pins the fingerprint must detect the
expiry or the revocation itself; the fingerprint does not differ.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from raxx_bcp.errors import PermanentError, UsageError

OPERATOR = "Raxx sandbox operator <operator@raxx.invalid>"
STRANGER = "Somebody Else <somebody.else@example.invalid>"

# The keys are dated to 2024: a key cannot expire before it was made, and one variant expired at the end of 2024.
_MADE = "20240101T000000"
_EXPIRY_SET, _EXPIRED_ON = "20240102T000000", "2024-12-31"
_SECONDS = 60


@dataclass(frozen=True)
class KeyPair:
    """One person's key, armored. The secret half has no passphrase: it is for loopback only."""

    fingerprint: str
    public: str
    secret: str = field(repr=False)


def make_key(user_id: str = OPERATOR) -> KeyPair:
    """An ed25519 key that certifies and signs, with a cv25519 subkey that encrypts; neither ever expires."""
    with private_home() as home:
        at = ["--faked-system-time", f"{_MADE}!"]
        _gpg(home, *at, "--quick-gen-key", user_id, "ed25519", "cert,sign", "never")
        fingerprint = _fingerprint(home)
        _gpg(home, *at, "--quick-add-key", fingerprint, "cv25519", "encr", "never")
        secret = _gpg(home, "--armor", "--export-secret-keys", fingerprint)
        return KeyPair(fingerprint, _export(home, fingerprint), secret)


def expired(key: KeyPair) -> str:
    """The public key in its state after it expired at the end of 2024."""
    with _imported(key) as home:
        at = ["--faked-system-time", _EXPIRY_SET]
        _gpg(home, *at, "--quick-set-expire", key.fingerprint, _EXPIRED_ON)
        return _export(home, key.fingerprint)


def expiring(key: KeyPair, days: int) -> str:
    """The public key with the primary and its subkeys expiring ``days`` days from now."""
    with _imported(key) as home:
        _gpg(home, "--quick-set-expire", key.fingerprint, f"{days}d")
        _gpg(home, "--quick-set-expire", key.fingerprint, f"{days}d", "*")
        return _export(home, key.fingerprint)


def revoked(key: KeyPair) -> str:
    """The public key after its owner revoked it."""
    with _imported(key) as home:
        answers = "y\n0\n\ny\n"  # really; no reason; no description; confirmed
        certificate = _gpg(home, "--gen-revoke", key.fingerprint, answers=answers)
        _gpg(home, "--import", answers=certificate)
        return _export(home, key.fingerprint)


def cannot_encrypt(key: KeyPair) -> str:
    """The public key without its encryption subkey: nothing can be encrypted to it."""
    with _imported(key) as home:
        answers = "key 1\ndelkey\ny\nsave\n"
        _gpg(home, "--edit-key", key.fingerprint, answers=answers)
        return _export(home, key.fingerprint)


def require_gnupg() -> None:
    """Raise one sentence when GnuPG is not installed."""
    for program in ("gpg", "gpgconf"):
        if shutil.which(program) is None:
            raise UsageError(
                f"GnuPG is not installed: {program} was not found on PATH.",
                "Install the package gnupg (apt-get install gnupg, or brew install gnupg).",
            )


@contextlib.contextmanager
def private_home() -> Iterator[Path]:
    """A private GNUPGHOME; directly under /tmp, since the agent's socket path is limited to 107 bytes."""
    require_gnupg()
    home = Path(tempfile.mkdtemp(prefix="raxx-gpg-", dir="/tmp"))
    try:
        yield home
    finally:
        stop = ["gpgconf", "--homedir", str(home), "--kill", "all"]
        subprocess.run(stop, check=False, capture_output=True, timeout=_SECONDS)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _imported(key: KeyPair) -> Iterator[Path]:
    with private_home() as home:
        _gpg(home, "--import", answers=key.secret)
        yield home


def _export(home: Path, fingerprint: str) -> str:
    return _gpg(home, "--armor", "--export", fingerprint)


def _fingerprint(home: Path) -> str:
    listing = _gpg(home, "--with-colons", "--list-keys")
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))


def _gpg(home: Path, *arguments: str, answers: str | None = None) -> str:
    """Run gpg on ``home``; ``answers`` goes to stdin, for its prompts."""
    interactive = answers is not None and "--import" not in arguments
    mode = ["--command-fd", "0", "--no-batch"] if interactive else ["--batch", "--passphrase", ""]
    command = ["gpg", "--homedir", str(home), "--no-tty", "--yes", "--quiet", "--pinentry-mode", "loopback"]
    done = subprocess.run(
        [*command, *mode, *arguments],
        input=answers if answers is not None else "",
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or "it said nothing"
        raise PermanentError(
            f"GnuPG failed at making a sandbox key with {arguments[0]} (exit {done.returncode}: {said}).",
            "Check that gpg 2.2 or newer works (gpg --version) and that /tmp has room.",
        )
    return done.stdout
