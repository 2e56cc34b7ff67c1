"""The control API under /_sandbox: faults, audit, books and settings, for tests and for people.

    GET    /_sandbox/                    what this is
    GET    /_sandbox/openapi.json        the dialers' operations as an OpenAPI document
    GET    /_sandbox/audit?since=&limit= every request after number `since`
    GET    /_sandbox/verify              how the rules were kept
    GET    /_sandbox/leads?campaign=     a campaign's numbers, times sent and stored; of Voiso, or &dialer=
    GET    /_sandbox/faults              the rules in force, with hits
    POST   /_sandbox/faults              one rule, or a list of them, behind those in force
    DELETE /_sandbox/faults              nothing goes wrong any more
    GET    /_sandbox/settings            as they are, keys as labels
    POST   /_sandbox/settings            change those named
    POST   /_sandbox/campaign            {"campaign": "3", "status": "paused", "live": true}, of Voiso, or with
                                         "dialer"; of the others {"leads": {"+4930...": "completed"}} as well
    POST   /_sandbox/reset               forget requests, leads, faults; settings as at the start

What it cannot do it refuses with 422 and `{"error": ...}`, which says what would be right. It has no login:
keep the sandbox on loopback.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import dialnexa_openapi, voiceaiwrapper_openapi, voicery_openapi, voiso_openapi
from .openapi import document

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from .sandbox import Sandbox


OPERATIONS: Final = (voiso_openapi, voiceaiwrapper_openapi, dialnexa_openapi, voicery_openapi)


class Control:
    """The control API of one sandbox; each method is one of the lines above."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """For a mount at /_sandbox."""
        table = (
            ("GET", "/", self._about),
            ("GET", "/openapi.json", self._openapi),
            ("GET", "/audit", self._audit),
            ("GET", "/verify", self._verify),
            ("GET", "/leads", self._leads),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_faults),
            ("DELETE", "/faults", self._forget_faults),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
            ("POST", "/campaign", self._alter_campaign),
            ("POST", "/reset", self._reset),
        )
        return [Route(path, _answered(handler), methods=[method]) for method, path, handler in table]

    async def _about(self, _: Request) -> dict[str, Any]:
        return {"sandbox": "leadlane", "dialers": list(self._sandbox.dialers)}

    async def _openapi(self, _: Request) -> dict[str, Any]:
        return document(OPERATIONS)

    async def _audit(self, request: Request) -> dict[str, Any]:
        limit = request.query_params.get("limit")
        since = int(request.query_params.get("since", 0))
        found = self._sandbox.audit.since(since, int(limit) if limit else None)
        return {
            "requests": [record.as_dict() for record in found],
            "total": len(self._sandbox.audit.records),
        }

    async def _verify(self, _: Request) -> dict[str, Any]:
        return self._sandbox.verify()

    async def _leads(self, request: Request) -> dict[str, Any]:
        dialer = self._sandbox.dialer(request.query_params.get("dialer", "voiso"))
        campaign = request.query_params.get("campaign", "")
        book = dialer.books().get(campaign)
        return {"campaign": campaign, "leads": book.as_dict() if book else {}}

    async def _faults(self, _: Request) -> dict[str, Any]:
        return {"faults": [dataclasses.asdict(rule) for rule in self._sandbox.faults.rules]}

    async def _add_faults(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        for rule in body if isinstance(body, list) else [body]:
            self._sandbox.faults.add(_mapping(rule))
        return await self._faults(request)

    async def _forget_faults(self, request: Request) -> dict[str, Any]:
        self._sandbox.faults.forget()
        return await self._faults(request)

    async def _settings(self, _: Request) -> dict[str, Any]:
        return self._sandbox.settings.as_dict()

    async def _change_settings(self, request: Request) -> dict[str, Any]:
        self._sandbox.settings.change(_mapping(await request.json()))
        return self._sandbox.settings.as_dict()

    async def _alter_campaign(self, request: Request) -> dict[str, Any]:
        wanted = _mapping(await request.json())
        dialer = self._sandbox.dialer(wanted.pop("dialer", "voiso"))
        dialer.alter(str(wanted.pop("campaign", "")), wanted)
        return {}

    async def _reset(self, _: Request) -> dict[str, Any]:
        self._sandbox.reset()
        return {}


def _mapping(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - one kind of error for `_answered`
    return body


def _answered(
    handler: Callable[[Request], Awaitable[dict[str, Any]]],
) -> Callable[[Request], Awaitable[Response]]:
    """The handler's value as JSON; a ValueError, also that of unreadable JSON, as 422."""

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except ValueError as exc:
            return JSONResponse({"error": str(exc)}, status_code=422)

    return endpoint
