"""References between secrets: ``${KEY}`` in the same folder, ``${env.folder.KEY}`` elsewhere."""

from __future__ import annotations

import re

from raxx_bcp_sandbox.infisical.faults import View
from raxx_bcp_sandbox.infisical.permissions import Permission
from raxx_bcp_sandbox.infisical.state import Folder, Secret

REFERENCE = re.compile(r"\$\{([a-zA-Z0-9_.-]+)\}")
DEEPEST = 10


def expand(secret: Secret, view: View, permission: Permission, depth: int = 0) -> str:
    """The value with every reference replaced; a broken one becomes ``""`` (captures 25 and 25b).

    ``${ notref }`` is text, not a reference. A reference to something that the reader may not read counts as broken.
    """
    if "${" not in secret.value or depth > DEEPEST:
        return secret.value

    def replacement(match: re.Match[str]) -> str:
        target = _target(match.group(1), secret.folder, view)
        if target is None or not may_read(target, permission):
            return ""
        return expand(target, view, permission, depth + 1)

    return REFERENCE.sub(replacement, secret.value)


def may_read(secret: Secret, permission: Permission) -> bool:
    """May the reader see this secret's value?"""
    environment = secret.folder.environment.slug
    return permission.can("readValue", "secrets", environment=environment, secretPath=secret.folder.path)


def _target(reference: str, folder: Folder, view: View) -> Secret | None:
    head, *middle = reference.split(".")
    if not middle:
        return view.secrets_in(folder).get(head)
    environment = folder.environment.project.environments.get(head)
    if environment is None:
        return None
    elsewhere = environment.folders.get("/" + "/".join(middle[:-1]))
    return None if elsewhere is None else view.secrets_in(elsewhere).get(middle[-1])
