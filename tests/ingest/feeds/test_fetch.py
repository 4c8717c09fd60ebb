"""One URL fetched, politely and within limits."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import brotli
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from backports import zstd
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import FetchError
from ingest.feeds.fetch import HTML_TYPES, Fetched, Fetcher, _Turns, freshness, is_public, retry_after
from ingest.settings import Fetch
from tests.ingest.feeds.site import Request, Site, answer


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def limits(**changed: Any) -> Fetch:
    return Fetch(**({"allow_private": True, "host_gap": 0} | changed))


def get(url: str, chosen: Fetch | None = None, **options: Any) -> Fetched:
    async def fetch() -> Fetched:
        async with Fetcher(chosen or limits()) as fetcher:
            return await fetcher.get(url, **options)

    return asyncio.run(fetch())


def refusal(url: str, chosen: Fetch | None = None, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(url, chosen, **options)
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
    get(f"{site.url}/a", limits(contact="https://example.org/us"))
    for request in site.requests:
        assert request.headers["user-agent"].startswith("Conflictwire/")
        assert request.headers["user-agent"].endswith("(+https://example.org/us)")
        assert "cookie" not in request.headers


BODY = b"<rss>" + b"body" * 1000


def compressed(data: bytes, name: str) -> bytes:
    match name:
        case "gzip":
            return gzip.compress(data)
        case "deflate":
            return zlib.compress(data)
        case "br":
            return brotli.compress(data, quality=1)
        case "zstd":
            return zstd.compress(data)
    return data


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY[:2000]) + gzip.compress(BODY[2000:])),
        ("gzip", gzip.compress(BODY) + bytes(100)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("br", brotli.compress(BODY)),
        ("zstd", zstd.compress(BODY)),
        ("zstd", zstd.compress(BODY[:2000]) + zstd.compress(BODY[2000:])),
        ("zstd", b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstd.compress(BODY)),
        ("identity", BODY),
        ("gzip, br", brotli.compress(gzip.compress(BODY))),
        ("zstd,identity , gzip", gzip.compress(zstd.compress(BODY))),
        ("deflate, gzip, zstd", zstd.compress(gzip.compress(zlib.compress(BODY)))),
        ("gzip", BODY),
        ("deflate", BODY),
        ("br", BODY),
        ("zstd", BODY),
        ("utf-8", BODY),
        ("gzip, gzip", gzip.compress(BODY)),
        ("br, gzip", gzip.compress(BODY)),
    ],
    ids=[
        "gzip",
        "upper case",
        "two gzip members",
        "padded gzip",
        "deflate",
        "deflate without header",
        "br",
        "zstd",
        "two zstd frames",
        "a zstd frame to be skipped",
        "identity",
        "gzip in br",
        "zstd in gzip",
        "three",
        "no gzip at all",
        "no deflate at all",
        "no br at all",
        "no zstd at all",
        "no encoding at all",
        "gzip once, said twice",
        "br said, not there",
    ],
)
def test_encoded_bodies_are_decoded_whatever_the_pieces(site: Site, encoding: str, packed: bytes) -> None:
    def in_small_pieces(connection: socket.socket, request: Request) -> None:
        head, _, body = answer(packed, Content_Encoding=encoding).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        for start in range(0, len(body), 7):
            connection.sendall(body[start : start + 7])

    site.routes["/feed"] = answer(packed, Content_Encoding=encoding)
    site.routes["/slowly"] = in_small_pieces
    assert get(f"{site.url}/feed").body == BODY
    assert get(f"{site.url}/slowly").body == BODY
    assert site.requests[0].headers["accept-encoding"] == "gzip, deflate, br, zstd"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", b"\x00\x01not gzip at all"),
        ("gzip", gzip.compress(BODY)[:-12]),
        ("gzip", gzip.compress(BODY)[:20] + b"damage" * 10),
        ("deflate", b"\xff\xff\xff\xff\x00"),
        ("br", brotli.compress(BODY)[:-2]),
        ("br", bytes(range(100))),
        ("zstd", zstd.compress(BODY)[:-2]),
        ("zstd", zstd.compress(BODY) + b"\x00\x01junk"),
        ("compress", b"\x1f\x9d\x90\x00"),
        ("gzip, gzip, gzip, gzip", gzip.compress(gzip.compress(gzip.compress(gzip.compress(BODY))))),
        ("gzip", gzip.compress(b"") * 5_000),
        ("zstd", zstd.compress(b"") * 5_000),
        ("zstd", zstd.compress(b"x" * 20_000_000, options={zstd.CompressionParameter.window_log: 24})),
    ],
    ids=[
        "no gzip",
        "gzip broken off",
        "gzip damaged",
        "no deflate",
        "br broken off",
        "no br",
        "zstd broken off",
        "junk after zstd",
        "unknown",
        "four encodings",
        "empty gzip members",
        "empty zstd frames",
        "zstd of too large a window",
    ],
)
def test_bodies_that_cannot_be_decoded_are_errors(site: Site, encoding: str, packed: bytes) -> None:
    site.routes["/feed"] = answer(packed, Content_Encoding=encoding)
    assert refusal(f"{site.url}/feed", limits(max_bytes=30_000_000)).kind == "encoding"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200_000),
    st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "identity"]), max_size=3),
    st.integers(1, 100_000),
)
def test_any_body_comes_through_any_encodings_in_any_pieces(
    site: Site, body: bytes, encodings: list[str], size: int
) -> None:
    packed = body
    for name in encodings:
        packed = compressed(packed, name)

    def in_pieces(connection: socket.socket, request: Request) -> None:
        head, _, rest = answer(packed, Content_Encoding=", ".join(encodings)).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        for start in range(0, len(rest), max(size, len(rest) // 50)):
            connection.sendall(rest[start : start + max(size, len(rest) // 50)])

    site.routes["/feed"] = in_pieces
    assert get(f"{site.url}/feed").body == body


@pytest.mark.parametrize(
    "body",
    [
        answer(b"x" * 100_001),
        answer(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"),
        answer(zlib.compress(bytes(50_000_000)), Content_Encoding="deflate"),
        answer(zlib.compress(bytes(50_000_000))[2:-4], Content_Encoding="deflate"),
        answer(brotli.compress(bytes(50_000_000), quality=1), Content_Encoding="br"),
        answer(zstd.compress(bytes(50_000_000)), Content_Encoding="zstd"),
        answer(gzip.compress(zstd.compress(bytes(50_000_000))), Content_Encoding="zstd, gzip"),
        # A megabyte of frames that say nothing: the bomb is in the middle.
        answer(gzip.compress(b"\x50\x2a\x4d\x18\xff\xff\xff\x0f" + bytes(50_000_000)), Content_Encoding="zstd, gzip"),
        # One frame that says nothing, and says it at length.
        answer(b"\x50\x2a\x4d\x18\xff\xff\xff\x0f" + bytes(200_000), Content_Encoding="zstd"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 200,
    ],
    ids=[
        "long",
        "gzip bomb",
        "deflate bomb",
        "raw deflate bomb",
        "br bomb",
        "zstd bomb",
        "zstd bomb in gzip",
        "gzip bomb around nothing",
        "nothing at length",
        "without length",
        "chunked",
    ],
)
def test_no_more_than_the_limit_is_read_packed_or_unpacked(site: Site, body: bytes) -> None:
    site.routes["/feed"] = body
    assert refusal(f"{site.url}/feed", limits(max_bytes=100_000)).kind == "too_large"


FETCH_AND_MEASURE = """
import asyncio, resource, sys
from ingest.errors import FetchError
from ingest.feeds.fetch import Fetcher
from ingest.settings import Fetch

