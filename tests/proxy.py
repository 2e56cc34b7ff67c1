"""A TCP proxy on loopback that passes, stalls or cuts: a network for tests."""

import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Connections to ``port`` go on to ``target``, a loopback port.

    Stalled it takes connections and bytes and passes none, as a network does that drops packets; what was taken is
    passed when it goes on. Cut it closes what is open and whatever comes.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._passes = threading.Event()
        self._passes.set()
        self._is_cut = False
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()
        self._passes.set()

    def stall(self) -> None:
        self._passes.clear()

    def cut(self) -> None:
        self._is_cut = True
        for one in list(self._open):
            one.close()

    def go_on(self) -> None:
        self._is_cut = False
        self._passes.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = None if self._is_cut else socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                server = None
            if not server:
                client.close()
                continue
            for one, other in ((client, server), (server, client)):
                self._open.add(one)
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                self._passes.wait()
                other.sendall(data)
        except OSError:
            pass
        finally:
            self._open -= {one, other}
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()
