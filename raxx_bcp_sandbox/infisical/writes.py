"""Writing everything but secrets and environments: projects, tags, folders, imports, memberships, privileges."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from raxx_bcp_sandbox.infisical import shapes
from raxx_bcp_sandbox.infisical.call import Call, folder_of
from raxx_bcp_sandbox.infisical.errors import bad_request, denied, forbidden, not_found
from raxx_bcp_sandbox.infisical.state import ClientSecret, Project, clean_path
from raxx_bcp_sandbox.infisical.world import DEFAULT_ENVIRONMENTS

Json = dict[str, Any]
FOLDER_NAME = re.compile(r"[A-Za-z0-9_-]+")
SLUG = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
BAD_FOLDER_NAME = "Invalid folder name. Only alphanumeric characters, dashes, and underscores are allowed."
BAD_SLUG = "Slug must be a valid slug"
NO_REPLICATION = "Failed to create secret replication due to plan restriction. Upgrade plan to create replication."
NO_CUSTOM_ROLES = (
    "Failed to create custom role due to plan RBAC restriction. Upgrade to Infisical Enterprise plan to "
    "create custom roles."
)


def create_project(call: Call) -> Json:
    """``POST /api/v1/projects`` (10*, 46c, 60, 61, 68). Needs org role member; the creator is its admin."""
    fields = call.body_fields()
    name = fields.text("projectName", least=1, most=64)
    description = fields.optional_text("projectDescription")
    slug = fields.optional_text("slug", least=5, most=36)
    if slug is not None and not SLUG.fullmatch(slug):
        fields.refuse("slug", BAD_SLUG)
    kind = fields.optional_text("type") or "secret-manager"
    defaults = fields.boolean("shouldCreateDefaultEnvs", default=True)
    fields.done()
    if call.actor.org_role == "no-access":
        raise forbidden("You don't have permission to create a project")
    slug = slug or _made_up_slug(name, len(call.world.projects))
    if call.world.project_by_slug(slug) is not None:
        message = (
            f'A project with the slug "{slug}" already exists in your organization. Please choose a '
            "different name or slug."
        )
        raise bad_request(message)
    project = call.world.add_project(
        name,
        slug,
        creator=call.actor,
        kind=kind,
        description=description,
        environments=DEFAULT_ENVIRONMENTS if defaults else (),
    )
    return {"project": shapes.project_full(project, call.world)}


def delete_project(call: Call) -> Json:
    """``DELETE /api/v1/projects/{id}``: a mark; the answer is the whole project, whose slug is now ``del-…`` [run]."""
    project, permission = call.project(call.path["project"])
    permission.require("delete", "workspace")
    call.world.remove_project(project)
    return {"project": shapes.project_full(project, call.world)}


def _made_up_slug(name: str, number: int) -> str:
    """The name with four letters after it, as in ``by-member-wf-hr`` (60)."""
    letters = hashlib.sha256(f"{name}\0{number}".encode()).hexdigest()
    stem = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    return f"{stem}-{letters[:2]}-{letters[2:4]}"


def create_tag(call: Call) -> Json:
    """``POST /api/v1/projects/{id}/tags`` (12, 12b, 62)."""
    fields = call.body_fields()
    slug = fields.text("slug", least=1, most=64)
    color = fields.text("color")
    fields.done()
    project, permission = call.project(call.path["project"])
    permission.require("create", "tags")
    if slug in project.tags:
        raise bad_request("Tag already exists")
    return {"tag": shapes.tag_full(call.world.add_tag(project, slug, color, call.actor), project)}


def create_folder(call: Call) -> Json:
    """``POST /api/v2/folders`` with its missing parents (13*, 46b, 64)."""
    fields = call.body_fields()
    project_id = fields.text("projectId")
    slug = fields.text("environment")
    name = fields.text("name")
    parent = clean_path(fields.optional_text("path") or "/")
    description = fields.optional_text("description")
    if not fields.issues and not FOLDER_NAME.fullmatch(name):
        fields.refuse("name", BAD_FOLDER_NAME)
    fields.done()
    project, permission = call.project(project_id)
    permission.require("create", "secret-folders", environment=slug, secretPath=parent)
    environment = project.environments.get(slug)
    if environment is None:
        message = f"Environment with slug '{slug}' in project with ID '{project.id}' not found"
        raise not_found(message, "CreateFolder")
    path = clean_path(f"{parent}/{name}")
    if path in environment.folders:
        raise bad_request(f"Folder with name '{name}' already exists in path '{parent}'")
    folder = call.world.add_folder(environment, path, description)
    return {"folder": {**shapes.folder_full(folder, folder.last_secret_modified), "path": path}}


def create_import(call: Call) -> Json:
    """``POST /api/v2/secret-imports``; a missing source path and a duplicate are accepted (15*, 66)."""
    fields = call.body_fields()
    project_id = fields.text("projectId")
    slug = fields.text("environment")
    path = clean_path(fields.optional_text("path") or "/")
    source = fields.mapping("import")
    replication = fields.boolean("isReplication", default=False)
    fields.done()
    project, permission = call.project(project_id)
    permission.require("create", "secret-imports", environment=slug, secretPath=path)
    if replication:
        raise bad_request(NO_REPLICATION)
    source_slug = str(source.get("environment", ""))
    environment = project.environments.get(source_slug)
    if environment is None:
        message = f"Imported environment with slug '{source_slug}' in project with ID '{project.id}' not found"
        raise not_found(message)
    folder = folder_of(project, slug, path, "CreateImport")
    link = call.world.add_import(folder, environment, clean_path(str(source.get("path", "/"))))
    return {
        "message": "Successfully created secret import",
        "secretImport": shapes.import_full(link, listed=False),
    }


def create_role(call: Call) -> Json:
    """``POST /api/v1/projects/{id}/roles``: custom roles are not in the community edition (49)."""
    _, permission = call.project(call.path["project"])
    permission.require("create", "role")
    raise bad_request(NO_CUSTOM_ROLES)


def add_identity(call: Call) -> Json:
    """``POST /api/v1/projects/{id}/memberships/identities/{identity}``: not for a non-member (23i)."""
    project, permission = call.project(call.path["project"])
    permission.require("create", "identity")
    fields = call.body_fields()
    roles = [str(one["role"]) for one in fields.items("roles") if isinstance(one, dict) and "role" in one]
    fields.done()
    actor = call.world.actors.get(call.path["identity"])
    if actor is None:
        raise not_found(f"Identity with ID '{call.path['identity']}' not found")
    if actor.id in project.members:
        raise bad_request(f"Identity with ID '{actor.id}' already exists in project with ID '{project.id}'")
    membership = call.world.add_member(project, actor, *(roles or ["no-access"]))
    return {"identityMembership": shapes.membership_full(membership, call.world)}


def add_privilege(call: Call) -> Json:
    """``POST /api/v2/identity-project-additional-privilege`` (50)."""
    fields = call.body_fields()
    identity = fields.text("identityId")
    project_id = fields.text("projectId")
    slug = fields.optional_text("slug") or "privilege"
    permissions = fields.items("permissions", of="object", required=True)
    if not fields.issues and not all({"subject", "action"} <= one.keys() for one in permissions):
        fields.refuse("permissions", "Each permission needs a subject and an action")
    fields.done()
    project, permission = call.project(project_id)
    permission.require("edit", "identity")
    member = project.members.get(identity)
    if member is None:
        raise not_found(f"Identity with ID '{identity}' is not a member of project with ID '{project.id}'")
    privilege = _privilege(call, project, slug, permissions)
    member.privileges.append(privilege)
    return {"privilege": privilege}


def _privilege(call: Call, project: Project, slug: str, permissions: list[Any]) -> Json:
    now = call.world.now()
    return {
        "id": call.world.new_id("privilege", project.slug, slug),
        "slug": slug,
        "isTemporary": False,
        "temporaryMode": None,
        "temporaryRange": None,
        "temporaryAccessStartTime": None,
        "temporaryAccessEndTime": None,
        "permissions": [{**one, "inverted": bool(one.get("inverted"))} for one in permissions],
        "createdAt": now,
        "updatedAt": now,
    }


def revoke_client_secret(call: Call) -> Json:
    """``POST …/universal-auth/identities/{identity}/client-secrets/{id}/revoke`` (43c)."""
    if call.actor.org_role == "no-access":
        raise denied("edit", "identity")
    actor = call.world.actors.get(call.path["identity"])
    auth = actor.auth if actor else None
    if auth is None:
        raise not_found(f"Identity with ID '{call.path['identity']}' not found")
    secret = next((one for one in auth.secrets if one.id == call.path["secret"]), None)
    if secret is None:
        raise not_found(f"Client secret with ID '{call.path['secret']}' not found")
    secret.revoked = True
    secret.updated_at = call.world.now()
    return {"clientSecretData": _client_secret(secret, auth.id)}


def _client_secret(secret: ClientSecret, auth_id: str) -> Json:
    return {
        "id": secret.id,
        "createdAt": secret.created_at,
        "updatedAt": secret.updated_at,
        "description": "",
        "clientSecretPrefix": secret.prefix,
        "clientSecretNumUses": secret.uses,
        "clientSecretNumUsesLimit": secret.uses_limit,
        "clientSecretTTL": secret.ttl,
        "identityUAId": auth_id,
        "isClientSecretRevoked": secret.revoked,
    }


def login(call: Call) -> Json:
    """``POST /api/v1/auth/universal-auth/login`` (20, 40*)."""
    fields = call.body_fields()
    client_id, client_secret = fields.text("clientId"), fields.text("clientSecret")
    fields.done()
    faults = call.view.faults
    return call.authority.login(
        client_id,
        client_secret,
        refused=faults.on("vault-login-refused"),
        short=faults.on("vault-token-expires"),
    )


def renew_token(call: Call) -> Json:
    """``POST /api/v1/auth/token/renew`` (42b, 42d)."""
    return call.authority.renew(_token(call), short=call.view.faults.on("vault-token-expires"))


def revoke_token(call: Call) -> Json:
    """``POST /api/v1/auth/token/revoke`` (43)."""
    return call.authority.revoke(_token(call), short=call.view.faults.on("vault-token-expires"))


def _token(call: Call) -> str:
    fields = call.body_fields()
    token = fields.text("accessToken")
    fields.done()
    return token
