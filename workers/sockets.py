"""Sockets that obey a call: each step runs on what is left of its deadline, and another thread can break it.

A deadline per operation is no deadline: a server that takes or gives a byte a second outlives it. So every
step, from the look-up of the name to the last byte read, first asks the call how long it may still take.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_STEP_S = 0.25  # how often a wait that no socket can end looks for an abort


class Broken(Exception):  # noqa: N818  not an error yet: its catcher knows what to make of it
    """The call cannot go on; the text is the reason, in fixed words."""


@contextmanager
def told_as(reason: str) -> Iterator[None]:
    """Tell what a socket did in fixed words: the system's may name an address, those of ssl a certificate."""
    try:
        yield
    except TimeoutError:
        raise Broken("timeout") from None
    except OSError:
        raise Broken(reason) from None


class CallHandle:
    """Breaks a running call from another thread. For one call at a time; once aborted it stays so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.aborted = False
        self.sent = False  # of the request nothing more will leave

    def stop_sending(self) -> None:
        """End the call, unless all of its request has left: then its answer may still come."""
        if not self.sent:
            self.abort()

    def abort(self) -> None:
        """End the call with the reason "aborted", at once; one that begins later ends as it begins."""
        with self._lock:
            self.aborted = True
            if self._socket is not None:
                try:
                    # Not SSLSocket.shutdown: it takes the TLS layer from under the calling thread, whose next
                    # bytes could then leave in the clear.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    pass  # it is not connected: Linux lets a connect that comes after this return at once

    def watch(self, sock: socket.socket) -> None:
        """Let ``abort`` break this socket from now on."""
        with self._lock:
            self._socket = sock

    def forget(self, sock: socket.socket) -> None:
        """Let ``abort`` no longer touch this socket: it may soon belong to another call."""
        with self._lock:
            if self._socket is sock:
                self._socket = None

    def close(self, sock: socket.socket) -> None:
        """Close this socket; forgotten first, since its file number may soon be another's."""
        self.forget(sock)
        sock.close()


class Call:
    """One call on its way: how long it may still take, and whether any of it has left."""

    def __init__(
        self, timeout_s: float, clock: Callable[[], float], may_send: Callable[[], bool], handle: CallHandle
    ) -> None:
        self._clock = clock
        self._ends_at = clock() + timeout_s
        self._may_send = may_send
        self.handle = handle
        self.has_left = False  # a byte of the request was handed to a socket
        self.cut_off = False  # the last read found the connection closed

    def remaining_s(self) -> float:
        """Seconds this call may still take, more than 0. Raises Broken if it is late or aborted."""
        if self.handle.aborted:
            raise Broken("aborted")
        remaining_s = self._ends_at - self._clock()
        if remaining_s <= 0:
            raise Broken("timeout")
        return remaining_s

    def wait(self, done: Callable[[float], bool]) -> None:
        """Return when ``done(seconds)``, which waits so long at most, has said yes. Raises Broken."""
        while not done(min(self.remaining_s(), _STEP_S)):
            pass

    def ask(self) -> None:
        """Ask if the next piece of the request may leave now. Raises Broken if not."""
        self.remaining_s()
        if not self._may_send():
            raise Broken("lease lost")


class Line:
    """A connection, for one call at a time."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock = sock
        self._call = call

    def begin(self, call: Call) -> None:
        """Carry this call from now on."""
        self._call = call
        call.handle.watch(self._sock)

    def end(self) -> None:
        """Carry nobody's call; the connection stays open."""
        self._call.handle.forget(self._sock)

    def read(self, max_bytes: int) -> bytes:
        """What the server sent, empty when it has closed. Raises Broken."""
        self._call.handle.sent = True
        with told_as("connection lost"):
            self._sock.settimeout(self._call.remaining_s())
            data = self._sock.recv(max_bytes)
        self._call.cut_off = not data
        return data

    def write(self, data: bytes) -> bool:
        """Hand ``data`` to the socket; False if the server takes no more. Raises Broken.

        Immediately before each piece is asked whether it may leave: of a process that was frozen while it waited
        for the server to take more, the rest stays here.
        """
        unsent = memoryview(data)
        self._sock.settimeout(0)
        while unsent:
            if isinstance(self._sock, ssl.SSLSocket):
                self._call.has_left = True  # a TLS write that fails does not say how much of it went out
            self._call.ask()
            try:
                unsent = unsent[self._sock.send(unsent) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._call.wait(partial(self._ready, select.POLLOUT))
            except ssl.SSLWantReadError:
                self._call.wait(partial(self._ready, select.POLLIN))
            except OSError:
                return False
            else:
                self._call.has_left = True
        return True

    def has_news(self) -> bool:
        """Whether the server has closed, or has said something, since the last read."""
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        return self._ready(select.POLLIN, 0)

    def _ready(self, event: int, within_s: float) -> bool:
        poll = select.poll()  # not select(): it fails from file number 1024 on
        poll.register(self._sock, event)
        return bool(poll.poll(within_s * 1000))

    def close(self) -> None:
        """Close the connection."""
        self._call.handle.close(self._sock)


def connect(host: str, port: int, tls: ssl.SSLContext | None, call: Call) -> Line:
    """A connection to the first address of ``host`` that takes one, under TLS if a context is given.

    Each address gets its share of the time left. Raises Broken.
    """
    addresses = _find(host, port, call)
    for tried, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
        share = 1 / (len(addresses) - tried + 1)
        try:
            with told_as("no connection"):
                sock = _open(socket.socket(family, kind, protocol), address, share, call)
        except Broken:
            if tried == len(addresses):
                raise
        else:
            break
    return Line(sock if tls is None else _encrypt(sock, tls, host, call), call)


def _find(host: str, port: int, call: Call) -> list[Any]:
    """The addresses of ``host``, at least one, as getaddrinfo gives them."""
    found: list[Any] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            pass  # UnicodeError: a label that is empty or too long; either way none is found
        finally:
            done.set()

    # A resolver knows no deadline (glibc: 5 s for each try and server), so it is left behind when it is late.
    threading.Thread(target=look_up, name="leadlane-look-up", daemon=True).start()
    call.wait(done.wait)
    if not found:
        raise Broken("name not found")
    return found


def _open(sock: socket.socket, address: Any, share: float, call: Call) -> socket.socket:
    try:
        call.handle.watch(sock)
        sock.settimeout(call.remaining_s() * share)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except ConnectionRefusedError:
        call.handle.close(sock)
        raise Broken("connection refused") from None
    except BaseException:
        call.handle.close(sock)
        raise
    return sock


def _encrypt(plain: socket.socket, tls: ssl.SSLContext, host: str, call: Call) -> socket.socket:
    sock = plain
    try:
        with told_as("tls failure"):
            # No handshake yet: wrapping empties the plain socket, and abort() must know the new one first.
            secure = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            sock = secure
            call.handle.watch(secure)
            secure.settimeout(call.remaining_s())
            secure.do_handshake()
    except BaseException:
        call.handle.close(sock)
        raise
    return sock
