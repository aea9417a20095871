"""The HTTP side of the vault: routes, tokens, bodies, and the faults that affect every call."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from raxx_bcp_sandbox.infisical import environments, reads, secret_reads, secret_writes, writes
from raxx_bcp_sandbox.infisical.auth import Authority
from raxx_bcp_sandbox.infisical.call import Call, Reply
from raxx_bcp_sandbox.infisical.errors import ApiError, internal
from raxx_bcp_sandbox.infisical.faults import VaultFaults, View
from raxx_bcp_sandbox.infisical.ratelimit import RateLimiter, too_many_calls
from raxx_bcp_sandbox.infisical.state import Actor, Clock
from raxx_bcp_sandbox.infisical.world import World

Handler = Callable[[Call], dict[str, Any] | Reply]
Sleep = Callable[[float], Awaitable[None]]
BODY_LIMIT = 1_048_576
SLOW_S = 0.2
JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: its handler, whether it needs a token, and the rate limit that counts it."""

    method: str
    path: str
    handler: Handler
    token: bool = True
    limit: Literal["read", "write", "secrets"] = "read"

    @property
    def writes(self) -> bool:
        """Does it change what the vault holds?"""
        return self.token and self.method != "GET"


PROJECT = "/api/v1/projects/{project}"
ENVIRONMENT = PROJECT + "/environments/{environment}"
MEMBER = PROJECT + "/memberships/identities/{identity}"
UNIVERSAL_AUTH = "/api/v1/auth/universal-auth/identities/{identity}"
CLIENT_SECRET = UNIVERSAL_AUTH + "/client-secrets/{secret}"
SECRET = "/api/v4/secrets/{name:path}"  # noqa: S105
ENDPOINTS = (
    Endpoint("GET", "/api/status", reads.status, token=False),
    Endpoint("POST", "/api/v1/auth/universal-auth/login", writes.login, token=False, limit="write"),
    Endpoint("POST", "/api/v1/auth/token/renew", writes.renew_token, token=False, limit="write"),
    Endpoint("POST", "/api/v1/auth/token/revoke", writes.revoke_token, token=False, limit="write"),
    Endpoint("GET", UNIVERSAL_AUTH, reads.get_universal_auth),
    Endpoint("POST", CLIENT_SECRET + "/revoke", writes.revoke_client_secret, limit="write"),
    Endpoint("GET", "/api/v1/projects", reads.list_projects),
    Endpoint("POST", "/api/v1/projects", writes.create_project, limit="write"),
    Endpoint("GET", "/api/v1/workspace", reads.list_workspaces),
    Endpoint("GET", "/api/v1/projects/slug/{slug}", reads.get_project_by_slug),
    Endpoint("GET", PROJECT, reads.get_project),
    Endpoint("DELETE", PROJECT, writes.delete_project, limit="write"),
    Endpoint("POST", PROJECT + "/environments", environments.create, limit="write"),
    Endpoint("PATCH", ENVIRONMENT, environments.update, limit="write"),
    Endpoint("DELETE", ENVIRONMENT, environments.delete, limit="write"),
    Endpoint("POST", ENVIRONMENT + "/restore", environments.restore, limit="write"),
    Endpoint("GET", PROJECT + "/tags", reads.list_tags),
    Endpoint("POST", PROJECT + "/tags", writes.create_tag, limit="write"),
    Endpoint("GET", PROJECT + "/roles", reads.list_roles),
    Endpoint("POST", PROJECT + "/roles", writes.create_role, limit="write"),
    Endpoint("GET", PROJECT + "/memberships/identities", reads.project_identities),
    Endpoint("GET", MEMBER, reads.project_identity),
    Endpoint("POST", MEMBER, writes.add_identity, limit="write"),
    Endpoint("POST", "/api/v2/identity-project-additional-privilege", writes.add_privilege, limit="write"),
    Endpoint("GET", "/api/v1/additional-privilege/identity", reads.own_privileges),
    Endpoint("GET", "/api/v1/organization-admin/projects", reads.admin_projects),
    Endpoint(
        "POST",
        "/api/v1/organization-admin/projects/{project}/grant-admin-access",
        reads.refuse_identity,
        limit="write",
    ),
    Endpoint("GET", "/api/v2/folders", reads.list_folders),
    Endpoint("GET", "/api/v1/folders", reads.list_folders_v1),
    Endpoint("POST", "/api/v2/folders", writes.create_folder, limit="write"),
    Endpoint("GET", "/api/v2/secret-imports", reads.list_imports),
    Endpoint("POST", "/api/v2/secret-imports", writes.create_import, limit="write"),
    Endpoint("GET", "/api/v4/secrets", secret_reads.list_v4, limit="secrets"),
    Endpoint("GET", "/api/v3/secrets/raw", secret_reads.list_v3, limit="secrets"),
    Endpoint("POST", "/api/v4/secrets/batch", secret_writes.create_batch, limit="secrets"),
    Endpoint("PATCH", "/api/v4/secrets/batch", secret_writes.update_batch, limit="secrets"),
    Endpoint("GET", "/api/v4/secrets/id/{id}", secret_reads.get_by_id, limit="secrets"),
    Endpoint("GET", SECRET, secret_reads.get_one, limit="secrets"),
    Endpoint("POST", SECRET, secret_writes.create_one, limit="secrets"),
    Endpoint("PATCH", SECRET, secret_writes.update_one, limit="secrets"),
    Endpoint("GET", "/api/v1/secret/{id}/secret-versions", secret_reads.versions, limit="secrets"),
    Endpoint("GET", "/api/v1/dashboard/secret-versions/{id}", reads.refuse_identity, limit="secrets"),
    Endpoint("GET", "/api/v1/dashboard/secrets-overview", reads.refuse_identity, limit="secrets"),
    Endpoint("GET", "/api/v1/identities/details", reads.identity_details),
    Endpoint("GET", "/api/v1/identities/{identity}", reads.get_identity),
    Endpoint("GET", "/api/v1/identities/{identity}/identity-memberships", reads.identity_memberships),
    Endpoint("GET", "/api/v1/dynamic-secrets", reads.dynamic_secrets),
    Endpoint("GET", "/api/v1/secret-syncs", reads.secret_syncs),
    Endpoint("GET", "/api/v1/webhooks", reads.webhooks),
    Endpoint("GET", "/api/v2/secret-rotations", reads.secret_rotations),
    Endpoint("GET", "/api/v1/organization/audit-logs", reads.audit_logs),
    Endpoint("GET", "/api/v1/admin/organization-management/organizations", reads.server_admin),
    Endpoint("POST", "/api/v3/external-migration/{kind}", reads.refuse_identity, limit="write"),
)


