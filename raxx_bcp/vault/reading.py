"""What a person needs of an export at three in the morning: its contents, one value, what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from raxx_bcp.errors import UsageError
from raxx_bcp.vault.compare import (
    EXTRA,
    MISSING,
    Compared,
    Difference,
    compare_environment,
    compare_heads,
    compare_order,
)
from raxx_bcp.vault.opening import OpenedExport, OpenedFolder, OpenedProject, secret_of


@dataclass(frozen=True)
class Contents:
    """Names and counts of an export, no value."""

    document: OpenedExport

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: every project, environment, folder and key."""
        document = self.document
        return {
            "ok": True,
            "export_date": document.export_date,
            "read_from": document.source.url,
            "read_utc": [document.started_utc, document.read_until_utc],
            "secret_count": document.secret_count,
            "projects": [
                {
                    "slug": project.project.slug,
                    "name": project.project.name,
                    "environments": [
                        {
                            "slug": environment.environment.slug,
                            "folders": {folder.path: sorted(_keys(folder)) for folder in environment.folders},
                        }
                        for environment in project.environments
                    ],
                }
                for project in document.projects
            ],
        }

    def lines(self, *, keys: bool) -> Iterator[str]:
        """For people: a line a folder; with ``keys`` also one a secret."""
        document = self.document
        yield f"vault export of {document.export_date}, read from {document.source.url} until {document.read_until_utc}"
        yield f"{document.secret_count} secrets in {len(document.projects)} projects"
        for project in document.projects:
            for environment in project.environments:
                where = f"{project.project.slug}/{environment.environment.slug}"
                for folder in environment.folders:
                    imports = f", {len(folder.imports)} imports" if folder.imports else ""
                    yield f"  {where}{folder.path}  {len(folder.secrets)} secrets{imports}"
                    if keys:
                        yield from (f"      {key}" for key in sorted(_keys(folder)))


def _keys(folder: OpenedFolder) -> Iterator[str]:
    return (secret_of(raw).secret_key for raw in folder.secrets)


def one_value(document: OpenedExport, place: str) -> str:
    """The value at ``PROJECT/ENV/PATH/KEY``, as stored: references are not followed.

    Raises ``UsageError`` naming the first part of ``place`` that does not exist.
    """
    parts = [part for part in place.split("/") if part]
    if len(parts) < 3:
        raise UsageError(f"{place} does not name a secret.", "Write it as PROJECT/ENV/PATH/KEY, or PROJECT/ENV/KEY.")
    project = _found(document.projects, lambda one: one.project.slug, parts[0], "project")
    environment = _found(project.environments, lambda one: one.environment.slug, parts[1], f"environment {parts[0]}/…")
    path = "/" + "/".join(parts[2:-1])
    folder = _found(environment.folders, lambda one: one.path, path, f"folder {parts[0]}/{parts[1]}…")
    raw = _found(folder.secrets, lambda one: secret_of(one).secret_key, parts[-1], f"key {'/'.join(parts[:-1])}/…")
    return secret_of(raw).secret_value


def _found(items: list[Any], name_of: Any, wanted: str, what: str) -> Any:
    for item in items:
        if name_of(item) == wanted:
            return item
    raise UsageError(f"The export has no {what} {wanted}.", "raxx-bcp vault show --keys lists all that it has.")


@dataclass(frozen=True)
class Changes:
    """What changed from one export to another: names and respects, no value."""

    added: tuple[Difference, ...]
    removed: tuple[Difference, ...]
    changed: tuple[Difference, ...]
    equal_count: int

    @property
    def equal(self) -> bool:
        return not (self.added or self.removed or self.changed)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.equal,
            "equal": self.equal_count,
            "added": [{"kind": one.kind, "where": one.where} for one in self.added],
            "removed": [{"kind": one.kind, "where": one.where} for one in self.removed],
            "changed": [one._asdict() for one in self.changed],
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (f"+ {one.kind} {one.where}" for one in self.added)
        yield from (f"- {one.kind} {one.where}" for one in self.removed)
        yield from (f"~ {one.kind} {one.where} ({one.why})" for one in self.changed)
        if self.equal:
            yield f"equal: {self.equal_count} items, values included"
        else:
            yield (
                f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed, "
                f"{self.equal_count} equal"
            )


def diff(older: OpenedExport, newer: OpenedExport) -> Changes:
    """Every item of both, value by value, exactly as exported."""
    found = Compared()
    before = {project.project.slug: project for project in older.projects}
    after = {project.project.slug: project for project in newer.projects}
    for slug in sorted(before.keys() | after.keys()):
        found.add(_project(slug, before.get(slug), after.get(slug)))
    return Changes(
        added=tuple(one for one in found.different if one.why == EXTRA),
        removed=tuple(one for one in found.different if one.why.startswith(MISSING)),
        changed=tuple(
            one for one in (*found.different, *found.order) if one.why != EXTRA and not one.why.startswith(MISSING)
        ),
        equal_count=found.equal_count,
    )


def _project(slug: str, before: OpenedProject | None, after: OpenedProject | None) -> Compared:
    found = Compared()
    if before and after:
        found = compare_heads(before, after)
        found.order += compare_order(before, [one.environment.slug for one in after.environments])
    else:
        why, tags = (EXTRA, after.tags) if after else (MISSING, before.tags if before else [])
        found.different.append(Difference("project", slug, why))
        found.different += [Difference("tag", f"{slug}#{tag.slug}", why) for tag in tags]
    environments = {one.environment.slug: one for one in (before.environments if before else ())}
    others = {one.environment.slug: one for one in (after.environments if after else ())}
    for name in [*environments, *(name for name in others if name not in environments)]:
        found.add(compare_environment(slug, environments.get(name), others.get(name), stored=False))
    return found
