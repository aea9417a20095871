"""What a drill asks of a throwaway host: commands, SQL, Python and files, all over one SSH login.

Everything goes out as a script on standard input, never on a command line, where other processes could read it. The
answer is returned. An error holds at most a number or a name of it.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from types import TracebackType
from typing import Final, Self

from raxx_bcp.clients.ssh import DEFAULT_OUTPUT_BYTES, CommandFailedError, Completed, Shell

SQL_OPTIONS: Final = (
    "--batch",
    "--raw",
    "--skip-column-names",
    "--default-character-set=utf8mb4",
    "--loose-skip-print-query-on-error",
)
"""For the client programs of MariaDB and MySQL alike."""
SQL_CLIENT: Final = ("mariadb", *SQL_OPTIONS)
NOT_RUNNING: Final = frozenset({2002, 2003, 2006, 2013})
"""The client's errors for a server that is not there, or went away."""

_BOOTSTRAP: Final = "import sys;b=sys.stdin.buffer;exec(compile(b.read(int(b.readline())),'<drill>','exec'))"
_MAX_READ_BYTES: Final = 1024 * 1024
_SQL_ERROR: Final = re.compile(rb"^ERROR (\d{4,5}) \(\w{5}\)", re.MULTILINE)
_RAISED: Final = re.compile(
    rb"^(?:\w+\.)*([A-Z][A-Za-z]{0,50}(?:Error|Exception|Exit|Interrupt))(?::.*)?\Z", re.MULTILINE
)
"""The last line of a traceback: the kind of the error, never its text."""


class DatabaseError(CommandFailedError):
    """The database refused a statement. ``code`` is MariaDB's own number; 0 when its client gave none."""

    def __init__(self, what: str, remedy: str, *, code: int = 0, exit_code: int = 0) -> None:
        super().__init__(what, remedy, purpose="ask the database", exit_code=exit_code)
        self.code = code

    @property
    def not_running(self) -> bool:
        """Was there no server at all?"""
        return self.code in NOT_RUNNING


class Host:
    """A throwaway host with an open login. Everything runs as root, in the login's home directory.

    ``timeout_seconds`` of a method: how long the command may take; None: ``command_seconds``. Raises what ``Shell``
    raises.
    """

    def __init__(self, name: str, shell: Shell, command_seconds: float, *, guarded: bool = False) -> None:
        self.name = name
        self.guarded = guarded
        """Did the host have the copy guard when the snapshot was taken?"""
        self.sql_client: Sequence[str] = SQL_CLIENT
        """What ``sql`` runs; it must hold no secret."""
        self.shell = shell
        self._command_seconds = command_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Log out."""
        self.shell.close()

    def run(
        self,
        purpose: str,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float | None = None,
        max_output_bytes: int = DEFAULT_OUTPUT_BYTES,
        ok: tuple[int, ...] = (0,),
    ) -> Completed:
        """Run ``argv``, which must hold no secret. ``purpose`` ends "The command to …" in an error."""
        return self.shell.check(
            purpose,
            _as_root(argv),
            stdin=stdin,
            timeout_seconds=self._seconds(timeout_seconds),
            max_output_bytes=max_output_bytes,
            ok=ok,
        )

    def script(
        self, purpose: str, text: str, *, timeout_seconds: float | None = None, ok: tuple[int, ...] = (0,)
    ) -> str:
        """Run a script of POSIX sh, and return what it printed."""
        done = self.run(purpose, ("sh", "-s"), stdin=text.encode(), timeout_seconds=timeout_seconds, ok=ok)
        return done.stdout.decode("utf-8", "replace")

    def sql(
        self,
        script: str,
        *,
        database: str = "",
        timeout_seconds: float | None = None,
        max_output_bytes: int = DEFAULT_OUTPUT_BYTES,
    ) -> list[list[str]]:
        """The rows of all statements, one after the other; NULL is ``NULL``.

        A value must hold no tab and no line break (the client's ``--raw``): ask for numbers, names and hashes. Raises
        ``DatabaseError``; the statements after the one that failed were not run.
        """
        argv = (*self.sql_client, database) if database else self.sql_client
        done = self.shell.run(
            _as_root(argv),
            stdin=script.encode(),
            timeout_seconds=self._seconds(timeout_seconds),
            max_output_bytes=max_output_bytes,
        )
        if done.exit_code != 0:
            raise self._database_error(done)
        return [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines()]

    def python(
        self,
        source: str,
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float | None = None,
        max_output_bytes: int = DEFAULT_OUTPUT_BYTES,
    ) -> bytes:
        """Run a program of Python 3.10 and its standard library, and return what it printed.

        It finds ``stdin`` on its own ``sys.stdin.buffer``, and its ``__name__`` is ``__main__``.
        """
        program = source.encode()
        rest = [stdin] if isinstance(stdin, bytes) else stdin
        done = self.shell.run(
            _as_root(("python3", "-I", "-c", _BOOTSTRAP)),
            stdin=chain([b"%d\n" % len(program), program], rest),
            timeout_seconds=self._seconds(timeout_seconds),
            max_output_bytes=max_output_bytes,
        )
        if done.exit_code != 0:
            raised = _RAISED.search(done.stderr.rstrip())
            why = f" ({raised.group(1).decode()})" if raised else ""
            raise CommandFailedError(
                f"A program on {self.name} ended with exit code {done.exit_code}{why}.",
                "What it printed is not kept, since it may be a customer's. Keep the instance (keep) and look there.",
                purpose="run a program",
                exit_code=done.exit_code,
            )
        return done.stdout

    def read_file(self, path: str, *, max_bytes: int = _MAX_READ_BYTES) -> bytes:
        """A file's content. Raises ``PermanentError`` when it is larger than ``max_bytes``, or cannot be read."""
        return self.run(f"read {path}", ("cat", "--", path), max_output_bytes=max_bytes).stdout

    @contextlib.contextmanager
    def forward(self, port: int) -> Iterator[int]:
        """See ``Shell.forward``."""
        with self.shell.forward(port) as local:
            yield local

    def _seconds(self, asked: float | None) -> float:
        return self._command_seconds if asked is None else asked

    def _database_error(self, done: Completed) -> DatabaseError:
        found = _SQL_ERROR.search(done.stderr)
        code = int(found.group(1)) if found else 0
        said = f"error {code}" if code else f"exit code {done.exit_code}"
        if code in NOT_RUNNING:
            what = f"The database of {self.name} does not run, or went away ({said})."
        else:
            what = f"The database of {self.name} refused a statement ({said})."
        remedy = "Look the number up in MariaDB's list of error codes; its text is not kept, it may be a customer's."
        return DatabaseError(what, remedy, code=code, exit_code=done.exit_code)


def _as_root(argv: Sequence[str]) -> str:
    return f"sudo -n {shlex.join(argv)}"
