"""The Data API: backups that are real dumps, signed addresses that expire, restores that are real restores."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from raxx_bcp_sandbox.heroku.app import DATA
from raxx_bcp_sandbox.heroku.backups import BackupFiles
from raxx_bcp_sandbox.heroku.production import HEAD, row_counts
from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.sandbox.heroku.conftest import PROVISION_SECONDS
from raxx_bcp_tests.sandbox.heroku.lab import EXTENSIONS, HEALTHY_WARNINGS, Lab

THROWAWAY = "raxx-drill-1"
TRANSFERS = f"{DATA}/apps/{PRODUCTION}/transfers"
FIELDS = (
    "uuid num from_name from_type from_url to_name to_type to_url options source_bytes processed_bytes succeeded "
    "warnings created_at started_at canceled_at updated_at finished_at deleted_at purged_at num_keep schedule"
)
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000")


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something that a real process does."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def errors(transfer: dict[str, Any]) -> list[str]:
    """What PostgreSQL refused."""
    return re.findall(r"^pg_restore: error: could not execute query: ERROR:  (.*)$", messages(transfer), re.MULTILINE)


def messages(transfer: dict[str, Any]) -> str:
    """The log of a transfer."""
    return "\n".join(line["message"] for line in transfer["logs"])


class TestTheList:
    def test_it_has_the_recorded_shape(self, lab: Lab) -> None:
        listed = lab.get(TRANSFERS)
        assert {each["num"] for each in listed} >= set(range(1, 8))
        for each in listed:
            assert list(each) == FIELDS.split()
            for name in ("created_at", "started_at", "updated_at", "finished_at"):
                assert TIME.fullmatch(each[name])
            assert (each["from_type"], each["to_type"]) in {("pg_dump", "gof3r"), ("htcat", "pg_restore")}

    def test_its_order_is_no_order_of_time_or_number(self, lab: Lab) -> None:
        listed = lab.get(TRANSFERS)
        assert [each["uuid"] for each in listed] == sorted(each["uuid"] for each in listed)

    def test_one_is_found_by_number_and_by_uuid_under_name_and_id(self, lab: Lab) -> None:
        app_id = lab.get(f"/apps/{PRODUCTION}")["id"]
        first = lab.get(f"{TRANSFERS}/1")
        assert lab.get(f"{DATA}/apps/{app_id}/transfers/{first['uuid']}")["uuid"] == first["uuid"]
        assert "logs" not in first
        assert lab.get(f"{TRANSFERS}/6?verbose=true")["logs"][0]["level"] == "error"
        assert lab.call("GET", f"{TRANSFERS}/99").status_code == 404

    def test_an_app_of_another_name_has_its_own(self, lab: Lab) -> None:
        assert lab.get(f"{DATA}/apps/raxx-app-staging/transfers") == []
        assert lab.call("GET", f"{DATA}/apps/nobodys/transfers").status_code == 404


class TestSignedAddresses:
    def test_whoever_has_one_may_fetch_the_dump(self, lab: Lab) -> None:
        fetched = requests.get(lab.signed_url(7), timeout=10)
        newest = lab.newest_backup()
        assert (fetched.status_code, fetched.content[:5]) == (200, b"PGDMP")
        assert len(fetched.content) == newest["processed_bytes"] == int(fetched.headers["content-length"])
        part = requests.get(lab.signed_url(7), headers={"range": "bytes=0-4"}, timeout=10)
        assert (part.status_code, part.content) == (206, b"PGDMP")

    def test_it_is_good_for_an_hour_of_real_time_however_the_recorded_time_goes(self, lab: Lab) -> None:
        answer = lab.post(f"{TRANSFERS}/7/actions/public-url")
        expires = int(re.findall(r"Expires=(\d+)", answer["url"])[0])
        assert TIME.fullmatch(answer["expires_at"])
        assert 3_500 < expires - time.time() <= 3_600
        lab.advance(4 * 3_600)
        assert requests.get(answer["url"], timeout=10).status_code == 200
        past = lab.world.files.signed_url(lab.url, lab.newest_backup()["uuid"], time.time() - 1)
        refused = requests.get(past, timeout=10)
        assert (refused.status_code, "AccessDenied" in refused.text) == (403, True)

    def test_only_what_was_signed_is_admitted(self, tmp_path: Path) -> None:
        files = BackupFiles(tmp_path / "b", "key")
        url = files.signed_url("http://127.0.0.1:1", "uuid-1", 2_000.0)
        signature = url.rpartition("=")[2]
        assert files.admits("uuid-1", "2000", signature, 1_999.0)
        for uuid, expires, given, now in (
            ("uuid-1", "2000", signature, 2_000.0),
            ("uuid-2", "2000", signature, 1_999.0),
            ("uuid-1", "2001", signature, 1_999.0),
            ("uuid-1", "2000", "", 1_999.0),
            ("uuid-1", "", signature, 1_999.0),
            ("uuid-1", "-1", signature, -2.0),
        ):
            assert not files.admits(uuid, expires, given, now)
        assert not BackupFiles(tmp_path / "b", "other").admits("uuid-1", "2000", signature, 1_999.0)

    @pytest.mark.parametrize("number", [3, 4, 6])
    def test_a_restore_and_a_backup_that_is_gone_or_failed_have_none(self, lab: Lab, number: int) -> None:
        assert lab.call("POST", f"{TRANSFERS}/{number}/actions/public-url").status_code == 404

    def test_what_the_cli_sends_back_can_be_fetched(self, lab: Lab) -> None:
        assert requests.get(lab.newest_backup()["to_url"], timeout=10).content[:5] == b"PGDMP"


class TestRestore:
    def test_it_is_a_real_one(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        ended = lab.restored(addon, lab.signed_url(7))
        newest = lab.newest_backup()
        assert (ended["succeeded"], ended["warnings"], ended["canceled_at"]) == (True, HEALTHY_WARNINGS, None)
        assert ended["processed_bytes"] == newest["processed_bytes"]
        assert 'processing data for table "public.customers"' in messages(ended)
        with lab.connect(THROWAWAY) as copy, lab.connect() as production:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
            owners = copy.execute("SELECT DISTINCT tableowner = user FROM pg_tables WHERE schemaname = 'public'")
            assert owners.fetchall() == [(True,)]
            restored, live = row_counts(copy), row_counts(production)
            assert restored.keys() == live.keys()
            for table, count in live.items():
                assert 0.99 * count - 2 <= restored[table] <= count
            names = "SELECT id, full_name, attributes, email FROM customers WHERE id <= 20 ORDER BY id"
            assert copy.execute(names).fetchall() == production.execute(names).fetchall()
            extensions = "SELECT extname, extnamespace::regnamespace::text FROM pg_extension ORDER BY 1"
            made = [(name, "heroku_ext") for name in ("citext", "hstore", "pg_stat_statements", "pg_trgm")]
            assert copy.execute(extensions).fetchall() == [*made, ("plpgsql", "pg_catalog")]
            assert copy.execute(extensions).fetchall() == production.execute(extensions).fetchall()

    def test_while_it_runs_it_has_neither_ended_nor_succeeded(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        lab.fault("heroku-restore-hangs")
        begun = lab.post(f"{DATA}/databases/{addon['id']}/restores", {"backup_url": lab.signed_url(7)})
        assert (begun["from_type"], begun["to_type"], begun["num"]) == ("htcat", "pg_restore", 1)
        path = f"{DATA}/apps/{addon['app']['id']}/transfers/{begun['uuid']}"
        running = until(lambda: (seen := lab.get(path))["processed_bytes"] and seen)
        assert (running["succeeded"], running["finished_at"]) == (None, None)
        assert lab.call("POST", f"{path}/actions/cancel").json()["succeeded"] is False

    @pytest.mark.parametrize(
        "url",
        [
            "https://s3.amazonaws.com/x?sig=1",
            "http://192.0.2.1/x",
            "http://127.0.0.1.example.com/x",
            "http://user@example.com/x",
            "file:///etc/passwd",
            "",
        ],
    )
    def test_it_fetches_from_loopback_only(self, lab: Lab, url: str) -> None:
        addon = lab.throwaway(THROWAWAY)
        refused = lab.call("POST", f"{DATA}/databases/{addon['id']}/restores", {"backup_url": url})
        assert (refused.status_code, refused.json()["id"]) == (422, "invalid_params")
        assert lab.get(f"{DATA}/apps/{THROWAWAY}/transfers") == []

    def test_an_address_that_has_expired_fails_it(self, lab: Lab) -> None:
        past = lab.world.files.signed_url(lab.url, lab.newest_backup()["uuid"], time.time() - 1)
        ended = lab.restored(lab.throwaway(THROWAWAY), past)
        assert (ended["succeeded"], messages(ended)) == (False, "htcat: the backup was refused with 403")

    def test_an_address_where_nobody_is_fails_it_without_being_told(self, lab: Lab) -> None:
        ended = lab.restored(lab.throwaway(THROWAWAY), "http://127.0.0.1:1/x?Signature=abc")
        assert (ended["succeeded"], messages(ended)) == (False, "transfer failed: ConnectionError")

    def test_a_redirect_is_not_followed(self, lab: Lab, redirecting: str) -> None:
        ended = lab.restored(lab.throwaway(THROWAWAY), redirecting)
        assert (ended["succeeded"], messages(ended)) == (False, "htcat: the backup was refused with 302")

    def test_a_database_that_is_not_ready_takes_none(self, lab: Lab) -> None:
        lab.fault("heroku-provision-stuck")
        addon = lab.throwaway(THROWAWAY)
        refused = lab.call("POST", f"{DATA}/databases/{addon['id']}/restores", {"backup_url": lab.signed_url(7)})
        assert (refused.status_code, refused.json()["message"]) == (422, "Database is not yet available")

    def test_its_warnings_are_of_what_the_administrator_owns(self, lab: Lab) -> None:
        """As public reports have them (contract, Heroku, 11)."""
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7))
        assert ended["warnings"] == HEALTHY_WARNINGS
        assert errors(ended) == [
            'schema "heroku_ext" already exists',
            "must be owner of schema public",
            "must be owner of extension citext",
            "must be owner of extension hstore",
            "must be owner of extension pg_stat_statements",
            "must be owner of extension pg_trgm",
            'permission denied to create event trigger "log_create_ext"',
        ]

    def test_without_the_names_of_extensions_what_uses_them_is_missing(self, lab: Lab) -> None:
        ended = lab.restored(lab.throwaway(THROWAWAY), lab.signed_url(7), extensions=())
        assert ended["succeeded"] is True
        assert 'permission denied to create extension "citext"' in errors(ended)
        assert 'type "heroku_ext.citext" does not exist' in errors(ended)
        with lab.connect(THROWAWAY) as copy:
            assert {"customers", "organisations"} & row_counts(copy).keys() == set()

    def test_the_owner_makes_no_extension(self, lab: Lab) -> None:
        lab.throwaway(THROWAWAY)
        with lab.connect(THROWAWAY) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("CREATE EXTENSION hstore")

    def test_extensions_are_made_first(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        path = f"{DATA}/databases/{addon['id']}/restores"
        for bad in (["x; DROP"], "hstore", [5], ["a.b.hstore"], [".hstore"]):
            refused = lab.call("POST", path, {"backup_url": lab.signed_url(7), "extensions": bad})
            assert refused.status_code == 422
        wanted = ["hstore", "elsewhere.citext", "heroku_ext.pg_trgm", "no_such_extension"]
        begun = lab.post(path, {"backup_url": lab.signed_url(7), "extensions": wanted})
        lab.world.jobs.wait(begun["uuid"])
        ended = lab.get(f"{DATA}/apps/{THROWAWAY}/transfers/{begun['uuid']}?verbose=true")
        assert "extension no_such_extension is not available" in messages(ended)
        with lab.connect(THROWAWAY) as copy:
            rows = copy.execute("SELECT extname, extnamespace::regnamespace::text FROM pg_extension").fetchall()
        assert {("hstore", "heroku_ext"), ("citext", "elsewhere"), ("pg_trgm", "heroku_ext")} < set(rows)

    def test_into_a_database_with_tables_it_says_how_many_errors_it_ignored(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        assert lab.restored(addon, lab.signed_url(7))["warnings"] == HEALTHY_WARNINGS
        again = lab.restored(addon, lab.signed_url(7))
        assert again["succeeded"] is True
        assert again["warnings"] == int(re.findall(r"errors ignored on restore: (\d+)", messages(again))[0]) > 20

    def test_deleting_the_app_ends_it(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        lab.fault("heroku-restore-hangs")
        begun = lab.post(f"{DATA}/databases/{addon['id']}/restores", {"backup_url": lab.signed_url(7)})
        until(lambda: programs("pg_restore"))
        lab.call("DELETE", f"/apps/{THROWAWAY}").raise_for_status()
        lab.world.jobs.wait(begun["uuid"])
        assert lab.databases() == [PRODUCTION]
        assert programs("pg_restore") == []
        assert lab.call("GET", f"{DATA}/apps/{THROWAWAY}/transfers").status_code == 404


class TestCancel:
    def test_it_kills_the_program_and_is_recorded(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        lab.fault("heroku-restore-hangs")
        begun = lab.post(f"{DATA}/databases/{addon['id']}/restores", {"backup_url": lab.signed_url(7)})
        until(lambda: programs("pg_restore"))
        path = f"{DATA}/apps/{THROWAWAY}/transfers/{begun['uuid']}"
        cancelled = lab.post(f"{path}/actions/cancel")
        assert TIME.fullmatch(cancelled["canceled_at"])
        assert (cancelled["succeeded"], cancelled["finished_at"]) == (False, cancelled["canceled_at"])
        lab.world.jobs.wait(begun["uuid"])
        assert programs("pg_restore") == []
        assert lab.get(path) == cancelled
        again = lab.call("POST", f"{path}/actions/cancel")
        assert (again.status_code, again.json()["id"]) == (422, "invalid_params")


class TestCapture:
    def test_it_is_a_backup_of_this_moment(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        with lab.connect(THROWAWAY) as owner:
            owner.execute("CREATE TABLE kept (text text)")
            owner.execute("INSERT INTO kept VALUES ('of this moment')")
        begun = lab.post(f"{DATA}/databases/{addon['id']}/backups")
        assert (begun["from_type"], begun["to_type"], begun["succeeded"]) == ("pg_dump", "gof3r", None)
        lab.world.jobs.wait(begun["uuid"])
        ended = lab.get(f"{DATA}/apps/{THROWAWAY}/transfers/{begun['num']}")
        assert (ended["succeeded"], ended["schedule"]) == (True, None)
        lab.post("/apps", {"name": "raxx-drill-2"})
        second = lab.post("/apps/raxx-drill-2/addons", {"plan": "heroku-postgresql"})
        lab.advance(PROVISION_SECONDS)
        of_extensions = len(EXTENSIONS)  # that throwaway has none of production's
        ended = lab.restored(second, lab.signed_url(begun["num"], THROWAWAY), extensions=())
        assert ended["warnings"] == HEALTHY_WARNINGS - of_extensions
        with lab.connect("raxx-drill-2") as copy:
            assert copy.execute("SELECT text FROM kept").fetchall() == [("of this moment",)]

    def test_what_pg_dump_says_when_it_may_not_read_is_in_the_log(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        record = lab.addon(THROWAWAY)
        with lab.server.connect(record.database) as superuser:
            superuser.execute("CREATE TABLE closed (text text)")
        begun = lab.post(f"{DATA}/databases/{addon['id']}/backups")
        lab.world.jobs.wait(begun["uuid"])
        ended = lab.get(f"{DATA}/apps/{THROWAWAY}/transfers/{begun['num']}?verbose=true")
        assert (ended["succeeded"], "permission denied for table closed" in messages(ended)) == (False, True)
        assert not lab.world.files.path(begun["uuid"]).exists()


def programs(name: str) -> list[psutil.Process]:
    """Our own living children of that name."""
    children = psutil.Process().children(recursive=True)
    return [each for each in children if each.name() == name and each.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def redirecting() -> Iterator[str]:
    """An address on loopback that leads elsewhere."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("location", "http://192.0.2.1/x")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/x"
        server.shutdown()
