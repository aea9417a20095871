"""What an operator can break. A fault changes what Heroku answers or does, never what it has stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from raxx_bcp_sandbox.heroku.production import FUNCTION, INDEX, LEAF, TYPE
from raxx_bcp_sandbox.heroku.records import Transfer
from raxx_bcp_sandbox.heroku.times import DAY, HOUR
from raxx_bcp_sandbox.stand_in import Faults

DOWN = "heroku-down"
RATE_LIMITED = "heroku-rate-limited"
DENIED = "heroku-denied"
TIMEOUTS = "heroku-timeouts"
DATA_HTML_404 = "heroku-data-html-404"
SMALL_PAGES = "heroku-small-pages"
APP_CAP = "heroku-app-cap"
PROVISION_STUCK = "heroku-provision-stuck"
PROVISION_FAILS = "heroku-provision-fails"
RESTORE_HANGS = "heroku-restore-hangs"
RESTORE_FAILS = "heroku-restore-fails"
RESTORE_WARNS = "heroku-restore-warns"
RESTORE_LACKS_EXTENSIONS = "heroku-restore-lacks-extensions"
RESTORE_OTHER_EXTENSION = "heroku-restore-other-extension"
RESTORE_LACKS_TYPE = "heroku-restore-lacks-type"
RESTORE_SKIPS_TABLE = "heroku-restore-skips-table"
DELETE_REFUSED = "heroku-delete-refused"
DELETE_LIES = "heroku-delete-lies"
NO_BACKUPS = "heroku-no-backups"
STALE = "heroku-backup-stale"

EMPTY = "heroku-backup-empty"
TRUNCATED = "heroku-backup-truncated"
WRONG_DATABASE = "heroku-backup-wrong-database"
OLD_REVISION = "heroku-backup-old-revision"
MISSING_TABLE = "heroku-backup-missing-table"
HALF_ROWS = "heroku-backup-half-rows"
WRONG_VERSION = "heroku-backup-wrong-version"
OWNER_ERRORS = "heroku-backup-owner-errors"
INDEX_FAILS = "heroku-backup-index-fails"
CONSTRAINT_FAILS = "heroku-backup-constraint-fails"
FUNCTION_REFUSED = "heroku-backup-function-refused"
NAMES_BLANKED = "heroku-backup-names-blanked"
CENT_OFF = "heroku-backup-cent-off"
NO_ROW_SECURITY = "heroku-backup-no-row-security"
LOOKUP_SHORT = "heroku-backup-lookup-short"
PARTITION_LOST = "heroku-backup-partition-lost"
LARGE_OBJECTS_LOST = "heroku-backup-large-objects-lost"

OLD_EXTENSION: Final = "pg_trgm"

CORPUS: Final = {
    EMPTY: "The newest backup has 0 bytes.",
    TRUNCATED: "The newest backup ends in the middle.",
    WRONG_DATABASE: "The newest backup is one of another application's database.",
    OLD_REVISION: "The newest backup is at an older Alembic revision than production.",
    MISSING_TABLE: f"The newest backup lacks the table {LEAF}.",
    HALF_ROWS: "The newest backup has only half of the rows of several tables.",
    WRONG_VERSION: "The newest backup has an archive version that pg_restore does not read.",
    OWNER_ERRORS: (
        f"Restoring the newest backup takes rights that no Heroku role has: errors are ignored, {LEAF} is missing, "
        "and alembic_version is there."
    ),
    INDEX_FAILS: (
        f"An index of the newest backup ({INDEX}) cannot be built: pg_restore does not find what its function needs."
    ),
    CONSTRAINT_FAILS: f"In the newest backup, lines of {LEAF} have no invoice: the foreign key cannot be added.",
    FUNCTION_REFUSED: f"A function of the newest backup ({FUNCTION}) is in a language that no Heroku role may use.",
    NAMES_BLANKED: "In the newest backup every customer's name is empty.",
    CENT_OFF: "In the newest backup every invoice is one cent off.",
    NO_ROW_SECURITY: "The newest backup has no row-level security: each tenant's documents are open to all.",
    LOOKUP_SHORT: "In the newest backup a lookup table has two of its three rows.",
    PARTITION_LOST: "The newest backup lacks a partition that is empty.",
    LARGE_OBJECTS_LOST: "The newest backup has no large objects.",
}
"""The faults that make the newest backup of production bad. When several are on, the first one listed counts."""

KNOWN: Final = {
    DOWN: "Heroku answers every call with 503.",
    RATE_LIMITED: "The first two calls of each kind answer 429 with Retry-After: 1.",
    DENIED: "The key may do nothing: every call answers 403.",
    TIMEOUTS: "Every call takes 30 seconds, then ends with 503 and an HTML page.",
    DATA_HTML_404: "The Data API answers every call with 404 and an HTML page.",
    SMALL_PAGES: "Lists of the Platform API come in pages of two (206 with Next-Range).",
    APP_CAP: "The account has reached its limit of apps: none can be created.",
    PROVISION_STUCK: "New databases stay in provisioning until this is mended.",
    PROVISION_FAILS: "The provisioning of new databases fails.",
    RESTORE_HANGS: "Restores stop half-way and never end, until they are cancelled.",
    RESTORE_FAILS: "Restores fail half-way.",
    RESTORE_WARNS: f"Restores succeed with a warning, and the rows of {LEAF} are missing.",
    RESTORE_LACKS_EXTENSIONS: "Restores make no extensions, though they are named: what uses their types is missing.",
    RESTORE_OTHER_EXTENSION: f"Restores make {OLD_EXTENSION} in an older version than production's.",
    RESTORE_LACKS_TYPE: f"Restores are denied the type {TYPE}: the tables that use it are missing.",
    RESTORE_SKIPS_TABLE: f"Restores are denied the table {LEAF}.",
    DELETE_REFUSED: "Deleting an app answers 500, and the app stays.",
    DELETE_LIES: "Deleting an app answers 200, and the app stays.",
    NO_BACKUPS: "Production has no backups, only restores.",
    STALE: "Every backup of production of the last nine days failed.",
    **CORPUS,
}
RESTORES: Final = (
    RESTORE_HANGS,
    RESTORE_FAILS,
    RESTORE_WARNS,
    RESTORE_LACKS_EXTENSIONS,
    RESTORE_OTHER_EXTENSION,
    RESTORE_LACKS_TYPE,
    RESTORE_SKIPS_TABLE,
)
"""The faults that affect restores. When several are on, the first one counts."""
REFUSED_FIRST: Final = 2
STALE_SECONDS: Final = 9 * DAY - HOUR


def _nothing() -> None:
    """Nothing to do."""


class HerokuFaults(Faults):
    """The faults, the counters of the refused calls, and production's backups as the faults show them.

    ``after_switch`` runs after any change. It must not block: the HTTP server's thread calls it.
    """

    def __init__(self) -> None:
        super().__init__(KNOWN)
        self.after_switch: Callable[[], None] = _nothing
        self._refused: Counter[str] = Counter()

    def switch(self, name: str, *, on: bool) -> None:
        """Switch fault ``name``; its counters start again."""
        super().switch(name, on=on)
        self._refused.clear()
        self.after_switch()

    def refuses(self, kind: str) -> bool:
        """Must this call be answered 429?"""
        if not self.on(RATE_LIMITED) or self._refused[kind] >= REFUSED_FIRST:
            return False
        self._refused[kind] += 1
        return True

    def damage(self) -> str | None:
        """The active fault of the corpus."""
        return next((name for name in CORPUS if self.on(name)), None)

    def shown(self, transfers: list[Transfer], now: float) -> list[Transfer]:
        """Production's transfers as clients see them with the active faults."""
        if self.on(NO_BACKUPS):
            return [each for each in transfers if not each.backup]
        if self.on(STALE):
            return [_failed(each) if _recent(each, now) else each for each in transfers]
        return transfers


def _recent(transfer: Transfer, now: float) -> bool:
    finished = transfer.finished_at
    return transfer.backup and finished is not None and now - finished < STALE_SECONDS


def _failed(transfer: Transfer) -> Transfer:
    return msgspec.structs.replace(transfer, succeeded=False, processed_bytes=0)
