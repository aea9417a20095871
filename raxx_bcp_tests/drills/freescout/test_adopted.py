"""Backups that another program stores: ten layouts found, restored on real parts, and believed as far as they go."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from raxx_bcp.clients.s3 import Bucket, StoredObject
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.freescout import adopted, artefact, compare, examine, site
from raxx_bcp.drills.freescout.dump_set import DATABASE
from raxx_bcp.errors import BackupWrongError, CouldNotVerifyError, UsageError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.freescout.inventory import DayState, take_inventory
from raxx_bcp.policy_adopted import Adopted
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.keys import make_key
from raxx_bcp_tests.clients.gnupg_lab import encrypted
from raxx_bcp_tests.drills.freescout.stage import CHECKS, Shelf, Stage, check, failed, not_run, passed, said
from raxx_bcp_tests.faults.freescout_dumps import TAKEN, HealthySet
from raxx_bcp_tests.faults.scanning import found_in_bytes

KEY = make_key()
DAY = f"{TAKEN:%Y-%m-%d}"
COMPACT = f"{TAKEN:%Y%m%d}"
OLDER = f"{TAKEN - timedelta(days=1):%Y-%m-%d}"
OF_ENV = {compare.APP_KEY, *site.CHECKS}
OF_FILES = {compare.ATTACHMENTS, site.LINK}
OF_MODULES = {compare.MIGRATIONS}
"""The healthy set's modules have a migration of their own, which is in the database."""
DATABASE_ALONE = {artefact.COMPLETE, *OF_ENV, *OF_FILES, *OF_MODULES}


@dataclass(frozen=True)
class Layout:
    """``objects`` are made from a healthy set, by key below the test's prefix. ``unproved`` checks are NOT_RUN."""

    objects: Callable[[HealthySet], Mapping[str, bytes]]
    unproved: set[str]
    patterns: Mapping[str, str]
    by_time: bool = False


def sql(healthy: HealthySet) -> bytes:
    return gzip.decompress(part(healthy, dumps.DUMP))


def part(healthy: HealthySet, name: str) -> bytes:
    return healthy.dump_set.files[name].read_bytes()


def zstd(text: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=text, capture_output=True, check=True).stdout


def sealed(plaintext: bytes) -> bytes:
    return encrypted(plaintext, KEY)


