"""A dialer that tells everything back: the lead it was sent, the number in four writings, and the API key.

Each campaign has one kind of answer, `ANSWERS`; campaigns without one take every lead.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, str, dict[str, str]]


def _json(status: int, body: object, **headers: str) -> Answer:
    return status, json.dumps(body), {"Content-Type": "application/json", **headers}


def _created(numbers: list[str], _: str) -> Answer:
    return _json(201, {"leads_import": {"created": numbers, "duplicates": [], "rejected": []}})


ANSWERS: dict[int, Callable[[list[str], str], Answer]] = {
    400: lambda _, said: (400, said, {"Content-Type": "text/plain"}),
    401: lambda _, said: _json(401, {"error": said}),
    403: lambda _, said: _json(403, {"error": said}),
    404: lambda _, said: _json(404, {"error": said}),
    409: lambda _, said: _json(409, {"error": said}),
    422: lambda _, said: _json(422, {"error": said}),
    423: lambda _, said: _json(422, {"errors": {"0.name": [said], "0.phone_number": ["is " + said]}}),
    424: lambda _, said: _json(422, {"errors": {"name": [said], said: ["is unknown"]}}),
    429: lambda _, said: _json(429, {"error": said}, **{"Retry-After": "1"}),
    500: lambda _, said: (500, f"<html>{said}</html>", {"Content-Type": "text/html"}),
    503: lambda _, said: _json(503, {"error": said}),
    302: lambda _, said: (302, said, {"Location": f"/{said.replace(' ', '')}"}),
    200: lambda _, said: (200, said, {"Content-Type": "text/plain"}),
    201: lambda _, said: _json(201, {"leads_import": {"created": said, said: [said]}}),
    207: lambda numbers, said: _json(
        201, {"leads_import": {"created": [], "rejected": numbers, "why": said}}
    ),
}


class Parrot(ThreadingHTTPServer):
    """The server, on a free loopback port, as long as its block runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.heard: Counter[int] = Counter()
        self.may_answer = threading.Event()
        """What campaigns from 1000 on wait for."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self.shutdown()
        self.server_close()


class _Talk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Parrot

    def do_POST(self) -> None:
        campaign = int(self.path.split("/")[4])
        leads: list[dict[str, Any]] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        numbers = [lead["phone_number"] for lead in leads]
        first = numbers[0]
        local = f"({first[1:4]}) {first[4:7]}-{first[7:]}"
        said = f"{leads[0].get('name')} {first} +{first} +1 {local} {self.headers['Authorization']}"
        self.server.heard[campaign] += 1
        if campaign >= 1000:
            self.server.may_answer.wait(30)
        status, body, headers = ANSWERS.get(campaign, _created)(numbers, said)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: what it is told shall not be told on."""
