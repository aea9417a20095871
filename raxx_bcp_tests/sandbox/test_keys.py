"""The sandbox's OpenPGP keys, judged by gpg: each variant is bad in the one way that it should be."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import gnupg
import pytest

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox import keys
from raxx_bcp_sandbox.parts.operator_keys import operator_key
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.sandbox.conftest import MakeSandbox


def show(public: str) -> list[list[str]]:
    """The lines of ``gpg --with-colons`` for a public key, split into fields (doc/DETAILS of GnuPG)."""
    command = ["gpg", "--show-keys", "--with-colons"]
    listed = subprocess.run(command, input=public, text=True, capture_output=True, check=True)
    return [line.split(":") for line in listed.stdout.splitlines()]


def fingerprint(public: str) -> str:
    """The primary key's fingerprint."""
    return next(line[9] for line in show(public) if line[0] == "fpr")


def validity(public: str, record: str = "pub") -> str:
    """The validity of the primary key: ``e`` expired, ``r`` revoked."""
    return next(line[1] for line in show(public) if line[0] == record)


def capabilities(public: str) -> str:
    """What the key as a whole can do now, as capital letters."""
    field = next(line[11] for line in show(public) if line[0] == "pub")
    return "".join(sorted(letter for letter in field if letter.isupper()))


@pytest.fixture(scope="module")
def key() -> keys.KeyPair:
    return keys.make_key()


@pytest.fixture
def keyring() -> Iterator[gnupg.GPG]:
    with keys.private_home() as home:
        yield gnupg.GPG(gnupghome=str(home))


class TestVariants:
    def test_the_good_key_encrypts_and_never_expires(self, key: keys.KeyPair) -> None:
        assert fingerprint(key.public) == key.fingerprint
        assert capabilities(key.public) == "CES"
        assert [line[6] for line in show(key.public) if line[0] in {"pub", "sub"}] == ["", ""]
        assert [line[16] for line in show(key.public) if line[0] in {"pub", "sub"}] == ["ed25519", "cv25519"]

    def test_what_it_encrypts_its_secret_half_opens(self, key: keys.KeyPair, keyring: gnupg.GPG) -> None:
        keyring.import_keys(key.public)
        sealed = keyring.encrypt("kept", key.fingerprint, always_trust=True)
        assert sealed.ok
        assert not keyring.decrypt(str(sealed)).ok
        keyring.import_keys(key.secret)
        assert keyring.decrypt(str(sealed)).data == b"kept"

    def test_expired(self, key: keys.KeyPair) -> None:
        public = keys.expired(key)
        assert (fingerprint(public), validity(public), validity(public, "sub")) == (key.fingerprint, "e", "e")

    def test_revoked(self, key: keys.KeyPair) -> None:
        public = keys.revoked(key)
        assert (fingerprint(public), validity(public)) == (key.fingerprint, "r")

    def test_cannot_encrypt(self, key: keys.KeyPair) -> None:
        public = keys.cannot_encrypt(key)
        assert (fingerprint(public), capabilities(public)) == (key.fingerprint, "CS")

    def test_expiring(self, key: keys.KeyPair) -> None:
        public = keys.expiring(key, days=20)
        assert (fingerprint(public), validity(public)) == (key.fingerprint, "-")
        expiries = [int(line[6]) for line in show(public) if line[0] in {"pub", "sub"}]
        assert len(expiries) == 2
        for expiry in expiries:
            assert expiry - time.time() == pytest.approx(20 * 86400, abs=120)

    def test_the_secret_half_is_not_printed(self, key: keys.KeyPair) -> None:
        assert "PRIVATE" not in repr(key)

    def test_no_home_and_no_agent_is_left(self) -> None:
        with keys.private_home() as home:
            subprocess.run(["gpg", "--homedir", str(home), "--batch", "-K"], check=True, capture_output=True)
        assert not home.exists()


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "same_key", "valid", "can"),
        [
            ("key-expired", True, "e", ""),
            ("key-revoked", True, "r", ""),
            ("key-wrong", False, "-", "CES"),
            ("key-cannot-encrypt", True, "-", "CS"),
            ("key-expires-soon", True, "-", "CES"),
        ],
    )
    def test_the_current_key_goes_bad_and_comes_back(
        self, breakable_sandbox: Sandbox, fault: str, valid: str, can: str, *, same_key: bool
    ) -> None:
        environment = breakable_sandbox.environment()
        current, pinned = Path(environment["RAXX_BCP_GPG_PUBLIC_KEY_FILE"]), environment["RAXX_BCP_GPG_FINGERPRINT"]
        good = current.read_text()
        breakable_sandbox.break_(fault)
        public = current.read_text()
        assert (fingerprint(public) == pinned) is same_key
        assert (validity(public), capabilities(public)) == (valid, can)
        breakable_sandbox.up()
        assert validity(current.read_text()) == valid
        breakable_sandbox.mend(fault)
        assert current.read_text() == good

    def test_missing(self, breakable_sandbox: Sandbox) -> None:
        current = Path(breakable_sandbox.environment()["RAXX_BCP_GPG_PUBLIC_KEY_FILE"])
        breakable_sandbox.break_("key-missing")
        assert not current.exists()
        breakable_sandbox.up()
        assert not current.exists()
        breakable_sandbox.mend("key-missing")
        assert fingerprint(current.read_text()) == operator_key(breakable_sandbox.directory).fingerprint

    def test_of_two_the_one_that_is_left_shows_again(self, breakable_sandbox: Sandbox) -> None:
        current = Path(breakable_sandbox.environment()["RAXX_BCP_GPG_PUBLIC_KEY_FILE"])
        breakable_sandbox.break_("key-expired")
        breakable_sandbox.break_("key-missing")
        breakable_sandbox.mend("key-missing")
        assert validity(current.read_text()) == "e"


def test_without_gnupg_nothing_is_started(make: MakeSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from raxx_bcp_sandbox.parts import PARTS

    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=r"GnuPG is not installed: gpg .* Install the package gnupg") as error:
        make(PARTS).up()
    assert error.value.exit_code == 2
    assert make(PARTS).down() == ()
