"""A loopback web site whose every byte a test decides."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

Route = bytes | Callable[[socket.socket, "Request"], None]


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]


def answer(body: bytes | str = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP answer; underscores in header names stand for dashes."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", "Connection: close", *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + data


@dataclass
class Site:
    """Answers each path by its route: bytes to send, or a function that talks on the socket itself.

    `raw` takes each connection before any request is read. `moments` are the times of the requests, in seconds.
    """

    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    address: str = "127.0.0.1"
    port: int = 0
    raw: Callable[[socket.socket], None] | None = None
    moments: list[float] = field(default_factory=list)

    def __enter__(self) -> Site:
        self.stopping = threading.Event()
        self._socket = socket.create_server((self.address, self.port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://{self.address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self.raw is not None:
                self.raw(connection)
                return
            data = b""
            while b"\r\n\r\n" not in data:
                if not (more := connection.recv(65536)):
                    return
                data += more
            first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            named = (line.partition(":") for line in lines)
            request = Request(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in named})
            self.moments.append(time.monotonic())
            self.requests.append(request)
            route = self.routes.get(request.path, answer("no such page", "404 Not Found"))
            if callable(route):
                route(connection, request)
            else:
                connection.sendall(route)
