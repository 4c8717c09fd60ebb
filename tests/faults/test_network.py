"""The network under the tests' control does what it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.faults.network import Network, Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that sends back what it is sent, and remembers it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection: socket.socket) -> None:
        try:
            while data := connection.recv(100):
                heard.append(data)
                connection.sendall(data)
        except OSError:
            pass

    heard: list[bytes] = []
    threading.Thread(target=serve, daemon=True).start()
    network = Network()
    made = Proxy(network)
    made.connect_to(server.getsockname()[1])
    made.heard = heard  # type: ignore[attr-defined]
    yield made
    made.close()
    network.close()
    server.close()


def connect(proxy: Proxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    connection.sendall(b"hello")
    assert connection.recv(100) == b"hello"
    connection.settimeout(0.3)
    return connection


def test_a_stall_holds_every_byte_back_until_it_is_over(proxy: Proxy) -> None:
    connection = connect(proxy)
    proxy.stall()
    connection.sendall(b"held")
    with pytest.raises(TimeoutError):
        connection.recv(100)
    assert b"held" not in proxy.heard  # type: ignore[attr-defined]
    proxy.heal()
    connection.settimeout(5)
    assert connection.recv(100) == b"held"


def test_a_deaf_network_takes_requests_and_gives_no_answers(proxy: Proxy) -> None:
    connection = connect(proxy)
    proxy.deafen()
    connection.sendall(b"asked")
    with pytest.raises(TimeoutError):
        connection.recv(100)
    assert b"asked" in proxy.heard  # type: ignore[attr-defined]
    proxy.cut()
    connection.settimeout(5)
    with pytest.raises(ConnectionResetError):
        connection.recv(100)


def test_a_cut_breaks_what_is_open_and_refuses_what_is_new_until_it_is_over(proxy: Proxy) -> None:
    connection = connect(proxy)
    proxy.cut()
    connection.settimeout(5)
    with pytest.raises(ConnectionResetError):
        connection.recv(100)
    with pytest.raises((ConnectionResetError, AssertionError)):
        connect(proxy)
    proxy.heal()
    connect(proxy)
