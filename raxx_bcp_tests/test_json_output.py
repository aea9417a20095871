"""Every command of the tree with ``--json``: one object on stdout, whatever the ending.

The commands are read from the program itself, so that a new one is in here by itself; only how it succeeds has to be
said, in ``SUCCESS``.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result, _NamedTextIOWrapper

from raxx_bcp import json_output
from raxx_bcp.checks import Check, Status
from raxx_bcp.cli import main, wants_json
from raxx_bcp.clients.http import Door
from raxx_bcp.drills.kind import Kind
from raxx_bcp.drills.loading import kind
from raxx_bcp.json_output import STATUS_WORDS, problem_of
from raxx_bcp_sandbox.commands import demo
from raxx_bcp_sandbox.dagster_dev import JobRun
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.clients.servers import scripted
from raxx_bcp_tests.faults.commands import CLI, help_desk_key

Path_ = tuple[str, ...]


def leaves(command: click.Command, path: Path_ = ()) -> Iterator[tuple[Path_, click.Command]]:
    """Every command that does something, with the words that lead to it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*path, name))


COMMANDS = dict(leaves(main))
EVERY = [pytest.param(path, id=" ".join(path)) for path in COMMANDS]


def called(path: Path_, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*path, *arguments, "--json"])


def the_object(result: Result) -> dict[str, Any]:
    """What is on stdout is one object with the four keys, which agree with the exit code."""
    assert isinstance(result.exception, SystemExit | None), result.exception
    told = json.loads(result.stdout)
    assert isinstance(told, dict)
    assert told["ok"] is (result.exit_code == 0)
    assert told["status"] == STATUS_WORDS[result.exit_code]
    for key in ("error", "remedy"):
        assert isinstance(told[key], str if result.exit_code else type(None)), (key, told[key])
        assert told[key] != ""
    assert told["error"] != json_output.UNEXPLAINED, "give emit the checks that explain such an ending"
    assert "Traceback" not in result.output
    assert "itself made a mistake" not in result.output, result.output
    return told


def least_arguments(path: Path_, folder: Path) -> list[str]:
    """What a command does not start without, made from its own declaration."""
    words: list[str] = []
    for parameter in COMMANDS[path].params:
        if not parameter.required:
            continue
        if isinstance(parameter, click.Option):
            words.append(parameter.opts[0])
        words.append(_value(parameter, folder))
    return words


