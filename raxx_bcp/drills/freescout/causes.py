"""Which failed check of a dump explains the others: a cut dump is one cause, not fifteen.

Only what a broken dump itself makes fail is folded under its cause, and every check stays on record as it was found. A
separate fault, such as a wrong APP_KEY or a lost attachment, is never folded under another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.freescout import artefact, compare, site
from raxx_bcp.evidence.row import CheckStatus

_CONTENT: Final = (compare.ORPHANS, compare.ADMIN, compare.EMOJI, compare.CONTENT)
_TABLES: Final = (compare.ROWS, compare.DATA_AGE, compare.HASHES, compare.JOBS, compare.MIGRATIONS, *_CONTENT)
_DATABASE: Final = (artefact.DUMP_ROWS, compare.SCHEMA, *_TABLES, site.LOGIN)
_EXPLAINS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (artefact.COMPRESSION, (artefact.TRAILER, artefact.RESTORED, *_DATABASE)),
    (artefact.TRAILER, (artefact.RESTORED, *_DATABASE)),
    (artefact.DIALECT, (artefact.RESTORED, *_DATABASE)),
    (artefact.RESTORED, _DATABASE),
    (compare.SCHEMA, (*_TABLES, site.LOGIN)),
    (compare.ROWS, _CONTENT),
)
"""What a failed check explains, the earliest cause first."""
_WITHOUT_TABLES: Final = (compare.APP_KEY, compare.ATTACHMENTS, site.LINK)
_NO_DATABASE: Final = ("the database did not answer", "the table attachments could not be read")
"""Reasons of disk checks that are only about the database."""


def folded(results: Iterable[CheckResult]) -> list[CheckResult]:
    """The same results in the same order; ``follows`` names the check that explains one. A pass explains nothing."""
    found = list(results)
    failed = {one.name for one in found if one.status is CheckStatus.FAIL}
    explained: dict[str, str] = {}
    for cause, names in _EXPLAINS:
        if cause in failed and cause not in explained:
            explained |= {name: cause for name in (*names, *_WITHOUT_TABLES) if name not in explained}
    return [replace(one, follows=explained[one.name]) if _follows(one, explained) else one for one in found]


def _follows(one: CheckResult, explained: dict[str, str]) -> bool:
    if one.status is CheckStatus.PASS or one.name not in explained:
        return False
    return one.name not in _WITHOUT_TABLES or one.reason in _NO_DATABASE
