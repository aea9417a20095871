"""A test run leaves no process behind: looked for at its end, when xdist's workers have gone too.

Everything that the tests make lies below a temporary folder of this run's own or below pytest's own (``tmp_path``). A
process whose command line, working directory or environment names one of the two is of this run; another run's on the
same machine never is. One that has not ended soon after the last test fails the run, by name.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from raxx_bcp_sandbox.waiting import Clock

_GRACE_SECONDS = 5.0
"""For what was told to end, and ends."""


class Leftovers:
    """The plugin; in the process that starts the workers, or in the only one."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._began = time.time()
        self._folder = Path(tempfile.mkdtemp(prefix="rt-"))  # short: below it are Unix sockets, of 107 bytes at most
        self._before = {name: os.environ.get(name) for name in ("TMPDIR", "PYTEST_DEBUG_TEMPROOT")}
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # tmp_path stays where it always was
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._folder)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run if a process of it is still there."""
        made = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # pytest has no other way
        roots = (self._folder, Path(made))
        found: list[psutil.Process] = []

        def gone() -> bool:
            found[:] = left_behind(roots, self._began)
            return not found

        if self._clock.until(gone, _GRACE_SECONDS, every=0.2):
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        if reporter := session.config.pluginmanager.get_plugin("terminalreporter"):
            reporter.write_line("")
            for process in found:
                reporter.write_line(f"The tests left a process behind: {_described(process)}.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self) -> None:
        """Put back what was changed: a run may be inside another one."""
        tempfile.tempdir = None
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def left_behind(roots: Iterable[Path], began: float) -> list[psutil.Process]:
    """The living processes that name one of ``roots``, but not this one and those above it, and none from before."""
    named = re.compile("|".join(rf"{re.escape(str(root))}(?![\w.-])" for root in roots))
    above = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in above and _is_of(process, began) and any(map(named.search, _told(process)))
    ]


def _is_of(process: psutil.Process, began: float) -> bool:
    try:
        # psutil reckons from the boot, whose time moves when the clock is set
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() > began - 60
    except psutil.Error:
        return False


def _told(process: psutil.Process) -> list[str]:
    """What a process shows of itself: each of the three may be hidden from us, or gone."""
    told: list[str] = []
    for ask in (process.cmdline, lambda: [process.cwd()], lambda: list(process.environ().values())):
        try:
            told += ask()
        except (psutil.Error, OSError):
            continue
    return told


def _described(process: psutil.Process) -> str:
    try:
        return f"pid {process.pid}, {' '.join(process.cmdline())[:300]}"
    except psutil.Error:
        return f"pid {process.pid}"
