"""A network that can stall, swallow answers and break: TCP proxies in front of the servers."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable

_CHUNK = 65_536


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection so that the other end hears of it as of an error, not as of an orderly end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Network:
    """The thread in which all proxies live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], None]) -> None:
        """Run `call` in the thread, and return when it has been."""
        done = threading.Event()

        def called() -> None:
            try:
                call()
            finally:
                done.set()

        self.loop.call_soon_threadsafe(called)
        done.wait(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


class Proxy:
    """From a port of its own, known at once, to the one given to `connect_to`. Lets everything through at first."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._target = 0
        self._refuses = False
        self._open: set[asyncio.StreamWriter] = set()
        self._requests = asyncio.Event()
        self._answers = asyncio.Event()

    def connect_to(self, port: int) -> None:
        """Start to serve."""
        self._target = port
        self.heal()
        server = asyncio.start_server(self._serve, sock=self._listener, limit=_CHUNK)
        self._server = asyncio.run_coroutine_threadsafe(server, self._network.loop).result(10)

    def stall(self) -> None:
        """Hold back every byte, as a network that lost its way does: connections stay open."""
        self._network.run(lambda: (self._requests.clear(), self._answers.clear())[0])

    def deafen(self) -> None:
        """Let requests through and hold back the answers."""
        self._network.run(self._answers.clear)

    def cut(self) -> None:
        """Break every connection, dropping what was held back, and refuse new ones."""

        def cut() -> None:
            self._refuses = True
            for writer in list(self._open):
                _reset(writer)

        self._network.run(cut)

    def heal(self) -> None:
        """Let everything through, what was held back first."""

        def heal() -> None:
            self._refuses = False
            self._requests.set()
            self._answers.set()

        self._network.run(heal)

    def close(self) -> None:
        self.cut()
        self._network.run(self._server.close)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            _reset(writer)
            return
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, target_writer}
        self._open |= ends
        try:
            await asyncio.gather(
                self._copy(reader, target_writer, self._requests), self._copy(target_reader, writer, self._answers)
            )
        except OSError:
            pass
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
        while chunk := await reader.read(_CHUNK):
            await gate.wait()
            writer.write(chunk)
            await writer.drain()
        # One end has closed; whoever held the other shall know. Answers on their way are lost, as they may be.
        raise ConnectionResetError
