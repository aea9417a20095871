"""Raxx's vault at a sandbox's start: three projects, about 300 secrets, and every shape that matters.

Ids, times and values depend on names only, so the same seed gives the same vault. Each value that is not empty has a
unique marker such as ``rxs_5d41402abc4b2a76b9719d91``, so that a test can search logs, reports and files for any of
them.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from raxx_bcp_sandbox.infisical.identities import Credentials, add_identities
from raxx_bcp_sandbox.infisical.state import Actor, Clock, Environment, Folder, Project, Secret
from raxx_bcp_sandbox.infisical.world import World

SEEDED_AT = 1_767_600_000.0
STEP_S = 7.25
PLATFORM, PAYMENTS, OPS = "raxx-platform", "raxx-payments", "raxx-ops"
PLANS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    PLATFORM: ("Raxx Platform", "Web, API and jobs", ("/", "/api", "/api/internal", "/shared", "/web")),
    PAYMENTS: ("Raxx Payments", "Card payments and payouts", ("/", "/cards", "/cards/acquirer", "/payouts")),
    OPS: ("Raxx Ops – Betrieb", "On-call, backups, DNS", ("/", "/backups", "/runbooks", "/runbooks/dns/zones")),
}
EMPTY_FOLDERS = {PLATFORM: "/archive/2024", PAYMENTS: "/sandbox-cards", OPS: "/retired"}
TAGS = (("critical", "#e03131"), ("rotate-quarterly", "#f08c00"), ("customer-data", "#1971c2"))
KEYS = ("API_TOKEN", "DB_HOST", "DB_PASSWORD", "SESSION_KEY", "WEBHOOK_SECRET", "WORKER_KEY")


def marker(*where: str) -> str:
    """The marker in a seeded value: always the same for one place, and different for every other."""
    return "rxs_" + hashlib.sha256("\0".join(where).encode()).hexdigest()[:24]


class SeedClock:
    """The clock during seeding: it starts at a fixed moment and advances at every reading."""

    def __init__(self) -> None:
        self.now = SEEDED_AT

    def __call__(self) -> float:
        """The next moment."""
        self.now += STEP_S
        return self.now


def blank_world(clock: Clock, *, name: str = "Raxx", slug: str = "raxx-k3-p7") -> World:
    """An empty organisation; its id derives from its slug."""
    return World(org_name=name, org_slug=slug, clock=clock)


def empty_world(credentials: Credentials, clock: Clock = time.time) -> World:
    """A vault with its identities and no project: its organisation is not Raxx's, as in each new vault."""
    world = blank_world(SeedClock(), name="Raxx Drill", slug="raxx-drill-v5-n2")
    add_identities(world, credentials)
    world.clock = clock
    return world


def raxx_world(credentials: Credentials, clock: Clock = time.time) -> World:
    """The seeded vault. After seeding, the world's time is ``clock``."""
    world = blank_world(SeedClock())
    exporter, org_admin, _ = add_identities(world, credentials)
    owner = world.add_actor("ops@raxx.example", kind="user", org_role="admin")
    for slug, (name, description, paths) in PLANS.items():
        project = world.add_project(name, slug, creator=owner, description=description)
        world.add_member(project, exporter, "viewer")
        if slug == PLATFORM:
            world.add_environment(project, "Pull request previews", "preview")
            world.add_member(project, org_admin, "viewer")
        for tag, color in TAGS:
            world.add_tag(project, tag, color, owner)
        for environment in project.ordered_environments():
            _fill(world, environment, paths, owner)
        _link(world, project)
    world.clock = clock
    return world


def _fill(world: World, environment: Environment, paths: tuple[str, ...], owner: Actor) -> None:
    slug = environment.project.slug
    for path in paths:
        folder = environment.folders["/"]
        if path != "/":
            folder = world.add_folder(environment, path, f"{path.strip('/')} of {environment.name}")
        for key in KEYS:
            _set(world, folder, key, f"{key.lower()}.{marker(slug, environment.slug, path, key)}", owner)
    world.add_folder(environment, EMPTY_FOLDERS[slug])
    _special(world, environment, owner)


def _set(world: World, folder: Folder, key: str, value: str, owner: Actor, **fields: Any) -> Secret:
    secret = world.add_secret(folder, key, value, actor=owner)
    for name, given in fields.items():
        setattr(secret, name, given)
    world.change_secret(secret, actor=owner, new_version=False)
    return secret


