"""One request from its head to the last byte of its answer, the same for every dialer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .calls import Answer, Call, Dialer
from .faults import LOST, Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.types import Receive, Scope, Send

    from .audit import Audit
    from .protocol import Line
    from .verify import Verdict


class AnswerLostError(ConnectionError):
    """Raised where there is no line to cut: the application is called without a socket, as in unit tests."""


class Nowhere(Dialer):
    """The dialer of all other paths, so that a wrong base URL stands in the audit like everything else."""

    name = "-"
    prefixes = ("",)

    def admit(self, call: Call) -> Answer:  # noqa: ARG002 - a dialer's signature
        """Refuse."""
        return Answer.json(404, {"error": "Not found"})


class Stage:
    """The ASGI application in front of the dialers: audit, faults, time, and the dialer's own word."""

    def __init__(
        self,
        dialers: Iterable[Dialer],
        audit: Audit,
        verdict: Verdict,
        faults: Faults,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._dialers = [*dialers, Nowhere()]
        self._audit = audit
        self._verdict = verdict
        self._faults = faults
        self._clock = clock
        self._wall = wall
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or lose its answer if that is what shall happen."""
        line: Line | None = scope.get("state", {}).get("line")
        call, dialer = self._begin(scope, line)
        try:
            fault, answer = None, None
            if not dialer.body_first or await _read_body(call, receive):
                self._recognise(call, dialer)
                fault = self._faults.strike(call.record)
                answer = await self._answer(call, dialer, fault, receive)
            if answer is None or not await self._deliver(call, answer, fault, send, line):
                self._end(call, None, readable=False)
                await _cut(line, receive)
        except asyncio.CancelledError:
            if line is None or not line.closed:
                raise
            # The server is going down and has cut the line: nobody waits for an answer.
        finally:
            self._end(call, None, readable=False)

    def _begin(self, scope: Scope, line: Line | None) -> tuple[Call, Dialer]:
        now = self._clock()
        started = line.arrived if line else now
        path: str = scope["path"]
        record = self._audit.begin(
            scope["method"], path, started=started, wall=self._wall() - (now - started)
        )
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        raw_path = scope.get("raw_path", b"").decode("latin-1")
        call = Call(record, headers, scope["query_string"].decode("latin-1"), raw_path)
        dialer = next(dialer for dialer in self._dialers if path.startswith(dialer.prefixes))
        record.dialer = dialer.name
        traffic = self._verdict.traffic(dialer.name)
        traffic.begin()
        call.at_end.append(lambda _ended, _readable: traffic.end(record))
        return call, dialer

    def _recognise(self, call: Call, dialer: Dialer) -> None:
        record = call.record
        dialer.recognise(call)
        if record.operation in dialer.leads_operations and record.campaign is not None:
            figures = self._verdict.of(dialer.name, record.campaign)
            figures.begin(record.started, dialer.gap_s)
            call.at_end.append(lambda _ended, _readable: figures.end(record, dialer.call_size))

    async def _answer(
        self, call: Call, dialer: Dialer, fault: Fault | None, receive: Receive
    ) -> Answer | None:
        """The answer the client shall get, or None if it shall get none."""
        kind = fault.fault if fault else None
        refusal = fault.instead() if fault else None
        if refusal is None and kind != "drop_before":
            refusal = dialer.admit(call)
        if not await _read_body(call, receive):
            return None
        dialer.arrived(call)
        if kind == "drop_before":
            return None
        work_s = (fault.latency_s if fault else 0.0) + (0.0 if refusal else dialer.work_s(call))
        if work_s > 0:
            await self._sleep(work_s)
        answer = refusal or dialer.act(call)
        if kind in LOST:
            return None
        return fault.mangle(answer) if fault else answer

    async def _deliver(
        self, call: Call, answer: Answer, fault: Fault | None, send: Send, line: Line | None
    ) -> bool:
        """Whether the answer went out whole; False as soon as the client is found to have left."""
        head = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        head.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": head})
        rest = answer.body
        if fault and fault.fault == "slow_body":
            while len(rest) > 1 and not (line and line.closed):
                await send({"type": "http.response.body", "body": rest[:1], "more_body": True})
                rest = rest[1:]
                await self._sleep(fault.delay_s or 0.0)
        if line and line.closed:
            return False
        # Before the last bytes, not after: once they are out the client may already be sending the next call.
        self._end(call, answer.status, readable=fault is None or fault.readable)
        await send({"type": "http.response.body", "body": rest})
        return True

    def _end(self, call: Call, status: int | None, *, readable: bool) -> None:
        """Complete the record and let go of the campaign; the second time nothing."""
        record = call.record
        if record.ended is not None:
            return
        record.ended = self._clock()
        record.status = status
        record.answered = status is not None
        for let_go in call.at_end:
            let_go(record.ended, readable)
        self._audit.end(record)


async def _read_body(call: Call, receive: Receive) -> bool:
    """Read the body into the call, once; False if the client left before it was whole."""
    if call.body is not None:
        return True
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return False
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            call.body = b"".join(chunks)
            return True


async def _cut(line: Line | None, receive: Receive) -> None:
    """Cut the line and wait until uvicorn knows it, else it would send an answer of its own."""
    if line is None:
        raise AnswerLostError("the sandbox lost this answer on purpose")
    line.cut()
    while (await receive())["type"] != "http.disconnect":
        pass