async def fetch(path):
    async with Fetcher(Fetch(allow_private=True, host_gap=0)) as fetcher:
        try:
            await fetcher.get(sys.argv[1] + path)
        except FetchError as error:
            return error.kind

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

asyncio.run(fetch("/small"))
before = most()
print(asyncio.run(fetch("/bomb")), most() - before)
"""


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip", "br, zstd"])
def test_a_bomb_never_takes_more_memory_than_the_limit_allows(site: Site, encoding: str) -> None:
    packed = bytes(200_000_000)
    for name in encoding.split(", "):
        packed = compressed(packed, name)
    site.routes["/small"] = answer(compressed(b"small", "gzip"), Content_Encoding="gzip")
    site.routes["/bomb"] = answer(packed, Content_Encoding=encoding)
    run = subprocess.run(
        [sys.executable, "-c", FETCH_AND_MEASURE, site.url], capture_output=True, text=True, check=True
    )
    kind, megabytes = run.stdout.split()
    assert kind == "too_large"
    assert int(megabytes) < 60


def test_a_body_as_large_as_the_limit_is_read(site: Site) -> None:
    site.routes["/feed"] = answer(gzip.compress(bytes(100_000)), Content_Encoding="gzip")
    assert len(get(f"{site.url}/feed", limits(max_bytes=100_000)).body) == 100_000


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def drip(head: bytes) -> Any:
    """Send `head`, then a byte now and then."""

    def talk(connection: socket.socket, request: Request | None = None) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return talk


def flood(head: bytes, again: bytes) -> Any:
    """Send `head`, then `again` without an end."""

    def talk(connection: socket.socket, request: Request | None = None) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(again * (100_000 // len(again) + 1))

    return talk


def later(head: bytes, rest: bytes) -> Any:
    """Send `head`, and in a packet of its own `rest`."""

    def talk(connection: socket.socket, request: Request) -> None:
        connection.sendall(head)
        time.sleep(0.2)
        connection.sendall(rest)
        time.sleep(10)

    return talk


def say_nothing(connection: socket.socket, request: Request | None = None) -> None:
    connection.recv(65_536)
    time.sleep(30)


def reset(head: bytes) -> Any:
    """Send `head`, then tear the connection down."""

    def talk(connection: socket.socket, request: Request) -> None:
        connection.sendall(head)
        time.sleep(0.1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return talk


ATTACKS: dict[str, tuple[Any, str]] = {
    # what the server does, and the kind of the error that it ends in
    "silence": (say_nothing, "timeout"),
    "status line that drips": (drip(b"HTTP/1.1 200 "), "timeout"),
    "headers that drip": (drip(b"HTTP/1.1 200 OK\r\nX: "), "timeout"),
    "body that drips": (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"), "timeout"),
    "body without length that drips": (drip(b"HTTP/1.0 200 OK\r\n\r\n"), "timeout"),
    "chunk that drips": (drip(CHUNKED + b"fff\r\n"), "timeout"),
    "chunk extension that drips": (drip(CHUNKED + b"fff;a="), "timeout"),
    "trailer that drips": (drip(CHUNKED + b"1\r\nx\r\n0\r\nX: "), "timeout"),
    "endless status line": (flood(b"HTTP/1.1 200 ", b"y"), "protocol"),
    "endless header": (flood(b"HTTP/1.1 200 OK\r\nX: ", b"y"), "protocol"),
    "endless header name": (flood(b"HTTP/1.1 200 OK\r\n", b"y"), "protocol"),
    "endless headers": (flood(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), "protocol"),
    "endless 100 Continue": (flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "too_large"),
    "endless early hints": (
        flood(b"", b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </x>\r\n" * 50 + b"\r\n"),
        "too_large",
    ),
    "endless empty lines": (flood(b"", b"\r\n"), "too_large"),
    "endless body": (flood(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "too_large"),
    "endless body by HTTP/1.0": (flood(b"HTTP/1.0 200 OK\r\n\r\n", b"x"), "too_large"),
    "endless chunks": (flood(CHUNKED, b"1\r\nx\r\n"), "too_large"),
    "endless chunk": (flood(CHUNKED + b"ffffffffffff\r\n", b"x"), "too_large"),
    "endless chunk size": (flood(CHUNKED, b"1"), "protocol"),
    "endless chunk size of zeros": (flood(CHUNKED, b"0"), "too_large"),
    "endless chunk extension": (flood(CHUNKED + b"1;a=", b"y"), "too_large"),
    "chunks of a byte with long extensions": (flood(CHUNKED, b"1;" + b"a" * 4_000 + b"\r\nx\r\n"), "too_large"),
    "endless trailers": (flood(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n"), "protocol"),
    "closed at once": (lambda connection, request: None, "connect"),
    "closed in the headers": (lambda connection, request: connection.sendall(b"HTTP/1.1 200 OK\r\nX: y"), "connect"),
    "closed in the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", "protocol"),
    "closed in a chunk": (CHUNKED + b"ff\r\nshort", "protocol"),
    "closed before the last chunk": (CHUNKED + b"5\r\nshort\r\n", "protocol"),
    "reset in the headers": (reset(b"HTTP/1.1 200 OK\r\nX: y"), "connect"),
    "reset in the body": (reset(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"), "protocol"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", "protocol"),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", "protocol"),
    "NUL in a header": (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n", "protocol"),
    "NUL in a name": (b"HTTP/1.1 200 OK\r\nX\x00: a\r\nContent-Length: 0\r\n\r\n", "protocol"),
    "length below zero": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "protocol"),
    "length that is no number": (b"HTTP/1.1 200 OK\r\nContent-Length: minus one\r\n\r\n", "protocol"),
    "length beyond all bounds": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "protocol"),
    "more than the length": (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<rss/>and more", "protocol"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "protocol"),
    "no chunk size": (CHUNKED + b"zz\r\n", "protocol"),
    "no chunk size, in a later packet": (later(CHUNKED, b"zz\r\n"), "protocol"),
    "no chunk size after a chunk": (later(CHUNKED + b"1\r\nx\r\n", b"zz\r\n"), "protocol"),
    "no end of a chunk, in a later packet": (later(CHUNKED, b"1\r\nxyz"), "protocol"),
    "many headers": (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(5_000)) + b"\r\n",
        "protocol",
    ),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "http"),
}


@pytest.mark.parametrize(("route", "kind"), ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_ends_at_a_limit_with_a_clear_error_and_harms_no_other(site: Site, route: Any, kind: str) -> None:
    site.routes["/feed"] = route
    with Site({"/other": answer("<rss/>")}, address="127.0.0.2") as other:

        async def fetch() -> tuple[BaseException | None, float, int]:
            async with Fetcher(limits(timeout=1 if kind == "timeout" else 10, max_bytes=1_000_000)) as fetcher:
                started = time.monotonic()
                attack = asyncio.create_task(fetcher.get(f"{site.url}/feed"))
                others = 0
                while not attack.done() or others < 5:
                    assert (await fetcher.get(f"{other.url}/other")).body == b"<rss/>"
                    others += 1
                    await asyncio.sleep(0.01)
                return attack.exception(), time.monotonic() - started, others

        error, seconds, others = asyncio.run(fetch())
    assert isinstance(error, FetchError), error
    assert error.kind == kind, error
    assert str(error).isprintable()
    assert len(str(error)) < 600
    assert seconds < 9
    assert others >= 5


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (say_nothing, "timeout"),
        (drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"), "timeout"),
        (flood(b"", b"\x16\x03\x03\x40\x00" + bytes(0x4000)), "connect"),
        (flood(b"", b"HTTP/1.1 400 Bad Request\r\n"), "tls"),
        (lambda connection: None, "connect"),
    ],
    ids=["silence", "drip", "zeros", "no TLS", "closed"],
)
def test_a_server_cannot_hold_us_in_the_tls_handshake(talk: Any, kind: str) -> None:
    with Site(raw=talk) as site:
        started = time.monotonic()
        assert refusal(f"https://127.0.0.1:{site.port}/feed", limits(timeout=0.6)).kind == kind
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n<rss/>", b"<rss/>"),
        (b"HTTP/1.1 200 OK\r\n\r\n<rss/>", b"<rss/>"),
        (b"HTTP/1.1 200\r\nContent-Length: 6\r\n\r\n<rss/>", b"<rss/>"),
        (b"HTTP/1.1 200 OK\nContent-Length: 6\n\n<rss/>", b"<rss/>"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<rss/>", b"<rss/>"),
        (CHUNKED + b"3;a=b\r\n<rs\r\n3\r\ns/>\r\n0\r\nX: y\r\n\r\n", b"<rss/>"),
        (b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 6\r\n\r\n<rss/>", b"<rss/>"),
    ],
    ids=["1.0", "no length", "no reason", "bare LF", "continues", "extensions", "odd bytes"],
)
def test_answers_that_are_odd_but_readable_are_read(site: Site, sent: bytes, body: bytes) -> None:
    site.routes["/feed"] = sent
    assert get(f"{site.url}/feed").body == body


def test_the_time_limit_holds_for_all_redirects_together(site: Site) -> None:
    def slow_hop(connection: socket.socket, request: Request) -> None:
        time.sleep(0.3)
        connection.sendall(answer(status="302 Found", Location=f"{request.path}x"))

    site.routes.update({f"/{'x' * hops}": slow_hop for hops in range(10)})
    assert refusal(f"{site.url}/", limits(timeout=0.7, max_redirects=9)).kind == "timeout"
    assert len(site.requests) <= 3


def test_waiting_for_a_turn_at_the_host_is_not_charged_to_a_request(site: Site) -> None:
    def slow(connection: socket.socket, request: Request) -> None:
        time.sleep(0.25)
        connection.sendall(answer("x"))

    site.routes["/feed"] = slow

    async def fetch() -> list[Fetched]:
        async with Fetcher(limits(timeout=0.6, per_host=1)) as fetcher:
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
        async with Fetcher(limits(per_host=2)) as fetcher:
            await asyncio.gather(*(fetcher.get(f"{site.url}/{number}") for number in range(12)))

    asyncio.run(fetch())
    assert 1 <= most <= 2


@pytest.mark.parametrize("per_host", [1, 2])
def test_starts_at_one_host_lie_a_gap_apart_and_other_hosts_do_not_wait(site: Site, per_host: int) -> None:
    with Site({"/feed": answer("x")}, address="127.0.0.2") as other:
        site.routes["/feed"] = answer("x")

        async def fetch() -> None:
            async with Fetcher(limits(host_gap=0.2, per_host=per_host)) as fetcher:
                urls = [f"{site.url}/feed"] * 4 + [f"{other.url}/feed"] * 2
                await asyncio.gather(*map(fetcher.get, urls))

        started = time.monotonic()
        asyncio.run(fetch())
        gaps = [later - sooner for sooner, later in pairwise(site.moments)]
        assert len(gaps) == 3
        # The gap holds where requests start; on the way they may come closer.
        assert all(gap > 0.1 for gap in gaps)
        assert site.moments[-1] - site.moments[0] > 0.5
        assert other.moments[0] - started < site.moments[-1] - started


def test_redirects_within_a_host_keep_the_gap_too(site: Site) -> None:
    site.routes["/a"] = answer(status="302 Found", Location="/b")
    site.routes["/b"] = answer("x")
    get(f"{site.url}/a", limits(host_gap=0.3, timeout=0.25))
    assert site.moments[1] - site.moments[0] > 0.25


def test_hosts_whose_gap_has_passed_are_forgotten() -> None:
    async def visit() -> int:
        turns = _Turns(2)
        for number in range(20_000):
            async with turns.at(f"host-{number}.example", 0.001):
                pass
        return len(turns._next) + len(turns._places)

    assert asyncio.run(visit()) < 10_000


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
    assert refusal(f"{site.url}/0", limits(max_redirects=3)).kind == "redirect"
    assert site.paths() == ["/0", "/1", "/2", "/3"]


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "500 Oops", "202 Accepted", "204 No Content"])
def test_other_answers_are_errors_with_their_status(site: Site, status: str) -> None:
    site.routes["/feed"] = answer("" if status.startswith("204") else "<rss/>", status)
    error = refusal(f"{site.url}/feed")
    assert (error.kind, error.status) == ("http", int(status[:3]))


def test_a_server_can_say_how_long_to_wait(site: Site) -> None:
    site.routes["/feed"] = answer(status="429 Too Many Requests", Retry_After="120")
    assert refusal(f"{site.url}/feed").retry_after == 120
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    site.routes["/feed"] = answer(status="503 Service Unavailable", Retry_After=in_an_hour)
    assert 3_500 < (refusal(f"{site.url}/feed").retry_after or 0) <= 3_600


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "404 Not Found", "200 OK"])
def test_other_answers_do_not_make_us_wait(site: Site, status: str) -> None:
    site.routes["/feed"] = answer("x", status, Retry_After="120", Location="/b")
    site.routes["/b"] = answer(status="404 Not Found", Retry_After="120")
    if status.startswith("200"):
        assert get(f"{site.url}/feed").status == 200
    else:
        assert refusal(f"{site.url}/feed").retry_after is None


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
    assert retry_after(value, NOW) == seconds


NOW = datetime(2026, 11, 24, tzinfo=UTC)
LATER, DATE = "Tue, 24 Nov 2026 01:00:00 GMT", "Tue, 24 Nov 2026 00:30:00 GMT"


@pytest.mark.parametrize(
    ("cache_control", "expires", "date", "age", "seconds"),
    [
        ("", None, None, None, None),
        ("public, must-revalidate", None, None, None, None),
        ("max-age=300", None, None, None, 300),
        ("Public, MAX-AGE = 300", None, None, None, 300),
        ('max-age="300"', None, None, None, 300),
        ("max-age=300, s-maxage=3600", None, None, None, 300),
        ("s-maxage=3600", None, None, None, 3600),
        ("max-age=300", LATER, DATE, None, 300),
        ("max-age=300", None, None, "100", 200),
        ("max-age=300", None, None, "400", 0),
        ("max-age=300", None, None, "soon", 300),
        ("max-age=0", None, None, None, 0),
        ("max-age=-1", None, None, None, None),
        ("max-age=soon", LATER, DATE, None, 1_800),
        ("max-age=99999999999999999999", None, None, None, 31_536_000),
        ("no-cache", LATER, DATE, None, 0),
        ("no-cache, max-age=300", None, None, None, 0),
        ("no-store", None, None, None, 0),
        ('no-cache="set-cookie", max-age=300', None, None, None, 300),
        ("", LATER, DATE, None, 1_800),
        ("", LATER, None, None, 3_600),
        ("", DATE, LATER, None, 0),
        ("", "0", DATE, None, 0),
        ("", "-1", None, None, 0),
        ("", "Tue, 24 Nov 9999 01:00:00 GMT", None, None, 31_536_000),
        ("", LATER, "yesterday", None, 3_600),
    ],
)
def test_a_server_can_say_how_long_its_answer_stays_fresh(
    cache_control: str, expires: str | None, date: str | None, age: str | None, seconds: float | None
) -> None:
    assert freshness(cache_control, expires, date, age, NOW) == seconds


@given(st.text(max_size=60), *[st.none() | st.text(max_size=40)] * 3)
def test_headers_of_times_can_hold_anything(
    first: str, second: str | None, third: str | None, fourth: str | None
) -> None:
    fresh = freshness(first, second, third, fourth, NOW)
    assert fresh is None or 0 <= fresh <= 31_536_000
    wait = retry_after(first, NOW)
    assert wait is None or wait >= 0


@pytest.mark.parametrize("status", ["200 OK", "304 Not Modified"])
def test_an_answer_tells_freshness_and_the_time_of_the_server(site: Site, status: str) -> None:
    site.routes["/feed"] = (
        b"HTTP/1.1 %s\r\nCache-Control: public\r\nCache-Control: max-age=600\r\nDate: %s\r\nContent-Length: 0\r\n\r\n"
        % (
            status.encode(),
            DATE.encode(),
        )
    )
    fetched = get(f"{site.url}/feed", etag='"1"')
    assert (fetched.max_age, fetched.date) == (600, datetime(2026, 11, 24, 0, 30, tzinfo=UTC))


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


PRIVATE = [
    "127.0.0.1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "127.0.0.1.",
    "127.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "017700000001",
    "0.0.0.0",
    "0",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "１２７.0.0.1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "127。0。0。1",
    "user:secret@127.0.0.1",
    "example.org@127.0.0.1",
    "example.org:80@127.0.0.1",
]


@pytest.mark.parametrize("page", [False, True], ids=["feed", "page"])
@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_however_they_are_written(site: Site, host: str, page: bool) -> None:
    options: dict[str, Any] = {"only_types": HTML_TYPES, "robots": True} if page else {}
    error = refusal(f"http://{host}:{site.port}/feed", Fetch(), **options)
    # Some spellings are addresses to one C library and nothing to another.
    assert error.kind in ("private_address", "protocol", "dns", "connect", "robots"), error
    assert "secret" not in str(error)
    assert not site.requests
    if host in ("127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:7f00:1]", "１２７.0.0.1"):
        assert error.kind == "private_address"
        assert "allow_private" in str(error)


def open_to_one(
    url: str, address: str = "127.0.0.1", resolver: AbstractResolver | None = None, **options: Any
) -> Fetched:
    """Fetch as if `address` were the one public address."""

    async def fetch() -> Fetched:
        permitted = address.__eq__
        async with Fetcher(Fetch(host_gap=0), permitted=permitted, resolver=resolver) as fetcher:
            return await fetcher.get(url, **options)

    return asyncio.run(fetch())


@pytest.mark.parametrize("page", [False, True], ids=["feed", "page"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "127.2",
        "0x7f000002",
        "2130706434",
        "0177.0.0.2",
        "127.0.0.2.",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "１２７.0.0.2",
        "user@127.0.0.2",
        "localhost:secret@127.0.0.2",
    ],
)
def test_private_addresses_are_refused_behind_a_redirect(site: Site, host: str, page: bool) -> None:
    with Site(address="127.0.0.2") as inside:
        site.routes["/feed"] = answer(status="302 Found", Location=quoted(f"http://{host}:{inside.port}/secret"))
        inside.routes["/secret"] = answer("secret")
        options: dict[str, Any] = {"only_types": HTML_TYPES, "robots": True} if page else {}
        with pytest.raises(FetchError) as caught:
            open_to_one(f"{site.url}/feed", **options)
        assert caught.value.kind in ("private_address", "protocol", "redirect", "dns", "connect", "robots"), (
            caught.value
        )
        assert site.paths()[-1] == "/feed"
        assert not inside.requests


def quoted(url: str) -> str:
    return url.encode().decode("latin-1")


class Rebinding(AbstractResolver):
    """A name server that answers each question about a name with the next of its answers."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize("page", [False, True], ids=["feed", "page"])
