"""The HTTP side: both of Heroku's APIs, the backups' signed addresses, and the sandbox's own clock and faults."""

from __future__ import annotations

import asyncio
import hmac
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from raxx_bcp_sandbox.heroku import data_calls, errors, paging, platform_calls
from raxx_bcp_sandbox.heroku import faults as names
from raxx_bcp_sandbox.heroku.backups import PATH
from raxx_bcp_sandbox.heroku.call import Call, Handler, Listing, Reply
from raxx_bcp_sandbox.heroku.errors import ApiError
from raxx_bcp_sandbox.heroku.rates import Rate
from raxx_bcp_sandbox.heroku.seed import catch_up
from raxx_bcp_sandbox.heroku.times import parse_utc, platform_time
from raxx_bcp_sandbox.heroku.world import World

DATA: Final = "/client/v11"
HOLD_SECONDS: Final = 30.0
_HOLD_STEP: Final = 0.1
_SMALL_PAGE: Final = 2
_DENIED_PAGE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Request has expired or its '
    "signature does not match</Message></Error>"
)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Endpoint:
    """One route and its handler."""

    method: str
    path: str
    handler: Handler

    @property
    def is_data(self) -> bool:
        """Does it belong to the Data API?"""
        return self.path.startswith(DATA)


_APP: Final = "/apps/{app}"
_TRANSFER: Final = DATA + "/apps/{app}/transfers/{transfer}"
_DATABASE: Final = DATA + "/databases/{database}"
ENDPOINTS: Final = (
    Endpoint("GET", "/account", platform_calls.account),
    Endpoint("GET", "/apps", platform_calls.list_apps),
    Endpoint("GET", "/users/~/apps", platform_calls.list_apps),
    Endpoint("POST", "/apps", platform_calls.create_app),
    Endpoint("POST", "/teams/apps", platform_calls.create_team_app),
    Endpoint("GET", _APP, platform_calls.get_app),
    Endpoint("DELETE", _APP, platform_calls.delete_app),
    Endpoint("GET", _APP + "/dynos", platform_calls.nothing_of_app),
    Endpoint("GET", _APP + "/collaborators", platform_calls.nothing_of_app),
    Endpoint("GET", _APP + "/pipeline-couplings", platform_calls.no_pipeline),
    Endpoint("GET", _APP + "/addons", platform_calls.list_addons),
    Endpoint("POST", _APP + "/addons", platform_calls.create_addon),
    Endpoint("GET", _APP + "/addons/{addon}", platform_calls.get_addon),
    Endpoint("DELETE", _APP + "/addons/{addon}", platform_calls.delete_addon),
    Endpoint("GET", _APP + "/addon-attachments", platform_calls.list_attachments),
    Endpoint("GET", _APP + "/config-vars", platform_calls.config_vars),
    Endpoint("PATCH", _APP + "/config-vars", platform_calls.change_config_vars),
    Endpoint("GET", "/addon-attachments", platform_calls.all_attachments),
    Endpoint("GET", "/addons/{addon}", platform_calls.get_any_addon),
    Endpoint("GET", "/addons/{addon}/addon-attachments", platform_calls.attachments_of_addon),
    Endpoint("POST", "/actions/addons/resolve", platform_calls.resolve_addon),
    Endpoint("POST", "/actions/addon-attachments/resolve", platform_calls.resolve_attachment),
    Endpoint("GET", _DATABASE, data_calls.database),
    Endpoint("GET", _DATABASE + "/wait_status", data_calls.wait_status),
    Endpoint("POST", _DATABASE + "/backups", data_calls.capture),
    Endpoint("POST", _DATABASE + "/restores", data_calls.restore),
    Endpoint("GET", DATA + "/apps/{app}/transfers", data_calls.list_transfers),
    Endpoint("GET", _TRANSFER, data_calls.get_transfer),
    Endpoint("POST", _TRANSFER + "/actions/public-url", data_calls.public_url),
    Endpoint("POST", _TRANSFER + "/actions/cancel", data_calls.cancel),
)


