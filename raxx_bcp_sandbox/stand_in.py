"""What every HTTP stand-in shares: switchable faults, and serving on loopback only."""

from __future__ import annotations

from collections.abc import Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LOOPBACK = "127.0.0.1"


class Faults:
    """The faults that a stand-in can show, by name; ``known`` maps each to one sentence.

    Switched over HTTP by ``raxx-bcp sandbox break|mend``: ``GET /_sandbox/faults``,
    ``PUT /_sandbox/faults/{name}`` and ``DELETE /_sandbox/faults/{name}``.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = dict(known)
        self._active: set[str] = set()

    def on(self, name: str) -> bool:
        """Is fault ``name`` switched on? Raises ``KeyError`` for a name that is not known."""
        if name not in self.known:
            raise KeyError(name)
        return name in self._active

    def switch(self, name: str, *, on: bool) -> None:
        """Switch fault ``name``. Raises ``KeyError`` for a name that is not known."""
        if name not in self.known:
            raise KeyError(name)
        if on:
            self._active.add(name)
        else:
            self._active.discard(name)

    def routes(self) -> list[Route]:
        """The HTTP routes that ``sandbox break|mend`` and ``sandbox status`` use."""
        return [
            Route("/_sandbox/faults", self._list, methods=["GET"]),
            Route("/_sandbox/faults/{name}", self._change, methods=["PUT", "DELETE"]),
        ]

    async def _list(self, _request: Request) -> JSONResponse:
        return JSONResponse({"known": self.known, "active": sorted(self._active)})

    async def _change(self, request: Request) -> JSONResponse:
        name = request.path_params["name"]
        if name not in self.known:
            return JSONResponse({"error": f"unknown fault {name}", "known": self.known}, status_code=404)
        self.switch(name, on=request.method == "PUT")
        return JSONResponse({"active": sorted(self._active)})


def serve(app: Starlette, port: int) -> None:
    """Serve ``app`` on 127.0.0.1:``port`` until SIGINT or SIGTERM, logging warnings only."""
    uvicorn.run(app, host=LOOPBACK, port=port, log_level="warning", access_log=False, server_header=False)
