"""Every fault shows when it is on, and leaves no trace when it is off."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest
import requests

from raxx_bcp_sandbox.heroku import faults
from raxx_bcp_sandbox.heroku.app import DATA, HOLD_SECONDS
from raxx_bcp_sandbox.heroku.databases import SCRATCH
from raxx_bcp_sandbox.heroku.production import HEAD, LEAF, OLDER, row_counts
from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.sandbox.heroku.conftest import PROVISION_SECONDS
from raxx_bcp_tests.sandbox.heroku.lab import HEALTHY_WARNINGS, Lab

THROWAWAY = "raxx-drill-1"
TRANSFERS = f"{DATA}/apps/{PRODUCTION}/transfers"
CALLS = ("/apps", f"/apps/{PRODUCTION}/config-vars", TRANSFERS)


def good_backups(lab: Lab) -> list[int]:
    """The numbers of production's backups that a drill may choose from."""
    listed = lab.get(TRANSFERS)
    good = [each for each in listed if each["from_type"] == "pg_dump" and each["succeeded"] is True]
    return sorted(each["num"] for each in good if each["deleted_at"] is None)


def tables(lab: Lab, app: str = THROWAWAY) -> dict[str, int]:
    """The tables of an app's database, with their rows."""
    with lab.connect(app) as connection:
        return row_counts(connection)


def test_all_are_offered_under_one_prefix(lab: Lab) -> None:
    offered = requests.get(f"{lab.url}/_sandbox/faults", timeout=10).json()
    assert offered == {"known": faults.KNOWN, "active": []}
    assert all(name.startswith("heroku-") and shows.endswith(".") for name, shows in faults.KNOWN.items())


class TestEveryCall:
    @pytest.mark.parametrize(
        ("fault", "status", "error"),
        [(faults.DOWN, 503, "service_unavailable"), (faults.DENIED, 403, "forbidden")],
    )
    def test_is_refused(self, lab: Lab, fault: str, status: int, error: str) -> None:
        lab.fault(fault)
        for path in CALLS:
            refused = lab.call("GET", path)
            assert (refused.status_code, refused.json()["id"]) == (status, error)
        lab.fault(fault, on=False)
        assert {lab.call("GET", path).status_code for path in CALLS} == {200}

    def test_is_limited_twice_a_kind(self, lab: Lab) -> None:
        lab.fault(faults.RATE_LIMITED)
        for path in CALLS:
            answers = [lab.call("GET", path) for _ in range(4)]
            assert [each.status_code for each in answers] == [429, 429, 200, 200]
            assert (answers[0].headers["retry-after"], answers[0].json()["id"]) == ("1", "rate_limit")
        lab.fault(faults.RATE_LIMITED)  # switched anew, it counts anew
        assert lab.call("GET", "/apps").status_code == 429

    def test_times_out(self, lab: Lab) -> None:
        lab.fault(faults.TIMEOUTS)
        for path in CALLS:
            late = lab.call("GET", path)
            assert (late.status_code, late.headers["content-type"]) == (503, "text/html; charset=utf-8")
        lab.fault(faults.TIMEOUTS, on=False)
        assert {lab.call("GET", path).status_code for path in CALLS} == {200}

    def test_the_time_that_a_call_is_held_is_bounded(self) -> None:
        assert HOLD_SECONDS == 30.0

    def test_of_the_data_api_answers_with_a_page(self, lab: Lab) -> None:
        lab.fault(faults.DATA_HTML_404)
        page = lab.call("GET", TRANSFERS)
        assert (page.status_code, "<html>" in page.text) == (404, True)
        assert lab.call("GET", "/apps").status_code == 200
        lab.fault(faults.DATA_HTML_404, on=False)
        assert lab.call("GET", TRANSFERS).status_code == 200

    def test_of_the_platform_lists_in_small_pages(self, lab: Lab) -> None:
        lab.post("/apps", {"name": THROWAWAY})
        assert lab.call("GET", "/apps").status_code == 200
        lab.fault(faults.SMALL_PAGES)
        first = lab.call("GET", "/apps")
        second = lab.call("GET", "/apps", range=first.headers["next-range"])
        assert (first.status_code, second.status_code) == (206, 200)
        assert (len(first.json()), len(second.json())) == (2, 1)


