"""Reading everything but secrets: projects, folders, imports, tags, roles, memberships."""

from __future__ import annotations

import uuid
from typing import Any

from raxx_bcp_sandbox.infisical import shapes
from raxx_bcp_sandbox.infisical.call import Call, folder_of
from raxx_bcp_sandbox.infisical.errors import bad_request, denied, forbidden, not_found, people_only
from raxx_bcp_sandbox.infisical.state import Folder, Project, clean_path, depth_of

Json = dict[str, Any]
ROLES = (
    ("Admin", "Full administrative access over a project", "admin"),
    ("Member", "Limited read/write role in a project", "member"),
    ("Viewer", "Only read role in a project", "viewer"),
    ("No Access", "No access to any resources in the project", "no-access"),
)


def status(call: Call) -> Json:
    """``GET /api/status``, without a token [model: the server's own source]."""
    return {
        "date": call.world.now(),
        "message": "Ok",
        "emailConfigured": False,
        "inviteOnlySignup": False,
        "redisConfigured": True,
        "secretScanningConfigured": False,
        "samlDefaultOrgSlug": call.world.org_slug,
    }


def _joined(call: Call) -> list[Project]:
    kind = call.query.get("type")
    return [
        project
        for project in call.view.projects()
        if (kind is None or project.kind == kind) and call.view.membership(project, call.actor)
    ]


def list_projects(call: Call) -> Json:
    """``GET /api/v1/projects``: joined ones only, ``[]`` for a non-member (21, 21b, 23c, 44f, 44g)."""
    return {"projects": [shapes.project_full(project, call.world) for project in _joined(call)]}


def list_workspaces(call: Call) -> Json:
    """``GET /api/v1/workspace``, the older name (21c)."""
    rows = [shapes.project_full(project, call.world, legacy=True) for project in _joined(call)]
    return {"workspaces": rows}


def get_project(call: Call) -> Json:
    """``GET /api/v1/projects/{id}`` (22, 45c)."""
    project, _ = call.project(call.path["project"])
    return {"project": shapes.project_full(project, call.world)}


def get_project_by_slug(call: Call) -> Json:
    """``GET /api/v1/projects/slug/{slug}``: the project itself, not wrapped (22b)."""
    slug = call.path["slug"]
    found = call.world.project_by_slug(slug)
    if found is None or call.view.project(found.id) is None:
        raise not_found(f"Project with slug '{slug}' not found")
    call.permission(found)
    return shapes.project_full(found, call.world)


def admin_projects(call: Call) -> Json:
    """``GET /api/v1/organization-admin/projects``: all projects, for org admins only (23*)."""
    fields = call.query_fields()
    offset = fields.bounded("offset", default=0, least=0)
    limit = fields.bounded("limit", default=50, least=1, most=100)
    fields.done()
    if call.actor.org_role != "admin":
        raise denied("access-all-projects", "organization-admin-console")
    projects = call.view.projects()
    page = [shapes.project_row(project, call.world) for project in projects[offset : offset + limit]]
    return {"projects": page, "count": len(projects)}


def list_folders(call: Call) -> Json:
    """``GET /api/v2/folders``: by depth and name; a missing path gives 200 ``[]`` (24*, 44c, 52b)."""
    return _folders(call, "projectId")


def list_folders_v1(call: Call) -> Json:
    """``GET /api/v1/folders``, whose project parameter is ``workspaceId`` (24f)."""
    return _folders(call, "workspaceId")


def _folders(call: Call, project_parameter: str) -> Json:
    fields = call.query_fields()
    project_id = fields.text(project_parameter)
    slug = fields.text("environment")
    path = clean_path(fields.text("path"))
    recursive = fields.flag("recursive", default=False)
    fields.done()
    project, _ = call.project(project_id)
    environment = project.environments.get(slug)
    if environment is None:
        raise not_found(f"Environment with slug '{slug}' not found")
    start = environment.folders.get(path)
    if start is None:
        return {"folders": []}
    if not recursive:
        children = [folder for folder in environment.folders.values() if folder.parent_id == start.id]
        return {"folders": [_folder(call, one) for one in sorted(children, key=lambda one: one.name)]}
    below = "/" if path == "/" else path + "/"
    found = [folder for folder in environment.folders.values() if folder is not start and folder.path.startswith(below)]
    found.sort(key=lambda folder: (depth_of(folder.path), folder.name))
    prefix = len(below) - 1
    return {"folders": [{**_folder(call, one), "relativePath": one.path[prefix:]} for one in found]}


