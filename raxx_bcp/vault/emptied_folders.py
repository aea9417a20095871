"""Folders that had secrets at some time and show none now: emptied on purpose, or hidden from the exporter?

Infisical keeps a folder's ``lastSecretModified`` after its last secret was deleted (measured on a real server), so
such a folder may stay for years. If it stopped every export, somebody would switch the check off for good. So the last
good export decides. If it has secrets there, the export is refused until a person accepts this one folder by name,
which is recorded; from then on the last good export has nothing there. If it has none, or is not known, the check
warns with the folder's name, as long as role and privileges prove that nothing is hidden.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault.gate import COMPLETENESS, Baseline, listed
from raxx_bcp.vault.survey import Survey, place_of

ROOT: Final = "/"
_SILENCE: Final = (
    "Nothing, if they were emptied on purpose: vault_export.known_empty_folders in bcp.toml silences those that stay "
    "empty. Else take their secrets from an earlier export (raxx-bcp vault get)."
)


@dataclass
class EmptiedFolders:
    """Every folder that had secrets once and shows none, by ``project/environment/path``, and its verdict."""

    baseline: Baseline | None
    held: dict[str, int] = field(default_factory=dict)
    """The last good export has this many secrets there, and nobody has accepted that they are gone."""
    accepted: dict[str, int] = field(default_factory=dict)
    """The same, accepted by name."""
    empty_before: list[str] = field(default_factory=list)
    """The last good export has nothing there either."""
    unknown: list[str] = field(default_factory=list)
    """There is no earlier export to compare with; role and privileges prove that nothing is hidden."""
    unproved: list[str] = field(default_factory=list)
    """There is no earlier export to compare with, and role and privileges prove nothing either."""

    @property
    def places(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(sorted([*self.held, *self.accepted, *self.empty_before, *self.unknown, *self.unproved]))

    def findings(self) -> list[Check]:
        """The folders that refuse the export. Empty when all is well."""
        findings = [
            Check(
                COMPLETENESS,
                Status.FAIL,
                f"{place} shows no secret, and the last good export ({self._source}) has {_secrets(count)} there.",
                f"Find out who emptied it. If that was on purpose, export once with --accept-emptied {place} (in "
                "Dagster: accept_emptied), which is put on record; else restore it from that export.",
            )
            for place, count in self.held.items()
        ]
        if self.unproved:
            findings.append(
                Check(
                    COMPLETENESS,
                    Status.FAIL,
                    f"{listed(self.unproved)} had secrets written to and shows none.",
                    "What the identity's role or privileges hide there is named beside this: correct that first. If "
                    "the folder was rightly emptied, add it to vault_export.known_empty_folders in bcp.toml.",
                )
            )
        return findings

    def check(self, seen: str) -> Check:
        """The completeness of an export that is not refused; ``seen`` says how much was read."""
        parts = [
            f"{place} is empty; the {_secrets(count)} that {self._source} has there were accepted as gone"
            for place, count in self.accepted.items()
        ]
        if self.empty_before:
            parts.append(
                f"{listed(self.empty_before)} had secrets at some time and shows none, as in the last good export"
            )
        if self.unknown:
            parts.append(
                f"{listed(self.unknown)} had secrets at some time and shows none; no earlier export says how many, and "
                "the identity's role and privileges prove that none is hidden"
            )
        if not parts:
            return Check(COMPLETENESS, Status.PASS, f"{seen}; no gap found.")
        return Check(COMPLETENESS, Status.WARN, f"{seen}; {'; '.join(parts)}.", _SILENCE, _same_warning(self.places))

    @property
    def _source(self) -> str:
        return self.baseline.folders_key if self.baseline else ""


def emptied_folders(
    survey: Survey,
    baseline: Baseline | None,
    proved_projects: Collection[str],
    policy: VaultExport,
    accepted: Collection[str],
) -> EmptiedFolders:
    """Judge every empty folder of ``survey`` that had secrets by its own record or by the last export.

    ``proved_projects`` are the slugs of those in which role and privileges prove that the identity sees everything;
    ``accepted`` the places that a person accepts for this export.
    """
    known = baseline.folder_secrets if baseline else None
    found = EmptiedFolders(baseline)
    for project, place, says_so in _without_secrets(survey):
        had = known.get(place, 0) if known is not None else None
        silenced = place in policy.known_empty_folders
        if had and (silenced or place in accepted):
            found.accepted[place] = had
        elif had:
            found.held[place] = had
        elif silenced or not says_so:
            continue
        elif had == 0:
            found.empty_before.append(place)
        elif project in proved_projects:
            found.unknown.append(place)
        else:
            found.unproved.append(place)
    return found


def places(named: Iterable[str]) -> tuple[str, ...]:
    """The named folder, as the export writes it: ``raxx-ops/prod/api``, and ``raxx-ops/prod/`` for the root.

    Raises ``UsageError`` for a text that names no folder.
    """
    return tuple(_place(name) for name in named)


def _place(name: str) -> str:
    project, _, rest = name.strip("/").partition("/")
    environment, _, path = rest.partition("/")
    if not project or not environment:
        raise UsageError(
            f"{name!r} names no folder of the vault.",
            "Write it as project/environment/path, such as raxx-ops/prod/api (raxx-ops/prod/ for the root).",
        )
    return place_of(project, environment, ROOT + path)


def _without_secrets(survey: Survey) -> Iterable[tuple[str, str, bool]]:
    """Project, place, and "does its record say that it had secrets?", of every folder that may have been emptied.

    The vault never lists the root, so only the last export can show it. A folder below the root without such a record
    was newly made: somebody with the right to do so deleted the one that it replaced, as a whole.
    """
    for project in survey.projects:
        slug = project.project.slug
        for environment in project.environments:
            for path, folder in environment.folders.items():
                if not folder.secrets and (folder.says_it_has_secrets or path == ROOT):
                    yield slug, place_of(slug, environment.environment.slug, path), folder.says_it_has_secrets


def _same_warning(named: Sequence[str]) -> str:
    """The same for the same folders on any day: Slack gets each such set once."""
    return f"emptied-{hashlib.sha256(' '.join(named).encode()).hexdigest()[:12]}"


def _secrets(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"
