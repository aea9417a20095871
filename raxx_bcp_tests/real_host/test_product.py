"""The product's own looks at a restored host, over real SSH, on a real one: healthy, and with each of its faults.

The faults are those that the sandbox's hosts have (``raxx_bcp_sandbox/hosts/quirks.py``), and holes that only a real
host has. Each is made on a running copy and taken back; a copy that boots with one has a boot of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from raxx_bcp.clients.ssh import LoginRefusedError, WrongHostError
from raxx_bcp.clock import utc_now
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.freescout import compare, site
from raxx_bcp.drills.freescout.examine import CHECKS, DATABASE
from raxx_bcp.drills.hosts.isolation import ISOLATION, IsolationUnknownError, NotIsolatedError
from raxx_bcp.drills.hosts.launch_script import ended_mark
from raxx_bcp.drills.hosts.silence import SILENT, assert_silent
from raxx_bcp.errors import TransientError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_sandbox.freescout.rows import HelpDesk
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_tests.drills.hosts.desk import order
from raxx_bcp_tests.real_host import production
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.entered import DRILL_ID, Entered, enter, failed
from raxx_bcp_tests.real_host.login import access, log_in
from raxx_bcp_tests.real_host.looks import mailed
from raxx_bcp_tests.real_host.machine import Disk, wait
from raxx_bcp_tests.real_host.test_silence import SLOW

ENV = "/var/www/html/.env"
ATTACHMENTS = "/var/www/html/storage/app/attachment"


@pytest.fixture(scope="module")
def copy(module_rack: Rack, guarded: Disk, authority: Authority, desk: HelpDesk) -> Entered:
    """A guarded copy; what a test breaks in it, it mends."""
    return enter(module_rack, guarded, authority, desk)


@contextmanager
def broken(copy: Entered, how: str, mend: str) -> Iterator[None]:
    """The copy is broken by one script of sh while the block runs, and mended by the other."""
    try:
        copy.machine.run("sh", "-e", stdin=how)
        yield
    finally:
        copy.machine.run("sh", "-e", stdin=mend)


# -- healthy --------------------------------------------------------------------------------------------------------


def test_a_guarded_copy_passes_all_of_it(copy: Entered) -> None:
    drill = Drill(order(), utc_now, time.sleep, lambda _message: None, id=DRILL_ID)
    assert_silent(drill, copy.host, guarded=True)
    assert drill.results[0].status is CheckStatus.PASS
    assert drill.isolation[0].startswith("silent before the network: 0 s (")
    assert copy.isolate().results[0].status is CheckStatus.PASS
    began = time.monotonic()
    found = copy.examine()
    assert time.monotonic() - began < 30, "a command waited for a name server"
    assert {name: one.reason for name, one in found.items() if one.status is not CheckStatus.PASS} == {}
    assert set(found) == set(CHECKS)
    assert found[compare.JOBS].actual == f"{len(production.CUSTOMERS)} queued"
    assert copy.machine.outside.mails == []
    assert copy.machine.outside.left == []


def test_a_worker_that_runs_all_the_same_tries_in_vain_and_that_is_told_apart(copy: Entered) -> None:
    production.queue_replies(copy.machine)
    copy.machine.run("python3", "/var/www/html/artisan", "schedule:run")
    tried = len(production.CUSTOMERS)
    said = copy.quieten().isolation[-2]
    assert said == f"no mail was handed over since boot, {tried} attempts did not get out (send_logs)"
    assert copy.machine.outside.mails == []


# -- a copy that is no backup ---------------------------------------------------------------------------------------

OTHER_KEY = "base64:" + "A" * 43 + "="
ANOTHER_KEY = (f"sed -i.kept 's|^APP_KEY=.*|APP_KEY={OTHER_KEY}|' {ENV}", f"mv {ENV}.kept {ENV}")
NO_KEY = (f"sed -i.kept 's|^APP_KEY=.*|APP_KEY=|' {ENV}", f"mv {ENV}.kept {ENV}")
NO_FILES = (f"mv {ATTACHMENTS} {ATTACHMENTS}.gone", f"mv {ATTACHMENTS}.gone {ATTACHMENTS}")
NO_TABLE = (
    "mariadb freescout -e 'RENAME TABLE customers TO gone'",
    "mariadb freescout -e 'RENAME TABLE gone TO customers'",
)
NO_ROW = (
    "mariadb freescout -e 'CREATE TABLE kept SELECT * FROM folders LIMIT 1; DELETE FROM folders LIMIT 1'",
    "mariadb freescout -e 'INSERT INTO folders SELECT * FROM kept; DROP TABLE kept'",
)
OTHER_TEXT = (
    "mariadb freescout -e 'UPDATE threads SET type = type + 50 WHERE id = 7'",
    "mariadb freescout -e 'UPDATE threads SET type = type - 50 WHERE id = 7'",
)
NO_DATABASE = ("systemctl stop mariadb.socket mariadb.service", "systemctl start mariadb.socket mariadb.service")


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        (ANOTHER_KEY, {compare.APP_KEY}),
        (NO_KEY, {compare.APP_KEY}),
        (NO_FILES, {compare.ATTACHMENTS, site.LINK}),
        (NO_TABLE, {compare.SCHEMA, compare.ROWS, compare.ORPHANS}),
        (NO_ROW, {compare.ROWS, compare.ORPHANS}),
        (OTHER_TEXT, {compare.CONTENT}),
        (NO_DATABASE, {DATABASE, compare.APP_KEY, compare.MIGRATIONS, compare.ATTACHMENTS, site.LINK, site.LOGIN}),
    ],
    ids=["another key", "no key", "no attachments", "no table", "a row less", "another text", "no database"],
)
def test_what_is_wrong_with_the_help_desk_is_seen(copy: Entered, fault: tuple[str, str], caught_by: set[str]) -> None:
    with broken(copy, *fault):
        assert failed(copy.examine()) == caught_by
    assert failed(copy.examine()) == set()


def test_a_page_that_would_write_a_new_key_is_not_asked(copy: Entered) -> None:
    with broken(copy, *NO_KEY):
        found = copy.examine()
        assert {found[name].status for name in site.CHECKS} == {CheckStatus.NOT_RUN}
        assert "APP_KEY=\n" in copy.machine.run("cat", ENV)


# -- a copy that may act --------------------------------------------------------------------------------------------

LIST = "/etc/copy-guard/list"
ALLOW_CRON = f"""\
cp {LIST} {LIST}.kept
sed -i 's/ cron\\.service / /' {LIST}
echo 'allow cron.service' >>{LIST}
rm /etc/systemd/system/cron.service
systemctl daemon-reload
systemctl enable --quiet cron
"""
MASK_CRON = f"""\
systemctl stop cron
systemctl disable --quiet cron
systemctl mask --quiet cron
mv {LIST}.kept {LIST}
systemctl daemon-reload
"""
CRON_CAN_START = (ALLOW_CRON, MASK_CRON)
CRON_RUNS = (f"{ALLOW_CRON}systemctl start cron", MASK_CRON)
EGRESS_OPEN = ("iptables-save >/run/kept; iptables -P OUTPUT ACCEPT; iptables -F OUTPUT", "iptables-restore /run/kept")
A_HOLE = ("iptables -I OUTPUT 1 -d 192.0.2.25 -j ACCEPT", "iptables -D OUTPUT 1")
IPV6_OPEN = (
    "ip6tables-save >/run/kept; ip6tables -P OUTPUT ACCEPT; ip6tables -F OUTPUT",
    "ip6tables-restore /run/kept",
)
CONTAINERS_OPEN = ("iptables -I FORWARD 1 -j ACCEPT", "iptables -D FORWARD 1")
WORKER_RUNS = (
    "systemd-run --quiet --unit=by-hand python3 /var/www/html/artisan queue:work; sleep 0.3",
    "systemctl stop by-hand",
)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (CRON_CAN_START, ["cron is enabled: it can start"]),
        (CRON_RUNS, ["cron is active", "cron is enabled: it can start"]),
        (EGRESS_OPEN, ["iptables: OUTPUT is not closed", "192.0.2.25:25 can be reached: egress is open"]),
        (A_HOLE, ["iptables: 1 rules may let something out", "192.0.2.25:25 can be reached: egress is open"]),
        (IPV6_OPEN, ["ip6tables: OUTPUT is not closed"]),
        (CONTAINERS_OPEN, ["iptables: FORWARD may let a container's traffic out"]),
        (WORKER_RUNS, ["FreeScout workers that run: 1"]),
    ],
    ids=["cron can start", "cron runs", "egress", "a hole", "IPv6", "containers", "a worker"],
)
def test_a_second_belt_that_does_not_hold_ends_the_drill(
    copy: Entered, fault: tuple[str, str], said: list[str]
) -> None:
    with broken(copy, *fault):
        with pytest.raises(NotIsolatedError):
            copy.isolate()
        told = {each for each in copy.last.isolation if each.startswith("NOT")}
        assert told >= {f"NOT ISOLATED: {each}" for each in said}  # at the full minute, cron has begun a worker, too
        assert [(one.name, one.status) for one in copy.last.results] == [(ISOLATION, CheckStatus.FAIL)]
    copy.isolate()


def test_a_probe_that_cannot_reach_anything_proves_nothing(copy: Entered) -> None:
    with broken(copy, "mv /usr/bin/nc /usr/bin/nc.gone", "mv /usr/bin/nc.gone /usr/bin/nc"):
        with pytest.raises(IsolationUnknownError, match="the probe does not work"):
            copy.isolate()
        assert copy.last.results[0].status is CheckStatus.NOT_RUN


# -- somebody else's host -------------------------------------------------------------------------------------------


def heard(copy: Entered) -> list[str]:
    """What the host's SSH server wrote down."""
    copy.machine.run("journalctl", "--sync")
    return copy.machine.run("journalctl", "-b", "-u", "ssh", "-o", "cat", "--no-pager").splitlines()


