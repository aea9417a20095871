"""What a restore would do, decided before anything is written: which project is made, completed or left.

A project that already exists is only ever completed. When everything in it is also in the export, and
equal, it is what an interrupted restore left (or as good as that), and adding what is missing destroys
nothing. Anything else in it is somebody's work, and is refused unless the project is named to be overwritten.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from raxx_bcp.clients.infisical import Secret, SecretImport
from raxx_bcp.clients.infisical_writer import DeletedEnvironment, InfisicalWriter
from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp.vault.compare import (
    EXTRA,
    MISSING,
    REMINDER_UNSET,
    Compared,
    Difference,
    import_place,
    secret_place,
)
from raxx_bcp.vault.opening import (
    ROOT,
    OpenedEnvironment,
    OpenedExport,
    OpenedFolder,
    OpenedProject,
    secret_of,
)
from raxx_bcp.vault.read_back import compare_with
from raxx_bcp.vault.restore_deleted import held_by, refuse_held, without
from raxx_bcp.vault.same_vault import VaultComparison, VaultMatch, match_vault
from raxx_bcp.vault.secret_batches import SHARED_BYTES, fits_alone, has_reminder
from raxx_bcp.vault.target import TargetProject, projects_of

NOT_IN_AN_EXPORT: Final = (
    "users, memberships, roles and machine identities: invite them anew",
    "personal overrides: each person sets their own again",
    "earlier versions of a secret: each starts anew at version 1",
    "ids and times of creation: the vault gives new ones",
)
"""Beside these: rotations, and the next dates of reminders, where there are any."""
TOO_LARGE: Final = "larger than one request to the vault may be: set it by hand (raxx-bcp vault get)"
_SLUG: Final = re.compile(r"(?=.{5,36}$)[a-z0-9]+(?:[_-][a-z0-9]+)*")  # the vendor's rule (POST /api/v1/projects)
_MOST_NAMED: Final = 5


class TargetNotEmptyError(PermanentError):
    """A project already exists and holds something that the export does not. Nothing was written."""


class Action(enum.StrEnum):
    """What happens to one project."""

    CREATE = "create"
    COMPLETE = "complete"
    OVERWRITE = "overwrite"
    REORDER = "put its environments in order"
    NOTHING = "nothing: it is equal"


@dataclass(frozen=True)
class ProjectPlan:
    """One project of the export. ``expected`` is what can be restored of it; ``existing`` what is there."""

    expected: OpenedProject
    slug: str
    """Its slug in the target."""
    action: Action
    existing: TargetProject | None
    already: int
    """Items of it that are there and equal."""
    overwrite: bool = False
    """Was it named to be overwritten?"""
    held: tuple[DeletedEnvironment, ...] = ()
    """Its environments that are marked as deleted there: they are restored before anything else."""

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Environments, folders, secrets, imports."""
        folders = list(self.expected.folders())
        return (
            len(self.expected.environments),
            sum(folder.path != ROOT for folder in folders),
            self.expected.secret_count,
            sum(len(folder.imports) for folder in folders),
        )

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        names = ("environments", "folders", "secrets", "imports")
        counts = dict(zip(names, self.counts, strict=True))
        source = self.expected.project.slug
        undelete = [one.slug for one in self.held]
        known = {"project": source, "slug": self.slug, "action": self.action.value, "undelete": undelete}
        return {**known, **counts, "already": self.already}