class TestApps:
    def test_the_cap(self, lab: Lab) -> None:
        lab.fault(faults.APP_CAP)
        refused = lab.call("POST", "/apps", {"name": THROWAWAY})
        assert (refused.status_code, "app limit of 100" in refused.json()["message"]) == (422, True)
        lab.fault(faults.APP_CAP, on=False)
        assert lab.call("POST", "/apps", {"name": THROWAWAY}).status_code == 201

    @pytest.mark.parametrize(("fault", "status"), [(faults.DELETE_REFUSED, 500), (faults.DELETE_LIES, 200)])
    def test_a_deleted_app_stays(self, lab: Lab, fault: str, status: int) -> None:
        lab.throwaway(THROWAWAY)
        lab.fault(fault)
        assert lab.call("DELETE", f"/apps/{THROWAWAY}").status_code == status
        assert THROWAWAY in [each["name"] for each in lab.get("/apps")]
        assert lab.databases() == [PRODUCTION, THROWAWAY]
        lab.fault(fault, on=False)
        assert lab.call("DELETE", f"/apps/{THROWAWAY}").status_code == 200
        assert lab.databases() == [PRODUCTION]


class TestProvisioning:
    def test_stuck_until_it_is_mended(self, lab: Lab) -> None:
        production = lab.addon()
        lab.fault(faults.PROVISION_STUCK)
        addon = lab.throwaway(THROWAWAY)
        lab.advance(3_600)
        wait = f"{DATA}/databases/{addon['id']}/wait_status"
        assert lab.get(wait)["waiting?"] is True
        assert lab.get(f"/apps/{THROWAWAY}/config-vars") == {}
        assert lab.get(f"{DATA}/databases/{production.id}/wait_status")["waiting?"] is False
        lab.fault(faults.PROVISION_STUCK, on=False)
        assert lab.get(wait)["waiting?"] is False

    def test_failing(self, lab: Lab) -> None:
        lab.fault(faults.PROVISION_FAILS)
        addon = lab.throwaway(THROWAWAY)
        wait = lab.get(f"{DATA}/databases/{addon['id']}/wait_status")
        assert wait == {"message": "provisioning failed", "waiting?": False, "error?": True}
        assert lab.get(f"/apps/{THROWAWAY}/addons/{addon['id']}")["state"] == "deprovisioned"
        assert lab.get(f"/apps/{THROWAWAY}/config-vars") == {}
        lab.fault(faults.PROVISION_FAILS, on=False)
        lab.post("/apps", {"name": "raxx-drill-2"})
        second = lab.post("/apps/raxx-drill-2/addons", {"plan": "heroku-postgresql"})
        lab.advance(PROVISION_SECONDS)
        assert lab.get(f"{DATA}/databases/{second['id']}/wait_status")["error?"] is False


class TestRestores:
    def test_failing_half_way(self, lab: Lab) -> None:
        lab.fault(faults.RESTORE_FAILS)
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7))
        assert (ended["succeeded"], ended["warnings"]) == (False, 0)
        assert 0 < ended["processed_bytes"] < lab.newest_backup()["processed_bytes"]
        assert "could not read from input file: end of file" in ended["logs"][-1]["message"]

    def test_hanging_until_it_is_cancelled(self, lab: Lab) -> None:
        """Mending does not help the one that hangs; a new one is well."""
        addon = lab.throwaway(THROWAWAY)
        lab.fault(faults.RESTORE_HANGS)
        begun = lab.post(f"{DATA}/databases/{addon['id']}/restores", {"backup_url": lab.signed_url(7)})
        lab.fault(faults.RESTORE_HANGS, on=False)
        path = f"{DATA}/apps/{THROWAWAY}/transfers/{begun['uuid']}"
        lab.world.jobs.wait(begun["uuid"], seconds=0.5)
        assert lab.get(path)["finished_at"] is None
        lab.post(f"{path}/actions/cancel")
        assert lab.get(path)["canceled_at"] is not None

    def test_a_success_with_a_warning_that_lost_a_tables_rows(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        lab.fault(faults.RESTORE_WARNS)
        ended = lab.restored(addon, lab.signed_url(7))
        assert (ended["succeeded"], ended["warnings"]) == (True, HEALTHY_WARNINGS + 1)
        assert any(f"permission denied for table {LEAF}" in line["message"] for line in ended["logs"])
        counts = tables(lab)
        assert counts[LEAF] == 0
        assert all(count > 0 for table, count in counts.items() if table != LEAF)
        with lab.connect(THROWAWAY) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
            left = "SELECT evtname FROM pg_event_trigger UNION SELECT proname FROM pg_proc WHERE proname ~ '^sandbox'"
            assert copy.execute(left).fetchall() == [("log_create_ext",)]

    @pytest.mark.parametrize(
        ("fault", "words", "missing"),
        [
            (
                faults.RESTORE_LACKS_EXTENSIONS,
                'type "heroku_ext.citext" does not exist',
                {"customers", "organisations"},
            ),
            (faults.RESTORE_LACKS_TYPE, 'type "public.invoice_status" does not exist', {"invoices"}),
            (faults.RESTORE_SKIPS_TABLE, f'relation "public.{LEAF}" does not exist', {LEAF}),
        ],
    )
    def test_a_success_that_lost_tables(self, lab: Lab, fault: str, words: str, missing: set[str]) -> None:
        lab.fault(fault)
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7))
        assert ended["succeeded"] is True
        assert ended["warnings"] > HEALTHY_WARNINGS
        assert any(words in line["message"] for line in ended["logs"])
        assert wrong_tables(lab) == missing
        lab.fault(fault, on=False)
        again = lab.restored(lab.throwaway("raxx-drill-2"), lab.signed_url(7))
        assert again["warnings"] == HEALTHY_WARNINGS, "nothing is left of it"

    def test_an_extension_of_another_version_comes_without_a_further_warning(self, lab: Lab) -> None:
        lab.fault(faults.RESTORE_OTHER_EXTENSION)
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7))
        assert (ended["succeeded"], ended["warnings"]) == (True, HEALTHY_WARNINGS)
        version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'"
        with lab.connect(THROWAWAY) as copy, lab.connect() as live:
            assert copy.execute(version).fetchone() == ("1.5",) != live.execute(version).fetchone()


