"""Real gpg: unusable keys refused by name, whole messages to exactly one reader, and nothing left behind."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from raxx_bcp.clients import openpgp
from raxx_bcp.clients.gpg import (
    Ciphertext,
    DecryptionFailedError,
    EncryptionFailedError,
    KeyRefusedError,
    NoSecretKeyError,
    PublicKey,
    decrypt,
    keyring,
)
from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox.keys import KeyPair, cannot_encrypt, expired, revoked
from raxx_bcp_tests.clients.gnupg_lab import IN_2024, changed, edited, encrypted, gnupg_home, gpg
from raxx_bcp_tests.clients.leaks import everything_shown

NOW = datetime(2026, 2, 3, 7, 0, tzinfo=UTC)
MARKER = b"rxs_plaintext_marker"
PLAINTEXT = b'{"secret":"' + MARKER + b'"}' + bytes(range(256)) * 200


def public_key(armoured: str | bytes, fingerprint: str, now: datetime = NOW) -> PublicKey:
    given = armoured if isinstance(armoured, bytes) else armoured.encode()
    with keyring(given, fingerprint, now=now) as ring:
        return ring.key


def refusal(armoured: str | bytes, fingerprint: str, now: datetime = NOW) -> KeyRefusedError:
    with pytest.raises(KeyRefusedError) as caught:
        public_key(armoured, fingerprint, now)
    assert caught.value.remedy
    return caught.value


def sealed(key: KeyPair, plaintext: bytes = PLAINTEXT) -> Ciphertext:
    with keyring(key.public.encode(), key.fingerprint, now=NOW) as ring:
        return ring.encrypt(io.BytesIO(plaintext))


@pytest.fixture
def homes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every temporary directory that is made, in order."""
    made: list[Path] = []
    real = tempfile.mkdtemp

    def mkdtemp(suffix: str | None = None, prefix: str | None = None, dir: str | None = None) -> str:  # noqa: A002
        made.append(Path(real(suffix, prefix, dir)))
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    return made


FakeGpg = Callable[[str], None]


@pytest.fixture
def fake_gpg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpg:
    """Put a gpg first on PATH that runs ``script`` when it is to encrypt, and is the real one for all else."""
    real = shutil.which("gpg")
    path_before = f"{tmp_path}:/usr/local/bin:/usr/bin:/bin"

    def install(script: str) -> None:
        fake = tmp_path / "gpg"
        log = tmp_path / "argv"
        fake.write_text(
            "#!/bin/sh\n"
            f'printf "%s\\n" "$@" >> {log}\n'
            'for argument in "$@"; do\n'
            f'  if [ "$argument" = --encrypt ]; then\n{script}\n  fi\n'
            "done\n"
            f'exec {real} "$@"\n',
            encoding="utf-8",
        )
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", path_before)

    return install


def test_what_is_encrypted_opens_to_the_same_bytes(operator: KeyPair) -> None:
    made = sealed(operator)
    assert MARKER not in made.data
    assert decrypt(bytes(made.data), operator.secret.encode()) == PLAINTEXT


@pytest.mark.parametrize("plaintext", [b"", b"\0", b"\r\n\n" * 5, b"x" * 3_000_000])
def test_any_plaintext_comes_back_byte_for_byte(operator: KeyPair, plaintext: bytes) -> None:
    assert decrypt(bytes(sealed(operator, plaintext).data), operator.secret.encode()) == plaintext


def test_the_only_reader_is_the_encryption_subkey(operator: KeyPair) -> None:
    with keyring(operator.public.encode(), operator.fingerprint, now=NOW) as ring:
        made = ring.encrypt(io.BytesIO(PLAINTEXT))
        assert made.recipients == (ring.key.encryption_key_id,)
        assert ring.gpg_version[:2] in ("2.", "3.")
    assert openpgp.inspect(made.data).recipients == made.recipients
    assert not operator.fingerprint.endswith(made.recipients[0])


def test_a_good_key_is_described(operator: KeyPair) -> None:
    key = public_key(operator.public, operator.fingerprint)
    assert key.fingerprint == operator.fingerprint
    assert "operator@" in key.user_id
    assert (key.expires_utc, key.days_left(NOW)) == (None, None)


