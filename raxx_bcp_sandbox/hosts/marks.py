"""The processes of an instance, identified by a mark in their environment, which children inherit."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from raxx_bcp_sandbox.waiting import Clock

VARIABLE: Final = "RAXX_BCP_SANDBOX_HOST"
_KILL_SECONDS: Final = 5.0


def mark(hosts: Path, instance_id: str) -> str:
    """The mark in the environment of a process of this instance."""
    return f"{instance_id}@{hosts}"


def processes_of(hosts: Path, instance_id: str = "") -> list[psutil.Process]:
    """The living processes of one instance; without an id, of every instance below ``hosts``."""
    wanted = mark(hosts, instance_id)
    return [process for process, found in _marked() if found == wanted or (not instance_id and found.endswith(wanted))]


def kill_all(hosts: Path, instance_id: str = "", clock: Clock | None = None) -> int:
    """SIGKILL them, also those that SIGSTOP holds, and wait until they are gone; return how many there were.

    Repeats: one may have started a child between our look and its end.
    """
    count = 0
    clock = clock or Clock()

    def none_left() -> bool:
        nonlocal count
        left = [each for each in processes_of(hosts, instance_id) if each.pid != os.getpid()]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        count = max(count, len(left))
        return not left

    clock.until(none_left, _KILL_SECONDS)
    return count


def _marked() -> Iterator[tuple[psutil.Process, str]]:
    own = os.getuid()
    for process in psutil.process_iter():
        try:
            if process.uids().real != own or process.status() == psutil.STATUS_ZOMBIE:
                continue
            found = process.environ().get(VARIABLE, "")
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or hidden from us: not provably ours
        if found:
            yield process, found
