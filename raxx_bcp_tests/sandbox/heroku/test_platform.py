"""The Platform API: apps and databases come, are listed, and go for real."""

from __future__ import annotations

import re

import psycopg
import pytest

from raxx_bcp_sandbox.heroku import paging
from raxx_bcp_sandbox.heroku.app import DATA
from raxx_bcp_sandbox.heroku.errors import ApiError
from raxx_bcp_sandbox.heroku.rates import LIMIT, Rate
from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.sandbox.heroku.conftest import PROVISION_SECONDS
from raxx_bcp_tests.sandbox.heroku.lab import Lab

THROWAWAY = "raxx-drill-1"
PLAN = {"plan": {"name": "heroku-postgresql:essential-0"}}


class TestApps:
    def test_one_comes_and_goes(self, lab: Lab) -> None:
        made = lab.call("POST", "/apps", {"name": THROWAWAY, "region": "eu"})
        assert (made.status_code, made.json()["region"]["name"], made.json()["team"]) == (201, "eu", None)
        assert lab.get(f"/apps/{THROWAWAY}") == lab.get(f"/apps/{made.json()['id']}") == made.json()
        assert [each["name"] for each in lab.get("/apps")].count(THROWAWAY) == 1
        assert lab.call("DELETE", f"/apps/{THROWAWAY}").status_code == 200
        gone = lab.call("GET", f"/apps/{THROWAWAY}")
        assert (gone.status_code, gone.json()["id"], gone.json()["resource"]) == (404, "not_found", "app")
        assert lab.call("DELETE", f"/apps/{THROWAWAY}").status_code == 404

    def test_in_a_team(self, lab: Lab) -> None:
        made = lab.post("/teams/apps", {"name": THROWAWAY, "region": "us", "team": "raxx"})
        assert made["team"]["name"] == "raxx"
        assert lab.call("POST", "/teams/apps", {"name": "raxx-drill-2"}).status_code == 422

    def test_without_a_name_one_is_made_up(self, lab: Lab) -> None:
        assert re.fullmatch(r"[a-z]+-[a-z]+-\d{5}", lab.post("/apps")["name"])

    @pytest.mark.parametrize("name", ["ab", "a" * 31, "1abc", "Abc", "abc-", "a_b", "a.b"])
    def test_a_bad_name_is_refused(self, lab: Lab, name: str) -> None:
        refused = lab.call("POST", "/apps", {"name": name})
        assert (refused.status_code, refused.json()["id"]) == (422, "invalid_params")
        assert "must start with a letter" in refused.json()["message"]

    def test_a_name_that_is_taken_is_refused(self, lab: Lab) -> None:
        refused = lab.call("POST", "/apps", {"name": PRODUCTION})
        assert (refused.status_code, refused.json()["message"]) == (422, f"Name {PRODUCTION} is already taken")

    def test_the_account_has_a_limit(self, lab: Lab) -> None:
        for number in range(98):
            lab.post("/apps", {"name": f"raxx-drill-{number}"})
        refused = lab.call("POST", "/apps", {"name": "raxx-drill-x"})
        assert (refused.status_code, refused.json()["message"]) == (
            422,
            "You've reached your app limit of 100 apps",
        )

    @pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong", "Basic laboratory-heroku-key-0123456789abcdef"])
    def test_another_key_is_refused(self, lab: Lab, key: str) -> None:
        for path in ("/apps", f"{DATA}/apps/{PRODUCTION}/transfers"):
            refused = lab.call("GET", path, authorization=key)
            assert (refused.status_code, refused.json()["id"]) == (401, "unauthorized")

    def test_bodies_that_make_no_sense(self, lab: Lab) -> None:
        for body, status in (([], 400), ({"name": 5}, 422), ({"region": []}, 422)):
            assert lab.call("POST", "/apps", body).status_code == status

    def test_an_unknown_route(self, lab: Lab) -> None:
        assert lab.call("GET", "/nonsense").json() == {"id": "not_found", "message": "Not found."}
        html = lab.call("GET", f"{DATA}/nonsense")
        assert (html.status_code, html.headers["content-type"]) == (404, "text/html; charset=utf-8")

    def test_config_vars_can_be_set_and_removed(self, lab: Lab) -> None:
        lab.post("/apps", {"name": THROWAWAY})
        path = f"/apps/{THROWAWAY}/config-vars"
        assert lab.call("PATCH", path, {"A": "1", "B": "2"}).json() == {"A": "1", "B": "2"}
        assert lab.call("PATCH", path, {"A": None}).json() == lab.get(path) == {"B": "2"}
        assert lab.call("PATCH", path, {"A": 1}).status_code == 422


