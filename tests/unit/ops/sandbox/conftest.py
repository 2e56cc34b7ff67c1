import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from leadlane.ops.sandbox.sandbox import Sandbox
from leadlane.ops.sandbox.settings import SandboxSettings


class Stand:
    """A sandbox without a socket, whose time passes only when it sleeps or a test says so."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1000.0
        self.sandbox = Sandbox(
            SandboxSettings(**settings),
            clock=lambda: self.now,
            wall=lambda: self.now + 1_700_000_000,
            sleep=lambda seconds: self.sleep(seconds),
            dice=lambda: 0.5,
        )

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def client(self, key: str | None = "sandbox-key") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        transport = httpx.ASGITransport(self.sandbox.app)
        return httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers)

    def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = "sandbox-key", **more: Any
    ) -> httpx.Response:
        async def exchange() -> httpx.Response:
            async with self.client(key) as client:
                given = {} if body is None else {"json": body}
                return await client.request(method, path, **given, **more)

        return asyncio.run(exchange())

    def add(self, *numbers: str, campaign: int = 3, later_s: float = 10.0, **fields: Any) -> httpx.Response:
        """Import numbers, by default well after whatever was before."""
        self.now += later_s
        leads = [{"phone_number": number, **fields} for number in numbers]
        return self.send("POST", f"/api/v4/campaigns/{campaign}/leads", leads)

    def fault(self, fault: str, **rule: Any) -> None:
        assert self.send("POST", "/_sandbox/faults", {"fault": fault, **rule}).status_code == 200

    def get(self, path: str) -> Any:
        return self.send("GET", f"/_sandbox/{path}").json()

    def alter(self, dialer: str, campaign: str, **wanted: Any) -> None:
        body = {"dialer": dialer, "campaign": campaign, **wanted}
        assert self.send("POST", "/_sandbox/campaign", body).status_code == 200

    def verdict(self, campaign: int | str = 3, dialer: str = "voiso") -> dict[str, Any]:
        found: dict[str, Any] = self.get("verify")["campaigns"][f"{dialer}/{campaign}"]
        return found

    def leads(self, campaign: int | str, dialer: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.get(f"leads?campaign={campaign}&dialer={dialer}")["leads"]
        return found


@pytest.fixture
def stand() -> Callable[..., Stand]:
    """Makes a sandbox with the given settings."""
    return Stand
