"""iptables as an instance has it."""

from __future__ import annotations

import pytest

from raxx_bcp_sandbox.hosts.tables import Tables

OPEN = "-P OUTPUT ACCEPT\n"
CLOSED = """-P OUTPUT DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
"""
OUTSIDE = ("203.0.113.9", 25)


def ran(tables: Tables, *lines: str) -> None:
    """Each must be taken."""
    for line in lines:
        answer = tables.command(line.split())
        assert (answer.status, answer.err) == (0, b""), line


def shown(tables: Tables) -> str:
    """What is shown of OUTPUT."""
    return tables.command(["-S", "OUTPUT"]).out.decode()


@pytest.fixture
def closed() -> Tables:
    """As a launch script leaves it."""
    tables = Tables()
    ran(
        tables,
        "-w 5 -P OUTPUT DROP",
        "-I OUTPUT 1 -o lo -j ACCEPT",
        "-I OUTPUT 2 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    )
    return tables


def test_all_is_open_at_boot() -> None:
    tables = Tables()
    assert shown(tables) == OPEN
    assert tables.lets_out(*OUTSIDE)
    assert tables.lets_out("127.0.5.1", 22, loopback=True)
    assert tables.command(["-S"]).out == b"-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"


def test_closed_is_shown_as_iptables_shows_it(closed: Tables) -> None:
    assert shown(closed) == CLOSED
    assert not closed.lets_out(*OUTSIDE)
    assert closed.lets_out("127.0.5.1", 22, loopback=True)


def test_a_last_rule_refuses_where_the_policy_lets_wait(closed: Tables) -> None:
    assert closed.verdict(*OUTSIDE) == "DROP"
    ran(closed, "-A OUTPUT -j REJECT")
    assert closed.verdict(*OUTSIDE) == "REJECT"
    assert closed.verdict("127.0.5.1", 22, loopback=True) == "ACCEPT"


def test_a_policy_alone_closes_loopback_too() -> None:
    tables = Tables()
    ran(tables, "-P OUTPUT DROP")
    assert not tables.lets_out("127.0.5.1", 22, loopback=True)


def test_the_first_rule_that_matches_decides(closed: Tables) -> None:
    ran(closed, "-A OUTPUT -p tcp -d 203.0.113.0/24 --dport 25 -j ACCEPT")
    assert closed.lets_out(*OUTSIDE)
    assert not closed.lets_out("203.0.113.9", 26)
    assert not closed.lets_out("198.51.100.1", 25)
    assert "-A OUTPUT -d 203.0.113.0/24 -p tcp -m tcp --dport 25 -j ACCEPT" in shown(closed)
    ran(closed, "-I OUTPUT -d 203.0.113.9 -j REJECT")
    assert not closed.lets_out(*OUTSIDE)


def test_answers_let_nothing_new_out_and_new_ones_do(closed: Tables) -> None:
    ran(closed, "-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT")
    assert closed.lets_out(*OUTSIDE)


def test_rules_are_deleted_by_their_text_or_place_and_flushed(closed: Tables) -> None:
    ran(closed, "-C OUTPUT -o lo -j ACCEPT", "-D OUTPUT -o lo -j ACCEPT", "-D OUTPUT 1")
    assert shown(closed) == "-P OUTPUT DROP\n"
    ran(closed, "-A OUTPUT -j ACCEPT", "-F OUTPUT")
    assert shown(closed) == "-P OUTPUT DROP\n"
    ran(closed, "-A INPUT -j DROP", "-F")
    assert closed.command(["-S", "INPUT"]).out == b"-P INPUT ACCEPT\n"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "-P OUTPUT",
        "-P OUTPUT REJECT",
        "-P NOWHERE DROP",
        "-A OUTPUT",
        "-A OUTPUT -j NOWHERE",
        "-A OUTPUT -m conntrack --ctstate SOMETIMES -j ACCEPT",
        "-I OUTPUT 9 -j ACCEPT",
        "-D OUTPUT 1",
        "-D OUTPUT -o lo -j DROP",
        "-C OUTPUT -o lo -j DROP",
        "-t nat -F",
        "-S NOWHERE",
        "--no-such-option",
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(wrong: str) -> None:
    tables = Tables()
    answer = tables.command(wrong.split())
    assert answer.status == 2
    assert answer.err.startswith(b"iptables: ")
    assert shown(tables) == OPEN


def test_taken_and_not_applied() -> None:
    tables = Tables()
    for line in ("-P OUTPUT DROP", "-A OUTPUT -j DROP", "-F"):
        assert tables.command(line.split(), applies=False).status == 0
    assert shown(tables) == OPEN
    assert tables.lets_out(*OUTSIDE)


@pytest.mark.parametrize(
    ("device", "outside"),
    [("lo", False), ("docker0", False), ("br-+", False), ("eth0", True), ("eth+", True), ("+", True)],
)
def test_a_rule_of_a_device_is_for_that_device_only(*, device: str, outside: bool) -> None:
    tables = Tables()
    tables.command(["-P", "OUTPUT", "DROP"])
    tables.command(["-A", "OUTPUT", "-o", device, "-j", "ACCEPT"])
    assert tables.lets_out("203.0.113.7", 25) is outside
