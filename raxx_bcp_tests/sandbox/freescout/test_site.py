"""The site: what it shows when all is well, and how little of it tells when something is not."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
import requests

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import env, laravel, tree
from raxx_bcp_sandbox.waiting import Clock
from raxx_bcp_tests.faults.freescout_dumps import OTHER_KEY, HealthySet
from raxx_bcp_tests.sandbox.freescout.desk import Desk, restored
from raxx_bcp_tests.sandbox.heroku.lab import free_port

ADMIN = "alma@raxx-sandbox.example"
DEPENDS = "/user-setup/no-such-invitation"


class TestWhenAllIsWell:
    def test_pages(self, well: Desk) -> None:
        login = well.get("/login")
        assert login.status_code == 200
        assert 'name="_token" value="' in login.text
        assert well.get("/home").headers["location"] == "/"
        assert well.get("/").headers["location"] == "/login"
        assert well.status(DEPENDS) == 200
        assert well.status("/no-such-page") == 404

    def test_a_login_leads_to_the_dashboard(self, well: Desk) -> None:
        answer = well.log_in(ADMIN, "sandbox Alma")
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
        cookie = answer.request.headers["Cookie"]
        assert well.get("/", Cookie=cookie).status_code == 200

    def test_a_failed_login_leads_back_and_writes_to_the_database(self, well: Desk) -> None:
        before = int(well.rows("SELECT COUNT(*) FROM activity_logs")[0][0])
        for email, password in (
            (ADMIN, "wrong"),
            ("nobody@example.com", "x"),
            ("boris@raxx-sandbox.example", "sandbox Boris"),
        ):
            answer = well.log_in(email, password)
            assert (answer.status_code, answer.headers["location"]) == (302, "/login")
        assert int(well.rows("SELECT COUNT(*) FROM activity_logs")[0][0]) == before + 3

    def test_a_login_without_the_forms_token_is_expired(self, well: Desk) -> None:
        assert well.log_in(ADMIN, "sandbox Alma", token="").status_code == 419
        answer = requests.post(f"{well.url}/login", data={"email": ADMIN}, allow_redirects=False, timeout=10)
        assert answer.status_code == 419

    def test_the_page_that_depends_on_the_database_writes_nothing(self, well: Desk) -> None:
        tables = ", ".join(f"`{name}`" for name in freescout.TABLES)
        before = well.rows(f"CHECKSUM TABLE {tables}")
        assert well.status(DEPENDS) == 200
        assert well.rows(f"CHECKSUM TABLE {tables}") == before

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_an_attachment_is_given_to_whoever_has_its_link(self, well: Desk, number: int) -> None:
        found = well.rows("SELECT file_dir, file_name, size FROM attachments ORDER BY id")
        directory, name, size = found[number - 1]
        answer = well.get(well.link(number))
        assert answer.status_code == 200
        assert answer.content == (well.root / tree.ATTACHMENTS / directory / name).read_bytes()
        assert len(answer.content) == int(size)

    def test_a_link_without_an_id_is_found_by_its_path(self, well: Desk) -> None:
        link = well.link()
        assert well.status(link.replace("?id=1&", "?")) == 200

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            (("token=", "token=0"), 403),
            (("&token=", "&other="), 403),
            (("?id=1&", "?id=99999&"), 404),
            (("?id=1&", "?id=2&"), 403),
        ],
    )
    def test_a_changed_link_opens_nothing(self, well: Desk, change: tuple[str, str], status: int) -> None:
        assert well.status(well.link().replace(*change)) == status

    def test_a_public_attachment_needs_no_token(self, desk: Desk) -> None:
        desk.rows("UPDATE attachments SET public = 1 WHERE id = 1")
        assert desk.status(desk.link(key=OTHER_KEY)) == 200

    def test_the_newer_sort_of_token(self, desk: Desk) -> None:
        desk.rows("ALTER TABLE attachments ADD token_type tinyint unsigned NULL; UPDATE attachments SET token_type = 3")
        assert desk.status(desk.link(kind=3)) == 200
        assert desk.status(desk.link(kind=None)) == 403


class TestTheDatabaseIsDown:
    def test_the_login_page_is_green_and_all_that_needs_it_is_not(self, desk: Desk) -> None:
        link = desk.link()
        desk.server.stop()
        page = desk.get("/login")
        assert page.status_code == 200
        assert 'name="_token" value="' in page.text
        assert desk.status(DEPENDS) == 500
        assert desk.log_in(ADMIN, "sandbox Alma").status_code == 500
        assert desk.status(link) == 500

    def test_an_empty_schema_looks_the_same(self, desk: Desk) -> None:
        link = desk.link()
        desk.server.sql(f"DROP DATABASE {freescout.DATABASE}; CREATE DATABASE {freescout.DATABASE}")
        assert desk.status("/login") == 200
        assert desk.status(DEPENDS) == 500
        assert desk.log_in("nobody@example.com", "x").status_code == 500
        assert desk.status(link) == 500

    def test_so_does_a_user_that_may_not_log_in(self, desk: Desk) -> None:
        env.change(desk.root, "DB_PASSWORD", "another")
        assert desk.status("/login") == 200
        assert desk.status(DEPENDS) == 500


class TestTheKey:
    def test_a_wrong_one_shows_on_attachments_only(self, desk: Desk) -> None:
        env.change(desk.root, "APP_KEY", OTHER_KEY)
        assert desk.status("/login") == 200
        assert desk.log_in(ADMIN, "sandbox Alma").headers["location"] == "/"
        assert desk.status(DEPENDS) == 200
        assert desk.status(desk.link()) == 403
        assert desk.status(desk.link(key=OTHER_KEY)) == 200

    def test_an_empty_one_is_replaced_on_the_first_request_and_all_looks_well(self, desk: Desk) -> None:
        env.change(desk.root, "APP_KEY", "")
        (desk.root / tree.INSTALLED).unlink()
        assert desk.status("/login") == 200
        key = env.read(desk.root)["APP_KEY"]
        assert key not in ("", freescout.APP_KEY)
        assert len(laravel.key_bytes(key)) == 32
        assert desk.status("/login") == 200
        assert env.read(desk.root)["APP_KEY"] == key
        assert desk.status(desk.link()) == 403

    def test_a_missing_env_is_made_from_the_example(self, desk: Desk) -> None:
        (desk.root / ".env").unlink()
        (desk.root / tree.INSTALLED).unlink()
        assert desk.status("/login") == 200
        assert env.read(desk.root)["APP_KEY"].startswith("base64:")
        assert desk.status(DEPENDS) == 500

    @pytest.mark.parametrize("key", ["", "base64:dG9vIHNob3J0"])
    def test_one_that_cannot_be_used_is_an_error_everywhere(self, desk: Desk, key: str) -> None:
        env.change(desk.root, "APP_KEY", key)
        assert [desk.status(path) for path in ("/login", "/home", "/", DEPENDS)] == [500] * 4


class TestFiles:
    def test_a_missing_file_is_not_found(self, desk: Desk) -> None:
        link = desk.link()
        shutil.rmtree(desk.root / tree.ATTACHMENTS)
        assert desk.status(link) == 404

    def test_without_code_there_is_no_site(self, desk: Desk) -> None:
        (desk.root / "artisan").unlink()
        assert desk.status("/login") == 404


class TestTheProcess:
    def test_it_serves_on_its_address_and_ends_on_sigterm(self, well: Desk) -> None:
        port = free_port()
        argv = freescout.site_argv("127.0.0.1", port, well.root, well.server.socket)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                own = Desk(well.server, well.root, f"http://127.0.0.1:{port}")

                def answers() -> bool:
                    try:
                        return own.status(DEPENDS) == 200
                    except requests.ConnectionError:
                        return False

                assert Clock().until(answers, 20)
                assert own.status(own.link()) == 200
            finally:
                process.terminate()
            out, _ = process.communicate(timeout=20)
        assert out == b""

    def test_no_password_is_on_a_command_line(self, well: Desk) -> None:
        seen: list[str] = []
        before = psutil.Process().children(recursive=True)
        query = "SELECT SLEEP(1)"
        asking = threading.Thread(target=lambda: well.database.rows(query))
        asking.start()
        while asking.is_alive():
            for child in psutil.Process().children(recursive=True):
                if child not in before:
                    try:
                        seen.append(" ".join(child.cmdline()))
                    except psutil.Error:
                        continue
        asking.join()
        assert any("--user=freescout" in line for line in seen)
        assert not any(freescout.database_password() in line for line in seen)


def test_two_desks_run_side_by_side(healthy: HealthySet, tmp_path: Path) -> None:
    with restored(healthy, tmp_path / "one") as one, restored(healthy, tmp_path / "two") as two:
        one.rows("DELETE FROM users")
        assert two.rows("SELECT COUNT(*) FROM users") == [["5"]]