def _special(world: World, environment: Environment, owner: Actor) -> None:
    """The shapes that break naive exports, in the root of each environment."""
    root = environment.folders["/"]
    project = environment.project
    slug = environment.slug

    def mark(key: str) -> str:
        return marker(project.slug, slug, "special", key)

    def put(key: str, value: str, **fields: Any) -> None:
        _set(world, root, key, value, owner, **fields)

    tags = project.tags
    put("DB_URL", f"postgres://raxx:${{DB_PASSWORD}}@${{DB_HOST}}:5432/{mark('DB_URL')}")
    put("TLS_PRIVATE_KEY", _pem("PRIVATE KEY", mark("TLS_PRIVATE_KEY")), skip_multiline=True)
    put("TLS_CERTIFICATE", _pem("CERTIFICATE", mark("TLS_CERTIFICATE")))
    put("GRÜSSE_日本語", f"Grüße 🌍 日本語 {mark('GRÜSSE_日本語')}", comment="schlüssel – ключ")
    put("EMPTY", "")
    if slug == "dev":
        put("BROKEN_REFERENCE", f"${{NOT_THERE}}/{mark('BROKEN_REFERENCE')}")
        put("SHELL_TEXT", f"$HOME ${{ not a reference }} $$ %d {mark('SHELL_TEXT')}")
    if slug == "staging":
        note = "Ask the acquirer two weeks ahead"
        put("WITH_REMINDER", mark("WITH_REMINDER"), reminder_note=note, reminder_days=90)
        put("FROM_DEV", f"${{dev.{_first_filled(environment)}.API_TOKEN}}#{mark('FROM_DEV')}")
    if slug == "prod":
        metadata = [
            {"key": "break-glass", "value": mark("break-glass"), "isEncrypted": True},
            {"key": "owner", "value": "platform-team", "isEncrypted": False},
        ]
        both = [tags["critical"], tags["rotate-quarterly"]]
        comment = "first line\nsecond line – ünïcode"
        put("ROOT_KEY", mark("ROOT_KEY"), comment=comment, tags=both, metadata=metadata)
        put("CUSTOMERS_JSON", f'{{"key": "{mark("CUSTOMERS_JSON")}", "n": [1, 2]}}', tags=[tags["customer-data"]])
        rotation = world.new_id("rotation", project.slug)
        put("ROTATED_DB_PASSWORD", mark("ROTATED_DB_PASSWORD"), rotation_id=rotation)


def _pem(kind: str, mark: str) -> str:
    body = hashlib.sha256(mark.encode()).hexdigest()
    return f"-----BEGIN {kind}-----\n{mark}\n{body[:32]}\n{body[32:]}\n-----END {kind}-----\n"


def _link(world: World, project: Project) -> None:
    """Imports: in order, from another environment, from a folder that is not there."""
    dev, staging, prod = (project.environments[slug] for slug in ("dev", "staging", "prod"))
    below = "/" + _first_filled(dev)
    world.add_import(dev.folders["/"], dev, below)
    world.add_import(dev.folders["/"], staging, "/")
    world.add_import(dev.folders[below], staging, below)
    world.add_import(prod.folders["/"], staging, "/")
    world.add_import(prod.folders["/"], prod, below)
    world.add_import(prod.folders["/"], dev, "/does-not-exist")


def _first_filled(environment: Environment) -> str:
    return min(
        path for path, folder in environment.folders.items() if folder.secrets and path.count("/") == 1 and path != "/"
    ).strip("/")


def expected_items(world: World) -> list[dict[str, Any]]:
    """What a complete export must contain, as plain data, one entry a project, in a stable order."""
    return [_expected_project(project) for project in world.projects_in_order()]


def _expected_project(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "slug": project.slug,
        "description": project.description,
        "tags": [{"slug": tag.slug, "color": tag.color} for tag in project.tags.values()],
        "environments": [_expected_environment(one) for one in project.ordered_environments()],
    }


def _expected_environment(environment: Environment) -> dict[str, Any]:
    folders = sorted(environment.folders.values(), key=lambda folder: folder.path)
    return {
        "name": environment.name,
        "slug": environment.slug,
        "position": environment.position,
        "folders": [
            {"path": folder.path, "description": folder.description} for folder in folders if folder.path != "/"
        ],
        "secrets": [
            _expected_secret(secret)
            for folder in folders
            for secret in sorted(folder.secrets.values(), key=lambda one: one.key)
        ],
        "imports": [
            {
                "path": folder.path,
                "position": link.position,
                "source_environment": link.source.slug,
                "source_path": link.path,
            }
            for folder in folders
            for link in folder.imports
        ],
    }


def _expected_secret(secret: Secret) -> dict[str, Any]:
    return {
        "path": secret.folder.path,
        "key": secret.key,
        "value": secret.value,
        "comment": secret.comment,
        "skip_multiline_encoding": secret.skip_multiline,
        "tags": [tag.slug for tag in secret.tags],
        "metadata": secret.metadata,
        "reminder_note": secret.reminder_note,
        "reminder_repeat_days": secret.reminder_days,
        "is_rotated": secret.rotation_id is not None,
    }
