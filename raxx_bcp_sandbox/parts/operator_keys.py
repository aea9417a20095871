"""The operator's OpenPGP key: files only. Faults replace the file that RAXX_BCP_GPG_PUBLIC_KEY_FILE points at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox import keys
from raxx_bcp_sandbox.part import Fault, Part, Place
from raxx_bcp_sandbox.state import write_private

_CURRENT = "current.pub.asc"
_FINGERPRINT = "operator.fingerprint"
_PUBLIC, _SECRET = "operator.pub.asc", "operator.key.asc"
_EXPIRES_SOON_DAYS = 20


def operator_key(state_dir: Path) -> keys.KeyPair:
    """The sandbox operator's key, with the secret half for the proof of decryption."""
    directory = state_dir / PART.name
    try:
        read = [(directory / name).read_text() for name in (_FINGERPRINT, _PUBLIC, _SECRET)]
    except OSError as error:
        raise PermanentError(
            f"The sandbox operator's key in {directory} cannot be read ({error.strerror}).",
            "Run raxx-bcp sandbox up, which makes it again.",
        ) from error
    return keys.KeyPair(read[0].strip(), read[1], read[2])


def _prepare(place: Place) -> None:
    keys.require_gnupg()
    place.directory.mkdir(mode=0o700, exist_ok=True)
    place.directory.chmod(0o700)
    needed = (_FINGERPRINT, _PUBLIC, _SECRET, *_VARIANTS.values())
    if not all((place.directory / name).is_file() for name in needed):
        _make(place)
    if not (place.directory / _CURRENT).exists():
        _put_back(place)


def _make(place: Place) -> None:
    key = keys.make_key()
    variants = {
        "key-expired": keys.expired(key),
        "key-revoked": keys.revoked(key),
        "key-cannot-encrypt": keys.cannot_encrypt(key),
        "key-wrong": keys.make_key(keys.STRANGER).public,
    }
    texts = {_PUBLIC: key.public, _CURRENT: key.public, _SECRET: key.secret}
    texts |= {_VARIANTS[fault]: text for fault, text in variants.items()}
    for name, text in texts.items():
        write_private(place.directory / name, text.encode())
    write_private(place.directory / _FINGERPRINT, f"{key.fingerprint}\n".encode())


def _put_back(place: Place) -> None:
    write_private(place.directory / _CURRENT, (place.directory / _PUBLIC).read_bytes())


def _variant(fault: str) -> Callable[[Place], None]:
    def apply(place: Place) -> None:
        write_private(place.directory / _CURRENT, (place.directory / _VARIANTS[fault]).read_bytes())

    return apply


def _remove(place: Place) -> None:
    (place.directory / _CURRENT).unlink(missing_ok=True)


def _expire_soon(place: Place) -> None:
    soon = keys.expiring(operator_key(place.state_dir), _EXPIRES_SOON_DAYS)
    write_private(place.directory / _CURRENT, soon.encode())


def _environment(place: Place) -> dict[str, str]:
    return {
        "RAXX_BCP_GPG_PUBLIC_KEY_FILE": str(place.directory / _CURRENT),
        "RAXX_BCP_GPG_FINGERPRINT": (place.directory / _FINGERPRINT).read_text().strip(),
    }


_VARIANTS = {
    "key-expired": "expired.pub.asc",
    "key-revoked": "revoked.pub.asc",
    "key-wrong": "wrong.pub.asc",
    "key-cannot-encrypt": "cannot-encrypt.pub.asc",
}
_SHOWS = {
    "key-expired": "The operator's public key expired at the end of 2024.",
    "key-revoked": "The operator's public key was revoked.",
    "key-wrong": "The public key is another person's.",
    "key-cannot-encrypt": "The operator's public key has no subkey that encrypts.",
}

PART = Part(
    name="keys",
    title="Operator's OpenPGP key",
    prepare=_prepare,
    environment=_environment,
    faults=(
        Fault("key-missing", "The operator's public key file is not there.", _remove, _put_back),
        *(Fault(name, shows, _variant(name), _put_back) for name, shows in _SHOWS.items()),
        Fault(
            "key-expires-soon",
            f"The operator's public key expires in {_EXPIRES_SOON_DAYS} days.",
            _expire_soon,
            _put_back,
        ),
    ),
)