class TestBackups:
    def test_none(self, lab: Lab) -> None:
        lab.fault(faults.NO_BACKUPS)
        assert {each["from_type"] for each in lab.get(TRANSFERS)} == {"htcat"}
        assert lab.call("POST", f"{TRANSFERS}/7/actions/public-url").status_code == 404
        lab.fault(faults.NO_BACKUPS, on=False)
        assert good_backups(lab) == [1, 2, 5, 7]

    def test_stale(self, lab: Lab) -> None:
        """The newest good one is nine days old, and at production's own revision."""
        lab.fault(faults.STALE)
        assert good_backups(lab) == [1, 2]
        assert lab.newest_backup()["num"] == 2
        age = lab.now().timestamp() - (lab.world.transfers.of(lab.addon().app_id)[1].finished_at or 0.0)
        assert 8.9 * 86_400 < age < 9.9 * 86_400  # other tests let some time pass
        lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(2))
        with lab.connect(THROWAWAY) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        lab.fault(faults.STALE, on=False)
        assert good_backups(lab) == [1, 2, 5, 7]


Outcome = tuple[bool, bool, str | None]
OUTCOMES: Final[dict[str, Outcome]] = {
    faults.EMPTY: (False, False, None),
    faults.TRUNCATED: (False, False, None),
    faults.WRONG_VERSION: (False, False, None),
    faults.WRONG_DATABASE: (True, False, "0f0e0d0c0b0a"),
    faults.OLD_REVISION: (True, False, OLDER),
    faults.MISSING_TABLE: (True, False, HEAD),
    faults.HALF_ROWS: (True, False, HEAD),
    faults.OWNER_ERRORS: (True, True, HEAD),
    faults.NAMES_BLANKED: (True, False, HEAD),
    faults.CENT_OFF: (True, False, HEAD),
    faults.NO_ROW_SECURITY: (True, False, HEAD),
    faults.LOOKUP_SHORT: (True, False, HEAD),
    faults.PARTITION_LOST: (True, False, HEAD),
    faults.LARGE_OBJECTS_LOST: (True, False, HEAD),
    faults.INDEX_FAILS: (True, True, HEAD),
    faults.CONSTRAINT_FAILS: (True, True, HEAD),
    faults.FUNCTION_REFUSED: (True, True, HEAD),
}
"""Does its restore succeed, does it ignore more errors than a healthy one, and which Alembic revision does it have?"""


