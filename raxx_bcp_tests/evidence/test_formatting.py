"""Figures as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from raxx_bcp.evidence import formatting as wording
from raxx_bcp_tests.conftest import NOW


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (0.2, "under 1 s"),
        (0.9, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (432, "7 min 12 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (3660, "1 h 1 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
        (7_776_000, "90 d"),
        (-75, "-1 min 15 s"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert wording.spoken(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_500, "1.5 kB"),
        (23_456_789, "23.5 MB"),
        (2 * 10**9, "2.0 GB"),
    ],
)
def test_sizes(size: int | None, words: str) -> None:
    assert wording.sized(size) == words


def test_times_ages_and_money() -> None:
    assert wording.minute(NOW) == "2031-03-14 09:00"
    assert wording.minute(None) == "unknown"
    assert wording.second(NOW) == "2031-03-14 09:00:00"
    assert wording.second(None) == "not seen"
    assert wording.age(NOW - timedelta(hours=3, minutes=10), NOW, "never") == "3 h 10 min ago"
    assert wording.age(None, NOW, "never") == "never"
    assert wording.dollars(1_120) == "$0.0011"
