"""Heroku's, the vault's and Slack's answers, damaged in every way: see ``damage.py`` for what must be true then."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.infisical import Folder, Infisical, Project, Secret, SecretImport, Tag
from raxx_bcp.clients.infisical_writer import InfisicalWriter, NewTag
from raxx_bcp.clients.slack import Message, Slack
from raxx_bcp.vault import walk
from raxx_bcp_tests.clients.damage import DAMAGES, MARK, Call, ids
from raxx_bcp_tests.clients.herokus import (
    BACKUP_URL,
    DATABASE_ID,
    DRILL,
    RESTORE,
    RESTORED_INTO,
    RUNNING,
    UUID,
    a_transfer,
    an_addon,
    an_app,
    attachments,
    connect,
    reply,
)
from raxx_bcp_tests.clients.servers import Reply, Served, scripted

# -- Heroku ----------------------------------------------------------------------------------------------


def heroku(ask: Callable[[Heroku], object]) -> Callable[[Served], object]:
    def asked(served: Served) -> object:
        with connect(served) as client:
            return ask(client)

    return asked


APP = reply({**an_app(), "web_url": MARK})
TRANSFER = reply(a_transfer(from_url=MARK))
ADDON = reply({**an_addon(), "config_vars": [MARK]})
INFO = reply(
    {
        "plan": "essential-0",
        "num_bytes": 12345,
        "resource_url": MARK,
        "info": [{"name": "PG Version", "values": ["17.4"]}],
    }
)
NO_LIST = frozenset({"a list of lists"})
HEROKU = [
    Call("app", heroku(lambda one: one.app(DRILL)), APP),
    Call("apps", heroku(lambda one: one.apps()), reply([{**an_app(), "web_url": MARK}])),
    Call("create_app", heroku(lambda one: one.create_app(DRILL)), APP),
    Call("delete_app", heroku(lambda one: one.delete_app(DRILL)), APP),
    Call("create_database", heroku(lambda one: one.create_database(DRILL, "essential-0", "17").id), ADDON),
    Call("database_of", heroku(lambda one: one.database_of(DRILL)), attachments("DATABASE", MARK)),
    Call("wait_status", heroku(lambda one: one.wait_status(DATABASE_ID).state), reply({"message": MARK})),
    Call("database_info", heroku(lambda one: one.database_info(DATABASE_ID)), INFO),
    Call(
        "database_url",
        heroku(lambda one: one.database_url(DRILL)),
        reply({"DATABASE_URL": "postgres://h/d", "X": MARK}),
    ),
    Call("transfers", heroku(lambda one: one.transfers(DRILL)), reply([a_transfer(from_url=MARK)])),
    Call("transfer", heroku(lambda one: one.transfer(DRILL, UUID)), TRANSFER),
    Call("transfer's log", heroku(lambda one: one.transfer(DRILL, UUID, verbose=True)), TRANSFER),
    Call(
        "signed_url", heroku(lambda one: one.signed_url(DRILL, 4).expires_utc), reply({"url": MARK, "expires_at": None})
    ),
    Call("capture", heroku(lambda one: one.capture(DATABASE_ID)), TRANSFER),
    Call(
        "restore",
        heroku(lambda one: one.restore(RESTORED_INTO, BACKUP_URL).uuid),
        reply(a_transfer(**RESTORE, **RUNNING, from_url=MARK)),
        before=(attachments("DATABASE"), reply([])),
        after=(reply([a_transfer(**RESTORE, **RUNNING)]),),
    ),
    Call("cancel", heroku(lambda one: one.cancel(DRILL, UUID)), reply({"cancelled_at": MARK})),
]

# -- the vault -------------------------------------------------------------------------------------------

PAYLOAD = base64.urlsafe_b64encode(b'{"identityId":"i","orgId":"o"}').decode().rstrip("=")
LOGIN = reply({"accessToken": f"h.{PAYLOAD}.s", "expiresIn": 3600})
PROJECT = {"id": "p", "name": "n", "slug": "raxx-drill-1", "environments": [{"id": "e", "name": "Dev", "slug": "dev"}]}
SECRET = {
    "id": "s",
    "version": 1,
    "type": "shared",
    "secretKey": "KEY",
    "secretValue": MARK,
    "secretComment": "",
    "secretPath": "/",
    "createdAt": "2026-11-23T18:06:11.683Z",
    "updatedAt": "2026-11-23T18:06:11.683Z",
    "secretValueHidden": False,
    "tags": [],
    "secretMetadata": [],
}
FOLDER = {"id": "f", "name": MARK, "relativePath": "/api", "parentId": None, "description": None}
IMPORT = {"id": "i", "importPath": "/", "importEnv": {"id": "e", "slug": MARK}, "position": 1}
TAG = {"id": "t", "slug": MARK, "color": "#fff"}
_TIMES = "times before all time, times that are none"
"""An export keeps a secret's times as the vault writes them; nothing is concluded of them."""
RULE = {"subject": "secrets", "action": ["read"], "conditions": {"a": MARK}}


def vault(ask: Callable[[InfisicalWriter], object]) -> Callable[[Served], object]:
    def asked(served: Served) -> object:
        client = InfisicalWriter(
            served.url, "id", "secret", deletable_prefix="raxx-drill-", timeout_seconds=5, sleep=lambda _seconds: None
        )
        with client:
            return ask(client)

    return asked


def log_in(served: Served) -> object:
    with Infisical(served.url, "id", "secret", timeout_seconds=5, sleep=lambda _seconds: None) as client:
        return client.identity


def status(served: Served) -> object:
    return InfisicalWriter(served.url, "", "", timeout_seconds=5, sleep=lambda _seconds: None).status().message


