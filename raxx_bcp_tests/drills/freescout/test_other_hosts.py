"""Help desks that differ: another database, a root with a password, HTTPS under a canonical name.

On a real MariaDB and a real nginx. As ``bcp.toml`` says they pass every check; with its defaults, or anything else that
is not so, nothing is judged and one sentence names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.freescout import database_client, examine, site, supported
from raxx_bcp.drills.freescout.expected import NOTHING_KNOWN
from raxx_bcp.drills.freescout.supported import Settings
from raxx_bcp.drills.hosts.shell import SQL_OPTIONS, DatabaseError
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import FreeScout
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.freescout import env, tree
from raxx_bcp_sandbox.mariadb import MariadbServer
from raxx_bcp_tests.drills.freescout.local_host import LocalHost, served
from raxx_bcp_tests.drills.freescout.stage import Stage, check, failed, not_run, passed, said
from raxx_bcp_tests.drills.freescout.web_server import NAME, WebServer, web_server
from raxx_bcp_tests.faults.freescout_dumps import TAKEN

DATABASE = "help-desk_prod"
PASSWORD = 'p"w\\ #;é$x'
"""Whatever a password may be that ``.env`` can hold."""
ROOTS = "roots own"


pytestmark = pytest.mark.xdist_group("other hosts")
"""Its servers are made once, not by each worker."""


@dataclass
class Desk:
    """Such a help desk. ``examine`` does what both tiers do with a restored host."""

    host: LocalHost
    web: WebServer
    own: Path
    """An option file of root's."""

    def policy(self, **changes: str | int) -> FreeScout:
        """What bcp.toml says of it, but for ``changes``."""
        told: dict[str, str | int] = {
            "site_directory": freescout.SITE,
            "database": DATABASE,
            "database_login": "env",
            "site_scheme": "https",
            "site_host": NAME,
            "site_port": self.web.tls,
        }
        return FreeScout.model_validate({**told, **changes})

    def examine(self, stage: Stage, **changes: str | int) -> Drill:
        policy = self.policy(**changes)
        self.host.client = database_client.of_copy(policy)
        drill = stage.drill()
        restored = examine.Restored(
            self.host, policy, NOTHING_KNOWN, TAKEN, self._quieten, client=self.host.client, timeout_seconds=60.0
        )
        examine.examine(drill, restored)
        return drill

    def _quieten(self) -> int:
        ((count,),) = self.host.sql("SELECT COUNT(*) FROM jobs; DELETE FROM jobs;", database=DATABASE)
        return int(count)


@pytest.fixture(scope="module")
def desk(short: Path) -> Iterator[Desk]:
    home = short / "other"
    (home / "bin").mkdir(parents=True)
    desk = freescout.help_desk(TAKEN)
    with MariadbServer(home / freescout.MARIADB) as server:
        freescout.fill(server, desk, DATABASE)
        secret = PASSWORD.replace("\\", "\\\\")
        server.sql(
            f"ALTER USER '{freescout.DATABASE_USER}'@'localhost' IDENTIFIED BY '{secret}';"
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{ROOTS}';"
        )
        host = LocalHost(home, server, free_port())
        tree.write(host.site, desk.files)
        for name, value in (
            *(("APP_URL", f"https://{NAME}"), ("DB_DATABASE", DATABASE)),
            *(("DB_PASSWORD", f"'{PASSWORD}'"), ("DB_SOCKET", str(server.socket))),
        ):
            env.change(host.site, name, value)
        own = home / "own.cnf"
        own.write_text(f'[client]\nuser = root\npassword = "{ROOTS}"\nsocket = {server.socket}\n')
        _client(host, server)
        with served(host), web_server(home / "web", host.port) as web:
            yield Desk(host, web, own)


def _client(host: LocalHost, server: MariadbServer) -> None:
    """The plain client of a host: root, by the usual socket, unless an option file says otherwise."""
    settings = " ".join(f"{name}={value}" for name, value in server.binaries.environment().items() if name != "PATH")
    program = host.home / "bin" / "mariadb"
    program.write_text(
        f'#!/bin/sh\nexport {settings} USER=root\nexec {server.binaries.client} "$@" --socket={server.socket}\n'
    )
    program.chmod(0o755)


