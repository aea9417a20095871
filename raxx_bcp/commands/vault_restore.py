"""``raxx-bcp vault restore|show|get|diff``: open an export, on the day when the vault is gone.

From a file they need only gpg: no AWS, no bcp.toml, no Dagster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from raxx_bcp import environment
from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.console import emit, exit_codes, json_option, looking, progress
from raxx_bcp.errors import EXIT_FAIL, EXIT_PASS, UsageError
from raxx_bcp.json_output import speaker
from raxx_bcp.policy import load_policy
from raxx_bcp.vault import reading, sources
from raxx_bcp.vault.compare import KINDS
from raxx_bcp.vault.opening import OpenedExport
from raxx_bcp.vault.restore import Restored, carry_out
from raxx_bcp.vault.restore_plan import RestorePlan, plan_restore
from raxx_bcp.vault.same_vault import VaultMatch

F = TypeVar("F", bound=Callable[..., Any])

_MOST_SHOWN: Final = 50
_SOURCE: Final = "YYYY-MM-DD, newest, s3://BUCKET/KEY, or a file."


def key_options(command: F) -> F:
    """Which private key opens it; by default the operator's own gpg, with its agent, card and prompt."""
    command = click.option(
        "--private-key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Open it with this private key; it is held in memory only. Default: your own gpg.",
    )(command)
    return click.option(
        "--gpg-home",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Open it with the keys of this GnuPG home.",
    )(command)


@click.command("restore")
@click.option("--from", "source", required=True, metavar="EXPORT", help=_SOURCE)
@click.option("--to", "url", required=True, metavar="URL", help="The vault to restore into: https://host[:port].")
@click.option("--project", "projects", multiple=True, metavar="SLUG", help="Only this project; can be repeated.")
@click.option("--overwrite", multiple=True, metavar="SLUG", help="Give its secrets the export's values; repeatable.")
@click.option(
    "--into-source",
    default="",
    metavar="ORG_ID",
    help="Needed to write into the vault that the export was read from: its organisation's id.",
)
@click.option(
    "--undelete-environments",
    "undelete",
    is_flag=True,
    help="Bring environments back that are deleted in that vault, which keeps them and their slugs for 14 days.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan, write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
@key_options
@json_option
@exit_codes
def restore_command(
    *,
    source: str,
    url: str,
    projects: tuple[str, ...],
    overwrite: tuple[str, ...],
    into_source: str,
    undelete: bool,
    dry_run: bool,
    yes: bool,
    private_key_file: Path | None,
    gpg_home: Path | None,
    as_json: bool,
) -> int:
    """Restore an export into another Infisical, read it back and compare item by item.

    It logs in with INFISICAL_RESTORE_CLIENT_ID and _SECRET: a machine identity of that vault with the
    organisation role Member. Run again after an interruption, it goes on where it stopped.
    """
    writer = restore_writer(url)
    document = _opened(source, private_key_file, gpg_home)
    with writer:
        plan = plan_restore(
            document,
            writer,
            projects=projects or None,
            overwrite=overwrite,
            into_source=into_source,
            undelete=undelete,
        )
        text = "\n".join(plan_lines(plan, document))
        if dry_run:
            emit({"ok": True, "dry_run": True, "plan": plan.as_dict()}, text, as_json=as_json)
            return EXIT_PASS
        progress(text)
        plan.require_consent_for_source()
        if not yes and plan.writes:
            _ask(plan)
        restored = carry_out(plan, writer, progress=progress)
    result = {**restored.as_dict(), "plan": plan.as_dict()}
    lines = list(restored_lines(restored))
    remedy = "Look at what differs and why, mend the cause, and run the same command again: it goes on."
    emit(result, "\n".join(lines), as_json=as_json, checks=(Check("restore", Status.FAIL, lines[-1], remedy),))
    return EXIT_PASS if restored.ok else EXIT_FAIL


@click.command("show")
@click.option("--from", "source", default=sources.NEWEST, show_default=True, metavar="EXPORT", help=_SOURCE)
@click.option("--keys", is_flag=True, help="Also the name of every secret.")
@key_options
@json_option
@exit_codes
@looking
def show_command(
    *, source: str, keys: bool, private_key_file: Path | None, gpg_home: Path | None, as_json: bool
) -> int:
    """What an export holds: names and counts, no value."""
    contents = reading.Contents(_opened(source, private_key_file, gpg_home))
    emit(contents.as_dict(), "\n".join(contents.lines(keys=keys)), as_json=as_json)
    return EXIT_PASS


@click.command("get")
@click.argument("place", metavar="PROJECT/ENV/PATH/KEY")
@click.option("--from", "source", default=sources.NEWEST, show_default=True, metavar="EXPORT", help=_SOURCE)
@key_options
@json_option
@exit_codes
@looking
def get_command(*, place: str, source: str, private_key_file: Path | None, gpg_home: Path | None, as_json: bool) -> int:
    """One value of an export, to a terminal only; with --json in quotes, so that line ends and spaces show."""
    if not speaker(as_json=as_json).out.isatty():
        raise UsageError(
            "vault get shows a secret, and its output is no terminal: it would stay in a file, a log or a pipe.",
            "Run it in a terminal, without a redirection; to give values to a vault: raxx-bcp vault restore.",
        )
    document = _opened(source, private_key_file, gpg_home)
    value = reading.one_value(document, place)
    emit({"place": place, "export_date": document.export_date, "value": value}, value, as_json=as_json)
    return EXIT_PASS


@click.command("diff")
@click.argument("older", metavar="OLDER")
@click.argument("newer", metavar="NEWER")
@key_options
@json_option
@exit_codes
@looking
def diff_command(*, older: str, newer: str, private_key_file: Path | None, gpg_home: Path | None, as_json: bool) -> int:
    """What changed between two exports: names, no value. Exit code 1 when anything did."""
    changes = reading.diff(_opened(older, private_key_file, gpg_home), _opened(newer, private_key_file, gpg_home))
    lines = list(changes.lines())
    found = Check("diff", Status.FAIL, lines[-1], "Look at what was added, removed and changed.")
    emit(changes.as_dict(), "\n".join(lines), as_json=as_json, checks=(found,))
    return EXIT_PASS if changes.equal else EXIT_FAIL


def restore_writer(url: str) -> InfisicalWriter:
    """A writer for the vault at ``url``, not logged in yet. Raises ``UsageError`` naming a missing variable."""
    purpose = "a machine identity of the vault that is restored into, organisation role Member"
    return InfisicalWriter(
        url,
        environment.required("INFISICAL_RESTORE_CLIENT_ID", purpose),
        environment.required("INFISICAL_RESTORE_CLIENT_SECRET", purpose),
    )


def _opened(source: str, private_key_file: Path | None, gpg_home: Path | None) -> OpenedExport:
    if private_key_file and gpg_home:
        raise UsageError("--private-key-file and --gpg-home were both given.", "Give one of the two.")
    sealed = sources.fetch(source, _days)
    progress(f"{sealed.name}: {len(sealed.body)} bytes, for key {', '.join(sealed.recipients)}")
    if sealed.manifest is None:
        progress("no manifest is at hand to compare it with; gpg and the format still judge it")
    key = sources.Key(private_key_file.read_bytes() if private_key_file else None, gpg_home)
    document = sources.open_export(sealed, key)
    progress(f"opened: {document.secret_count} secrets of {len(document.projects)} projects, {document.export_date}")
    return document


def _days() -> sources.Days:
    policy = load_policy()
    return sources.Days(environment.state_bucket(policy), policy.vault_export.prefix)


def _ask(plan: RestorePlan) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was written: there is no terminal to ask for your consent.",
            "Look at the plan with --dry-run, then add --yes.",
        )
    if not click.confirm(f"Write this to {plan.url}?", err=True):
        raise UsageError("Nothing was written: you said no.", "The plan stays the same with the next run.")


