"""``raxx-bcp drill``: a restore drill from the command line, for the day when Dagster is what burned."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.console import emit, exit_codes, json_option, progress
from raxx_bcp.drills import starts
from raxx_bcp.drills.connections import places, record_of
from raxx_bcp.drills.engine.run import Conducted
from raxx_bcp.drills.engine.signals import CancelledError, cancelled_by_signals
from raxx_bcp.drills.engine.sweeper import Swept, sweep
from raxx_bcp.drills.freescout import dump_drill, snapshot_drill
from raxx_bcp.drills.heroku_postgres import restore_drill
from raxx_bcp.drills.hosts.admission import require_reason
from raxx_bcp.drills.starts import Asked
from raxx_bcp.drills.terraform_state import recovery_drill
from raxx_bcp.drills.vault import export_drill
from raxx_bcp.drills.vault import snapshot_drill as vault_snapshot
from raxx_bcp.errors import EXIT_COULD_NOT_VERIFY, EXIT_FAIL, EXIT_PASS, CouldNotVerifyError, UsageError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import load_policy
from raxx_bcp.resources import Raxx
from raxx_bcp.waiting import Progress

W = TypeVar("W")
F = TypeVar("F", bound=Callable[..., Any])


def asked_options(command: F) -> F:
    """What every drill asks: who, and whether to leave what it made."""
    command = click.option("--keep", is_flag=True, help="Leave what it made for inspection until its lease ends.")(
        command
    )
    return click.option("--operator", required=True, metavar="WHO", help="Who you are; it goes on record.")(command)


def private_key_option(command: F) -> F:
    """For what is encrypted."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--private-key-file", type=kind, help="Open it with this key; it is held in memory only.")(
        command
    )


def unguarded_option(command: F) -> F:
    """For drills that restore a snapshot of a host."""
    return click.option(
        "--accept-unguarded",
        metavar="WHY",
        help="Restore a snapshot that was taken without the copy guard; why that is harmless goes on record.",
    )(command)


class _DrillGroup(click.Group):
    """Takes a drill's name as Dagster writes it too: ``heroku_postgres`` is ``heroku-postgres``."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name.replace("_", "-"))


@click.group(cls=_DrillGroup)
def drill() -> None:
    """D4: restore a backup into something throwaway, compare, tear down, and put it on record."""


@drill.command("heroku-postgres")
@asked_options
@click.option("--backup", default=restore_drill.NEWEST, show_default=True, help="newest, random-older, or b003.")
@click.option("--fresh", is_flag=True, help="Make a backup now, with facts of its own, and restore that one.")
@click.option("--plan", default="", help="Plan of the throwaway database; default: the smallest that fits.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=None, help="Row counts may differ by this ratio.")
@click.option("--revision", default="", help="The Alembic revision to expect; default: production's.")
@json_option
@exit_codes
def heroku_command(
    *,
    operator: str,
    keep: bool,
    backup: str,
    fresh: bool,
    plan: str,
    tolerance: float | None,
    revision: str,
    as_json: bool,
) -> int:
    """Restore a backup of the customer database on Heroku and compare it with production, which is only read."""
    if fresh and backup != restore_drill.NEWEST:
        raise UsageError("Both --fresh and --backup were given.", "Give one of them.")
    wanted = restore_drill.Wanted(restore_drill.FRESH if fresh else backup, plan, tolerance, revision)
    return _start(starts.start_heroku_postgres, Asked(operator, keep=keep), wanted, as_json=as_json)


@drill.command("freescout-snapshot")
@asked_options
@click.option(
    "--snapshot",
    default=snapshot_drill.NEWEST,
    show_default=True,
    help="newest, random-older, a snapshot's name, or YYYY-MM-DD of an automatic one.",
)
@click.option("--bundle", default="", help="Bundle of the throwaway instance; default: the cheapest that fits.")
@unguarded_option
@json_option
@exit_codes
def freescout_snapshot_command(
    *, operator: str, keep: bool, snapshot: str, bundle: str, accept_unguarded: str | None, as_json: bool
) -> int:
    """Tier 1: FreeScout's snapshot as a throwaway instance, isolated first, then examined over SSH."""
    wanted = snapshot_drill.Wanted(snapshot, bundle, require_reason(accept_unguarded))
    return _start(starts.start_freescout_snapshot, Asked(operator, keep=keep), wanted, as_json=as_json)


@drill.command("freescout-dump")
@asked_options
@click.option(
    "--dump", default=dump_drill.NEWEST, show_default=True, help="newest, random-older, or a set's YYYY-MM-DD."
)
@click.option("--bundle", default="", help="Bundle of the throwaway instance; default: the cheapest that fits.")
@private_key_option
@json_option
@exit_codes
def freescout_dump_command(
    *, operator: str, keep: bool, dump: str, bundle: str, private_key_file: Path | None, as_json: bool
) -> int:
    """Tier 2: a dump set restored into a fresh FreeScout on a throwaway instance, then the same examination."""
    key = private_key_file.read_bytes() if private_key_file else None
    start = functools.partial(starts.start_freescout_dump, private_key=key)
    return _start(start, Asked(operator, keep=keep), dump_drill.Wanted(dump, bundle), as_json=as_json)


