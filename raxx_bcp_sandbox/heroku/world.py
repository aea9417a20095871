"""The account as its clients see it: apps, databases, transfers, and the passing of time."""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psycopg

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox.heroku import errors
from raxx_bcp_sandbox.heroku import faults as names
from raxx_bcp_sandbox.heroku.backups import URL_SECONDS, BackupFiles
from raxx_bcp_sandbox.heroku.damage import RECORDED, Damage
from raxx_bcp_sandbox.heroku.databases import Databases
from raxx_bcp_sandbox.heroku.faults import HerokuFaults
from raxx_bcp_sandbox.heroku.jobs import Jobs
from raxx_bcp_sandbox.heroku.plans import Plan
from raxx_bcp_sandbox.heroku.records import (
    DEPROVISIONED,
    PROVISIONED,
    PROVISIONING,
    Addon,
    App,
    Transfer,
    new_addon_name,
    new_app_name,
    new_database_name,
    new_id,
)
from raxx_bcp_sandbox.heroku.store import Store
from raxx_bcp_sandbox.heroku.times import RealTime, RecordedClock
from raxx_bcp_sandbox.heroku.transfers import Transfers
from raxx_bcp_sandbox.postgres import PostgresServer

PRODUCTION: Final = "raxx-app-prod"
APP_LIMIT: Final = 100
PROVISION_SECONDS: Final = 1.5
DATABASE: Final = "DATABASE"
_COLOURS: Final = ("AMBER", "BLUE", "COBALT", "CRIMSON", "CYAN", "GRAY", "GREEN", "JADE", "OLIVE", "ONYX", "PINK")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
_NAME_RULE: Final = (
    "Name must start with a letter, end with a letter or digit and can only contain lowercase letters, digits, and "
    "dashes. It has 3 to 30 characters."
)
_KEY: Final = "url_signing_key"


@dataclass(frozen=True)
class Download:
    """The bytes of one backup."""

    path: Path
    name: str


