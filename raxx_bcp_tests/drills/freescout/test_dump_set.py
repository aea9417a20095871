"""Finding dump sets in a real bucket, reading their manifests, and opening encrypted ones."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import gnupg
import pytest

from raxx_bcp.clients.gpg_decrypt import DecryptionFailedError, stop_agents
from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError
from raxx_bcp.drills.freescout import artefact, dump_set
from raxx_bcp.drills.freescout.decrypting import decrypting
from raxx_bcp.drills.freescout.dump_set import choose, find_sets, read_manifest
from raxx_bcp.drills.freescout.expected import Moment
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_tests.drills.freescout.stage import CHECKS, Stage, passed, s3_client, said
from raxx_bcp_tests.faults.freescout_dumps import BROKEN, TAKEN, HealthySet


def test_the_newest_the_random_older_and_the_named(stage: Stage) -> None:
    for days in range(3):
        stage.store(stage.healthy.dump_set, (TAKEN - timedelta(days=days)).date())
    listed = find_sets(stage.shelf.bucket, stage.prefix)
    assert [one.day for one in listed.sets] == ["2031-03-14", "2031-03-13", "2031-03-12"]
    assert choose(listed.sets, "newest")[0].day == "2031-03-14"
    assert choose(listed.sets, "2031-03-12") == (listed.sets[2], "named by the operator")
    assert {choose(listed.sets, "random-older")[0].day for _try in range(50)} == {"2031-03-13", "2031-03-12"}
    with pytest.raises(UsageError, match="2031-03-13"):
        choose(listed.sets, "2031-03-11")
    with pytest.raises(UsageError, match="only one"):
        choose(listed.sets[:1], "random-older")
    with pytest.raises(PermanentError, match="no dump set"):
        choose((), "newest")


def test_the_newest_is_not_passed_over_for_being_incomplete(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set, (TAKEN - timedelta(days=1)).date())
    stage.build(BROKEN["no-dump"])
    drill = stage.restore()
    assert artefact.COMPLETE in {one.name for one in drill.results if one.status.value == "FAIL"}, said(drill)
    assert "2031-03-14 has no database" in drill.findings[0]


def test_other_objects_are_no_sets(stage: Stage) -> None:
    for name in ("readme.txt", "2031-03-14", "2031-03-14/notes.txt", "latest/database.sql.gz"):
        stage.shelf.client.put_object(Bucket=stage.shelf.bucket.name, Key=f"{stage.prefix}{name}", Body=b"x")
    assert find_sets(stage.shelf.bucket, stage.prefix).sets == ()


def test_a_manifest_is_the_truth_about_its_own_moment(healthy: HealthySet) -> None:
    read = read_manifest(healthy.dump_set.files[dumps.MANIFEST].read_bytes(), "m")
    assert read.expectation.moment is Moment.SAME
    assert read.expectation.rows == healthy.dump_set.manifest["rows"]
    assert read.taken_utc == TAKEN


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "something else"},
        {"schema_version": 2},
        {"taken_utc": "2031-03-14 06:00"},
        {"rows": {"threads": -1}},
        {"rows": {"threads": "many"}},
        {"files": {"env": {"size_bytes": 1, "sha256": "XYZ"}}},
        {"password": "a secret that nobody may see"},
        {"max_thread_id": None},
    ],
)
def test_a_manifest_that_is_none_is_refused_without_its_content(healthy: HealthySet, change: dict[str, Any]) -> None:
    text = json.dumps({**healthy.dump_set.manifest, **change}).encode()
    with pytest.raises(PermanentError) as raised:
        read_manifest(text, "freescout-dumps/2031-03-14/manifest.json")
    assert "2031-03-14/manifest.json" in raised.value.what
    assert "a secret" not in str(raised.value)


def test_no_json_is_refused(healthy: HealthySet) -> None:
    with pytest.raises(PermanentError, match="cannot be read"):
        read_manifest(healthy.dump_set.files[dumps.MANIFEST].read_bytes()[:-40], "m")


# -- streams ---------------------------------------------------------------------------------------------


def test_an_object_is_streamed_in_pieces(stage: Stage) -> None:
    bucket, body = stage.shelf.bucket, bytes(range(256)) * 20_000
    stage.shelf.client.put_object(Bucket=bucket.name, Key=f"{stage.prefix}big", Body=body)
    pieces = list(bucket.stream(f"{stage.prefix}big", chunk_bytes=1_000_000))
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 1_000_000
    with pytest.raises(ObjectAbsentError):
        next(bucket.stream(f"{stage.prefix}nothing"))


def test_a_server_that_is_away_is_transient() -> None:
    away = Bucket("dumps", client=s3_client("http://127.0.0.1:9", "nobody", "nothing"))
    with pytest.raises(TransientError):
        next(away.stream("anything"))


class Keys:
    """An operator's GnuPG home."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.home = home
        self.gpg = gnupg.GPG(gnupghome=str(home))
        asked = self.gpg.gen_key_input(
            key_type="RSA", key_length=2048, name_email="operator@raxx.invalid", no_protection=True
        )
        self.fingerprint = str(self.gpg.gen_key(asked).fingerprint)

    def __enter__(self) -> Keys:
        return self

    def __exit__(self, *_error: object) -> None:
        """Making a key starts an agent, which outlives gpg."""
        stop_agents(self.home)
        shutil.rmtree(self.home, ignore_errors=True)

    def private(self) -> bytes:
        return str(self.gpg.export_keys(self.fingerprint, secret=True, expect_passphrase=False)).encode()


