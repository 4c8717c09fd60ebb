"""One URL fetched, politely and within limits."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ingest.errors import FetchError
from ingest.feeds.fetch import HTML_TYPES, Fetched, Fetcher, is_public, retry_after
from ingest.settings import Fetch
from tests.ingest.feeds.site import Request, Site, answer


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def get(url: str, limits: Fetch | None = None, **options: Any) -> Fetched:
    async def fetch() -> Fetched:
        async with Fetcher(limits or Fetch(allow_private=True)) as fetcher:
            return await fetcher.get(url, **options)

    return asyncio.run(fetch())


def refusal(url: str, limits: Fetch | None = None, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(url, limits, **options)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return caught.value


def test_a_body_comes_with_its_validators(site: Site) -> None:
    site.routes["/feed"] = answer("<rss/>", Content_Type="text/xml", ETag='W/"1"', Last_Modified="Mon, 1 Jan 2026")
    assert get(f"{site.url}/feed") == Fetched(
        f"{site.url}/feed", 200, b"<rss/>", "text/xml", 'W/"1"', "Mon, 1 Jan 2026", ()
    )


def test_a_known_body_is_asked_for_by_both_validators_and_not_sent_again(site: Site) -> None:
    site.routes["/feed"] = answer(status="304 Not Modified")
    fetched = get(f"{site.url}/feed", etag='"1"', last_modified="Mon, 1 Jan 2026")
    assert (fetched.status, fetched.body) == (304, b"")
    assert site.requests[0].headers["if-none-match"] == '"1"'
    assert site.requests[0].headers["if-modified-since"] == "Mon, 1 Jan 2026"


def test_304_to_an_unconditional_request_is_an_error(site: Site) -> None:
    site.routes["/feed"] = answer(status="304 Not Modified")
    assert refusal(f"{site.url}/feed").kind == "protocol"


@pytest.mark.parametrize("value", ["é", "a" * 2000, "a\tb"])
def test_validators_that_cannot_be_sent_back_are_not_kept(site: Site, value: str) -> None:
    site.routes["/feed"] = answer("x", ETag=value, Last_Modified=value)
    fetched = get(f"{site.url}/feed")
    assert (fetched.etag, fetched.last_modified) == (None, None)


def test_requests_name_us_and_a_contact_and_carry_no_cookies(site: Site) -> None:
    site.routes["/a"] = answer(status="302 Found", Location="/b", Set_Cookie="a=b")
    site.routes["/b"] = answer("x")
    get(f"{site.url}/a", Fetch(allow_private=True, contact="https://example.org/us"))
    for request in site.requests:
        assert request.headers["user-agent"].startswith("Conflictwire/")
        assert request.headers["user-agent"].endswith("(+https://example.org/us)")
        assert "cookie" not in request.headers


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"body" * 1000)),
        ("x-gzip", gzip.compress(b"body" * 500) + gzip.compress(b"body" * 500)),
        ("gzip", gzip.compress(b"body" * 1000) + bytes(100)),
        ("deflate", zlib.compress(b"body" * 1000)),
        ("deflate", zlib.compress(b"body" * 1000)[2:-4]),
        ("identity", b"body" * 1000),
    ],
    ids=["gzip", "two gzip members", "padded gzip", "deflate", "deflate without header", "identity"],
)
def test_compressed_bodies_are_unpacked(site: Site, encoding: str, packed: bytes) -> None:
    def in_small_pieces(connection: socket.socket, request: Request) -> None:
        head, _, body = answer(packed, Content_Encoding=encoding).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        for start in range(0, len(body), 7):
            connection.sendall(body[start : start + 7])

    site.routes["/feed"] = answer(packed, Content_Encoding=encoding)
    site.routes["/slowly"] = in_small_pieces
    assert get(f"{site.url}/feed").body == b"body" * 1000
    assert get(f"{site.url}/slowly").body == b"body" * 1000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", gzip.compress(b"body" * 1000)[:-12]),
        ("gzip", gzip.compress(b"body" * 1000)[:20] + b"damage" * 10),
        ("deflate", b"\xff\xff\xff\xff"),
        ("br", b"any"),
        ("zstd", b"any"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"body"))),
    ],
)
def test_bodies_that_cannot_be_unpacked_are_errors(site: Site, encoding: str, packed: bytes) -> None:
    site.routes["/feed"] = answer(packed, Content_Encoding=encoding)
    assert refusal(f"{site.url}/feed").kind == "encoding"


@pytest.mark.parametrize(
    "body",
    [
        answer(b"x" * 100_001),
        answer(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"),
        answer(zlib.compress(bytes(50_000_000)), Content_Encoding="deflate"),
        # Empty members: for ever compressed data, and never a byte out of it.
        answer(gzip.compress(b"") * 10_000, Content_Encoding="gzip"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 200,
    ],
    ids=["long", "gzip bomb", "deflate bomb", "empty members", "without length", "chunked"],
)
def test_no_more_than_the_limit_is_read_packed_or_unpacked(site: Site, body: bytes) -> None:
    site.routes["/feed"] = body
    assert refusal(f"{site.url}/feed", Fetch(allow_private=True, max_bytes=100_000)).kind == "too_large"


def test_a_body_as_large_as_the_limit_is_read(site: Site) -> None:
    site.routes["/feed"] = answer(gzip.compress(bytes(100_000)), Content_Encoding="gzip")
    assert len(get(f"{site.url}/feed", Fetch(allow_private=True, max_bytes=100_000)).body) == 100_000


def drip(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_headers(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.05)


def say_nothing(connection: socket.socket, request: Request) -> None:
    connection.recv(1)


@pytest.mark.parametrize("route", [drip, drip_headers, say_nothing])
def test_a_server_cannot_hold_us_by_dripping(site: Site, route: Any) -> None:
    site.routes["/feed"] = route
    assert refusal(f"{site.url}/feed", Fetch(allow_private=True, timeout=0.4)).kind == "timeout"


def test_the_time_limit_holds_for_all_redirects_together(site: Site) -> None:
    def slow_hop(connection: socket.socket, request: Request) -> None:
        time.sleep(0.3)
        connection.sendall(answer(status="302 Found", Location=f"{request.path}x"))

    site.routes.update({f"/{'x' * hops}": slow_hop for hops in range(10)})
    assert refusal(f"{site.url}/", Fetch(allow_private=True, timeout=0.7, max_redirects=9)).kind == "timeout"
    assert len(site.requests) <= 3


def test_waiting_for_a_turn_at_the_host_is_not_charged_to_a_request(site: Site) -> None:
    def slow(connection: socket.socket, request: Request) -> None:
        time.sleep(0.25)
        connection.sendall(answer("x"))

    site.routes["/feed"] = slow

    async def fetch() -> list[Fetched]:
        async with Fetcher(Fetch(allow_private=True, timeout=0.6, per_host=1)) as fetcher:
            return await asyncio.gather(*(fetcher.get(f"{site.url}/feed") for _ in range(5)))

    assert len(asyncio.run(fetch())) == 5


def test_a_host_gets_no_more_requests_at_once_than_allowed(site: Site) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def counted(connection: socket.socket, request: Request) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        connection.sendall(answer("x"))

    site.routes.update({f"/{number}": counted for number in range(12)})

    async def fetch() -> None:
        async with Fetcher(Fetch(allow_private=True, per_host=2)) as fetcher:
            await asyncio.gather(*(fetcher.get(f"{site.url}/{number}") for number in range(12)))

    asyncio.run(fetch())
    assert 1 <= most <= 2


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(5_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 100_000 + b"\r\n\r\n",
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus one\r\n\r\n",
    ],
    ids=["many headers", "long header", "long status", "no HTTP", "no length"],
)
def test_answers_that_break_the_protocol_are_errors(site: Site, head: bytes) -> None:
    site.routes["/feed"] = head
    assert refusal(f"{site.url}/feed").kind == "protocol"


def test_a_body_that_breaks_off_is_an_error(site: Site) -> None:
    site.routes["/feed"] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"
    assert refusal(f"{site.url}/feed").kind == "protocol"


def test_redirects_are_followed_and_reported(site: Site) -> None:
    site.routes["/a"] = answer(status="301 Moved Permanently", Location="/b?x=1#part")
    site.routes["/b?x=1"] = answer(status="307 Temporary Redirect", Location=f"{site.url}/c")
    site.routes["/c"] = answer("there")
    fetched = get(f"{site.url}/a")
    assert (fetched.url, fetched.body) == (f"{site.url}/c", b"there")
    assert [(hop.status, hop.url) for hop in fetched.redirects] == [(301, f"{site.url}/b?x=1"), (307, f"{site.url}/c")]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/feed", "in a circle"),
        ("/back", "in a circle"),
        ("ftp://127.0.0.1/feed", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("http://", "in a circle"),
        ("http://[::1/", "URL"),
        ("http://host:99999/", "URL"),
        ("", "without saying where to"),
    ],
)
def test_redirects_that_lead_nowhere_are_errors(site: Site, location: str, message: str) -> None:
    site.routes["/feed"] = answer(status="302 Found", Location=location)
    site.routes["/back"] = answer(status="302 Found", Location="/feed")
    error = refusal(f"{site.url}/feed")
    assert error.kind == "redirect"
    assert message in str(error)


def test_endless_redirects_end_at_the_limit(site: Site) -> None:
    site.routes.update({f"/{number}": answer(status="302 Found", Location=f"/{number + 1}") for number in range(100)})
    assert refusal(f"{site.url}/0", Fetch(allow_private=True, max_redirects=3)).kind == "redirect"
    assert site.paths() == ["/0", "/1", "/2", "/3"]


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "500 Oops", "202 Accepted", "204 No Content"])
def test_other_answers_are_errors_with_their_status(site: Site, status: str) -> None:
    site.routes["/feed"] = answer("" if status.startswith("204") else "<rss/>", status)
    error = refusal(f"{site.url}/feed")
    assert (error.kind, error.status) == ("http", int(status[:3]))


def test_a_server_can_say_how_long_to_wait(site: Site) -> None:
    site.routes["/feed"] = answer(status="429 Too Many Requests", Retry_After="120")
    assert refusal(f"{site.url}/feed").retry_after == 120


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("30", 30),
        (" 30 ", 30),
        ("9" * 50, 999_999_999),
        ("Tue, 24 Nov 2026 00:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 00:01:00 -0000", 60),
        ("Mon, 23 Nov 2026 00:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_both_forms_of_retry_after_are_understood(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, datetime(2026, 11, 24, tzinfo=UTC)) == seconds


def test_pages_of_other_media_types_are_not_read(site: Site) -> None:
    site.routes["/page"] = answer("%PDF", Content_Type="application/pdf")
    site.routes["/html"] = answer("<p>", Content_Type="text/html; charset=utf-8")
    assert refusal(f"{site.url}/page", only_types=HTML_TYPES).kind == "protocol"
    assert get(f"{site.url}/html", only_types=HTML_TYPES).body == b"<p>"


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "file:///etc/passwd", "example.org/feed", "", "http://", "http:///x", "http://[::1"]
)
def test_only_web_urls_are_fetched(url: str) -> None:
    assert refusal(url).kind == "protocol"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "[fe80::1]"],
)
def test_private_addresses_are_refused_however_they_are_written(site: Site, host: str) -> None:
    error = refusal(f"http://{host}:{site.port}/feed", Fetch())
    assert error.kind == "private_address"
    assert "allow_private" in str(error)
    assert not site.requests


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "127.1"])
def test_addresses_in_forms_that_only_the_c_library_reads_are_refused(site: Site, host: str) -> None:
    assert refusal(f"http://{host}:{site.port}/feed", Fetch()).kind in ("private_address", "protocol")
    assert not site.requests


def test_private_addresses_are_refused_behind_a_redirect(site: Site) -> None:
    with Site(address="127.0.0.2") as inside:
        site.routes["/feed"] = answer(status="302 Found", Location=f"{inside.url}/secret")
        inside.routes["/secret"] = answer("secret")

        async def fetch() -> Fetched:
            async with Fetcher(Fetch(), permitted=lambda address: address == "127.0.0.1") as fetcher:
                return await fetcher.get(f"{site.url}/feed")

        with pytest.raises(FetchError) as caught:
            asyncio.run(fetch())
        assert caught.value.kind == "private_address"
        assert site.paths() == ["/feed"]
        assert not inside.requests


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("198.18.0.1", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd12:3456::1", False),
        ("ff02::1", False),
        ("ff0e::1", False),
        ("2001:db8::1", False),
        ("not an address", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_names_that_do_not_exist_and_closed_ports_are_told_apart(site: Site) -> None:
    assert refusal("http://no-such-host.invalid/feed").kind == "dns"
    port = site.port
    site.__exit__(None, None, None)
    assert refusal(f"http://127.0.0.1:{port}/feed").kind == "connect"


def test_a_certificate_that_nobody_vouches_for_is_a_tls_error(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2026, 1, 1), datetime(2100, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    (tmp_path / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert refusal(f"https://localhost:{server.server_port}/feed").kind == "tls"
        server.shutdown()
