"""The command that asks a restored help desk's database, as the policy says: which client, and how it logs in.

It holds no password. It runs as root, whom the server knows by the socket, or the client gets an option file, or it
becomes the site's own user on the host (``host_side.login``).
"""

from __future__ import annotations

import inspect

from raxx_bcp.drills.freescout.host_side import login
from raxx_bcp.drills.hosts.shell import SQL_OPTIONS
from raxx_bcp.policy_help_desk import HelpDeskHost


def of_copy(policy: HelpDeskHost) -> tuple[str, ...]:
    """On a copy of production, which has production's users."""
    if policy.database_login == "env":
        source = inspect.getsource(login)
        env = f"{policy.site_directory}/.env"
        return ("python3", "-I", "-c", source, env, policy.database_server, *SQL_OPTIONS)
    if policy.database_login == "socket":
        return of_new_host(policy)
    return (policy.database_server, f"--defaults-extra-file={policy.database_login}", *SQL_OPTIONS)


def of_new_host(policy: HelpDeskHost) -> tuple[str, ...]:
    """On a host that the drill has installed, where the server knows root by the socket."""
    return (policy.database_server, *SQL_OPTIONS)
