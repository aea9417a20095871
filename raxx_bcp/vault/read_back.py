"""A project of the target, read by the same calls as an export reads it, compared with what it should be."""

from __future__ import annotations

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.vault.compare import Compared, compare_environment, compare_heads, compare_order
from raxx_bcp.vault.opening import OpenedProject
from raxx_bcp.vault.target import TargetProject, read_environment, read_head


def compare_with(
    vault: Infisical, expected: OpenedProject, there: TargetProject, *, made_by_us: bool = False
) -> Compared:
    """One environment at a time, so that no more than one is in memory.

    ``made_by_us``: the project was empty before this run, so it asks for imports only in folders that should have
    some.
    """
    slug = expected.project.slug
    found = compare_heads(expected, read_head(vault, there))
    found.order += compare_order(expected, [environment.slug for environment in there.environments])
    wanted = {environment.environment.slug: environment for environment in expected.environments}
    for environment in there.environments:
        one = wanted.pop(environment.slug, None)
        ours = {folder.path for folder in one.folders if folder.imports} if one and made_by_us else None
        found.add(compare_environment(slug, one, read_environment(vault, there.id, environment, ours)))
    for missing in wanted.values():
        found.add(compare_environment(slug, missing, None))
    return found
