"""``raxx-bcp vault restore|show|get|diff`` as a person types them, from files: no AWS, no policy, no Dagster."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raxx_bcp_sandbox.keys import KeyPair, make_key
from raxx_bcp_tests.clients.gnupg_lab import encrypted, gnupg_home
from raxx_bcp_tests.faults.commands import CLI
from raxx_bcp_tests.faults.scanning import found_in_bytes, found_in_files, watched_arguments
from raxx_bcp_tests.vault.restoring import RESTORE, plaintext_of, small_plaintext, small_world, target

MEMORY = Path("/dev/shm")
COMPRESSION = ("--compress-algo", "zlib")


@pytest.fixture(scope="module")
def operator() -> KeyPair:
    return make_key()


@pytest.fixture(scope="module")
def small() -> bytes:
    return small_plaintext()


@dataclass
class Laptop:
    """An empty machine with nothing but the software, a key and a file."""

    folder: Path
    environ: dict[str, str]
    key_file: Path
    export: Path

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CLI, "vault", *arguments],
            env={**self.environ, **more},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    def with_key(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*arguments, "--private-key-file", str(self.key_file))

    def at_a_terminal(self, typed: bytes, *arguments: str) -> tuple[int, bytes]:
        """The same in a terminal: its exit code and all that is seen."""
        ours, theirs = pty.openpty()
        try:
            command = [CLI, "vault", *arguments, "--private-key-file", str(self.key_file)]
            process = subprocess.Popen(
                command, env=self.environ, cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs
            )
            os.close(theirs)
            os.write(ours, typed)
            seen = b"".join(iter(lambda: _read(ours), b""))
            return process.wait(timeout=60), seen
        finally:
            os.close(ours)

    def file(self, plaintext: bytes, operator: KeyPair, name: str = "other.json.gpg") -> str:
        path = self.folder / name
        path.write_bytes(encrypted(plaintext, operator, options=COMPRESSION))
        return str(path)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed
        return b""


@pytest.fixture
def laptop(small: bytes, operator: KeyPair) -> Iterator[Laptop]:
    with tempfile.TemporaryDirectory(prefix="rb-") as made:
        folder = Path(made)
        for name in ("home", "t"):
            (folder / name).mkdir()
        key_file = folder / "operator.key.asc"
        key_file.write_text(operator.secret)
        key_file.chmod(0o600)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "t"),
            "INFISICAL_RESTORE_CLIENT_ID": RESTORE.client_id,
            "INFISICAL_RESTORE_CLIENT_SECRET": RESTORE.client_secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        laptop = Laptop(folder, environ, key_file, folder / "2031-03-14.json.gpg")
        laptop.file(small, operator, laptop.export.name)
        yield laptop


def test_from_a_file_into_an_empty_vault_and_equal_by_diff(laptop: Laptop, operator: KeyPair) -> None:
    with target() as there:
        first = laptop.with_key("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        assert first.returncode == 0, first.stderr
        assert first.stdout.splitlines()[-1] == "the vault holds what the export holds"
        assert "secret            12        0" in first.stdout
        assert "raxx-small: create (2 environments, 2 folders, 6 secrets, 3 imports)" in first.stderr
        assert "read raxx-small back" in first.stderr
        again = laptop.file(plaintext_of(there.address, RESTORE), operator)
        writes = len(there.wire.writes)
        second = laptop.with_key("restore", "--from", str(laptop.export), "--to", there.address, "--json")
        assert len(there.wire.writes) == writes
    assert second.returncode == 0, second.stderr
    result = json.loads(second.stdout)
    assert result["ok"] is True
    assert result["write_calls"] == 0
    assert {project["action"] for project in result["plan"]["projects"]} == {"nothing: it is equal"}
    difference = laptop.with_key("diff", str(laptop.export), again)
    assert (difference.returncode, difference.stdout) == (0, "equal: 30 items, values included\n"), difference.stderr


def test_a_dry_run_and_a_run_without_consent_write_nothing(laptop: Laptop) -> None:
    asked = ("restore", "--from", str(laptop.export))
    with target() as there:
        dry = laptop.with_key(*asked, "--to", there.address, "--dry-run", "--json")
        assert dry.returncode == 0, dry.stderr
        assert json.loads(dry.stdout)["plan"]["projects"][1]["secrets"] == 6
        unattended = laptop.with_key(*asked, "--to", there.address)
        assert unattended.returncode == 2
        assert "no terminal to ask for your consent" in unattended.stderr
        code, seen = laptop.at_a_terminal(b"n\n", *asked, "--to", there.address)
        assert code == 2
        assert b"Write this to http://127.0.0.1" in seen
        assert b"you said no" in seen
        assert there.wire.writes == []
        code, seen = laptop.at_a_terminal(b"y\n", *asked, "--to", there.address)
        assert code == 0, seen
        assert b"the vault holds what the export holds" in seen
        assert b"rxs_" not in seen


def test_one_project_only_and_a_second_one_left_alone(laptop: Laptop) -> None:
    with target() as there:
        asked = ("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        assert laptop.with_key(*asked, "--project", "raxx-small").returncode == 0
        assert [one.slug for one in there.world.projects.values()] == ["raxx-small"]
        done = laptop.with_key(*asked, "--project", "raxx-other")
        assert "  not chosen: raxx-small\n" in done.stderr
        assert "left alone" not in done.stderr
        assert "  the next dates of 2 reminders: each starts anew on the day of the restore\n" in done.stderr
        unknown = laptop.with_key(*asked, "--project", "raxx-none")
        assert unknown.returncode == 2
        assert "no project raxx-none" in unknown.stderr


def test_an_existing_project_is_overwritten_only_when_it_is_named(laptop: Laptop) -> None:
    with target() as there:
        asked = ("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        assert laptop.with_key(*asked).returncode == 0
        project = there.world.project_by_slug("raxx-small")
        assert project is not None
        secret = project.environments["prod"].folders["/"].secrets["ONE"]
        kept = secret.value
        secret.value, secret.encoded = "rxs_changed_since", None
        writes = len(there.wire.writes)
        refused = laptop.with_key(*asked)
        assert refused.returncode == 1
        assert "raxx-small is there with 0 items that the export does not have and 1 that differ" in refused.stderr
        assert "(raxx-small/prod/ONE)" in refused.stderr
        assert len(there.wire.writes) == writes
        assert laptop.with_key(*asked, "--overwrite", "raxx-small").returncode == 0
        assert secret.value == kept


def test_the_vault_that_the_export_came_from_is_written_to_only_when_it_is_named(laptop: Laptop) -> None:
    world = small_world()
    with target(world) as there:
        address = there.address.replace("127.0.0.1", "localhost")
        asked = ("restore", "--from", str(laptop.export), "--to", address)
        for project in list(world.projects.values()):
            world.remove_project(project)
        said = f"{address} is the vault that the export was read from: organisation {world.org_id}"
        dry = laptop.with_key(*asked, "--dry-run")
        assert dry.returncode == 0
        assert f"  {said}\n" in dry.stdout
        refused = laptop.with_key(*asked, "--yes")
        assert refused.returncode == 2
        assert f"raxx-bcp: {said}. Nothing was written" in refused.stderr
        assert f"Add --into-source {world.org_id}." in refused.stderr
        wrong = laptop.with_key(*asked, "--yes", "--into-source", "another")
        assert wrong.returncode == 2
        assert there.wire.writes == []
        done = laptop.with_key(*asked, "--yes", "--into-source", world.org_id)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "the vault holds what the export holds"


def test_a_deleted_environment_is_brought_back_when_that_is_asked_for(laptop: Laptop) -> None:
    with target() as there:
        asked = ("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        assert laptop.with_key(*asked).returncode == 0
        project = there.world.project_by_slug("raxx-small")
        assert project is not None
        there.world.delete_environment(project.environments["dev"])
        refused = laptop.with_key(*asked)
        assert refused.returncode == 1
        assert "raxx-small/dev (kept until " in refused.stderr
        assert "Add --undelete-environments" in refused.stderr
        dry = laptop.with_key(*asked, "--undelete-environments", "--dry-run")
        assert "raxx-small: complete, after bringing back dev, which is deleted there (" in dry.stdout
        done = laptop.with_key(*asked, "--undelete-environments")
        assert done.returncode == 0, done.stderr
        assert "environment        4        0" in done.stdout
        assert done.stdout.splitlines()[-1] == "the vault holds what the export holds"
        assert [one.slug for one in project.ordered_environments()] == ["dev", "prod"]


def test_an_order_that_the_vault_keeps_is_told_and_is_no_missing_content(laptop: Laptop) -> None:
    with target() as there:
        asked = ("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        assert laptop.with_key(*asked).returncode == 0
        project = there.world.project_by_slug("raxx-small")
        assert project is not None
        project.environments["dev"].position = 9
        there.wire.fail_at, there.wire.status = len(there.wire.writes), 403
        done = laptop.with_key(*asked)
        assert done.returncode == 0, done.stderr
        assert "raxx-small: put its environments in order (" in done.stderr
        assert "environment        4        0" in done.stdout
        assert "  order differs in raxx-small: environments are prod, dev; wanted dev, prod" in done.stdout
        assert "NOT" not in done.stdout


@pytest.mark.parametrize(("links", "ending"), [(1, "all but 1 item"), (3, "all but 3 items")])
def test_what_cannot_be_restored_is_in_the_last_word_and_in_the_exit_code(
    laptop: Laptop, small: bytes, operator: KeyPair, links: int, ending: str
) -> None:
    document = msgspec.json.decode(small)
    imports = [
        link for p in document["projects"] for e in p["environments"] for f in e["folders"] for link in f["imports"]
    ]
    for link in imports[:links]:
        link["isReplication"] = True
    name = laptop.file(msgspec.json.encode(document), operator)
    with target() as there:
        asked = ("restore", "--from", name, "--to", there.address, "--yes")
        first = laptop.with_key(*asked)
        second = laptop.with_key(*asked, "--json")
    assert (first.returncode, second.returncode) == (1, 1), first.stderr
    assert first.stdout.splitlines()[-1] == f"the vault holds what the export holds, {ending}"
    assert json.loads(second.stdout)["ok"] is False
    assert len(json.loads(second.stdout)["left_out"]) == links


def test_differences_are_told_with_their_reason(laptop: Laptop) -> None:
    with target() as there:
        there.faults.switch("vault-approvals", on=True)
        done = laptop.with_key("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
    assert done.returncode == 1
    assert "  secret raxx-small/dev/a/b/ONE: waits for approval in the vault" in done.stdout
    assert "12 secrets wait for approval" in done.stdout
    assert done.stdout.splitlines()[-1] == "the vault does NOT hold what the export holds"


@pytest.mark.parametrize("name", ["INFISICAL_RESTORE_CLIENT_ID", "INFISICAL_RESTORE_CLIENT_SECRET"])
def test_a_missing_identity_is_named_before_anything_else(laptop: Laptop, name: str) -> None:
    done = laptop.run("restore", "--from", str(laptop.export), "--to", "http://127.0.0.1:1", **{name: ""})
    assert done.returncode == 2
    assert f"{name} is not set (a machine identity of the vault that is restored into" in done.stderr


def test_a_vault_over_plain_http_elsewhere_gets_nothing(laptop: Laptop) -> None:
    done = laptop.with_key("restore", "--from", str(laptop.export), "--to", "http://vault.raxx.example")
    assert done.returncode == 2
    assert "in clear" in done.stderr


def _cut(body: bytes) -> bytes:
    return body[: len(body) * 7 // 10]


def _flipped(body: bytes) -> bytes:
    return body[:-30] + bytes([body[-30] ^ 1]) + body[-29:]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_cut, "is not one whole encrypted message: it ends early"),
        (_flipped, "the key fits, and the message is damaged"),
        (lambda _body: b"%PDF-1.7 something else", "is not one whole encrypted message"),
        (lambda _body: b"", "is not one whole encrypted message: it holds no encrypted data"),
    ],
    ids=["cut", "flipped", "foreign", "empty"],
)
def test_a_damaged_or_foreign_file_is_refused(laptop: Laptop, damage: Callable[[bytes], bytes], sentence: str) -> None:
    laptop.export.write_bytes(damage(laptop.export.read_bytes()))
    with target() as there:
        done = laptop.with_key("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        assert there.wire.writes == []
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "rxs_" not in done.stderr


def test_an_export_for_somebody_else_names_what_is_missing(laptop: Laptop, small: bytes) -> None:
    name = laptop.file(small, make_key())
    done = laptop.with_key("show", "--from", name)
    assert done.returncode == 1
    assert "the private key that it was made for is not here" in done.stderr


def _future(document: dict[str, Any]) -> None:
    document["schema_version"] = 2


def _foreign(document: dict[str, Any]) -> None:
    document["kind"] = "somebody/else"


def _unfit(document: dict[str, Any]) -> None:
    del document["projects"][0]["environments"][0]["folders"][0]["secrets"][0]["secretKey"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_future, "has the format version 2, and this software reads versions up to 1"),
        (_foreign, "what is inside is no vault export of this software"),
        (_unfit, "does not fit its own format version 1"),
    ],
)
def test_what_opens_to_something_else_is_refused(
    laptop: Laptop, small: bytes, operator: KeyPair, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    document = msgspec.json.decode(small)
    change(document)
    done = laptop.with_key("show", "--from", laptop.file(msgspec.json.encode(document), operator))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "rxs_" not in done.stderr


def test_show_lists_names_and_counts_and_no_value(laptop: Laptop) -> None:
    plain = laptop.with_key("show", "--from", str(laptop.export))
    assert plain.returncode == 0, plain.stderr
    assert "12 secrets in 2 projects" in plain.stdout
    assert "  raxx-small/dev/a/b  2 secrets" in plain.stdout
    assert "  raxx-small/dev/  2 secrets, 2 imports" in plain.stdout
    assert "ONE" not in plain.stdout
    keys = laptop.with_key("show", "--from", str(laptop.export), "--keys")
    assert "      ONE\n      TWO\n" in keys.stdout
    whole = json.loads(laptop.with_key("show", "--from", str(laptop.export), "--json").stdout)
    assert whole["projects"][1]["environments"][0]["folders"]["/a/b"] == ["ONE", "TWO"]
    assert "rxs_" not in plain.stdout + keys.stdout + json.dumps(whole)


def test_get_shows_one_value_to_a_terminal_only(laptop: Laptop) -> None:
    asked = ("get", "raxx-small/dev/a/b/ONE", "--from", str(laptop.export))
    piped = laptop.with_key(*asked)
    assert piped.returncode == 2
    assert "its output is no terminal" in piped.stderr
    assert piped.stdout == ""
    code, seen = laptop.at_a_terminal(b"", *asked)
    assert code == 0
    assert seen.rstrip().endswith(b"rxs_raxx-small_/a/b_ONE")
    assert seen.count(b"rxs_") == 1


def test_get_as_json_is_one_object_and_to_a_terminal_only(laptop: Laptop) -> None:
    asked = ("get", "raxx-small/dev/a/b/ONE", "--from", str(laptop.export), "--json")
    piped = laptop.with_key(*asked)
    told = json.loads(piped.stdout)
    assert (piped.returncode, told["status"], "value" in told) == (2, "usage", False)
    assert "its output is no terminal" in told["error"]
    assert "rxs_" not in piped.stdout + piped.stderr
    code, seen = laptop.at_a_terminal(b"", *asked)
    assert code == 0
    told = json.loads(seen[seen.index(b"{\r\n") :])
    assert (told["ok"], told["value"]) == (True, "rxs_raxx-small_/a/b_ONE")
    assert (told["place"], told["export_date"][:2]) == ("raxx-small/dev/a/b/ONE", "20")
    assert seen.count(b"rxs_") == 1


def test_get_as_json_names_what_is_not_there_and_no_value(laptop: Laptop) -> None:
    asked = ("get", "raxx-small/dev/a/b/THREE", "--from", str(laptop.export), "--json")
    code, seen = laptop.at_a_terminal(b"", *asked)
    told = json.loads(seen[seen.index(b"{\r\n") :])
    assert (code, told["status"], "value" in told) == (2, "usage", False)
    assert "no key" in told["error"]
    assert b"rxs_" not in seen


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("raxx-small/dev", "does not name a secret"),
        ("raxx-none/dev/ONE", "no project raxx-none"),
        ("raxx-small/qa/ONE", "no environment"),
        ("raxx-small/dev/x/ONE", "no folder"),
        ("raxx-small/dev/a/b/THREE", "no key"),
    ],
)
def test_get_names_the_part_that_is_not_there(laptop: Laptop, place: str, sentence: str) -> None:
    code, seen = laptop.at_a_terminal(b"", "get", place, "--from", str(laptop.export))
    assert code == 2
    assert sentence.encode() in seen


def test_diff_names_what_changed_and_no_value(laptop: Laptop, small: bytes, operator: KeyPair) -> None:
    document = msgspec.json.decode(small)
    folders = document["projects"][1]["environments"][0]["folders"]
    root = next(folder for folder in folders if folder["path"] == "/")
    root["secrets"][0]["secretValue"] += "changed"
    root["secrets"][1]["secretKey"] = "THREE"
    folders.remove(next(folder for folder in folders if folder["path"] == "/a/b"))
    del document["projects"][0]
    newer = laptop.file(msgspec.json.encode(document), operator)
    done = laptop.with_key("diff", str(laptop.export), newer)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "~ secret raxx-small/dev/ONE (value)" in lines
    assert "+ secret raxx-small/dev/THREE" in lines
    assert "- secret raxx-small/dev/TWO" in lines
    assert "- secret raxx-small/dev/a/b/ONE" in lines
    assert "- project raxx-other" in lines
    assert lines[-1] == "1 added, 19 removed, 1 changed, 10 equal"
    told = json.loads(laptop.with_key("diff", str(laptop.export), newer, "--json").stdout)
    assert told["changed"] == [{"kind": "secret", "where": "raxx-small/dev/ONE", "why": "value"}]
    assert "rxs_" not in done.stdout + json.dumps(told)


def test_a_space_at_the_end_of_a_value_is_a_change_between_two_exports(
    laptop: Laptop, small: bytes, operator: KeyPair
) -> None:
    document = msgspec.json.decode(small)
    document["projects"][0]["environments"][0]["folders"][0]["secrets"][0]["secretValue"] += " "
    done = laptop.with_key("diff", str(laptop.export), laptop.file(msgspec.json.encode(document), operator))
    assert done.returncode == 1
    assert "(value)" in done.stdout


def test_the_operators_own_gpg_opens_it(laptop: Laptop, operator: KeyPair) -> None:
    with gnupg_home(operator.secret) as home:
        own = laptop.run("show", "--from", str(laptop.export), GNUPGHOME=str(home))
        named = laptop.run("show", "--from", str(laptop.export), "--gpg-home", str(home))
    assert own.returncode == named.returncode == 0, own.stderr + named.stderr
    assert "12 secrets in 2 projects" in own.stdout == named.stdout
    assert laptop.with_key("show", "--from", str(laptop.export), "--gpg-home", str(laptop.folder)).returncode == 2


def test_the_manifest_beside_the_file_is_believed_about_it(laptop: Laptop) -> None:
    beside = laptop.folder / "2031-03-14.manifest.json"
    beside.write_text("not a manifest")
    done = laptop.with_key("show", "--from", str(laptop.export))
    assert done.returncode == 0
    assert "no manifest is at hand" in done.stderr


def _markers(plaintext: bytes) -> set[bytes]:
    return set(re.findall(rb"rxs_[a-z/_A-Z-]+", plaintext))


def _still_there(made: set[Path]) -> set[Path]:
    """Those of ``made`` that do not go away: another test at work may have made one, and takes it away again."""
    for _look in range(200):
        made = {path for path in made if path.exists()}
        if not made:
            break
        time.sleep(0.05)
    return made


@contextmanager
def _watched(folder: Path, memory: Path, planted: list[str]) -> Iterator[dict[str, list[str]]]:
    """Look through every file of the two places again and again while the block runs."""
    found: dict[str, list[str]] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            for place in (folder, memory):
                with contextlib.suppress(OSError):  # a file that is gone again
                    found.update(found_in_files(place, planted))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def test_plaintext_is_never_on_disk_nor_in_arguments_nor_in_what_is_printed(laptop: Laptop, small: bytes) -> None:
    planted = sorted({part.decode() for part in _markers(small)})
    assert len(planted) == 8
    everything = [*planted, RESTORE.client_secret]
    before = set(MEMORY.glob("rbcp-*"))
    arguments: set[bytes] = set()
    with watched_arguments(arguments), target() as there, _watched(laptop.folder, MEMORY, planted) as found:
        asked = ("restore", "--from", str(laptop.export), "--to", there.address, "--yes")
        there.wire.fail_at = 9
        broken = laptop.with_key(*asked, "--json")
        there.wire.fail_at = -1
        whole = laptop.with_key(*asked, "--json")
        shown = laptop.with_key("show", "--from", str(laptop.export), "--keys", "--json")
        changed = laptop.with_key("diff", str(laptop.export), str(laptop.export), "--json")
    assert (broken.returncode, whole.returncode, shown.returncode, changed.returncode) == (1, 0, 0, 0)
    printed = "".join(one.stdout + one.stderr for one in (broken, whole, shown, changed)).encode()
    assert found_in_bytes(printed, everything) == []
    assert any(b"restore" in line for line in arguments), "the watcher must have seen the commands at work"
    assert found_in_bytes(b"\n".join(arguments), everything) == []
    assert found == {}
    assert not list((laptop.folder / "t").iterdir()), "a temporary file was left behind"
    assert _still_there(set(MEMORY.glob("rbcp-*")) - before) == set(), "a private keyring was left behind"


def test_the_watch_over_the_disk_sees_a_plaintext_file(laptop: Laptop, small: bytes) -> None:
    planted = [part.decode() for part in _markers(small)][:1]
    with _watched(laptop.folder, laptop.folder, planted) as found:
        (laptop.folder / "t" / "plain.json").write_bytes(small)
        while not found:
            pass
    assert list(found) == [str(laptop.folder / "t" / "plain.json")]


def test_from_a_file_nothing_of_aws_dagster_or_the_policy_is_touched(laptop: Laptop) -> None:
    (laptop.folder / "bcp.toml").write_text("this is no policy")
    probe = (
        "import sys; from raxx_bcp.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted({'boto3', 'dagster', 'gnupg'} & set(sys.modules)), file=sys.stderr)"
    )
    command = [str(Path(CLI).parent / "python"), "-c", probe, "vault", "show", "--from", str(laptop.export)]
    done = subprocess.run(
        [*command, "--private-key-file", str(laptop.key_file)],
        env=laptop.environ,
        cwd=laptop.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