def _value(parameter: click.Parameter, folder: Path) -> str:
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.IntRange):
        return "1"
    if isinstance(kind, click.Path):
        file = folder / "given"
        file.write_text("nothing\n")
        return str(file)
    return {"url": "http://127.0.0.1:9", "source": str(folder / "none.gpg")}.get(parameter.name or "", "anything")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing set: no credentials, no endpoint, no sandbox, and no place to make one."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "INFISICAL_", "HEROKU_", "SLACK_", "RAXX_BCP_", "DAGSTER_")):
            monkeypatch.delenv(name)
    nowhere = tmp_path / "a-file"
    nowhere.write_text("no folder can be made in here")
    settings = {
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "RAXX_BCP_SANDBOX_DIR": str(nowhere / "sandbox"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    _wait_in_no_time(monkeypatch)
    return tmp_path


def _wait_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections keep their patience by a clock that only their own waiting moves."""
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    opened = Door.__init__
    given: dict[str, Any] = {"sleep": wait, "clock": lambda: now[0]}
    ours = {name: value for name, value in given.items() if name in inspect.signature(opened).parameters}
    monkeypatch.setattr(Door, "__init__", lambda self, *args, **named: opened(self, *args, **{**named, **ours}))


HARMLESS: dict[Path_, int] = {("sandbox", "down"): 0}
"""What may end well where nothing is set: there is nothing to stop."""


@pytest.mark.parametrize("path", EVERY)
def test_where_nothing_is_set(path: Path_, bare: Path) -> None:
    result = called(path, *least_arguments(path, bare))
    the_object(result)
    assert result.exit_code == HARMLESS.get(path, result.exit_code or -1), result.output


@pytest.mark.parametrize("path", EVERY)
def test_where_nothing_answers(path: Path_, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted() as served:
        pass
    key = "A" * 40
    settings = {
        **dict.fromkeys(("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_LIGHTSAIL"), served.url),
        **dict.fromkeys(("INFISICAL_URL", "INFISICAL_DRILL_URL", "HEROKU_API_URL", "HEROKU_DATA_URL"), served.url),
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HEROKU_API_KEY", "SLACK_BOT_TOKEN"), "key"),
        **{f"INFISICAL_{who}CLIENT_{part}": "x" for who in ("", "DRILL_", "RESTORE_") for part in ("ID", "SECRET")},
        "SLACK_API_URL": f"{served.url}/api/",
        "AWS_REGION": "us-east-1",
        "RAXX_BCP_GPG_PUBLIC_KEY": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        "RAXX_BCP_GPG_FINGERPRINT": key,
        "RAXX_BCP_THROWAWAY_INSTANCES__WORKER_CIDR": "203.0.113.9/32",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result = called(path, *least_arguments(path, bare))
    the_object(result)
    assert result.exit_code == HARMLESS.get(path, result.exit_code or -1), result.output


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize(
    "wrong", [("--no-such-option",), ("one", "two", "three", "four", "five"), ("--help=3",)], ids=str
)
def test_wrong_use(path: Path_, wrong: Path_, bare: Path) -> None:
    told = the_object(result := called(path, *wrong))
    assert result.exit_code == 2
    assert "--help" in told["remedy"]


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if any(one.required for one in COMMANDS[path].params)], ids=" ".join
)
def test_something_missing(path: Path_, bare: Path) -> None:
    assert "issing" in the_object(called(path))["error"]


@pytest.mark.parametrize("path", EVERY)
def test_a_help_text_is_an_ending_too(path: Path_, bare: Path) -> None:
    result = CliRunner().invoke(main, [*path, "--json", "--help"])
    told = the_object(result)
    assert f"Usage: main {' '.join(path)}" in told["text"]


@pytest.mark.parametrize(
    ("words", "error", "remedy"),
    [
        (("--json", "valt"), "--json belongs behind a command", "--help"),
        (("valt", "--json"), "No such command 'valt'. Did you mean 'vault'?", "--help"),
        (("vault", "lst", "--json"), "No such command 'lst'. Did you mean 'list'?", "vault --help"),
        (("vault", "--json"), "--json belongs behind a command, and main vault is none", "vault --help"),
        (("drill", "oracle", "--json"), "No such command 'oracle'", "drill --help"),
        (("vault", "list", "--json=yes"), "does not take a value", "--help"),
        (("drill", "state-recovery", "--operator", "--json"), "taken as the value of another option", "value"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_wrong_words_anywhere(words: Path_, error: str, remedy: str, bare: Path) -> None:
    result = CliRunner().invoke(main, list(words))
    told = the_object(result)
    assert result.exit_code == 2
    assert error in told["error"]
    assert remedy in told["remedy"]


def test_json_behind_two_dashes_is_an_argument_and_no_option() -> None:
    assert wants_json(["vault", "list", "--json"])
    assert not wants_json(["vault", "get", "--", "--json"])


Succeeds = Callable[[Sandbox, pytest.MonkeyPatch], Path_]
"""Prepares what a command needs and returns its arguments."""


def _plain(*arguments: str) -> Succeeds:
    return lambda _sandbox, _patch: arguments


def _exported(*arguments: str) -> Succeeds:
    def prepare(sandbox: Sandbox, _patch: pytest.MonkeyPatch) -> Path_:
        assert called(("vault", "export")).exit_code == 0
        key = str(sandbox.directory / "keys" / "operator.key.asc")
        return tuple(key if word == "KEY" else word for word in arguments)

    return prepare


def _a_value_at_a_terminal(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    key = _exported("--private-key-file", "KEY")(sandbox, patch)
    held = json.loads(called(("vault", "show"), *key).stdout)
    place = next(
        f"{project['slug']}/{environment['slug']}{path.rstrip('/')}/{name}"
        for project in held["projects"]
        for environment in project["environments"]
        for path, names in environment["folders"].items()
        for name in names
    )
    patch.setattr(_NamedTextIOWrapper, "isatty", lambda stream: stream.name == "<stdout>")
    return (place, *key)


def _with_a_row(*arguments: str) -> Succeeds:
    def prepare(_sandbox: Sandbox, _patch: pytest.MonkeyPatch) -> Path_:
        drilled = called(("drill", "state-recovery"), "--operator", "alice")
        assert drilled.exit_code == 0, drilled.output
        row = str(json.loads(drilled.stdout)["row_sequence"])
        return tuple(row if word == "ROW" else word for word in arguments)

    return prepare


def _cheap_drill(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    """What the command does around its drill is the same for all: here it conducts the cheapest real one."""

    cheapest = kind("state_recovery")
    start, wanted = cheapest.start, cheapest.wanted()
    patch.setattr(Kind, "start", lambda _kind, raxx, asked, _wanted, said: start(raxx, asked, wanted, said))
    return ("--operator", "alice")


def _restored(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    words = _exported("--from", "newest", "--private-key-file", "KEY", "--dry-run")(sandbox, patch)
    environ = sandbox.environment()
    for part in ("ID", "SECRET"):
        patch.setenv(f"INFISICAL_RESTORE_CLIENT_{part}", environ[f"INFISICAL_DRILL_CLIENT_{part}"])
    return (*words, "--to", environ["INFISICAL_DRILL_URL"])


def _demo(_sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    class Dev:
        url = "http://127.0.0.1:1"

        def run_job(self, name: str, *_others: Any) -> JobRun:
            return JobRun(name, "run-1", ok=True, seconds=1.0, reason="")

    patch.setattr(demo, "dagster_dev", lambda *_given: contextlib.nullcontext(Dev()))
    return ("--once", "--only", "daily_vault_export")


def _versioned(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    return ("--confirm", os.environ.get("RAXX_BCP_STATE_BUCKET__NAME", "raxx-iac-state-prod"))


def _elsewhere(_sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    patch.setenv("RAXX_BCP_SANDBOX_DIR", "/nonexistent/sandbox")
    return ()


def _taken(_sandbox: Sandbox, _patch: pytest.MonkeyPatch) -> Path_:
    assert called(("snapshot", "take")).exit_code == 0
    return ()


def _with_the_help_desks_key(sandbox: Sandbox, _patch: pytest.MonkeyPatch) -> Path_:
    return ("raxx-tickets", "--credentials", str(help_desk_key(sandbox, Path(tempfile.mkdtemp(dir=sandbox.directory)))))


def _backed_up(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    assert called(("freescout", "install-backup"), *_with_the_help_desks_key(sandbox, patch)).exit_code == 0
    return ("raxx-tickets",)


def _a_good_day(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> Path_:
    patch.setenv("RAXX_BCP_VAULT_EXPORT__PREFIX", "vault-exports/")  # where the bucket's policy guards it
    _exported()(sandbox, patch)
    return _taken(sandbox, patch)


SUCCESS: dict[Path_, Succeeds] = {
    ("demo",): _demo,
    ("doctor",): _a_good_day,
    ("drill", "freescout-dump"): _cheap_drill,
    ("drill", "freescout-snapshot"): _cheap_drill,
    ("drill", "heroku-postgres"): _cheap_drill,
    ("drill", "state-recovery"): _plain("--operator", "alice"),
    ("drill", "sweep"): _plain(),
    ("drill", "vault-export"): _cheap_drill,
    ("drill", "vault-snapshot"): _cheap_drill,
    ("evidence", "gate"): _with_a_row("--card", "terraform-state"),
    ("evidence", "list"): _with_a_row(),
    ("evidence", "report"): _with_a_row(),
    ("evidence", "review"): _with_a_row("ROW", "--reviewer", "bob", "--decision", "accepted"),
    ("evidence", "verify"): _with_a_row(),
    ("freescout", "adopt"): _plain("freescout-dumps/{date}/database.sql.gz.gpg"),
    ("freescout", "backup-status"): _backed_up,
    ("freescout", "install-backup"): _with_the_help_desks_key,
    ("freescout", "list"): _plain(),
    ("freescout", "prune"): _plain("--apply"),
    ("freescout", "uninstall-backup"): _plain("raxx-tickets", "--yes"),
    ("host", "guard", "install"): _plain("raxx-tickets", "--operator", "alice"),
    ("host", "guard", "status"): _plain("raxx-tickets", "--operator", "alice"),
    ("sandbox", "break"): _plain("slack-down"),
    ("sandbox", "down"): _elsewhere,
    ("sandbox", "env"): _plain(),
    ("sandbox", "mend"): _plain("--all"),
    ("sandbox", "status"): _plain(),
    ("sandbox", "up"): _plain(),
    ("snapshot", "addon"): _plain(),
    ("snapshot", "list"): _taken,
    ("snapshot", "take"): _plain(),
    ("state-bucket", "check"): _plain(),
    ("state-bucket", "enable-versioning"): _versioned,
    ("vault", "diff"): _exported("newest", "newest", "--private-key-file", "KEY"),
    ("vault", "export"): _plain(),
    ("vault", "get"): _a_value_at_a_terminal,
    ("vault", "list"): _exported(),
    ("vault", "restore"): _restored,
    ("vault", "show"): _exported("--private-key-file", "KEY"),
    ("vault", "verify"): _exported("--private-key-file", "KEY"),
}


SHOWN_ELSEWHERE = {("host", "guard", "uninstall")}
"""It must be undone again, as guard/test_cli.py does."""


def test_how_each_command_succeeds_is_known() -> None:
    assert set(SUCCESS) | SHOWN_ELSEWHERE == set(COMMANDS), "say in SUCCESS how a new command succeeds"


@pytest.mark.parametrize("path", [pytest.param(path, id=" ".join(path)) for path in SUCCESS])
def test_success(
    path: Path_,
    sandbox_environ: dict[str, str],
    breakable_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    own = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("RAXX_BCP_EVIDENCE__PREFIX", f"{own}-evidence/")
    monkeypatch.setenv("RAXX_BCP_COPY_GUARD__SIGHTINGS_PREFIX", f"{own}-guards/")
    monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RAXX_BCP_SANDBOX_DIR", str(breakable_sandbox.directory))
    arguments = SUCCESS[path](breakable_sandbox, monkeypatch)
    before = dict(os.environ)
    try:
        result = called(path, *arguments)
    finally:
        os.environ.clear()
        os.environ.update(before)
    told = the_object(result)
    assert result.exit_code == 0, result.output
    assert set(told) > {"ok", "status", "error", "remedy"}, "a command tells something of its own"


@pytest.mark.usefixtures("bare")
class TestTheObject:
    """What no command's own table can show."""

    def test_what_a_library_prints_stays_off_stdout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def noisy(*_given: object) -> None:
            print("a library speaks")  # noqa: T201 - that is the fault
            raise KeyboardInterrupt

        monkeypatch.setattr("raxx_bcp.commands.vault.load_policy", noisy)
        result = called(("vault", "list"))
        assert the_object(result)["error"] == "It was interrupted before it was over."
        assert result.exit_code == 3
        assert "a library speaks" in result.stderr

    def test_a_mistake_in_the_program_is_told_without_its_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> None:
            raise ValueError("s3cr3t")

        monkeypatch.setattr("raxx_bcp.commands.vault.load_policy", broken)
        result = called(("vault", "list"))
        told = json.loads(result.stdout)
        assert (result.exit_code, told["status"]) == (3, "could_not_verify")
        assert "ValueError in " in told["error"]
        assert "s3cr3t" not in result.output

    def test_a_command_that_fails_after_its_result_keeps_it_and_says_why(self) -> None:
        one = json_output.Speaker(sys.stdout, asked=True)
        one.hold({"ok": True, "rows": 3}, ())

        @click.command()
        def command() -> None:
            one.out = sys.stdout
            one.say(1, json_output.Problem("The client did not close.", "Close it."))
            one.say(0)

        told = json.loads(CliRunner().invoke(command).stdout)
        assert told == {
            "ok": False,
            "status": "fail",
            "error": "The client did not close.",
            "remedy": "Close it.",
            "rows": 3,
        }

    def test_a_name_that_is_no_utf8_does_not_lose_the_object(self) -> None:
        argv = [CLI.encode(), b"vault", b"verify", b"--json", b"--no-\xff"]
        done = subprocess.run(argv, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
        assert done.returncode == 2, done.stderr
        assert json.loads(done.stdout)["status"] == "usage"

    def test_a_reader_that_has_gone_is_no_traceback(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run([CLI, "vault", "--json"], stdout=writer, stderr=subprocess.PIPE, check=False)
        finally:
            os.close(writer)
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("code", "error"),
        [(1, "b: bad (1 more below.)"), (3, "c: dark"), (2, "What was looked at is not as it should be.")],
    )
    def test_the_gravest_check_of_the_endings_kind_explains_it(self, code: int, error: str) -> None:
        checks = [
            Check("a", Status.PASS, "good"),
            Check("c", Status.COULD_NOT_VERIFY, "dark", "Light it."),
            Check("b", Status.FAIL, "bad", "Fix it."),
            Check("d", Status.FAIL, "worse", "Fix it too."),
        ]
        assert problem_of(checks, code).error == error