def message(keys: Keys, plain: bytes) -> bytes:
    """Encrypted to ``keys``."""
    made: bytes = keys.gpg.encrypt(plain, [keys.fingerprint], armor=False, always_trust=True).data
    return made


@pytest.fixture(scope="module")
def keys(short: Path) -> Iterator[Keys]:
    with Keys(short / "gpg") as made:
        yield made


@pytest.fixture
def encrypted(stage: Stage, keys: Keys) -> dumps.DumpSet:
    healthy = stage.healthy
    made = dumps.dump_set(
        healthy.server, healthy.site, TAKEN, stage.folder / "e", recipient=keys.fingerprint, gpg_home=keys.home
    )
    stage.store(made)
    return made


def test_an_encrypted_set_passes_where_the_key_is(stage: Stage, keys: Keys, encrypted: dumps.DumpSet) -> None:
    stage.private_key = keys.private()
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)
    assert set(encrypted.files) >= {"database.sql.gz.gpg", "env.gpg"}


@pytest.mark.usefixtures("encrypted")
def test_without_the_key_nothing_was_verified_and_the_key_is_named(
    stage: Stage, keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "empty"))
    drill = stage.restore()
    assert drill.verdict.value == "COULD_NOT_VERIFY"
    subkeys = [one[0] for one in keys.gpg.list_keys()[0]["subkeys"]]
    named = [keys.fingerprint[-16:], *subkeys]
    assert any(one in drill.findings[0] for one in named), drill.findings


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:-20], lambda text: text[:4000] + bytes([text[4000] ^ 1]) + text[4001:]],
    ids=["cut short", "one bit"],
)
def test_a_damaged_message_is_never_believed(keys: Keys, damage: Any) -> None:
    plain = random.Random(7).randbytes(20_000)  # noqa: S311 - no secret
    text = message(keys, plain)
    assert b"".join(decrypting([text], "x", keys.private())) == plain
    with pytest.raises(DecryptionFailedError, match="could not decrypt x"):
        list(decrypting([damage(text)], "x", keys.private()))


def test_what_the_source_raises_comes_out_unchanged(keys: Keys) -> None:
    def broken() -> Iterator[bytes]:
        yield message(keys, b"x" * 1000)[:100]
        raise CouldNotVerifyError("The source ended.", "Try again.")

    with pytest.raises(CouldNotVerifyError, match="The source ended"):
        list(decrypting(broken(), "x", keys.private()))


def test_a_reader_that_has_enough_leaves_no_process(keys: Keys) -> None:
    text = message(keys, bytes(5_000_000))
    pieces = decrypting([text], "x", keys.private())
    assert next(pieces)
    pieces.close()


def test_a_member_that_was_encrypted_to_nobody_here(keys: Keys, short: Path) -> None:
    with Keys(short / "other") as other:
        text = message(other, b"x")
    with pytest.raises(CouldNotVerifyError, match="which is not at hand"):
        list(decrypting([text], "env.gpg", keys.private()))
    assert dump_set.ENCRYPTED == ".gpg"