def _folder(call: Call, folder: Folder) -> Json:
    return shapes.folder_full(folder, call.view.last_secret_modified(folder))


def list_imports(call: Call) -> Json:
    """``GET /api/v2/secret-imports``: one folder's imports by position (27*, 44d)."""
    fields = call.query_fields()
    project_id = fields.text("projectId")
    slug = fields.text("environment")
    path = clean_path(call.query.get("path", "/"))
    fields.done()
    project, permission = call.project(project_id)
    permission.require("read", "secret-imports", environment=slug, secretPath=path)
    folder = folder_of(project, slug, path, "Get imports")
    shown = [link for link in folder.imports if link.source.deleted is None]  # seen: they vanish with their source
    rows = sorted(shown, key=lambda link: link.position)
    return {
        "message": "Successfully fetched secret imports",
        "secretImports": [shapes.import_full(link, listed=True) for link in rows],
    }


def list_tags(call: Call) -> Json:
    """``GET /api/v1/projects/{id}/tags`` (28, 44e)."""
    project, permission = call.project(call.path["project"])
    permission.require("read", "tags")
    return {"tags": [shapes.tag_full(tag, project) for tag in project.tags.values()]}


def list_roles(call: Call) -> Json:
    """``GET /api/v1/projects/{id}/roles``: the built-in four (33)."""
    project, permission = call.project(call.path["project"])
    permission.require("read", "role")
    now = call.world.now()
    rows = [
        {
            "id": str(uuid.uuid5(uuid.UUID(project.id), f"role {slug}")),
            "name": name,
            "description": description,
            "slug": slug,
            "createdAt": now,
            "updatedAt": now,
            "projectId": project.id,
        }
        for name, description, slug in ROLES
    ]
    return {"roles": rows}


def project_identities(call: Call) -> Json:
    """``GET /api/v1/projects/{id}/memberships/identities`` (33b)."""
    project, permission = call.project(call.path["project"])
    permission.require("read", "identity")
    found = [call.view.membership(project, one.actor) for one in project.members.values()]
    rows = [one for one in found if one is not None and one.actor.kind == "identity"]
    rows.sort(key=lambda membership: membership.id)
    return {
        "identityMemberships": [shapes.membership_row(one, call.world) for one in rows],
        "totalCount": len(rows),
    }


def project_identity(call: Call) -> Json:
    """``GET /api/v1/projects/{id}/memberships/identities/{identity}``: also one's own (54, 54b)."""
    project, permission = call.project(call.path["project"])
    permission.require("read", "identity")
    identity = call.path["identity"]
    member = project.members.get(identity)
    membership = call.view.membership(project, member.actor) if member else None
    if membership is None:
        raise not_found(f"Identity with ID '{identity}' is not a member of project with ID '{project.id}'")
    return {"identityMembership": shapes.membership_full(membership, call.world)}


def own_privileges(call: Call) -> Json:
    """``GET /api/v1/additional-privilege/identity``: an identity may read its own, including temporary ones [run]."""
    fields = call.query_fields()
    identity = fields.text("identityId")
    slug = fields.text("projectSlug")
    fields.done()
    project = next((one for one in call.view.projects() if one.slug == slug), None)
    if project is None:
        raise not_found(f"Project with slug '{slug}' not found")
    permission = call.permission(project)
    if identity != call.actor.id:
        permission.require("read", "identity")
    member = project.members.get(identity)
    membership = call.view.membership(project, member.actor) if member else None
    if membership is None:
        raise not_found(f"Failed to find identity with id {identity}")
    # Those without a slug are the rules of a custom role, which the world stores in the same place.
    return {"privileges": [one for one in membership.privileges if "slug" in one]}


