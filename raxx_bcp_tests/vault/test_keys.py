"""The operator's key: pinned twice alike or not at all, found where the environment says, warned of in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.gpg import KeyRefusedError, PublicKey
from raxx_bcp.errors import UsageError
from raxx_bcp.vault.keys import expiry_check, operator_key

PIN = "0123456789ABCDEF0123456789ABCDEF01234567"
OTHER = "FEDCBA9876543210FEDCBA9876543210FEDCBA98"
INLINE = {"RAXX_BCP_GPG_PUBLIC_KEY": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}
NOW = datetime(2026, 2, 3, 7, 0, tzinfo=UTC)
DAYS = (60, 30, 7)


@pytest.mark.parametrize(
    ("policy", "environment"),
    [(PIN, PIN), (PIN, None), (PIN, ""), ("", PIN), ("", PIN.lower()), (PIN, f" {PIN[:20].lower()} {PIN[20:]} ")],
)
def test_one_pin_or_two_that_agree_are_accepted(policy: str, environment: str | None) -> None:
    environ = INLINE if environment is None else {**INLINE, "RAXX_BCP_GPG_FINGERPRINT": environment}
    assert operator_key(policy, environ).fingerprint == PIN


def test_two_pins_that_disagree_are_refused_with_both() -> None:
    with pytest.raises(UsageError) as caught:
        operator_key(PIN, {**INLINE, "RAXX_BCP_GPG_FINGERPRINT": OTHER})
    assert PIN in caught.value.what
    assert OTHER in caught.value.what
    assert "in person" in caught.value.remedy


@pytest.mark.parametrize("environment", [{}, {"RAXX_BCP_GPG_FINGERPRINT": " "}])
def test_without_a_pin_any_key_would_do_and_so_none_does(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="No key fingerprint is pinned") as caught:
        operator_key("", {**INLINE, **environment})
    assert "vault_export.gpg_fingerprint" in caught.value.remedy


def test_the_key_is_read_from_the_variable() -> None:
    assert operator_key(PIN, INLINE).armoured == INLINE["RAXX_BCP_GPG_PUBLIC_KEY"].encode()


def test_the_key_is_read_from_the_file_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "operator.asc"
    path.write_bytes(b"\x98\x33\r\n\xff")
    assert operator_key(PIN, {"RAXX_BCP_GPG_PUBLIC_KEY_FILE": str(path)}).armoured == b"\x98\x33\r\n\xff"


def test_the_variable_wins_over_the_file(tmp_path: Path) -> None:
    environ = {**INLINE, "RAXX_BCP_GPG_PUBLIC_KEY_FILE": str(tmp_path / "not-there.asc")}
    assert operator_key(PIN, environ).armoured == INLINE["RAXX_BCP_GPG_PUBLIC_KEY"].encode()


def test_without_variable_and_file_the_key_is_missing() -> None:
    with pytest.raises(KeyRefusedError, match="public key is missing: neither") as caught:
        operator_key(PIN, {})
    assert "RAXX_BCP_GPG_PUBLIC_KEY_FILE" in caught.value.remedy


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone.asc", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(KeyRefusedError) as caught:
            operator_key(PIN, {"RAXX_BCP_GPG_PUBLIC_KEY_FILE": str(path)})
        assert caught.value.what == f"The operator's public key file {path} cannot be read: {reason}."


def test_without_an_argument_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAXX_BCP_GPG_FINGERPRINT", PIN)
    monkeypatch.setenv("RAXX_BCP_GPG_PUBLIC_KEY", "key")
    assert operator_key("") == operator_key(PIN, {"RAXX_BCP_GPG_PUBLIC_KEY": "key"})


def key(days: float | None) -> PublicKey:
    expires = None if days is None else NOW + timedelta(days=days)
    return PublicKey(PIN, "Raxx operator", "0123456789ABCDEF", expires)


@pytest.mark.parametrize("days", [None, 20_000, 61, 60.001])
def test_a_key_that_lasts_passes(days: float | None) -> None:
    check = expiry_check(key(days), DAYS, NOW)
    assert (check.name, check.status, check.remedy) == ("key_expiry", Status.PASS, "")
    assert PIN in check.detail


@pytest.mark.parametrize(
    ("days", "within"), [(60, 60), (59.9, 60), (30.001, 60), (30, 30), (7.5, 30), (7, 7), (1, 7), (0.01, 7), (-1, 7)]
)
def test_a_key_that_ends_soon_is_warned_of_with_the_nearest_threshold(days: float, within: int) -> None:
    check = expiry_check(key(days), DAYS, NOW)
    assert check.status is Status.WARN
    assert f"(within {within})" in check.detail
    assert "--quick-set-expire" in check.remedy


def test_a_warning_names_key_date_and_days() -> None:
    detail = expiry_check(key(30.5), DAYS, NOW).detail
    assert detail.startswith(f"{PIN} expires on 2026-03-05, in 30 days (within 60).")


def test_without_warning_days_nothing_is_warned_of() -> None:
    assert expiry_check(key(1), (), NOW).status is Status.PASS


def test_the_days_are_counted_from_the_clock_that_is_given() -> None:
    one = key(100)
    assert expiry_check(one, DAYS, NOW).status is Status.PASS
    assert expiry_check(one, DAYS, NOW + timedelta(days=41)).status is Status.WARN
