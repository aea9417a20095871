"""``raxx-bcp freescout adopt``: what patterns mean, what they find in a real bucket, and what is refused by name."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raxx_bcp.checks import Status
from raxx_bcp.cli import main
from raxx_bcp.errors import CouldNotVerifyError, UsageError
from raxx_bcp.freescout.adopt import Adoption, adopt
from raxx_bcp.freescout.inventory import freshness_check
from raxx_bcp.freescout.patterns import Form, Found, parse, part_of
from raxx_bcp.policy import Policy, load_policy
from raxx_bcp.policy_adopted import Adopted
from raxx_bcp_sandbox.keys import make_key
from raxx_bcp_tests.clients.gnupg_lab import encrypted, key_ids_by_gpg
from raxx_bcp_tests.drills.freescout.stage import TODAY, Stage
from raxx_bcp_tests.freescout.test_inventory import DUE, Denied, ago

GZIP = b"\x1f\x8b\x08\x00 a dump"


@pytest.mark.parametrize(
    ("text", "key", "found"),
    [
        ("b/db-{date}.sql.gz", "b/db-2031-03-14.sql.gz", Found("2031-03-14", "")),
        ("b/db-{date}.sql.gz", "b/db-20310314.sql.gz", Found("2031-03-14", "")),
        ("b/db-{date}.sql.gz", "b/db-2031_03_14.sql.gz", Found("2031-03-14", "")),
        ("b/db-{date}.sql.gz", "b/db-2031-02-30.sql.gz", None),
        ("b/db-{date}.sql.gz", "b/db-2031-13-01.sql.gz", None),
        ("b/db-{date}.sql.gz", "b/db-2031-03-14.sql.gz.old", None),
        ("b/db-{date}.sql.gz", "b/db-2031-03-14xsql.gz", None),
        ("b/db-{date}.sql.gz", "a/b/db-2031-03-14.sql.gz", None),
        ("{date}/{time}/x.sql", "2031-03-14/05:30:00/x.sql", Found("2031-03-14", "053000")),
        ("{date}/db_{date}.sql", "2031-03-14/db_20310314.sql", Found("2031-03-14", "")),
        ("{date}T{time}Z.sql", "20310314T0530Z.sql", Found("2031-03-14", "0530")),
        ("*/x.sql", "mon/x.sql", Found("", "")),
        ("*/x.sql", "mon/day/x.sql", None),
    ],
)
def test_what_a_pattern_fits(text: str, key: str, found: Found | None) -> None:
    assert parse("database", text).match(key) == found


def test_what_a_pattern_says_of_its_files() -> None:
    made = parse("attachments", "a/b/{date}-*.tar.gz.gpg")
    assert (made.form, made.encrypted, made.dated, made.start) == (Form.ARCHIVE, True, True, "a/b/")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("db-{date}.sql.gz", "database"),
        ("db-{date}.sql.zst.gpg", "database"),
        ("all-{date}.tar.gz", "everything"),
        ("all-{date}.tgz", "everything"),
        ("{date}/.env", "env"),
        ("env-{date}.gpg", "env"),
    ],
)
def test_the_part_is_told_by_the_end(text: str, part: str) -> None:
    assert part_of(text) == part


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [
        ("database", "x/{date}.xbstream", "a physical backup"),
        ("database", "mariabackup/{date}.tar.gz", "a physical backup"),
        ("everything", "xtrabackup-{date}.tar.gz", "a physical backup"),
        ("database", "{date}.sql.zip", "locked by a password"),
        ("everything", "{date}.7z", "locked by a password"),
        ("database", "{date}.sql.gz.enc", "encrypted by something other than GnuPG"),
        ("database", "{date}.sql.age", "encrypted by something other than GnuPG"),
        ("everything", "{date}.tar.zst", "a tar archive in zstd"),
        ("database", "{date}.dump", "no form of a dump that is known"),
        ("database", "{date}.tar.gz", "no form of a dump that is known"),
        ("attachments", "{date}.sql.gz", "no form of an archive that is known"),
        ("database", "{day}.sql", "{day} is not known in a pattern"),
        ("database", "/x.sql", "no pattern of keys"),
        ("database", "", "no pattern of keys"),
    ],
)
def test_what_cannot_be_adopted_is_refused_by_name(part: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(part, text)


def put(stage: Stage, **objects: bytes) -> None:
    for key, body in objects.items():
        stage.shelf.client.put_object(Bucket=stage.shelf.bucket.name, Key=stage.prefix + key, Body=body)


def looked(stage: Stage, *patterns: str) -> Adoption:
    given = [
        f"{one.partition('=')[0]}={stage.prefix}{one.partition('=')[2]}" if "=" in one else stage.prefix + one
        for one in patterns
    ]
    return adopt(stage.shelf.bucket, stage.policy, given)


def test_it_shows_days_sizes_and_what_is_missing(stage: Stage) -> None:
    put(stage, **{f"db-{ago(days)}.sql.gz": GZIP * (9 - days) for days in range(3)}, **{f"env-{ago(1)}": b"APP_KEY="})
    found = looked(stage, "db-{date}.sql.gz", "env=env-{date}")
    dump, env = found.matched
    assert (dump.count, dump.first_day, dump.last_day) == (3, ago(2).isoformat(), TODAY.isoformat())
    assert dump.newest_bytes == 9 * len(GZIP)
    assert env.count == 1
    assert [one.day for one in found.sets] == [ago(days).isoformat() for days in range(3)]
    lacking = "\n".join(found.missing)
    assert "no manifest: rows and content can be compared with an earlier drill only" in lacking
    assert "attachments.tar.gz: no pattern" in lacking
    assert "modules.tar.gz: no pattern" in lacking
    assert f"env: a pattern, and none on {TODAY}" in lacking
    assert "the release: set version" in lacking
    assert f"{TODAY}" in found.text()
    assert tomllib.loads(found.policy_text) == {
        "freescout": {
            "adopted": {"database": f"{stage.prefix}db-{{date}}.sql.gz", "env": f"{stage.prefix}env-{{date}}"}
        }
    }


def test_a_sealed_one_names_who_can_read_it(stage: Stage) -> None:
    message = encrypted(b"a dump", make_key())
    put(stage, **{f"all-{TODAY}.tar.gz.gpg": message})
    (found,) = looked(stage, "all-{date}.tar.gz.gpg").matched
    assert list(found.readers) == key_ids_by_gpg(message)
    assert f"encrypted to {key_ids_by_gpg(message)[0]}" in found.line()


@pytest.mark.parametrize(
    ("body", "pattern", "words"),
    [
        (b"XBSTCK01 pages", "x-{date}.sql", "a physical backup"),
        (b"PK\x03\x04 locked", "x-{date}.sql", "a zip archive"),
        (b"Salted__ secret", "x-{date}.sql", "encrypted by openssl"),
        (b"just text", "x-{date}.sql.gpg", "begins with no message of GnuPG's"),
        (b"dump", "x-{date}.bak", "what it holds is not told by its end"),
        (b"dump", "other-{date}.sql", "fits no object in bucket dumps"),
        (b"dump", "x-{date}.zip", "locked by a password"),
    ],
)
def test_what_lies_there_is_refused_by_name(stage: Stage, body: bytes, pattern: str, words: str) -> None:
    name = pattern.replace("{date}", TODAY.isoformat()).replace("other", "x")
    put(stage, **{name: body})
    with pytest.raises(UsageError, match=words):
        looked(stage, pattern)


def test_two_dumps_a_day_need_a_time(stage: Stage) -> None:
    put(stage, **{f"x-{TODAY}-0500.sql": b"--", f"x-{TODAY}-1700.sql": b"-- later"})
    with pytest.raises(UsageError, match="fits two objects of 2031-03-14"):
        looked(stage, "x-{date}-*.sql")
    (newest,) = looked(stage, "x-{date}-{time}.sql").sets
    assert newest.label.endswith("1700.sql")


def test_a_part_twice_is_refused(stage: Stage) -> None:
    with pytest.raises(UsageError, match="Two patterns are of the part database"):
        looked(stage, "a-{date}.sql", "b-{date}.sql")
    with pytest.raises(UsageError, match="name the dump once"):
        looked(stage, "a-{date}.sql", "everything=b-{date}.tar")


def test_denied_is_could_not_verify(stage: Stage) -> None:
    with pytest.raises(CouldNotVerifyError):
        adopt(Denied(stage.shelf.bucket.name, client=stage.shelf.client), stage.policy, ["x-{date}.sql"])


def test_an_adopted_day_is_a_warning_at_best_and_late_as_any_other(stage: Stage) -> None:
    stage.adopted = Adopted(database=f"{stage.prefix}x-{{date}}.sql", env=f"{stage.prefix}env-{{date}}")
    assert freshness_check(stage.shelf.bucket, stage.policy, DUE).status is Status.FAIL
    put(stage, **{f"x-{TODAY}.sql": b"--"})
    lacking = freshness_check(stage.shelf.bucket, stage.policy, DUE)
    assert (lacking.status, lacking.detail) == (Status.FAIL, f"The dump set of {TODAY} lacks env.")
    put(stage, **{f"env-{TODAY}": b"APP_KEY="})
    there = freshness_check(stage.shelf.bucket, stage.policy, DUE)
    assert there.status is Status.WARN
    assert "nothing says whether it is whole" in there.detail


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('database = "x-{date}.zip"', "locked by a password"),
        ('database = "x-{date}.sql"\neverything = "x-{date}.tar"', "name the dump once"),
        ('env = "x-{date}"', "name the dump once"),
        ('datbase = "x-{date}.sql"', "did you mean database"),
    ],
)
def test_the_policy_refuses_what_cannot_be_adopted_at_start(tmp_path: Path, lines: str, words: str) -> None:
    (tmp_path / "bcp.toml").write_text(f"version = 1\n[freescout.adopted]\n{lines}\n")
    with pytest.raises(UsageError, match=words):
        load_policy(tmp_path / "bcp.toml", {})


def called(stage: Stage, file: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("RAXX_BCP_POLICY", str(file))
    monkeypatch.setattr("raxx_bcp.commands.freescout.dump_bucket", lambda _policy: stage.shelf.bucket)
    return CliRunner().invoke(main, ["freescout", "adopt", *words])


def test_the_command_prints_the_lines_and_writes_them_only_when_told(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(stage, **{f"x-{TODAY}.sql": b"--"})
    file = tmp_path / "bcp.toml"
    file.write_text('version = 1\n\n[freescout]  # the help desk\nversion = "1.8.145"\n')
    before, pattern = file.read_text(), f"{stage.prefix}x-{{date}}.sql"
    looked_at = called(stage, file, monkeypatch, pattern)
    assert looked_at.exit_code == 0
    assert f'[freescout.adopted]\ndatabase = "{pattern}"' in looked_at.output
    assert file.read_text() == before
    written = called(stage, file, monkeypatch, pattern, "--write", "--json")
    assert json.loads(written.stdout)["written"] == str(file)
    assert file.read_text().startswith(before.rstrip()), "what stood there stands there"
    assert load_policy(file, {}).freescout.adopted == Adopted(database=pattern)
    again = called(stage, file, monkeypatch, pattern, "--write")
    assert again.exit_code == 2
    assert "has [freescout.adopted] already" in again.stderr


def test_nothing_is_adopted_by_default() -> None:
    assert not Policy().freescout.adopted.configured
