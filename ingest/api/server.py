"""`conflictwire serve`: where it listens, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest.api.app import Api, create_app
from ingest.errors import SettingsError
from ingest.processes import INTERRUPTED, bound_heap
from ingest.settings import Settings
from ingest.storage import ApiKey, Store

log = logging.getLogger(__name__)

_GRACE = 5  # seconds that requests have to end in
_UNHEARD = 60_000  # milliseconds after which a client that takes nothing is cut off by the kernel
_UNSENT = 16_000  # bytes that the kernel has not taken, from where on a client is not sent more
_NOISE = "ASGI callable returned without completing response."


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address; a name counts as what it leads to."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SettingsError(f"setting api.host: {host}: {error}") from error
    return all(ip_address(address[0]).is_loopback for *_, address in found)


def in_force(settings: Settings, keys: list[ApiKey]) -> Settings:
    """The settings as they are to be served: keys are required on an address that others can reach.

    Raises SettingsError where there are none then.
    """
    api = settings.api
    required = api.keys_required or not is_loopback(api.host)
    if required and not any(key.revoked is None for key in keys):
        why = "api.keys_required is set" if api.keys_required else f"others can reach {api.host}"
        raise SettingsError(f"setting api.host: {why}, and there is no key: make one with `conflictwire keys add NAME`")
    return settings.model_copy(update={"api": api.model_copy(update={"keys_required": required})})


def listen(settings: Settings) -> socket.socket:
    """The socket. Raises SettingsError."""
    api = settings.api
    try:
        family, *_, address = socket.getaddrinfo(api.host, api.port, type=socket.SOCK_STREAM)[0]
        made = socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise SettingsError(f"setting api.port: {api.host}:{api.port} cannot be listened on: {error}") from error
    # Accepted connections inherit both. asyncio sets the first only for sockets that name their protocol: without it every
    # answer waited 40 ms for an acknowledgement.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD)
    return made


class _Protocol(H11Protocol):
    """Waits for a client that takes less than it is sent earlier than asyncio would, which lets 64 KiB pile up for each."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set the limit."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNSENT)


class _Server(uvicorn.Server):
    """Ends the live streams when it is told to end, as they would go on for ever, and by itself, not by the signal."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending
        self.by: int | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Within, signals end the server; uvicorn's own would raise them again afterwards."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; at the second SIGINT without waiting for anything."""
        self.by = self.by or sig
        self._ending()
        super().handle_exit(sig, frame)


def serve(settings: Settings, listening: Callable[[str], None]) -> int:
    """Serve until a signal ends it; the exit code. `listening` is told the URL. Raises SettingsError, StoreUnavailable."""
    bound_heap(large=256 * 1024, kept=128 * 1024, heaps=2)  # a tenth less memory with 400,000 events
    with (
        closing(Store.open(settings.store_url)) as writing,
        closing(Store.open(settings.store_url, read_only=True)) as store,
    ):
        settings = in_force(settings, store.keys())
        api = Api(settings, store, writing)
        with listen(settings) as sock:
            host, port = sock.getsockname()[:2]
            logging.getLogger("uvicorn.error").addFilter(lambda record: _NOISE not in record.getMessage())
            logging.getLogger("uvicorn").setLevel(logging.WARNING)
            config = uvicorn.Config(
                create_app(api),
                http=_Protocol,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=list(settings.api.proxies),
                timeout_graceful_shutdown=_GRACE,
                h11_max_incomplete_event_size=64 * 1024,
                lifespan="on",
                ws="none",
            )
            shown = f"[{host}]" if ":" in host else host
            listening(f"http://{shown}:{port}/")
            server = _Server(config, api.hub.close)
            server.run([sock])
            return INTERRUPTED if server.by == signal.SIGINT else 0
