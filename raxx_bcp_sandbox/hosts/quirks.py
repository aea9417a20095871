"""What can be wrong with an instance: faults of the Lightsail stand-in.

They apply to instances made after the switch.
"""

from __future__ import annotations

from typing import Final

NEVER_BOOTS = "host-never-boots"
SSH_REFUSED = "host-ssh-refused"
LOGIN_REFUSED = "host-login-refused"
WRONG_KEY = "host-wrong-key"
CRON_RUNNING = "host-cron-running"
EGRESS_OPEN = "host-egress-open"
GUARD_GONE = "host-guard-gone"
GUARD_LATE = "host-guard-late"
DATABASE_DOWN = "host-database-down"
DATABASE_LOCKED = "host-database-locked"
APP_KEY_WRONG = "host-app-key-wrong"
APP_KEY_EMPTY = "host-app-key-empty"
ATTACHMENTS_MISSING = "host-attachments-missing"
VAULT_DATABASE_DOWN = "host-vault-database-down"

KNOWN: Final = {
    NEVER_BOOTS: "New instances never boot: they stay pending.",
    SSH_REFUSED: "New instances run, and nothing listens on their SSH port.",
    LOGIN_REFUSED: "New instances refuse the login that GetInstanceAccessDetails gives.",
    WRONG_KEY: "New instances answer SSH with another host key than GetInstanceAccessDetails says.",
    CRON_RUNNING: "On new instances cron and supervisor cannot be stopped, disabled or masked.",
    EGRESS_OPEN: "On new instances firewall rules are taken and not applied: everything gets out.",
    GUARD_GONE: "New instances have lost the copy guard, which was seen on production: they act as they boot.",
    GUARD_LATE: "On new instances the copy guard closes egress only after the network is up.",
    DATABASE_DOWN: "On new instances MariaDB does not start; FreeScout's login page is green all the same.",
    DATABASE_LOCKED: "On new instances MariaDB's root has a password; FreeScout's own user still gets in.",
    APP_KEY_WRONG: "FreeScout on new instances has another APP_KEY than its data was encrypted with.",
    APP_KEY_EMPTY: "FreeScout on new instances has an empty APP_KEY and makes itself a new one.",
    ATTACHMENTS_MISSING: "FreeScout on new instances has lost the files of its attachments.",
    VAULT_DATABASE_DOWN: "The vault on new instances has lost its database.",
}
