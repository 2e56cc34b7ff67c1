"""The sandbox on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from leadlane.workers.memory import settle_down

from .protocol import LineProtocol
from .sandbox import Sandbox
from .settings import SandboxSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

DEFAULT_PORT = 8400


def run(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    audit_file: str | Path | None = None,
    on_ready: Callable[[str], None] | None = None,
    **settings: Any,
) -> None:
    """Serve a sandbox until SIGINT or SIGTERM; then cut all lines and return at once.

    `port` 0 takes a free one; `on_ready` is called with the URL when requests are welcome. `settings` are
    those of `SandboxSettings`. Raises ValueError for a wrong setting, OSError where the port cannot be had.
    """
    sandbox = Sandbox(SandboxSettings(**settings), audit_file=Path(audit_file) if audit_file else None)
    with contextlib.closing(sandbox.audit), listen(host, port) as listener:
        config = uvicorn.Config(
            sandbox.app,
            http=LineProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Longer than any client keeps a line: one that we close while a request is on its way would look
            # to the client like a lost answer.
            timeout_keep_alive=600,
        )
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}"
        settle_down()
        _Server(config, (lambda: on_ready(url)) if on_ready else lambda: None).run([listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose lines send at once.

    asyncio sets TCP_NODELAY only on lines of sockets that it made itself; without it every answer waits 40 ms
    for the client's delayed acknowledgement of the head.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # lines inherit it
    return listener


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready and does not wait for anybody when it ends."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """End, without uvicorn's way of raising the signal again afterwards: ending is what was asked for."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, LineProtocol):
                connection.line.cut()
        await asyncio.sleep(0)  # lets uvicorn learn that the lines are cut
        for task in list(self.server_state.tasks):
            task.cancel()
        await super().shutdown(sockets)
