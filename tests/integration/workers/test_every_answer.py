"""Whatever bytes come back to an import: what becomes of the leads, and that nothing spins, as docs/answers.md says."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leadlane.workers.transport import Transport
from tests.integration.test_transport_sockets import Server, Visit
from tests.unit.workers.desk import KEY, Desk, leads, number

MOST_KEPT = 700
"""Characters of a reason in Redis."""
SENT = [number(i)[1:] for i in range(3)]
TEN_MB = 10 << 20


def said(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def ok(body: Any, *headers: str) -> bytes:
    return said("200 OK", json.dumps(body).encode(), *headers)


def lists(**numbers: Any) -> Any:
    return {"leads_import": {"created": [], "duplicates": [], "rejected": []} | numbers}


DONE, AGAIN, DEAD = "done", "waiting", "dead"
ROWS: dict[str, tuple[bytes, str, str]] = {
    "all created": (ok(lists(created=SENT)), DONE, "ccc"),
    "numbers in two classes": (ok(lists(created=SENT, duplicates=SENT, rejected=SENT)), DONE, "ccc"),
    "numbers never sent": (ok(lists(created=[*SENT, "4930999999", 10**30, None, {}, "\ud800"])), DONE, "ccc"),
    "a number left out": (ok(lists(created=SENT[:2])), AGAIN, "cc,"),
    "no number at all": (ok(lists()), AGAIN, ",,,"),
    "packed though not asked for": (
        said("200 OK", gzip.compress(json.dumps(lists(created=SENT)).encode()), "Content-Encoding: gzip"),
        DONE,
        "ccc",
    ),
    "a page of HTML": (said("200 OK", b"<html>busy</html>"), DEAD, "~~~"),
    "JSON that breaks off": (said("200 OK", b'{"leads_import": {"created": ["1'), DEAD, "~~~"),
    "an error inside a 200": (ok({"error": "no"}), DEAD, "~~~"),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", DEAD, "~~~"),
    "JSON nested too deep": (said("200 OK", b"[" * 100_000), DEAD, "~~~"),
    "a million lists": (said("200 OK", b"[" + b"[]," * 1_000_000 + b"[]]"), DEAD, "~~~"),
    "a redirect": (said("302 Found", b"", "Location: http://127.0.0.1:9/"), DEAD, ""),
    "a teapot": (said("418 I'm a teapot"), DEAD, ""),
    "no such path": (said("404 Not Found"), DEAD, ""),
    "ten megabytes": (said("200 OK", b" " * TEN_MB), AGAIN, "~~~"),
    "a bomb": (said("200 OK", gzip.compress(bytes(64 << 20)), "Content-Encoding: gzip"), AGAIN, "~~~"),
    "a bomb in a bomb": (
        said("200 OK", gzip.compress(gzip.compress(bytes(64 << 20))), "Content-Encoding: gzip, gzip"),
        AGAIN,
        "~~~",
    ),
    "a packing nobody has": (said("200 OK", b"x", "Content-Encoding: br"), AGAIN, "~~~"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", AGAIN, "~~~"),
    "a flood of headers": (said("200 OK", b"", *(f"X-{i}: {'x' * 1000}" for i in range(1000))), AGAIN, "~~~"),
    "a body that is too short": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", AGAIN, "~~~"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", AGAIN, "~~~"),
    "chunks of no sense": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", AGAIN, "~~~"),
    "nothing, and closed": (b"", AGAIN, "~~~"),
    "half a status line": (b"HTTP/1.1 20", AGAIN, "~~~"),
    "status 600": (said("600 Odd"), AGAIN, "~~~"),
    "an answer to come, and none": (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, AGAIN, "~~~"),
    "503": (said("503 Busy", b"", "Retry-After: 99999999999"), AGAIN, "~~~"),
    "429 until the year 9999": (
        said("429 Slow", b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
        AGAIN,
        "",
    ),
    "429 until before": (said("429 Slow", b"", "Retry-After: -5"), AGAIN, ""),
    "409": (said("409 Conflict", b"\x00\xff" * 1000), AGAIN, ""),
    "401 with our key": (said("401 No", json.dumps({"error": f"bad {KEY}" * 9999}).encode()), AGAIN, ""),
    "403": (said("403 No"), AGAIN, ""),
    "422 of a megabyte": (said("422 No", json.dumps({"error": "x y" * 400_000}).encode()), AGAIN, ""),
    "422 about places that are not there": (
        said("422 No", b'{"errors": {"0": ["bad"], "99": ["bad"]}}'),
        AGAIN,
        "",
    ),
}


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], Desk]]:
    """A desk whose dialer answers each request with these bytes and closes."""
    servers: list[Server] = []

    def made(answer: bytes) -> Desk:
        def behaviour(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(answer)

        servers.append(Server(behaviour))
        base_url = f"http://127.0.0.1:{servers[0].port}"
        desk = Desk(lambda _: None, "voiso", "3", base_url=base_url, timeout_s=20.0, lost_call_s=20.0)  # type: ignore[arg-type, return-value]
        desk.engine.transport = Transport()
        return desk

    yield made
    for server in servers:
        server.close()


QUICK = (
    "all created",
    "numbers in two classes",
    "a page of HTML",
    "a redirect",
    "nothing, and closed",
    "status 600",
)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c in QUICK else pytest.mark.slow) for c in ROWS]
)
def test_every_answer_to_an_import_has_its_meaning(case: str, answering: Callable[[bytes], Desk]) -> None:
    answer, state, codes = ROWS[case]
    desk = answering(answer)
    ticket = desk.put(leads(3))
    desk.turn(ticket)
    fields = desk.fields(ticket)
    assert (fields["state"], desk.codes(ticket)) == (state, codes)
    for key in desk.client.keys("leadlane:*"):
        if desk.client.type(key) == b"hash":
            for kept in desk.client.hvals(key):
                assert len(kept) <= MOST_KEPT, (key, kept[:80])
                assert KEY.encode() not in kept
    if state == AGAIN:
        assert rests(desk), "its next turn would come at once"


def rests(desk: Desk) -> bool:
    """Whether the lane itself is not due before half of its gap, 2 s, has passed."""
    (lane,) = desk.client.keys("leadlane:lane:*")
    return float(desk.client.hget(lane, "next") or 0) - desk.engine.jobs.now_ms() > 1000