class Vault:
    """The stand-in behind the routes. Handlers run in threads, one at a time, under the world's lock."""

    def __init__(self, world: World, faults: VaultFaults, *, limiter: RateLimiter | None, sleep: Sleep) -> None:
        self.world = world
        self.faults = faults
        self.authority = Authority(world)
        self.view = View(world, faults)
        self.limiter = limiter
        self._sleep = sleep
        self._requests = 0

    def route(self, endpoint: Endpoint) -> Route:
        """The starlette route of an endpoint."""

        async def answer(request: Request) -> Response:
            return await self._answer(request, endpoint)

        return Route(endpoint.path, answer, methods=[endpoint.method])

    async def _answer(self, request: Request, endpoint: Endpoint) -> Response:
        headers: dict[str, str] = {}
        try:
            await self._strike(endpoint, headers)
            if self.limiter is not None:
                limits, refusal = self.limiter.count(endpoint.limit)
                headers.update(limits)
                if refusal is not None:
                    raise refusal
            caller = self._caller(request, endpoint)
            call = Call(
                view=self.view,
                authority=self.authority,
                caller=caller,
                path=request.path_params,
                query=request.query_params,
                body=await _json_body(request),
                url=_url(request),
                if_none_match=request.headers.get("if-none-match"),
            )
            result = await run_in_threadpool(self._handle, endpoint.handler, call)
        except ApiError as error:
            content = msgspec.json.encode(error.body(self._request_id()))
            return _response(Reply(content, error.status), headers)
        reply = result if isinstance(result, Reply) else Reply(msgspec.json.encode(result))
        if endpoint.writes and self.faults.lose_answer(f"{endpoint.method} {endpoint.path}"):
            return _lost(reply)
        return _response(reply, headers)

    async def _strike(self, endpoint: Endpoint, headers: dict[str, str]) -> None:
        """The faults that affect every call."""
        if self.faults.on("vault-slow"):
            await self._sleep(SLOW_S)
        if self.faults.on("vault-down"):
            raise ApiError(503, "Service Unavailable", "ServiceUnavailable")
        if self.faults.refuse_call(f"{endpoint.method} {endpoint.path}"):
            headers["retry-after"] = "1"
            raise too_many_calls(1)

    def _caller(self, request: Request, endpoint: Endpoint) -> Actor | None:
        if not endpoint.token:
            return None
        short = self.faults.on("vault-token-expires")
        few_uses = self.faults.on("vault-token-uses-limited")
        return self.authority.authenticate(request.headers.get("authorization"), short=short, few_uses=few_uses)

    def _handle(self, handler: Handler, call: Call) -> dict[str, Any] | Reply:
        with self.world.lock:
            return handler(call)

    def _request_id(self) -> str:
        self._requests += 1
        return "req-" + hashlib.sha256(str(self._requests).encode()).hexdigest()[:14]


