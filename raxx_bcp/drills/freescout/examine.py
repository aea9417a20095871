"""Examines a restored FreeScout on its host, the same for both tiers: SQL first, then the disk, then its pages.

Pages write to the database. With an empty APP_KEY the first page even writes a new key and then looks healthy. So pages
are asked last, and only when there is a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from raxx_bcp.clients.decoding import understood
from raxx_bcp.drills.engine.drill import CheckResult, Drill
from raxx_bcp.drills.freescout import compare, facts, remote_program, site, supported
from raxx_bcp.drills.freescout.dump_set import FILES
from raxx_bcp.drills.freescout.expected import Expectation
from raxx_bcp.drills.freescout.facts import Facts
from raxx_bcp.drills.freescout.host_protocol import LOOK_AGAIN, Host, reported
from raxx_bcp.drills.freescout.host_side import login, site_files, site_pages
from raxx_bcp.drills.freescout.supported import Settings
from raxx_bcp.drills.hosts.shell import DatabaseError
from raxx_bcp.errors import BackupWrongError, PermanentError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import FreeScout
from raxx_bcp.policy_help_desk import HelpDeskHost
from raxx_bcp.waiting import Deadline

DATABASE: Final = "database"
CHECKS: Final = (DATABASE, compare.JOBS, *compare.SQL_CHECKS, *compare.DISK_CHECKS, *site.CHECKS)
DATABASE_MINUTES: Final = 2.0
"""How long MariaDB may take to recover after the copy has booted."""
_POLL_SECONDS: Final = 2.0
_SITE_SECONDS: Final = 30.0
_UNREADABLE: Final = frozenset({1033, 1034, 1035, 1194, 1195, 1712, 1932})
"""MariaDB's errors for a table that it cannot read: wrong definition, index or key file, crashed, not in the engine."""
_QUEUE: Final = ("jobs", "send_logs")
_NEEDS: Final = {
    compare.APP_KEY: "env",
    compare.ATTACHMENTS: "attachments",
    site.LINK: "attachments",
    compare.MIGRATIONS: "modules",
}
"""Which part a check is about. A module's own migrations are in the database whether its code is there or not."""


@dataclass(frozen=True)
class Restored:
    """A restored FreeScout and what it should be like. ``quieten`` deletes its queued jobs and says how many."""

    host: Host
    policy: FreeScout
    expected: Expectation
    taken_utc: datetime
    quieten: Callable[[], int]
    client: Sequence[str]
    """The command that asks its database."""
    timeout_seconds: float | None = None
    known_to: timedelta = timedelta()
    """How much later than ``taken_utc`` the backup may have been taken."""
    unproved: frozenset[str] = frozenset()
    """Parts of the site that the backup's layout does not contain."""


def examine(drill: Drill, restored: Restored) -> Facts | None:
    """Record every check of ``CHECKS`` that can be made; the facts, or None where the database does not answer.

    Raises what the host raises where it cannot be asked at all, what ``quieten`` raises, and ``CouldNotVerifyError``
    where it is not the policy's help desk.
    """
    settings = _settings(restored)
    problem = no_database(drill, restored.host, restored.policy)
    actual = "does not answer" if problem else "answers"
    drill.check(DATABASE, expected="answers", actual=actual, ok=not problem, reason=problem)
    found = None if problem else _ask_database(drill, restored)
    where = (restored.policy.site_directory, restored.policy.database, tuple(restored.client))
    told = _program(restored, login, site_files, arguments=where)
    with understood("What the look at the site's files reported", LOOK_AGAIN):
        version, key, on_disk = str(told["version"] or ""), str(told["app_key"]), list(compare.compare_disk(told))
    if version:
        drill.target["freescout"] = version
    for one in on_disk:
        drill.add(_proved(one, restored.unproved))
    _ask_pages(drill, restored, key=key, own_url=settings.url if settings else "")
    return found


def _settings(restored: Restored) -> Settings | None:
    """What its ``.env`` says, which must be what the policy says; None where there is no ``.env``."""
    told = _program(restored, login, arguments=(restored.policy.site_directory,))
    with understood("What the look at the site's settings reported", LOOK_AGAIN):
        found = Settings.reported(told) if told["there"] else None
    if found is not None:
        supported.require_settings(found, restored.policy)
    return found


def no_database(drill: Drill, host: Host, policy: HelpDeskHost) -> str:
    """Wait until the database answers, at most ``DATABASE_MINUTES``: empty, or why it does not.

    Raises ``CouldNotVerifyError`` where the drills do not support it, or where it refuses the login.
    """
    patience = Deadline.of(DATABASE_MINUTES, _POLL_SECONDS, drill.clock, drill.sleep)
    while True:
        try:
            said = host.sql("SELECT VERSION();\n")
        except PermanentError as error:
            if isinstance(error, DatabaseError):
                supported.require_login(error, policy)
            if not patience.left:
                return error.what
            patience.pause()
        else:
            supported.require_server("".join(cell for row in said for cell in row), policy)
            return ""


def _ask_database(drill: Drill, restored: Restored) -> Facts:
    policy = restored.policy
    try:
        found = facts.ask(restored.host, policy.database, restored.timeout_seconds)
    except DatabaseError as error:
        if error.code in _UNREADABLE:
            raise BackupWrongError(
                error.what, "A table of the restored database is damaged, as the code says."
            ) from None
        raise
    drill.target[policy.database_server] = found.server_version
    drill.newest_record_utc = found.moment(facts.FETCHED)
    if all(table in found.rows for table in _QUEUE):
        drill.add(compare.jobs(restored.quieten(), found, restored.expected, restored.taken_utc + restored.known_to))
    else:
        drill.not_run(compare.JOBS, "there is no queue: its tables are missing")
    for one in compare.compare(
        found,
        restored.expected,
        taken_utc=restored.taken_utc,
        fetch_age=timedelta(hours=policy.fetch_age_hours),
        tolerance_ratio=policy.row_tolerance_ratio,
        known_to=restored.known_to,
    ):
        drill.add(one)
    return found


def _ask_pages(drill: Drill, restored: Restored, *, key: str, own_url: str) -> None:
    if key != "usable":
        for name in site.CHECKS:
            drill.not_run(name, f"APP_KEY is {key}: a page that is asked for could write a new one")
        return
    policy = restored.policy
    asked = (policy.site_directory, policy.database, tuple(restored.client))
    told = _program(
        restored, login, site_files, site_pages, arguments=(*asked, policy.site_url, policy.port, _SITE_SECONDS)
    )
    with understood("What the look at the site's pages reported", LOOK_AGAIN):
        pages = site.judge(told, policy, own_url)
    for one in pages:
        drill.add(_proved(one, restored.unproved))


def _proved(found: CheckResult, unproved: frozenset[str]) -> CheckResult:
    """A check whose part was not there to be restored says nothing, whatever it found."""
    lacking = _NEEDS.get(found.name, "")
    if lacking not in unproved or (lacking == "modules" and not found.reason.startswith(compare.NOT_IN_CODE)):
        return found
    reason = f"the adopted layout has no place for {FILES[lacking]}: it was not restored"
    return CheckResult(found.name, found.expected, found.actual, CheckStatus.NOT_RUN, reason)


def _program(restored: Restored, *modules: Any, arguments: tuple[object, ...]) -> Mapping[str, Any]:
    source = remote_program.program(*modules, arguments=arguments)
    printed = restored.host.python(source, timeout_seconds=restored.timeout_seconds)
    return reported(printed, "the look at the site")