@dataclass(frozen=True)
class RestorePlan:
    """What a restore would do to the vault at ``url``."""

    url: str
    projects: tuple[ProjectPlan, ...]
    others: tuple[str, ...]
    """Projects of the target that the export does not have: they are left alone."""
    not_chosen: tuple[str, ...]
    """Projects of the export that were not requested."""
    left_out: tuple[Difference, ...]
    """Items of the export that no API call can bring back."""
    notes: tuple[str, ...]
    kinship: VaultComparison
    into_source: str
    """The operator's name for the vault that the export was read from, to allow writing there; empty: not allowed."""

    @property
    def writes(self) -> bool:
        """Is there anything to write?"""
        return any(project.action is not Action.NOTHING for project in self.projects)

    def require_consent_for_source(self) -> None:
        """Raise ``UsageError`` where this would write into the export's own vault, and nobody has named it."""
        if self.writes and self.kinship.kin is VaultMatch.SOURCE and not self.into_source:
            raise UsageError(
                f"{self.kinship.told}. Nothing was written: a restore into it must be asked for by name.",
                "A new vault? Correct --to. Meant is this one, to bring back what it has lost? Add "
                f"--into-source {self.kinship.name}.",
            )

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: names and counts, no value."""
        return {
            "url": self.url,
            **self.kinship.as_dict(),
            "projects": [project.as_dict() for project in self.projects],
            "left_alone": list(self.others),
            "not_chosen": list(self.not_chosen),
            "cannot_be_restored": [one._asdict() for one in self.left_out],
            "not_in_an_export": list(self.notes),
        }


def plan_restore(
    document: OpenedExport,
    writer: InfisicalWriter,
    *,
    slug_of: Callable[[str], str] = lambda slug: slug,
    projects: Sequence[str] | None = None,
    overwrite: Sequence[str] = (),
    into_source: str = "",
    undelete: bool = False,
) -> RestorePlan:
    """Look at the target and decide. ``projects`` and ``overwrite`` are slugs of the export; None: all.

    ``into_source`` names the export's own vault, where that is intended. ``undelete``: environments that are marked
    as deleted in the target are restored; without it they block the restore.

    Reads only. Raises ``UsageError`` for a slug that the export does not have, ``TargetNotEmptyError``
    where a project blocks it, ``HeldEnvironmentError`` where a deleted environment does, and whatever the
    client raises.
    """
    chosen = _chosen(document, projects, overwrite)
    writer.require_v4()
    there = projects_of(writer)
    kin = _kinship(document, writer, there, into_source)
    planned, in_the_way, held_there = [], [], []
    left = LeftOut()
    for whole in chosen:
        expected = restorable(whole, left)
        slug = _valid(slug_of(whole.project.slug))
        existing = there.get(slug)
        if existing is None:
            _refuse_if_taken(writer, slug)
            planned.append(ProjectPlan(expected, slug, Action.CREATE, None, 0))
            continue
        held = held_by(writer, expected, existing)
        if held and not undelete:
            held_there.append((slug, held))
            continue
        named = whole.project.slug in overwrite
        compared = compare_with(writer, without(expected, held), existing).except_for(left.items)
        action = action_for(compared, overwrite=named)
        if action is None:
            in_the_way.append((slug, compared))
            continue
        if held and action is not Action.OVERWRITE:
            action = Action.COMPLETE
        planned.append(ProjectPlan(expected, slug, action, existing, compared.equal_count, named, held))
    if held_there:
        raise refuse_held(held_there)
    if in_the_way:
        raise _not_empty(in_the_way)
    slugs = {slug_of(project.project.slug) for project in document.projects}
    others = tuple(sorted(slug for slug in there if slug not in slugs))
    not_chosen = tuple(sorted(slugs - {project.slug for project in planned}))
    return RestorePlan(
        writer.url, tuple(planned), others, not_chosen, tuple(left.items), _notes(left), kin, into_source
    )


def _kinship(
    document: OpenedExport, writer: InfisicalWriter, there: Mapping[str, TargetProject], into_source: str
) -> VaultComparison:
    """How the target relates to the export. Raises ``UsageError`` where ``into_source`` names another vault."""
    ids = {project.project.id for project in document.projects} & {project.id for project in there.values()}
    found = match_vault(document.source, writer.url, writer.identity, ids)
    if into_source and (found.kin is not VaultMatch.SOURCE or into_source != found.name):
        raise UsageError(
            f"--into-source names {into_source}, which is not what --to leads to: {found.told}. Nothing was written.",
            "Correct --to, or leave --into-source out: a vault that is not the export's own needs no name."
            if found.kin is not VaultMatch.SOURCE
            else f"The export's own vault is named by --into-source {found.name}.",
        )
    return found


@dataclass
class LeftOut:
    """What no API call can bring back: whole items, the rotation of secrets, the next dates of reminders."""

    items: list[Difference] = field(default_factory=list)
    rotated: int = 0
    reminders: int = 0


def restorable(project: OpenedProject, left: LeftOut) -> OpenedProject:
    """The project without what no API call can bring back, which is added to ``left``."""
    environments = []
    for environment in project.environments:
        where = f"{project.project.slug}/{environment.environment.slug}"
        name = environment.environment.slug
        folders = [_restorable(where, name, folder, project.project.id, left) for folder in environment.folders]
        environments.append(OpenedEnvironment(environment.environment, environment.position, folders))
    return OpenedProject(project.project, project.tags, environments)


def _restorable(where: str, environment: str, folder: OpenedFolder, project_id: str, left: LeftOut) -> OpenedFolder:
    secrets, imports = [], []
    for raw in folder.secrets:
        secret = secret_of(raw)
        left.rotated += secret.is_rotated_secret
        left.reminders += has_reminder(secret)
        if why := _impossible_secret(secret, len(memoryview(raw)), environment, folder.path):
            left.items.append(Difference("secret", secret_place(where, folder.path, secret.secret_key), why))
        else:
            secrets.append(raw)
    for link in folder.imports:
        if why := _impossible_import(link, project_id):
            left.items.append(Difference("import", import_place(where, folder.path, link), why))
        else:
            imports.append(link)
    return OpenedFolder(folder.path, folder.folder, imports, secrets)


def _impossible_secret(secret: Secret, listed_bytes: int, environment: str, path: str) -> str:
    if secret.type != "shared":
        return "a personal override: its owner must set it"
    # A listed secret is longer than its row, unless the row escapes more: only the large ones are measured.
    if listed_bytes > SHARED_BYTES // 8 and not fits_alone(secret, environment, path):
        return TOO_LARGE
    return ""


def _impossible_import(link: SecretImport, project_id: str) -> str:
    if link.is_replication:
        return "a replication, which only the vendor's paid editions create"
    if link.import_env.project_id not in (None, project_id):
        return "taken from another project, which the API does not offer"
    return ""


def _chosen(document: OpenedExport, projects: Sequence[str] | None, overwrite: Sequence[str]) -> list[OpenedProject]:
    known = {project.project.slug: project for project in document.projects}
    unknown = [slug for slug in (*(projects or ()), *overwrite) if slug not in known]
    if unknown:
        raise UsageError(
            f"The export of {document.export_date} has no project {', '.join(unknown)}.",
            f"It has: {', '.join(known) or 'none'}.",
        )
    return [project for slug, project in known.items() if projects is None or slug in projects]


def _valid(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise PermanentError(
            f"The vault would not take {slug!r} as the slug of a project (5 to 36 of a-z, 0-9, - and _).",
            "Rename the project where it was exported, or restore the others by --project.",
        )
    return slug


def _refuse_if_taken(writer: InfisicalWriter, slug: str) -> None:
    if writer.slug_is_taken(slug):
        raise TargetNotEmptyError(
            f"A project {slug} is in that vault already, and this machine identity has not joined it. "
            "Nothing was written.",
            "Let the identity join it (role Admin) to compare and complete it, or delete it there if it is rubbish.",
        )


def action_for(compared: Compared, *, overwrite: bool) -> Action | None:
    """What to do with a project that already exists. None: somebody's work is in the way."""
    if not compared.different:
        return Action.REORDER if compared.order else Action.NOTHING
    if all(one.why in (MISSING, REMINDER_UNSET) for one in compared.different):
        return Action.COMPLETE
    return Action.OVERWRITE if overwrite else None


