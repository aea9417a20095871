"""Environments that are marked as deleted in the target: for 14 days they hold their slug, and can be restored.

While one holds a slug, no environment of that slug can be made; no list shows it or an import from it (seen on a real
server). So what a project lacks because of it is left out of the comparison until it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from raxx_bcp.clients.infisical_writer import DeletedEnvironment, InfisicalWriter
from raxx_bcp.errors import PermanentError
from raxx_bcp.vault.opening import OpenedFolder, OpenedProject
from raxx_bcp.vault.target import TargetProject


class HeldEnvironmentError(PermanentError):
    """An environment of the export is marked as deleted in the target and holds its slug. Nothing was written."""


def held_by(writer: InfisicalWriter, expected: OpenedProject, there: TargetProject) -> tuple[DeletedEnvironment, ...]:
    """Those of ``expected`` that are missing because they are marked as deleted. Raises what the client raises."""
    missing = {one.environment.slug for one in expected.environments} - {one.slug for one in there.environments}
    if not missing:
        return ()
    return tuple(one for one in writer.deleted_environments(there.id) if one.slug in missing)


def without(project: OpenedProject, held: Collection[DeletedEnvironment]) -> OpenedProject:
    """``project`` without the environments that are ``held``, and without the imports from them."""
    slugs = {one.slug for one in held}
    return msgspec.structs.replace(
        project,
        environments=[
            msgspec.structs.replace(one, folders=[_folder(folder, slugs) for folder in one.folders])
            for one in project.environments
            if one.environment.slug not in slugs
        ],
    )


def _folder(folder: OpenedFolder, slugs: Collection[str]) -> OpenedFolder:
    kept = [link for link in folder.imports if link.import_env.slug not in slugs]
    return msgspec.structs.replace(folder, imports=kept)


def refuse_held(held: Sequence[tuple[str, Sequence[DeletedEnvironment]]]) -> HeldEnvironmentError:
    """The sentence about them; ``held`` are slugs of projects of the target with their deleted environments."""
    told = ", ".join(f"{slug}/{one.slug} ({_until(one)})" for slug, ones in held for one in ones)
    return HeldEnvironmentError(
        f"Environments of the export are deleted in that vault, and hold their slugs there: {told}. Nothing was "
        "written: none of the same slug can be made meanwhile.",
        "Add --undelete-environments: they come back with what they held, and are then completed and compared like the "
        "rest. Or delete them for good there (Project Settings > Environments), or leave the project out by --project.",
    )


def _until(one: DeletedEnvironment) -> str:
    return f"kept until {one.delete_after[:10]}" if one.delete_after else "kept for 14 days"
