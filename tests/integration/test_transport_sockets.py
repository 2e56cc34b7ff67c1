"""Calls to servers that misbehave, over real sockets.

The servers never give up by themselves: a call that ends has been ended by its own deadline.
"""

import gzip
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leadlane.workers.transport import Answer, CallHandle, NoAnswer, Request, Transport

PHONE = "4917012345678"
SHORT_S = 0.3  # deadline of calls that are to run into it
LONG_S = 60  # deadline of those that are not

# For localhost, signed by itself, valid until 2120; it opens nothing but these tests.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZ4ZziTRxr1IkKqp8
BpqXXNmWX9cT4sVeza26+pvvQguhRANCAASzIYLrxzahoeeKUeaXx5gdjcqASkBe
8sf6d5/O1r3JVbWXH1mA57f+bUDVF7Q9LI4pIZ3UkBlBQ4N9PxagPiQc
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBYTCCAQegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLMhguvHNqGh54pR
5pfHmB2NyoBKQF7yx/p3n87WvclVtZcfWYDnt/5tQNUXtD0sjikhndSQGUFDg30/
FqA+JByjSDBGMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAPBgNVHRMBAf8EBTADAQH/
MB0GA1UdDgQWBBTu+uC8TF6rDIpuV8D3+j7w3YTTajAKBggqhkjOPQQDAgNIADBF
AiEAmrdK6PBD+i3vfvagmC2222ziYWXpoZfsxO9XKhGruBACIHVqacojBVovXdIz
O9yMQwtzQ+NMbrf8sLaO8sZ5xL4J
-----END CERTIFICATE-----
"""

Behaviour = Callable[["Visit"], None]


class Visit:
    """One connection, as the server sees it."""

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        self.server, self.sock = server, sock

    def read_request(self) -> bytes:
        """The next request, whole; empty when the caller has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += self.sock.recv(65536)
        self.server.requests.append(head + b"\r\n\r\n" + body)
        self.server.asked.set()
        return body or head

    def wait_until_left(self) -> None:
        """Return when the caller has closed, noting what it wrote until then."""
        while data := self.sock.recv(65536):
            self.server.stray += data

    def say(self, body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> None:
        self.sock.sendall(head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def drip(self, data: bytes) -> None:
        """One byte every 50 ms, again and again, until the caller has gone."""
        while True:
            for at in range(len(data)):
                self.sock.sendall(data[at : at + 1])
                self.server.ending.wait(0.05)


class Server:
    """Runs one behaviour for each connection, until both sides are done."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._behaviour, self._tls = behaviour, tls
        self.requests: list[bytes] = []
        self.stray = b""
        self.visits = 0
        self.visited = threading.Event()
        self.asked = threading.Event()
        self.ended = threading.Semaphore(0)  # once for each visit that is over
        self.ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}/leads/{PHONE}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            self._sockets.append(sock)
            self.visited.set()
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._behaviour(Visit(self, sock))
        except OSError:
            pass  # the caller broke the connection, as many of these tests want
        finally:
            sock.close()
            self.ended.release()

    def close(self) -> None:
        self.ending.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
        for thread in self._threads[1:]:
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(behaviour, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> Iterator[Transport]:
    transport = Transport(tls=ssl.create_default_context(cafile=certificate))
    yield transport
    transport.close()


def post(url: str, body: bytes | None = b"[]") -> Request:
    return Request("POST", url, {"Authorization": "Bearer 5ecret"}, body)


def ending(transport: Transport, request: Request, timeout_s: float = LONG_S) -> tuple[str, bool]:
    """How a call that gets no answer ends."""
    with pytest.raises(NoAnswer) as told:
        transport.send(request, timeout_s=timeout_s)
    return told.value.reason, told.value.may_have_left


def silent(visit: Visit) -> None:
    visit.read_request()
    visit.wait_until_left()


def deaf(visit: Visit) -> None:
    visit.server.ending.wait()


def echo(visit: Visit) -> None:
    while body := visit.read_request():
        visit.say(body)


# Deadline


def patient(server: Server) -> Transport:
    """Its clock stands still until the server has seen the request: a busy machine may be late with that."""
    start = time.monotonic()
    return Transport(clock=lambda: time.monotonic() if server.asked.is_set() else start)


def test_a_server_that_never_answers_ends_with_the_deadline(
    serve: Callable[..., Server],
) -> None:
    server = serve(silent)
    assert ending(patient(server), post(server.url()), SHORT_S) == ("timeout", True)
    assert server.ended.acquire(timeout=LONG_S)  # our side closed the connection


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["head", "headers", "body", "chunks", "body without length"],
)
def test_a_server_that_drips_does_not_outlive_the_deadline(
    serve: Callable[..., Server], start: bytes
) -> None:
    dripped = (
        b"1\r\nx\r\n"
        if b"chunked" in start
        else b"HTTP/1.1 100 Continue\r\n\r\n"
        if not start
        else b"X-A: b\r\n"
    )

    def behaviour(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(start)
        visit.drip(dripped)

    server = serve(behaviour)
    assert ending(patient(server), post(server.url()), SHORT_S) == ("timeout", True)


def test_a_server_that_reads_slowly_does_not_outlive_the_deadline(
    serve: Callable[..., Server],
) -> None:
    def behaviour(visit: Visit) -> None:
        while visit.sock.recv(1024):
            visit.server.asked.set()
            visit.server.ending.wait(0.05)

    server = serve(behaviour)
    assert ending(patient(server), post(server.url(), bytes(32 * 2**20)), SHORT_S) == ("timeout", True)


def test_a_full_backlog_ends_with_the_deadline_and_nothing_has_left(
    full_backlog: str, transport: Transport
) -> None:
    assert ending(transport, post(full_backlog), SHORT_S) == ("timeout", False)


def test_a_tls_handshake_that_never_ends_is_no_request(
    serve: Callable[..., Server], transport: Transport
) -> None:
    assert ending(transport, post(serve(deaf).url("https")), SHORT_S) == ("timeout", False)


def test_a_name_server_that_never_answers_ends_with_the_deadline(
    transport: Transport, no_name_server: threading.Event
) -> None:
    assert ending(transport, post("http://dialer.example/"), SHORT_S) == ("timeout", False)


def test_waiting_for_a_place_counts(serve: Callable[..., Server], aside: ThreadPoolExecutor) -> None:
    server, transport, handle = serve(silent), Transport(max_connections=1), CallHandle()
    first = aside.submit(transport.send, post(server.url()), timeout_s=LONG_S, handle=handle)
    assert server.asked.wait(LONG_S)
    assert ending(transport, post(server.url()), SHORT_S) == ("timeout", False)
    handle.abort()
    assert isinstance(first.exception(LONG_S), NoAnswer)
    assert server.visits == 1
    assert transport.send(post(serve(echo).url(), b"hi"), timeout_s=LONG_S).body == b"hi"  # the place is free


# What may have left


def test_a_refused_connection_is_told_and_nothing_has_left(transport: Transport) -> None:
    with socket.socket() as bound:  # bound, so that nobody else takes the port; not listening
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        assert ending(transport, post(url)) == ("connection refused", False)


@pytest.mark.parametrize("host", ["x" * 64 + ".example", "dialer..example"])
def test_a_name_that_does_not_exist_is_told_and_nothing_has_left(transport: Transport, host: str) -> None:
    assert ending(transport, post(f"http://{host}/")) == ("name not found", False)


def test_a_second_address_is_tried_when_the_first_refuses(
    serve: Callable[..., Server], transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(echo).port
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", p))
            for p in (bound.getsockname()[1], port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert transport.send(post("http://dialer.example/", b"hi"), timeout_s=LONG_S).body == b"hi"


def test_a_connection_closed_after_reading_is_lost_and_not_tried_again(
    serve: Callable[..., Server], transport: Transport
) -> None:
    server = serve(lambda visit: visit.read_request() and None)
    assert ending(transport, post(server.url())) == ("connection lost", True)
    assert (server.visits, len(server.requests)) == (1, 1)


def test_an_answer_cut_short_is_no_answer(serve: Callable[..., Server], transport: Transport) -> None:
    def behaviour(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")

    assert ending(transport, post(serve(behaviour).url())) == ("connection lost", True)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x00\xff" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"a" * 2**20,
    ],
)
def test_garbage_is_an_unreadable_answer(
    serve: Callable[..., Server], transport: Transport, garbage: bytes
) -> None:
    def behaviour(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(garbage)
        visit.wait_until_left()

    assert ending(transport, post(serve(behaviour).url())) == ("unreadable answer", True)


def test_a_lost_lease_leaves_a_connection_without_a_byte(
    serve: Callable[..., Server], transport: Transport
) -> None:
    server = serve(Visit.wait_until_left)

    def lost() -> bool:
        assert server.visited.wait(LONG_S)  # asked when all but the first byte is done
        return False

    with pytest.raises(NoAnswer) as told:
        transport.send(post(server.url()), timeout_s=LONG_S, may_send=lost)
    assert (told.value.reason, told.value.may_have_left) == ("lease lost", False)
    assert server.ended.acquire(timeout=LONG_S)
    assert server.stray == b""


def test_a_connection_reset_before_the_first_byte_is_lost_and_nothing_has_left(
    serve: Callable[..., Server], transport: Transport
) -> None:
    asked = threading.Event()

    def behaviour(visit: Visit) -> None:
        visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close resets
        asked.wait(LONG_S)  # a reset before that meets the client while it still connects

    server = serve(behaviour)

    def slow_yes() -> bool:
        asked.set()
        return server.ended.acquire(timeout=LONG_S)

    with pytest.raises(NoAnswer) as told:
        transport.send(post(server.url()), timeout_s=LONG_S, may_send=slow_yes)
    assert (told.value.reason, told.value.may_have_left) == ("connection lost", False)


def test_the_lease_is_asked_for_before_each_piece_also_on_a_kept_connection(
    serve: Callable[..., Server], transport: Transport
) -> None:
    server = serve(echo)
    asked: list[int] = []

    def still_held() -> bool:
        asked.append(len(server.requests))
        return True

    for _ in range(2):
        transport.send(post(server.url()), timeout_s=LONG_S, may_send=still_held)
    assert asked == [0, 0, 1, 1]  # head and body
    assert server.visits == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_loses_the_lease_in_the_middle_of_a_body_keeps_the_rest_of_it(
    serve: Callable[..., Server], trusting: Transport, server_tls: ssl.SSLContext, aside: ThreadPoolExecutor,
    scheme: str,
) -> None:  # fmt: skip
    """As after a freeze: the server takes nothing for a while, the lease ends, then it takes all there is."""
    lost = threading.Event()

    def behaviour(visit: Visit) -> None:
        visit.sock.recv(1024)
        visit.server.asked.set()
        lost.wait(LONG_S)
        visit.wait_until_left()

    server, body = serve(behaviour, server_tls if scheme == "https" else None), bytes(32 * 2**20)
    request = post(server.url(scheme, "localhost"), body)
    call = aside.submit(trusting.send, request, timeout_s=LONG_S, may_send=lambda: not lost.is_set())
    assert server.asked.wait(LONG_S)
    lost.set()
    problem = call.exception(LONG_S)
    assert isinstance(problem, NoAnswer)
    assert (problem.reason, problem.may_have_left) == ("lease lost", True)
    assert server.ended.acquire(timeout=LONG_S)
    assert len(server.stray) < len(body)


def test_a_call_that_may_no_longer_send_is_cut_off_unless_it_waits_for_its_answer(
    serve: Callable[..., Server], transport: Transport, aside: ThreadPoolExecutor
) -> None:
    go_on = threading.Event()

    def behaviour(visit: Visit) -> None:
        body = visit.read_request()
        visit.server.asked.set()
        go_on.wait(LONG_S)
        visit.say(body)

    def full(visit: Visit) -> None:
        visit.sock.recv(1024)
        visit.server.asked.set()
        visit.server.ending.wait()

    slow, stuck, handles = serve(behaviour), serve(full), (CallHandle(), CallHandle())
    requests = post(slow.url(), b"hi"), post(stuck.url(), bytes(32 * 2**20))
    waits, writes = (
        aside.submit(transport.send, request, timeout_s=LONG_S, handle=handle)
        for request, handle in zip(requests, handles, strict=True)
    )
    assert slow.asked.wait(LONG_S)
    assert stuck.asked.wait(LONG_S)
    while not handles[0].sent:
        time.sleep(0.01)
    for handle in handles:
        handle.stop_sending()
    assert isinstance(writes.exception(LONG_S), NoAnswer)
    go_on.set()
    assert waits.result(LONG_S).body == b"hi"


def test_an_error_of_may_send_reaches_the_caller_and_nothing_leaves(
    serve: Callable[..., Server], transport: Transport
) -> None:
    server = serve(Visit.wait_until_left)

    def no_redis() -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        transport.send(post(server.url()), timeout_s=LONG_S, may_send=no_redis)
    assert server.ended.acquire(timeout=LONG_S)
    assert server.stray == b""


# Answers


def test_a_large_answer_is_not_read_to_its_end(serve: Callable[..., Server], transport: Transport) -> None:
    finished = []

    def behaviour(visit: Visit) -> None:
        visit.read_request()
        visit.say(bytes(50 * 2**20))
        finished.append(True)

    server = serve(behaviour)
    assert ending(transport, post(server.url())) == ("answer too large", True)
    assert server.ended.acquire(timeout=LONG_S)
    assert not finished


def test_a_small_answer_that_unpacks_to_a_large_one_is_too_large(
    serve: Callable[..., Server], transport: Transport
) -> None:
    def behaviour(visit: Visit) -> None:
        visit.read_request()
        visit.say(gzip.compress(bytes(20 * 2**20)), b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip")

    assert ending(transport, post(serve(behaviour).url())) == ("answer too large", True)


def test_a_redirect_is_not_followed(serve: Callable[..., Server], transport: Transport) -> None:
    def behaviour(visit: Visit) -> None:
        visit.read_request()
        visit.say(b"", b"HTTP/1.1 302 Found\r\nLocation: /elsewhere")
        visit.wait_until_left()

    server = serve(behaviour)
    answer = transport.send(post(server.url()), timeout_s=LONG_S)
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
    assert len(server.requests) == 1
    assert server.stray == b""


def test_a_body_refused_half_way_is_an_answer(serve: Callable[..., Server], transport: Transport) -> None:
    def behaviour(visit: Visit) -> None:
        visit.sock.recv(1024)
        visit.say(b"too much", b"HTTP/1.1 413 Content Too Large\r\nConnection: close")

    answer = transport.send(post(serve(behaviour).url(), bytes(32 * 2**20)), timeout_s=LONG_S)
    assert (answer.status, answer.body) == (413, b"too much")


def test_bytes_beyond_an_answer_do_not_answer_the_next_request(
    serve: Callable[..., Server], transport: Transport
) -> None:
    """Holds the one private name of httpcore that the transport uses."""

    def behaviour(visit: Visit) -> None:
        while body := visit.read_request():
            stray = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
            visit.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body + stray)

    url = serve(behaviour).url()
    sent = [b"one", b"two", b"three"]
    assert [transport.send(post(url, body), timeout_s=LONG_S).body for body in sent] == sent


# Connections


def test_a_connection_the_server_closed_meanwhile_is_not_used_again(
    serve: Callable[..., Server], transport: Transport
) -> None:
    server = serve(lambda visit: visit.say(visit.read_request()))
    for _ in range(3):
        assert transport.send(post(server.url(), b"hi"), timeout_s=LONG_S).body == b"hi"
        assert server.ended.acquire(timeout=LONG_S)
    assert server.visits == 3


def test_threads_share_connections_and_each_gets_its_own_answer(
    serve: Callable[..., Server], transport: Transport, aside: ThreadPoolExecutor
) -> None:
    server = serve(echo)

    def call(number: int) -> bytes:
        return transport.send(post(server.url(), b"%d" % number), timeout_s=LONG_S).body

    assert list(aside.map(call, range(1000))) == [b"%d" % number for number in range(1000)]
    assert server.visits <= 32


def test_a_closed_transport_keeps_no_connection(serve: Callable[..., Server]) -> None:
    server, transport = serve(echo), Transport()
    transport.send(post(server.url()), timeout_s=LONG_S)
    transport.close()
    assert server.ended.acquire(timeout=LONG_S)


# TLS


def test_tls_speaks_to_the_name_in_the_certificate_over_one_connection(
    serve: Callable[..., Server], trusting: Transport, server_tls: ssl.SSLContext
) -> None:
    server = serve(echo, server_tls)
    for body in (b"hi", bytes(2**20)):
        assert trusting.send(post(server.url("https", "localhost"), body), timeout_s=LONG_S).body == body
    assert server.visits == 1


def test_a_certificate_for_another_name_is_a_tls_failure(
    serve: Callable[..., Server], trusting: Transport, server_tls: ssl.SSLContext
) -> None:
    server = serve(echo, server_tls)
    assert ending(trusting, post(server.url("https"))) == ("tls failure", False)


def test_a_certificate_nobody_knows_is_a_tls_failure(
    serve: Callable[..., Server], transport: Transport, server_tls: ssl.SSLContext
) -> None:
    server = serve(echo, server_tls)
    assert ending(transport, post(server.url("https", "localhost"))) == ("tls failure", False)
    assert not server.requests


@pytest.mark.parametrize("behaviour", [lambda visit: visit.sock.recv(1), lambda visit: visit.say(b"plain")])
def test_a_server_without_tls_is_a_tls_failure(
    serve: Callable[..., Server], transport: Transport, behaviour: Behaviour
) -> None:
    assert ending(transport, post(serve(behaviour).url("https"))) == ("tls failure", False)


# Abort


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """Where a connection is never accepted: Linux drops what a full backlog cannot take."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(8)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for sock in waiting:
            sock.close()


@pytest.fixture
def no_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every look-up waits for the end of the test; the event says that one has begun."""
    begun, over = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        begun.set()
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield begun
    over.set()


def aborted(
    aside: ThreadPoolExecutor, transport: Transport, request: Request, under_way: Callable[[], object]
) -> tuple[str, bool]:
    """How a call ends that another thread breaks once it is under way."""
    handle = CallHandle()
    call = aside.submit(transport.send, request, timeout_s=LONG_S * 60, handle=handle)
    assert under_way()
    handle.abort()
    problem = call.exception(LONG_S)
    assert isinstance(problem, NoAnswer)
    return problem.reason, problem.may_have_left


def test_a_call_that_waits_for_its_answer_can_be_broken(
    serve: Callable[..., Server], transport: Transport, aside: ThreadPoolExecutor
) -> None:
    server = serve(silent)
    request = post(server.url())
    assert aborted(aside, transport, request, lambda: server.asked.wait(LONG_S)) == ("aborted", True)


def test_a_tls_call_that_waits_for_its_answer_can_be_broken(
    serve: Callable[..., Server], trusting: Transport, aside: ThreadPoolExecutor, server_tls: ssl.SSLContext
) -> None:
    server = serve(silent, server_tls)
    request = post(server.url("https", "localhost"))
    assert aborted(aside, trusting, request, lambda: server.asked.wait(LONG_S)) == ("aborted", True)


def test_a_call_that_waits_to_write_can_be_broken(
    serve: Callable[..., Server], transport: Transport, aside: ThreadPoolExecutor
) -> None:
    def behaviour(visit: Visit) -> None:
        visit.sock.recv(1024)
        visit.server.asked.set()
        visit.server.ending.wait()

    server = serve(behaviour)
    request = post(server.url(), bytes(32 * 2**20))
    assert aborted(aside, transport, request, lambda: server.asked.wait(LONG_S)) == ("aborted", True)


def test_a_call_in_its_tls_handshake_can_be_broken(
    serve: Callable[..., Server], transport: Transport, aside: ThreadPoolExecutor
) -> None:
    server = serve(deaf)
    request = post(server.url("https"))
    assert aborted(aside, transport, request, lambda: server.visited.wait(LONG_S)) == ("aborted", False)


def test_a_call_that_is_connecting_can_be_broken(
    full_backlog: str, transport: Transport, aside: ThreadPoolExecutor
) -> None:
    assert aborted(aside, transport, post(full_backlog), lambda: True) == ("aborted", False)


def test_a_call_that_looks_up_a_name_can_be_broken(
    transport: Transport, aside: ThreadPoolExecutor, no_name_server: threading.Event
) -> None:
    request = post("http://dialer.example/")
    assert aborted(aside, transport, request, lambda: no_name_server.wait(LONG_S)) == ("aborted", False)


def test_a_call_that_waits_for_a_place_can_be_broken(
    serve: Callable[..., Server], aside: ThreadPoolExecutor
) -> None:
    server, transport, handle = serve(silent), Transport(max_connections=1), CallHandle()
    first = aside.submit(transport.send, post(server.url()), timeout_s=LONG_S, handle=handle)
    assert server.asked.wait(LONG_S)
    assert aborted(aside, transport, post(server.url()), lambda: True) == ("aborted", False)
    assert not first.done()
    handle.abort()
    assert isinstance(first.exception(LONG_S), NoAnswer)


def test_an_abort_that_comes_late_does_not_touch_the_next_call_on_that_connection(
    serve: Callable[..., Server], transport: Transport, aside: ThreadPoolExecutor
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def behaviour(visit: Visit) -> None:
        visit.say(visit.read_request())
        body = visit.read_request()
        asked.set()
        go_on.wait(LONG_S)
        visit.say(body)

    server, late = serve(behaviour), CallHandle()
    transport.send(post(server.url(), b"one"), timeout_s=LONG_S, handle=late)
    second = aside.submit(transport.send, post(server.url(), b"two"), timeout_s=LONG_S)
    assert asked.wait(LONG_S)
    late.abort()
    go_on.set()
    answer = second.result(LONG_S)
    assert isinstance(answer, Answer)
    assert (answer.body, server.visits) == (b"two", 1)


def test_no_log_shows_a_key_or_a_number(
    serve: Callable[..., Server], transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport.send(post(serve(echo).url(), PHONE.encode()), timeout_s=LONG_S)
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    assert PHONE not in caplog.text
    assert "5ecret" not in caplog.text