@pytest.fixture
def ended(desk: Desk) -> Iterator[None]:
    """What was changed in its ``.env`` is put back."""
    before = (desk.host.site / env.NAME).read_bytes()
    yield
    (desk.host.site / env.NAME).write_bytes(before)


def test_it_passes_every_check_as_bcp_toml_says_it_is(desk: Desk, stage: Stage) -> None:
    drill = desk.examine(stage)
    assert passed(drill) >= set(examine.CHECKS) - {"jobs not run"}, said(drill)
    assert "certificate was not verified" in check(drill, site.LOGIN).actual
    assert drill.target["mariadb"].startswith(desk.host.server.version)
    shown = said(drill) + "\n".join(desk.host.ran) + repr([one.decode() for one in desk.host.printed])
    for secret in (PASSWORD, repr(PASSWORD)[1:-1], ROOTS, freescout.APP_KEY):
        assert secret not in shown


def test_roots_password_in_an_option_file_of_the_host(desk: Desk, stage: Stage) -> None:
    drill = desk.examine(stage, database_login=str(desk.own))
    assert failed(drill) | not_run(drill) == set(), said(drill)


def test_a_root_with_a_password_is_no_database_that_is_down(desk: Desk, stage: Stage) -> None:
    before = stage.clock()
    with pytest.raises(CouldNotVerifyError, match=r"does not let the drill in \(error 1(045|698).*Set freescout"):
        desk.examine(stage, database_login="socket")
    assert stage.clock() == before, "it is not waited for"


def test_another_database_name_is_named(desk: Desk, stage: Stage) -> None:
    with pytest.raises(CouldNotVerifyError, match=f"database is {DATABASE}, and bcp.toml says freescout"):
        desk.examine(stage, database="freescout")


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DB_CONNECTION", "pgsql", "keeps its data in pgsql, which these drills do not know"),
        ("DB_HOST", "db.example.com", r"database is on another host \(DB_HOST\)"),
    ],
)
def test_what_is_not_supported_is_named(desk: Desk, stage: Stage, name: str, value: str, sentence: str) -> None:
    env.change(desk.host.site, name, value)
    with pytest.raises(CouldNotVerifyError, match=sentence):
        desk.examine(stage)


def test_a_login_to_another_host_is_not_tried(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_HOST=10.0.0.9\nDB_USERNAME=u\nDB_PASSWORD=p\n")
    desk.host.client = database_client.of_copy(desk.policy(site_directory=str(tmp_path)))
    with pytest.raises(DatabaseError) as caught:
        desk.host.sql("SELECT 1;")
    with pytest.raises(CouldNotVerifyError, match="on another host"):
        supported.require_login(caught.value, desk.policy())


# -- the site --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "name", "port", "sentence"),
    [
        ("http", "localhost", "plain", rf"leads to https://{NAME}, which was not followed: set freescout.site_scheme"),
        ("http", NAME, "tls", "speaks HTTPS: set"),
        ("https", NAME, "plain", "speaks no HTTPS: set"),
        (
            "https",
            "localhost",
            "tls",
            rf"is another site \(it answers 404\), and the help desk calls itself https://{NAME}",
        ),
    ],
)
def test_a_site_that_was_not_reached_is_not_judged(
    desk: Desk, stage: Stage, scheme: str, name: str, port: str, sentence: str
) -> None:
    asked = {"site_scheme": scheme, "site_host": name, "site_port": getattr(desk.web, port)}
    drill = desk.examine(stage, **asked)
    assert (not_run(drill), failed(drill)) == (set(site.CHECKS), set()), said(drill)
    (reason,) = {check(drill, one).reason for one in site.CHECKS}
    assert re.search(sentence, reason), reason


def test_a_fault_of_the_site_behind_https_is_its_own(desk: Desk, stage: Stage) -> None:
    """Silent where the site was reached: it is judged, and fails, though its answer is 404 as another site's is."""
    artisan = desk.host.site / "artisan"
    artisan.rename(desk.host.site / "away")
    try:
        drill = desk.examine(stage)
    finally:
        (desk.host.site / "away").rename(artisan)
    assert {check(drill, one).status for one in site.CHECKS} == {CheckStatus.FAIL}, said(drill)