def test_a_binary_public_key_is_as_good_as_an_armoured_one(operator: KeyPair) -> None:
    with gnupg_home(operator.public) as home:
        binary = gpg(home, "--export", operator.fingerprint)
    assert public_key(binary, operator.fingerprint).fingerprint == operator.fingerprint


def test_a_key_that_expires_in_2099_is_accepted_with_the_earlier_of_its_two_dates(operator: KeyPair) -> None:
    primary = ["--quick-set-expire", operator.fingerprint, "2099-12-31"]
    subkeys = ["--quick-set-expire", operator.fingerprint, "2098-06-30", "*"]
    both, one = changed(operator, primary, subkeys), changed(operator, primary)
    for armoured, day in ((both, "2098-06-30"), (one, "2099-12-31")):
        expires = public_key(armoured, operator.fingerprint).expires_utc
        assert expires is not None
        assert f"{expires:%Y-%m-%d}" == day
        assert expires.tzinfo is UTC
    key = public_key(both, operator.fingerprint)
    assert key.expires_utc is not None
    assert key.days_left(key.expires_utc.replace(year=2097)) == 365


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"not a key",
        b'{"error":"401"}',
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
    ],
)
def test_what_is_no_key_is_refused_as_missing(operator: KeyPair, given: bytes) -> None:
    assert "The operator's public key is missing" in refusal(given, operator.fingerprint).what


def test_a_private_key_is_refused_and_called_exposed(operator: KeyPair) -> None:
    error = refusal(operator.secret, operator.fingerprint)
    assert "is a PRIVATE key" in error.what
    assert "treat it as exposed" in error.remedy
    refusal(operator.public + operator.secret, operator.fingerprint)


def test_another_key_than_the_pinned_one_is_refused_with_both_fingerprints(
    operator: KeyPair, stranger: KeyPair
) -> None:
    said = refusal(stranger.public, operator.fingerprint).what
    assert f"the policy pins {operator.fingerprint}, this is {stranger.fingerprint}" in said


@pytest.mark.parametrize("shorten", [lambda f: f[-16:], lambda f: f[:39], str.lower, lambda _fingerprint: ""])
def test_only_the_full_fingerprint_counts(operator: KeyPair, shorten: Callable[[str], str]) -> None:
    assert "The wrong public key was given" in refusal(operator.public, shorten(operator.fingerprint)).what


def test_a_second_key_beside_the_right_one_is_refused(operator: KeyPair, stranger: KeyPair) -> None:
    for both in (operator.public + stranger.public, stranger.public + operator.public):
        assert refusal(both, operator.fingerprint).what.startswith("2 public keys were given")


