"""The inventory of FreeScout's dump sets, on a real S3 server: each night's state, who can read it, what is late."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients import openpgp
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.freescout.inventory import DayState, freshness_check, take_inventory
from raxx_bcp.policy import FreeScout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.keys import make_key
from raxx_bcp_tests.clients.gnupg_lab import encrypted, key_ids_by_gpg
from raxx_bcp_tests.drills.freescout.stage import TODAY, Stage

DUE = datetime(TODAY.year, TODAY.month, TODAY.day, 7, 0, tzinfo=UTC)
"""From when on today's set is late."""


def days(stage: Stage, now: datetime = DUE) -> dict[str, DayState]:
    return {day.day: day.state for day in take_inventory(stage.shelf.bucket, policy(stage), now).days}


def policy(stage: Stage, **changes: object) -> FreeScout:
    return stage.policy.model_copy(update=changes)


def fresh(stage: Stage, now: datetime = DUE, **changes: object) -> tuple[Status, str]:
    check = freshness_check(stage.shelf.bucket, policy(stage, **changes), now)
    return check.status, check.detail


def drop(stage: Stage, name: str, day: date = TODAY) -> None:
    stage.shelf.client.delete_object(Bucket=stage.shelf.bucket.name, Key=f"{stage.prefix}{day}/{name}")


def ago(days_: int) -> date:
    return TODAY - timedelta(days=days_)


def test_a_whole_set_of_today_is_fresh_and_without_a_gap(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set)
    inventory = take_inventory(stage.shelf.bucket, policy(stage), DUE)
    assert inventory.days[0].state is DayState.COMPLETE
    assert inventory.gaps == ()
    status, detail = fresh(stage)
    assert status is Status.PASS
    assert f"{stage.healthy.dump_set.manifest['rows']['threads']} threads" in detail


def test_each_night_has_its_state(stage: Stage) -> None:
    for back in (0, 2, 4):
        stage.store(stage.healthy.dump_set, ago(back))
    drop(stage, dumps.MANIFEST, ago(2))
    drop(stage, dumps.MODULES, ago(4))
    found = days(stage)
    states = [found[ago(back).isoformat()] for back in range(6)]
    assert states == [
        DayState.COMPLETE,
        DayState.MISSING,
        DayState.NO_MANIFEST,
        DayState.MISSING,
        DayState.INCOMPLETE,
        DayState.MISSING,
    ]
    inventory = take_inventory(stage.shelf.bucket, policy(stage), DUE)
    assert inventory.gaps == tuple(ago(back).isoformat() for back in (1, 2, 3, 4)), (
        "before the first, none was promised"
    )
    (gaps,) = [check for check in inventory.checks if check.name == "no_gaps"]
    assert gaps.status is Status.WARN


@pytest.mark.parametrize(
    ("stored_days_ago", "now", "status"),
    [
        (0, DUE, Status.PASS),
        (1, DUE - timedelta(seconds=1), Status.PASS),
        (1, DUE, Status.FAIL),
        (2, DUE - timedelta(seconds=1), Status.FAIL),
    ],
)
def test_late_begins_an_hour_after_the_help_desks_own_hour(
    stage: Stage, stored_days_ago: int, now: datetime, status: Status
) -> None:
    stage.store(stage.healthy.dump_set, ago(stored_days_ago))
    assert fresh(stage, now)[0] is status


def test_never_a_set_is_late_and_says_what_to_install(stage: Stage) -> None:
    check = freshness_check(stage.shelf.bucket, policy(stage), DUE)
    assert check.status is Status.FAIL
    assert "there has never been one" in check.detail
    assert "Install freescout-backup" in check.remedy
    assert fresh(stage, dumps_expected=False)[0] is Status.PASS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (dumps.MANIFEST, "has no manifest: its night did not finish"),
        (dumps.ATTACHMENTS, "is not as its manifest says: attachments.tar.gz"),
    ],
)
def test_a_set_that_is_not_whole_is_not_fresh(stage: Stage, name: str, text: str) -> None:
    stage.store(stage.healthy.dump_set)
    drop(stage, name)
    status, detail = fresh(stage)
    assert status is Status.FAIL
    assert text in detail


