"""One sandbox: its settings, dialers and memory, and the ASGI application made of them."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Mount

from .audit import Audit
from .control import Control
from .dialnexa import DialNexa
from .faults import Faults
from .settings import SandboxSettings
from .stage import Stage
from .verify import Verdict
from .voiceaiwrapper import VoiceAIWrapper
from .voicery import Voicery
from .voiso import Voiso

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from .calls import Dialer


class Sandbox:
    """Everything of one sandbox; `app` is what a server serves.

    Clock, sleep and dice may be given, so that tests of its rules need no time and no luck.
    """

    def __init__(
        self,
        settings: SandboxSettings | None = None,
        *,
        audit_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings or SandboxSettings()
        self._first_settings = dataclasses.replace(self.settings)
        self.audit = Audit(audit_file)
        self.faults = Faults(dice)
        dialers = (Voiso, VoiceAIWrapper, DialNexa, Voicery)
        self.dialers: dict[str, Dialer] = {of.name: of(self.settings, clock) for of in dialers}
        self._verdict = Verdict()
        stage = Stage(
            self.dialers.values(),
            self.audit,
            self._verdict,
            self.faults,
            clock=clock,
            wall=wall,
            sleep=sleep,
        )
        self.app = Starlette(routes=[Mount("/_sandbox", routes=Control(self).routes())])
        # Not a mount at /: its pattern knows no line breaks, and a path may hold one.
        self.app.router.default = stage

    def dialer(self, name: str) -> Dialer:
        """The dialer of that name; ValueError names those there are."""
        if name not in self.dialers:
            raise ValueError(f"dialer: there are {', '.join(self.dialers)}")
        return self.dialers[name]

    def verify(self) -> dict[str, Any]:
        """How the rules were kept: in all, by dialer and by campaign."""
        return self._verdict.as_dict(list(self.dialers.values()))

    def reset(self) -> None:
        """Forget requests, leads and faults, and take the settings of the start."""
        first = dataclasses.replace(self._first_settings)
        self.settings.change({f.name: getattr(first, f.name) for f in dataclasses.fields(first)})
        self.audit.forget()
        self.faults.forget()
        self._verdict.forget()
        for dialer in self.dialers.values():
            dialer.forget()
