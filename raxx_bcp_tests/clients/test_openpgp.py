"""The packet walk against messages that real gpg made: readers as gpg lists them, and nothing short of whole."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raxx_bcp.clients.openpgp import MalformedError, inspect
from raxx_bcp_sandbox.keys import KeyPair
from raxx_bcp_tests.clients.gnupg_lab import encrypted, gnupg_home, gpg, key_ids_by_gpg

SIZES = {"0 B": 0, "1 B": 1, "191 B": 191, "8 kB": 8_000, "10 kB": 10_000, "5 MB": 5_000_000}
COMPRESSION = {"uncompressed": ["-z", "0"], "zlib": ["--compress-algo", "zlib", "-z", "1"], "default": []}
Make = Callable[[str, str], bytes]


@pytest.fixture(scope="session")
def message(operator: KeyPair) -> Make:
    made: dict[tuple[str, str], bytes] = {}

    def make(size: str, compression: str) -> bytes:
        if (size, compression) not in made:
            plaintext = random.Random(size).randbytes(SIZES[size])  # noqa: S311 - only noise, the same each time
            made[size, compression] = encrypted(plaintext, operator, options=COMPRESSION[compression])
        return made[size, compression]

    return make


@pytest.fixture(scope="session")
def short(message: Make) -> bytes:
    return message("1 B", "zlib")


@pytest.fixture(scope="session")
def long(message: Make) -> bytes:
    return message("5 MB", "uncompressed")


def refused(data: bytes) -> str:
    with pytest.raises(MalformedError) as caught:
        inspect(data)
    return str(caught.value)


@pytest.mark.parametrize("compression", COMPRESSION)
@pytest.mark.parametrize("size", SIZES)
def test_the_recipients_are_those_that_gpg_lists(message: Make, size: str, compression: str) -> None:
    made = message(size, compression)
    by_gpg = key_ids_by_gpg(made)
    assert len(by_gpg) == 1
    assert list(inspect(made).recipients) == by_gpg


def test_all_of_several_recipients_are_named(operator: KeyPair, stranger: KeyPair) -> None:
    made = encrypted(b"x" * 500, operator, stranger)
    by_gpg = key_ids_by_gpg(made)
    assert len(set(by_gpg)) == 2
    assert list(inspect(made).recipients) == by_gpg


def test_a_hidden_recipient_is_shown_as_zeros(operator: KeyPair) -> None:
    assert inspect(encrypted(b"x", operator, options=["--throw-keyids"])).recipients == ("0" * 16,)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_read(short: bytes, kind: Callable[[bytes], bytes]) -> None:
    assert len(inspect(kind(short)).recipients) == 1


@pytest.mark.parametrize("compression", COMPRESSION)
@pytest.mark.parametrize("size", ["0 B", "1 B", "191 B", "8 kB", "10 kB"])
def test_cut_anywhere_it_is_malformed(message: Make, size: str, compression: str) -> None:
    made = message(size, compression)
    step = max(1, len(made) // 2_000)
    for cut in {*range(0, len(made), step), *range(max(0, len(made) - 300), len(made))}:
        with pytest.raises(MalformedError):
            inspect(memoryview(made)[:cut])


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_long_message_cut_anywhere_is_malformed(long: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(long) - 1))
    with pytest.raises(MalformedError):
        inspect(memoryview(long)[:cut])


@given(trailing=st.binary(min_size=1, max_size=50))
@settings(max_examples=150, deadline=None)
def test_anything_after_the_end_is_malformed(short: bytes, trailing: bytes) -> None:
    with pytest.raises(MalformedError):
        inspect(short + trailing)


@pytest.mark.parametrize("trailing", [b"\n", b"\0", b"\xff", b"<html></html>"])
def test_rubbish_after_a_long_message_is_found(long: bytes, trailing: bytes) -> None:
    refused(long + trailing)


def test_two_messages_in_one_are_malformed(short: bytes) -> None:
    assert "follows the encrypted data" in refused(short + short)


def test_how_much_is_missing_is_told(short: bytes) -> None:
    assert refused(short[:-7]) == "it ends early: 7 bytes are missing"


def test_a_message_that_a_passphrase_opens_too_is_refused(operator: KeyPair) -> None:
    with gnupg_home(operator.public) as home:
        quick = ("--s2k-count", "65536", "--passphrase", "p")
        recipient = ("--trust-model", "always", "--recipient", operator.fingerprint, "--encrypt")
        both = gpg(home, *quick, *recipient, "--symmetric", stdin=b"x")
        only = gpg(home, *quick, "--symmetric", stdin=b"x")
    assert "passphrase" in refused(both)
    assert "passphrase" in refused(only)


def test_what_is_no_encrypted_message_is_refused(operator: KeyPair) -> None:
    with gnupg_home(operator.secret) as home:
        public = gpg(home, "--export", operator.fingerprint)
        signed = gpg(home, "-z", "0", "--sign", stdin=b"x" * 100)
        compressed = gpg(home, "--sign", stdin=b"x" * 100)
        armoured = gpg(home, "--trust-model", "always", "-r", operator.fingerprint, "--armor", "-e", stdin=b"x")
        plain = gpg(home, "--store", "-z", "0", stdin=b"x" * 100)
    for data in (public, signed, plain):
        assert "has no place in an encrypted message" in refused(data)
    assert "indeterminate length" in refused(compressed)
    assert refused(armoured) == "no packet starts at byte 0"
    assert refused(b'{"error":"401"}') == "no packet starts at byte 0"
    assert refused(b"") == "it holds no encrypted data"


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, len(body)]) + body


RECIPIENT = packet(1, b"\x03" + bytes(range(8)) + b"\x12rest")
SEALED = packet(18, b"\x01sealed")


def test_a_message_made_by_hand_is_understood() -> None:
    assert inspect(RECIPIENT + SEALED).recipients == ("0001020304050607",)
    assert inspect(RECIPIENT + packet(20, b"\x01sealed")).recipients == ("0001020304050607",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (RECIPIENT, "it holds no encrypted data"),
        (SEALED, "it names no recipient"),
        (SEALED + RECIPIENT, "a packet of tag 1 follows the encrypted data"),
        (RECIPIENT + packet(9, b"sealed"), "a packet of tag 9 has no place"),
        (packet(1, b"\x06" + bytes(12)) + SEALED, "unknown version"),
        (packet(1, b"\x03abc") + SEALED, "unknown version"),
        (RECIPIENT + bytes([0x80 | 18 << 2 & 0x3C | 3]) + b"sealed", "indeterminate length"),
        (RECIPIENT + b"\xd2\xff\xff\xff\xff\xffsealed", "bytes are missing"),
    ],
)
def test_each_departure_has_its_reason(data: bytes, reason: str) -> None:
    assert reason in refused(data)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_malformed_and_never_a_crash(data: bytes) -> None:
    with pytest.raises(MalformedError):
        inspect(data)


@given(start=st.sampled_from([RECIPIENT, RECIPIENT + b"\xd2", b"\x84", b"\xc1"]), data=st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_a_plausible_start_is_a_message_or_malformed_and_never_a_crash(start: bytes, data: bytes) -> None:
    try:
        assert all(len(recipient) == 16 for recipient in inspect(start + data).recipients)
    except MalformedError as error:
        assert str(error)  # noqa: PT017 - either answer is right, any other exception is not


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_byte_is_never_a_crash(short: bytes, data: st.DataObject) -> None:
    damaged = bytearray(short)
    damaged[data.draw(st.integers(0, len(short) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        inspect(damaged)
    except MalformedError as error:
        assert str(error)  # noqa: PT017 - either answer is right, any other exception is not