def told_of(slug: str, compared: Compared) -> str:
    """What is in the way in a project: how much, and the first names."""
    extra = sum(one.why == EXTRA for one in compared.different)
    changed = sum(one.why not in (MISSING, EXTRA, REMINDER_UNSET) for one in compared.different)
    names = [one.where for one in compared.different if one.why not in (MISSING, REMINDER_UNSET)]
    shown = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    return f"{slug} is there with {extra} items that the export does not have and {changed} that differ ({shown})"


def _not_empty(in_the_way: Sequence[tuple[str, Compared]]) -> TargetNotEmptyError:
    told = "; ".join(told_of(slug, compared) for slug, compared in in_the_way)
    named = " ".join(f"--overwrite {slug}" for slug, _compared in in_the_way)
    return TargetNotEmptyError(
        f"The target is not empty: {told}. Nothing was written.",
        f"Restore into an empty vault, leave these out by --project, or give the export's values to them: {named}. "
        "Items that the export does not have are kept then.",
    )


def _notes(left: LeftOut) -> tuple[str, ...]:
    notes = list(NOT_IN_AN_EXPORT)
    if left.reminders:
        notes.append(f"the next dates of {left.reminders} reminders: each starts anew on the day of the restore")
    if left.rotated:
        came_back = "their values come back as they were, and may have been rotated since"
        notes.append(f"the rotation of {left.rotated} secrets: {came_back}")
    return tuple(notes)