def test_a_member_of_another_size_than_the_manifests_is_not_fresh(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set)
    key = f"{stage.prefix}{TODAY}/{dumps.DUMP}"
    stage.shelf.client.put_object(Bucket=stage.shelf.bucket.name, Key=key, Body=b"cut")
    assert fresh(stage) == (Status.FAIL, f"The dump set of {TODAY} is not as its manifest says: {dumps.DUMP}.")


class Denied(Bucket):
    def objects(self, prefix: str) -> list[object]:  # type: ignore[override]
        raise CouldNotVerifyError(f"Listing {prefix} was denied.", "Look at the role.")


def test_denied_is_could_not_verify_and_never_fresh(stage: Stage) -> None:
    check = freshness_check(Denied(stage.shelf.bucket.name, client=stage.shelf.client), policy(stage), DUE)
    assert check.status is Status.COULD_NOT_VERIFY


def test_members_in_clear_are_warned_of_and_encrypted_ones_name_their_reader(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set)
    (check,) = [one for one in take_inventory(stage.shelf.bucket, policy(stage), DUE).checks if one.name == "encrypted"]
    assert check.status is Status.WARN
    assert "database.sql.gz" in check.detail
    key = make_key()
    prefix = f"{stage.prefix}sealed/"
    message = encrypted(b"customers' mail", key)
    for name in (dumps.DUMP, dumps.ENV, dumps.ATTACHMENTS, dumps.MODULES):
        stage.shelf.client.put_object(Bucket=stage.shelf.bucket.name, Key=f"{prefix}{TODAY}/{name}.gpg", Body=message)
    sealed = take_inventory(stage.shelf.bucket, policy(stage, dump_prefix=prefix), DUE)
    (check,) = [one for one in sealed.checks if one.name == "encrypted"]
    assert check.status is Status.PASS
    assert list(sealed.recipients) == key_ids_by_gpg(message)


def test_recipients_are_read_from_the_first_bytes_alone() -> None:
    first, second = make_key(), make_key("Bob <bob@example.com>")
    message = encrypted(b"x" * 100_000, first, second)
    assert list(openpgp.recipients(message[:600])) == key_ids_by_gpg(message)
    assert openpgp.recipients(b"-- MariaDB dump") == ()
    assert openpgp.recipients(b"") == ()


def test_a_set_of_less_than_half_the_size_is_warned_of(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set, ago(1))
    small = dumps.DumpSet(stage.folder, stage.healthy.dump_set.names)
    for name, path in stage.healthy.dump_set.files.items():
        (stage.folder / name).write_bytes(path.read_bytes()[:1000] if name == dumps.ATTACHMENTS else path.read_bytes())
    (stage.folder / dumps.DUMP).write_bytes(b"small")
    stage.store(small)
    inventory = take_inventory(stage.shelf.bucket, policy(stage), DUE)
    (size,) = [check for check in inventory.checks if check.name == "size"]
    assert size.status is Status.WARN
    assert inventory.growth_ratio is not None
    assert inventory.growth_ratio < 0.5
    stage.store(stage.healthy.dump_set)
    again = take_inventory(stage.shelf.bucket, policy(stage), DUE)
    assert [check.status for check in again.checks if check.name == "size"] == [Status.PASS]


def test_a_day_as_a_table_shows_it(stage: Stage) -> None:
    stage.store(stage.healthy.dump_set)
    first = take_inventory(stage.shelf.bucket, policy(stage), DUE).days[0]
    shown = dataclasses.replace(first, stored_utc=DUE).as_dict()
    assert shown["day"] == TODAY.isoformat()
    assert shown["state"] == "complete"
    assert shown["stored_utc"] == "2031-03-14T07:00:00Z"
    assert "env" in shown["in_clear"]
