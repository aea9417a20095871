"""FreeScout's web site as a drill sees it, traps included: ``python -m raxx_bcp_sandbox.freescout.site``.

Measured on 1.8.145 and 1.8.235 with PHP and MariaDB:

- ``GET /login`` is 200 with a CSRF token, even while the database is down or has no tables.
- ``POST /login`` answers 302 in any case: to ``/login`` after a failure, to the base URL after a success. A failure
  is written to ``activity_logs``.
- A wrong APP_KEY changes nothing on the login page; an attachment's link answers 403. An empty one with
  ``storage/.installed`` missing is replaced by a new key on the first request of any kind; then everything looks
  healthy.
- ``GET /storage/attachment/{file_dir}{file_name}?id=&token=`` is 200 with the file when row, file and key agree.

Modelled on the code of FreeScout and Laravel:

- ``GET /user-setup/{hash}`` looks the invitation up: 200 with "invalid" for an unknown one, 500 without a database. It
  needs no login and no CSRF token and writes nothing: the page that depends on the database.
- ``POST /login`` is 500 when the database does not answer, and 419 without the token of the page's form.
- An attachment whose row or file is missing is 404, one without a token or with a wrong one 403.
- An APP_KEY of the wrong length, or an empty one once FreeScout is installed, is 500 everywhere.
- Where there is no code, the web server answers 404.
"""

from __future__ import annotations

import argparse
import base64
import html
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import bcrypt
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox.freescout import env, laravel, schema, tree
from raxx_bcp_sandbox.freescout.database import Database, DatabaseError
from raxx_bcp_sandbox.mariadb import binaries

COOKIE: Final = "laravel_session"
_TOKEN_EXPIRED: Final = 419
_ACTIVE: Final = "1"


class AnswerError(Exception):
    """The request ends here, with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Session:
    """What the site knows about a browser."""

    csrf: str = field(default_factory=lambda: secrets.token_hex(20))
    user: str = ""


class Site:
    """The site in ``root``. The disk is read again for each request, as PHP does."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root = root
        self._database = database
        self._sessions: dict[str, Session] = {}

    def routes(self) -> list[Route]:
        """The pages that need no login, and the dashboard."""
        return [
            Route("/", self.dashboard),
            Route("/home", self.home),
            Route("/login", self.login_page, methods=["GET"]),
            Route("/login", self.login, methods=["POST"]),
            Route("/user-setup/{hash}", self.user_setup),
            Route("/storage/attachment/{one}/{two}/{three}/{name}", self.attachment),
        ]

    def dashboard(self, request: Request) -> Response:
        """For people who are logged in."""
        self._boot()
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        if session is None or not session.user:
            return RedirectResponse("/login", HTTPStatus.FOUND)
        self._database.rows("SELECT COUNT(*) FROM conversations WHERE state = 2")
        return _page("Dashboard")

    def home(self, _request: Request) -> Response:
        """The page after a login, which redirects again."""
        self._boot()
        return RedirectResponse("/", HTTPStatus.FOUND)

    def login_page(self, request: Request) -> Response:
        """The form with its CSRF token. It makes no query."""
        self._boot()
        known = request.cookies.get(COOKIE, "")
        name = known if known in self._sessions else secrets.token_urlsafe(30)
        session = self._sessions.setdefault(name, Session())
        page = _page(
            f'<form method="POST" action="/login"><input type="hidden" name="_token" value="{session.csrf}">'
            '<input type="email" name="email"><input type="password" name="password"></form>'
        )
        page.set_cookie(COOKIE, name, httponly=True, samesite="lax")
        return page

    async def login(self, request: Request) -> Response:
        """A login attempt."""
        body = await request.body()
        form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
        return await run_in_threadpool(self._log_in, request.cookies.get(COOKIE, ""), form)

    def user_setup(self, request: Request) -> Response:
        """An invitation."""
        self._boot()
        found = self._database.rows("SELECT id FROM users WHERE invite_hash = {}", request.path_params["hash"])
        return _page("Welcome" if found else "Invitation is invalid or has expired")

    def attachment(self, request: Request) -> Response:
        """A file, for anybody who has its link."""
        key = self._boot()
        row = self._attachment_row(request)
        token = request.query_params.get("token", "")
        if row.public != _ACTIVE and not secrets.compare_digest(token.encode(), row.token(key).encode()):
            raise AnswerError(HTTPStatus.FORBIDDEN)
        path = self._root / tree.ATTACHMENTS / row.directory / row.name
        if not path.is_file():
            raise AnswerError(HTTPStatus.NOT_FOUND)
        return Response(path.read_bytes(), media_type=row.mime_type, headers={"Content-Disposition": "attachment"})

    def _boot(self) -> str:
        """The check before any page: the key must be usable. Returns APP_KEY."""
        if not (self._root / "artisan").is_file():
            raise AnswerError(HTTPStatus.NOT_FOUND)
        key = env.read(self._root).get("APP_KEY", "")
        if not key and not (self._root / tree.INSTALLED).exists():
            key = "base64:" + base64.b64encode(secrets.token_bytes(32)).decode()
            _write_key(self._root, key)
        try:
            laravel.key_bytes(key)
        except ValueError:
            raise AnswerError(HTTPStatus.INTERNAL_SERVER_ERROR) from None
        return key

    def _log_in(self, cookie: str, form: dict[str, str]) -> Response:
        self._boot()
        session = self._sessions.get(cookie)
        if session is None or form.get("_token") != session.csrf:
            raise AnswerError(_TOKEN_EXPIRED)
        email = form.get("email", "")
        found = self._database.rows("SELECT id, password FROM users WHERE email = {} AND status = 1", email)
        if found and _is_password(form.get("password", ""), found[0][1]):
            session.user = found[0][0]
            return RedirectResponse("/", HTTPStatus.FOUND)
        self._database.rows(
            "INSERT INTO activity_logs (log_name, description, properties, created_at)"
            " VALUES ('users', 'login_failed', {}, UTC_TIMESTAMP())",
            email,
        )
        return RedirectResponse("/login", HTTPStatus.FOUND)

    def _attachment_row(self, request: Request) -> _AttachmentRow:
        """By id when the link has one, else by path. The id alone gives no access."""
        query, path = request.query_params, request.path_params
        if query.get("id") and not query.get("token"):
            raise AnswerError(HTTPStatus.FORBIDDEN)
        newer = self._database.rows("SHOW COLUMNS FROM attachments LIKE 'token_type'")
        columns = f"id, size, public, HEX(file_dir), HEX(file_name), mime_type, {'token_type' if newer else 'NULL'}"
        if query.get("id"):
            found = self._database.rows(f"SELECT {columns} FROM attachments WHERE id = {{}}", query["id"])  # noqa: S608
        else:
            directory = "/".join((path["one"], path["two"], path["three"], ""))
            where = "file_dir = {} AND file_name = {} LIMIT 1"
            found = self._database.rows(f"SELECT {columns} FROM attachments WHERE {where}", directory, path["name"])  # noqa: S608
        if not found:
            raise AnswerError(HTTPStatus.NOT_FOUND)
        return _AttachmentRow(*found[0])