def test_a_name_that_turns_private_between_two_requests_is_refused(site: Site, page: bool) -> None:
    with Site(address="127.0.0.2") as inside:
        # Another port is another question to the name server, as one after the connector's memory of names would be.
        site.routes["/feed"] = answer(status="302 Found", Location=f"http://rebinding.example:{inside.port}/secret")
        inside.routes["/secret"] = answer("secret")
        resolver = Rebinding(["127.0.0.1"], ["127.0.0.2"])
        options: dict[str, Any] = {"only_types": HTML_TYPES, "robots": True} if page else {}
        with pytest.raises(FetchError) as caught:
            open_to_one(f"http://rebinding.example:{site.port}/feed", resolver=resolver, **options)
        assert caught.value.kind == "private_address"
        assert resolver.asked == 2
        assert site.paths() == ["/robots.txt", "/feed"] if page else ["/feed"]
        assert not inside.requests


def test_a_name_with_a_public_and_a_private_address_is_fetched_from_the_public_one_only(site: Site) -> None:
    site.routes["/feed"] = answer("public")
    with Site({"/feed": answer("private")}, address="127.0.0.2", port=site.port) as inside:
        for addresses in (["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]):
            resolver = Rebinding(addresses)
            fetched = open_to_one(f"http://rebinding.example:{site.port}/feed", resolver=resolver)
            assert fetched.body == b"public"
        assert not inside.requests


@pytest.mark.parametrize("port", [22, 25, 6667, 0])
def test_ports_of_other_protocols_are_refused(site: Site, port: int) -> None:
    assert refusal(f"http://example.org:{port}/").kind == "protocol"
    site.routes["/feed"] = answer(status="302 Found", Location=f"http://example.org:{port}/")
    error = refusal(f"{site.url}/feed")
    assert error.kind == "redirect"
    assert str(port) in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@127.0.0.1:{port}/feed",
        "http://:secret@127.0.0.1:{port}/feed",
        "ftp://user:secret@127.0.0.1/feed",
        "http://user:secret@127.0.0.1:99999/feed",
        "http://user:secret@127.0.0.1:25/feed",
        "http://user:secret@127.0.0.1:{port}/far",
        "http://user:secret@127.0.0.1:{port}/bad",
    ],
)
def test_passwords_in_urls_are_in_no_message(site: Site, url: str) -> None:
    site.routes["/far"] = answer(status="302 Found", Location="/further")
    site.routes["/further"] = answer(status="302 Found", Location="/furthest")
    site.routes["/bad"] = answer(status="302 Found", Location=f"http://user:secret@[{site.port}/")
    assert "secret" not in str(refusal(url.format(port=site.port), limits(max_redirects=1)))


