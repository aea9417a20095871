"""What the warnings of a restore mean: known ones must be shown to be harmless, all others fail the drill.

On Heroku a healthy restore has warnings: extensions, their schema and event triggers belong to Heroku's administrator,
so that pg_restore's role cannot comment on them or make them again. Such a warning is harmless where the restored
database has the thing itself, as production has it. A count alone proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.catalogue import EXTENSION_SCHEMAS
from raxx_bcp.drills.heroku_postgres.compare import extension_difference
from raxx_bcp.drills.heroku_postgres.facts import Facts
from raxx_bcp.drills.heroku_postgres.restore_log import EXTENSION, SCHEMA, Complaint, Thing
from raxx_bcp.evidence.row import CheckStatus

NAME: Final = "transfer warnings"
_EXPECTED: Final = "none but harmless ones"
_HEROKUS: Final = EXTENSION_SCHEMAS | {"_heroku"}
"""The schemas that Heroku makes in every database; ``_heroku`` is for its own use (heroku/cli, pull request 1648)."""
_NAMED: Final = 5


def judged(counted: int, found: Sequence[Complaint], expected: Facts, actual: Facts) -> CheckResult:
    """The check of a restore that ended with ``counted`` warnings, of which its log names ``found``.

    ``expected`` is production, ``actual`` what was restored. NOT_RUN where a warning has no name.
    """
    harmful = [str(one) for one in found if one.about is None]
    unproved = [f"{one}, and {why}" for one in found if one.about and (why := _unproved(one.about, expected, actual))]
    told = _told(found, actual) if len(found) >= counted else f"{counted:,}, {len(found):,} of them named"
    if harmful or unproved:
        reason = f"pg_restore went on after errors that are not harmless: {_few(harmful + unproved)}"
        return CheckResult(NAME, _EXPECTED, told, CheckStatus.FAIL, reason)
    if len(found) < counted:
        reason = f"pg_restore went on after {counted:,} errors, and its log names {len(found):,} of them"
        return CheckResult(NAME, _EXPECTED, told, CheckStatus.NOT_RUN, reason)
    return CheckResult(NAME, _EXPECTED, told, CheckStatus.PASS)


def _unproved(thing: Thing, expected: Facts, actual: Facts) -> str:
    """Why the object that a known warning is about is not in place; empty: it is."""
    if thing.kind == EXTENSION:
        if thing.name not in actual.extensions:
            return f"the extension {thing.name} is not there"
        return extension_difference(thing.name, expected, actual) if thing.name in expected.extensions else ""
    if thing.kind == SCHEMA:
        if thing.name not in actual.schemas:
            return f"the schema {thing.name} is not there"
        ours = thing.name not in _HEROKUS | set(expected.extension_schemas.values())
        return f"the schema {thing.name} was there before the restore" if ours else ""
    return "" if thing.name in actual.event_triggers else f"the event trigger {thing.name} is not there"


def _told(found: Sequence[Complaint], actual: Facts) -> str:
    """``5, 5 of them harmless: COMMENT EXTENSION hstore (1.8 in heroku_ext is there), ...``."""
    known = [f"{one.kind} {one.name} ({_seen(one.about, actual)})" for one in found if one.about]
    count = f"{len(found):,}"
    return f"{count}, {len(known):,} of them known: {', '.join(known)}" if known else count


def _seen(thing: Thing, actual: Facts) -> str:
    if thing.kind == EXTENSION and thing.name in actual.extensions:
        where = actual.extension_schemas.get(thing.name, "")
        return (
            f"{actual.extensions[thing.name]} is in {where}" if where else f"{actual.extensions[thing.name]} is there"
        )
    there = thing.name in (actual.schemas if thing.kind == SCHEMA else actual.event_triggers)
    return "is there" if there else "is not there"


def _few(texts: Iterable[str]) -> str:
    found = list(texts)
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
