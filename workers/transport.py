"""HTTP to the dialers: one call, one total deadline, and an exact word on whether any of it may have left.

The only module that imports httpx and httpcore. Of them we take what speaks HTTP/1.1, over our own sockets
(``httpcore.HTTP11Connection``), and the seam that tests use (``httpx.BaseTransport``). We leave two parts:

- ``httpx.Client``, which logs every URL, keeps cookies, and has redirects, proxies and netrc to switch off;
- ``httpcore.ConnectionPool``: between two of its locks one thread may close as expired the connection that
  another has just been given, and its wait for a place starts anew after each such race (httpcore 1.0.9,
  ``_sync/connection_pool.py``). Here a connection belongs to one call at a time.

Nothing is sent twice by itself, and no error carries a URL, a key or a number: the words of h11 and ssl may
quote headers, so ``NoAnswer`` has a fixed reason and no cause.
"""

from __future__ import annotations

import threading
import time
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import httpcore
import httpx

from .sockets import Broken, Call, CallHandle, Line, connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

    _Header = tuple[bytes, bytes]

__all__ = ["Answer", "CallHandle", "NoAnswer", "Request", "Transport"]

KEEP_ALIVE_S = 4.0  # below the 5 s after which uvicorn and Node close: what meets a closing one is ambiguous
_WITH_BODY = ("POST", "PUT", "PATCH")
"""Methods whose requests say their length, though it be 0."""
_HEADERS = {"User-Agent": f"leadlane/{version('leadlane')}", "Accept-Encoding": "identity"}
_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((httpx.TimeoutException,), "timeout"),
    ((httpx.ConnectError,), "no connection"),
    ((httpx.NetworkError, httpx.RemoteProtocolError), "connection lost"),
    ((httpx.LocalProtocolError, httpcore.LocalProtocolError), "unusable request"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent. Its repr shows the method only: the rest may hold a key or a number."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole; header names in lower case, repeated ones joined by commas."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class NoAnswer(Exception):  # noqa: N818  an outcome that the engine decides on, not a fault
    """A call that ended without a whole answer.

    ``may_have_left`` is False only if no byte of the request was handed to a socket. ``reason`` is one of:
    timeout, name not found, no connection, connection refused, tls failure, connection lost, unreadable
    answer, answer too large, unusable request, lease lost, aborted.
    """

    def __init__(self, reason: str, *, may_have_left: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_have_left = may_have_left


def _always() -> bool:
    return True


class Transport:
    """Sends requests and brings whole answers. One per process, shared by its threads.

    At most ``max_connections`` calls run at once; others wait for a place, within their own deadline.
    ``transport`` takes the wire's place in tests. ``tls`` is for a dialer whose certificate is not signed
    by one of certifi's authorities; neither that nor a proxy is taken from the environment.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        max_answer_bytes: int = 8 * 2**20,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._places = threading.BoundedSemaphore(max_connections)
        self._max_answer_bytes = max_answer_bytes
        self._clock = clock
        self._wire = (
            _Double(transport) if transport else _Wire(tls or httpx.create_ssl_context(trust_env=False))
        )

    def send(
        self,
        request: Request,
        *,
        timeout_s: float,
        may_send: Callable[[], bool] = _always,
        handle: CallHandle | None = None,
    ) -> Answer:
        """The answer, whatever its status, within ``timeout_s`` seconds from now.

        ``may_send`` is asked immediately before the first byte of the request is written, and before each
        further piece; once it says no, nothing more is. ``handle`` lets another thread break the call.
        A redirect is an answer like any other.

        Raises NoAnswer, also for a request that cannot be sent at all, and whatever ``may_send`` raises.
        """
        call = Call(timeout_s, self._clock, may_send, handle or CallHandle())
        try:
            call.wait(lambda seconds: self._places.acquire(timeout=seconds))
            try:
                return self._wire.answer(request, call, self._max_answer_bytes)
            finally:
                self._places.release()
        except Broken as exc:
            reason = str(exc)
        except (httpx.HTTPError, httpcore.ProtocolError) as exc:
            told = (reason for kinds, reason in _REASONS if isinstance(exc, kinds))
            reason = "connection lost" if call.cut_off else next(told, "unreadable answer")
        # Raised here, since up there the library's error would hang on as its context.
        raise NoAnswer("aborted" if call.handle.aborted else reason, may_have_left=call.has_left)

    def close(self) -> None:
        """Close the connections that are idle; those of running calls close when their calls end."""
        self._wire.close()


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """The body of a server that packs though it was asked not to. Raises Broken.

    Not httpx's way: that unpacks all there is, and what was packed twice twice.
    """
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Broken("unreadable answer")
    stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out which of the two it is
    try:
        whole = stream.decompress(body, most + 1)
    except zlib.error:
        raise Broken("unreadable answer") from None
    if len(whole) > most:
        raise Broken("answer too large")
    if not stream.eof:
        raise Broken("unreadable answer")
    return whole


def _joined(headers: Iterable[_Header]) -> dict[str, str]:
    """Headers by their names in lower case, repeated ones joined by commas."""
    joined: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined


def _whole(chunks: Iterator[bytes], most: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise Broken("answer too large")
    return bytes(body)


def _prepared(request: Request) -> httpx.Request:
    """The request as httpx makes it: its host is there, and its URL and headers are usable. Raises Broken."""
    try:
        headers = httpx.Headers(_HEADERS)
        headers.update(request.headers)
        prepared = httpx.Request(request.method, request.url, headers=headers, content=request.body)
    except (httpx.InvalidURL, ValueError):  # ValueError: a letter in a header that has no place there
        raise Broken("unusable request") from None
    if prepared.url.scheme not in ("http", "https") or not prepared.url.host:
        raise Broken("unusable request")
    return prepared


@lru_cache(1000)
def _head(method: str, url: str, headers: tuple[tuple[str, str], ...]) -> tuple[httpcore.URL, list[_Header]]:
    """Where a request goes and the headers of all that go there alike, as httpcore takes them."""
    prepared = _prepared(Request(method, url, dict(headers), None))
    to = prepared.url
    target = httpcore.URL(scheme=to.raw_scheme, host=to.raw_host, port=to.port, target=to.raw_path)
    return target, [
        (name, value) for name, value in prepared.headers.raw if name.lower() != b"content-length"
    ]


class _Wire:
    """HTTP/1.1 over connections that stay open for a while."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._closed = False

    def answer(self, request: Request, call: Call, most: int) -> Answer:
        """One request over a connection of its own. Raises Broken and errors of httpcore."""
        url, head = _head(request.method, request.url, tuple(request.headers.items()))
        body, size = request.body or b"", []
        if request.body is not None or request.method in _WITH_BODY:
            size = [(b"Content-Length", str(len(body)).encode())]
        connection = self._take(url.origin) or self._open(url.origin, call)
        connection.line.begin(call)
        try:
            response = connection.handle_request(
                httpcore.Request(request.method, url, headers=[*head, *size], content=body)
            )
            try:
                whole = _whole(response.iter_stream(), most)
            finally:
                response.close()  # leaves the connection idle after a whole answer, else closed
        finally:
            self._give_back(connection)
        headers = _joined(response.headers)
        packed = headers.pop("content-encoding", "").strip().lower().removeprefix("identity")
        return Answer(response.status, headers, _unpacked(whole, packed, most) if packed else whole)

    def _take(self, origin: httpcore.Origin) -> _Connection | None:
        while True:
            with self._lock:
                fitting = [one for one in self._idle if one.can_handle_request(origin)]
                if not fitting:
                    return None
                newest = fitting[-1]
                self._idle.remove(newest)
            if not newest.has_expired():
                return newest
            newest.close()

    def _open(self, origin: httpcore.Origin, call: Call) -> _Connection:
        with self._lock:  # the number of sockets grows here, so here the old ones go
            expired = [one for one in self._idle if one.has_expired()]
            self._idle = [one for one in self._idle if one not in expired]
        for one in expired:
            one.close()
        tls = self._tls if origin.scheme == b"https" else None
        return _Connection(origin, connect(origin.host.decode("ascii"), origin.port, tls, call))

    def _give_back(self, connection: _Connection) -> None:
        connection.line.end()
        with self._lock:
            keep = connection.is_idle() and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()


class _Connection(httpcore.HTTP11Connection):
    def __init__(self, origin: httpcore.Origin, line: Line) -> None:
        super().__init__(origin, _Stream(line), keepalive_expiry=KEEP_ALIVE_S)
        self.line = line

    def has_expired(self) -> bool:
        """Whether not to be used again: idle too long, closed by the server, or with bytes beyond its answer.

        httpcore looks for the first two. The third it would take for the answer to the next request.
        """
        return super().has_expired() or bool(self._h11_state.trailing_data[0])


class _Stream(httpcore.NetworkStream):
    """A line as httpcore wants it. It hands over no timeouts: the line knows its call's deadline."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  see class
        return self._line.read(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  see class
        if not self._line.write(buffer):
            # httpcore goes on to read: some servers refuse a body half way, and say why.
            raise httpcore.WriteError

    def close(self) -> None:
        self._line.close()

    def get_extra_info(self, info: str) -> bool | None:
        return self._line.has_news() if info == "is_readable" else None


class _Double:
    """A test's transport, asked and counted as the wire is."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def answer(self, request: Request, call: Call, most: int) -> Answer:
        prepared = _prepared(request)
        call.ask()
        call.remaining_s()
        call.has_left = True
        try:
            response = self._inner.handle_request(prepared)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            call.has_left = False
            raise
        try:
            return Answer(
                response.status_code, dict(response.headers.items()), _whole(response.iter_bytes(), most)
            )
        finally:
            response.close()

    def close(self) -> None:
        self._inner.close()
