"""The shapes of Heroku's answers, as captured from the CLI's traffic and recorded from the real Data API."""

from __future__ import annotations

import uuid
from typing import Any, Final

from raxx_bcp_sandbox.heroku.plans import PLANS, TABLE_LIMIT
from raxx_bcp_sandbox.heroku.records import PROVISIONED, SERVICE, Addon, App, Transfer
from raxx_bcp_sandbox.heroku.times import data_time, platform_time
from raxx_bcp_sandbox.heroku.world import World, config_var

Shape = dict[str, Any]

OWNER: Final = {"email": "ops@raxx.invalid", "id": str(uuid.uuid5(uuid.NAMESPACE_URL, "ops@raxx.invalid"))}
_STACK: Final = {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, "heroku-24")), "name": "heroku-24"}
_NUM_KEEP: Final = 5
_MIB: Final = 1 << 20


def _named(name: str) -> Shape:
    return {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "name": name}


def account() -> Shape:
    """The owner of the key."""
    return {**OWNER, "name": "Raxx sandbox operator", "verified": True, "two_factor_authentication": False}


def app(record: App) -> Shape:
    """An app."""
    team = _named(record.team) if record.team else None
    created = platform_time(record.created_at)
    return {
        "acm": False,
        "archived_at": None,
        "build_stack": _STACK,
        "buildpack_provided_description": None,
        "created_at": created,
        "git_url": f"https://git.heroku.com/{record.name}.git",
        "id": record.id,
        "internal_routing": None,
        "maintenance": False,
        "name": record.name,
        "organization": team,
        "owner": OWNER,
        "region": _named(record.region),
        "released_at": created,
        "repo_size": None,
        "slug_size": None,
        "space": None,
        "stack": _STACK,
        "team": team,
        "updated_at": created,
        "web_url": f"https://{record.name}-0123456789ab.herokuapp.com/",
    }


def addon(record: Addon, of: App) -> Shape:
    """A database, as the Platform API sees it."""
    plan = PLANS[record.plan]
    price = {"cents": plan.cents, "contract": False, "unit": "month"}
    created = platform_time(record.created_at)
    return {
        "actions": [],
        "addon_service": _named(SERVICE),
        "app": {"id": of.id, "name": of.name},
        "billed_price": price,
        "billing_entity": {"id": of.id, "name": of.name, "type": "app"},
        "config_vars": [config_var(record)],
        "created_at": created,
        "id": record.id,
        "name": record.name,
        "plan": {"id": plan.id, "name": plan.full_name, "price": price},
        "provider_id": record.attachment_id,
        "provision_message": "Database should be available soon",
        "state": record.state,
        "updated_at": created,
        "web_url": None,
    }


def attachment(record: Addon, of: App) -> Shape:
    """A database under the name by which its app knows it."""
    plan = PLANS[record.plan]
    owner = {"id": of.id, "name": of.name}
    created = platform_time(record.created_at)
    return {
        "addon": {
            "id": record.id,
            "name": record.name,
            "app": owner,
            "plan": {"id": plan.id, "name": plan.full_name},
        },
        "app": owner,
        "config_vars": [config_var(record)],
        "created_at": created,
        "id": record.attachment_id,
        "log_input_url": None,
        "name": record.attachment,
        "namespace": None,
        "updated_at": created,
        "web_url": None,
    }


def database(record: Addon, world: World) -> Shape:
    """A database, as the Data API sees it: what ``pg:info`` shows. ``resource_url`` is a secret."""
    plan, databases = PLANS[record.plan], world.databases
    size, tables, open_now = (
        databases.size_bytes(record),
        databases.table_count(record),
        databases.connections(record),
    )
    ready = record.state == PROVISIONED
    created = data_time(record.created_at)
    share = f"{size / _MIB:.1f} MB / {plan.bytes >> 30} GB ({size / plan.bytes:.2%})"
    lines = {
        "Plan": plan.name,
        "Status": "Available" if ready else "Preparing",
        "Connections": f"{open_now}/{plan.connections}",
        "PG Version": world.server.version,
        "Created": created,
        "Data Size": f"{share} (In compliance)",
        "Tables": f"{tables}/{TABLE_LIMIT} (In compliance)",
        "Fork/Follow": "Unsupported",
        "Rollback": "Unsupported",
        "Continuous Protection": "Off",
    }
    return {
        "addon_id": record.id,
        "name": record.name,
        "heroku_resource_id": "resource@heroku.com",
        "database_name": record.database,
        "database_user": record.user,
        "resource_url": databases.url(record),
        "plan": plan.name,
        "following": None,
        "forked_from": None,
        "num_bytes": size,
        "num_tables": tables,
        "num_connections": open_now,
        "postgres_version": f"PostgreSQL {world.server.version}",
        "created_at": created,
        "waiting?": not ready,
        "info": [{"name": name, "values": [value]} for name, value in lines.items()],
    }


def transfer(record: Transfer, *, verbose: bool = False) -> Shape:
    """A backup or a restore; with its log where ``verbose``. The addresses in it are secrets."""
    lines = [
        {"created_at": data_time(line.created_at), "level": line.level, "message": line.message} for line in record.logs
    ]
    return {
        "uuid": record.uuid,
        "num": record.num,
        "from_name": "DATABASE" if record.backup else "BACKUP",
        "from_type": "pg_dump" if record.backup else "htcat",
        "from_url": record.from_url,
        "to_name": "BACKUP" if record.backup else "DATABASE",
        "to_type": "gof3r" if record.backup else "pg_restore",
        "to_url": record.to_url,
        "options": {},
        "source_bytes": record.source_bytes,
        "processed_bytes": record.processed_bytes,
        "succeeded": record.succeeded,
        "warnings": record.warnings,
        "created_at": data_time(record.created_at),
        "started_at": data_time(record.started_at),
        "canceled_at": data_time(record.canceled_at),
        "updated_at": data_time(record.updated_at),
        "finished_at": data_time(record.finished_at),
        "deleted_at": data_time(record.deleted_at),
        "purged_at": data_time(record.deleted_at),
        "num_keep": _NUM_KEEP,
        "schedule": {"uuid": record.schedule} if record.schedule else None,
        **({"logs": lines} if verbose else {}),
    }