def test_another_host_key_is_refused_before_a_word_about_the_login(copy: Entered, authority: Authority) -> None:
    known = access(copy.machine, authority)
    algorithm, key = known.host_keys[0]
    before = len(heard(copy))
    with pytest.raises(WrongHostError, match="Nothing was sent to it"):
        log_in(copy.machine, replace(known, host_keys=((algorithm, f"{key[:-8]}AAAAAAAA"),)))
    wait(lambda: len(heard(copy)) > before, 10, "the SSH server has heard nothing")
    assert [line for line in heard(copy)[before:] if production.LOGIN in line] == []


def test_another_authority_and_an_old_certificate_are_not_let_in(
    copy: Entered, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = len(heard(copy))
    stranger = Authority(tmp_path_factory.mktemp("stranger") / "key")
    with pytest.raises(LoginRefusedError):
        log_in(copy.machine, access(copy.machine, stranger))
    old = authority.login(production.LOGIN, time.time() - 3600, 60)
    known = replace(access(copy.machine, authority), private_key=old["privateKey"], certificate=old["certKey"])
    with pytest.raises(LoginRefusedError):
        log_in(copy.machine, known)
    assert [line for line in heard(copy)[before:] if "Accepted" in line] == []


def test_where_nobody_listens_a_later_look_may_see_more(copy: Entered, authority: Authority) -> None:
    with pytest.raises(TransientError):
        log_in(copy.machine, access(copy.machine, authority), port=2222)


# -- copies that boot wrong -----------------------------------------------------------------------------------------


def test_an_unguarded_copy_has_mailed_customers_and_is_caught_by_its_marks_and_by_the_mails(
    rack: Rack, unguarded: Disk, authority: Authority, desk: HelpDesk
) -> None:
    """The record said that it is guarded. The launch script comes when all is up, and that is too late."""
    copy = enter(rack, unguarded, authority, desk, change=SLOW)
    assert set(production.CUSTOMERS) <= set(copy.machine.outside.mails)
    drill = copy.drill()
    with pytest.raises(NotIsolatedError, match="the copy guard left no marks"):
        assert_silent(drill, copy.host, guarded=True)
    assert [(one.name, one.status) for one in drill.results] == [(SILENT, CheckStatus.FAIL)]
    copy.isolate()  # by now
    with pytest.raises(NotIsolatedError, match=r"[1-9] mails were handed over since it booted"):
        copy.quieten()


def test_a_guard_that_only_says_yes_is_caught_by_what_runs_and_by_the_mails(
    rack: Rack, guarded: Disk, authority: Authority, desk: HelpDesk
) -> None:
    """Its unit and its marks are all there and in time. It masks nothing and closes nothing."""
    lying = (
        "sed -i -e 's|^ *ln -sf /dev/null.*|masked=$((masked + 1))|' {root}/etc/systemd/system-generators/copy-guard\n"
        "sed -i -e 's/^close_egress() {{/close_egress() {{ return 0/' {root}/etc/copy-guard/copy-guard"
    )
    nothing = f'#!/bin/sh\necho "{ended_mark(DRILL_ID)} 0"\n'
    copy = enter(rack, guarded, authority, desk, change=lying, script=nothing)
    assert_silent(copy.drill(), copy.host, guarded=True)  # it is taken in
    wait(lambda: mailed(copy.machine), 30, f"customers were not mailed, but {copy.machine.outside.mails}")
    with pytest.raises(NotIsolatedError) as caught:
        copy.isolate()
    for each in ("cron is active", "supervisor is active", "OUTPUT is not closed", "192.0.2.25:25 can be reached"):
        assert each in str(caught.value)
    with pytest.raises(NotIsolatedError, match=r"[1-9] mails were handed over since it booted"):
        copy.quieten()


def test_a_guard_that_comes_late_is_caught_by_the_seconds(
    rack: Rack, guarded: Disk, authority: Authority, desk: HelpDesk
) -> None:
    late = (
        "sed -i -e '/^Before=/d' -e '/^DefaultDependencies=/d' -e 's/^After=.*/After=mariadb.service/' "
        "-e 's/sysinit.target.requires/multi-user.target.wants/' {root}/etc/systemd/system-generators/copy-guard"
    )
    copy = enter(rack, guarded, authority, desk, change=late)
    drill = copy.drill()
    with pytest.raises(NotIsolatedError, match="it could have acted for"):
        assert_silent(drill, copy.host, guarded=True)
    assert drill.results[0].status is CheckStatus.FAIL