def test_a_password_is_sent_where_it_belongs_and_not_to_where_that_redirects(site: Site) -> None:
    with Site({"/feed": answer("x")}, address="127.0.0.2") as other:
        site.routes["/feed"] = answer(status="302 Found", Location=f"{other.url}/feed")
        get(f"http://user:secret@127.0.0.1:{site.port}/feed")
        assert site.requests[0].headers["authorization"].startswith("Basic ")
        assert "authorization" not in other.requests[0].headers


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
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("192.88.99.1", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2002:808:808::", True),
        ("2002:a9fe:a9fe::", False),
        ("64:ff9b:1::808:808", False),
        ("::ffff:0:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("::ffff:168.63.129.16", False),
        ("3fff::1", False),
        ("fec0::1", False),
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


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server for https, and the file of its certificate, which nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2026, 1, 1), datetime(2100, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    (tmp_path / "server.pem").write_bytes(pem)
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with HTTPServer(("127.0.0.1", 0), Large) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}", tmp_path / "certificate.pem"
        server.shutdown()


class Large(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(bytes(100_000))


def test_a_certificate_that_nobody_vouches_for_is_a_tls_error(secure: tuple[str, Path]) -> None:
    assert refusal(f"{secure[0]}/feed").kind == "tls"


FETCH_SLOWLY = """
import asyncio, sys, time
from ingest.feeds.fetch import Fetcher
from ingest.settings import Fetch

async def fetch():
    async def busy():
        while True:
            time.sleep(0.005)
            await asyncio.sleep(0)

    keeping_busy = asyncio.create_task(busy())
    async with Fetcher(Fetch(allow_private=True, host_gap=0)) as fetcher:
        for _ in range(2):
            print(len((await fetcher.get(sys.argv[1])).body))
    keeping_busy.cancel()

asyncio.run(fetch())
"""


def test_a_large_body_comes_whole_through_tls_also_when_the_loop_is_busy(secure: tuple[str, Path]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FETCH_SLOWLY, f"{secure[0]}/feed"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SSL_CERT_FILE": str(secure[1])},
    )
    assert run.stdout.split() == ["10000000", "10000000"]
