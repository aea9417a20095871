"""The order of an application's Alembic revisions, read from its migration files without running any of them."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raxx_bcp.errors import UsageError


@dataclass(frozen=True)
class RevisionHistory:
    """Each revision with those that it follows: none for the first, several for a merge."""

    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def of_list(cls, revisions: Sequence[str]) -> RevisionHistory:
        """One line of revisions, the oldest first."""
        return cls({one: tuple(revisions[max(0, place - 1) : place]) for place, one in enumerate(revisions)})

    @classmethod
    def of_directory(cls, directory: Path) -> RevisionHistory:
        """Alembic's ``versions`` directory: ``revision`` and ``down_revision`` of every file that has them.

        Raises ``UsageError`` when there is no revision in it.
        """
        found = {}
        for path in sorted(directory.rglob("*.py")):
            named = dict(_constants(path))
            revision, below = named.get("revision"), named.get("down_revision")
            if isinstance(revision, str):
                found[revision] = tuple(map(str, below)) if isinstance(below, tuple | list) else _one(below)
        if not found:
            raise UsageError(
                f"There are no Alembic revisions in {directory}.", "Name the versions directory of the application."
            )
        return cls(found)

    def with_ancestors(self, heads: Iterable[str]) -> set[str]:
        """``heads`` and everything that they follow."""
        seen: set[str] = set()
        left = list(heads)
        while left:
            revision = left.pop()
            if revision not in seen:
                seen.add(revision)
                left += self.parents.get(revision, ())
        return seen

    def compared(self, production: Sequence[str], restored: Sequence[str]) -> str:
        """Which of two different sets of heads is ahead, in words."""
        unknown = [one for one in (*production, *restored) if one not in self.parents]
        if unknown:
            return f"the revision history does not know {', '.join(unknown)}"
        there, here = self.with_ancestors(production), self.with_ancestors(restored)
        if here < there:
            return f"the restore is {_revisions(len(there - here))} behind: the backup is older than those migrations"
        if there < here:
            return f"the restore is {_revisions(len(here - there))} ahead: production was downgraded since"
        return "neither follows from the other: another branch, or another database"


def _revisions(number: int) -> str:
    return f"{number} revision{'' if number == 1 else 's'}"


def _one(revision: object) -> tuple[str, ...]:
    return (revision,) if isinstance(revision, str) and revision else ()


def _constants(path: Path) -> Iterator[tuple[str, object]]:
    """The constants that a file assigns at its top level."""
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        with contextlib.suppress(ValueError):
            if isinstance(target, ast.Name):
                yield target.id, ast.literal_eval(node.value)
