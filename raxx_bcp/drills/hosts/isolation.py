"""Isolation, asserted: before a drill uses a restored host, it shows that the host cannot act on the world.

Each assertion becomes a line of the drill's record. One that does not hold, or cannot be made, ends the drill.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from raxx_bcp.clients.ssh import CommandFailedError
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.launch_script import WORKERS, ended_mark
from raxx_bcp.drills.hosts.shell import Host
from raxx_bcp.errors import BackupWrongError, CouldNotVerifyError, TransientError
from raxx_bcp.policy import FreeScout, ThrowawayInstances
from raxx_bcp.waiting import Deadline, Waiting

ISOLATION: Final = "isolation"
"""The name of the check."""

PROBE_SECONDS: Final = 3
_LOGS: Final = ("cloud-init-output.log", "/var/log/cloud-init-output.log")
"""Where cloud-init stores the launch script's output; in the login's home where a host is a single directory."""
_STOPPED: Final = ("inactive", "failed")
_CANNOT_START: Final = ("masked", "masked-runtime", "disabled", "not-found", "")
"""``systemctl is-enabled``; of a unit that does not exist systemd before 253 prints nothing."""
_POLICY: Final = "-P OUTPUT DROP"
_HARMLESS: Final = re.compile(
    r"-A (?:OUTPUT|FORWARD) (?:-o (?:lo|docker0|br-\+)"
    r"|-m (?:conntrack --ct|state --)state (?:RELATED,ESTABLISHED|ESTABLISHED,RELATED)) -j ACCEPT"
    r"|-A OUTPUT -d 169\.254\.169\.254/32 -p tcp -m tcp --dport 80 -j ACCEPT"
    r"|-A (?:OUTPUT|FORWARD) (?:.* )?-j (?:DROP|REJECT(?: --reject-with \S+)?)"
)
"""Loopback, answers, towards this host's own containers, and the cloud's metadata service. The copy guard leaves that
one open, since cloud-init has the launch script from it; it is link-local and leads nowhere else."""
_NO_FURTHER: Final = re.compile(r"-A FORWARD -j (?:DROP|REJECT(?: --reject-with \S+)?)")
"""A rule behind it in the chain is never reached, such as Docker's own rules, which let containers out."""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

_LOOK: Final = """\
unit() {{
    printf 'active %s=%s\\n' "$1" "$(systemctl is-active "$1" 2>/dev/null)"
    printf 'enabled %s=%s\\n' "$1" "$(systemctl is-enabled "$1" 2>/dev/null)"
}}
reach() {{
    nc -z -w {seconds} "$1" "$2" >/dev/null 2>&1
    printf 'reach %s:%s=%s\\n' "$1" "$2" "$?"
}}
{units}
printf 'workers=%s\\n' "$(pgrep -f -c {workers})"
iptables -S OUTPUT | sed 's/^/iptables=/'
ip6tables -S OUTPUT | sed 's/^/ip6tables=/'
iptables -S FORWARD | sed 's/^/iptables forward=/'
ip6tables -S FORWARD | sed 's/^/ip6tables forward=/'
{probes}
echo looked=0
"""
_WHEN_BOOTED: Final = """\
zone=$(sed -n 's/^APP_TIMEZONE=["'"'"']\\{{0,1\\}}\\([A-Za-z0-9_+\\/-]*\\).*$/\\1/p' {env} | tail -n 1)
started=$(systemctl show -p UserspaceTimestampMonotonic --value)
case "$started" in
    "" | *[!0-9]*) up=$(uptime -s) && [ -n "$up" ] && booted=$(date -d "$up" +%s) ;;
    *) read -r up _ </proc/uptime && booted=$(($(date +%s) - ${{up%%.*}} + started / 1000000 - 1)) ;;
esac &&
    TZ="${{zone:-UTC}}" date -d "@$booted" '+%Y-%m-%d %H:%M:%S'
"""
"""By the host's own clock and systemd's count of its own seconds: in a container ``uptime`` is the outer machine's."""
_QUIETEN: Final = """\
SELECT COUNT(*) FROM send_logs WHERE status = 1 AND created_at >= '{booted}';
SELECT COUNT(*) FROM send_logs WHERE COALESCE(status, 0) <> 1 AND created_at >= '{booted}';
SELECT COUNT(*) FROM jobs;
DELETE FROM jobs;
SELECT COUNT(*) FROM jobs;
"""
"""Status 1 of send_logs: the mail server took it. Any other is an attempt that did not get out (FreeScout)."""


class NotIsolatedError(BackupWrongError):
    """A restored copy was seen to be able to act on the world: its disk causes that. The drill ends at once."""


class IsolationUnknownError(CouldNotVerifyError):
    """The drill cannot show that a restored host does not act on the world. It ends at once."""