class TestDatabases:
    def test_one_becomes_ready_and_is_dropped_with_its_app(self, lab: Lab) -> None:
        lab.post("/apps", {"name": THROWAWAY})
        addon = lab.post(f"/apps/{THROWAWAY}/addons", {**PLAN, "config": {"version": lab.server.major}})
        wait = f"{DATA}/databases/{addon['id']}/wait_status"
        assert addon["state"] == "provisioning"
        assert lab.get(wait) == {"message": "preparing", "waiting?": True, "error?": False}
        assert lab.get(f"/apps/{THROWAWAY}/config-vars") == {}
        lab.advance(PROVISION_SECONDS)
        assert lab.get(wait) == {"message": "available", "waiting?": False, "error?": False}
        assert lab.get(f"/apps/{THROWAWAY}/addons/{addon['name']}")["state"] == "provisioned"
        assert lab.get(f"/apps/{THROWAWAY}/config-vars")["DATABASE_URL"].startswith("postgres://")
        with lab.connect(THROWAWAY) as owner:
            row = owner.execute("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = user")
            assert row.fetchone() == (False, False, False)
            assert lab.databases() == [PRODUCTION, THROWAWAY]
            lab.call("DELETE", f"/apps/{THROWAWAY}").raise_for_status()  # with a connection to it
            with pytest.raises(psycopg.OperationalError):
                owner.execute("SELECT 1")
        assert lab.databases() == [PRODUCTION]
        with lab.server.connect() as superuser:
            roles = superuser.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'u%'").fetchone()
        assert roles == (1,)
        assert lab.call("GET", wait).status_code == 404

    def test_a_role_may_not_look_into_another_database(self, lab: Lab) -> None:
        lab.throwaway(THROWAWAY)
        own, other = lab.addon(THROWAWAY), lab.addon(PRODUCTION)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            lab.server.connect(other.database, user=own.user, password=own.password)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            lab.server.connect(own.database, user=own.user, password="wrong")

    def test_a_second_one_has_another_name_and_goes_alone(self, lab: Lab) -> None:
        lab.throwaway(THROWAWAY)
        second = lab.post(f"/apps/{THROWAWAY}/addons", {**PLAN, "name": "second-pg"})
        attached = lab.get(f"/apps/{THROWAWAY}/addon-attachments")
        assert {each["name"] for each in attached} == {"DATABASE", "HEROKU_POSTGRESQL_AMBER"}
        owners = [each["app"]["name"] for each in lab.get("/addon-attachments")]
        assert sorted(owners) == [PRODUCTION, THROWAWAY, THROWAWAY]
        taken = lab.call("POST", f"/apps/{THROWAWAY}/addons", {**PLAN, "name": "second-pg"})
        assert (taken.status_code, taken.json()["message"]) == (422, "Name second-pg is already taken")
        answer = lab.call("DELETE", f"/apps/{THROWAWAY}/addons/{second['id']}")
        assert answer.json()["state"] == "deprovisioned"
        assert lab.databases() == [PRODUCTION, THROWAWAY]
        assert lab.call("GET", "/addons/second-pg").status_code == 404

    def test_overwriting_the_database_url_takes_a_confirmation(self, lab: Lab) -> None:
        lab.throwaway(THROWAWAY)
        body = {**PLAN, "attachment": {"name": "DATABASE"}}
        refused = lab.call("POST", f"/apps/{THROWAWAY}/addons", body)
        assert (refused.status_code, refused.json()["id"]) == (423, "confirmation_required")
        assert lab.call("POST", f"/apps/{THROWAWAY}/addons", {**body, "confirm": THROWAWAY}).status_code == 201

    @pytest.mark.parametrize(
        "body",
        [
            {"plan": {"name": "heroku-redis:mini"}},
            {"plan": "heroku-postgresql:no"},
            {**PLAN, "config": {"version": "9"}},
        ],
    )
    def test_what_there_is_not(self, lab: Lab, body: dict[str, object]) -> None:
        lab.post("/apps", {"name": THROWAWAY})
        assert lab.call("POST", f"/apps/{THROWAWAY}/addons", body).status_code == 422
        assert lab.databases() == [PRODUCTION]

    def test_its_size_is_the_real_one(self, lab: Lab) -> None:
        production = lab.addon()
        info = lab.get(f"{DATA}/databases/{production.id}")
        with lab.connect() as owner:
            size = owner.execute("SELECT pg_database_size(current_database())").fetchone()
        assert size is not None
        assert abs(info["num_bytes"] - size[0]) < 1_000_000
        said = {each["name"]: each["values"][0] for each in info["info"]}
        assert (info["plan"], info["num_tables"], said["PG Version"]) == ("essential-0", 12, lab.server.version)
        assert (said["Status"], said["Tables"]) == ("Available", "12/4000 (In compliance)")

    def test_finding_one_by_its_names(self, lab: Lab) -> None:
        addon = lab.throwaway(THROWAWAY)
        for name in ("DATABASE", "database_url", addon["name"], addon["id"]):
            found = lab.post("/actions/addons/resolve", {"addon": name, "app": THROWAWAY})
            assert [each["id"] for each in found] == [addon["id"]]
        for name in ("DATABASE_URL", addon["name"]):
            found = lab.post("/actions/addon-attachments/resolve", {"addon_attachment": name, "app": THROWAWAY})
            assert [each["addon"]["id"] for each in found] == [addon["id"]]
        nowhere = {"addon_attachment": "REDIS_URL", "app": THROWAWAY}
        assert lab.call("POST", "/actions/addon-attachments/resolve", nowhere).status_code == 404
        assert lab.get(f"/addons/{addon['id']}/addon-attachments")[0]["name"] == "DATABASE"


