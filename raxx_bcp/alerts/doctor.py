"""Would an alert arrive? Slack itself answers; no alert is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping

from raxx_bcp.checks import Check, Status
from raxx_bcp.clients.slack import DEFAULT_API_URL, Slack
from raxx_bcp.environment import required
from raxx_bcp.errors import BcpError, TransientError
from raxx_bcp.policy import Alerts


def slack_check(policy: Alerts, environ: Mapping[str, str] | None = None) -> Check:
    """PASS when Slack accepts the token; COULD_NOT_VERIFY when Slack is away."""
    environ = os.environ if environ is None else environ
    try:
        token = required("SLACK_BOT_TOKEN", "the bot that sends alerts", environ)
        who = Slack(token, environ.get("SLACK_API_URL") or DEFAULT_API_URL).whoami()
    except TransientError as error:
        return Check("alerts", Status.COULD_NOT_VERIFY, error.what, error.remedy)
    except BcpError as error:
        return Check("alerts", Status.FAIL, error.what, error.remedy)
    return Check("alerts", Status.PASS, f"{who} can be used; alerts go to {policy.slack_channel}.")
