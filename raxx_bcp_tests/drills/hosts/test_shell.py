"""What a drill asks of a host: commands, SQL, Python and files, over real SSH."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from raxx_bcp.clients.ssh import CommandFailedError, connect
from raxx_bcp.drills.hosts.shell import DatabaseError, Host
from raxx_bcp.errors import CouldNotVerifyError, PermanentError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab

SECRET = "rxs_ticket_text"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with ssh_lab(tmp_path_factory.mktemp("host")) as served:
        yield served


@pytest.fixture(scope="module")
def host(machine: Machine) -> Iterator[Host]:
    with Host("raxx-tickets-restored", connect(machine.access(), machine.port), 20.0) as made:
        yield made


def test_rows_come_back_as_they_were_printed(machine: Machine, host: Host) -> None:
    machine.program("mariadb", 'echo "$@" >mariadb.argv; cat >mariadb.in; printf "1\\tNULL\\nÜ😀\\t\\n"')
    assert host.sql("SELECT 1;\n", database="free scout") == [["1", "NULL"], ["Ü😀", ""]]
    assert (machine.home / "mariadb.in").read_text() == "SELECT 1;\n"
    assert (machine.home / "mariadb.argv").read_text().strip() == (
        "--batch --raw --skip-column-names --default-character-set=utf8mb4 --loose-skip-print-query-on-error free scout"
    )
    assert machine.commands[-1].startswith("sudo -n mariadb ")


@pytest.mark.parametrize(
    ("error", "code", "down"),
    [
        ("ERROR 2002 (HY000): Can't connect to local server through socket '/run/x.sock' (2)", 2002, True),
        (f"ERROR 1062 (23000) at line 7: Duplicate entry '{SECRET}' for key 'email'", 1062, False),
        (f"mariadb: {SECRET}", 0, False),
    ],
)
def test_a_database_error_is_its_number(machine: Machine, host: Host, error: str, code: int, down: bool) -> None:  # noqa: FBT001
    machine.program("mariadb", f'echo "{error}" >&2; exit 1')
    with pytest.raises(DatabaseError) as caught:
        host.sql("SELECT 1")
    assert (caught.value.code, caught.value.not_running) == (code, down)
    assert str(code or "exit code 1") in caught.value.what
    assert SECRET not in everything_shown_but_pickled(caught.value)


def test_a_program_gets_its_input_and_its_output_comes_back(machine: Machine, host: Host) -> None:
    source = (
        "import json, sys\n"
        "data = sys.stdin.buffer.read()\n"
        "if __name__ == '__main__':\n"
        "    print(json.dumps({'size': len(data), 'päth': sys.argv, 'isolated': sys.flags.isolated}))\n"
    )
    chunks = (b"x" * 100_000 for _ in range(30))
    assert json.loads(host.python(source, stdin=chunks)) == {"size": 3_000_000, "päth": ["-c"], "isolated": 1}
    assert "json" not in machine.commands[-1], "a program is never on a command line"


def test_a_program_that_fails_says_the_kind_of_its_error_only(host: Host) -> None:
    with pytest.raises(CommandFailedError, match="exit code 1 \\(KeyError\\)") as caught:
        host.python(f"{{}}['{SECRET}']")
    assert SECRET not in everything_shown_but_pickled(caught.value)
    with pytest.raises(CommandFailedError, match="exit code 3\\.") as caught:
        host.python(f"import sys; print('{SECRET}', file=sys.stderr); sys.exit(3)")
    assert SECRET not in everything_shown_but_pickled(caught.value)


def test_what_the_input_of_a_program_raises_comes_out(host: Host) -> None:
    trouble = CouldNotVerifyError("S3 broke off.", "Try again.")

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise trouble

    with pytest.raises(CouldNotVerifyError) as caught:
        host.python("import sys; sys.stdin.buffer.read()", stdin=broken())
    assert caught.value is trouble


def test_a_file_is_read_whole_or_not_at_all(machine: Machine, host: Host) -> None:
    (machine.home / "a file").write_bytes(b"\0\xff\n")
    assert host.read_file("a file") == b"\0\xff\n"
    with pytest.raises(CommandFailedError, match="read no-such-file"):
        host.read_file("no-such-file")
    with pytest.raises(PermanentError, match="more than 2 bytes"):
        host.read_file("a file", max_bytes=2)


def test_a_script_is_not_on_a_command_line(machine: Machine, host: Host) -> None:
    assert host.script("greet", f"echo {SECRET}; exit 3", ok=(3,)) == f"{SECRET}\n"
    assert machine.commands[-1] == "sudo -n sh -s"
    with pytest.raises(CommandFailedError, match="The command to greet"):
        host.script("greet", "exit 3")


def everything_shown_but_pickled(error: BaseException) -> str:
    return "\n".join(part for part in everything_shown(error).splitlines() if "host.python(f" not in part)
