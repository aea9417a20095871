"""A restore from start to end: plan, write, read back, compare item by item.

Success is claimed only for what was read back and is equal. After a failure, run the same restore again: it
reads what is there and continues from it; see docs/decisions/0014-restoring-a-vault.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from raxx_bcp.clients.infisical import Project
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp.vault.compare import MISSING, Compared, Difference
from raxx_bcp.vault.opening import OpenedExport
from raxx_bcp.vault.read_back import compare_with
from raxx_bcp.vault.restore_plan import (
    Action,
    ProjectPlan,
    RestorePlan,
    TargetNotEmptyError,
    action_for,
    plan_restore,
    told_of,
)
from raxx_bcp.vault.restore_write import Progress, Written, write_project
from raxx_bcp.vault.target import TargetProject, projects_of

HELD_BACK = "waits for approval in the vault"
REFUSED_SIZE = "too large for the vault or a proxy before it, which refused it: set it by hand (raxx-bcp vault get)"


@dataclass(frozen=True)
class Restored:
    """What a restore did and the result of reading everything back."""

    projects: tuple[Project, ...]
    """The projects as they are in the target now."""
    compared: Compared
    written: Written

    @property
    def approvals(self) -> int:
        """Secrets that an approval policy holds back: they are not restored."""
        return len(self.written.held_back)

    @property
    def ok(self) -> bool:
        """Is everything there that the export holds? Items that no call can bring back do not count."""
        return not self.compared.different and not self.compared.left_out

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: names and counts, no value."""
        return {
            "ok": self.ok,
            "projects": [{"slug": project.slug, "id": project.id} for project in self.projects],
            "write_calls": self.written.calls,
            "written": dict(self.written.items),
            "waiting_for_approval": self.approvals,
            **self.compared.as_dict(),
        }


def _silent(_message: str) -> None:
    pass


def _nobody(_project: Project) -> None:
    pass


def restore(
    document: OpenedExport,
    writer: InfisicalWriter,
    *,
    slug_of: Callable[[str], str] = lambda slug: slug,
    projects: Sequence[str] | None = None,
    overwrite: Sequence[str] = (),
    into_source: str = "",
    undelete: bool = False,
    progress: Progress = _silent,
    created: Callable[[Project], None] = _nobody,
) -> Restored:
    """Plan and carry out in one step. ``writer`` is already logged in; ``slug_of`` renames projects.

    ``created`` is called for each project right after it was made. Raises what ``plan_restore`` and
    ``carry_out`` raise.
    """
    plan = plan_restore(
        document,
        writer,
        slug_of=slug_of,
        projects=projects,
        overwrite=overwrite,
        into_source=into_source,
        undelete=undelete,
    )
    return carry_out(plan, writer, progress=progress, created=created)


def carry_out(
    plan: RestorePlan,
    writer: InfisicalWriter,
    *,
    progress: Progress = _silent,
    created: Callable[[Project], None] = _nobody,
) -> Restored:
    """Write what ``plan`` says, read it back and compare.

    Raises what the client raises, with what was already written added to the sentence; ``UsageError`` where the
    plan would write into the export's own vault and nobody has named it.
    """
    plan.require_consent_for_source()
    written = Written()
    finished: list[str] = []
    with _told(plan, written, finished, progress):
        for planned in plan.projects:
            project = _undeleted(writer, planned, written, progress, plan.left_out) if planned.held else planned
            target = project.existing or _create(writer, project, written, created)
            if project.action is not Action.NOTHING:
                write_project(writer, project, target, written, progress)
            finished.append(project.slug)
        compared = Compared(left_out=list(plan.left_out))
        there = projects_of(writer)
        for project in plan.projects:
            compared.add(_read_back(writer, project, there.get(project.slug), written, plan.left_out))
            progress(f"read {project.slug} back")
    done = tuple(there[project.slug].as_project() for project in plan.projects if project.slug in there)
    return Restored(done, compared, written)


def _undeleted(
    writer: InfisicalWriter,
    plan: ProjectPlan,
    written: Written,
    progress: Progress,
    left_out: Sequence[Difference],
) -> ProjectPlan:
    """Restore its deleted environments, then look again: their contents could not be seen before."""
    for one in plan.held:
        if plan.existing is not None:
            writer.undelete_environment(plan.existing.id, one.id)
            written.count("environment")
            progress(f"brought {plan.slug}/{one.slug} back, which was deleted")
    target = projects_of(writer).get(plan.slug)
    if target is None:
        raise PermanentError(
            f"The project {plan.slug} went away while its environments were brought back.",
            "Somebody else is at work in that vault: ask, then run it again.",
        )
    compared = compare_with(writer, plan.expected, target).except_for(left_out)
    action = action_for(compared, overwrite=plan.overwrite)
    if action is None:
        back = ", ".join(one.slug for one in plan.held)
        raise TargetNotEmptyError(
            f"What was brought back ({back}) is not as in the export: {told_of(plan.slug, compared)}.",
            f"Look at them in the vault; --overwrite {plan.slug} gives the export's values to them, and keeps what the "
            "export does not have.",
        )
    return replace(plan, action=action, existing=target, already=compared.equal_count, held=())


def _create(
    writer: InfisicalWriter, plan: ProjectPlan, written: Written, created: Callable[[Project], None]
) -> TargetProject:
    fields = plan.expected.project
    project = writer.create_project(fields.name, plan.slug, fields.description, fields.type)
    created(project)
    written.count("project")
    return TargetProject(project.id, project.name, project.slug, fields.type, list(project.environments))


def _read_back(
    writer: InfisicalWriter,
    plan: ProjectPlan,
    target: TargetProject | None,
    written: Written,
    left_out: Sequence[Difference],
) -> Compared:
    if target is None:
        return Compared(different=[Difference("project", plan.expected.project.slug, MISSING)])
    found = compare_with(writer, plan.expected, target, made_by_us=plan.existing is None).except_for(left_out)
    missing = {one.where for one in found.different if one.kind == "secret" and one.why == MISSING}
    refused = missing & written.too_large
    found.left_out += [Difference("secret", where, REFUSED_SIZE) for where in sorted(refused)]
    found.different = [
        one._replace(why=HELD_BACK) if one.kind == "secret" and one.where in written.held_back else one
        for one in found.different
        if one.kind != "secret" or one.where not in refused
    ]
    return found


@contextmanager
def _told(plan: RestorePlan, written: Written, finished: Sequence[str], progress: Progress) -> Iterator[None]:
    """Add to a failure how far the restore had come: the error reports every partial write."""
    try:
        yield
    except KeyboardInterrupt:
        progress(f"interrupted. {_so_far(plan, written, finished)}")
        raise
    except BcpError as error:
        kinds = (TransientError, CouldNotVerifyError, PermanentError)
        kind = next((kind for kind in kinds if isinstance(error, kind)), PermanentError)
        raise kind(f"{error.what} {_so_far(plan, written, finished)}", error.remedy) from error


def _so_far(plan: RestorePlan, written: Written, finished: Sequence[str]) -> str:
    if not written.calls:
        return "This run has written nothing for certain."
    whole = f"written whole: {', '.join(finished)}" if finished else "no project is whole"
    begun = [project.slug for project in plan.projects if project.slug not in finished]
    rest = f"; not whole: {', '.join(begun)}" if begun else ""
    return f"{written.items.total()} items are written ({whole}{rest}); run it again to go on from there."
