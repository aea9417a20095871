"""Writing secrets: batches (all or nothing), one secret, updates and upserts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raxx_bcp_sandbox.infisical import shapes
from raxx_bcp_sandbox.infisical.call import Call, folder_of
from raxx_bcp_sandbox.infisical.errors import bad_request, not_found
from raxx_bcp_sandbox.infisical.permissions import Permission
from raxx_bcp_sandbox.infisical.state import Actor, Folder, Project, Secret, Tag, Version, clean_path
from raxx_bcp_sandbox.infisical.validation import Checked
from raxx_bcp_sandbox.infisical.world import World

Json = dict[str, Any]
BLANK = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
MODES = ("failOnNotFound", "ignore", "upsert")


def normalise(value: str) -> str:
    """The value as the vault stores it: trimmed, one trailing newline kept, blank becomes ``""`` (14)."""
    trimmed = value.strip(BLANK)
    return f"{trimmed}\n" if trimmed and value.endswith("\n") else trimmed


def _check_secret(fields: Checked, *, value_required: bool) -> None:
    """The fields of one secret; only their types are checked."""
    if value_required:
        fields.text("secretValue")
    else:
        fields.optional_text("secretValue")
    fields.optional_text("secretComment")
    fields.optional_text("secretReminderNote")
    fields.number("secretReminderRepeatDays")
    fields.boolean("skipMultilineEncoding", default=False)
    fields.items("tagIds", of="string")
    fields.items("secretMetadata", of="object")


class Target:
    """The target of a write: the folder that the body names, after the permission check."""

    def __init__(self, call: Call, action: str, error: str) -> None:
        fields = call.body_fields()
        project_id = fields.text("projectId")
        environment = fields.text("environment")
        path = clean_path(fields.optional_text("secretPath") or "/")
        fields.done()
        self.world: World = call.world
        self.actor: Actor = call.actor
        self.project: Project
        self.permission: Permission
        self.project, self.permission = call.project(project_id)
        where = {"environment": environment, "secretPath": path}
        self.permission.require(action, "secrets", **where)
        self.folder: Folder = folder_of(self.project, environment, path, error)

    def tags(self, fields: Mapping[str, Any]) -> list[Tag]:
        """The tags that ``tagIds`` names."""
        by_id = {tag.id: tag for tag in self.project.tags.values()}
        wanted = fields.get("tagIds") or []
        if any(one not in by_id for one in wanted):
            raise not_found("Tag not found")
        return [by_id[one] for one in wanted]

    def create(self, key: str, fields: Mapping[str, Any]) -> Secret:
        """Create the secret; its tags have been checked already."""
        secret = self.world.add_secret(self.folder, key, "", actor=self.actor)
        self.fill(secret, fields)
        self.world.change_secret(secret, actor=self.actor, new_version=False)
        return secret

    def fill(self, secret: Secret, fields: Mapping[str, Any]) -> None:
        """Set the fields that the request has and leave the rest."""
        if fields.get("secretValue") is not None:
            secret.value = normalise(fields["secretValue"])
        if fields.get("secretComment") is not None:
            secret.comment = fields["secretComment"].strip(BLANK)
        if fields.get("skipMultilineEncoding") is not None:
            secret.skip_multiline = fields["skipMultilineEncoding"]
        if fields.get("tagIds") is not None:
            secret.tags = self.tags(fields)
        if fields.get("secretMetadata") is not None:
            secret.metadata = metadata(fields["secretMetadata"])

    def remind(self, secret: Secret, fields: Mapping[str, Any]) -> None:
        """Set a reminder, which a batch creation does not accept."""
        if "secretReminderNote" in fields:
            secret.reminder_note = fields["secretReminderNote"]
        if "secretReminderRepeatDays" in fields:
            secret.reminder_days = fields["secretReminderRepeatDays"]


def metadata(given: list[Mapping[str, Any]]) -> list[Json]:
    """Metadata as the vault lists it: the encrypted entries first (14 and 25)."""
    rows = [
        {
            "key": str(one.get("key", "")),
            "value": str(one.get("value", "")),
            "isEncrypted": bool(one.get("isEncrypted")),
        }
        for one in given
    ]
    return sorted(rows, key=lambda row: not row["isEncrypted"])


def _batch(call: Call, *, value_required: bool) -> list[Json]:
    """The ``secrets`` of a batch body, each checked."""
    fields = call.body_fields()
    rows = fields.items("secrets", required=True)
    for index, row in enumerate(rows):
        one = Checked(row if isinstance(row, dict) else {})
        one.text("secretKey", least=1)
        _check_secret(one, value_required=value_required)
        fields.issues.extend({**issue, "path": ["secrets", index, *issue["path"]]} for issue in one.issues)
    fields.done()
    return rows


def _approval(call: Call, target: Target) -> Json | None:
    """With an approval policy a write answers 200 with a request that somebody must approve [model]."""
    if not call.view.faults.on("vault-approvals"):
        return None
    now = call.world.now()
    return {
        "approval": {
            "id": call.world.new_id("approval", target.folder.id),
            "policyId": call.world.new_id("approval-policy", target.project.slug),
            "hasMerged": False,
            "status": "open",
            "folderId": target.folder.id,
            "createdAt": now,
            "updatedAt": now,
        }
    }


def create_batch(call: Call) -> Json:
    """``POST /api/v4/secrets/batch``: all or nothing (14, 17c, 17d, 46, 65)."""
    rows = _batch(call, value_required=True)
    target = Target(call, "create", "CreateManySecret")
    keys = [row["secretKey"] for row in rows]
    taken = [key for at, key in enumerate(keys) if key in target.folder.secrets or key in keys[:at]]
    if taken:
        raise bad_request(f"Secret already exists: {', '.join(taken)}")
    for row in rows:
        target.tags(row)
    if approval := _approval(call, target):
        return approval
    made = [target.create(row["secretKey"], row) for row in rows]
    return {"secrets": [shapes.secret_core(secret) for secret in made]}


def create_one(call: Call) -> Json:
    """``POST /api/v4/secrets/{name}``, which also accepts reminders and a person's override (16, 17b, 47)."""
    fields = call.body_fields()
    _check_secret(fields, value_required=True)
    fields.done()
    if call.body.get("type") == "personal":
        return _create_personal(call)
    target = Target(call, "create", "CreateSecret")
    key = call.path["name"]
    if key in target.folder.secrets:
        raise bad_request("Secret already exists")
    target.tags(call.body)
    if approval := _approval(call, target):
        return approval
    secret = target.create(key, call.body)
    target.remind(secret, call.body)
    return {"secret": shapes.secret_core(secret)}


