"""The vault's objects as JSON, with the keys of the real server in its order."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from raxx_bcp_sandbox.infisical.state import (
    Actor,
    Environment,
    Folder,
    Membership,
    Project,
    Role,
    Secret,
    SecretImport,
    Tag,
    UniversalAuth,
    Version,
    iso,
)
from raxx_bcp_sandbox.infisical.world import KEPT_S, World

HIDDEN = "<hidden-by-infisical>"
Json = dict[str, Any]


def project_row(project: Project, world: World) -> Json:
    """A project without its environments (captures 23b and 23h)."""
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "type": project.kind,
        "defaultProduct": None,
        "slug": project.slug,
        "autoCapitalization": False,
        "orgId": world.org_id,
        "createdAt": project.created_at,
        "updatedAt": project.updated_at,
        "version": 3,
        "upgradeStatus": None,
        "pitVersionLimit": 10,
        "kmsCertificateKeyId": None,
        "auditLogsRetentionDays": None,
        "hasDeleteProtection": False,
        "secretSharing": True,
        "showSnapshotsLegacy": False,
        "secretDetectionIgnoreValues": None,
        "enforceEncryptedSecretManagerSecretMetadata": None,
    }


def project_full(project: Project, world: World, *, legacy: bool = False) -> Json:
    """A project with its environments (captures 21, 22); the legacy form lacks one key (21c)."""
    full = project_row(project, world)
    full["_id"] = project.id
    full["environments"] = [environment_short(one) for one in project.ordered_environments()]
    if not legacy:
        deleted = world.deleted_environments(project).values()
        full["deletedEnvironments"] = [{**environment_short(one), **_deletion(one)} for one in deleted]
    return full


def environment_short(environment: Environment) -> Json:
    """An environment inside another object."""
    return {"name": environment.name, "slug": environment.slug, "id": environment.id}


def environment_full(environment: Environment) -> Json:
    """An environment as its creation answers it (captures 11 and 63)."""
    return {
        "id": environment.id,
        "name": environment.name,
        "slug": environment.slug,
        "position": environment.position,
        "projectId": environment.project.id,
        "createdAt": environment.created_at,
        "updatedAt": environment.created_at,
        **_deletion(environment),
        "deletedByUserId": None,
        "deletedByIdentityId": None,
    }


def _deletion(environment: Environment) -> Json:
    """Until when a deleted environment can be restored, and when it was deleted."""
    at = environment.deleted
    return {"deleteAfter": at and iso(at + KEPT_S), "softDeletedAt": at and iso(at)}


def tag_full(tag: Tag, project: Project) -> Json:
    """A tag of a project (captures 12, 28, 62)."""
    return {
        "id": tag.id,
        "slug": tag.slug,
        "color": tag.color,
        "createdAt": tag.created_at,
        "updatedAt": tag.created_at,
        "createdBy": tag.created_by,
        "projectId": project.id,
        "createdByActorType": tag.created_by_kind,
    }


def folder_full(folder: Folder, last_secret_modified: str | None) -> Json:
    """A folder (captures 13, 24); lists add ``relativePath``, creation adds ``path``."""
    return {
        "id": folder.id,
        "name": folder.name,
        "version": 1,
        "createdAt": folder.created_at,
        "updatedAt": folder.updated_at,
        "envId": folder.environment.id,
        "parentId": folder.parent_id,
        "isReserved": False,
        "description": folder.description,
        "lastSecretModified": last_secret_modified,
    }


def import_full(link: SecretImport, *, listed: bool) -> Json:
    """A secret import as created (15, 66) or, with its source, as listed (27)."""
    source: Json = dict(environment_short(link.source))
    if listed:
        source["projectId"] = link.source.project.id
    full: Json = {
        "id": link.id,
        "version": 1,
        "importPath": link.path,
        "position": link.position,
        "createdAt": link.created_at,
        "updatedAt": link.created_at,
        "folderId": link.folder.id,
        "isReplication": False,
        "isReplicationSuccess": None,
        "replicationStatus": None,
        "lastReplicated": None,
        "isReserved": False,
        "importEnv": source,
    }
    if listed:
        full["sourceProjectName"] = link.source.project.name
    return full


def _secret_head(secret: Secret, secret_id: str) -> Json:
    environment = secret.folder.environment
    return {
        "id": secret_id,
        "_id": secret_id,
        "workspace": environment.project.id,
        "environment": environment.slug,
        "version": secret.version,
        "type": secret.kind,
        "secretKey": secret.key,
        "secretValue": secret.value,
        "secretComment": secret.comment,
    }


def secret_core(secret: Secret) -> Json:
    """The keys of every answer about one secret; a created secret has only these (captures 14, 16, 65)."""
    return {
        **_secret_head(secret, secret.id),
        "secretReminderNote": secret.reminder_note,
        "secretReminderRepeatDays": secret.reminder_days,
        "skipMultilineEncoding": secret.skip_multiline,
        "createdAt": secret.created_at,
        "updatedAt": secret.updated_at,
        "isRotatedSecret": secret.rotation_id is not None,
        "rotationId": secret.rotation_id,
    }


def tags_of(secret: Secret) -> list[Json]:
    """The tags inside a secret (capture 25)."""
    return [{"id": tag.id, "slug": tag.slug, "color": tag.color, "name": tag.slug} for tag in secret.tags]


def secret_listed(secret: Secret) -> Json:
    """A secret in a list (captures 25, 26, 53)."""
    return {
        **secret_core(secret),
        "secretPath": secret.folder.path,
        "secretValueHidden": False,
        "secretMetadata": secret.metadata,
        "tags": tags_of(secret),
    }


def encoded_secret(secret: Secret) -> bytes:
    """``secret_listed`` as JSON with the stored value, cached until the secret changes."""
    if secret.encoded is None:
        secret.encoded = msgspec.json.encode(secret_listed(secret))
    return secret.encoded


def secret_imported(secret: Secret) -> Json:
    """A secret under ``imports``: fewer keys and an empty ``workspace`` (captures 25b and 25c)."""
    return {
        **_secret_head(secret, secret.id),
        "workspace": "",
        "skipMultilineEncoding": secret.skip_multiline,
        "isRotatedSecret": secret.rotation_id is not None,
        "rotationId": secret.rotation_id,
        "secretValueHidden": False,
        "secretMetadata": secret.metadata,
    }


def secret_at_version(secret: Secret, version: Version) -> Json:
    """A secret as it was at a version (capture 31c)."""
    return {
        **_secret_head(secret, secret.id),
        "version": version.version,
        "secretValue": version.value,
        "secretComment": version.comment,
        "secretReminderNote": None,
        "secretReminderRepeatDays": None,
        "skipMultilineEncoding": version.skip_multiline,
        "createdAt": version.created_at,
        "updatedAt": version.created_at,
        "secretValueHidden": False,
        "secretPath": secret.folder.path,
    }


def version_row(secret: Secret, version: Version) -> Json:
    """A row of a secret's history, which only people may list (capture 31d)."""
    row = secret_at_version(secret, version)
    row["id"] = row["_id"] = str(uuid.uuid5(uuid.UUID(secret.id), f"version {version.version}"))
    del row["secretValueHidden"], row["secretPath"]
    row["actor"] = {
        "actorId": version.actor.id,
        "actorType": version.actor.kind,
        "name": version.actor.name,
        "membershipId": version.actor.membership_id,
        "groupId": None,
    }
    row["secretValueHidden"] = False
    return row