class _AttachmentRow:
    """One row of ``attachments``, as the client prints it."""

    def __init__(self, number: str, size: str, public: str, file_dir: str, name: str, mime: str, kind: str) -> None:
        self._id, self._size, self._kind = int(number), int(size), kind
        self.public, self.mime_type = public, mime
        self.directory, self.name = (bytes.fromhex(each).decode() for each in (file_dir, name))

    def token(self, key: str) -> str:
        kind = int(self._kind) if self._kind.isdigit() else None
        return laravel.token(key, self._id, self._size, self.name, kind)


def _write_key(root: Path, key: str) -> None:
    if not (root / env.NAME).exists():
        (root / env.NAME).write_bytes((root / ".env.example").read_bytes())
    env.change(root, "APP_KEY", key)


def _is_password(given: str, bcrypted: str) -> bool:
    """PHP writes ``$2y$`` where everybody else writes ``$2b$``."""
    try:
        return bcrypt.checkpw(given.encode(), bcrypted.replace("$2y$", "$2b$").encode())
    except ValueError:
        return False


def _page(content: str, status: int = HTTPStatus.OK) -> HTMLResponse:
    return HTMLResponse(f"<!DOCTYPE html><html><title>FreeScout</title><body>{content}</body></html>", status)


def create_app(site: Site) -> Starlette:
    """The application, for uvicorn."""

    async def ended(_request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, AnswerError) else HTTPStatus.INTERNAL_SERVER_ERROR
        return _page(html.escape(f"{int(status)}"), status)

    return Starlette(routes=site.routes(), exception_handlers={AnswerError: ended, DatabaseError: ended})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp_sandbox.freescout.site", description="Serve FreeScout.")
    command.add_argument("--address", required=True)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--root", type=Path, required=True, help=f"the site's directory, of {schema.VERSION}")
    command.add_argument("--socket", type=Path, required=True, help="of MariaDB")
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Without MariaDB's client it prints one sentence and exits with 2."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        database = Database(options.root, options.socket, binaries())
    except BcpError as error:
        command.exit(error.exit_code, f"{error}\n")
    uvicorn.run(
        create_app(Site(options.root, database)),
        host=options.address,
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