class World:
    """One account in ``directory``, over a running server. ``lock`` is held while a call is answered.

    ``real`` gives the real time; ``provision_seconds`` is how long a new database takes.
    """

    def __init__(
        self,
        directory: Path,
        server: PostgresServer,
        *,
        real: RealTime = time.time,
        provision_seconds: float = PROVISION_SECONDS,
    ) -> None:
        self.lock = threading.RLock()
        self.store = Store(directory / "heroku.sqlite3")
        self.clock = RecordedClock(self.store, real)
        self.server = server
        self.provision_seconds = provision_seconds
        self.faults = HerokuFaults()
        self.faults.after_switch = self._begin_damage
        self.databases = Databases(server)
        self.databases.drop_scratch()
        self.transfers = Transfers(self.store, self.clock, self.lock)
        self.files = BackupFiles(directory / "backups", self._signing_key())
        self.damage = Damage(self.databases, directory / "damaged")
        self.jobs = Jobs(self.transfers, self.databases, self.files, self.faults)
        self.transfers.end_interrupted()

    def close(self) -> None:
        """End all jobs, and close the account. The server's owner stops the server."""
        self.jobs.close()
        self.store.close()

    def settle(self) -> None:
        """Mark the databases that are due as ready, or as failed."""
        with self.lock:
            if self.faults.on(names.PROVISION_STUCK):
                return
            for addon in self.store.all(Addon):
                if addon.state == PROVISIONING and addon.ready_at <= self.clock.now():
                    failed = self.faults.on(names.PROVISION_FAILS)
                    addon.state = DEPROVISIONED if failed else PROVISIONED
                    self.store.put(addon)

    # -- apps --------------------------------------------------------------------------------------------

    def apps(self) -> list[App]:
        """All apps, by id."""
        return self.store.all(App)

    def app(self, name_or_id: str) -> App:
        """The app of that name or id. Raises 404."""
        for app in self.apps():
            if name_or_id in (app.name, app.id):
                return app
        raise errors.app_not_found()

    def create_app(self, name: str = "", region: str = "us", team: str = "") -> App:
        """A new app. Raises 422 for a bad name, a name that is taken, and at the limit of apps."""
        name = name or new_app_name()
        if not _NAME.fullmatch(name):
            raise errors.invalid(_NAME_RULE)
        apps = self.apps()
        if any(app.name == name for app in apps):
            raise errors.invalid(f"Name {name} is already taken")
        if self.faults.on(names.APP_CAP) or len(apps) >= APP_LIMIT:
            raise errors.invalid(f"You've reached your app limit of {APP_LIMIT} apps")
        app = App(new_id(), name, self.clock.now(), region=region, team=team)
        self.store.put(app)
        return app

    def delete_app(self, app: App) -> None:
        """Delete an app with its databases. Raises 500 with the fault that refuses it."""
        if self.faults.on(names.DELETE_REFUSED):
            raise errors.internal()
        if self.faults.on(names.DELETE_LIES):
            return
        for addon in self.addons(app):
            self.delete_addon(addon)
        for transfer in self.transfers.of(app.id):
            self.files.remove(transfer.uuid)
        self.transfers.forget(app.id)
        self.store.remove(app)

    # -- databases ---------------------------------------------------------------------------------------

    def addons(self, app: App | None = None) -> list[Addon]:
        """The databases of an app, or all, oldest first."""
        own = [each for each in self.store.all(Addon) if app is None or each.app_id == app.id]
        return sorted(own, key=lambda each: each.created_at)

    def addon(self, name_or_id: str, app: App | None = None) -> Addon:
        """The database of that name or id. Raises 404."""
        for addon in self.addons(app):
            if name_or_id in (addon.name, addon.id):
                return addon
        raise errors.addon_not_found()

    def attached(self, app: App, name: str) -> Addon:
        """The database that an app knows as ``DATABASE``, ``DATABASE_URL`` or by the add-on's name. Raises 404."""
        for addon in self.addons(app):
            if name.upper() in (addon.attachment, config_var(addon)) or name in (addon.name, addon.attachment_id):
                return addon
        raise errors.ApiError(
            404, "not_found", "Couldn't find that add on attachment.", more={"resource": "add_on attachment"}
        )

    def create_addon(self, app: App, plan: Plan, name: str = "") -> Addon:
        """A new database, which is ready after ``provision_seconds``. Raises 422 for a name that is taken."""
        addons = self.addons()
        if any(each.name == name for each in addons):
            raise errors.invalid(f"Name {name} is already taken")
        now = self.clock.now()
        database_name = new_database_name()
        addon = Addon(
            id=new_id(),
            name=name or new_addon_name(),
            app_id=app.id,
            plan=plan.name,
            created_at=now,
            ready_at=now + self.provision_seconds,
            database=f"d{database_name}",
            user=f"u{database_name}",
            password=f"p{secrets.token_hex(32)}",
            attachment=_free_attachment({each.attachment for each in addons if each.app_id == app.id}),
            attachment_id=new_id(),
        )
        self.databases.create(addon)
        self.store.put(addon)
        return addon

    def delete_addon(self, addon: Addon) -> None:
        """Drop a database, even while it is in use."""
        for transfer in self.transfers.of(addon.app_id):
            if transfer.addon_id == addon.id and transfer.finished_at is None:
                self.jobs.cancel(transfer.uuid)
        self.databases.drop(addon)
        self.store.remove(addon)

    def config(self, app: App) -> dict[str, str]:
        """The config vars. A database's appears when it is ready."""
        urls = {config_var(each): self.databases.url(each) for each in self.addons(app) if each.state == PROVISIONED}
        return {**app.config, **urls}

    # -- transfers ---------------------------------------------------------------------------------------

    def shown_transfers(self, app: App) -> list[Transfer]:
        """An app's transfers as clients see them, in no useful order."""
        transfers = self.transfers.of(app.id)
        if app.name == PRODUCTION:
            transfers = self.faults.shown(transfers, self.clock.now())
            transfers = self._with_recorded_damage(transfers)
        return sorted(transfers, key=lambda each: each.uuid)

    def transfer(self, app: App, number_or_uuid: str) -> Transfer:
        """One of them. Raises 404."""
        for transfer in self.shown_transfers(app):
            if number_or_uuid in (transfer.uuid, str(transfer.num)):
                return transfer
        raise errors.not_found("Transfer not found")

    def capture(self, addon: Addon) -> Transfer:
        """Start a backup."""
        url, size = self.databases.url(addon), self.databases.size_bytes(addon)
        transfer = self.transfers.begin(addon, backup=True, from_url=url, to_url=kept_at())
        transfer.source_bytes = size
        self.jobs.capture(addon, transfer)
        return transfer

    def restore(self, addon: Addon, backup_url: str, extensions: list[str]) -> Transfer:
        """Start a restore."""
        url = self.databases.url(addon)
        transfer = self.transfers.begin(addon, backup=False, from_url=backup_url, to_url=url)
        self.jobs.restore(addon, transfer, extensions)
        return transfer

    def signed_url(self, transfer: Transfer, base_url: str) -> tuple[str, float]:
        """Where a good backup can be fetched, and until when (real time). Raises 404 for anything else."""
        if not transfer.good:
            raise errors.not_found("Backup not found")
        expires = float(int(self.clock.real() + URL_SECONDS))
        return self.files.signed_url(base_url, transfer.uuid, expires), expires

    def download(self, uuid: str, expires: str, signature: str) -> Download | None:
        """The bytes behind a signed address, as the faults leave them; None when the address is not valid."""
        with self.lock:
            transfer = self.store.get(Transfer, uuid)
            admitted = self.files.admits(uuid, expires, signature, self.clock.real())
            if transfer is None or not transfer.good or not admitted:
                return None
            fault, newest = self.faults.damage(), self.newest_backup()
            path = self.files.path(uuid)
        if fault is not None and newest is not None and newest.uuid == uuid:
            path = self.damage.path(fault, uuid, path)
        return Download(path, f"b{transfer.num:03}.dump")

    def newest_backup(self) -> Transfer | None:
        """Production's newest good backup, as clients see it: the one that the corpus of faults makes bad."""
        with self.lock:
            app = next((each for each in self.apps() if each.name == PRODUCTION), None)
            if app is None:
                return None
            shown = self.faults.shown(self.transfers.of(app.id), self.clock.now())
            return max((each for each in shown if each.good), key=lambda each: each.finished_at or 0.0, default=None)

    def make_damage(self) -> None:
        """Make the bad backup that the faults need, unless it exists. Takes a second: hold no lock."""
        with self.lock:
            fault, newest = self.faults.damage(), self.newest_backup()
        if fault is not None and newest is not None:
            self.damage.path(fault, newest.uuid, self.files.path(newest.uuid))

    def _make_damage_for_later(self) -> None:
        """If it cannot be made now, the next request for it makes it."""
        with contextlib.suppress(OSError, sqlite3.Error, psycopg.Error, BcpError):
            self.make_damage()

    def _begin_damage(self) -> None:
        """Make the bad backup now, in the background, so that the next request for it need not wait."""
        if self.faults.damage() is not None:
            threading.Thread(target=self._make_damage_for_later, daemon=True).start()

    def _with_recorded_damage(self, transfers: list[Transfer]) -> list[Transfer]:
        fault, newest = self.faults.damage(), self.newest_backup()
        if fault not in RECORDED or newest is None:
            return transfers
        size = self.damage.path(fault, newest.uuid, self.files.path(newest.uuid)).stat().st_size
        bad = msgspec.structs.replace(newest, processed_bytes=size)
        return [bad if each.uuid == newest.uuid else each for each in transfers]

    def _signing_key(self) -> str:
        key = self.store.setting(_KEY)
        if key is None:
            key = secrets.token_hex(32)
            self.store.set(_KEY, key)
        return key


def config_var(addon: Addon) -> str:
    """The config var that holds its connection string."""
    return f"{addon.attachment}_URL"


def _free_attachment(taken: set[str]) -> str:
    if DATABASE not in taken:
        return DATABASE
    colours = (f"HEROKU_POSTGRESQL_{colour}" for colour in _COLOURS)
    free = next((each for each in colours if each not in taken), None)
    if free is None:
        raise errors.invalid("This app has as many databases as the sandbox gives it.")
    return free


def kept_at() -> str:
    """The form of a backup's ``to_url``: it holds a signature, and nothing is there."""
    return f"https://xfrtu.s3.invalid/{new_id()}?Signature={secrets.token_hex(16)}"
