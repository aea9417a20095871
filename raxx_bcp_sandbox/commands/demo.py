"""``raxx-bcp demo``: the whole of it on this machine, in one command."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.clock import utc_now
from raxx_bcp.console import emit, exit_codes, json_option, progress
from raxx_bcp.drills.engine.record_stores import record_of
from raxx_bcp.drills.kinds import DRILL_JOBS, DRILL_NAMES, asset_of, job_of
from raxx_bcp.environment import state_bucket
from raxx_bcp.errors import EXIT_FAIL, EXIT_PASS, BcpError, PermanentError
from raxx_bcp.evidence.report import make_report
from raxx_bcp.policy import Policy, load_policy
from raxx_bcp.vault.verify import PrivateKey, Verified, verify_export
from raxx_bcp_sandbox.commands.night import STEP, run_night
from raxx_bcp_sandbox.dagster_dev import DagsterDev, dagster_dev, free_port, require_free
from raxx_bcp_sandbox.freescout.sets import LEFT_TO_THE_HOST, TONIGHT_VARIABLE
from raxx_bcp_sandbox.supervisor import UNSET, Sandbox

UI_PORT: Final = 3000
_STOPPING: Final = "Stopping what the demo started …"
DAILY: Final = ("daily_vault_snapshot", "daily_vault_export")
JOBS: Final = (*DAILY, *DRILL_JOBS, "daily_inventory")
"""The jobs of a day with drills: first the backups, then proof that they restore, then the report on both."""


@dataclass(frozen=True)
class Step:
    """One line of the result table. ``detail`` says what was seen, or what failed."""

    name: str
    ok: bool
    seconds: float
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "seconds": round(self.seconds, 1), "detail": self.detail}


@click.command()
@click.option("--once", is_flag=True, help="Run the jobs, check the result and end; no UI is left open.")
@click.option("--port", default=UI_PORT, show_default=True, help="Where the UI listens on 127.0.0.1.")
@click.option("--only", "only", multiple=True, type=click.Choice(JOBS), help="Run only this job; can be repeated.")
@json_option
@exit_codes
def demo(*, once: bool, port: int, only: tuple[str, ...], as_json: bool) -> int:
    """Bring the local sandbox up, run the daily jobs through Dagster, prove the result, leave the UI open.

    Ctrl-C ends all that it started; a sandbox that was already up stays up.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # started by "nohup … &", SIGINT would be ignored for good
        signal.signal(number, signal.default_int_handler)
    port = free_port() if once else port
    if not once:
        require_free(port)
    sandbox = Sandbox(say=progress)
    was_up = _is_up(sandbox)
    try:
        return _demo(sandbox, once=once, port=port, only=only, as_json=as_json)
    except KeyboardInterrupt:
        progress(_STOPPING)
        raise
    finally:
        if not was_up:
            sandbox.down()


def _demo(sandbox: Sandbox, *, once: bool, port: int, only: tuple[str, ...], as_json: bool) -> int:
    started = time.monotonic()
    parts = _bring_up(sandbox, tonight_by_itself=not only)
    steps = [Step("sandbox", True, time.monotonic() - started, parts)]
    environ = _environment(sandbox)
    os.environ.clear()
    os.environ.update(environ)
    policy = load_policy()
    progress("Starting Dagster: web UI, daemon and code server …")
    with dagster_dev(sandbox.directory, environ, port) as dev:
        jobs = list(only or JOBS)
        if not only:
            steps += [_job(dev, jobs.pop(0), {}) for _daily in DAILY]
            progress("Running freescout-backup on the help desk's own instance …")
            steps.append(_timed(STEP, lambda: run_night(policy, sandbox)))
        steps += [_job(dev, name, _config(name, sandbox.directory)) for name in jobs]
        if not only:
            steps.append(_timed("opens with the operator's key", lambda: _prove(policy, sandbox.directory)))
            steps.append(_timed("the D4 gate", lambda: _gates(policy)))
        ok = all(step.ok for step in steps)
        result = {"ok": ok, "steps": [step.as_dict() for step in steps], "ui_url": None if once else dev.url}
        code = EXIT_PASS if ok else EXIT_FAIL
        if not once:
            dev.wait_until_fresh("vault_export", progress)
        emit(result, _table(steps), as_json=as_json, checks=_checks(steps), code=code)
        if not once:
            _stay_up(dev, sandbox)
    return code