def _role(role: Role, *, with_id: bool = False) -> Json:
    return {
        "id": role.id,
        "role": role.slug,
        **({"customRoleId": None} if with_id else {}),
        "customRoleName": role.custom_name,
        "customRoleSlug": role.custom_slug,
        "isTemporary": False,
        "temporaryMode": None,
        "temporaryRange": None,
        "temporaryAccessStartTime": None,
        "temporaryAccessEndTime": None,
    }


def _identity(actor: Actor, world: World) -> Json:
    return {
        "name": actor.name,
        "id": actor.id,
        "orgId": world.org_id,
        "projectId": None,
        "authMethods": ["universal-auth"] if actor.auth else [],
    }


def _lockouts(auth: UniversalAuth | None, now: float) -> list[str]:
    return ["universal-auth"] if auth is not None and auth.locked_until > now else []


def membership_row(membership: Membership, world: World) -> Json:
    """A membership in a project's list of identities (capture 33b)."""
    identity = _identity(membership.actor, world)
    identity["activeLockoutAuthMethods"] = _lockouts(membership.actor.auth, world.clock())
    return {
        "id": membership.id,
        "identityId": membership.actor.id,
        "createdAt": membership.created_at,
        "updatedAt": membership.created_at,
        "roles": [_role(role) for role in membership.roles],
        "identity": identity,
    }


def membership_full(membership: Membership, world: World) -> Json:
    """One membership (capture 54)."""
    return {
        "id": membership.id,
        "createdAt": membership.created_at,
        "updatedAt": membership.created_at,
        "roles": [_role(role) for role in membership.roles],
        "lastLoginAuthMethod": None,
        "lastLoginTime": None,
        "identity": {**_identity(membership.actor, world), "metadata": []},
    }


def membership_of_identity(membership: Membership, project: Project) -> Json:
    """A membership in an identity's list of projects (capture 54e)."""
    actor = membership.actor
    return {
        "id": membership.id,
        "identityId": actor.id,
        "createdAt": membership.created_at,
        "updatedAt": membership.created_at,
        "roles": [_role(role, with_id=True) for role in membership.roles],
        "identity": {
            "name": actor.name,
            "id": actor.id,
            "hasDeleteProtection": False,
            "authMethods": ["universal-auth"] if actor.auth else [],
        },
        "project": {"name": project.name, "id": project.id, "type": project.kind},
    }
