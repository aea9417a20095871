"""Was a restored copy silent before it could act? From the copy guard's own marks, and systemd's own times.

The guard writes to ``/run/copy-guard/marks`` when it had masked the units and when egress was closed. systemd says when
the guard's unit was done and when the network and ordinary units could start. All of them count seconds since the
kernel's start (``/proc/uptime``, CLOCK_MONOTONIC).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from raxx_bcp.clients.ssh import CommandFailedError
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.isolation import NotIsolatedError, not_isolated, unknown
from raxx_bcp.drills.hosts.shell import Host

SILENT: Final = "silent before the network"
"""The name of the check."""

_ALWAYS: Final = ("sysinit.target", "basic.target", "network-pre.target", "network.target")
"""Reached when ordinary units, or the network, may start."""
_NETWORKS: Final = ("systemd-networkd.service", "networking.service", "NetworkManager.service")
MARKS: Final = "/run/copy-guard/marks"
_LOOK: Final = f"""\
moment() {{ printf '%s=%s\\n' "$1" "$(systemctl show -p "$2" --value "$3" 2>/dev/null)"; }}
printf 'unit=%s\\n' "$(systemctl is-active copy-guard.service 2>/dev/null)"
moment closed ActiveEnterTimestampMonotonic copy-guard.service
for each in {" ".join(_ALWAYS)}; do moment "act $each" ActiveEnterTimestampMonotonic "$each"; done
for each in {" ".join(_NETWORKS)}; do moment "act $each" InactiveExitTimestampMonotonic "$each"; done
echo looked=0
"""
_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,6})?")
_MICROSECONDS: Final = re.compile(r"[1-9]\d{0,15}")


@dataclass(frozen=True)
class Silence:
    """Seconds since the kernel's start. ``missing`` names what the host does not report; empty when it reports all."""

    masked_at: float = 0.0
    closed_at: float = 0.0
    could_act_at: float = 0.0
    masked: int = 0
    missing: str = ""

    @property
    def seconds(self) -> float:
        """For how long it could have acted; 0 when it was silent before."""
        return max(0.0, max(self.masked_at, self.closed_at) - self.could_act_at)


def assert_silent(drill: Drill, host: Host, *, guarded: bool) -> None:
    """Record whether the copy was silent before it could act.

    Raises ``NotIsolatedError`` where it was not, and ``IsolationUnknownError`` where its marks could not be read.
    ``guarded`` False: the operator accepted an unguarded snapshot on record. Its silence is then unknown, and the drill
    cannot pass.
    """
    if not guarded:
        drill.not_run(
            SILENT, "the snapshot was taken without the copy guard, which the operator accepted", expected="0 s"
        )
        return
    try:
        found = _look(host)
    except CommandFailedError as error:
        drill.not_run(SILENT, f"the copy guard's marks could not be read: {error.what}", expected="0 s")
        raise unknown(host, f"the copy guard's marks could not be read: {error.what}") from None
    if found.missing:
        drill.check(SILENT, expected="0 s", actual="unknown", reason=found.missing)
        raise _loud(host, found.missing)
    shown = f"{found.seconds:.2f}".rstrip("0").rstrip(".")
    drill.isolation.append(
        f"{SILENT}: {shown} s ({found.masked} units masked, egress closed {found.could_act_at - found.closed_at:.2f} s "
        "before anything could begin)"
    )
    why = f"it could have acted for {shown} s"
    if not drill.check(SILENT, expected="0 s", actual=f"{shown} s", ok=found.seconds == 0, reason=why):
        raise _loud(host, why)


def judge(said: Mapping[str, str]) -> Silence:
    """From what the host printed, by name."""
    marks = {name: said.get(f"mark {name}", "") for name in ("masked_at", "masked", "egress_closed_at")}
    if not all(marks.values()):
        return Silence(missing="the copy guard left no marks: it did not run, or not to its end")
    if not (_SECONDS.fullmatch(marks["masked_at"]) and _SECONDS.fullmatch(marks["egress_closed_at"])):
        return Silence(missing="the copy guard's marks cannot be read")
    if said.get("unit") != "active":
        return Silence(missing=f"the copy guard's unit is {said.get('unit') or 'in an unknown state'}")
    closed = _seconds(said.get("closed", ""))
    begins = [_seconds(value) for name, value in said.items() if name.startswith("act ")]
    began = [each for each in begins if each is not None]
    if closed is None or not began or said.get("looked") != "0":
        return Silence(missing="systemd does not say when the copy guard was done and when the network began")
    masked = int(marks["masked"]) if marks["masked"].isdigit() else 0
    if masked == 0:
        return Silence(missing="the copy guard has masked nothing")
    return Silence(float(marks["masked_at"]), max(closed, float(marks["egress_closed_at"])), min(began), masked)


def _look(host: Host) -> Silence:
    marks = host.run("read the copy guard's marks", ("cat", "--", MARKS), ok=(0, 1)).stdout.decode("utf-8", "replace")
    printed = host.script("ask when the network began", _LOOK)
    return judge({**{f"mark {name}": value for name, value in _fields(marks)}, **dict(_fields(printed))})


def _fields(printed: str) -> list[tuple[str, str]]:
    split = (line.partition("=") for line in printed.splitlines())
    return [(name, value) for name, equals, value in split if equals]


def _seconds(microseconds: str) -> float | None:
    """systemd writes 0, or nothing, for an event that never happened."""
    return int(microseconds) / 1e6 if _MICROSECONDS.fullmatch(microseconds) else None


def _loud(host: Host, why: str) -> NotIsolatedError:
    return not_isolated(host, f"it was not silent before it could act: {why}")
