"""A restored host that may act on the world is never gone on with; and one that may not is.

Over real SSH; the programs that would act on this machine are the host's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.clients.ssh import connect
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.isolation import (
    ISOLATION,
    IsolationUnknownError,
    NotIsolatedError,
    isolate_and_assert,
    quieten_freescout,
)
from raxx_bcp.drills.hosts.launch_script import Install, ended_mark
from raxx_bcp.drills.hosts.shell import Host
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.policy import FreeScout, Policy, ThrowawayInstances
from raxx_bcp_tests.clients.leaks import everything_held
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.drills.engine.doubles import StillClock
from raxx_bcp_tests.drills.hosts.desk import FORWARD, FREESCOUT, RULES, UNITS, order, quiet

INSTALL = Install("1.8.145", "site", "help.example.com", 8088)
PROBES = ("192.0.2.1:443", "192.0.2.2:53")
SENDS = "artisan queue:work --queue=emails"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Host]]:
    home = tmp_path_factory.mktemp("host")
    with ssh_lab(home) as machine, connect(machine.access(), machine.port) as shell:
        yield machine, Host("raxx-tickets-restored", shell, 20.0)


@pytest.fixture
def machine(served: tuple[Machine, Host]) -> Machine:
    """One that is isolated, until a test makes it another."""
    quiet(served[0])
    for log in served[0].home.glob("*.log"):
        log.unlink()
    return served[0]


@pytest.fixture
def host(served: tuple[Machine, Host]) -> Host:
    return served[1]


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def drill(clock: StillClock, machine: Machine) -> Drill:
    made = Drill(order(), clock, clock.sleep, lambda _message: None)
    log(machine, made)
    return made


@pytest.fixture
def policy(machine: Machine) -> ThrowawayInstances:
    return ThrowawayInstances(worker_cidr="127.0.0.1/32", ssh_port=machine.port, egress_probes=PROBES)


def log(machine: Machine, drill: Drill, code: int = 0) -> None:
    """The launch script has ended."""
    (machine.home / "cloud-init-output.log").write_text(f"…\n{ended_mark(drill.id)} {code}\n")


def units(machine: Machine, active: str, enabled: str) -> None:
    """What systemctl says of supervisor; the others are quiet."""
    machine.program(
        "systemctl",
        f'case "$1 $2" in "is-active supervisor") echo "{active}" ;; "is-enabled supervisor") echo "{enabled}" ;;\n'
        "is-active*) echo inactive ;; *) echo masked ;; esac",
    )


# -- asserted --------------------------------------------------------------------------------------------


def test_an_isolated_host_is_gone_on_with_and_says_why(drill: Drill, host: Host, policy: ThrowawayInstances) -> None:
    isolate_and_assert(drill, host, policy, UNITS)
    (check,) = drill.results
    assert (check.name, check.status) == (ISOLATION, CheckStatus.PASS)
    assert drill.isolation == [
        *("cron does not run", "cron cannot start", "supervisor does not run", "supervisor cannot start"),
        *("postfix does not run", "postfix cannot start", "no FreeScout worker runs"),
        *("iptables: OUTPUT is closed", "iptables: FORWARD is closed"),
        *("ip6tables: OUTPUT is closed", "ip6tables: FORWARD is closed", "the probe itself works"),
        *("192.0.2.1:443 cannot be reached", "192.0.2.2:53 cannot be reached", "all of it was looked at"),
    ]
    assert check.actual == f"{len(drill.isolation)} assertions hold"


def test_the_probes_are_asked_with_a_time_limit(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances
) -> None:
    machine.program("nc", 'echo "$@" >>nc.log; [ "$4" = 127.0.0.1 ]')
    isolate_and_assert(drill, host, policy, UNITS)
    assert (machine.home / "nc.log").read_text().splitlines() == [
        f"-z -w 3 127.0.0.1 {machine.port}",
        "-z -w 3 192.0.2.1 443",
        "-z -w 3 192.0.2.2 53",
    ]


@pytest.mark.parametrize(
    ("active", "enabled"),
    [("failed", "masked"), ("inactive", "disabled"), ("inactive", "not-found"), ("inactive", "")],
)
def test_every_word_for_a_quiet_unit_is_known(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, active: str, enabled: str
) -> None:
    units(machine, active, enabled)
    isolate_and_assert(drill, host, policy, UNITS)


@pytest.mark.parametrize(
    ("program", "text", "said"),
    [
        ("pgrep", "echo 2", "FreeScout workers that run: 2"),
        ("nc", "exit 0", "192.0.2.1:443 can be reached"),
        ("nc", '[ "$4" = 127.0.0.1 ] || [ "$4" = 192.0.2.2 ]', "192.0.2.2:53 can be reached"),
    ],
)
def test_what_is_seen_to_be_open_ends_the_drill_as_failed(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, program: str, text: str, said: str
) -> None:
    machine.program(program, text)
    with pytest.raises(NotIsolatedError, match="is not isolated") as caught:
        isolate_and_assert(drill, host, policy, UNITS)
    assert isinstance(caught.value, PermanentError)
    (check,) = drill.results
    assert (check.name, check.status) == (ISOLATION, CheckStatus.FAIL)
    assert said in check.reason
    assert f"NOT ISOLATED: {said}" in "\n".join(drill.isolation)
    drill.broke(caught.value)
    assert drill.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("program", "text", "said"),
    [
        ("pgrep", "exit 2", "FreeScout workers that run: unknown"),
        ("nc", "exit 1", "the probe does not work"),
        ("nc", "exit 127", "the probe does not work"),
        ("systemctl", "exit 1", "cron is in an unknown state"),
        ("iptables", "exit 4", "iptables: whether OUTPUT is closed cannot be seen"),
        ("ip6tables", "exit 3", "ip6tables: whether FORWARD is closed cannot be seen"),
    ],
)
def test_what_cannot_be_seen_ends_the_drill_and_is_no_word_on_the_backup(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, program: str, text: str, said: str
) -> None:
    machine.program(program, text)
    with pytest.raises(IsolationUnknownError, match="is not known") as caught:
        isolate_and_assert(drill, host, policy, UNITS)
    (check,) = drill.results
    assert (check.name, check.status) == (ISOLATION, CheckStatus.NOT_RUN)
    assert said in check.reason
    assert f"NOT KNOWN: {said}" in "\n".join(drill.isolation)
    drill.broke(caught.value)
    assert drill.verdict is Verdict.COULD_NOT_VERIFY


@pytest.mark.parametrize(
    ("active", "enabled", "said"),
    [
        ("active", "enabled", "supervisor is active; supervisor is enabled: it can start"),
        ("inactive", "enabled", "supervisor is enabled: it can start"),
        ("activating", "masked", "supervisor is activating"),
        ("inactive", "static", "supervisor is static: it can start"),
    ],
)
def test_a_unit_that_runs_or_may_start_ends_the_drill(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, active: str, enabled: str, said: str
) -> None:
    units(machine, active, enabled)
    with pytest.raises(NotIsolatedError):
        isolate_and_assert(drill, host, policy, UNITS)
    assert drill.results[0].reason == said


@pytest.mark.parametrize("tables", ["iptables", "ip6tables"])
@pytest.mark.parametrize(
    "rules",
    [
        "-P OUTPUT ACCEPT\n",
        f"{RULES}-A OUTPUT -p tcp -m tcp --dport 25 -j ACCEPT\n",
        f"{RULES}-A OUTPUT -j ACCEPT\n",
        f"{RULES}-A OUTPUT -j ufw-before-output\n",
        f"{RULES}-A OUTPUT -o eth0 -j ACCEPT\n",
        f"{RULES}-A OUTPUT -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT\n",
        f"{RULES}-A OUTPUT ! -o lo -j ACCEPT\n",
        f"{RULES}-A OUTPUT -d 169.254.169.254/32 -j ACCEPT\n",
        f"{RULES}-A OUTPUT -d 169.254.0.0/16 -p tcp -m tcp --dport 80 -j ACCEPT\n",
        f"{RULES}-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 8080 -j ACCEPT\n",
    ],
    ids=["policy", "smtp", "all", "ufw", "device", "new", "not lo", "metadata host", "link-local", "metadata port"],
)
def test_a_rule_that_may_let_something_out_ends_the_drill(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, tables: str, rules: str
) -> None:
    (machine.home / f"{tables}.rules").write_text(rules)
    with pytest.raises(NotIsolatedError, match=f"{tables}: "):
        isolate_and_assert(drill, host, policy, UNITS)


@pytest.mark.parametrize("tables", ["iptables", "ip6tables"])
@pytest.mark.parametrize(
    "rules",
    [
        "-P FORWARD DROP\n",
        "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n",
        FORWARD.replace("-A FORWARD -o docker0", "-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0"),
        FORWARD.replace("-A FORWARD -o br-+", "-A FORWARD -o br-+ -j ACCEPT\n-A FORWARD -o eth0"),
        FORWARD.replace("-A FORWARD -j DROP\n", ""),
    ],
    ids=["only a policy", "docker's own", "docker came later", "a device", "no end"],
)
def test_a_way_out_for_containers_ends_the_drill(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, tables: str, rules: str
) -> None:
    (machine.home / f"{tables}.forward").write_text(rules)
    with pytest.raises(NotIsolatedError, match=f"{tables}: FORWARD may let a container"):
        isolate_and_assert(drill, host, policy, UNITS)


@pytest.mark.parametrize(
    "rules",
    [
        RULES.replace("RELATED,ESTABLISHED", "ESTABLISHED,RELATED"),
        f"{RULES}-A OUTPUT -o docker0 -j ACCEPT\n-A OUTPUT -o br-+ -j ACCEPT\n",
        f"{RULES}-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j ACCEPT\n",
        f"{RULES}-A OUTPUT -d 10.0.0.0/8 -j DROP\n-A OUTPUT -j REJECT --reject-with icmp-port-unreachable\n",
        "-P OUTPUT DROP\n",
    ],
    ids=["order", "its own containers", "the metadata service", "more that drops", "closed altogether"],
)
def test_a_rule_that_lets_nothing_out_is_fine(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, rules: str
) -> None:
    (machine.home / "iptables.rules").write_text(rules)
    isolate_and_assert(drill, host, policy, UNITS)


def test_a_look_that_breaks_off_is_no_assertion(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances
) -> None:
    machine.program("pgrep", "printf 'planted\\377'; kill -9 $PPID")
    with pytest.raises(IsolationUnknownError, match="could not be looked at") as caught:
        isolate_and_assert(drill, host, policy, UNITS)
    assert "planted" not in everything_held(caught.value)


def test_of_a_look_that_was_cut_off_nothing_is_believed(
    drill: Drill, host: Host, policy: ThrowawayInstances, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = host.script

    def cut(purpose: str, text: str, **named: Any) -> str:
        printed = whole(purpose, text, **named)
        return printed[: printed.index("looked=")] if "looked=" in printed else printed

    monkeypatch.setattr(host, "script", cut)
    with pytest.raises(IsolationUnknownError, match="the look broke off"):
        isolate_and_assert(drill, host, policy, UNITS)
    assert drill.results[0].status is CheckStatus.NOT_RUN


# -- the launch script is waited for ---------------------------------------------------------------------


def test_a_launch_script_that_still_runs_is_waited_for(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, clock: StillClock
) -> None:
    (machine.home / "cloud-init-output.log").write_text(f"{ended_mark('another-drill')} 0\n")
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        clock.sleep(seconds)
        if len(naps) == 3:
            log(machine, drill)

    drill.sleep = sleep
    isolate_and_assert(drill, host, policy, UNITS)
    assert naps == [10.0] * 3


def test_a_launch_script_that_never_ends_is_no_isolation(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances
) -> None:
    (machine.home / "cloud-init-output.log").unlink()
    slow = policy.model_copy(update={"poll_seconds": 60.0})
    with pytest.raises(IsolationUnknownError, match="had not ended after 20 minutes"):
        isolate_and_assert(drill, host, slow, UNITS)
    assert timedelta(minutes=20) <= drill.clock() - drill.started_utc < timedelta(minutes=22)


def test_packages_that_could_not_be_installed_judge_no_backup(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances
) -> None:
    log(machine, drill, code=100)
    with pytest.raises(CouldNotVerifyError, match="exit code 100"):
        isolate_and_assert(drill, host, policy, UNITS)
    assert drill.results == []


# -- FreeScout's queue -----------------------------------------------------------------------------------


def database(
    machine: Machine, sent: object, queued: object, left: object, zone: str | None = "UTC", tried: int = 0
) -> None:
    """A client that answers with four counts and keeps what it was asked."""
    counts = f"{sent}\\n{tried}\\n{queued}\\n{left}\\n"
    machine.program("mariadb", f'echo "$@" >mariadb.argv; cat >mariadb.in; printf "{counts}"')
    site = Path(machine.home / "site")
    site.mkdir(exist_ok=True)
    (site / ".env").write_text("APP_KEY=base64:rxs_key\n" + (f"APP_TIMEZONE={zone}\n" if zone else ""))


def test_the_queue_is_counted_and_emptied(drill: Drill, machine: Machine, host: Host) -> None:
    database(machine, 0, 3, 0)
    assert quieten_freescout(drill, host, FREESCOUT) == 3
    asked = (machine.home / "mariadb.in").read_text()
    assert asked.splitlines() == [
        "SELECT COUNT(*) FROM send_logs WHERE status = 1 AND created_at >= '2031-03-14 09:01:00';",
        "SELECT COUNT(*) FROM send_logs WHERE COALESCE(status, 0) <> 1 AND created_at >= '2031-03-14 09:01:00';",
        "SELECT COUNT(*) FROM jobs;",
        "DELETE FROM jobs;",
        "SELECT COUNT(*) FROM jobs;",
    ]
    assert (machine.home / "mariadb.argv").read_text().rstrip().endswith(" freescout")
    assert drill.isolation == [
        "no mail was handed over since boot, 0 attempts did not get out (send_logs)",
        "queue emptied: 3 jobs, now 0",
    ]


def test_an_attempt_that_did_not_get_out_is_on_record_and_no_mail(drill: Drill, machine: Machine, host: Host) -> None:
    """Status 2: the mail server was not reached, as it should be."""
    database(machine, 0, 3, 0, tried=7)
    assert quieten_freescout(drill, host, FREESCOUT) == 3
    assert "no mail was handed over since boot, 7 attempts did not get out (send_logs)" in drill.isolation


def test_the_boot_is_told_by_the_hosts_own_clock_and_systemds_count(drill: Drill, machine: Machine, host: Host) -> None:
    """In a container ``uptime`` is the outer machine's, and a clock that was set since the boot moves it."""
    database(machine, 0, 0, 0)
    started = float(Path("/proc/uptime").read_text().split()[0]) - 100
    machine.program(
        "systemctl", f'[ "$*" = "show -p UserspaceTimestampMonotonic --value" ] && echo {started * 1e6:.0f}'
    )
    quieten_freescout(drill, host, FREESCOUT)
    asked = (machine.home / "mariadb.in").read_text()
    told = datetime.strptime(asked.partition("created_at >= '")[2][:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert 99 <= (datetime.now(UTC) - told).total_seconds() <= 115


@pytest.mark.parametrize("last", ["DROP", "REJECT --reject-with icmp-port-unreachable"])
def test_a_chain_may_end_in_either_word(
    drill: Drill, machine: Machine, host: Host, policy: ThrowawayInstances, last: str
) -> None:
    (machine.home / "iptables.forward").write_text(FORWARD.replace("-j DROP", f"-j {last}"))
    (machine.home / "iptables.rules").write_text(f"{RULES}-A OUTPUT -j {last}\n")
    isolate_and_assert(drill, host, policy, UNITS)


@pytest.mark.parametrize(
    ("zone", "booted"),
    [
        ("America/New_York", "2031-03-14 05:01:00"),
        ('"Europe/Berlin"', "2031-03-14 10:01:00"),
        ("'Asia/Kolkata'  # ours", "2031-03-14 14:31:00"),
        (None, "2031-03-14 09:01:00"),
    ],
)
def test_the_boot_is_compared_in_freescouts_own_time_zone(
    drill: Drill, machine: Machine, host: Host, zone: str | None, booted: str
) -> None:
    database(machine, 0, 0, 0, zone)
    quieten_freescout(drill, host, FREESCOUT)
    assert f"created_at >= '{booted}'" in (machine.home / "mariadb.in").read_text()


@pytest.mark.parametrize(
    ("counts", "error", "said"),
    [
        ((2, 3, 0), NotIsolatedError, "2 mails were handed over since it booted"),
        ((0, 3, 1), NotIsolatedError, "1 jobs are left in the queue"),
        (("", 3, 0), IsolationUnknownError, "could not be read"),
        (("0\\n0", 3, 0), IsolationUnknownError, "could not be read"),
    ],
)
def test_a_mail_that_was_sent_or_a_job_that_is_left_ends_the_drill(
    drill: Drill,
    machine: Machine,
    host: Host,
    counts: tuple[object, object, object],
    error: type[BcpError],
    said: str,
) -> None:
    database(machine, *counts)
    with pytest.raises(error, match=said):
        quieten_freescout(drill, host, FREESCOUT)


def test_a_database_that_does_not_run_cannot_be_quietened(drill: Drill, machine: Machine, host: Host) -> None:
    database(machine, 0, 0, 0)
    machine.program("mariadb", "echo 'ERROR 2002 (HY000): no' >&2; exit 1")
    with pytest.raises(IsolationUnknownError, match="does not run"):
        quieten_freescout(drill, host, FREESCOUT)


@pytest.mark.parametrize("uptime", ["exit 1", "echo whenever"])
def test_a_host_that_does_not_say_when_it_booted_is_not_trusted(
    drill: Drill, machine: Machine, host: Host, uptime: str
) -> None:
    database(machine, 0, 0, 0)
    machine.program("uptime", uptime)
    with pytest.raises(IsolationUnknownError):
        quieten_freescout(drill, host, FREESCOUT)


def test_the_shipped_policy_quietens_what_a_freescout_runs() -> None:
    assert {"cron", "supervisor", "postfix"} <= set(FreeScout().quiet_units)
    assert {"cron", "postfix"} <= set(Policy().vault_drill.quiet_units)