# -- servers, images -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "version"),
    [
        ("mariadb", "10.6.18-MariaDB-0ubuntu0.22.04.1"),
        ("mariadb", "10.11.11-MariaDB-0+deb12u1"),
        ("mariadb", "11.8.2-MariaDB-ubu2404"),
        ("mysql", "8.0.42-0ubuntu0.22.04.1"),
        ("mysql", "8.4.5"),
        ("mysql", "9.7.4-2"),
    ],
)
def test_servers_that_are_known(server: str, version: str) -> None:
    supported.require_server(version, FreeScout.model_validate({"database_server": server}))


@pytest.mark.parametrize(
    ("server", "version", "sentence"),
    [
        ("mariadb", "10.5.29-MariaDB-0+deb11u1", r"runs MariaDB 10\.5; these drills know MariaDB 10\.6 to 11"),
        ("mariadb", "12.1.2-MariaDB", r"runs MariaDB 12\.1; these"),
        ("mysql", "5.7.44-log", r"runs MySQL 5\.7; these drills know MySQL 8 and 9"),
        ("mysql", "10.0.1", r"runs MySQL 10\.0; these"),
        (
            "mariadb",
            "8.0.42-0ubuntu0.22.04.1",
            r"runs MySQL 8\.0, and bcp\.toml says MariaDB.*database_server = .mysql",
        ),
        ("mysql", "10.11.11-MariaDB", r"runs MariaDB 10\.11, and bcp\.toml says MySQL"),
        ("mysql", "", "a server that does not say which one it is"),
    ],
)
def test_servers_that_are_not_known_are_named(server: str, version: str, sentence: str) -> None:
    with pytest.raises(CouldNotVerifyError, match=sentence):
        supported.require_server(version, FreeScout.model_validate({"database_server": server}))


def test_a_host_with_the_other_client_is_named() -> None:
    found = Settings("mysql", "freescout", local=True, clients=("mysql",), url="")
    supported.require_settings(found, FreeScout(database_server="mysql"))
    with pytest.raises(CouldNotVerifyError, match=r"no program mariadb on the restored help desk.*there is: mysql"):
        supported.require_settings(found, FreeScout())


@pytest.mark.parametrize("code", [2002, 1146, 1049])
def test_other_errors_of_a_database_are_not_the_logins(code: int) -> None:
    supported.require_login(DatabaseError("what", "remedy", code=code, exit_code=1), FreeScout())


@pytest.mark.parametrize(("server", "image"), [("mariadb", "debian_12"), ("mysql", "ubuntu_24_04")])
def test_images_that_tier_2_can_use(server: str, image: str) -> None:
    supported.require_blueprint(FreeScout.model_validate({"database_server": server, "blueprint": image}))


@pytest.mark.parametrize(("server", "image"), [("mysql", "debian_12"), ("mariadb", "centos_stream_9")])
def test_images_that_tier_2_cannot_use_are_named(server: str, image: str) -> None:
    with pytest.raises(CouldNotVerifyError, match=f"on {image}. Set freescout.blueprint to one of: ubuntu_22_04"):
        supported.require_blueprint(FreeScout.model_validate({"database_server": server, "blueprint": image}))


def test_how_the_client_is_called() -> None:
    """Never with a password: what is read on the host stays there."""
    assert database_client.of_copy(FreeScout()) == ("mariadb", *SQL_OPTIONS)
    options = FreeScout(database_server="mysql", database_login="/etc/mysql/debian.cnf")
    assert database_client.of_copy(options)[:2] == ("mysql", "--defaults-extra-file=/etc/mysql/debian.cnf")
    assert database_client.of_new_host(options) == ("mysql", *SQL_OPTIONS)
    assert database_client.of_copy(FreeScout(database_login="env"))[4:6] == ("/var/www/html/.env", "mariadb")


@pytest.mark.parametrize(
    ("keys", "port", "url"),
    [
        ({}, 80, "http://localhost"),
        ({"site_scheme": "https", "site_host": NAME}, 443, f"https://{NAME}"),
        ({"site_port": 8080}, 8080, "http://localhost:8080"),
        ({"site_scheme": "https", "site_port": 80}, 80, "https://localhost:80"),
    ],
)
def test_where_the_site_is_asked(keys: dict[str, str | int], port: int, url: str) -> None:
    policy = FreeScout.model_validate(keys)
    assert (policy.port, policy.site_url) == (port, url)
