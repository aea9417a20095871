"""Tier 2's restore on real MariaDB: the healthy sets pass every check, each broken one is caught by name."""

from __future__ import annotations

import pytest

from raxx_bcp.drills.freescout import artefact, causes, compare, site
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_tests.drills.freescout.stage import CHECKS, TODAY, Stage, check, failed, passed, said
from raxx_bcp_tests.faults.freescout_dumps import BROKEN, CAUGHT_BY, HARD, HealthySet
from raxx_bcp_tests.faults.scanning import found_in_bytes

NAMED = {
    "crc": artefact.COMPRESSION,
    "trailer": artefact.TRAILER,
    "schema": compare.SCHEMA,
    "rows": compare.ROWS,
    "orphans": compare.ORPHANS,
    "data age": compare.DATA_AGE,
    "fingerprint": compare.CONTENT,
    "emoji": compare.EMOJI,
    "admin": compare.ADMIN,
    "hashes": compare.HASHES,
    "migrations": compare.MIGRATIONS,
    "jobs": compare.JOBS,
    "parts": artefact.COMPLETE,
    "app key": compare.APP_KEY,
    "attachments": compare.ATTACHMENTS,
    "checksum": artefact.CHECKSUMS,
}

FIRST_CAUSES = {
    **dict.fromkeys(("migration-missing", "no-conversations", "no-dump", "no-env", "no-modules", "other-database"), 2),
    **dict.fromkeys(("orphans-published-conversations-without-threads", "orphans-threads-without-conversation"), 2),
    **dict.fromkeys(("short-attachments", "stale", "utf8mb3"), 2),
    "no-attachments": 3,
    "schema-only": 4,
}
"""How many checks a broken set leaves that none explains, where it is not one: up to twenty fail, or cannot be made."""


def test_a_healthy_set_passes_every_check(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set)
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)


def test_a_healthy_set_of_a_newer_release_with_both_kinds_of_links_passes(stage: Stage, newer: HealthySet) -> None:
    stage.host.reset(freescout.NEWER)
    stage.store(newer.dump_set)
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)
    assert "md5: 200" in check(drill, site.LINK).actual
    assert "hmac: 200" in check(drill, site.LINK).actual


@pytest.mark.parametrize("name", sorted(set(HARD) - {"no-manifest"}))
def test_a_set_that_only_looks_different_passes_every_check(stage: Stage, name: str) -> None:
    stage.build(HARD[name])
    drill = stage.restore()
    assert passed(drill) == set(CHECKS), said(drill)


def test_a_set_without_a_manifest_can_be_restored_and_says_what_it_was_compared_with(stage: Stage) -> None:
    stage.build(HARD["no-manifest"])
    drill = stage.restore()
    # Its data is of 2031, and S3 stored it today: only its age cannot be judged in this test.
    assert passed(drill) == set(CHECKS) - {compare.DATA_AGE}, said(drill)
    assert "no manifest" in check(drill, artefact.CHECKSUMS).expected
    assert "nothing to compare with" in check(drill, compare.ROWS).expected


def test_a_dump_without_comments_and_without_a_manifest_has_nothing_that_vouches_for_it(stage: Stage) -> None:
    made = stage.build(HARD["without-comments"])
    stage.shelf.client.delete_object(Bucket=stage.shelf.bucket.name, Key=f"{stage.prefix}{TODAY}/{dumps.MANIFEST}")
    assert dumps.MANIFEST in made.names
    drill = stage.restore()
    assert artefact.TRAILER in failed(drill)
    assert "no manifest that does" in check(drill, artefact.TRAILER).reason


def test_a_dump_without_comments_says_why_its_last_line_is_not_needed(stage: Stage) -> None:
    stage.build(HARD["without-comments"])
    assert "not needed: dumped without comments" in check(stage.restore(), artefact.TRAILER).actual


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_set_is_caught_by_name(stage: Stage, name: str) -> None:
    stage.build(BROKEN[name])
    drill = stage.restore()
    caught = CAUGHT_BY[name]
    if caught[0].startswith("error "):
        assert f"{caught[0]}" in check(drill, artefact.RESTORED).reason
    else:
        assert {NAMED[one] for one in caught} <= failed(drill), said(drill)
    first = [one.name for one in causes.folded(drill.results) if one.status is CheckStatus.FAIL and not one.follows]
    assert 1 <= len(first) <= FIRST_CAUSES.get(name, 1), first
    assert found_in_bytes(said(drill).encode(), freescout.planted()) == []
    assert found_in_bytes(b"".join(stage.host.printed), freescout.planted()) == []
    assert found_in_bytes("\n".join(stage.host.ran).encode(), freescout.planted()) == []
