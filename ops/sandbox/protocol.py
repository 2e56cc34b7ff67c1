"""The socket's side of a request: ASGI can neither say when its head arrived nor cut the line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


class Line:
    """One client's connection, found by the application in `scope["state"]["line"]`."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.arrived = time.monotonic()
        """When bytes came last; as the application starts, that is its request's head."""

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self._transport.is_closing()

    def cut(self) -> None:
        """Close it at once; what has not been sent never will be."""
        self._transport.abort()


class LineProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with its line handed to the application."""

    line: Line

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give every request of this connection its line: uvicorn copies `app_state` into the scope."""
        super().connection_made(transport)
        self.line = Line(transport)
        self.app_state = {**self.app_state, "line": self.line}

    def data_received(self, data: bytes) -> None:
        """Note the moment before the bytes are read: the application starts one loop turn later."""
        self.line.arrived = time.monotonic()
        super().data_received(data)
