"""Writing one project, in the order that the API needs, from any state.

Tags, environments, folders by depth, secrets, imports by position: each only where it is missing. So the
same code makes a new project, continues after an interruption at any call, and after a finished restore writes
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from raxx_bcp.clients.infisical import Environment, SecretImport
from raxx_bcp.clients.infisical_writer import InfisicalWriter, NewTag, TooLargeError
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp.vault.compare import (
    REMINDER_UNSET,
    by_key,
    compare_order,
    import_source,
    in_order,
    respects,
    secret_place,
)
from raxx_bcp.vault.opening import ROOT, OpenedEnvironment, OpenedFolder, secret_of
from raxx_bcp.vault.restore_plan import Action, ProjectPlan
from raxx_bcp.vault.secret_batches import SHARED_BYTES, Row, batches, fits, has_reminder, reminder_of, row_of
from raxx_bcp.vault.target import TargetProject, projects_of, read_environment, read_head

Progress = Callable[[str], None]


@dataclass
class Written:
    """What was written so far. ``held_back`` names the secrets that wait for an approval in the vault."""

    calls: int = 0
    items: Counter[str] = field(default_factory=Counter)
    held_back: set[str] = field(default_factory=set)
    too_large: set[str] = field(default_factory=set)
    """Secrets that the vault, or a proxy before it, refused although the vault's own limit allows them."""

    def count(self, kind: str, number: int = 1) -> None:
        """One answered call, and its items."""
        self.calls += 1
        self.items[kind] += number


def write_project(
    writer: InfisicalWriter, plan: ProjectPlan, target: TargetProject, written: Written, progress: Progress
) -> None:
    """Write what is missing of ``plan.expected`` into ``target``; change differing secrets only to overwrite them.

    Counts into ``written`` as it goes, so that the caller can report it after a failure. Raises what the client
    raises.
    """
    _Project(writer, plan, target, written).write(progress)


