"""A proxy between a client and PostgreSQL that breaks the conversation at an exact place.

It counts what the client sends at the boundaries of its statements (Query and Sync messages), over all connections.
At message number N it either cuts every connection, which is what the server sees of a client killed by SIGKILL, or
falls silent: everything stays open and nothing is passed on any more, as when a firewall forgets the connection.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Proxy"]

_SOCKET: Final = ".s.PGSQL.5432"
_CANCEL: Final = 80877102
_BOUNDARIES: Final = frozenset(b"QS")
_HEAD: Final = 5


class Proxy:
    """Listens on a Unix socket of its own (or, with *tcp*, on a port of the loopback) and forwards to *server*.

    *at* is the number, from 1, of the statement at which it breaks; None never breaks. With *deliver* that statement
    still reaches the server, and its answer reaches nobody.
    """

    def __init__(
        self,
        server: Path,
        *,
        at: int | None = None,
        deliver: bool = False,
        then: Literal["cut", "silence"] = "cut",
        tcp: bool = False,
    ) -> None:
        """Prepare; `with` starts and ends it."""
        self.at = at
        self.deliver = deliver
        self.then = then
        self.count = 0
        self.broken = threading.Event()
        self._server = server
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._folder = Path(tempfile.mkdtemp(prefix="pgalmanac-"))
        if tcp:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.host, self.port = "127.0.0.1", int(self._listener.getsockname()[1])
        else:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self._folder / _SOCKET))
            self._listener.listen(20)
            self.host, self.port = str(self._folder), 5432

    def __enter__(self) -> Self:
        """Begin to accept connections."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close everything."""
        self.broken.set()
        self._close(self._listener)
        with self._lock:
            for end in self._open:
                self._close(end)
        shutil.rmtree(self._folder, ignore_errors=True)

    def conninfo(self, conninfo: str) -> str:
        """The same database by way of this proxy; of two hosts in a conninfo, libpq takes the last."""
        return f"{conninfo} host={self.host} port={self.port} sslmode=disable gssencmode=disable"

    @staticmethod
    def _close(end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                if self.broken.is_set() and self.then == "cut":
                    raise OSError  # noqa: TRY301  # the tool is dead: nothing of it connects any more
                server.connect(str(self._server / _SOCKET))
            except OSError:
                self._close(client)
                server.close()
                continue
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self.broken.is_set():
                    return
                client.sendall(data)
            # A silent network passes no end of a connection on either.
            if not (self.broken.is_set() and self.then == "silence"):
                self._close(client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            kind = self._startup(client, server)
            while kind != _CANCEL:
                head = self._exactly(client, _HEAD)
                (size,) = struct.unpack("!I", head[1:])
                body = self._exactly(client, size - 4)
                if not self._pass(head[0]):
                    if self.deliver and not self.broken.is_set():
                        server.sendall(head + body)
                    self._break()
                    return
                server.sendall(head + body)
        if not self.broken.is_set():
            self._close(server)

    def _startup(self, client: socket.socket, server: socket.socket) -> int:
        head = self._exactly(client, 8)
        size, kind = struct.unpack("!II", head)
        server.sendall(head + self._exactly(client, size - 8))
        return int(kind)

    def _pass(self, kind: int) -> bool:
        """Count a boundary; False when this is the message at which the conversation breaks."""
        with self._lock:
            if self.broken.is_set():
                return False
            if kind in _BOUNDARIES:
                self.count += 1
            return self.at is None or self.count < self.at or kind not in _BOUNDARIES

    def _break(self) -> None:
        self.broken.set()
        if self.then == "silence":
            return
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _exactly(end: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = end.recv(size - len(data))
            if not more:
                raise OSError
            data += more
        return data