def _stay_up(dev: DagsterDev, sandbox: Sandbox) -> None:
    """Wait until Ctrl-C, the normal end of a demo that has shown its result."""
    progress(_where(dev, sandbox))
    try:
        dev.wait()
    except KeyboardInterrupt:
        progress(_STOPPING)


def _checks(steps: list[Step]) -> list[Check]:
    remedy = "What broke is in its words; the sandbox's logs are below its directory (raxx-bcp sandbox status)."
    return [Check(step.name, Status.FAIL, step.detail, remedy) for step in steps if not step.ok]


def _is_up(sandbox: Sandbox) -> bool:
    try:
        return sandbox.status().healthy
    except BcpError:
        return False


def _bring_up(sandbox: Sandbox, *, tonight_by_itself: bool) -> str:
    """``tonight_by_itself``: a step of the demo makes today's dump set, on the help desk's own instance."""
    if tonight_by_itself:
        os.environ[TONIGHT_VARIABLE] = LEFT_TO_THE_HOST
    report = sandbox.up()
    return f"{len(report.parts)} parts on loopback; state in {sandbox.directory}"


def _environment(sandbox: Sandbox) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**kept, **sandbox.environment()}


def _config(job: str, directory: Path) -> Mapping[str, Any]:
    """What an operator would enter in the UI: their name and, for a drill of something encrypted, where the key is."""
    said: dict[str, Any] = {"operator": "demo"}
    if job in ("drill_vault_export", "drill_freescout_dump"):
        said["private_key_file"] = str(_private_key(directory))
    return {"ops": {asset_of(name): {"config": said} for name in DRILL_NAMES if job_of(name) == job}}


def _private_key(directory: Path) -> Path:
    return directory / "keys" / "operator.key.asc"


def _job(dev: DagsterDev, name: str, config: Mapping[str, Any]) -> Step:
    progress(f"Running {name} …")
    started = time.monotonic()
    try:
        run = dev.run_job(name, progress, config)
    except BcpError as error:
        return Step(name, False, time.monotonic() - started, f"{error.what} {error.remedy}")
    return Step(name, run.ok, run.seconds, run.reason or f"run {run.run_id}")


def _prove(policy: Policy, directory: Path) -> str:
    private_key = PrivateKey(_private_key(directory).read_bytes())
    fingerprint = os.environ["RAXX_BCP_GPG_FINGERPRINT"]
    verified: Verified = verify_export(state_bucket(policy), policy.vault_export, fingerprint, None, private_key)
    if verified.status is not Status.PASS:
        raise PermanentError("; ".join(check.detail for check in verified.checks), "Look at raxx-bcp vault verify.")
    return f"{verified.key}: {verified.checks[-1].detail}"


def _gates(policy: Policy) -> str:
    """Every card is open: a drill has just run for each."""
    evidence = policy.evidence
    report = make_report(
        record_of(policy).ledger, utc_now(), max_age_days=evidence.max_age_days, reviewer_required=False
    )
    shut = [state.decision.reason for state in report.cards if not state.decision.open]
    if shut:
        raise PermanentError(" ".join(shut), "Look at raxx-bcp evidence gate.")
    return f"open: {', '.join(state.card.name for state in report.cards)}"


def _timed(name: str, action: Callable[[], str]) -> Step:
    started = time.monotonic()
    try:
        detail, ok = action(), True
    except BcpError as error:
        detail, ok = f"{error.what} {error.remedy}", False
    return Step(name, ok, time.monotonic() - started, detail)


def _table(steps: list[Step]) -> str:
    width = max(len(step.name) for step in steps)
    rows = [f"{'ok  ' if s.ok else 'FAIL'}  {s.name:<{width}}  {s.seconds:>6.1f} s  {s.detail}" for s in steps]
    return "\n".join(["", *rows])


def _where(dev: DagsterDev, sandbox: Sandbox) -> str:
    slack = sandbox.environment()["SLACK_API_URL"].removesuffix("api/")
    return (
        f"\nThe UI: {dev.url}/assets   What Slack received: {slack}\n"
        "Schedules and sensors are running. Try, in a second terminal: raxx-bcp sandbox break vault-down\n"
        "Ctrl-C ends all of this."
    )
