"""How every command speaks: results to stdout, progress and errors to stderr, fixed exit codes."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.errors import (
    EXIT_COULD_NOT_VERIFY,
    EXIT_FAIL,
    EXIT_PASS,
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    TransientError,
)

P = ParamSpec("P")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def emit(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print ``result`` as JSON for machines, or ``text`` for people, to stdout."""
    click.echo(json.dumps(result, ensure_ascii=False, indent=2, default=str) if as_json else text)


def progress(message: str) -> None:
    """Say on stderr what is going on, so that long work is seen to move."""
    click.echo(message, err=True)


def exit_codes(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn a command's return value into its exit code, and a ``BcpError`` into one sentence on stderr.

    With ``--json`` a failure also prints ``{"ok": false, "error": …, "remedy": …}`` to stdout.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs) or 0
        except BcpError as error:
            click.echo(f"raxx-bcp: {error.what}\n  What to do: {error.remedy}", err=True)
            if kwargs.get("as_json"):
                failure = {"ok": False, "error": error.what, "remedy": error.remedy}
                click.echo(json.dumps(failure, ensure_ascii=False, indent=2))
            code = error.exit_code
        sys.exit(code)

    return run


def looking(command: Callable[P, int | None]) -> Callable[P, int | None]:
    """For commands that only look: away, busy, timed out or not let in is "not seen", which ends with exit code 3.

    Seen and wrong stays 1, and a set-up of one's own that is wrong stays 2. A watcher outside reads 1 as "the backup is
    late" and 3 as "nobody knows": it must never be told the first when the second is true.
    """

    @functools.wraps(command)
    def look(*args: P.args, **kwargs: P.kwargs) -> int | None:
        try:
            return command(*args, **kwargs)
        except (TransientError, CredentialsRefusedError) as error:
            raise CouldNotVerifyError(error.what, error.remedy) from None

    return look


def exit_code(status: Status) -> int:
    """0 for a pass or a warning, 1 for a failure, 3 for what could not be verified."""
    return {Status.FAIL: EXIT_FAIL, Status.COULD_NOT_VERIFY: EXIT_COULD_NOT_VERIFY}.get(status, EXIT_PASS)


def check_lines(checks: tuple[Check, ...]) -> list[str]:
    """Each check as a line, with its remedy below where it is not a pass."""
    lines = []
    for check in checks:
        lines.append(f"  {check.status.value:<16} {check.name}: {check.detail}")
        if check.remedy and check.status is not Status.PASS:
            lines.append(f"  {'':<16}   -> {check.remedy}")
    return lines