class HerokuApi:
    """One account behind one key. Handlers run in threads, one at a time, under the world's lock."""

    def __init__(self, world: World, key: str, sleep: Sleep) -> None:
        self.world = world
        self._key = key.encode()
        self._sleep = sleep
        self._rate = Rate(world.clock.real)

    def routes(self) -> list[Route]:
        """Both APIs, the signed addresses, and the sandbox's own."""
        return [
            Route("/_sandbox/clock", self.clock, methods=["GET", "PUT"]),
            Route("/_sandbox/scheduled-backup", self.scheduled_backup, methods=["POST"]),
            *self.world.faults.routes(),
            Route(PATH + "/{uuid}", self.download, methods=["GET"]),
            *(self._route(endpoint) for endpoint in ENDPOINTS),
        ]

    def _route(self, endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            headers = {"request-id": str(uuid.uuid4())}
            if not endpoint.is_data:
                headers["ratelimit-remaining"] = str(self._rate.spend())
            try:
                return await self._answer(request, endpoint, headers)
            except ApiError as error:
                return _refusal(error, headers)

        return Route(endpoint.path, answer, methods=[endpoint.method])

    async def _answer(self, request: Request, endpoint: Endpoint, headers: dict[str, str]) -> Response:
        await self._strike(endpoint)
        self._authenticate(request)
        if self.world.faults.on(names.DENIED):
            raise errors.forbidden()
        call = Call(
            world=self.world,
            path=request.path_params,
            query=request.query_params,
            body=await _body(request),
            base_url=str(request.base_url).rstrip("/"),
        )
        answer = await run_in_threadpool(self._handle, endpoint, call)
        if isinstance(answer, Listing):
            return self._part(answer, request.headers.get("range", ""), headers)
        return JSONResponse(answer.body, answer.status, headers=headers)

    async def _strike(self, endpoint: Endpoint) -> None:
        """The faults that affect every call, from any caller."""
        faults = self.world.faults
        if faults.on(names.DOWN):
            raise errors.unavailable()
        if faults.on(names.TIMEOUTS):
            await self._hold()
        if faults.refuses(f"{endpoint.method} {endpoint.path}"):
            raise errors.rate_limited()
        if endpoint.is_data and faults.on(names.DATA_HTML_404):
            raise errors.data_page_not_found()

    async def _hold(self) -> None:
        for _step in range(round(HOLD_SECONDS / _HOLD_STEP)):
            await self._sleep(_HOLD_STEP)
            if not self.world.faults.on(names.TIMEOUTS):
                return
        raise errors.router_timeout()

    def _authenticate(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key):
            raise errors.unauthorized()

    def _handle(self, endpoint: Endpoint, call: Call) -> Reply | Listing:
        if endpoint.is_data:
            self.world.make_damage()
        with self.world.lock:
            self.world.settle()
            return endpoint.handler(call)

    def _part(self, listing: Listing, asked: str, headers: dict[str, str]) -> Response:
        most = _SMALL_PAGE if self.world.faults.on(names.SMALL_PAGES) else paging.LARGEST
        part = paging.part_of(listing.items, asked, most=most)
        headers |= {"accept-ranges": "id, name, updated_at", "content-range": part.content_range}
        if part.next_range:
            return JSONResponse(part.items, 206, headers={**headers, "next-range": part.next_range})
        return JSONResponse(part.items, headers=headers)

    async def download(self, request: Request) -> Response:
        """The bytes of a backup, for anybody who has a signed address. No key is needed."""
        if self.world.faults.on(names.TIMEOUTS):
            try:
                await self._hold()
            except ApiError as error:
                return _refusal(error, {})
        query = request.query_params
        signed = (request.path_params["uuid"], query.get("Expires", ""), query.get("Signature", ""))
        found = await run_in_threadpool(self.world.download, *signed)
        if found is None or not found.path.is_file():
            return Response(_DENIED_PAGE, 403, media_type="application/xml")
        return FileResponse(found.path, media_type="binary/octet-stream", filename=found.name)

    async def clock(self, request: Request) -> Response:
        """The recorded clock. PUT takes ``{"advance_seconds": N}`` or ``{"now_utc": "2031-03-14T06:29:00Z"}``."""
        if request.method == "PUT":
            try:
                await run_in_threadpool(self._turn, await request.json())
            except (ValueError, TypeError) as error:
                return JSONResponse({"error": f"The clock was not changed: {error}"}, status_code=400)
        now, offset = await run_in_threadpool(self._time)
        return JSONResponse({"now_utc": platform_time(now), "now": now, "offset_seconds": offset})

    def _time(self) -> tuple[float, float]:
        with self.world.lock:
            return self.world.clock.now(), self.world.clock.offset

    def _turn(self, wanted: Any) -> None:
        with self.world.lock:
            match wanted:
                case {"advance_seconds": int() | float() as seconds, **rest} if not rest and seconds >= 0:
                    self.world.clock.advance(seconds)
                case {"now_utc": str() as text, **rest} if not rest:
                    self.world.clock.set_now(parse_utc(text))
                case _:
                    raise ValueError('give {"advance_seconds": 60} or {"now_utc": "2031-03-14T06:29:00Z"}')
            self.world.settle()

    async def scheduled_backup(self, _request: Request) -> Response:
        """Take this morning's backup of production when there is none yet."""
        return JSONResponse({"taken": await run_in_threadpool(catch_up, self.world)})


async def _body(request: Request) -> Mapping[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if body is not None and not isinstance(body, dict):
        body = None
    if body is None and raw != b"null":
        raise ApiError(400, "bad_request", "Unable to parse the JSON of the request.")
    return body or {}


def _refusal(error: ApiError, headers: Mapping[str, str]) -> Response:
    both = {**headers, **error.headers}
    if error.html:
        return HTMLResponse(error.html, error.status, headers=both)
    return JSONResponse(error.body, error.status, headers=both)


async def _no_route(request: Request, _error: Exception) -> Response:
    return _refusal(errors.data_page_not_found() if request.url.path.startswith(DATA) else errors.not_found(), {})


def create_app(world: World, key: str, *, sleep: Sleep = asyncio.sleep) -> Starlette:
    """The application, for uvicorn."""
    handlers: Any = {404: _no_route, 405: _no_route, HTTPException: _no_route}
    app = Starlette(routes=HerokuApi(world, key, sleep).routes(), exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app