@dataclass
class _Assertions:
    """What was asserted, what was seen not to hold, and what could not be seen."""

    held: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def add(self, holds: bool | None, said: str, otherwise: str) -> None:  # noqa: FBT001 - what was asserted
        """``holds`` is None where it could not be seen."""
        if holds is None:
            self.unknown.append(otherwise)
        else:
            (self.held if holds else self.failed).append(said if holds else otherwise)


def isolate_and_assert(
    drill: Drill, host: Host, policy: ThrowawayInstances, quiet_units: Sequence[str], *, name: str = ISOLATION
) -> None:
    """Wait until the launch script has ended, then assert its effects. One check, a line for each assertion.

    Units are stopped and unable to start, no worker runs, and egress is closed for IPv4 and IPv6. Each of
    ``egress_probes`` is out of reach while the host's own SSH server is not. Raises ``NotIsolatedError``,
    ``IsolationUnknownError``, and ``CouldNotVerifyError`` when the host could not be prepared.
    """
    _await_launch_script(drill, host, policy)
    made = _asserted(_look(host, policy, quiet_units), policy, quiet_units)
    drill.isolation += [
        *made.held,
        *(f"NOT ISOLATED: {one}" for one in made.failed),
        *(f"NOT KNOWN: {one}" for one in made.unknown),
    ]
    expected = f"{len(made.held) + len(made.failed) + len(made.unknown)} assertions hold"
    if made.unknown and not made.failed:
        drill.not_run(name, "; ".join(made.unknown), expected=expected)
        raise unknown(host, "; ".join(made.unknown))
    why = "; ".join([*made.failed, *made.unknown])
    drill.check(name, expected=expected, actual=f"{len(made.held)} assertions hold", reason=why)
    if made.failed:
        raise not_isolated(host, why)


def quieten_freescout(drill: Drill, host: Host, policy: FreeScout) -> int:
    """Show that nothing was sent since the host booted, and empty FreeScout's queue. Needs its database.

    Returns how many jobs were queued. FreeScout writes times in its own time zone (``APP_TIMEZONE``), so the boot is
    compared in that. Raises ``NotIsolatedError``, ``IsolationUnknownError``.
    """
    env = shlex.quote(f"{policy.site_directory}/.env")
    try:
        booted = host.script("tell when it booted", _WHEN_BOOTED.format(env=env)).strip()
        if not _MOMENT.fullmatch(booted):
            raise unknown(host, "it does not say when it booted")
        rows = host.sql(_QUIETEN.format(booted=booted), database=policy.database)
        sent, tried, queued, left = (int(row[0]) for row in rows)
    except CommandFailedError as error:
        raise unknown(host, f"the queue could not be emptied: {error.what}") from None
    except ValueError:
        raise unknown(host, "the queue's counts could not be read") from None
    if sent or left:
        why = f"{sent} mails were handed over since it booted" if sent else f"{left} jobs are left in the queue"
        drill.isolation.append(f"NOT ISOLATED: {why}")
        raise not_isolated(host, why)
    drill.isolation += [
        f"no mail was handed over since boot, {tried} attempts did not get out (send_logs)",
        f"queue emptied: {queued} jobs, now 0",
    ]
    return queued


def not_isolated(host: Host, why: str) -> NotIsolatedError:
    """The error of a host that was seen to be able to act."""
    return NotIsolatedError(
        f"{host.name} is not isolated: {why.removesuffix('.')}.",
        "The drill was ended at once and the instance is given back. Find out why before the next drill: a restored "
        "copy must never act on the world.",
    )


def unknown(host: Host, why: str) -> IsolationUnknownError:
    """The error of a host whose state is unknown."""
    return IsolationUnknownError(
        f"Whether {host.name} is isolated is not known: {why.removesuffix('.')}.",
        "The drill was ended at once and the instance is given back: nothing is asked of a copy that may act on the "
        "world.",
    )


# -- the launch script -----------------------------------------------------------------------------------


def _await_launch_script(drill: Drill, host: Host, policy: ThrowawayInstances) -> None:
    """SSH may open before cloud-init has come to the end of the script."""
    mark = ended_mark(drill.id)
    search = f"grep -h -a -s -F -e {shlex.quote(mark)} {shlex.join(_LOGS)}"
    patience = Deadline.of(policy.provision_deadline_minutes, policy.poll_seconds, drill.clock, drill.sleep)

    def look() -> str | Waiting:
        # grep ends with 2 when one of the files is not there, even if it found the line in the other.
        try:
            found = host.script("see whether its launch script has ended", search, ok=(0, 1, 2)).strip()
        except TransientError as lost:  # a lost login does not come back: another look would see no more
            raise CouldNotVerifyError(lost.what, lost.remedy) from None
        return found or Waiting("it still runs")

    def late(_seen: str) -> IsolationUnknownError:
        return unknown(host, f"its launch script had not ended after {policy.provision_deadline_minutes} minutes")

    found = patience.ask(look, late)
    code = found.splitlines()[-1].removeprefix(mark).strip()
    if code != "0":
        raise CouldNotVerifyError(
            f"{host.name} could not be prepared: installing its packages ended with exit code {code}.",
            "Start the drill again; if it stays so, keep the instance (keep) and read cloud-init-output.log there.",
        )


