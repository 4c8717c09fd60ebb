"""One URL fetched, politely and within limits, or a FetchError that says why not.

Feeds and the pages they name are hostile: what is fetched must be http or https, must not lie on a private address
(checked on the address connected to, so that no DNS answer can get round it), and must not take more time, memory,
headers or redirects than allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import version
from types import TracebackType
from typing import Any, Protocol
from weakref import WeakValueDictionary

import aiohttp
import brotli
from aiohttp.abc import AbstractResolver, ResolveResult
from backports import zstd
from yarl import URL

from ingest.errors import FetchError
from ingest.feeds import robots
from ingest.feeds.robots import RobotsCache
from ingest.log import mask
from ingest.settings import Fetch

FEED_TYPES = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
HTML_TYPES = ("text/html", "application/xhtml+xml")

_MAX_HEADERS = 100
_MAX_HEADER = 8_190  # bytes, name and value
_READ = 65_536  # bytes taken from a socket at once, so that nothing in them holds up other requests for long
_OVERHEAD = 400_000  # bytes on the wire that an answer may take beside its body
_AHEAD = 600_000  # bytes that asyncio and aiohttp read ahead of us, TLS included
_REFUSED_ERRNO = 99_999  # no system has it, so it marks our own refusal among the errors of connecting
_FLOOD = "more data on the wire than an answer may take"
_LONGEST_FRESH = 31_536_000.0  # seconds: a year, which RFC 2616 had as the longest, and which keeps times within range


@dataclass(frozen=True, slots=True)
class Redirect:
    """One hop: the server answered `status` and named `url`."""

    status: int
    url: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: `status` 200 with a body, or 304 without. `url` is where it came from, after `redirects`.

    `max_age` is for how many seconds from now on the server says that the answer stays fresh (see `freshness`), `date`
    the time of its clock.
    """

    url: str
    status: int
    body: bytes
    content_type: str
    etag: str | None
    last_modified: str | None
    redirects: tuple[Redirect, ...]
    max_age: float | None = None
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """The answer to what was sent, and the beginning of its body, fit to be shown; `retry_after` in seconds, if asked for."""

    status: int
    says: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked of a URL, the same for each hop. A body longer than `limit` bytes is refused, or cut if `cut`."""

    headers: dict[str, str]
    limit: int
    types: Collection[str] = ()
    cut: bool = False


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet: not private, loopback, link-local, multicast or reserved.

    IPv6 addresses that carry an IPv4 address (mapped, NAT64, 6to4) are judged by that; Teredo addresses are refused, as
    what they carry is the other end of a tunnel.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(found in network for network in _CLOSED if network.version == found.version):
        return False
    if isinstance(found, ipaddress.IPv6Address):
        carried = found.ipv4_mapped or (ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None)
        if carried is not None:
            return is_public(str(carried))
        if found.sixtofour is not None and not is_public(str(found.sixtofour)):
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What the registries of IANA hold back and `ipaddress` of Python 3.11 does not, and the clouds' own.
_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's services for its machines, on an address that looks public
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata are at 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays, withdrawn by RFC 7526
        "2001::/32",  # Teredo
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "64:ff9b:1::/48",  # NAT64 within a network, RFC 8215
        "fec0::/10",  # site-local, withdrawn by RFC 3879
    )
)

# Ports of other protocols, whose servers a redirect could make us talk to (the Fetch standard of WHATWG, "port blocking").
_BAD_PORTS = frozenset(
    int(port)
    for port in (
        "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 "
        "135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 "
        "995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"
    ).split()
)


class Fetcher:
    """Fetches with one connection pool; an async context manager.

    `permitted` decides on each address before it is connected to; by default all where the settings allow private
    addresses, else `is_public`. `resolver` finds the addresses of names; by default the system does. `robots` is what is
    known of robots.txt files already.
    """

    def __init__(
        self,
        fetch: Fetch,
        permitted: Callable[[str], bool] | None = None,
        *,
        resolver: AbstractResolver | None = None,
        robots: RobotsCache | None = None,
    ) -> None:
        self._limits = fetch
        self._permitted = permitted or ((lambda address: True) if fetch.allow_private else is_public)
        self._resolver = resolver or _Resolver(fetch.concurrency)
        self._turns = _Turns(fetch.per_host)
        self._robots = robots if robots is not None else RobotsCache(product_token(fetch.user_agent))
        self._wires: WeakValueDictionary[int, _Wire] = WeakValueDictionary()

    async def __aenter__(self) -> Fetcher:
        agent = self._limits.user_agent.replace("{version}", version("conflictwire"))
        self._session = aiohttp.ClientSession(
            # Idle connections are kept shortly, as each is a file descriptor and feeds lie on thousands of hosts.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=3.0, socket_factory=self._socket, resolver=self._resolver
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_timeout),
            headers={
                "User-Agent": agent.replace("{contact}", self._limits.contact),
                "Accept-Encoding": "gzip, deflate, br, zstd",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            max_headers=_MAX_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._resolver.close()

    async def get(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        only_types: Collection[str] = (),
        robots: bool = False,
        max_bytes: int | None = None,
    ) -> Fetched:
        """Fetch `url`, or learn that it is still as `etag` and `last_modified` say (status 304).

        Redirects are followed, each checked like the first URL, with `robots` against robots.txt too. A body of a media
        type outside `only_types` (if any are given) is not read. The limits of the settings hold for all redirects
        together, waiting for other requests to the same host not counted; `max_bytes` may lower that of the size. Raises
        FetchError.
        """
        headers = {"Accept": ", ".join(only_types) or FEED_TYPES}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        limit = self._limits.max_bytes if max_bytes is None else min(max_bytes, self._limits.max_bytes)
        return await self._follow(url, _Ask(headers, limit, only_types), robots)

    async def post(self, url: str, body: bytes, headers: dict[str, str], max_bytes: int) -> Posted:
        """Send `body` to `url`; the answer, whatever its status. No redirect is followed, `max_bytes` of a body are read.

        Errors name the host only, as the rest of such a URL is often a secret. Raises FetchError.
        """
        target = _web_url(url, "protocol")
        where = str(target.origin())
        asked = headers | {"Accept": "*/*", "Accept-Encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self._limits.timeout),
                self._session.post(target, data=body, headers=asked, allow_redirects=False) as response,
            ):
                said = b""
                with _ending_with_connection(response):
                    async for chunk in response.content.iter_any():
                        said += chunk
                        if len(said) >= max_bytes:
                            break
                wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
                return Posted(response.status, _word(" ".join(said[:max_bytes].decode(errors="replace").split())), wait)
        except TimeoutError as error:
            raise FetchError("timeout", f"{where}: no complete answer within {self._limits.timeout:g} s") from error
        except (aiohttp.ClientError, ValueError, UnicodeError, OSError) as error:
            raise _explained(where, error) from error

    async def allowed(self, url: str) -> bool:
        """Whether the site's robots.txt, fetched if it is not known, lets us fetch `url`.

        One that cannot be had is a yes or a no (see `rules_without`). Raises FetchError where `url` is none that can be
        fetched, or lies on a private address.
        """
        return await self._allowed(_web_url(url, "protocol"))

    async def _allowed(self, url: URL) -> bool:
        rules = await self._robots.rules(str(url.origin()), self._load_robots)
        return rules.allow(url.raw_path_qs)

    async def _load_robots(self, url: str) -> bytes:
        ask = _Ask({"Accept": "text/plain, */*;q=0.5"}, robots.MAX_BYTES, cut=True)
        return (await self._follow(url, ask, False)).body

    async def _follow(self, url: str, ask: _Ask, obey: bool) -> Fetched:
        target = _web_url(url, "protocol")
        redirects: list[Redirect] = []
        seen = {target}
        left = self._limits.timeout
        while True:
            if obey and not await self._allowed(target):
                raise FetchError("robots", f"{_shown(target)}: the site's robots.txt forbids it, or cannot be had")
            gap = max(self._limits.host_gap, self._robots.delay(str(target.origin())))
            async with self._turns.at(target.raw_host or "", gap):
                started = time.monotonic()
                answer = await self._request(target, ask, left, tuple(redirects))
                left -= time.monotonic() - started
            if isinstance(answer, Fetched):
                if answer.status == 304 and not {"If-None-Match", "If-Modified-Since"} & ask.headers.keys():
                    raise FetchError("protocol", f"{_shown(target)}: answered 304 to an unconditional request", 304)
                return answer
            following = _web_url(_joined(target, answer.url), "redirect")
            if target.scheme == "https" and following.scheme == "http":
                raise FetchError("redirect", f"{_shown(target)}: refused a redirect from https to http", answer.status)
            if following in seen:
                raise FetchError("redirect", f"{_shown(target)}: redirects in a circle", answer.status)
            if len(redirects) >= self._limits.max_redirects:
                most = self._limits.max_redirects
                raise FetchError("redirect", f"{_shown(target)}: more than {most} redirects", answer.status)
            redirects.append(Redirect(answer.status, str(following)))
            seen.add(following)
            target = following

    async def _request(self, url: URL, ask: _Ask, left: float, redirects: tuple[Redirect, ...]) -> Fetched | Redirect:
        where = _shown(url)
        try:
            async with (
                asyncio.timeout(max(left, 0.0)),
                self._session.get(url, headers=ask.headers, allow_redirects=False) as response,
            ):
                return await self._read(response, where, ask, redirects)
        except TimeoutError as error:
            raise FetchError("timeout", f"{where}: no complete answer within {self._limits.timeout:g} s") from error
        except (aiohttp.ClientError, ValueError, UnicodeError, OSError) as error:
            raise _explained(where, error) from error

    async def _read(
        self, response: aiohttp.ClientResponse, where: str, ask: _Ask, redirects: tuple[Redirect, ...]
    ) -> Fetched | Redirect:
        status, headers, now = response.status, response.headers, datetime.now(UTC)
        if status in (301, 302, 303, 307, 308):
            location = headers.get("Location", "").strip()
            if not location:
                raise FetchError("redirect", f"{where}: answered {status} without saying where to", status)
            return Redirect(status, location)
        if status not in (200, 203, 304):
            wait = retry_after(headers.get("Retry-After"), now) if status in (429, 503) else None
            raise FetchError("http", f"{where}: answered {status} {_word(response.reason)}".rstrip(), status, wait)
        content_type = _header(headers.get("Content-Type"))
        media_type = content_type.partition(";")[0].strip().lower()
        if ask.types and status != 304 and media_type and media_type not in ask.types:
            raise FetchError("protocol", f"{where}: is {_word(media_type)}, not {' or '.join(ask.types)}", status)
        return Fetched(
            url=str(response.url),
            status=304 if status == 304 else 200,
            body=b"" if status == 304 else await self._body(response, where, ask),
            content_type=content_type,
            etag=_validator(headers.get("ETag")),
            last_modified=_validator(headers.get("Last-Modified")),
            redirects=redirects,
            max_age=freshness(
                ",".join(headers.getall("Cache-Control", ())),
                headers.get("Expires"),
                headers.get("Date"),
                headers.get("Age"),
                now,
            ),
            date=_http_date(headers.get("Date")),
        )

    async def _body(self, response: aiohttp.ClientResponse, where: str, ask: _Ask) -> bytes:
        too_large = FetchError("too_large", f"{where}: larger than {ask.limit:,} bytes", response.status)
        if (response.content_length or 0) > ask.limit and not ask.cut:
            raise too_large
        wire = None
        if response.connection and response.connection.transport:
            wire = self._wires.get(response.connection.transport.get_extra_info("socket").fileno())
        if wire is not None:
            wire.left += _AHEAD
        layers = _layers(", ".join(response.headers.getall("Content-Encoding", ())), ask.limit, where)
        body, received = bytearray(), 0
        with _ending_with_connection(response):
            async for chunk in response.content.iter_any():
                received += len(chunk)
                if wire is not None:
                    # Half as much again: small chunks have much framing.
                    wire.left += len(chunk) * 3 // 2
                for piece in _unpacked(layers, chunk):
                    body += piece
                    if len(body) > ask.limit:
                        break
                # Compressed data may expand to nothing for ever, so both sides count.
                if len(body) > ask.limit or received > ask.limit:
                    if ask.cut:
                        return bytes(body[: ask.limit])
                    raise too_large
        for layer in layers:
            layer.finish()
        return bytes(body)

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._permitted(address[0]):
            raise OSError(_REFUSED_ERRNO, f"{address[0]} is a private address")
        wire = _Wire(family, kind, protocol)
        self._wires[wire.fileno()] = wire
        return wire


class _Wire(socket.socket):
    """Counts what arrives after each request, to end what floods us where no other limit counts, and keeps the loop busy.

    That is, 1xx answers, tiny chunks, chunk extensions, trailers, or what comes before TLS is set up.
    """

    left = _OVERHEAD

    def send(self, *arguments: Any) -> int:
        self.left = _OVERHEAD
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self.left = _OVERHEAD
        return super().sendmsg(*arguments)

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(min(size, _READ), flags)
        self._count(len(data))
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        size = super().recv_into(buffer, min(size or len(buffer), _READ), flags)
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise OSError(_FLOOD)


class _Resolver(AbstractResolver):
    """The system's name resolution in threads of its own: the loop's few would all hang in a few dead name servers."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo, host, port, family, type=socket.SOCK_STREAM, flags=getattr(socket, "AI_ADDRCONFIG", 0)
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(at[0]), port=int(at[1]), family=of, proto=protocol, flags=numeric)
            for of, _, protocol, _, at in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Turns:
    """Whose turn it is at each host: some at once, and the starts of two at least a gap (seconds) apart.

    Knows a host as long as a request to it waits or runs, or its gap has not passed.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._next: dict[str, float] = {}
        self._sweep_at = 1_000

    @asynccontextmanager
    async def at(self, host: str, gap: float) -> AsyncIterator[None]:
        host = host.rstrip(".").lower()
        places = self._places.setdefault(host, asyncio.Semaphore(self._at_once))
        async with places:
            now = time.monotonic()
            start = max(now, self._next.get(host, now))
            if gap:
                self._next[host] = start + gap
                if len(self._next) > self._sweep_at:
                    self._next = {name: moment for name, moment in self._next.items() if moment > now}
                    self._sweep_at = max(1_000, 2 * len(self._next))
            if start > now:
                await asyncio.sleep(start - now)
            yield


_PIECE = 65_536  # bytes that a decoder puts out at once, so that no bomb goes off between two looks at the limit
_MAX_MEMBERS = 1_000  # of a compressed body: each costs much more than its bytes, and honest bodies have one or a few
_MAX_ENCODINGS = 3
_PEEK = 4_096  # bytes within which a body shows that it is not what its header says


class _Damaged(Exception): ...


class _Codec(Protocol):
    ended: bool
    """Whether what came in so far is complete."""

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """What `data` expands to, in pieces of about `_PIECE` bytes; some may be empty. Raises _Damaged."""


class _Zlib:
    """gzip, of any number of members, or deflate, with or without the zlib header."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._members = 0
        self.ended = True

    def unpack(self, data: bytes) -> Iterator[bytes]:
        again = True
        while data or again:
            if self.ended:
                # Servers pad with zeros; anything else after the end must be another member.
                if not data.strip(b"\x00") or (self._members and self._window <= zlib.MAX_WBITS):
                    return
                self._stream, self._members = zlib.decompressobj(self._window), _one_more(self._members)
            try:
                piece = self._stream.decompress(data, _PIECE)
            except zlib.error as error:
                raise _Damaged(str(error)) from error
            yield piece
            self.ended = self._stream.eof
            data = self._stream.unused_data if self.ended else self._stream.unconsumed_tail
            # All of the data taken does not mean that all of the output has come.
            again = len(piece) == _PIECE


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self.ended = True

    def unpack(self, data: bytes) -> Iterator[bytes]:
        try:
            while not self._stream.is_finished():
                yield self._stream.process(data, output_buffer_limit=_PIECE)
                data, self.ended = b"", self._stream.is_finished()
                if self._stream.can_accept_more_data():
                    return
        except brotli.error as error:
            raise _Damaged(str(error)) from error


