"""What a sandbox begins with: 100,000 rows, and backups that are true states of other days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from raxx_bcp_sandbox.heroku import production
from raxx_bcp_sandbox.heroku.app import DATA
from raxx_bcp_sandbox.heroku.records import Transfer
from raxx_bcp_sandbox.heroku.seed import SCHEDULED_KEPT, SEEDED, seed
from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.sandbox.heroku.lab import HEALTHY_WARNINGS, Lab, heroku_lab

NOW = "2031-03-14T09:00:00Z"
SMALL = 1_000
TRANSFERS = f"{DATA}/apps/{PRODUCTION}/transfers"


@pytest.fixture(scope="module")
def whole() -> Iterator[Lab]:
    """An account of the size that a sandbox has, at nine in the morning."""
    with heroku_lab(now=NOW) as lab:
        yield lab


def one(lab: Lab, query: str, app: str = PRODUCTION) -> Any:
    """The one value that a query finds."""
    with lab.connect(app) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def take_scheduled_backup(lab: Lab) -> bool:
    """As every ``sandbox up`` does."""
    answer = lab.session.post(f"{lab.url}/_sandbox/scheduled-backup", timeout=60)
    answer.raise_for_status()
    return bool(answer.json()["taken"])


class TestProduction:
    def test_it_has_a_hundred_thousand_rows(self, whole: Lab) -> None:
        with whole.connect() as connection:
            counts = production.row_counts(connection)
        assert sum(counts.values()) == 100_000
        assert counts["alembic_version"] == 1
        assert min(counts.values()) == 1

    def test_it_holds_what_makes_a_restore_hard(self, whole: Lab) -> None:
        assert one(whole, "SELECT version_num FROM alembic_version") == production.HEAD
        assert one(whole, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 2200") == 5
        assert one(whole, "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND connamespace = 2200") == 3
        assert one(whole, "SELECT count(*) FROM pg_sequences WHERE schemaname = 'public'") == 7
        assert one(whole, "SELECT count(*) FROM pg_views WHERE schemaname = 'public'") == 1
        assert one(whole, "SELECT count(*) FROM customers WHERE full_name LIKE '%李%' AND attributes ? 'locale'") > 500
        assert one(whole, "SELECT settings ->> 'größe' FROM organisations WHERE slug = 'ORG-2'") == "2"

    def test_its_newest_row_is_of_this_minute_and_none_is_of_the_future(self, whole: Lab) -> None:
        newest = one(whole, "SELECT max(occurred_at) FROM events")
        seconds = (datetime.fromisoformat(NOW) - newest).total_seconds()
        assert 0 <= seconds < 60

    def test_its_owner_is_no_superuser(self, whole: Lab) -> None:
        assert one(whole, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


class TestBackups:
    def test_they_are_as_old_as_they_say(self, whole: Lab) -> None:
        created = {each["num"]: each["created_at"] for each in whole.get(TRANSFERS)}
        assert created == {
            1: "2031-03-02 09:00:00 +0000",
            2: "2031-03-05 09:00:00 +0000",
            3: "2031-03-06 09:00:00 +0000",
            4: "2031-03-07 09:00:00 +0000",
            5: "2031-03-12 05:00:00 +0000",
            6: "2031-03-13 05:00:00 +0000",
            7: "2031-03-14 05:00:00 +0000",
        }

    def test_they_differ_in_kind_and_outcome(self, whole: Lab) -> None:
        told = {
            each["num"]: (each["from_type"], each["succeeded"], each["deleted_at"] is None, each["schedule"] is None)
            for each in whole.get(TRANSFERS)
        }
        assert told == {
            1: ("pg_dump", True, True, True),
            2: ("pg_dump", True, True, True),
            3: ("htcat", True, True, True),
            4: ("pg_dump", True, False, True),
            5: ("pg_dump", True, True, False),
            6: ("pg_dump", False, True, False),
            7: ("pg_dump", True, True, False),
        }

    @pytest.mark.parametrize(
        ("number", "revision", "rows", "until"),
        [
            (1, production.OLDER, 86_400, "2031-03-02T09:00:00Z"),
            (2, production.HEAD, 99_500, "2031-03-05T09:00:00Z"),
            (7, production.HEAD, 99_900, "2031-03-14T05:00:00Z"),
        ],
    )
    def test_each_is_the_state_of_its_day(self, whole: Lab, number: int, revision: str, rows: int, until: str) -> None:
        name = f"raxx-drill-{number}"
        assert whole.restored(whole.throwaway(name), whole.signed_url(number))["warnings"] == HEALTHY_WARNINGS
        assert one(whole, "SELECT version_num FROM alembic_version", name) == revision
        with whole.connect(name) as copy:
            assert abs(sum(production.row_counts(copy).values()) - rows) < 10
            newest = production.newest_moment(copy)
        assert 0 <= (datetime.fromisoformat(until) - newest).total_seconds() < 3_600
        whole.call("DELETE", f"/apps/{name}").raise_for_status()


class TestScheduledBackup:
    def test_it_is_taken_once_a_morning(self) -> None:
        with heroku_lab(rows=SMALL, now=NOW) as lab:
            assert take_scheduled_backup(lab) is False
            lab.set_now("2031-03-15T04:59:00Z")
            assert take_scheduled_backup(lab) is False
            assert lab.newest_backup()["num"] == 7
            lab.set_now("2031-03-15T06:00:00Z")
            assert take_scheduled_backup(lab) is True
            assert take_scheduled_backup(lab) is False
            newest = lab.newest_backup()
            assert (newest["num"], newest["created_at"]) == (8, "2031-03-15 05:00:00 +0000")
            assert newest["schedule"] is not None
            assert lab.restored(lab.throwaway("raxx-drill-1"), lab.signed_url(8))["warnings"] == HEALTHY_WARNINGS
            with lab.connect("raxx-drill-1") as copy, lab.connect() as live:
                moments = [production.newest_moment(each) for each in (copy, live)]
                before, after = (sum(production.row_counts(each).values()) for each in (copy, live))
            assert moments[0] <= datetime(2031, 3, 15, 5, tzinfo=UTC) < moments[1]
            assert SMALL < before < after < 1.02 * SMALL

    def test_only_so_many_are_kept(self) -> None:
        with heroku_lab(rows=SMALL, now=NOW) as lab:
            for day in range(15, 24):
                lab.set_now(f"2031-03-{day}T06:00:00Z")
                assert take_scheduled_backup(lab)
            listed = [each for each in lab.get(TRANSFERS) if each["schedule"] and each["succeeded"]]
            kept = [each["created_at"][:10] for each in listed if each["deleted_at"] is None]
            assert len(kept) == SCHEDULED_KEPT
            assert min(kept) == "2031-03-17"
            gone = [each for each in listed if each["deleted_at"]]
            assert len(gone) == 4
            assert not any(lab.world.files.path(each["uuid"]).exists() for each in gone)
            assert lab.call("POST", f"{TRANSFERS}/7/actions/public-url").status_code == 404


class TestAgain:
    def test_a_filled_account_is_left_alone(self) -> None:
        with heroku_lab(rows=SMALL, now=NOW) as lab:
            before = lab.get(TRANSFERS)
            seed(lab.world, SMALL)
            after = lab.get(TRANSFERS)
            assert [each["uuid"] for each in after] == [each["uuid"] for each in before]

    @pytest.mark.parametrize("before", ["half filled", "of a version whose owners made their own extensions"])
    def test_one_that_is_not_whole_is_filled_anew(self, before: str) -> None:
        with heroku_lab(rows=SMALL, now=NOW) as lab:
            with lab.world.lock:
                lab.world.store.set(SEEDED, "")
                lab.world.store.set("seeded", "" if before == "half filled" else "yes")
                for transfer in lab.world.store.all(Transfer)[:3]:
                    lab.world.store.remove(transfer)
            seed(lab.world, SMALL)
            assert {each["num"] for each in lab.get(TRANSFERS)} == set(range(1, 8))
            assert lab.databases() == [PRODUCTION]
            with lab.connect() as connection:
                assert sum(production.row_counts(connection).values()) == SMALL


class TestTheClock:
    def test_it_can_be_moved_and_what_is_recorded_follows(self, whole: Lab) -> None:
        before = whole.now()
        whole.advance(86_400)
        assert 86_400 <= (whole.now() - before).total_seconds() < 86_460
        made = whole.post("/apps", {"name": "raxx-drill-1"})
        assert made["created_at"].startswith("2031-03-15T")
        whole.call("DELETE", "/apps/raxx-drill-1")

    @pytest.mark.parametrize(
        "wanted",
        [[], {}, {"advance_seconds": -1}, {"advance_seconds": "1"}, {"now_utc": "2031-03-14T09:00:00"}, {"x": 1}],
    )
    def test_what_makes_no_sense_is_refused(self, whole: Lab, wanted: Any) -> None:
        refused = whole.session.put(f"{whole.url}/_sandbox/clock", json=wanted, timeout=10)
        assert (refused.status_code, "was not changed" in refused.json()["error"]) == (400, True)