def identity_details(call: Call) -> Json:
    """``GET /api/v1/identities/details``: the caller's organisation (34)."""
    world = call.world
    organization = {"id": world.org_id, "name": world.org_name, "slug": world.org_slug}
    return {"identityDetails": {"organization": organization}}


def get_identity(call: Call) -> Json:
    """``GET /api/v1/identities/{id}``: needs an organisation role that reads identities (54c)."""
    _require_org_reader(call)
    actor = call.world.actors.get(call.path["identity"])
    if actor is None:
        raise not_found(f"Identity with ID '{call.path['identity']}' not found")
    return {"identity": {"id": actor.membership_id, "identityId": actor.id, "role": actor.org_role}}


def get_universal_auth(call: Call) -> Json:
    """``GET /api/v1/auth/universal-auth/identities/{id}``: needs a role that reads identities (54c) [model]."""
    _require_org_reader(call)
    actor = call.world.actors.get(call.path["identity"])
    if actor is None or actor.auth is None:
        raise not_found(f"Failed to find identity with ID {call.path['identity']}")
    auth, few_uses = actor.auth, call.view.faults.on("vault-token-uses-limited")
    return {
        "identityUniversalAuth": {
            "id": auth.id,
            "clientId": auth.client_id,
            "accessTokenTTL": auth.ttl,
            "accessTokenMaxTTL": auth.max_ttl,
            "accessTokenNumUsesLimit": call.authority.uses_limit(actor, few_uses=few_uses),
            "identityId": actor.id,
        }
    }


def identity_memberships(call: Call) -> Json:
    """``GET /api/v1/identities/{id}/identity-memberships`` (54d, 54e)."""
    _require_org_reader(call)
    rows = []
    for project in sorted(call.world.projects.values(), key=lambda one: one.order):
        member = project.members.get(call.path["identity"])
        membership = call.view.membership(project, member.actor) if member else None
        if membership is not None:
            rows.append(shapes.membership_of_identity(membership, project))
    return {"identityMemberships": rows}


def _require_org_reader(call: Call) -> None:
    if call.actor.org_role == "no-access":
        raise denied("read", "identity")


def audit_logs(call: Call) -> Json:
    """``GET /api/v1/organization/audit-logs`` (48c)."""
    if call.actor.org_role != "admin":
        raise denied("read", "audit-logs")
    return {"auditLogs": []}


def dynamic_secrets(call: Call) -> Json:
    """``GET /api/v1/dynamic-secrets``: there are none (29)."""
    fields = call.query_fields()
    slug = fields.text("projectSlug")
    fields.text("environmentSlug")
    fields.done()
    found = call.world.project_by_slug(slug)
    if found is None:
        raise not_found(f"Project with slug '{slug}' not found")
    call.permission(found)
    return {"dynamicSecrets": []}


def secret_syncs(call: Call) -> Json:
    """``GET /api/v1/secret-syncs``: there are none (35)."""
    _project_in_query(call, "secret-syncs")
    return {"secretSyncs": []}


def webhooks(call: Call) -> Json:
    """``GET /api/v1/webhooks``: there are none (35)."""
    _project_in_query(call, "webhooks")
    return {"message": "Successfully fetched webhook", "webhooks": []}


def secret_rotations(call: Call) -> Json:
    """``GET /api/v2/secret-rotations``: not in the community edition (35b)."""
    _project_in_query(call, "secret-rotation")
    raise bad_request(
        "Failed to access secret rotations due to plan restriction. Upgrade plan to access secret rotations."
    )


def _project_in_query(call: Call, subject: str) -> None:
    fields = call.query_fields()
    project_id = fields.text("projectId")
    fields.done()
    _, permission = call.project(project_id)
    permission.require("read", subject)


def refuse_identity(call: Call) -> Json:
    """Routes for people only; the stand-in does not implement them (23d, 31b, 48, 48d)."""
    raise people_only(call.url)


def server_admin(call: Call) -> Json:
    """``GET /api/v1/admin/…``: for the server's super admin only (48b)."""
    del call
    raise forbidden("Requires elevated super admin privileges")
