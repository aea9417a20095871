"""``--json``: exactly one JSON object on stdout, whatever the ending; everything else goes to stderr.

A machine reads ``ok``, ``status``, ``error`` and ``remedy`` of every ending, beside the command's own result. So
the object is written only here, once, when the exit code is known: also for a wrong option, a help text,
an interruption and a bug in the program.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TextIO

import click

from raxx_bcp.checks import Check, Status
from raxx_bcp.errors import EXIT_COULD_NOT_VERIFY, EXIT_FAIL, EXIT_PASS, EXIT_USAGE

STATUS_WORDS: Final = {
    EXIT_PASS: "pass",
    EXIT_FAIL: "fail",
    EXIT_USAGE: "usage",
    EXIT_COULD_NOT_VERIFY: "could_not_verify",
}
"""``status`` for each exit code."""

_GRAVEST_FIRST: Final = {
    EXIT_FAIL: (Status.FAIL, Status.COULD_NOT_VERIFY, Status.WARN),
    EXIT_COULD_NOT_VERIFY: (Status.COULD_NOT_VERIFY, Status.FAIL, Status.WARN),
}


@dataclass(frozen=True)
class Problem:
    """Why an ending is not a pass: one sentence, and what to do."""

    error: str
    remedy: str


@dataclass
class Speaker:
    """The one object of this call. ``asked``: does the command line hold ``--json``?"""

    out: TextIO
    asked: bool
    said: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[Check] = ()

    def hold(self, result: Mapping[str, Any], checks: Sequence[Check]) -> None:
        """Keep a command's own result until its exit code is known."""
        self.result, self.checks = result, checks

    def say(self, code: int, problem: Problem | None = None) -> None:
        """Write the object for exit code ``code``, unless it was already written."""
        if self.said:
            return
        self.said = True
        why = problem or (None if code == EXIT_PASS else problem_of(self.checks, code))
        ending = {
            "ok": code == EXIT_PASS,
            "status": STATUS_WORDS[code],
            "error": why.error if why else None,
            "remedy": why.remedy if why else None,
        }
        told = dict(self.result)
        if "status" in told:
            ending["worst"] = told["status"]  # the worst check's status: it separates a warning from a pass
        self.out.write(_dumped({**ending, **{key: told[key] for key in told if key not in ending}}, self.out))
        self.out.flush()


_SPEAKER: ContextVar[Speaker | None] = ContextVar("raxx_bcp_speaker", default=None)


def speaker(*, as_json: bool) -> Speaker:
    """The object of this call of the program; a new one for a command that was not started through ``main``."""
    current = _SPEAKER.get()
    return current if current is not None and not current.said else Speaker(sys.stdout, asked=as_json)


@contextlib.contextmanager
def speaking(one: Speaker) -> Iterator[Speaker]:
    """Inside the block, commands report to ``one``."""
    token = _SPEAKER.set(one)
    try:
        yield one
    finally:
        _SPEAKER.reset(token)


def problem_of(checks: Sequence[Check], code: int) -> Problem:
    """The first of the worst checks, and how many more there are of that kind."""
    for status in _GRAVEST_FIRST.get(code, ()):
        found = [check for check in checks if check.status is status]
        if found:
            more = f" ({len(found) - 1} more below.)" if len(found) > 1 else ""
            return Problem(f"{found[0].name}: {found[0].detail}{more}", found[0].remedy or _LOOK)
    return Problem(UNEXPLAINED, _LOOK)


UNEXPLAINED: Final = "What was looked at is not as it should be."
_LOOK: Final = "Look at the rest of this object, or run the command without --json."


def one_object(run: Callable[[], Any]) -> NoReturn:
    """Run the command line and end the process, with one object on stdout for every ending.

    Other output to stdout (a help text, a library's messages) is kept away from it: it goes into ``text`` where
    the command has no object of its own, else to stderr.
    """
    stray = io.StringIO()
    with speaking(Speaker(sys.stdout, asked=True)) as one:
        try:
            with contextlib.redirect_stdout(stray):
                code, problem = _ending(run)
            if stray.getvalue() and not one.said:
                one.result = {"text": stray.getvalue(), **one.result}
            elif stray.getvalue():
                click.echo(stray.getvalue(), nl=False, err=True)
            one.say(code, problem)
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            sys.stdout = io.StringIO()  # the reader has gone: nothing is left to flush at exit
            code = EXIT_FAIL
    sys.exit(code)


def _ending(run: Callable[[], Any]) -> tuple[int, Problem | None]:
    try:
        code = run()
    except SystemExit as over:
        code = over.code
    except click.exceptions.Abort:
        return EXIT_COULD_NOT_VERIFY, INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE, _usage(error)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a machine gets its object for this ending too
        return EXIT_COULD_NOT_VERIFY, mistake(error)
    return (code if isinstance(code, int) else EXIT_PASS), None


INTERRUPTED: Final = Problem("It was interrupted before it was over.", "Start it again when you like.")


def _usage(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "raxx-bcp"
    if isinstance(error, click.NoSuchOption) and error.option_name == "--json" and _is_group(context):
        return Problem(f"--json belongs behind a command, and {command} is none.", f"Look at {command} --help.")
    return Problem(error.format_message(), f"Look at {command} --help.")


def _is_group(context: click.Context | None) -> bool:
    return context is not None and isinstance(context.command, click.Group)


def mistake(error: Exception) -> Problem:
    """A bug in the program: its place is reported, never its text, which may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    package = f"{os.sep}raxx_bcp{os.sep}"
    ours = next((frame for frame in reversed(frames) if package in frame.filename), frames[-1])
    place = f"{ours.filename.rpartition(package)[2]}, line {ours.lineno}"
    return Problem(
        f"raxx-bcp itself made a mistake ({type(error).__name__} in {place}): nothing was learnt.",
        "Report this line. It says nothing about any backup.",
    )


def _dumped(told: Mapping[str, Any], out: TextIO) -> str:
    """Readable where the stream can carry it, else in ASCII: a name that is not UTF-8 must not lose the object."""
    text = json.dumps(told, ensure_ascii=False, indent=2, default=str)
    try:
        text.encode(getattr(out, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(told, ensure_ascii=True, indent=2, default=str)
    return text + "\n"
