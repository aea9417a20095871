"""The Data API: databases, backups and restores."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from raxx_bcp_sandbox.heroku import shapes
from raxx_bcp_sandbox.heroku.call import Call, Reply
from raxx_bcp_sandbox.heroku.errors import invalid
from raxx_bcp_sandbox.heroku.records import PROVISIONED, PROVISIONING, Addon, Transfer
from raxx_bcp_sandbox.heroku.times import data_time

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_EXTENSION: Final = re.compile(r"(?:[a-z_][a-z0-9_-]{0,62}\.)?[a-z][a-z0-9_-]{0,62}")
"""``hstore``, or ``myschema.hstore`` (the CLI's help of ``--extensions``)."""


def database(call: Call) -> Reply:
    """What ``pg:info`` shows."""
    return Reply(shapes.database(call.database, call.world))


def wait_status(call: Call) -> Reply:
    """The state of the provisioning."""
    state = call.database.state
    said = {PROVISIONING: "preparing", PROVISIONED: "available"}.get(state, "provisioning failed")
    waiting, failed = state == PROVISIONING, state not in (PROVISIONING, PROVISIONED)
    return Reply({"message": said, "waiting?": waiting, "error?": failed})


def capture(call: Call) -> Reply:
    """Start a backup."""
    return Reply(_shape(call, call.world.capture(_ready(call))), 201)


def restore(call: Call) -> Reply:
    """Start a restore. The sandbox fetches from loopback only: it never connects to another machine."""
    addon = _ready(call)
    url = call.text("backup_url")
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise invalid("Invalid backup_url: the sandbox restores from http:// addresses on loopback only")
    extensions = call.body.get("extensions") or []
    known = isinstance(extensions, list) and all(isinstance(each, str) for each in extensions)
    if not known or not all(_EXTENSION.fullmatch(each) for each in extensions):
        raise invalid("Invalid extensions")
    return Reply(_shape(call, call.world.restore(addon, url, extensions)), 201)


def list_transfers(call: Call) -> Reply:
    """Every backup and restore of an app, in no useful order."""
    return Reply([_shape(call, each) for each in call.world.shown_transfers(call.app)])


def get_transfer(call: Call) -> Reply:
    """One backup or restore, with its log where ``verbose=true``."""
    transfer = call.world.transfer(call.app, call.path["transfer"])
    return Reply(_shape(call, transfer, verbose=call.query.get("verbose") == "true"))


def public_url(call: Call) -> Reply:
    """An address from which a backup can be fetched for an hour: a secret."""
    transfer = call.world.transfer(call.app, call.path["transfer"])
    url, expires = call.world.signed_url(transfer, call.base_url)
    return Reply({"expires_at": data_time(expires), "url": url})


def cancel(call: Call) -> Reply:
    """Cancel a backup or restore that runs."""
    app = call.app
    transfer = call.world.transfer(app, call.path["transfer"])
    if not call.world.jobs.cancel(transfer.uuid):
        raise invalid("Transfer has already finished")
    return Reply(_shape(call, call.world.transfer(app, transfer.uuid)))


def _shape(call: Call, transfer: Transfer, *, verbose: bool = False) -> shapes.Shape:
    """A good backup's ``to_url`` can be restored from: the CLI sends it back (pg_backups_restore-fromapp.json)."""
    if transfer.good:
        transfer.to_url = call.world.signed_url(transfer, call.base_url)[0]
    return shapes.transfer(transfer, verbose=verbose)


def _ready(call: Call) -> Addon:
    addon = call.database
    if addon.state != PROVISIONED:
        raise invalid("Database is not yet available")
    return addon
