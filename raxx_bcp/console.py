"""How every command reports: results to stdout, progress and errors to stderr, fixed exit codes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.retries import waits_told
from raxx_bcp.errors import (
    EXIT_COULD_NOT_VERIFY,
    EXIT_FAIL,
    EXIT_PASS,
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    TransientError,
    UsageError,
)
from raxx_bcp.json_output import INTERRUPTED, Problem, Speaker, mistake, speaker, speaking

P = ParamSpec("P")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def emit(
    result: Mapping[str, Any], text: str, *, as_json: bool, checks: Iterable[Check] = (), code: int | None = None
) -> None:
    """Print ``text`` for people, or keep ``result`` for the one JSON object that ends the command.

    ``checks`` explain an ending that is not a pass. ``code``, the exit code, is for a command that continues
    after its result: the object is printed at once.
    """
    if not as_json:
        click.echo(text)
        return
    one = speaker(as_json=as_json)
    one.hold(result, tuple(checks))
    if code is not None:
        one.say(code)


def progress(message: str) -> None:
    """Report progress on stderr, so that an operator sees that long work continues."""
    click.echo(message, err=True)


def exit_codes(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn a command's return value into its exit code, and a ``BcpError`` into one sentence on stderr.

    With ``--json`` every ending is one object with ``ok``, ``status``, ``error`` and ``remedy`` on stdout. A bug in
    the program is COULD_NOT_VERIFY: nothing was learnt. Its place is reported, never its text, which may hold anything.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        with speaking(speaker(as_json=as_json)) as one:
            code, problem = _ending(lambda: _started(lambda: command(*args, **kwargs), one, as_json=as_json))
            if problem:
                click.echo(f"raxx-bcp: {problem.error}\n  What to do: {problem.remedy}", err=True)
            if one.asked:
                one.say(code, problem)
        sys.exit(code)

    return run


def _started(command: Callable[[], int | None], one: Speaker, *, as_json: bool) -> int | None:
    if one.asked and not as_json:
        raise UsageError("--json was taken as the value of another option.", "Give that option its value.")
    with waits_told(progress):
        return command()


def _ending(command: Callable[[], int | None]) -> tuple[int, Problem | None]:
    try:
        return command() or EXIT_PASS, None
    except BcpError as error:
        return error.exit_code, Problem(error.what, error.remedy)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return EXIT_COULD_NOT_VERIFY, INTERRUPTED
    except (click.ClickException, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the last stop before an operator's terminal
        return EXIT_COULD_NOT_VERIFY, mistake(error)


def looking(command: Callable[P, int | None]) -> Callable[P, int | None]:
    """For commands that only look: away, busy, timed out or denied is "not seen", which ends with exit code 3.

    A seen fault stays 1, and a wrong set-up of the caller stays 2. An external monitor reads 1 as "the backup is
    late" and 3 as "unknown": it must never get the first when the second is true.
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
