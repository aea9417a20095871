"""Starting, finding and stopping the sandbox's processes, and never anybody else's.

Every child carries ``RAXX_BCP_SANDBOX_PART=<part>@<state directory>`` in its environment. That mark makes a process
ours, even when state.json is lost. A pid alone proves nothing, since the system reuses pids.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox.waiting import Clock

PART_VARIABLE = "RAXX_BCP_SANDBOX_PART"

# What children may inherit. Everything else is left out, above all the operator's AWS, Infisical and Slack credentials.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SYSTEMROOT", "TZ", "USER")

# Dispositions and masks survive exec: a child of `nohup ... &` would ignore SIGINT, and uvicorn, which restores
# what it found, with it.
_DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE)

_STARTED_TOLERANCE_SECONDS = 2.0  # psutil derives it from the boot time, which moves when the clock is set
_TERM_SECONDS, _KILL_SECONDS = 10.0, 5.0


@dataclass(frozen=True)
class Child:
    """A process as state.json records it."""

    pid: int
    started: float


def part_marker(state_dir: Path, part: str) -> str:
    """The mark in the environment of a child of ``part``."""
    return f"{part}@{state_dir}"


def child_environment(state_dir: Path, part: str, added: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: a few inherited variables, then ``added``, then our mark."""
    package_root = Path(__file__).resolve().parents[1]
    base = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    ours = {"PYTHONPATH": str(package_root), "PYTHONUNBUFFERED": "1", "TMPDIR": str(state_dir / "tmp")}
    return {**base, **ours, **added, PART_VARIABLE: part_marker(state_dir, part)}


def spawn(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start a process that outlives this one: own session, no terminal, default signals, output to ``log``."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            argv[0],
            list(argv),
            dict(environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=list(_DEFAULT_SIGNALS),
        )
    except OSError as error:
        raise PermanentError(
            f"{argv[0]} could not be started ({error.strerror}).",
            "Install the sandbox's packages again: make setup in the clone.",
        ) from error
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0.0
    return Child(pid, started)


def alive(process: psutil.Process) -> bool:
    """Does it run? A zombie does not, unless its threads are still ending: they hold its ports and files until then.

    A zombie that is our child is reaped; any other waits for its parent, which may never reap it.
    """
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.is_running()
        with contextlib.suppress(ChildProcessError):
            reaped, _status = os.waitpid(process.pid, os.WNOHANG)
            return reaped == 0
        return process.num_threads() > 1
    except psutil.Error:
        return False


def matches(process: psutil.Process, child: Child) -> bool:
    """Is ``process`` the one in state.json, and not a later one with the same pid?"""
    try:
        age_differs = abs(process.create_time() - child.started) > _STARTED_TOLERANCE_SECONDS
    except psutil.NoSuchProcess:
        return False
    return process.pid == child.pid and not age_differs


def exists(pid: int) -> bool:
    """Does any process, ours or not, have this pid?"""
    try:
        return alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def let_end(child: Child, clock: Clock) -> None:
    """Wait until a process that was killed a moment ago, and no longer shows its mark, releases its ports."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child.pid)
        if matches(process, child) and process.status() == psutil.STATUS_ZOMBIE:
            clock.until(lambda: not alive(process), _KILL_SECONDS)


def find(state_dir: Path) -> dict[str, list[psutil.Process]]:
    """Every living process of the sandbox in ``state_dir``, by part; also those that are not in state.json."""
    found: dict[str, list[psutil.Process]] = {}
    for process, part in _marked(state_dir):
        if alive(process):
            found.setdefault(part, []).append(process)
    return found


def directories() -> list[Path]:
    """The state directories of all sandboxes of this user that have a living process, in order."""
    return sorted({Path(mark.partition("@")[2]) for process, mark in _marks() if "@" in mark and alive(process)})


def _marked(state_dir: Path) -> Iterator[tuple[psutil.Process, str]]:
    ending = part_marker(state_dir, "")
    for process, mark in _marks():
        if mark.endswith(ending):
            yield process, mark.removesuffix(ending)


def _marks() -> Iterator[tuple[psutil.Process, str]]:
    """Every process of this user that carries the mark of a sandbox, with the mark."""
    user = os.getuid()
    for process in psutil.process_iter():
        try:
            if process.uids().real != user:
                continue
            mark = process.environ().get(PART_VARIABLE, "")
        except (psutil.Error, OSError):
            continue  # gone meanwhile, a zombie, or hidden from us: not provably ours, so left alone
        if mark:
            yield process, mark


def family(process: psutil.Process) -> list[psutil.Process]:
    """``process`` and its living descendants."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def listening(process: psutil.Process) -> set[int]:
    """The TCP ports that ``process`` and its descendants listen on."""
    ports: set[int] = set()
    for member in family(process):
        with contextlib.suppress(psutil.Error):
            connections = member.net_connections(kind="tcp")
            ports |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return ports


def stop(processes: Iterable[psutil.Process], clock: Clock) -> None:
    """SIGTERM, wait, SIGKILL what is left with all descendants, and confirm that nothing remains.

    Only the topmost ones get SIGTERM: a database server wants to end its own workers. psutil refuses to signal
    a pid that the system has reused for another process meanwhile.
    """
    everyone = list({member for process in processes for member in family(process)})
    for process in _topmost(everyone):
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)  # a stopped process cannot act on SIGTERM
    if clock.until(lambda: not any(alive(each) for each in everyone), _TERM_SECONDS):
        return
    for process in everyone:
        _signal(process, signal.SIGKILL)
    if not clock.until(lambda: not any(alive(each) for each in everyone), _KILL_SECONDS):
        left = ", ".join(str(each.pid) for each in everyone if alive(each))
        raise PermanentError(
            f"The sandbox's processes with pid {left} are still there after SIGKILL.",
            "They hang in the kernel, most likely on a disk that does not answer: check dmesg, then try again.",
        )


def _topmost(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    by_pid = {process.pid: process for process in processes}
    top = []
    for process in by_pid.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() not in by_pid:
                top.append(process)
    return top


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
