"""``raxx-bcp sandbox``: a local Raxx on loopback, to try and to break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.console import emit, exit_codes, json_option, progress
from raxx_bcp.errors import EXIT_FAIL, EXIT_PASS, UsageError
from raxx_bcp_sandbox.report import GOOD, Condition, Report

if TYPE_CHECKING:
    from raxx_bcp_sandbox.supervisor import Sandbox


@click.group()
def sandbox() -> None:
    """A local Raxx on loopback, to try and to break.

    It lives in $RAXX_BCP_SANDBOX_DIR, else in .sandbox of the folder where the command is run: run all of its
    commands in the same folder.
    """


@sandbox.command("up")
@json_option
@exit_codes
def up_command(*, as_json: bool) -> int:
    """Start what does not run, repair what is half dead, leave alone what is healthy."""
    report = _sandbox().up()
    text = f'{report.text()}\nNext: eval "$(raxx-bcp sandbox env)"'
    emit(report.as_dict(), text, as_json=as_json)
    return EXIT_PASS


@sandbox.command("down")
@click.option("--purge", is_flag=True, help="Also delete the state directory: all data, keys and credentials.")
@json_option
@exit_codes
def down_command(*, purge: bool, as_json: bool) -> int:
    """Stop every process of the sandbox and confirm that they are gone."""
    current = _sandbox()
    missing = current.missing()
    stopped = current.down(purge=purge)
    what = f"Stopped: {', '.join(stopped)}." if stopped else " ".join(filter(None, ("Nothing was running.", missing)))
    purged = purge and not missing
    text = f"{what} {current.directory} was deleted." if purged else what
    result = {"ok": True, "stopped": list(stopped), "purged": purged, "directory": str(current.directory)}
    emit({**result, "missing": missing}, text, as_json=as_json)
    return EXIT_PASS


@sandbox.command("status")
@json_option
@exit_codes
def status_command(*, as_json: bool) -> int:
    """How is every part doing, and what is broken? Exit code 1 unless every part runs."""
    report = _sandbox().status()
    emit(report.as_dict(), report.text(), as_json=as_json, checks=_part_checks(report))
    return EXIT_PASS if report.healthy else EXIT_FAIL


@sandbox.command("env")
@json_option
@exit_codes
def env_command(*, as_json: bool) -> int:
    """Print the variables that lead into the sandbox: eval "$(raxx-bcp sandbox env)"."""
    current = _sandbox()
    from raxx_bcp_sandbox.supervisor import UNSET

    variables = current.environment()
    lines = [f"unset {name}" for name in UNSET]
    lines += [f"export {name}={_quoted(value)}" for name, value in variables.items()]
    emit({"ok": True, "environment": variables, "unset": list(UNSET)}, "\n".join(lines), as_json=as_json)
    return EXIT_PASS


@sandbox.command("break")
@click.argument("name")
@json_option
@exit_codes
def break_command(*, name: str, as_json: bool) -> int:
    """Inject the fault NAME; `status --json` lists what there is."""
    fault = _sandbox().break_(name)
    text = f"Broken: {fault.name}. {fault.shows}\nMend it with: raxx-bcp sandbox mend {fault.name}"
    emit({"ok": True, "fault": fault.as_dict()}, text, as_json=as_json)
    return EXIT_PASS


@sandbox.command("mend")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Mend every fault.")
@json_option
@exit_codes
def mend_command(*, name: str | None, every: bool, as_json: bool) -> int:
    """Take the fault NAME away again."""
    if (name is None) is not every:
        raise UsageError("Which fault to mend is not clear.", "Give one NAME, or --all.")
    mended = _sandbox().mend_all() if name is None else (_sandbox().mend(name).name,)
    text = f"Mended: {', '.join(mended)}." if mended else "Nothing was broken."
    emit({"ok": True, "mended": list(mended)}, text, as_json=as_json)
    return EXIT_PASS


def _part_checks(report: Report) -> list[Check]:
    """A part that does not run, each with what brings it back."""
    up, mend = "Run raxx-bcp sandbox up.", "A fault keeps it down: raxx-bcp sandbox mend --all."
    ill = [part for part in report.parts if part.state not in GOOD]
    return [
        Check(part.name, Status.FAIL, f"{part.state.value}.", mend if part.state is Condition.KEPT_DOWN else up)
        for part in ill
    ]


def _quoted(value: str) -> str:
    """For any POSIX shell, always in quotes: one look shows where a value ends."""
    return "'" + value.replace("'", "'\\''") + "'"


def _sandbox() -> Sandbox:
    try:
        from raxx_bcp_sandbox.supervisor import Sandbox
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The sandbox's packages are not installed ({error.name} is missing).",
            "Install them: make setup in the clone.",
        ) from error
    return Sandbox(say=progress)
