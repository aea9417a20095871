"""The HTTP side: JSON 1.1 as the real clients speak it, and the sandbox's own clock and faults.

Every request and every answer is checked against Lightsail's own model. An answer that the model does not know is our
mistake: it is logged and becomes a 500, so that no test passes on it.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from http import HTTPStatus
from typing import Any, Final

from botocore.model import OperationModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from raxx_bcp_sandbox.lightsail import instance_calls, other_calls, snapshot_calls, wire
from raxx_bcp_sandbox.lightsail.call import Answer, Call, Handler
from raxx_bcp_sandbox.lightsail.errors import LightsailError, access_denied, invalid_input, throttled
from raxx_bcp_sandbox.lightsail.faults import DENIED, DOWN
from raxx_bcp_sandbox.lightsail.records import ACCOUNT
from raxx_bcp_sandbox.lightsail.signature import AccessKey, Received, signed_region
from raxx_bcp_sandbox.lightsail.times import RealTime, iso, parse_utc
from raxx_bcp_sandbox.lightsail.world import World

HANDLERS: Final[dict[str, Handler]] = {
    **instance_calls.HANDLERS,
    **snapshot_calls.HANDLERS,
    **other_calls.HANDLERS,
}
_NEVER_DENIED: Final = frozenset({"GetRegions"})
_log = logging.getLogger(__name__)


class OurMistakeError(Exception):
    """We produced an answer that Lightsail never gives: the log has it, and the client gets a 500."""


class LightsailApi:
    """One account behind one access key. ``real`` gives the time by which signatures are checked."""

    def __init__(self, world: World, key: AccessKey, real: RealTime = time.time) -> None:
        self.world = world
        self._key = key
        self._real = real

    def routes(self) -> list[Route]:
        """Lightsail's one address, and the sandbox's own."""
        return [
            Route("/", self.call, methods=["POST"]),
            Route("/_sandbox/clock", self.clock, methods=["GET", "PUT"]),
            *self.world.faults.routes(),
        ]

    async def call(self, request: Request) -> Response:
        """One call of the API."""
        if self.world.faults.on(DOWN):
            return PlainTextResponse("Service Unavailable", status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        received = Received(request.method, url, dict(request.headers), await request.body())
        name = wire.operation_named(received.headers.get("x-amz-target", ""))
        model = wire.operation(name) if name else None
        try:
            return self._respond(received, model)
        except OurMistakeError as mistake:
            _log.error("%s", mistake)
            return _json({"__type": "InternalFailure", "message": f"The stand-in is wrong: {mistake}"}, 500)

    def _respond(self, received: Received, model: OperationModel | None) -> Response:
        try:
            return _json(self._answer(received, model), HTTPStatus.OK)
        except LightsailError as error:
            if model is not None and error.name in wire.own_exceptions():
                problems = wire.error_problems(model, error.name, error.members())
                if problems:
                    raise OurMistakeError(f"{model.name} would have refused: {'; '.join(problems)}") from None
            return _json(error.body(), error.status)

    def _answer(self, received: Received, model: OperationModel | None) -> Answer:
        region = signed_region(received, self._key, self._real())
        if region not in wire.regions():
            raise LightsailError(
                "InvalidSignatureException", f"Credential should be scoped to a valid region, not {region!r}."
            )
        if model is None:
            raise LightsailError("UnknownOperationException", "X-Amz-Target names no operation of Lightsail.")
        faults = self.world.faults
        if faults.throttles(model.name):
            raise throttled()
        if faults.on(DENIED) and model.name not in _NEVER_DENIED:
            raise access_denied(model.name, region, ACCOUNT)
        parameters = _parameters(received, model)
        handler = HANDLERS.get(model.name)
        if handler is None:
            raise invalid_input(f"{model.name} is not implemented by the sandbox.")
        return self._carry_out(handler, model, Call(self.world, region, parameters))

    def _carry_out(self, handler: Handler, model: OperationModel, call: Call) -> Answer:
        self.world.settle()
        with self.world.store.transaction():
            answer = handler(call)
            problems = wire.answer_problems(model, answer)
            if problems:
                raise OurMistakeError(f"{model.name} would have answered: {'; '.join(problems)}")
        return answer

    async def clock(self, request: Request) -> Response:
        """The resources' clock. PUT takes ``{"advance_seconds": N}`` or ``{"now_utc": "2031-03-14T06:29:00Z"}``."""
        if request.method == "PUT":
            try:
                self._turn(await request.json())
            except (ValueError, OverflowError) as error:
                return JSONResponse({"error": f"The clock was not changed: {error}"}, status_code=400)
        clock = self.world.clock
        return JSONResponse({"now_utc": iso(clock.now()), "now": clock.now(), "offset_seconds": clock.offset})

    def _turn(self, wanted: Any) -> None:
        clock = self.world.clock
        match wanted:
            case {"advance_seconds": int() | float() as seconds, **rest} if not rest and seconds >= 0:
                iso(clock.now() + seconds)  # is it a valid time?
                clock.advance(seconds)
            case {"now_utc": str() as text, **rest} if not rest:
                clock.set_now(parse_utc(text))
            case _:
                raise ValueError('give {"advance_seconds": 60} or {"now_utc": "2031-03-14T06:29:00Z"}')
        self.world.settle()


def _parameters(received: Received, model: OperationModel) -> dict[str, Any]:
    if received.headers.get("content-type", "").partition(";")[0].strip() != wire.MEDIA_TYPE:
        raise LightsailError("SerializationException", f"The content type must be {wire.MEDIA_TYPE}.")
    try:
        parameters = json.loads(received.body or b"{}")
    except ValueError:
        raise LightsailError("SerializationException", "The body is not JSON.") from None
    if not isinstance(parameters, dict):
        raise LightsailError("SerializationException", "The body is not a JSON object.")
    problems = wire.request_problems(model, parameters)
    if problems:
        raise invalid_input("; ".join(problems))
    return parameters


def _json(body: dict[str, Any], status: int) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(json.dumps(body), status_code=int(status), media_type=wire.MEDIA_TYPE, headers=headers)


def create_app(world: World, key: AccessKey, *, real: RealTime = time.time) -> Starlette:
    """The application, for uvicorn."""
    return Starlette(routes=LightsailApi(world, key, real).routes())
