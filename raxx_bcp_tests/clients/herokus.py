"""A scripted Heroku: answers in the shapes that were recorded, and a client to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import Database
from raxx_bcp.errors import BcpError
from raxx_bcp_tests.clients.servers import Reply, Served, scripted

KEY = "rxs_heroku_api_key"
PASSWORD = "rxs_database_password"
SIGNATURE = "rxs_signature"
PREFIX = "raxx-drill-"
PRODUCTION = "raxx-app-prod"
DRILL = "raxx-drill-9f2c"
DATABASE_ID = "e552522a-0d0a-417b-a745-5aa3fab431a6"
APP_ID = "6e7eb984-7a03-4608-b6de-34d8d86f13d5"
UUID = "4156f98b-db78-4019-b859-f48378064c0a"
BACKUP_URL = SecretStr(f"https://s3.example.com/b002?sig={SIGNATURE}")
RESTORED_INTO = Database(DATABASE_ID, "postgresql-stub-1", APP_ID, DRILL)
HTML = Reply(b"<html>rxs_page</html>", 404, content_type="text/html")
LOST = Reply(hang_up=True)


def reply(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(body).encode(), status, {name.replace("_", "-"): value for name, value in headers.items()})


def problem(status: int, identity: str, message: str = "said", **headers: str) -> Reply:
    return reply({"id": identity, "message": message}, status, **headers)


def an_app(name: str = DRILL) -> dict[str, Any]:
    return {"id": APP_ID, "name": name, "created_at": "2026-11-23T17:33:19Z", "region": {"name": "eu"}, "team": None}


def an_addon(app: str = DRILL, identity: str = DATABASE_ID) -> dict[str, Any]:
    owner = {"id": APP_ID, "name": app}
    return {
        "id": identity,
        "name": "postgresql-stub-1",
        "app": owner,
        "plan": {"name": "heroku-postgresql:essential-0"},
        "state": "provisioning",
    }


def attachments(*names: str, app: str = DRILL, identity: str = DATABASE_ID) -> Reply:
    there = {"id": APP_ID, "name": DRILL}
    return reply([{"name": name, "addon": an_addon(app, identity), "app": there} for name in names])


def a_transfer(**changed: Any) -> dict[str, Any]:
    """A transfer as recorded, finished and good unless ``changed``."""
    moment = "2026-11-23 17:45:51 +0000"
    return {
        "uuid": UUID,
        "num": 4,
        "from_name": "DATABASE",
        "from_type": "pg_dump",
        "from_url": f"postgres://u:{PASSWORD}@127.0.0.1/d",
        "to_name": "BACKUP",
        "to_type": "gof3r",
        "to_url": f"https://s3.amazonaws.com/xfrtu/2026/b001?sig={SIGNATURE}",
        "options": {},
        "source_bytes": 123456789,
        "processed_bytes": 1234567,
        "succeeded": True,
        "warnings": 0,
        "created_at": moment,
        "started_at": moment,
        "canceled_at": None,
        "updated_at": moment,
        "finished_at": moment,
        "deleted_at": None,
        "purged_at": None,
        "num_keep": 5,
        "schedule": None,
        **changed,
    }


RESTORE = {"from_type": "htcat", "to_type": "pg_restore", "from_name": "BACKUP", "to_name": "DATABASE"}
RUNNING = {"succeeded": None, "finished_at": None}


def connect(served: Served, slept: list[float] | None = None) -> Heroku:
    waits: list[float] = [] if slept is None else slept
    return Heroku(
        KEY,
        served.url,
        f"{served.url}/client/v11",
        throwaway_prefix=PREFIX,
        protected=[PRODUCTION],
        timeout_seconds=5,
        sleep=waits.append,
    )


def asked(served: Served) -> list[str]:
    return [f"{one.method} {one.path}" for one in served.asked]


def failure(call: Callable[[Heroku], object], *replies: Reply) -> BcpError:
    with scripted(*replies) as served, connect(served) as heroku, pytest.raises(BcpError) as caught:
        call(heroku)
    return caught.value