def _create_personal(call: Call) -> Json:
    if call.actor.kind != "user":
        raise bad_request("Must be user to create personal secret")
    target = Target(call, "create", "CreateSecret")
    key = call.path["name"]
    shared = target.folder.secrets.get(key)
    if shared is None:
        raise bad_request("Failed to create personal secret override for no corresponding shared secret")
    if call.actor.id in shared.personal:
        raise bad_request("Secret already exists")
    now = call.world.now()
    secret_id = call.world.new_id("personal-secret", shared.id, call.actor.id)
    own = Secret(secret_id, key, normalise(call.body["secretValue"]), target.folder, now, now, kind="personal")
    own.versions.append(Version(1, own.value, "", skip_multiline=False, created_at=now, actor=call.actor))
    shared.personal[call.actor.id] = own
    return {"secret": shapes.secret_core(own)}


def update_one(call: Call) -> Json:
    """``PATCH /api/v4/secrets/{name}``: the next version (17)."""
    fields = call.body_fields()
    _check_secret(fields, value_required=False)
    fields.done()
    target = Target(call, "edit", "UpdateSecret")
    secret = target.folder.secrets.get(call.path["name"])
    if secret is None:
        raise not_found(f"Secret with name '{call.path['name']}' not found")
    target.tags(call.body)
    if approval := _approval(call, target):
        return approval
    _update(target, secret, call.body)
    return {"secret": _written(secret)}


def update_batch(call: Call) -> Json:
    """``PATCH /api/v4/secrets/batch``; mode ``upsert`` also creates missing secrets (67)."""
    rows = _batch(call, value_required=False)
    mode = call.body.get("mode") or MODES[0]
    target = Target(call, "edit", "UpdateManySecret")
    known = target.folder.secrets
    missing = [row["secretKey"] for row in rows if row["secretKey"] not in known]
    if missing and mode == "failOnNotFound":
        raise not_found(f"Secret does not exist: {', '.join(missing)}", "UpdateManySecret")
    if missing and mode == "upsert":
        environment, path = target.folder.environment.slug, target.folder.path
        target.permission.require("create", "secrets", environment=environment, secretPath=path)
    for row in rows:
        target.tags(row)
    if approval := _approval(call, target):
        return approval
    written = []
    for row in rows:
        secret = known.get(row["secretKey"])
        if secret is not None:
            _update(target, secret, row)
        elif mode == "upsert":
            secret = target.create(row["secretKey"], row)
            target.remind(secret, row)
        if secret is not None:
            written.append(_written(secret))
    return {"secrets": written}


def _update(target: Target, secret: Secret, fields: Mapping[str, Any]) -> None:
    target.fill(secret, fields)
    target.remind(secret, fields)
    target.world.change_secret(secret, actor=target.actor)


def _written(secret: Secret) -> Json:
    return {**shapes.secret_core(secret), "secretValueHidden": False}
