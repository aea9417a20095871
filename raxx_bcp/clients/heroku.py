"""The client for Heroku: its Platform API (apps, add-ons, config) and its Data API (databases, backups, restores).

A call that could do harm is refused before a byte is sent. Everything that creates, overwrites, cancels or deletes
accepts throwaway apps only, known by the prefix of their names. ``capture`` alone writes elsewhere, and only adds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from raxx_bcp.clients.heroku_errors import AbsentError, NameTakenError, not_the_api, refusal, write_refusal
from raxx_bcp.clients.heroku_shapes import (
    App,
    ConfigVars,
    Database,
    DatabaseInfo,
    RawAddon,
    RawApp,
    RawAttachment,
    RawDatabaseInfo,
    RawSignedUrl,
    RawTransfer,
    RawWait,
    SignedUrl,
    Transfer,
    WaitState,
    WaitStatus,
)
from raxx_bcp.clients.http import Answer, Door
from raxx_bcp.clients.retries import RateLimitedError
from raxx_bcp.errors import NOT_THE_END, BcpError, CouldNotVerifyError, PermanentError, UsageError

DEFAULT_API_URL: Final = "https://api.heroku.com"
DEFAULT_DATA_URL: Final = "https://api.data.heroku.com/client/v11"
DATABASE: Final = "DATABASE"
"""The attachment whose config var is ``DATABASE_URL``: what an app calls its database."""
_ACCEPT: Final = "application/vnd.heroku+json; version=3"
_INCLUDE_PLAN: Final = {"accept": f"{_ACCEPT}.sdk", "accept-inclusion": "addon:plan,config_vars"}
_APP_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9-]{3,19}-")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LOOKS: Final = 3
_MOST_PAGES: Final = 1000

T = TypeVar("T")


class Heroku:
    """One account on Heroku. Use as a context manager: leaving it closes the connections.

    ``throwaway_prefix`` is the prefix of a drill's own apps' names (``raxx-drill-``); ``protected`` names apps
    that must never have it. Every read raises ``AbsentError`` (404), ``DeniedError`` (403, a CouldNotVerifyError),
    ``PermanentError`` (key refused, or an answer that is not the API's) or ``TransientError`` (unreachable, busy,
    rate limited after the attempts). A denied write is a ``PermanentError``. Reads are repeated; writes
    after a 429 only, unless they say otherwise.
    """

    def __init__(
        self,
        api_key: str,
        api_url: str = DEFAULT_API_URL,
        data_url: str = DEFAULT_DATA_URL,
        *,
        throwaway_prefix: str,
        protected: Collection[str] = (),
        timeout_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not _PREFIX.fullmatch(throwaway_prefix):
            raise UsageError(
                f"{throwaway_prefix!r} cannot mark throwaway apps.",
                "Write five or more lower-case letters, digits and dashes that end in a dash, such as raxx-drill-.",
            )
        for name in protected:
            if name.startswith(throwaway_prefix):
                raise UsageError(
                    f"The app {name} is protected, and its name begins with {throwaway_prefix} as a throwaway's does.",
                    "Choose another prefix for throwaway apps.",
                )
        self.throwaway_prefix = throwaway_prefix
        self._authorization = f"Bearer {api_key}"
        self._sleep = sleep
        self._platform = Door("Heroku", api_url, timeout_seconds=timeout_seconds, sleep=sleep)
        self._data = Door("Heroku's Data API", data_url, timeout_seconds=timeout_seconds, sleep=sleep)

    def __enter__(self) -> Heroku:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._platform.close()
        self._data.close()

    def __repr__(self) -> str:
        return f"Heroku({self._platform.base_url!r}, throwaway_prefix={self.throwaway_prefix!r})"

    # Apps

    def app(self, name: str) -> App:
        """The app of that name or id."""
        return self._read(self._platform, f"/apps/{_segment(name)}", RawApp, f"look at app {name}").told()

    def app_exists(self, name: str) -> bool:
        """Is there an app of that name or id? Denied is an error, never "no"."""
        try:
            self.app(name)
        except AbsentError:
            return False
        return True

    def apps(self) -> list[App]:
        """Every app that the key's account can see, including those of its teams."""
        return [one.told() for one in self._list(self._platform, "/apps", RawApp, "list the apps")]

    def apps_with_prefix(self, prefix: str = "") -> list[App]:
        """The apps whose names have this prefix; by default every throwaway app."""
        return [one for one in self.apps() if one.name.startswith(prefix or self.throwaway_prefix)]

    def create_app(self, name: str, region: str = "", team: str = "") -> App:
        """Create a throwaway app. Raises ``AppLimitError``, ``NameTakenError``.

        Where the answer was lost, it looks whether the app is there before it asks again. Each name is made
        for one drill only, so an app that is there by then is the one that this call asked for.
        """
        action = f"create app {name}"
        self._throwaway_only(name, action)
        body = {"name": name, **({"region": region} if region else {}), **({"team": team} if team else {})}
        path = "/teams/apps" if team else "/apps"
        return self._surely(
            lambda: self._write(self._platform, path, RawApp, action, json=body).told(),
            lambda: self._if_there(lambda: self.app(name)),
        )

    def delete_app(self, name: str) -> None:
        """Delete a throwaway app with its add-ons; one that is already gone is fine.

        Raises ``PermanentError`` before any request when the name is not a throwaway's. Heroku's answer proves
        nothing (404 and 403 both mean that it is gone): look with ``apps_with_prefix`` or ``app_exists``.
        """
        action = f"delete app {name}"
        self._throwaway_only(name, action)
        answer = self._send(self._platform, "DELETE", f"/apps/{_segment(name)}", retry=True)
        if not answer.ok and answer.status not in (403, 404, 410):
            raise write_refusal(answer, action, self.throwaway_prefix)

    # Databases

    def create_database(self, app: str, plan: str, version: str) -> Database:
        """Add a database to a throwaway app: ``plan`` such as ``essential-0``, ``version`` such as ``17``.

        It is not ready yet: see ``wait_status``. A lost answer is handled as in ``create_app``.
        """
        action = f"add a {plan} database of version {version} to app {app}"
        self._throwaway_only(app, action)
        name = plan if ":" in plan else f"heroku-postgresql:{plan}"
        body = {"plan": {"name": name}, "config": {"version": version}, "attachment": {}}
        return self._surely(
            lambda: self._write(self._platform, f"/apps/{app}/addons", RawAddon, action, json=body).told(),
            lambda: self._if_there(lambda: self.database_of(app)),
        )

    def database_of(self, app: str) -> Database:
        """The database that the app knows as ``DATABASE_URL``. Raises ``AbsentError`` when it has none."""
        path = f"/apps/{_segment(app)}/addon-attachments"
        action = f"list the databases of app {app}"
        attached = self._list(self._platform, path, RawAttachment, action, headers=_INCLUDE_PLAN)
        for one in attached:
            if one.name == DATABASE:
                return one.addon.told()
        raise AbsentError(
            f"The app {app} has no database attached as {DATABASE}.",
            "Check the app's name in bcp.toml, and its add-ons in Heroku's dashboard.",
        )

    def wait_status(self, database_id: str) -> WaitStatus:
        """How far the provisioning of a database has come.

        A database that the Data API does not know (yet) counts as waiting: the caller has a deadline.
        """
        path, action = f"/databases/{_segment(database_id)}/wait_status", f"ask how far database {database_id} is"
        try:
            return self._read(self._data, path, RawWait, action).told()
        except AbsentError:
            return WaitStatus(WaitState.WAITING, "the Data API does not know it yet")

    def database_info(self, database_id: str) -> DatabaseInfo:
        """Size, plan and version of a database."""
        path, action = f"/databases/{_segment(database_id)}", f"look at database {database_id}"
        return self._read(self._data, path, RawDatabaseInfo, action).told()

    def config_vars(self, app: str) -> ConfigVars:
        """The app's config vars: secrets."""
        path = f"/apps/{_segment(app)}/config-vars"
        return ConfigVars(self._read(self._platform, path, dict[str, str], f"read the config of app {app}"))

    def database_url(self, app: str) -> SecretStr:
        """The current ``DATABASE_URL`` (Heroku may change it), with the scheme that SQLAlchemy and libpq accept."""
        url = self.config_vars(app).get(f"{DATABASE}_URL", "")
        if not url:
            raise AbsentError(
                f"The app {app} has no {DATABASE}_URL.", "Check its add-ons; a new database sets it when it is ready."
            )
        return SecretStr(re.sub(r"^postgres://", "postgresql://", url))

    # Backups and restores, which Heroku calls transfers

    def transfers(self, app: str) -> list[Transfer]:
        """Every backup, restore and copy of the app, in no particular order, without their logs."""
        path = f"/apps/{_segment(app)}/transfers"
        return [one.told() for one in self._list(self._data, path, RawTransfer, f"list the backups of app {app}")]

    def transfer(self, app: str, number_or_uuid: int | str, *, verbose: bool = False) -> Transfer:
        """One transfer, with its log where ``verbose``. A restore is listed under the id of its target app."""
        path = f"/apps/{_segment(app)}/transfers/{_segment(str(number_or_uuid))}"
        params = {"verbose": "true"} if verbose else None
        action = f"look at transfer {number_or_uuid} of app {app}"
        return self._read(self._data, path, RawTransfer, action, params=params).told()

    def signed_url(self, app: str, number: int) -> SignedUrl:
        """An address from which the backup can be fetched for an hour: a secret. Calling it twice does no harm."""
        path, action = f"/apps/{_segment(app)}/transfers/{number}/actions/public-url", f"get backup {number} of {app}"
        return self._write(self._data, path, RawSignedUrl, action, retry=True).told()

    def capture(self, database_id: str) -> Transfer:
        """Start a backup. Heroku may drop the oldest manual one for it, as the plan keeps a limited number."""
        path, action = f"/databases/{_segment(database_id)}/backups", f"back up database {database_id}"
        return self._write(self._data, path, RawTransfer, action).told()

    def restore(self, database: Database, backup_url: SecretStr, extensions: Sequence[str] = ()) -> Transfer:
        """Start restoring a backup **over** a database that belongs to a throwaway app.

        Heroku makes ``extensions`` (``hstore``, or ``heroku_ext.hstore`` to name the schema) before it restores.
        pg_restore's role cannot. Objects that use the types of a missing extension are not restored.

        Refused before the restore is sent when the app that owns the database is not a throwaway, or when
        Heroku names another owner. After a lost answer it never sends a second restore, which
        would meet the first one's tables. It looks whether one started, and else raises ``TransientError``.
        """
        action = f"restore into database {database.name} of app {database.app_name}"
        self._throwaway_only(database.app_name, action)
        owned = self.database_of(database.app_name)
        if (owned.id, owned.app_name) != (database.id, database.app_name):
            raise PermanentError(
                f"Heroku was not asked to {action}: what is attached there belongs to app {owned.app_name}.",
                "Nothing was changed. The request is a bug in the program: report it.",
            )
        before = {one.uuid for one in self.transfers(database.app_name)}
        path = f"/databases/{_segment(database.id)}/restores"
        body: dict[str, Any] = {"backup_url": backup_url.get_secret_value()}
        if extensions:
            body["extensions"] = list(extensions)

        def begun() -> Transfer | None:
            new = [one for one in self.transfers(database.app_name) if one.is_restore and one.uuid not in before]
            return new[0] if new else None

        return self._surely(
            lambda: self._write(self._data, path, RawTransfer, action, json=body).told(), begun, again=False
        )

    def cancel(self, app: str, uuid: str) -> None:
        """Cancel a transfer of a throwaway app; one that has ended or is gone is fine."""
        action = f"cancel transfer {uuid} of app {app}"
        self._throwaway_only(app, action)
        answer = self._send(
            self._data, "POST", f"/apps/{app}/transfers/{_segment(uuid)}/actions/cancel", json={}, retry=True
        )
        if not answer.ok and answer.status not in (404, 410, 422):
            raise write_refusal(answer, action, self.throwaway_prefix)

    # How it is done

    def _throwaway_only(self, name: str, action: str) -> None:
        if not (_APP_NAME.fullmatch(name) and name.startswith(self.throwaway_prefix)):
            raise PermanentError(
                f"Heroku was not asked to {action}: a throwaway app has a legal name that begins with "
                f"{self.throwaway_prefix}.",
                "Nothing was changed. The request is a bug in the program: report it.",
            )

    def _surely(self, create: Callable[[], T], look: Callable[[], T | None], *, again: bool = True) -> T:
        """Create once, even when an answer was lost: look whether it happened before asking again."""
        try:
            return create()
        except RateLimitedError:
            raise
        except NOT_THE_END as error:
            lost: BcpError = error
        for looked in range(_LOOKS):
            self._sleep(2.0**looked)
            found = look()
            if found is not None:
                return found
            if again:
                try:
                    return create()
                except NameTakenError:
                    continue  # the first request succeeded after all: the next look finds it
                except NOT_THE_END as error:
                    lost = error
        raise lost

    def _if_there(self, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except AbsentError:
            return None

    def _send(self, door: Door, method: str, path: str, **named: Any) -> Answer:
        headers = {"accept": _ACCEPT, "authorization": self._authorization, **(named.pop("headers", None) or {})}
        return door.send(method, path, headers=headers, retry_undone=True, **named)

    def _read(self, door: Door, path: str, kind: type[T], action: str, **named: Any) -> T:
        answer = self._send(door, "GET", path, **named)
        if not answer.ok:
            raise refusal(answer, action, self.throwaway_prefix)
        return _decoded(answer, kind, action)

    def _write(self, door: Door, path: str, kind: type[T], action: str, **named: Any) -> T:
        answer = self._send(door, "POST", path, **named)
        if not answer.ok:
            raise write_refusal(answer, action, self.throwaway_prefix)
        return _decoded(answer, kind, action)

    def _list(
        self, door: Door, path: str, kind: type[T], action: str, headers: Mapping[str, str] | None = None
    ) -> list[T]:
        """Every page: 206 with ``Next-Range`` means that there is more."""
        found: list[T] = []
        following = ""
        for _page in range(_MOST_PAGES):
            asked = {**(headers or {}), **({"range": following} if following else {})}
            answer = self._send(door, "GET", path, headers=asked)
            if not answer.ok:
                raise refusal(answer, action, self.throwaway_prefix)
            found += _decoded(answer, list[kind], action)  # type: ignore[valid-type]
            before, following = following, answer.headers.get("next-range", "")
            if answer.status != 206:
                return found
            if not following or following == before:
                break
        raise CouldNotVerifyError(
            f"Heroku could not {action} to the end: after {len(found)} it did not say where the list continues.",
            "Try again; nothing is concluded from half a list.",
        )


def _decoded(answer: Answer, kind: type[T], action: str) -> T:
    decoded = answer.decoded(kind)
    if decoded is None:
        raise not_the_api(answer, action)
    return decoded


def _segment(name: str) -> str:
    """``name`` as one part of a path: dots and slashes would lead somewhere else."""
    if not _SEGMENT.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a name or an id on Heroku.", "Check the names in bcp.toml.")
    return name
