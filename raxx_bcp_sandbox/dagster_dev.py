"""Dagster on the sandbox: ``dagster dev`` as a child process that never outlives us, and jobs that run through it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

import raxx_bcp
from raxx_bcp.errors import PermanentError, TransientError, UsageError
from raxx_bcp_sandbox.last_words import last_words, log_size, with_last_words
from raxx_bcp_sandbox.stand_in import LOOPBACK

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0
RUN_SECONDS: Final = 600.0
FRESH_SECONDS: Final = 150.0
_POLL_SECONDS: Final = 0.5
_ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

Say = Callable[[str], None]


@dataclass(frozen=True)
class JobRun:
    """One job that was run to its end. ``reason`` is empty when it passed."""

    job_name: str
    run_id: str
    ok: bool
    seconds: float
    reason: str


def project_root() -> Path:
    """The checkout, which holds ``workspace.yaml`` and ``dagster.yaml``. Raises ``UsageError`` outside one."""
    root = Path(raxx_bcp.__file__).resolve().parent.parent
    if not (root / "workspace.yaml").is_file():
        raise UsageError("The demo needs a checkout of raxx-bcp.", "Clone the repository and run make demo in it.")
    return root


def dagster_home(directory: Path) -> Path:
    """``DAGSTER_HOME`` inside the sandbox, with the project's own instance configuration."""
    home = directory / "dagster_home"
    home.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(project_root() / "dagster.yaml", home / "dagster.yaml")
    return home


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Raise ``UsageError`` that names the process on ``port``, where that can be known."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise UsageError(
                f"Port {port} on {LOOPBACK} is taken{_owner(port)}.",
                "Stop that program, or choose another port: raxx-bcp demo --port 3001 (make demo PORT=3001).",
            ) from None


class DagsterDev:
    """A running web UI, daemon and code server at ``url``."""

    def __init__(self, url: str, child: subprocess.Popen[bytes], log: Path, sleep: Callable[[float], None]) -> None:
        self.url = url
        self._child = child
        self._log = log
        self._sleep = sleep

    def run_job(self, job_name: str, say: Say, run_config: Mapping[str, Any] | None = None) -> JobRun:
        """Launch ``job_name`` as the UI would, follow its events, and wait for its end."""
        started = time.monotonic()
        run_id = self._launch(job_name, run_config or {})
        cursor: str | None = None
        while True:
            if time.monotonic() - started > RUN_SECONDS:
                raise TransientError(f"{job_name} did not end within {RUN_SECONDS:.0f} s.", f"Look at {self._log}.")
            page = self._ask(_FOLLOW, {"runId": run_id, "cursor": cursor})
            events = page["logsForRun"]
            cursor = events["cursor"]
            for event in events["events"]:
                if event["__typename"] == "LogMessageEvent":
                    say(f"  {event['message']}")
            status = page["runOrError"]["status"]
            if status in _ENDED and not events["hasMore"]:
                ok = status == "SUCCESS"
                reason = "" if ok else self._reason(run_id)
                return JobRun(job_name, run_id, ok, time.monotonic() - started, reason)
            self._sleep(_POLL_SECONDS)

    def wait_until_fresh(self, asset: str, say: Say) -> bool:
        """Wait for the daemon's first evaluation of freshness, which it makes every 30 s; is ``asset`` fresh?"""
        say("Waiting for Dagster's first look at freshness (up to a minute) …")
        deadline = time.monotonic() + FRESH_SECONDS
        while time.monotonic() < deadline:
            (node,) = self._ask(_FRESH, {"key": {"path": [asset]}})["assetNodes"]
            if (node["freshnessStatusInfo"] or {}).get("freshnessStatus") == "HEALTHY":
                return True
            self._sleep(_POLL_SECONDS)
        return False

    def loaded(self) -> bool:
        """Has the code location loaded? Raises ``PermanentError`` with Dagster's reason where it cannot."""
        entries = self._ask(_LOADED, {})["workspaceOrError"].get("locationEntries", [])
        for entry in entries:
            error = entry.get("locationOrLoadError") or {}
            if error.get("__typename") == "PythonError":
                raise PermanentError(
                    f"Dagster could not load raxx_bcp: {error['message'].strip()}", f"Look at {self._log}."
                )
        return bool(entries) and all(entry.get("locationOrLoadError") for entry in entries)

    def wait(self) -> None:
        """Wait until the UI ends by itself."""
        self._child.wait()

    def _launch(self, job_name: str, run_config: Mapping[str, Any]) -> str:
        selector = {
            "repositoryLocationName": "raxx_bcp",
            "repositoryName": "__repository__",
            "jobName": job_name,
        }
        answer = self._ask(_LAUNCH, {"selector": selector, "runConfig": run_config})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise PermanentError(
                f"Dagster would not launch {job_name} ({answer['__typename']}).", f"Look at {self._log}."
            )
        return str(answer["run"]["runId"])

    def _reason(self, run_id: str) -> str:
        events = self._ask(_FOLLOW, {"runId": run_id, "cursor": None})["logsForRun"]["events"]
        errors = [event["error"]["message"].strip() for event in events if event.get("error")]
        said = errors[0] if errors else "the run ended without a reason"
        return re.sub(r"^(\w+\.)+\w+: ", "", said)

    def _ask(self, query: str, variables: Mapping[str, Any]) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.url}/graphql", data=body, headers={"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                answer = json.loads(response.read())
        except (OSError, ValueError) as error:
            raise TransientError(
                f"Dagster at {self.url} stopped answering ({type(error).__name__}).", f"Look at {self._log}."
            ) from None
        if answer.get("errors"):
            raise PermanentError("Dagster refused a question of the demo.", f"Look at {self._log}.")
        return answer["data"]