class TestTheCorpus:
    def test_it_is_complete(self) -> None:
        assert OUTCOMES.keys() == faults.CORPUS.keys()

    @pytest.mark.parametrize("fault", OUTCOMES)
    def test_the_newest_backup_is_bad_for_real(self, lab: Lab, fault: str) -> None:
        """The newest one is bad, older ones are not, and mended it is what it was."""
        healthy, older = content(lab, 7), content(lab, 5)
        lab.fault(fault)
        assert lab.newest_backup()["num"] == 7
        assert content(lab, 7) != healthy
        assert content(lab, 5) == older
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7))
        succeeds, warns, revision = OUTCOMES[fault]
        assert (ended["succeeded"], ended["warnings"] > HEALTHY_WARNINGS) == (succeeds, warns)
        if revision is not None:
            with lab.connect(THROWAWAY) as copy:
                assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
        assert wrong_tables(lab) == EXPECTED[fault]
        lab.fault(fault, on=False)
        assert content(lab, 7) == healthy

    def test_the_healthy_one_has_nothing_wrong(self, lab: Lab) -> None:
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7))
        assert (ended["succeeded"], ended["warnings"], wrong_tables(lab)) == (True, HEALTHY_WARNINGS, set())

    def test_each_says_why_its_restore_failed(self, lab: Lab) -> None:
        reasons = {
            faults.EMPTY: "input file is too short",
            faults.TRUNCATED: "could not read from input file: end of file",
            faults.WRONG_VERSION: "unsupported version (1.99) in file header",
        }
        for number, (fault, reason) in enumerate(reasons.items()):
            lab.fault(fault)
            ended = lab.restored(lab.throwaway(f"raxx-drill-{number}"), lab.signed_url(7))
            assert reason in ended["logs"][-1]["message"]
            lab.fault(fault, on=False)

    def test_what_was_bad_when_it_was_recorded_has_its_own_size_and_what_decayed_later_the_healthy_one(
        self, lab: Lab
    ) -> None:
        healthy = lab.newest_backup()["processed_bytes"]
        sizes = {}
        for fault in faults.CORPUS:
            lab.fault(fault)
            sizes[fault] = (lab.newest_backup()["processed_bytes"], len(content(lab, 7)))
            lab.fault(fault, on=False)
        assert sizes[faults.EMPTY] == (0, 0)
        assert {fault for fault, (recorded, _real) in sizes.items() if recorded == healthy} == {
            faults.TRUNCATED,
            faults.WRONG_VERSION,
        }
        assert all(real == recorded for fault, (recorded, real) in sizes.items() if fault != faults.TRUNCATED)

    def test_it_is_made_from_a_newer_backup_when_there_is_one(self, lab: Lab) -> None:
        begun = lab.post(f"{DATA}/databases/{lab.addon().id}/backups")
        lab.world.jobs.wait(begun["uuid"])
        lab.fault(faults.TRUNCATED)
        whole = len(lab.world.files.path(begun["uuid"]).read_bytes())
        assert len(content(lab, begun["num"])) == int(whole * 0.6)
        assert lab.get(f"{TRANSFERS}/7")["succeeded"] is True
        assert content(lab, 7)[:5] == b"PGDMP"
        with lab.world.lock:  # the other tests want number 7 to be the newest
            transfer = lab.world.transfers.of(lab.addon().app_id)[-1]
            lab.world.files.remove(transfer.uuid)
            lab.world.store.remove(transfer)

    def test_no_scratch_database_stays(self, lab: Lab) -> None:
        for fault in faults.CORPUS:
            lab.fault(fault)
            content(lab, 7)
            lab.fault(fault, on=False)
        with lab.server.connect() as superuser:
            left = "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles"
            assert [name for (name,) in superuser.execute(left) if name.startswith(SCRATCH)] == []


_ALL: Final = {"alembic_version", "customers", "events", "invoices", LEAF, "notes", "organisations"}
EXPECTED: Final[dict[str, set[str]]] = {
    faults.EMPTY: _ALL,
    faults.WRONG_VERSION: _ALL,
    faults.WRONG_DATABASE: _ALL - {"alembic_version"},
    faults.TRUNCATED: _ALL - {"alembic_version", "customers", "events"},  # what comes first in the archive is there
    faults.OLD_REVISION: {"notes"},
    faults.MISSING_TABLE: {LEAF},
    faults.HALF_ROWS: {"events", "invoices", LEAF, "notes"},
    faults.OWNER_ERRORS: {LEAF},
    # No count of these tables' rows tells any of them.
    faults.NAMES_BLANKED: set(),
    faults.CENT_OFF: set(),
    faults.NO_ROW_SECURITY: set(),
    faults.LOOKUP_SHORT: set(),
    faults.PARTITION_LOST: set(),
    faults.LARGE_OBJECTS_LOST: set(),
    faults.INDEX_FAILS: set(),
    faults.CONSTRAINT_FAILS: set(),
    faults.FUNCTION_REFUSED: set(),
}


def content(lab: Lab, number: int) -> bytes:
    """The bytes of a backup of production, as anybody fetches them."""
    fetched = requests.get(lab.signed_url(number), timeout=60)
    assert fetched.status_code == 200
    return fetched.content


def wrong_tables(lab: Lab) -> set[str]:
    """Production's tables that the throwaway lacks, or has with too few rows."""
    live: dict[str, Any] = tables(lab, PRODUCTION)
    restored = Counter(tables(lab))
    return {table for table, count in live.items() if restored[table] < 0.9 * count}