def test_the_fingerprint_of_a_subkey_is_no_pin(operator: KeyPair) -> None:
    with gnupg_home(operator.public) as home:
        listing = gpg(home, "--with-colons", "--list-keys").decode()
    fingerprints = [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:")]
    assert "The wrong public key was given" in refusal(operator.public, fingerprints[1]).what


def test_a_revoked_key_is_refused_as_revoked(operator: KeyPair) -> None:
    said = refusal(revoked(operator), operator.fingerprint).what
    assert said == f"The operator's key {operator.fingerprint} is revoked."


def test_an_expired_key_is_refused_with_its_date(operator: KeyPair) -> None:
    error = refusal(expired(operator), operator.fingerprint)
    assert error.what == f"The operator's key {operator.fingerprint} expired on 2024-12-31."
    assert "--quick-set-expire" in error.remedy


def test_a_key_counts_as_expired_by_the_clock_that_is_given(operator: KeyPair) -> None:
    armoured = changed(operator, ["--quick-set-expire", operator.fingerprint, "2099-12-31"])
    said = refusal(armoured, operator.fingerprint, datetime(2100, 1, 2, tzinfo=UTC)).what
    assert "expired on 2099-12-31" in said
    only_subkey = changed(operator, ["--quick-set-expire", operator.fingerprint, "2099-12-31", "*"])
    said = refusal(only_subkey, operator.fingerprint, datetime(2100, 1, 2, tzinfo=UTC)).what
    assert "its encryption subkey has expired" in said


def test_an_expired_encryption_subkey_is_refused_as_such(operator: KeyPair) -> None:
    armoured = changed(operator, [*IN_2024, "--quick-set-expire", operator.fingerprint, "2024-12-31", "*"])
    said = refusal(armoured, operator.fingerprint).what
    assert said == f"The operator's key {operator.fingerprint} cannot encrypt: its encryption subkey has expired."


def test_a_revoked_encryption_subkey_is_refused_as_such(operator: KeyPair) -> None:
    armoured = edited(operator, "key 1\nrevkey\ny\n0\n\ny\nsave\n")
    assert "cannot encrypt: its encryption subkey is revoked" in refusal(armoured, operator.fingerprint).what


def test_a_key_that_only_signs_is_refused_as_such(operator: KeyPair) -> None:
    said = refusal(cannot_encrypt(operator), operator.fingerprint).what
    assert "cannot encrypt: it has no encryption subkey" in said


def test_of_several_encryption_subkeys_the_newest_is_expected_and_used(operator: KeyPair) -> None:
    add = [*IN_2024, "--quick-add-key", operator.fingerprint, "cv25519", "encr", "never"]
    armoured = changed(operator, add)
    old = public_key(operator.public, operator.fingerprint).encryption_key_id
    with keyring(armoured.encode(), operator.fingerprint, now=NOW) as ring:
        made = ring.encrypt(io.BytesIO(b"x"))
        assert made.recipients == (ring.key.encryption_key_id,) != (old,)


def test_an_expired_newer_subkey_does_not_stop_an_older_good_one(operator: KeyPair) -> None:
    add = [*IN_2024, "--quick-add-key", operator.fingerprint, "cv25519", "encr", "2024-06-01"]
    armoured = changed(operator, add)
    with keyring(armoured.encode(), operator.fingerprint, now=NOW) as ring:
        assert ring.encrypt(io.BytesIO(b"x")).recipients == (ring.key.encryption_key_id,)
        assert ring.key.expires_utc is None


def test_the_private_home_is_gone_afterwards(operator: KeyPair, homes: list[Path]) -> None:
    with keyring(operator.public.encode(), operator.fingerprint, now=NOW) as ring:
        (home,) = homes
        assert home.stat().st_mode & 0o777 == 0o700
        ring.encrypt(io.BytesIO(PLAINTEXT))
        assert home.is_dir()
    assert not home.exists()


def test_the_private_home_is_gone_also_after_a_failure(operator: KeyPair, homes: list[Path]) -> None:
    with pytest.raises(ZeroDivisionError), keyring(operator.public.encode(), operator.fingerprint, now=NOW):
        raise ZeroDivisionError
    refusal(b"not a key", operator.fingerprint)
    refusal(expired(operator), operator.fingerprint)
    assert len(homes) > 2
    assert not [home for home in homes if home.exists()]


class Failing:
    """A source that breaks off in the middle."""

    def __init__(self, error: Exception, after: int) -> None:
        self.error, self.left = error, after

    def read(self, _size: int = -1, /) -> bytes:
        if not self.left:
            raise self.error
        self.left -= 1
        return PLAINTEXT


@pytest.mark.parametrize("after", [0, 1, 50])
def test_a_source_that_cannot_be_read_to_its_end_gives_no_ciphertext(operator: KeyPair, after: int) -> None:
    with keyring(operator.public.encode(), operator.fingerprint, now=NOW) as ring:
        with pytest.raises(EncryptionFailedError) as caught:
            ring.encrypt(Failing(OSError("rxs_detail"), after))
        assert "Nothing was stored" in caught.value.remedy
        assert "rxs_detail" not in str(caught.value)


def test_a_source_that_fails_in_an_unforeseen_way_gives_no_ciphertext_either(operator: KeyPair) -> None:
    with keyring(operator.public.encode(), operator.fingerprint, now=NOW) as ring:
        with pytest.raises((EncryptionFailedError, KeyError)):
            ring.encrypt(Failing(KeyError("gone"), 3))
        assert ring.encrypt(io.BytesIO(b"x")).recipients == (ring.key.encryption_key_id,)


STATUS = 'cat >/dev/null; echo "[GNUPG:] END_ENCRYPTION" >&2'


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"{STATUS}; exit 0", "(exit code 0, 0 bytes)"),
        ("exit 0", ""),
        ("cat >/dev/null; exit 0", "(exit code 0, 0 bytes)"),
        (f"{STATUS}; printf 'half of it'; exit 2", "(exit code 2, 10 bytes)"),
        ("cat >/dev/null; printf 'good looking'; exit 0", "(exit code 0, 12 bytes)"),
        ("kill -9 $$", ""),
        (f"{STATUS}; printf '%s' '{{\"error\":\"401\"}}'; exit 0", "not one whole encrypted message"),
    ],
)
def test_a_gpg_that_fails_or_lies_gives_no_ciphertext(
    operator: KeyPair, fake_gpg: FakeGpg, script: str, reason: str
) -> None:
    fake_gpg(script)
    with pytest.raises(EncryptionFailedError) as caught:
        sealed(operator)
    assert reason in caught.value.what
    assert "Nothing was stored" in caught.value.remedy
    assert MARKER.decode() not in everything_shown(caught.value)