class _Project:
    def __init__(self, writer: InfisicalWriter, plan: ProjectPlan, target: TargetProject, written: Written) -> None:
        self._writer = writer
        self._target = target
        self._written = written
        self._expected = plan.expected
        self._overwrite = plan.action is Action.OVERWRITE
        self._is_new = plan.action is Action.CREATE
        self._only_order = plan.action is Action.REORDER
        self._there = {environment.slug: environment for environment in target.environments}

    def write(self, progress: Progress) -> None:
        if not self._only_order:
            self._contents(progress)
        if not self._is_new:
            self._order(progress)

    def _contents(self, progress: Progress) -> None:
        slug = self._expected.project.slug
        tag_ids = self._tags()
        self._environments()
        imports: dict[str, Mapping[str, list[SecretImport]]] = {}
        for environment in self._expected.environments:
            name = environment.environment.slug
            actual = self._actual(environment.environment)
            imports[name] = {folder.path: folder.imports for folder in actual.folders}
            self._folders(environment, actual)
            self._secrets(environment, actual, tag_ids)
            progress(f"wrote {slug}/{name}: {sum(len(folder.secrets) for folder in environment.folders)} secrets")
        for environment in self._expected.environments:
            self._imports(environment, imports[environment.environment.slug])

    def _actual(self, environment: Environment) -> OpenedEnvironment:
        """What is there. Objects that this run itself made are known to be empty, and are not read."""
        known = self._there.get(environment.slug)
        if known is None:
            return OpenedEnvironment(environment, 0, [OpenedFolder(ROOT, None, [], [])])
        return read_environment(self._writer, self._target.id, known)

    def _tags(self) -> dict[str, str]:
        there = [] if self._is_new else read_head(self._writer, self._target).tags
        ids = {tag.slug: tag.id for tag in there}
        for tag in self._expected.tags:
            if tag.slug not in ids:
                ids[tag.slug] = self._writer.create_tag(self._target.id, NewTag(tag.slug, tag.color or "")).id
                self._written.count("tag")
        return ids

    def _environments(self) -> None:
        for position, environment in enumerate(self._expected.environments, start=1):
            wanted = environment.environment
            if wanted.slug not in self._there:
                self._writer.create_environment(self._target.id, wanted.name, wanted.slug, position)
                self._written.count("environment")

    def _order(self, progress: Progress) -> None:
        """Put the environments in the export's order. Move one after the other to its place; the others shift.

        A vault that refuses leaves the order as it is: the restore reports that, and nothing depends on it.
        """
        there = projects_of(self._writer).get(self._target.slug)
        if there is None or not compare_order(self._expected, [one.slug for one in there.environments]):
            return
        ids = {environment.slug: environment.id for environment in there.environments}
        wanted = [one.environment.slug for one in self._expected.environments if one.environment.slug in ids]
        try:
            for position, slug in enumerate(wanted, start=1):
                self._writer.move_environment(self._target.id, ids[slug], position)
                self._written.count("environment", 0)
        except (CouldNotVerifyError, PermanentError) as error:
            progress(f"{self._target.slug}: the order of its environments stays as it is. {error.what}")

    def _folders(self, expected: OpenedEnvironment, actual: OpenedEnvironment) -> None:
        there = {folder.path for folder in actual.folders}
        missing = [folder for folder in expected.folders if folder.path not in there]
        for folder in sorted(missing, key=lambda one: (one.path.count("/"), one.path)):
            description = folder.folder.description if folder.folder else None
            self._writer.create_folder(self._target.id, expected.environment.slug, folder.path, description)
            self._written.count("folder")

    def _secrets(self, expected: OpenedEnvironment, actual: OpenedEnvironment, tag_ids: Mapping[str, str]) -> None:
        there = {folder.path: folder for folder in actual.folders}
        for folder in expected.folders:
            known = there.get(folder.path)
            new, later = self._rows(expected.environment.slug, folder, known, tag_ids)
            self._send(expected, folder.path, new, create=True)
            self._send(expected, folder.path, later, create=False)

    def _rows(
        self, environment: str, folder: OpenedFolder, known: OpenedFolder | None, tag_ids: Mapping[str, str]
    ) -> tuple[list[Row], list[Row]]:
        """The secrets to create, and those to update after that: reminders, and what is overwritten."""
        there = by_key(known.secrets) if known else {}
        new, later = [], []
        for raw in folder.secrets:
            secret = secret_of(raw)
            other = there.get(secret.secret_key)
            if other is None:
                new.append(row_of(secret, tag_ids))
                differing: tuple[str, ...] = (REMINDER_UNSET,) if has_reminder(secret) else ()
            else:
                differing = respects(secret, secret_of(other))
            if differing == (REMINDER_UNSET,) or (differing and self._overwrite):
                whole = row_of(secret, tag_ids, remind=True)
                later.append(whole if fits(whole, environment, folder.path) else reminder_of(secret))
        return new, later

    def _send(self, environment: OpenedEnvironment, path: str, rows: list[Row], *, create: bool) -> None:
        name = environment.environment.slug
        send = self._writer.create_secrets if create else self._writer.update_secrets
        where = f"{self._expected.project.slug}/{name}"
        for batch in batches(rows):
            places = {secret_place(where, path, row.key) for row in batch}
            try:
                done = send(self._target.id, name, path, [row.encoded for row in batch])
            except (TooLargeError, TransientError):  # it answers 500 as well
                if batch[0].size_bytes <= SHARED_BYTES:
                    raise
                self._written.too_large |= places  # reading back shows whether it is there; the rest continues
                continue
            self._written.count("secret", len(batch) if done and create else 0)
            if not done:
                self._written.held_back |= places

    def _imports(self, expected: OpenedEnvironment, there: Mapping[str, list[SecretImport]]) -> None:
        for folder in expected.folders:
            left = Counter(map(import_source, there.get(folder.path, [])))
            for link in in_order(folder.imports):
                source = import_source(link)
                if left[source]:
                    left[source] -= 1  # it already exists: the vault would accept a duplicate without an error
                    continue
                self._writer.create_import(self._target.id, expected.environment.slug, folder.path, source)
                self._written.count("import")
