"""What an operator can break, and the view of the vault that results.

A fault never changes the world: every read goes through ``View``, which leaves out or alters what the active faults
affect. Switching a fault off therefore shows the healthy vault again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from raxx_bcp_sandbox.infisical.permissions import Permission, permission_of
from raxx_bcp_sandbox.infisical.state import Actor, Environment, Folder, Membership, Project, Role, Secret
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_sandbox.stand_in import Faults

PAYMENTS = "raxx-payments"
OPS = "raxx-ops"
KNOWN = {
    "vault-down": "The vault answers every call with 503.",
    "vault-login-refused": "The exporter's client secret is revoked: its login answers 401.",
    "vault-role-weakened": "The exporter's role in raxx-payments is no-access: 403 on its secrets.",
    "vault-project-left": "The exporter is no longer a member of raxx-payments, which silently leaves its list.",
    "vault-partial-permission": (
        "A custom role replaces the exporter's role in raxx-ops: it reads one folder, and the rest is "
        "silently left out with status 200."
    ),
    "vault-deny-privilege": (
        "An additional privilege in raxx-payments denies the exporter the production secrets; its role stays "
        "Viewer, and they are silently left out with status 200."
    ),
    "vault-hidden-values": "Every secret value comes as <hidden-by-infisical>.",
    "vault-emptied": "All secrets are gone; projects, environments and folders stay.",
    "vault-no-projects": "The vault has no projects, as after a start on a blank database.",
    "vault-shrunk": "60 % of all secrets are gone, and the folders' times agree with it.",
    "vault-folder-silent": "One folder says that it has secrets (lastSecretModified) but lists none: it was emptied.",
    "vault-error-page": "One environment's secret list answers with a 502 HTML page.",
    "vault-error-body": 'One environment\'s secret list answers 200 with {"error": "401"}.',
    "vault-rate-limited": "The first two calls of each kind answer 429 with retry-after: 1.",
    "vault-token-expires": "Access tokens live 2 seconds.",
    "vault-token-uses-limited": "The exporter's access tokens may be used 20 times each (accessTokenNumUsesLimit).",
    "vault-slow": "Each call is delayed by 200 ms.",
    "vault-approvals": (
        "An approval policy watches every folder: writing secrets answers 200 with an approval request, and "
        "nothing is written."
    ),
    "vault-write-lost": "The first write of each kind is done, and the connection breaks before its answer is there.",
}
DENY_PRODUCTION: dict[str, Any] = {
    "slug": "no-production-secrets",
    "isTemporary": False,
    "permissions": [
        {
            "subject": "secrets",
            "action": ["describeSecret", "readValue"],
            "conditions": {"environment": {"$eq": "prod"}},
            "inverted": True,
        }
    ],
}
REFUSED_FIRST = 2
SHRUNK_BY = 0.6
NO_SECRETS: dict[str, Secret] = {}


class VaultFaults(Faults):
    """The faults of the vault, and what ``vault-rate-limited`` and ``vault-write-lost`` have counted."""

    def __init__(self) -> None:
        super().__init__(KNOWN)
        self._refused: Counter[str] = Counter()
        self._lost: set[str] = set()

    def switch(self, name: str, *, on: bool) -> None:
        """Switch fault ``name``; its counters start again."""
        super().switch(name, on=on)
        self._refused.clear()
        self._lost.clear()

    def refuse_call(self, kind: str) -> bool:
        """Must this call get a 429? True for the first two of each kind while the fault is on."""
        if not self.on("vault-rate-limited") or self._refused[kind] >= REFUSED_FIRST:
            return False
        self._refused[kind] += 1
        return True

    def lose_answer(self, kind: str) -> bool:
        """Must the answer to this successful write get lost? True once for each kind while the fault is on."""
        if not self.on("vault-write-lost") or kind in self._lost:
            return False
        self._lost.add(kind)
        return True


class View:
    """The world as its clients see it."""

    def __init__(self, world: World, faults: VaultFaults) -> None:
        self.world = world
        self.faults = faults
        self._lost: tuple[int, frozenset[str]] | None = None

    def project(self, project_id: str) -> Project | None:
        """The project with this id."""
        return None if self.faults.on("vault-no-projects") else self.world.projects.get(project_id)

    def projects(self) -> list[Project]:
        """All projects of the organisation, in the vault's order."""
        return [] if self.faults.on("vault-no-projects") else list(self.world.projects_in_order())

    def membership(self, project: Project, actor: Actor) -> Membership | None:
        """The actor's membership in a project, or None."""
        membership = project.members.get(actor.id)
        if membership is None or actor.id != self.world.exporter_id:
            return membership
        if project is self.victim(PAYMENTS):
            if self.faults.on("vault-project-left"):
                return None
            if self.faults.on("vault-role-weakened"):
                role = replace(membership.roles[0], slug="no-access")
                return replace(membership, roles=[role], privileges=[])
            if self.faults.on("vault-deny-privilege"):
                return replace(membership, privileges=[*membership.privileges, DENY_PRODUCTION])
        if project is self.victim(OPS) and self.faults.on("vault-partial-permission"):
            return self._partial(project, membership)
        return membership

    def permission(self, project: Project, actor: Actor) -> Permission | None:
        """What the actor may do in a project, or None when it is not a member."""
        membership = self.membership(project, actor)
        return None if membership is None else permission_of(membership)

    def hides_values(self) -> bool:
        """Are all values hidden?"""
        return self.faults.on("vault-hidden-values")

    def secrets_in(self, folder: Folder) -> dict[str, Secret]:
        """The secrets that a folder lists."""
        if self.faults.on("vault-emptied") or not folder.secrets:
            return NO_SECRETS
        if self.faults.on("vault-folder-silent") and folder is self.silent_folder():
            return NO_SECRETS
        if self.faults.on("vault-shrunk"):
            lost = self._lost_secrets()
            return {key: secret for key, secret in folder.secrets.items() if secret.id not in lost}
        return folder.secrets

    def last_secret_modified(self, folder: Folder) -> str | None:
        """The folder's own time of the last change of a secret in it."""
        gone = self.faults.on("vault-emptied") or self.faults.on("vault-shrunk")
        if gone and folder.secrets and not self.secrets_in(folder):
            return None
        return folder.last_secret_modified

    def breaks_list_of(self, environment: Environment) -> str | None:
        """The fault, if any, that spoils this environment's secret list: ``page`` or ``body``."""
        victim = self.victim(PAYMENTS)
        if victim is None or environment is not victim.ordered_environments()[-1]:
            return None
        if self.faults.on("vault-error-page"):
            return "page"
        return "body" if self.faults.on("vault-error-body") else None

    def victim(self, slug: str) -> Project | None:
        """The project that a fault affects: the one with this slug, or else the last one with environments."""
        found = self.world.project_by_slug(slug)
        if found is not None:
            return found
        usable = [project for project in self.world.projects_in_order() if project.environments]
        return usable[-1] if usable else None

    def silent_folder(self) -> Folder | None:
        """The folder that ``vault-folder-silent`` affects: the first one below a root that has secrets."""
        for project in self.world.projects_in_order():
            for environment in project.ordered_environments():
                for path, folder in sorted(environment.folders.items()):
                    if path != "/" and folder.secrets:
                        return folder
        return None

    def readable_path(self, project: Project) -> str:
        """The one path that ``vault-partial-permission`` leaves readable."""
        paths = {
            path
            for environment in project.environments.values()
            for path, folder in environment.folders.items()
            if path != "/" and folder.secrets
        }
        return min(paths, default="/")

    def _partial(self, project: Project, membership: Membership) -> Membership:
        where = {"secretPath": {"$eq": self.readable_path(project)}}
        see = {"subject": "secrets", "action": ["describeSecret", "readValue"], "conditions": where}
        readable = ("environments", "identity", "role", "secret-folders", "secret-imports", "tags")
        permissions: list[dict[str, Any]] = [{"subject": one, "action": ["read"]} for one in readable]
        role = Role(membership.roles[0].id, "custom", "One folder only", "one-folder-only")
        return replace(membership, roles=[role], privileges=[{"permissions": [*permissions, see]}])

    def _lost_secrets(self) -> frozenset[str]:
        if self._lost is None or self._lost[0] != self.world.revision:
            ordered = sorted(self.world.secrets)
            self._lost = (self.world.revision, frozenset(ordered[: round(len(ordered) * SHRUNK_BY)]))
        return self._lost[1]