def tar(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]  # a mode as text
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def files_of(healthy: HealthySet, name: str, root: str = "") -> dict[str, bytes]:
    """The files of one of the set's archives, below ``root``."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(part(healthy, name))) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content:
                found[f"{root}{member.name.removeprefix('./')}"] = content.read()
    return found


def everything(healthy: HealthySet, root: str = "./var/www/html/") -> dict[str, bytes]:
    """A whole site as a careful person tars it, with what lies around in a site."""
    return {
        "./tmp/freescout.sql": sql(healthy),
        f"{root}vendor/some/library/tests/fixture.sql": b"SELECT 1;",
        f"{root}vendor/some/library/.env": b"APP_KEY=wrong",
        f"{root}.env.example": b"APP_KEY=",
        f"{root}.env": part(healthy, dumps.ENV),
        f"{root}artisan": b"<?php",
        **files_of(healthy, dumps.ATTACHMENTS, root),
        **files_of(healthy, dumps.MODULES, root),
    }


def one(name: str, pack: Callable[[bytes], bytes]) -> Callable[[HealthySet], Mapping[str, bytes]]:
    return lambda healthy: {f"{name}": pack(sql(healthy)), f"{name.replace(DAY, OLDER)}": b"an older one"}


LAYOUTS = {
    "gzip": Layout(one(f"db-{DAY}.sql.gz", gzip.compress), DATABASE_ALONE, {"database": "db-{date}.sql.gz"}),
    "zstd": Layout(one(f"mysql/{DAY}/all.sql.zst", zstd), DATABASE_ALONE, {"database": "mysql/{date}/*.sql.zst"}),
    "xz": Layout(one(f"a_{DAY}_b.sql.xz", lzma.compress), DATABASE_ALONE, {"database": "*_{date}_*.sql.xz"}),
    "bzip2": Layout(one(f"{DAY}.sql.bz2", bz2.compress), DATABASE_ALONE, {"database": "{date}.sql.bz2"}),
    "plain": Layout(one(f"db.{DAY}.sql", bytes), DATABASE_ALONE, {"database": "db.{date}.sql"}),
    "sealed": Layout(
        one(f"db-{DAY}.sql.gz.gpg", lambda text: sealed(gzip.compress(text))),
        DATABASE_ALONE,
        {"database": "db-{date}.sql.gz.gpg"},
    ),
    "hourly, and an env stored once": Layout(
        lambda healthy: {
            f"db-{COMPACT}-0500.sql.gz": gzip.compress(b"-- an earlier one"),
            f"db-{COMPACT}-0600.sql.gz": part(healthy, dumps.DUMP),
            "secrets/env": part(healthy, dumps.ENV),
        },
        {artefact.COMPLETE, *OF_FILES, *OF_MODULES},
        {"database": "db-{date}-{time}.sql.gz", "env": "secrets/env"},
    ),
    "dated by S3's time": Layout(
        lambda healthy: {
            "latest/freescout.sql.gz": part(healthy, dumps.DUMP),
            "latest/env.gpg": sealed(part(healthy, dumps.ENV)),
            "latest/files.tgz": tar(files_of(healthy, dumps.ATTACHMENTS, "freescout/")),
        },
        {artefact.COMPLETE, *OF_MODULES},
        {"database": "latest/*.sql.gz", "env": "latest/env.gpg", "attachments": "latest/files.tgz"},
        by_time=True,
    ),
    "each part by itself": Layout(
        lambda healthy: {
            f"{COMPACT}/db.sql.gz": part(healthy, dumps.DUMP),
            f"{COMPACT}/env.txt": part(healthy, dumps.ENV),
            f"{COMPACT}/att.tar.xz": tar(
                {
                    name.removeprefix("storage/app/attachment/"): text
                    for name, text in files_of(healthy, dumps.ATTACHMENTS).items()
                },
                "w:xz",
            ),
            f"{COMPACT}/mod.tar": tar(files_of(healthy, dumps.MODULES, "site/"), "w"),
        },
        set(),
        {
            "database": "{date}/db.sql.gz",
            "env": "{date}/env.txt",
            "attachments": "{date}/att.tar.xz",
            "modules": "{date}/mod.tar",
        },
    ),
    "everything": Layout(
        lambda healthy: {f"fs-{DAY}.tar.gz": tar(everything(healthy))}, set(), {"everything": "fs-{date}.tar.gz"}
    ),
    "everything, sealed": Layout(
        lambda healthy: {f"fs-{DAY}.tar.bz2.gpg": sealed(tar(everything(healthy, ""), "w:bz2"))},
        set(),
        {"everything": "fs-{date}.tar.bz2.gpg"},
    ),
    "everything but the files": Layout(
        lambda healthy: {
            f"fs-{DAY}.tar": tar(
                {"db.sql.gz": part(healthy, dumps.DUMP), "freescout/.env": part(healthy, dumps.ENV)}, "w"
            )
        },
        {artefact.COMPLETE, *OF_FILES, *OF_MODULES},
        {"everything": "fs-{date}.tar"},
    ),
}


class AsOfTheDump(Bucket):
    """Says that every object was stored a minute after the dump was taken: S3 itself takes no other time than now."""

    def objects(self, prefix: str) -> list[StoredObject]:
        moment = TAKEN + timedelta(minutes=1)
        return [dataclasses.replace(found, modified_utc=moment) for found in super().objects(prefix)]


def arranged(
    stage: Stage, objects: Mapping[str, bytes], patterns: Mapping[str, str], *, by_time: bool = False
) -> Stage:
    """The stage with ``objects`` in its bucket, and a policy that adopts them."""
    for key, body in objects.items():
        stage.shelf.client.put_object(Bucket=stage.shelf.bucket.name, Key=stage.prefix + key, Body=body)
    stage.adopted = Adopted(**{name: stage.prefix + pattern for name, pattern in patterns.items()})
    stage.private_key = KEY.secret.encode()
    if by_time:
        stage.shelf = Shelf(AsOfTheDump(stage.shelf.bucket.name, client=stage.shelf.client), stage.shelf.client)
    return stage


def restored(stage: Stage, name: str) -> Drill:
    layout = LAYOUTS[name]
    return arranged(stage, layout.objects(stage.healthy), layout.patterns, by_time=layout.by_time).restore()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_foreign_layout_is_restored_and_believed_as_far_as_it_goes(stage: Stage, name: str) -> None:
    drill, unproved = restored(stage, name), LAYOUTS[name].unproved
    assert failed(drill) == set(), said(drill)
    assert not_run(drill) == unproved, said(drill)
    assert passed(drill) == set(CHECKS) - unproved
    assert drill.verdict is (Verdict.COULD_NOT_VERIFY if unproved else Verdict.PASS)
    assert "no manifest, so no checksum" in check(drill, artefact.CHECKSUMS).expected
    assert "nothing to compare with" in check(drill, compare.ROWS).expected
    if unproved:
        assert "the adopted layout has no place for" in check(drill, artefact.COMPLETE).reason
    assert found_in_bytes(said(drill).encode(), freescout.planted()) == []
    assert found_in_bytes("\n".join(stage.host.ran).encode(), freescout.planted()) == []


def test_what_is_wrong_with_a_foreign_dump_still_fails(stage: Stage) -> None:
    whole = gzip.compress(sql(stage.healthy))
    arranged(stage, {f"db-{DAY}.sql.gz": whole[: len(whole) // 2]}, {"database": "db-{date}.sql.gz"})
    drill = stage.restore()
    assert {artefact.COMPRESSION, artefact.TRAILER} <= failed(drill), said(drill)
    assert drill.verdict is Verdict.FAIL


def test_an_attachment_that_the_archive_lacks_fails_where_the_layout_has_a_place_for_it(stage: Stage) -> None:
    files = everything(stage.healthy)
    gone = next(name for name in files if "storage/app/attachment/" in name)
    del files[gone]
    arranged(stage, {f"fs-{DAY}.tar.gz": tar(files)}, {"everything": "fs-{date}.tar.gz"})
    assert compare.ATTACHMENTS in failed(stage.restore())


def test_a_release_that_does_not_fit_the_database_fails_without_the_modules_too(stage: Stage) -> None:
    arranged(stage, {f"db-{DAY}.sql.gz": part(stage.healthy, dumps.DUMP)}, {"database": "db-{date}.sql.gz"})
    added = stage.host.site / "database" / "migrations" / "2031_01_01_000000_later.php"
    added.write_text("<?php")
    drill = stage.restore()
    assert "not gone through: 2031_01_01_000000_later" in check(drill, compare.MIGRATIONS).reason
    assert compare.MIGRATIONS in failed(drill)


def test_a_wrong_key_in_a_foreign_env_fails(stage: Stage) -> None:
    env = part(stage.healthy, dumps.ENV).replace(b"APP_KEY=base64:", b"APP_KEY=base64:AAAA", 1)
    objects = {f"db-{DAY}.sql.gz": part(stage.healthy, dumps.DUMP), f"env-{DAY}": env}
    arranged(stage, objects, {"database": "db-{date}.sql.gz", "env": "env-{date}"})
    assert compare.APP_KEY in failed(stage.restore())


def test_a_part_that_has_a_pattern_and_is_not_there_makes_the_set_incomplete(stage: Stage) -> None:
    objects = {f"db-{DAY}.sql.gz": part(stage.healthy, dumps.DUMP), f"env-{OLDER}": b"APP_KEY="}
    arranged(stage, objects, {"database": "db-{date}.sql.gz", "env": "env-{date}"})
    assert check(stage.restore(), artefact.COMPLETE).reason == "it is incomplete: no env"


def test_a_dump_of_nine_days_before_its_name_fails_though_only_its_day_is_known(stage: Stage) -> None:
    later = f"{TAKEN + timedelta(days=9):%Y-%m-%d}"
    arranged(stage, {f"db-{later}.sql.gz": part(stage.healthy, dumps.DUMP)}, {"database": "db-{date}.sql.gz"})
    assert compare.DATA_AGE in failed(stage.restore())
    earlier = f"{TAKEN - timedelta(days=9):%Y-%m-%d}"
    stage.prefix += "earlier/"
    stage.host.reset()
    arranged(stage, {f"db-{earlier}.sql.gz": part(stage.healthy, dumps.DUMP)}, {"database": "db-{date}.sql.gz"})
    assert "younger than the backup" in check(stage.restore(), compare.DATA_AGE).reason


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"a/.env": b""}, BackupWrongError, "holds no dump"),
        ({"a/db.sql": b"--", "b/db.sql.gz": b"--"}, CouldNotVerifyError, "holds 2 dumps"),
    ],
)
def test_an_archive_without_one_dump_is_named(
    stage: Stage, files: Mapping[str, bytes], error: type[Exception], words: str
) -> None:
    arranged(stage, {f"fs-{DAY}.tar.gz": tar(files)}, {"everything": "fs-{date}.tar.gz"})
    drill = stage.restore()
    assert drill.verdict is (Verdict.FAIL if error is BackupWrongError else Verdict.COULD_NOT_VERIFY)
    assert any(words in finding for finding in drill.findings)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_an_archive_that_is_cut_fails(stage: Stage, mode: str) -> None:
    whole = tar(everything(stage.healthy), mode)
    cut = whole[: len(whole) * 6 // 10]
    suffix = mode.replace("w", ".tar").replace(":", ".")
    arranged(stage, {f"fs-{DAY}{suffix}": cut}, {"everything": f"fs-{{date}}{suffix}"})
    drill = stage.restore()
    assert drill.verdict is Verdict.FAIL
    assert any("cannot be read to its end" in finding for finding in drill.findings), said(drill)


def test_an_archive_with_one_flipped_bit_fails_by_its_checksum(stage: Stage) -> None:
    whole = bytearray(tar(everything(stage.healthy)))
    whole[-6] ^= 1  # of gzip's CRC-32
    arranged(stage, {f"fs-{DAY}.tar.gz": bytes(whole)}, {"everything": "fs-{date}.tar.gz"})
    assert stage.restore().verdict is Verdict.FAIL


def test_attachments_that_lie_nowhere_known_are_not_verified(stage: Stage) -> None:
    objects = {f"db-{DAY}.sql.gz": part(stage.healthy, dumps.DUMP), f"att-{DAY}.tar": tar({"x/y": b"z"}, "w")}
    arranged(stage, objects, {"database": "db-{date}.sql.gz", "attachments": "att-{date}.tar"})
    drill = stage.restore()
    assert drill.verdict is Verdict.COULD_NOT_VERIFY
    assert any("nothing is where a FreeScout's attachments would be" in finding for finding in drill.findings)


def test_a_key_that_is_not_at_hand_is_not_verified(stage: Stage) -> None:
    other = encrypted(part(stage.healthy, dumps.DUMP), make_key("Bob <bob@example.com>"))
    arranged(stage, {f"db-{DAY}.sql.gz.gpg": other}, {"database": "db-{date}.sql.gz.gpg"})
    drill = stage.restore()
    assert drill.verdict is Verdict.COULD_NOT_VERIFY
    assert any("which is not at hand" in finding for finding in drill.findings)


def test_two_dumps_of_a_day_without_a_time_are_refused_by_name(stage: Stage) -> None:
    objects = {f"db-{DAY}-a.sql.gz": b"x", f"db-{DAY}-b.sql.gz": b"y"}
    arranged(stage, objects, {"database": "db-{date}-*.sql.gz"})
    with pytest.raises(UsageError, match=f"two objects of {DAY}: .*-a.sql.gz and .*-b.sql.gz"):
        adopted.stored_sets(stage.shelf.bucket, stage.policy)


def test_when_a_set_was_taken(stage: Stage) -> None:
    now = datetime.now(UTC)
    today = f"{now:%Y-%m-%d}"
    arranged(stage, {f"db-{today}.sql": b"--", "db-2020-01-01.sql": b"--"}, {"database": "db-{date}.sql"})
    near, far = adopted.stored_sets(stage.shelf.bucket, stage.policy).sets
    assert abs(near.taken_utc - now) < timedelta(minutes=10)
    assert near.known_to == timedelta()
    assert far.taken_utc == datetime(2019, 12, 31, 10, tzinfo=UTC), "the day may have begun at UTC+14"
    assert far.known_to == timedelta(hours=50)
    assert far.members[DATABASE].key.endswith("db-2020-01-01.sql")


def test_the_inventory_shows_adopted_days_and_never_calls_them_whole(stage: Stage) -> None:
    arranged(stage, {f"db-{DAY}.sql.gz": b"x" * 9, f"db-{OLDER}.sql.gz": b"x" * 9}, {"database": "db-{date}.sql.gz"})
    inventory = take_inventory(stage.shelf.bucket, stage.policy, TAKEN + timedelta(hours=2))
    assert [day.state for day in inventory.days[:3]] == [DayState.ADOPTED, DayState.ADOPTED, DayState.MISSING]
    assert inventory.gaps == ()


assert len(LAYOUTS) >= 10
assert set(examine.CHECKS) <= set(CHECKS)
