"""The drill of the customer database, as the table of drills has it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.heroku_postgres.wanted import Wanted
from raxx_bcp.drills.kind import Body, Kind, Promise, Requirement
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx

KEY = Requirement(
    "HEROKU_API_KEY",
    lambda _policy: os.environ.get("HEROKU_API_KEY", ""),
    "Set it to a key of an account that sees the production app and may make apps.",
)


@contextlib.contextmanager
def _connect(raxx: Raxx, wanted: Wanted) -> Iterator[Body]:
    from raxx_bcp.drills.heroku_postgres import restore_drill

    policy, facts = raxx.policy.heroku_postgres, raxx.facts()
    with raxx.heroku() as heroku:
        yield lambda drill: restore_drill.heroku_postgres(drill, heroku, policy, wanted, facts)


@contextlib.contextmanager
def _leftovers(policy: Policy) -> Iterator[Place | None]:
    if not KEY.value(policy):
        yield None
        return
    from raxx_bcp.drills.heroku_postgres.connections import heroku_client
    from raxx_bcp.drills.heroku_postgres.leftovers import HerokuLeftovers

    with heroku_client(policy) as heroku:
        yield HerokuLeftovers(heroku)


def _promise(policy: Policy) -> Promise:
    promised = policy.heroku_postgres
    return Promise(promised.rto_minutes, promised.rpo_hours, promised.lease_hours)


RESTORE = Kind(
    name="heroku_postgres",
    system="heroku-postgres",
    summary="Restore a backup of the customer database on Heroku and compare it with production, which is only read.",
    title=lambda policy: (
        f"a backup of `{policy.heroku_postgres.app}` restored into a throwaway app and compared with production"
    ),
    scenario=lambda policy, wanted: (
        f"restore of the {wanted.backup} backup of {policy.heroku_postgres.app} into a throwaway app"
    ),
    promise=_promise,
    checks=(
        "backup age",
        "transfer",
        "transfer warnings",
        "server version",
        "alembic revision",
        "tables",
        "columns",
        "indexes",
        "constraints",
        "sequences",
        "views",
        "functions, triggers and types",
        "operators, casts, collations and text search",
        "extensions",
        "row counts",
        "newest row",
        "null and empty values",
        "row content",
        "partitions",
        "large objects",
        "row security",
        "comments and column privileges",
        "foreign keys",
        "sample readable",
        "restore time",
    ),
    wanted=Wanted,
    connect=_connect,
    leftovers=_leftovers,
    restores=("heroku_postgres_database",),
    icons=frozenset({"postgres", "heroku"}),
    pool="heroku_postgres_drill",
    requires=KEY,
)
