"""What the drills support on a help desk's host. Everything else is refused by name, and nothing was judged then.

A host that is not as ``bcp.toml`` says is no fault of its backup, so none of this is ever a FAIL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp.drills.hosts.shell import DatabaseError
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import FreeScout
from raxx_bcp.policy_help_desk import HelpDeskHost

BLUEPRINTS: Final = {
    "mariadb": ("ubuntu_22_04", "ubuntu_24_04", "debian_12"),
    "mysql": ("ubuntu_22_04", "ubuntu_24_04"),
}
"""Lightsail's images that Tier 2 can install a help desk on, by its database; Debian has no package of MySQL."""
_NAMES: Final = {"mariadb": "MariaDB", "mysql": "MySQL"}
_VERSIONS: Final = {"mariadb": ((10, 6), (12, 0), "10.6 to 11"), "mysql": ((8, 0), (10, 0), "8 and 9")}
"""From which version on, before which one, and both in words."""
_CONNECTIONS: Final = frozenset({"", "mysql", "mariadb"})
"""Laravel's names for both servers."""
_REFUSED: Final = frozenset({1044, 1045, 1142, 1227, 1251, 1698, 2005, 2054, 2059, 2061})
"""Errors of server and client for a login, or for what a user may not do (their lists of error codes)."""
_ELSEWHERE: Final = 2005
_NOT_FOUND: Final = 127
_VERSION: Final = re.compile(r"(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True)
class Settings:
    """What a restored ``.env`` says, and which clients there are; empty where there is no ``.env``."""

    connection: str
    database: str
    local: bool
    clients: tuple[str, ...]
    url: str

    @classmethod
    def reported(cls, told: Mapping[str, Any]) -> Settings:
        """From what ``host_side.login`` reported. Raises what ``understood`` translates."""
        names = ("connection", "database", "url")
        return cls(
            **{name: str(told[name]) for name in names},
            local=bool(told["local"]),
            clients=tuple(str(client) for client in told["clients"]),
        )


def require_settings(found: Settings, policy: HelpDeskHost) -> None:
    """Raise ``CouldNotVerifyError`` where the restored help desk is another than the policy's."""
    server = policy.database_server
    if found.connection not in _CONNECTIONS:
        raise CouldNotVerifyError(
            f"The restored help desk keeps its data in {found.connection}, which these drills do not know.",
            "They know MariaDB and MySQL (freescout.database_server); nothing was judged.",
        )
    if not found.local:
        raise CouldNotVerifyError(
            "The restored help desk's database is on another host (DB_HOST), so no copy of this host holds it.",
            "Back that database up by its own means; Tier 2 restores a dump of it (docs/runbooks/drills.md).",
        )
    if found.database not in ("", policy.database):
        raise CouldNotVerifyError(
            f"The restored help desk's database is {found.database}, and bcp.toml says {policy.database}.",
            "Set freescout.database to the DB_DATABASE of its .env, then start the drill again.",
        )
    if server not in found.clients:
        there = ", ".join(found.clients) or "none"
        raise CouldNotVerifyError(
            f"There is no program {server} on the restored help desk; of the two clients that are known, there is: "
            f"{there}.",
            "Set freescout.database_server to the server that it runs.",
        )


def require_server(version: str, policy: HelpDeskHost) -> None:
    """``version`` is the server's own word (``SELECT VERSION()``). Raises ``CouldNotVerifyError``."""
    runs = "mariadb" if "mariadb" in version.lower() else "mysql"
    told = _VERSION.match(version)
    shown = f"{_NAMES[runs]} {told[0]}" if told else "a server that does not say which one it is"
    if runs != policy.database_server:
        raise CouldNotVerifyError(
            f"The restored help desk runs {shown}, and bcp.toml says {_NAMES[policy.database_server]}.",
            f'Set freescout.database_server = "{runs}", then start the drill again.',
        )
    least, below, words = _VERSIONS[runs]
    if told is None or not least <= (int(told[1]), int(told[2])) < below:
        raise CouldNotVerifyError(
            f"The restored help desk runs {shown}; these drills know {_NAMES[runs]} {words}.",
            "Nothing was judged. Bring its database up to date, or have these drills tried with that version.",
        )


def require_login(error: DatabaseError, policy: HelpDeskHost) -> None:
    """Raise ``CouldNotVerifyError`` where the database is there and refuses this login."""
    if error.exit_code == _NOT_FOUND and not error.code:
        raise CouldNotVerifyError(
            f"There is no program {policy.database_server} on the restored help desk.",
            "Set freescout.database_server to the server that it runs.",
        )
    if error.code == _ELSEWHERE:
        raise CouldNotVerifyError(
            "The database that the login names is on another host than the restored one.",
            "Set freescout.database_login in bcp.toml to one of the database on the help desk's own host.",
        )
    if error.code in _REFUSED:
        raise CouldNotVerifyError(
            f"The restored database does not let the drill in (error {error.code}; database_login = "
            f'"{policy.database_login}").',
            'Set freescout.database_login in bcp.toml: "socket", "env" (the site\'s own user), or the path of an '
            "option file on the help desk's host, such as /root/.my.cnf.",
        )


def require_blueprint(policy: FreeScout) -> None:
    """Raise ``CouldNotVerifyError`` where Tier 2 cannot install this help desk on the policy's image."""
    known = BLUEPRINTS[policy.database_server]
    if policy.blueprint not in known:
        raise CouldNotVerifyError(
            f"Tier 2 cannot install a help desk with {_NAMES[policy.database_server]} on {policy.blueprint}.",
            f"Set freescout.blueprint to one of: {', '.join(known)}.",
        )