async def _json_body(request: Request) -> Any:
    """The JSON body, if any. Bad JSON and a body over 1 MiB answer 500 (40d, 49b)."""
    if request.method == "GET":
        return None
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > BODY_LIMIT:
        raise internal()
    raw = await request.body()
    if len(raw) > BODY_LIMIT:
        raise internal()
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise internal() from error


def _url(request: Request) -> str:
    """Path and query as they were sent."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string", b"")
    return (raw.split(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")


def _response(reply: Reply, headers: Mapping[str, str]) -> Response:
    response = Response(reply.content, reply.status, headers={**headers, **reply.headers})
    if reply.status == 304:
        response.headers["content-length"] = "0"
    else:
        response.headers["content-type"] = reply.media_type
    return response


def _lost(reply: Reply) -> Response:
    """The connection ends before the answer does: Content-Length is larger than what arrives."""
    return Response(b"", reply.status, headers={"content-length": str(len(reply.content) + 1), "connection": "close"})


async def _no_route(request: Request, _: Exception) -> Response:
    """404 without ``reqId``, even for a known path with another method (45i)."""
    message = f"Route {request.method}:{_url(request)} not found"
    content = msgspec.json.encode({"message": message, "error": "Not Found", "statusCode": 404})
    return Response(content, 404, headers={"content-type": JSON})


def create_app(
    world: World,
    *,
    clock: Clock | None = None,
    sleep: Sleep = asyncio.sleep,
    rate_limited: bool = False,
    faults: VaultFaults | None = None,
) -> Starlette:
    """The vault as an application. Its faults are at ``app.state.faults``, tokens at ``app.state.authority``.

    ``clock`` replaces the world's clock; ``rate_limited`` switches the cloud's rate limiter on.
    """
    if clock is not None:
        world.clock = clock
    limiter = RateLimiter(world.clock) if rate_limited else None
    vault = Vault(world, faults or VaultFaults(), limiter=limiter, sleep=sleep)
    app = Starlette(
        routes=[*vault.faults.routes(), *(vault.route(endpoint) for endpoint in ENDPOINTS)],
        exception_handlers={404: _no_route, 405: _no_route, HTTPException: _no_route},
    )
    app.router.redirect_slashes = False
    app.state.world = world
    app.state.faults = vault.faults
    app.state.authority = vault.authority
    app.state.view = vault.view
    app.state.vault = vault
    return app


def create_broken_app(reason: str) -> Starlette:
    """A vault whose database cannot be used: its status says so, and every call answers 500 [model]."""

    async def answer(_request: Request) -> Response:
        message = f"The database is not usable: {reason}"
        return _response(Reply(msgspec.json.encode({"message": message}), 500), {})

    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=every)])
