"""How every command fails: one sentence on stderr, one JSON object on request, a fixed exit code."""

from __future__ import annotations

import copy
import json
import pickle
import re

import click
import pytest
from click.testing import CliRunner, Result

from raxx_bcp.checks import Check, Status, worst
from raxx_bcp.clients.gpg import DecryptionFailedError, EncryptionFailedError, KeyRefusedError
from raxx_bcp.clients.infisical_errors import DeniedError, LoginRefusedError
from raxx_bcp.clients.s3 import ConflictError, ObjectAbsentError
from raxx_bcp.console import emit, exit_codes, json_option, progress
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp.vault.gate import ExportRefusedError

EXIT_CODES: list[tuple[type[BcpError], int]] = [
    (BcpError, 1),
    (PermanentError, 1),
    (TransientError, 1),
    (UsageError, 2),
    (CouldNotVerifyError, 3),
    (ConflictError, 1),
    (ObjectAbsentError, 1),
    (KeyRefusedError, 1),
    (EncryptionFailedError, 1),
    (DecryptionFailedError, 1),
    (LoginRefusedError, 1),
    (DeniedError, 3),
    (ExportRefusedError, 1),
]


def run(outcome: BaseException | int | None, *arguments: str) -> Result:
    @click.command()
    @json_option
    @exit_codes
    def command(*, as_json: bool) -> int | None:
        progress("working")
        if isinstance(outcome, BaseException):
            raise outcome
        emit({"ok": True, "größe": 3}, "all well", as_json=as_json)
        return outcome

    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES)
def test_each_error_has_its_exit_code(kind: type[BcpError], code: int) -> None:
    assert run(kind("The vault is shut.", "Open it.")).exit_code == code


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_a_command_that_returns_keeps_its_own_exit_code(returned: int | None, code: int) -> None:
    result = run(returned)
    assert result.exit_code == code
    assert result.stdout == "all well\n"


def test_a_failure_is_one_sentence_with_its_remedy_and_no_traceback() -> None:
    result = run(PermanentError("The vault is shut.", "Open it."))
    assert result.stderr == "working\nraxx-bcp: The vault is shut.\n  What to do: Open it.\n"
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)


def test_with_json_a_failure_is_one_object_on_stdout() -> None:
    result = run(CouldNotVerifyError("Die Tür ist zu.", "Open it."), "--json")
    assert json.loads(result.stdout) == {
        "ok": False,
        "status": "could_not_verify",
        "error": "Die Tür ist zu.",
        "remedy": "Open it.",
    }
    assert "Tür" in result.stdout
    assert "raxx-bcp: Die Tür ist zu." in result.stderr
    assert result.exit_code == 3


def test_with_json_a_result_is_one_object_on_stdout_and_progress_stays_on_stderr() -> None:
    result = run(None, "--json")
    assert json.loads(result.stdout) == {"ok": True, "status": "pass", "error": None, "remedy": None, "größe": 3}
    assert result.stderr == "working\n"


def test_a_mistake_in_the_program_is_no_finding_and_tells_its_place_but_not_its_text() -> None:
    result = run(ZeroDivisionError("postgres://user:s3cr3t@host"))
    assert result.exit_code == 3, "1 would say that a backup was seen to be wrong"
    assert re.search(r"ZeroDivisionError in \S+\.py, line \d+\)", result.stderr)
    assert "s3cr3t" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), click.Abort()], ids=["Ctrl-C", "a question not answered"])
def test_what_was_interrupted_is_not_known(ending: BaseException) -> None:
    result = run(ending)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "interrupted before it was over" in result.stderr


@pytest.mark.parametrize("kind", [kind for kind, _ in EXIT_CODES])
def test_errors_survive_pickling_and_copying(kind: type[BcpError]) -> None:
    error = kind("The vault is shut.", "Open it.")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(twin) is kind
        assert (twin.what, twin.remedy, str(twin)) == (error.what, error.remedy, "The vault is shut. Open it.")


def check(status: Status) -> Check:
    return Check("it", status, "seen", "do")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), Status.PASS),
        ((Status.PASS,), Status.PASS),
        ((Status.PASS, Status.WARN), Status.WARN),
        ((Status.WARN, Status.COULD_NOT_VERIFY), Status.COULD_NOT_VERIFY),
        ((Status.COULD_NOT_VERIFY, Status.FAIL, Status.WARN), Status.FAIL),
    ],
)
def test_the_gravest_status_counts_and_could_not_verify_is_no_pass(
    statuses: tuple[Status, ...], expected: Status
) -> None:
    assert worst(tuple(check(status) for status in statuses)) is expected


def test_a_check_as_data_holds_all_four_parts() -> None:
    assert check(Status.WARN).as_dict() == {"name": "it", "status": "WARN", "detail": "seen", "remedy": "do"}