class _Zstd:
    """Any number of frames, of windows of up to 8 MB, as RFC 9659 wants it."""

    def __init__(self) -> None:
        self._members = 0
        self.ended = True

    def unpack(self, data: bytes) -> Iterator[bytes]:
        more = True
        while data or more:
            if self.ended:
                if not data:
                    return
                self._stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 23})
                self._members = _one_more(self._members)
            try:
                yield self._stream.decompress(data, _PIECE)
            except zstd.ZstdError as error:
                raise _Damaged(str(error)) from error
            self.ended = self._stream.eof
            data = self._stream.unused_data if self.ended else b""
            more = not self.ended and not self._stream.needs_input


class _Text:
    """No encoding after all: fit for what looks like text only."""

    ended = True

    def unpack(self, data: bytes) -> Iterator[bytes]:
        yield data


def _one_more(members: int) -> int:
    if members >= _MAX_MEMBERS:
        raise _Damaged(f"more than {_MAX_MEMBERS} members")
    return members + 1


_CODECS: dict[str, tuple[Callable[[], _Codec], ...]] = {
    "gzip": (partial(_Zlib, 16 + zlib.MAX_WBITS),),
    "x-gzip": (partial(_Zlib, 16 + zlib.MAX_WBITS),),
    "deflate": (partial(_Zlib, zlib.MAX_WBITS), partial(_Zlib, -zlib.MAX_WBITS)),
    "br": (_Brotli,),
    "zstd": (_Zstd,),
}


