"""What an instance's own programs do, by name: each takes the machine and a request, and gives an answer."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import psutil

from raxx_bcp_sandbox.hosts import guard, kinds, marks, packages, web
from raxx_bcp_sandbox.hosts.answer import Answer, failed, said
from raxx_bcp_sandbox.hosts.machine import Machine

BLOCKED_SECONDS: Final = 0.1
"""How long a program here waits after a dropped packet; a real one waits for the time that it was given."""
_MATCHED, _NONE, _WRONG = 0, 1, 2
_SIGNAL: Final = re.compile(r"-(?:SIG)?([A-Z0-9]+)")
_NOT_FOUND: Final = 127
_UNIT_UNKNOWN: Final = 4


@dataclass(frozen=True)
class Request:
    """A command line, as the program got it."""

    name: str
    arguments: list[str]
    directory: Path = Path("/")
    pid: int = 0
    """The pid of the program itself, which ``pgrep`` never lists."""
    input: bytes = b""


class UsageRefusedError(Exception):
    """The command line is wrong."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``UsageRefusedError``."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        raise UsageRefusedError(message)


Command = Callable[[Machine, Request], Answer]


def run(machine: Machine, request: Request) -> Answer:
    """Carry out a request."""
    command = _COMMANDS.get(request.name)
    if command is None:
        return failed(f"{request.name}: command not found", _NOT_FOUND)
    try:
        return command(machine, request)
    except UsageRefusedError as refusal:
        return failed(f"{request.name}: {refusal}", _WRONG)


def _systemctl(machine: Machine, request: Request) -> Answer:
    if request.arguments[:1] == ["show"]:
        return _show(machine, request.arguments[1:])
    if request.arguments == ["--version"]:
        return said("systemd 255 (255.4-1ubuntu8)")
    if request.arguments == ["is-active", guard.UNIT]:
        return Answer(b"active\n") if machine.guard.awake else Answer(b"inactive\n", status=_UNIT_UNKNOWN)
    return machine.units.command(request.arguments)


def _show(machine: Machine, arguments: list[str]) -> Answer:
    """``systemctl show -p PROPERTY --value UNIT``, for moments: 0 for what never happened."""
    match arguments:
        case ["-p", "UserspaceTimestampMonotonic", "--value"]:
            return said(f"{machine.booted_monotonic * 1e6:.0f}")
        case ["-p", "Result", "--value", unit]:
            return said(machine.units.result(unit))
        case ["-p", "NextElapseUSecRealtime", "--value", _unit]:
            return said("")
        case ["-p", property_name, "--value", unit]:
            moment = machine.guard.moments.get(unit, 0.0) if property_name.endswith("TimestampMonotonic") else 0.0
            return said(f"{moment * 1e6:.0f}")
    raise UsageRefusedError("only -p PROPERTY --value UNIT is there on this host")


def _copy_guard(machine: Machine, request: Request) -> Answer:
    """The guard's own command, as far as others use it."""
    match request.arguments:
        case ["status"]:
            return _guard_status(machine)
        case ["install", kind] if kind in ("freescout", "vault"):
            guard.put(machine.layout, machine.role.name, kind)
            return Answer()
        case ["uninstall"]:
            guard.remove(machine.layout)
            return Answer()
        case ["start", *names]:
            return _guard_start(machine, names)
    raise UsageRefusedError("only status, install, uninstall and start are there on this host")


def _guard_status(machine: Machine) -> Answer:
    if not guard.installed(machine.layout):
        return said("machine=not-installed", 1)
    same = guard.same_machine(machine.layout, machine.role.name)
    identity = hashlib.sha256(machine.role.name.encode()).hexdigest()[:16]
    lines = (
        *("version=1", f"kind={guard.kind_of(machine.layout)}", f"machine={'same' if same else 'differs'}"),
        *(f"identity_sha256={identity}", "list_sha256=0123456789abcdef", "whole=yes", "a_copy_masks=64"),
    )
    return said("\n".join(lines), 0 if same else 1)


def _guard_start(machine: Machine, names: list[str]) -> Answer:
    refused = [each for each in names if not guard.on_demand(each)]
    if refused or not machine.guard.awake:
        return failed(f"copy-guard: The list does not offer {' '.join(refused) or 'that here'}.", _WRONG)
    machine.close_egress()
    machine.units.masked_now -= {each.removesuffix(".service") for each in names}
    answer = machine.units.command(["start", *names])
    machine.close_egress()
    return answer


def _iptables(machine: Machine, request: Request) -> Answer:
    return machine.iptables(6 if request.name == "ip6tables" else 4, request.arguments)


# -- processes -------------------------------------------------------------------------------------------


def _pgrep(machine: Machine, request: Request) -> Answer:
    parser = Parser(prog="pgrep", add_help=False)
    parser.add_argument("-f", dest="full", action="store_true")
    parser.add_argument("-c", dest="count", action="store_true")
    parser.add_argument("-a", dest="lines", action="store_true")
    parser.add_argument("-x", dest="exact", action="store_true")
    parser.add_argument("pattern")
    given = parser.parse_args(request.arguments)
    found = _matching(machine, request, given)
    if given.count:
        return said(str(len(found)), _MATCHED if found else _NONE)
    lines = [f"{pid} {line}" if given.lines else str(pid) for pid, line in found]
    return said("\n".join(lines), _MATCHED if found else _NONE)