class TestPages:
    ITEMS = tuple({"id": str(number), "name": f"app-{9 - number}", "updated_at": "t"} for number in range(5))

    def test_a_list_in_parts_is_the_whole_list(self) -> None:
        found: list[str] = []
        asked = "id ..; max=2"
        for expected in (2, 2, 1):
            part = paging.part_of(self.ITEMS, asked)
            assert len(part.items) == expected
            found += [each["id"] for each in part.items]
            asked = part.next_range
        assert (found, asked) == (["0", "1", "2", "3", "4"], "")

    @pytest.mark.parametrize(
        ("asked", "ids"),
        [
            ("", "01234"),
            ("id ]1..", "234"),
            ("id 1..3", "123"),
            ("id ]1..3; max=1", "2"),
            ("name ..", "43210"),
            ("id ]9..", ""),
            ("id ..; order=asc, max = 3", "012"),
        ],
    )
    def test_what_a_range_asks_for(self, asked: str, ids: str) -> None:
        assert "".join(each["id"] for each in paging.part_of(self.ITEMS, asked).items) == ids

    def test_a_range_that_makes_no_sense(self) -> None:
        with pytest.raises(ApiError, match="416"):
            paging.part_of(self.ITEMS, "bytes=0-5")

    def test_over_http(self, lab: Lab) -> None:
        first = lab.call("GET", "/apps", range="name ..; max=1")
        assert (first.status_code, [each["name"] for each in first.json()]) == (206, [PRODUCTION])
        second = lab.call("GET", "/apps", range=first.headers["next-range"])
        assert (second.status_code, [each["name"] for each in second.json()]) == (200, ["raxx-app-staging"])
        assert "next-range" not in second.headers


class TestRate:
    def test_it_is_told_and_goes_down(self, lab: Lab) -> None:
        left = [int(lab.call("GET", "/apps").headers["ratelimit-remaining"]) for _ in range(3)]
        assert left == sorted(left, reverse=True)
        assert "ratelimit-remaining" not in lab.call("GET", f"{DATA}/apps/{PRODUCTION}/transfers").headers

    def test_it_comes_back_with_time_and_never_ends(self) -> None:
        now = 1000.0
        rate = Rate(lambda: now)
        assert [rate.spend() for _ in range(LIMIT + 5)][-1] == 1
        now += 3_600
        assert rate.spend() == LIMIT - 1