@drill.command("vault-export")
@asked_options
@click.option(
    "--date", "day", default=export_drill.NEWEST, show_default=True, help="newest, random-older, or YYYY-MM-DD."
)
@click.option("--decrypt", is_flag=True, help="Open it with your own GnuPG keyring and agent.")
@click.option(
    "--gpg-home",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Open it with the keyring in this GnuPG home.",
)
@private_key_option
@json_option
@exit_codes
def vault_export_command(
    *,
    operator: str,
    keep: bool,
    day: str,
    decrypt: bool,
    gpg_home: Path | None,
    private_key_file: Path | None,
    as_json: bool,
) -> int:
    """The vault's export restored into a throwaway vault and compared, item by item. Without a key: what can be."""
    if sum((decrypt, gpg_home is not None, private_key_file is not None)) > 1:
        raise UsageError("More than one way to open the export was given.", "Give one of them.")
    key = None
    if decrypt or gpg_home or private_key_file:
        armoured = private_key_file.read_bytes() if private_key_file else None
        key = export_drill.DecryptionKey(armoured, gpg_home)
    start = functools.partial(starts.start_vault_export, key=key)
    return _start(start, Asked(operator, keep=keep), export_drill.Wanted(day), as_json=as_json)


@drill.command("vault-snapshot")
@asked_options
@click.option(
    "--snapshot", default=vault_snapshot.NEWEST, show_default=True, help="newest, random-older, or a snapshot's name."
)
@click.option("--bundle", default="", help="Bundle of the throwaway instance; default: the cheapest that fits.")
@unguarded_option
@json_option
@exit_codes
def vault_snapshot_command(
    *, operator: str, keep: bool, snapshot: str, bundle: str, accept_unguarded: str | None, as_json: bool
) -> int:
    """The vault host's snapshot as a throwaway instance: does Infisical answer, and with all of its secrets?"""
    wanted = vault_snapshot.Wanted(snapshot, bundle, require_reason(accept_unguarded))
    return _start(starts.start_vault_snapshot, Asked(operator, keep=keep), wanted, as_json=as_json)


@drill.command("state-recovery")
@asked_options
@json_option
@exit_codes
def state_recovery_command(*, operator: str, keep: bool, as_json: bool) -> int:
    """A state object overwritten and deleted in a scratch prefix, and recovered from its versions."""
    wanted = recovery_drill.Wanted()
    return _start(starts.start_state_recovery, Asked(operator, keep=keep), wanted, as_json=as_json)


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


def _start(start: Callable[[Raxx, Asked, W, Progress], Conducted], asked: Asked, wanted: W, *, as_json: bool) -> int:
    """Run one drill to its end, show it, and return the exit code of its verdict."""
    raxx = Raxx(load_policy())
    with _cancellable():
        done = start(raxx, asked, wanted, progress)
    emit(_as_dict(done), _text(done), as_json=as_json, checks=(_verdict_check(done),))
    return {Verdict.PASS: EXIT_PASS, Verdict.FAIL: EXIT_FAIL}.get(done.verdict, EXIT_COULD_NOT_VERIFY)


def _verdict_check(done: Conducted) -> Check:
    """Why a drill is no pass, in the words of its row."""
    running = done.drill
    failed = [
        f"{one.name}: {one.reason}" for one in running.results if one.status is not one.status.PASS and one.reason
    ]
    status = {Verdict.PASS: Status.PASS, Verdict.FAIL: Status.FAIL}.get(done.verdict, Status.COULD_NOT_VERIFY)
    return Check(
        f"drill {running.order.kind}",
        status,
        " ".join([*running.findings, *failed]) or "nothing was checked.",
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
    """Ctrl-C and SIGTERM give everything back first, and end as could not verify with one sentence."""
    try:
        with cancelled_by_signals():
            yield
    except CancelledError:
        raise CouldNotVerifyError(
            "The drill was cancelled: everything it had made was given back, and its row is on record.",
            "Start it again when you like.",
        ) from None


def _as_dict(done: Conducted) -> dict[str, Any]:
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
            }
            for one in running.results
        ],
        "findings": running.findings,
    }


def _text(done: Conducted) -> str:
    running = done.drill
    lines = [f"{done.verdict.value}: drill {running.id}, row {done.row_sequence}"]
    if running.source_backup:
        lines.append(f"  backup {running.source_backup.backup_id}, {running.source_backup.selected_because}")
    if running.rto_seconds is not None:
        lines.append(f"  restored and verified in {running.rto_seconds:.0f} s")
    lines += [f"  {one.status.value:<8} {one.name}{': ' + one.reason if one.reason else ''}" for one in running.results]
    lines += [f"  finding: {finding}" for finding in running.findings]
    return "\n".join(lines)