def test_a_message_to_somebody_else_or_one_more_or_cut_short_is_refused(
    operator: KeyPair, stranger: KeyPair, fake_gpg: FakeGpg, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    good = encrypted(b"x" * 1000, operator)
    to_others = [encrypted(b"x", *readers) for readers in ((stranger,), (operator, stranger), (stranger, operator))]
    fake_gpg(f"{STATUS}; cat {output}; exit 0")
    for wrong in to_others:
        output.write_bytes(wrong)
        with pytest.raises(EncryptionFailedError, match=r"and not to .* alone"):
            sealed(operator)
    for cut in (good[:-1], good[: len(good) // 2], good + b"\n"):
        output.write_bytes(cut)
        with pytest.raises(EncryptionFailedError, match="is not one whole encrypted message"):
            sealed(operator)
    output.write_bytes(good)
    assert sealed(operator).data == good


def test_without_gpg_one_is_told_to_install_it(
    operator: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="The program gpg was not found") as caught:
        public_key(operator.public, operator.fingerprint)
    assert "Install GnuPG" in caught.value.remedy


def test_plaintext_is_neither_in_the_arguments_nor_in_a_file(
    operator: KeyPair, fake_gpg: FakeGpg, homes: list[Path], tmp_path: Path
) -> None:
    def files_with_plaintext() -> Iterator[Path]:
        for path in (path for home in homes for path in home.rglob("*") if path.is_file()):
            if MARKER in path.read_bytes():
                yield path

    class Watched(io.BytesIO):
        looks = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.looks += 1
            assert not list(files_with_plaintext())
            return super().read(size)

    fake_gpg("  :")
    source = Watched(PLAINTEXT * 20)
    with keyring(operator.public.encode(), operator.fingerprint, now=NOW) as ring:
        made = ring.encrypt(source)
        assert not list(files_with_plaintext())
        assert list(homes[0].iterdir())
    assert source.looks > 2
    assert decrypt(bytes(made.data), operator.secret.encode()) == PLAINTEXT * 20
    argv = (tmp_path / "argv").read_text(encoding="utf-8").splitlines()
    assert "--encrypt" in argv
    assert "--decrypt" in argv
    assert MARKER.decode() not in "\n".join(argv)
    assert not {"--output", "-o"} & set(argv)


def test_the_recipient_is_named_by_full_fingerprint_and_no_network_is_asked(
    operator: KeyPair, fake_gpg: FakeGpg, tmp_path: Path
) -> None:
    fake_gpg("  :")
    sealed(operator)
    argv = (tmp_path / "argv").read_text(encoding="utf-8").splitlines()
    assert argv[argv.index("--recipient") + 1] == operator.fingerprint
    assert {"--no-auto-key-locate", "--no-options", "--no-autostart"} <= set(argv)


def test_a_message_to_somebody_else_does_not_open(operator: KeyPair, stranger: KeyPair) -> None:
    with pytest.raises(DecryptionFailedError, match="could not decrypt the export"):
        decrypt(encrypted(PLAINTEXT, stranger), operator.secret.encode())


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.7, 0.999])
def test_a_truncated_message_does_not_open_at_all(operator: KeyPair, keep: float) -> None:
    whole = bytes(sealed(operator, PLAINTEXT * 10).data)
    with pytest.raises(DecryptionFailedError):
        decrypt(whole[: int(len(whole) * keep)], operator.secret.encode())


@pytest.mark.parametrize("where", [0, 5, 60, 0.3, 0.7, -25, -1])
def test_one_flipped_bit_is_enough_for_it_not_to_open(operator: KeyPair, where: float) -> None:
    whole = bytearray(sealed(operator).data)
    place = where if isinstance(where, int) else int(len(whole) * where)
    whole[place] ^= 1
    with pytest.raises(DecryptionFailedError) as caught:
        decrypt(bytes(whole), operator.secret.encode())
    assert MARKER.decode() not in everything_shown(caught.value)


def test_a_message_that_was_not_encrypted_does_not_pass_as_decrypted(operator: KeyPair) -> None:
    with gnupg_home(operator.secret) as home:
        signed = gpg(home, "--sign", stdin=PLAINTEXT)
    for data in (signed, PLAINTEXT, b"", b'{"error":"401"}'):
        with pytest.raises(DecryptionFailedError):
            decrypt(data, operator.secret.encode())


def test_what_is_no_private_key_opens_nothing(operator: KeyPair) -> None:
    for given in (b"", b"no key", operator.public.encode()):
        with pytest.raises(DecryptionFailedError):
            decrypt(bytes(sealed(operator).data), given)


def test_the_home_of_the_private_key_is_gone_afterwards(operator: KeyPair, homes: list[Path]) -> None:
    made = bytes(sealed(operator).data)
    homes.clear()
    decrypt(made, operator.secret.encode())
    with pytest.raises(DecryptionFailedError):
        decrypt(made[:-1], operator.secret.encode())
    assert len(homes) == 2
    assert not [home for home in homes if home.exists()]


def test_without_a_private_key_the_callers_own_keyring_is_used(
    operator: KeyPair, stranger: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bytes(sealed(operator).data)
    with gnupg_home(operator.secret) as own:
        monkeypatch.setenv("GNUPGHOME", str(own))
        assert decrypt(made, None) == PLAINTEXT
        assert own.is_dir()
    with gnupg_home(stranger.secret) as own:
        monkeypatch.setenv("GNUPGHOME", str(own))
        with pytest.raises(DecryptionFailedError):
            decrypt(made, None)


def test_gpg_logs_no_plaintext(operator: KeyPair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    decrypt(bytes(sealed(operator).data), operator.secret.encode())
    assert MARKER.decode() not in caplog.text


def test_a_key_that_is_not_here_is_told_from_a_damaged_message(operator: KeyPair, stranger: KeyPair) -> None:
    with pytest.raises(NoSecretKeyError, match="is not here"):
        decrypt(encrypted(PLAINTEXT, stranger), operator.secret.encode())
    damaged = bytearray(sealed(operator, PLAINTEXT * 10).data)
    damaged[-30] ^= 1
    with pytest.raises(DecryptionFailedError, match="the message is damaged") as caught:
        decrypt(damaged, operator.secret.encode())
    assert not isinstance(caught.value, NoSecretKeyError)


def test_the_keyring_of_a_named_home_is_used(operator: KeyPair, stranger: KeyPair) -> None:
    made = bytes(sealed(operator).data)
    with gnupg_home(operator.secret) as home:
        assert decrypt(made, None, home=home) == PLAINTEXT
    with gnupg_home(stranger.secret) as home, pytest.raises(NoSecretKeyError):
        decrypt(made, None, home=home)


def test_a_large_message_passes_through_both_pipes_at_once(operator: KeyPair) -> None:
    large = bytes(range(256)) * 40_000
    assert decrypt(bytes(sealed(operator, large).data), operator.secret.encode()) == large


def test_without_gpg_it_says_so(operator: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bytes(sealed(operator).data)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="gpg was not found"):
        decrypt(made, None)
