"""What the Heroku drill is given, made from the environment."""

from __future__ import annotations

import os

from raxx_bcp import environment
from raxx_bcp.clients.heroku import DEFAULT_API_URL, DEFAULT_DATA_URL, Heroku
from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore
from raxx_bcp.policy import Policy


def heroku_client(policy: Policy) -> Heroku:
    """Raises ``UsageError`` naming the variable that is missing."""
    return Heroku(
        environment.required("HEROKU_API_KEY", "the key with which drills make throwaway apps"),
        os.environ.get("HEROKU_API_URL") or DEFAULT_API_URL,
        os.environ.get("HEROKU_DATA_URL") or DEFAULT_DATA_URL,
        throwaway_prefix=policy.heroku_postgres.throwaway_prefix,
        protected=(policy.heroku_postgres.app,),
    )


def facts_store(policy: Policy) -> FactsStore:
    """Where facts of the customer database are kept: in the state bucket."""
    return FactsStore(environment.state_bucket(policy), policy.heroku_postgres.facts_prefix)