# -- what it was for -------------------------------------------------------------------------------------


def _look(host: Host, policy: ThrowawayInstances, quiet_units: Sequence[str]) -> Mapping[str, list[str]]:
    """One script, one round trip: each name with all of its values."""
    probes = [("127.0.0.1", str(policy.ssh_port)), *map(_split, policy.egress_probes)]
    script = _LOOK.format(
        seconds=PROBE_SECONDS,
        workers=shlex.quote(WORKERS),
        units="\n".join(f"unit {shlex.quote(unit)}" for unit in quiet_units),
        probes="\n".join(f"reach {shlex.quote(address)} {port}" for address, port in probes),
    )
    try:
        printed = host.script("look whether it is isolated", script)
    except CommandFailedError as error:
        raise unknown(host, f"it could not be looked at: {error.what}") from None
    seen: dict[str, list[str]] = {}
    for line in printed.splitlines():
        name, _, value = line.partition("=")
        seen.setdefault(name, []).append(value)
    return seen


def _split(probe: str) -> tuple[str, str]:
    address, _, port = probe.rpartition(":")
    return address, port


def _asserted(seen: Mapping[str, list[str]], policy: ThrowawayInstances, quiet_units: Sequence[str]) -> _Assertions:
    """What the host does not report is unknown. An incomplete report proves nothing: its end may hold a failure."""
    made = _Assertions()
    if seen.get("looked") != ["0"]:
        made.add(None, "", "the look broke off")
        return made
    for unit in quiet_units:
        active, enabled = _only(seen, f"active {unit}"), _only(seen, f"enabled {unit}")
        stopped = active in _STOPPED if active else None
        made.add(stopped, f"{unit} does not run", f"{unit} is {active or 'in an unknown state'}")
        startable = None if enabled is None else enabled in _CANNOT_START
        made.add(startable, f"{unit} cannot start", f"{unit} is {enabled}: it can start")
    workers = _only(seen, "workers")
    none_runs = workers == "0" if workers else None
    made.add(none_runs, "no FreeScout worker runs", f"FreeScout workers that run: {workers or 'unknown'}")
    for tables in ("iptables", "ip6tables"):
        made.add(*_firewall(tables, seen.get(tables, [])))
        made.add(*_containers(tables, seen.get(f"{tables} forward", [])))
    made.add(*_control(seen, policy.ssh_port))
    for probe in policy.egress_probes:
        code = _only(seen, f"reach {probe}")
        out_of_reach = code != "0" if code else None
        made.add(out_of_reach, f"{probe} cannot be reached", f"{probe} can be reached: egress is open")
    made.add(True, "all of it was looked at", "")
    return made


def _firewall(tables: str, rules: Sequence[str]) -> tuple[bool | None, str, str]:
    if not rules:
        return None, "", f"{tables}: whether OUTPUT is closed cannot be seen"
    open_rules = [rule for rule in rules[1:] if not _HARMLESS.fullmatch(rule)]
    closed = rules[:1] == [_POLICY] and not open_rules
    why = f"{len(open_rules)} rules may let something out" if rules[:1] == [_POLICY] else "OUTPUT is not closed"
    return closed, f"{tables}: OUTPUT is closed", f"{tables}: {why}"


def _containers(tables: str, rules: Sequence[str]) -> tuple[bool | None, str, str]:
    """Containers send through FORWARD, past every rule of OUTPUT."""
    if not rules:
        return None, "", f"{tables}: whether FORWARD is closed cannot be seen"
    ends = [number for number, rule in enumerate(rules) if _NO_FURTHER.fullmatch(rule)]
    reached = rules[1 : ends[0]] if ends else None
    closed = reached is not None and all(_HARMLESS.fullmatch(rule) for rule in reached)
    return closed, f"{tables}: FORWARD is closed", f"{tables}: FORWARD may let a container's traffic out"


def _control(seen: Mapping[str, list[str]], port: int) -> tuple[bool | None, str, str]:
    """A probe that cannot reach anything at all proves nothing."""
    reached = _only(seen, f"reach 127.0.0.1:{port}") == "0" or None
    return reached, "the probe itself works", f"the probe does not work: it cannot reach the host's own port {port}"


def _only(seen: Mapping[str, list[str]], name: str) -> str | None:
    values = seen.get(name, [])
    return values[0] if len(values) == 1 else None