class _Layer:
    """One content encoding of a body undone, into at most about `limit` bytes.

    Where nothing of what came in could be decoded, and it looks like text, it is taken as it is: servers name encodings
    that they did not apply.
    """

    def __init__(self, name: str, limit: int, where: str) -> None:
        self._name, self._limit, self._where = name, limit, where
        self._others = [*_CODECS.get(name, ()), _Text]
        self._codec: _Codec = self._others.pop(0)()
        self._held: bytes | None = b""  # what came in, as long as nothing came out
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._held is not None:
            self._held += data
        while True:
            try:
                if isinstance(self._codec, _Text) and self._held is not None and not _is_text(self._held):
                    raise _Damaged("not an encoding that was asked for")
                for piece in self._codec.unpack(data):
                    self._size += len(piece)
                    if self._size > self._limit + _PIECE:
                        raise FetchError("too_large", f"{self._where}: larger than {self._limit:,} bytes")
                    if piece or len(self._held or b"") > _PEEK:
                        self._held = None
                    yield piece
                return
            except _Damaged as error:
                if self._held is None or not self._others:
                    what = f"the body, sent as {_word(self._name)}, cannot be decoded"
                    raise FetchError("encoding", f"{self._where}: {what}: {_word(str(error))}") from error
                self._codec, data = self._others.pop(0)(), self._held

    def finish(self) -> None:
        if not self._codec.ended:
            raise FetchError("encoding", f"{self._where}: the compressed body breaks off")


