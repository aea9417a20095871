"""What the export's drill concludes from a restore: each kind of item equal, different, or impossible to bring back."""

from __future__ import annotations

from collections import Counter
from typing import Final

from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.vault.compare import KINDS, Compared
from raxx_bcp.vault.opening import OpenedExport
from raxx_bcp.vault.restore import Restored

APPROVALS: Final = "nothing waits for approval"
EQUAL: Final = {kind: f"{kind}s equal" for kind in KINDS}
"""The check of each kind of item that is compared."""
_MOST_TOLD: Final = 20
"""How many differences the progress names; the record only counts them."""


def judge(drill: Drill, document: OpenedExport, restored: Restored) -> None:
    """Record a check for each kind of item. An item that the API cannot restore was not verified, so it is no pass."""
    if restored.approvals:
        held = f"{restored.approvals} secrets wait for approval: the throwaway vault answered 200 and wrote nothing"
        for name in (APPROVALS, *EQUAL.values()):
            drill.not_run(name, held)
        return
    drill.check(APPROVALS, expected=0, actual=0)
    totals, compared = _totals(document), restored.compared
    for kind, name in EQUAL.items():
        _equal(drill, kind, name, totals[kind], compared)
    for one in compared.different[:_MOST_TOLD]:
        drill.progress(f"differs: {one.kind} {one.where}: {one.why}")
    for one in compared.left_out[:_MOST_TOLD]:
        drill.progress(f"cannot be restored: {one.kind} {one.where}: {one.why}")
    if compared.order:
        drill.findings.append(f"The environments of {len(compared.order)} projects stand in another order.")
    if compared.left_out:
        whys = Counter(one.why for one in compared.left_out)
        told = "; ".join(f"{count} {why}" for why, count in whys.most_common())
        drill.findings.append(f"No API call can bring back {len(compared.left_out)} items: {told}.")


def _equal(drill: Drill, kind: str, name: str, total: int, compared: Compared) -> None:
    """Record whether every item of one kind is equal. Puts no name on record."""
    equal, different = compared.equal[kind], compared.differing(kind)
    left_out = sum(one.kind == kind for one in compared.left_out)
    if left_out and not different and equal + left_out == total:
        drill.not_run(
            name, f"all but {left_out} of {total}: no API call can bring them back", expected=f"{total} equal"
        )
        return
    altered = compared.normalised if kind == "secret" else Counter[str]()
    notes = [f"{left_out} cannot be restored"] if left_out else []
    notes += [f"{count} {what}" for what, count in altered.items() if count]
    whys = Counter(one.why for one in compared.different if one.kind == kind)
    told = ", ".join(f"{count} {why}" for why, count in whys.most_common())
    drill.check(
        name,
        expected=f"{total} equal",
        actual=", ".join([f"{equal} equal", *notes]),
        ok=not different and equal == total,
        reason=f"{different} differ: {told}" if different else f"{total - equal - left_out} were not compared",
    )


def _totals(document: OpenedExport) -> dict[str, int]:
    projects = document.projects
    environments = [environment for project in projects for environment in project.environments]
    folders = [folder for environment in environments for folder in environment.folders]
    return {
        "project": len(projects),
        "tag": sum(len(project.tags) for project in projects),
        "environment": len(environments),
        "folder": sum(folder.folder is not None for folder in folders),
        "secret": document.secret_count,
        "import": sum(len(folder.imports) for folder in folders),
    }