@contextlib.contextmanager
def dagster_dev(
    directory: Path, environ: Mapping[str, str], port: int, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[DagsterDev]:
    """Start the web UI on 127.0.0.1:``port`` with its daemon; stop both on exit.

    Raises ``UsageError`` when another one runs on this sandbox, ``TransientError`` when it does not come up.
    """
    home = dagster_home(directory)
    log = directory / "logs" / "dagster.log"
    with _alone(home):
        log_from = log_size(log)
        child = _spawn(home, environ, port, log)
        try:
            dev = DagsterDev(f"http://{LOOPBACK}:{port}", child, log, sleep)
            _wait_until_up(dev, child, log, log_from, sleep)
            yield dev
        finally:
            _end(child)


def _spawn(home: Path, environ: Mapping[str, str], port: int, log: Path) -> subprocess.Popen[bytes]:
    root = project_root()
    argv = [sys.executable, "-m", "dagster", "dev", "-h", LOOPBACK, "-p", str(port)]
    argv += ["-w", str(root / "workspace.yaml")]
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            cwd=root,
            env={**environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_default_signals,
        )


def _default_signals() -> None:
    """Under ``nohup … &`` SIGINT is ignored, and a child would inherit that and could not be interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _wait_until_up(
    dev: DagsterDev, child: subprocess.Popen[bytes], log: Path, log_from: int, sleep: Callable[[float], None]
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            sentence = f"Dagster ended at once (exit code {child.returncode})."
            raise PermanentError(with_last_words(sentence, last_words(log, log_from)), f"Look at {log}.")
        with contextlib.suppress(TransientError):
            if dev.loaded():
                return
        sleep(_POLL_SECONDS)
    sentence = f"Dagster did not come up within {START_SECONDS:.0f} s."
    raise TransientError(with_last_words(sentence, last_words(log, log_from)), f"Look at {log}.")


def _end(child: subprocess.Popen[bytes]) -> None:
    """SIGINT to the whole session, as Ctrl-C sends; then SIGKILL."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(child.pid)
        family = [parent, *parent.children(recursive=True)]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)
    _gone, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=5)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / ".demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"Another demo is running on the sandbox in {home.parent}.",
                "Stop it with Ctrl-C in its terminal, or set RAXX_BCP_SANDBOX_DIR to another folder.",
            ) from None
        yield


def _owner(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


_LOADED: Final = """
query Loaded { workspaceOrError { ... on Workspace { locationEntries { loadStatus
  locationOrLoadError { __typename ... on PythonError { message } } } } } }
"""
_FRESH: Final = """
query Fresh($key: AssetKeyInput!) { assetNodes(assetKeys: [$key]) { freshnessStatusInfo { freshnessStatus } } }
"""
_LAUNCH: Final = """
mutation Launch($selector: JobOrPipelineSelector!, $runConfig: RunConfigData!) {
  launchRun(executionParams: {selector: $selector, mode: "default", runConfigData: $runConfig}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
_FOLLOW: Final = """
query Follow($runId: ID!, $cursor: String) {
  runOrError(runId: $runId) { ... on Run { status } }
  logsForRun(runId: $runId, afterCursor: $cursor, limit: 500) {
    ... on EventConnection { cursor hasMore events {
      __typename ... on MessageEvent { message level }
      ... on ExecutionStepFailureEvent { error { message } }
      ... on RunFailureEvent { error { message } } } } } }
"""