def _layers(encoding: str, limit: int, where: str) -> list[_Layer]:
    """What undoes the encodings of a Content-Encoding header, in the order of undoing (RFC 9110, 8.4: the last first)."""
    named = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
    if len(named) > _MAX_ENCODINGS:
        raise FetchError("encoding", f"{where}: encoded {len(named)} times over: {_word(encoding)}")
    return [_Layer(name, limit, where) for name in reversed(named)]


def _unpacked(layers: Sequence[_Layer], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    for piece in layers[0].feed(data):
        yield from _unpacked(layers[1:], piece)


_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def _is_text(data: bytes) -> bool:
    return data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or not _CONTROL.search(data[:_PEEK])


def freshness(
    cache_control: str, expires: str | None, date: str | None, age: str | None, now: datetime
) -> float | None:
    """For how many seconds from `now` on an answer stays fresh (RFC 9111, 4.2); None where its headers do not say.

    By Cache-Control: 0 for `no-cache` and `no-store`, else `max-age`, or `s-maxage` where that is all there is, since it
    speaks to shared caches; else Expires minus Date. Less the Age that it has in a cache on the way. At most a year.
    """
    said = {found[1]: found[2] or found[3] for found in _DIRECTIVE.finditer(cache_control.lower())}
    # With a value, no-cache is about the named headers only.
    if "no-store" in said or said.get("no-cache", "header") is None:
        return 0.0
    lifetime = _whole(said.get("max-age"))
    if lifetime is None:
        lifetime = _whole(said.get("s-maxage"))
    if lifetime is None:
        if expires is None:
            return None
        # A date that is none, such as 0, is in the past (RFC 9111, 5.3).
        end = _http_date(expires)
        lifetime = (end - (_http_date(date) or now)).total_seconds() if end else 0.0
    return min(max(lifetime - (_whole(age) or 0.0), 0.0), _LONGEST_FRESH)


_DIRECTIVE = re.compile(r"([a-z-]+)(?:\s*=\s*(?:\"([^\"]*)\"|([^\s,\"]+)))?")


def _whole(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text[:12]) if text.isascii() and text.isdecimal() else None


def _http_date(text: str | None) -> datetime | None:
    """A date of a header, in UTC, also where it names no time zone; None if it is none."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def product_token(user_agent: str) -> str:
    """The name that a robots.txt knows us by: the beginning of the User-Agent (RFC 9309, 2.2.1)."""
    token = re.match(r"[A-Za-z_-]+", user_agent)
    return token[0] if token else "Conflictwire"


def _header(value: str | None) -> str:
    """A header fit to be passed on: servers put anything into them."""
    return "".join(mark for mark in value or "" if mark.isascii() and mark.isprintable())[:1_000]


def _validator(value: str | None) -> str | None:
    """A validator fit to be stored and sent back: servers put anything into headers."""
    return value if value and len(value) <= 1_000 and value.isascii() and value.isprintable() else None


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait as a Retry-After header says, in either form (seconds or a date); None where it says nothing."""
    seconds = _whole(value)
    if seconds is not None:
        return min(seconds, 999_999_999.0)
    moment = _http_date(value)
    return None if moment is None else max((moment - now).total_seconds(), 0.0)


def _web_url(text: str | URL, kind: str) -> URL:
    try:
        url = URL(text).with_fragment(None)
    except (ValueError, TypeError) as error:
        raise FetchError(kind, f"{_masked(text)}: not a URL that can be fetched: {_masked(error)}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise FetchError(kind, f"{_masked(text)}: only http and https URLs are fetched")
    if url.port in _BAD_PORTS:
        raise FetchError(kind, f"{_shown(url)}: port {url.port} is none for web servers")
    return url


def _joined(base: URL, location: str) -> URL:
    try:
        return base.join(URL(location))
    except (ValueError, UnicodeError) as error:
        raise FetchError("redirect", f"{_shown(base)}: redirects to {_masked(location)}, which is no URL") from error


def _shown(url: URL) -> str:
    return _word(str(url.with_user(None) if "@" in url.raw_authority else url))


def _masked(text: object) -> str:
    """What may be a URL with a password, fit for a message."""
    return _word(re.sub(r"//[^/?#]*@", "//", str(text)))


def _word(text: str | None) -> str:
    """What a server said, fit for a message: short, on one line, no secret, nothing that steers a terminal."""
    shown = mask("".join(mark if mark.isprintable() else "?" for mark in text or ""))
    return shown if len(shown) <= 200 else shown[:199] + "…"


@contextmanager
def _ending_with_connection(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Within, the body ends with an error once the connection has ended without ending it.

    aiohttp closes a connection whose body breaks HTTP, but where this shows only in a later packet than the headers it does
    not tell the body, which would be waited for until the time is up.
    """
    body, protocol = response.content, response.connection and response.connection.protocol

    closed = protocol.closed if protocol is not None else None

    def end(_: object = None) -> None:
        if not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body is not as HTTP wants it"))

    if closed is not None:
        # One of these for a connection, however many answers it carries.
        closed.remove_done_callback(_look_at)
        closed.add_done_callback(_look_at)
        closed.add_done_callback(end)
    elif protocol is not None:
        end()
    try:
        yield
    finally:
        # A connection that is kept alive would hold on to the bodies of all its answers.
        if closed is not None:
            closed.remove_done_callback(end)


def _look_at(closed: asyncio.Future[None]) -> None:
    """asyncio logs the exceptions of futures that nobody looks at."""
    if not closed.cancelled():
        closed.exception()


def _explained(where: str, error: Exception) -> FetchError:
    if _FLOOD in str(error):
        return FetchError("too_large", f"{where}: {_FLOOD}")
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError, ssl.CertificateError)):
        return FetchError("tls", f"{where}: no secure connection: {_word(str(error))}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FetchError("dns", f"{where}: the name cannot be resolved")
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno == _REFUSED_ERRNO:
        what = _word(error.os_error.strerror)
        return FetchError("private_address", f"{where}: {what}; set fetch.allow_private to fetch from such")
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return FetchError("connect", f"{where}: the connection failed: {_word(str(error))}")
    if isinstance(error, aiohttp.ClientResponseError):
        return FetchError("protocol", f"{where}: not an HTTP answer that can be read: {_word(error.message)}")
    return FetchError("protocol", f"{where}: {_word(str(error)) or type(error).__name__}")