def listed(read: Callable[[Infisical], list[msgspec.Raw]], kind: type[msgspec.Struct]) -> Callable[[Served], object]:
    """A list with each of its objects decoded, as the walk of an export does it."""
    return vault(lambda one: [walk._decode(raw, kind, "thing") for raw in read(one)])


def _vault_call(name: str, ask: Callable[[Served], object], body: Any, *more: Reply, taken: str = "") -> Call:
    legitimate = frozenset(taken.split(", ")) if taken else frozenset()
    return Call(name, ask, reply(body), before=(LOGIN, *more), after=(reply({}),), legitimate=legitimate)


VAULT = [
    Call("login", log_in, reply({"accessToken": f"h.{PAYLOAD}.s", "tokenType": MARK}), after=(reply({}),)),
    Call("status", status, reply({"message": "Ok", "date": "2026-11-23T17:33:19.000Z", "x": MARK})),
    _vault_call("projects", listed(lambda one: one.projects(), Project), {"projects": [{**PROJECT, "d": MARK}]}),
    _vault_call(
        "own_roles",
        vault(lambda one: one.own_roles("p")),
        {"identityMembership": {"id": MARK, "roles": [{"role": "viewer", "customRoleSlug": None}]}},
    ),
    _vault_call(
        "own_privileges",
        vault(lambda one: one.own_privileges("p")),
        {"privileges": [{"slug": MARK, "permissions": [RULE]}]},
    ),
    _vault_call("tags", listed(lambda one: one.tags("p"), Tag), {"tags": [TAG]}),
    _vault_call("folders", listed(lambda one: one.folders("p", "dev"), Folder), {"folders": [FOLDER]}),
    _vault_call("secrets", listed(lambda one: one.secrets("p", "dev"), Secret), {"secrets": [SECRET]}, taken=_TIMES),
    _vault_call("imports", listed(lambda one: one.imports("p", "dev", "/"), SecretImport), {"secretImports": [IMPORT]}),
    _vault_call(
        "organisation_projects",
        vault(lambda one: one.organisation_projects()),
        {"projects": [{"id": "p", "slug": MARK, "type": "secret-manager"}], "count": 1},
    ),
    _vault_call("slug_is_taken", vault(lambda one: one.slug_is_taken("s")), {"id": MARK}),
    _vault_call(
        "create_project",
        vault(lambda one: one.create_project("n", "s", None, "k").id),
        {"project": {**PROJECT, "d": MARK}},
    ),
    _vault_call("create_tag", vault(lambda one: one.create_tag("p", NewTag("s", "#fff")).id), {"tag": TAG}),
    _vault_call(
        "create_environment",
        vault(lambda one: one.create_environment("p", "n", "dev", 1).id),
        {"environment": {"id": "e", "name": MARK, "slug": "dev"}},
    ),
    _vault_call(
        "deleted_environments",
        vault(lambda one: one.deleted_environments("p")),
        {"project": {"id": "p", "deletedEnvironments": [{"id": "e", "name": MARK, "slug": "dev"}]}},
    ),
    _vault_call(
        "undelete_environment",
        vault(lambda one: one.undelete_environment("p", "e").id),
        {"environment": {"id": "e", "name": MARK, "slug": "dev"}},
    ),
    _vault_call(
        "move_environment",
        vault(lambda one: one.move_environment("p", "e", 2)),
        {"environment": {"id": "e", "name": MARK, "slug": "dev"}},
    ),
    _vault_call("create_folder", vault(lambda one: one.create_folder("p", "dev", "/api", None)), {"folder": FOLDER}),
    _vault_call(
        "create_secrets", vault(lambda one: one.create_secrets("p", "dev", "/", [])), {"secrets": [{"value": MARK}]}
    ),
    _vault_call(
        "create_import", vault(lambda one: one.create_import("p", "dev", "/", ("dev", "/"))), {"secretImport": IMPORT}
    ),
    _vault_call("delete_project", vault(lambda one: one.delete_project("p")), {"project": {**PROJECT, "d": MARK}}),
]

# -- Slack -----------------------------------------------------------------------------------------------


def slack(ask: Callable[[Slack], object]) -> Callable[[Served], object]:
    return lambda served: ask(Slack("xoxb-token", f"{served.url}/api/"))


SLACK = [
    Call(
        "post",
        slack(lambda one: one.post("C1", Message("text", "text"))),
        reply({"ok": True, "ts": "1769999999.000100", "channel": MARK}),
    ),
    Call("whoami", slack(lambda one: one.whoami()), reply({"ok": True, "user": "bot", "team": "raxx", "url": MARK})),
]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with scripted(Reply()) as server:
        yield server


@pytest.mark.parametrize("call", HEROKU, ids=ids(HEROKU))
def test_heroku(served: Served, call: Call) -> None:
    assert list(call.findings(served)) == []


@pytest.mark.parametrize("call", VAULT, ids=ids(VAULT))
def test_the_vault(served: Served, call: Call) -> None:
    assert list(call.findings(served)) == []


@pytest.mark.parametrize("call", SLACK, ids=ids(SLACK))
def test_slack(served: Served, call: Call) -> None:
    assert list(call.findings(served)) == []


def test_the_table_is_whole() -> None:
    """Every public call of a client has its row."""
    for client, calls in ((Heroku, HEROKU), (InfisicalWriter, VAULT), (Slack, SLACK)):
        there = {call.name for call in calls}
        known = {name for name, one in vars(client).items() if callable(one) and not name.startswith("_")}
        unasked = {"app_exists", "apps_with_prefix", "config_vars", "require_v4", "update_secrets"}
        assert known - there - unasked == set(), client
    assert len(DAMAGES) > 35