def plan_lines(plan: RestorePlan, document: OpenedExport) -> Iterator[str]:
    """The plan for people."""
    yield f"restore the export of {document.export_date} into {plan.url}"
    if plan.kinship.kin is not VaultMatch.OTHER:
        yield f"  {plan.kinship.told}"
    for project in plan.projects:
        environments, folders, secrets, imports = project.counts
        there = f"; {project.already} items are there already" if project.already else ""
        back = "".join(f", after bringing back {one.slug}, which is deleted there" for one in project.held)
        yield (
            f"  {project.slug}: {project.action.value}{back} ({environments} environments, {folders} folders, "
            f"{secrets} secrets, {imports} imports{there})"
        )
    if plan.not_chosen:
        yield f"  not chosen: {', '.join(plan.not_chosen)}"
    if plan.others:
        yield f"  left alone, since the export does not have them: {', '.join(plan.others)}"
    if plan.left_out:
        yield "cannot be restored:"
        yield from _limited(f"  {one.kind} {one.where}: {one.why}" for one in plan.left_out)
    yield "not in any export, or starts anew:"
    yield from (f"  {note}" for note in plan.notes)


def restored_lines(restored: Restored) -> Iterator[str]:
    """The table at the end: what is equal, what differs and why."""
    compared = restored.compared
    yield f"{'':<12}{'equal':>8}{'differs':>9}"
    yield from (f"{kind:<12}{compared.equal[kind]:>8}{compared.differing(kind):>9}" for kind in KINDS)
    yield from _limited(f"  {one.kind} {one.where}: {one.why}" for one in compared.different)
    yield from _limited(f"  not restored: {one.kind} {one.where}: {one.why}" for one in compared.left_out)
    yield from (f"  {count} {what}: compared as trimmed" for what, count in compared.normalised.items() if count)
    if restored.approvals:
        yield f"  {restored.approvals} secrets wait for approval in the vault: approve them, then run it again"
    yield from (f"  order differs in {one.where}: {one.why}" for one in compared.order)
    yield _ending(restored)


def _ending(restored: Restored) -> str:
    if restored.compared.different:
        return "the vault does NOT hold what the export holds"
    count = len(restored.compared.left_out)
    rest = f", all but {count} {'item' if count == 1 else 'items'}" if count else ""
    return f"the vault holds what the export holds{rest}"


def _limited(lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number < _MOST_SHOWN:
            yield line
        elif number == _MOST_SHOWN:
            yield "  … and more; --json lists all"