def _pkill(machine: Machine, request: Request) -> Answer:
    number, arguments = int(signal.SIGTERM), []
    for each in request.arguments:
        named = _SIGNAL.fullmatch(each)
        if named is None:
            arguments.append(each)
        else:
            number = _signal_number(named.group(1))
    parser = Parser(prog="pkill", add_help=False)
    parser.add_argument("-f", dest="full", action="store_true")
    parser.add_argument("-x", dest="exact", action="store_true")
    parser.add_argument("pattern")
    found = _matching(machine, request, parser.parse_args(arguments))
    for pid, _line in found:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return Answer(status=_MATCHED if found else _NONE)


def _signal_number(name: str) -> int:
    try:
        return int(name) if name.isdigit() else int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise UsageRefusedError(f"unknown signal {name}") from None


def _matching(machine: Machine, request: Request, given: argparse.Namespace) -> list[tuple[int, str]]:
    """This instance's processes whose name, or with ``-f`` whole command line, matches."""
    try:
        pattern = re.compile(given.pattern)
    except re.error as error:
        raise UsageRefusedError(f"{error}") from None
    found = []
    for process in marks.processes_of(machine.hosts, machine.id):
        try:
            text = " ".join(process.cmdline()) if given.full else process.name()
        except psutil.Error:
            continue
        if process.pid != request.pid and (pattern.fullmatch(text) if given.exact else pattern.search(text)):
            found.append((process.pid, text))
    return found


# -- network ---------------------------------------------------------------------------------------------


def _nc(machine: Machine, request: Request) -> Answer:
    """``nc -z -w SECONDS HOST PORT``: does anybody answer?

    The mail sink's address stands for the outside world and gets a real connection. Any other address answers when the
    firewall allows the connection, and no connection is made.
    """
    parser = Parser(prog="nc", add_help=False)
    for flag in ("-z", "-v", "-n", "-4"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-w", type=float, default=3.0)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    given = parser.parse_args(request.arguments)
    if not given.z:
        raise UsageRefusedError("only -z is there on this host")
    address = web.seen_by(machine, given.host)
    if not machine.lets_out(address, given.port):
        refused = machine.refuses(address, given.port)
        if not refused:
            time.sleep(min(given.w, BLOCKED_SECONDS))
        why = "failed: Connection refused" if refused else "timed out"
        return failed(f"nc: connect to {given.host} port {given.port} (tcp) {why}" if given.v else "")
    if address not in (machine.address, machine.network.sink):
        return Answer()
    source = (machine.address, 0) if address == machine.address else None
    try:
        socket.create_connection((address, given.port), timeout=given.w, source_address=source).close()
    except OSError:
        return failed(f"nc: connect to {given.host} port {given.port} (tcp) failed" if given.v else "")
    return Answer()


def _curl(machine: Machine, request: Request) -> Answer:
    return web.curl(machine, request.arguments, request.input, request.directory)


# -- the rest --------------------------------------------------------------------------------------------


def _apt_get(machine: Machine, request: Request) -> Answer:
    return packages.apt_get(machine, request.arguments)


def _uptime(machine: Machine, request: Request) -> Answer:
    if request.arguments not in (["-s"], ["--since"]):
        raise UsageRefusedError("only -s is there on this host")
    return said(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(machine.booted)))


def _hostname(machine: Machine, request: Request) -> Answer:
    return said(machine.address if request.arguments == ["-I"] else f"ip-{machine.address.replace('.', '-')}")


def _php(machine: Machine, request: Request) -> Answer:
    """``php -v``, where PHP is installed."""
    if kinds.PHP not in machine.units.files:
        return failed("php: command not found", _NOT_FOUND)
    if request.arguments not in (["-v"], ["--version"]):
        raise UsageRefusedError("only -v is there on this host")
    return said("PHP 8.1.2-1ubuntu2.22 (cli) (built: Jul 15 2025 12:11:22) (NTS)\nCopyright (c) The PHP Group")


def _cloud_init(machine: Machine, request: Request) -> Answer:
    """``cloud-init status [--wait]``: has the launch script ended?

    A script that failed is reported as an error of cloud-init.
    """
    if request.arguments not in (["status"], ["status", "--wait"]):
        raise UsageRefusedError("only status is there on this host")
    if "--wait" in request.arguments:
        machine.launch_ended.wait()
    if not machine.launch_ended.is_set():
        return said("status: running")
    return said("status: error", 1) if machine.launched else said("status: done")


_COMMANDS: Final[dict[str, Command]] = {
    "systemctl": _systemctl,
    "iptables": _iptables,
    "ip6tables": _iptables,
    "pgrep": _pgrep,
    "pkill": _pkill,
    "nc": _nc,
    "curl": _curl,
    "apt-get": _apt_get,
    "cloud-init": _cloud_init,
    "uptime": _uptime,
    "hostname": _hostname,
    "php": _php,
    "copy-guard": _copy_guard,
}
