"""``raxx-bcp drill``: a restore drill from the command line, for the day when Dagster itself is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.commands.drill_options import command_of
from raxx_bcp.console import emit, exit_codes, json_option, progress
from raxx_bcp.drills.engine import explaining
from raxx_bcp.drills.engine.record_stores import record_of
from raxx_bcp.drills.engine.run import FinishedDrill
from raxx_bcp.drills.engine.signals import CancelledError, cancelled_by_signals
from raxx_bcp.drills.engine.sweeper import Swept, sweep
from raxx_bcp.drills.kind import Asked, Kind
from raxx_bcp.drills.kinds import DRILL_NAMES, spoken
from raxx_bcp.drills.loading import kind
from raxx_bcp.drills.places import places
from raxx_bcp.errors import EXIT_COULD_NOT_VERIFY, EXIT_FAIL, EXIT_PASS, CouldNotVerifyError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import load_policy
from raxx_bcp.resources import Raxx


class _DrillGroup(click.Group):
    """A command for every line of the table of drills. A name may be written as Dagster writes it, with ``_``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *(spoken(name) for name in DRILL_NAMES)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        if name in DRILL_NAMES:
            return command_of(kind(name), _start)
        return super().get_command(ctx, cmd_name)


@click.group(cls=_DrillGroup)
def drill() -> None:
    """D4: restore a backup into something throwaway, compare, tear down, and put it on record."""


@drill.command("sweep")
@json_option
@exit_codes
def sweep_command(*, as_json: bool) -> int:
    """Delete what killed drills left past its lease, and write the rows that they could not write."""
    policy = load_policy()
    record = record_of(policy)
    with places(policy) as where:
        swept = sweep(where, record.journal, record.ledger, record.spool, progress=progress)
    emit(swept.as_dict(), swept.text(), as_json=as_json, checks=_sweep_checks(swept))
    if swept.still_there:
        return EXIT_FAIL
    return EXIT_COULD_NOT_VERIFY if swept.problems else EXIT_PASS


def _start(kind: Kind[Any], asked: Asked, wanted: Any, as_json: bool) -> int:  # noqa: FBT001 - as ``Start`` says
    """Run one drill to its end, show it, and return the exit code of its verdict."""
    raxx = Raxx(load_policy())
    with _cancellable():
        done = kind.start(raxx, asked, wanted, progress)
    emit(_as_dict(done), _text(done), as_json=as_json, checks=(_verdict_check(done),))
    return {Verdict.PASS: EXIT_PASS, Verdict.FAIL: EXIT_FAIL}.get(done.verdict, EXIT_COULD_NOT_VERIFY)


def _verdict_check(done: FinishedDrill) -> Check:
    """Why a drill did not pass, in the words of its row."""
    running = done.drill
    status = {Verdict.PASS: Status.PASS, Verdict.FAIL: Status.FAIL}.get(done.verdict, Status.COULD_NOT_VERIFY)
    return Check(
        f"drill {running.order.kind}",
        status,
        " ".join(explaining.why(running)) or "nothing was checked.",
        f"Look at row {done.row_sequence} (raxx-bcp evidence report), fix what it names, and run the drill again.",
    )


def _sweep_checks(swept: Swept) -> list[Check]:
    again = "Delete it by hand, or run raxx-bcp drill sweep again."
    still = [
        Check(f"{one.kind} {one.name}", Status.FAIL, f"still there: {one.problem}", again) for one in swept.still_there
    ]
    unseen = "Correct the access that it names, and run raxx-bcp drill sweep again."
    return [*still, *(Check("sweep", Status.COULD_NOT_VERIFY, one, unseen) for one in swept.problems)]


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    """On Ctrl-C or SIGTERM, delete everything first, then end as "could not verify" with one sentence."""
    try:
        with cancelled_by_signals():
            yield
    except CancelledError:
        raise CouldNotVerifyError(
            "The drill was cancelled: everything it had made was given back, and its row is on record.",
            "Start it again when you like.",
        ) from None


def _as_dict(done: FinishedDrill) -> dict[str, Any]:
    running = done.drill
    backup = running.source_backup
    return {
        "ok": done.verdict is Verdict.PASS,
        "verdict": done.verdict.value,
        "drill_id": running.id,
        "row_sequence": done.row_sequence,
        "operator": running.order.operator,
        "backup": backup.backup_id if backup else None,
        "rto_seconds": running.rto_seconds,
        "rpo_seconds": running.rpo_seconds,
        "teardown_confirmed": running.leases.confirmed,
        "checks": [
            {
                "name": one.name,
                "expected": one.expected,
                "actual": one.actual,
                "status": one.status.value,
                "reason": one.reason,
                "follows": one.follows,
            }
            for one in running.results
        ],
        "findings": running.findings,
    }


def _text(done: FinishedDrill) -> str:
    running = done.drill
    lines = [f"{done.verdict.value}: drill {running.id}, row {done.row_sequence}"]
    if running.source_backup:
        lines.append(f"  backup {running.source_backup.backup_id}, {running.source_backup.selected_because}")
    if running.rto_seconds is not None:
        lines.append(f"  restored and verified in {running.rto_seconds:.0f} s")
    lines += [
        f"  {'  ' if one.follows else ''}{one.status.value:<8} {one.name}{': ' + one.told if one.told else ''}"
        for one in running.results
    ]
    lines += [f"  finding: {finding}" for finding in running.findings]
    return "\n".join(lines)
