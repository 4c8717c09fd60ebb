"""One URL fetched, politely and within limits, or a FetchError that says why not.

Feeds and the pages they name are hostile: what is fetched must be http or https, must not lie on a private address
(checked on the address connected to, so that no DNS answer can get round it), and must not take more time, memory,
headers or redirects than allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
from yarl import URL

from ingest.errors import FetchError
from ingest.settings import Fetch

FEED_TYPES = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
HTML_TYPES = ("text/html", "application/xhtml+xml")

_MAX_HEADERS = 100
_MAX_HEADER = 8_190  # bytes, name and value
_REFUSED_ERRNO = 99_999  # no system has it, so it marks our own refusal among the errors of connecting


@dataclass(frozen=True, slots=True)
class Redirect:
    """One hop: the server answered `status` and named `url`."""

    status: int
    url: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: `status` 200 with a body, or 304 without. `url` is where it came from, after `redirects`."""

    url: str
    status: int
    body: bytes
    content_type: str
    etag: str | None
    last_modified: str | None
    redirects: tuple[Redirect, ...]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet: not private, loopback, link-local, multicast or reserved.

    IPv6 addresses that carry an IPv4 address (mapped, NAT64, 6to4) are judged by that.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        carried = found.ipv4_mapped or (ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None)
        if carried is not None:
            return is_public(str(carried))
        if found.sixtofour is not None and not is_public(str(found.sixtofour)):
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Fetcher:
    """Fetches with one connection pool; an async context manager.

    `permitted` decides on each address before it is connected to; by default all where the settings allow private
    addresses, else `is_public`.
    """

    def __init__(self, fetch: Fetch, permitted: Callable[[str], bool] | None = None) -> None:
        self._limits = fetch
        self._permitted = permitted or ((lambda address: True) if fetch.allow_private else is_public)
        # A host's entry lives as long as a request to it waits or runs.
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def __aenter__(self) -> Fetcher:
        agent = self._limits.user_agent.replace("{version}", version("conflictwire"))
        self._session = aiohttp.ClientSession(
            # Idle connections are kept shortly, as each is a file descriptor and feeds lie on thousands of hosts.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3.0, socket_factory=self._socket),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_timeout),
            headers={
                "User-Agent": agent.replace("{contact}", self._limits.contact),
                "Accept-Encoding": "gzip, deflate",
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

    async def get(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        only_types: Collection[str] = (),
    ) -> Fetched:
        """Fetch `url`, or learn that it is still as `etag` and `last_modified` say (status 304).

        Redirects are followed, each checked like the first URL. A body of a media type outside `only_types` (if any are
        given) is not read. The limits of the settings hold for all redirects together, waiting for other requests to
        the same host not counted. Raises FetchError.
        """
        headers = {"Accept": ", ".join(only_types) or FEED_TYPES}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        target = _web_url(url, "protocol")
        redirects: list[Redirect] = []
        seen = {target}
        left = self._limits.timeout
        while True:
            async with self._turn(target.host or ""):
                started = time.monotonic()
                answer = await self._request(target, headers, left, only_types, tuple(redirects))
                left -= time.monotonic() - started
            if isinstance(answer, Fetched):
                if answer.status == 304 and not (etag or last_modified):
                    raise FetchError("protocol", f"{_shown(target)}: answered 304 to an unconditional request", 304)
                return answer
            following = _web_url(_joined(target, answer.url), "redirect")
            if target.scheme == "https" and following.scheme == "http":
                raise FetchError("redirect", f"{_shown(target)}: refused a redirect from https to http", answer.status)
            if following in seen:
                raise FetchError("redirect", f"{_shown(target)}: redirects in a circle", answer.status)
            if len(redirects) >= self._limits.max_redirects:
                raise FetchError("redirect", f"{url}: more than {self._limits.max_redirects} redirects", answer.status)
            redirects.append(Redirect(answer.status, str(following)))
            seen.add(following)
            target = following

    @asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        turns = self._hosts.setdefault(host, asyncio.Semaphore(self._limits.per_host))
        async with turns:
            yield

    async def _request(
        self,
        url: URL,
        headers: dict[str, str],
        left: float,
        only_types: Collection[str],
        redirects: tuple[Redirect, ...],
    ) -> Fetched | Redirect:
        where = _shown(url)
        try:
            async with (
                asyncio.timeout(max(left, 0.0)),
                self._session.get(url, headers=headers, allow_redirects=False) as response,
            ):
                return await self._read(response, where, only_types, redirects)
        except TimeoutError as error:
            raise FetchError("timeout", f"{where}: no complete answer within {self._limits.timeout:g} s") from error
        except (aiohttp.ClientError, ValueError, UnicodeError, OSError) as error:
            raise _explained(where, error) from error

    async def _read(
        self, response: aiohttp.ClientResponse, where: str, only_types: Collection[str], redirects: tuple[Redirect, ...]
    ) -> Fetched | Redirect:
        status = response.status
        if status in (301, 302, 303, 307, 308):
            location = response.headers.get("Location", "").strip()
            if not location:
                raise FetchError("redirect", f"{where}: answered {status} without saying where to", status)
            return Redirect(status, location)
        if status not in (200, 203, 304):
            wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            raise FetchError("http", f"{where}: answered {status} {_word(response.reason)}".rstrip(), status, wait)
        content_type = response.headers.get("Content-Type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        if only_types and status != 304 and media_type and media_type not in only_types:
            raise FetchError("protocol", f"{where}: is {_word(media_type)}, not {' or '.join(only_types)}", status)
        return Fetched(
            url=str(response.url),
            status=304 if status == 304 else 200,
            body=b"" if status == 304 else await self._body(response, where),
            content_type=content_type,
            etag=_validator(response.headers.get("ETag")),
            last_modified=_validator(response.headers.get("Last-Modified")),
            redirects=redirects,
        )

    async def _body(self, response: aiohttp.ClientResponse, where: str) -> bytes:
        limit = self._limits.max_bytes
        too_large = FetchError("too_large", f"{where}: larger than {limit:,} bytes", response.status)
        if (response.content_length or 0) > limit:
            raise too_large
        unpack = _decoder(response.headers.get("Content-Encoding", ""), where)
        body, received = bytearray(), 0
        async for chunk in response.content.iter_any():
            received += len(chunk)
            # Compressed data may expand to nothing for ever, so both sides count.
            body += unpack.feed(chunk, limit + 1 - len(body))
            if len(body) > limit or received > limit:
                raise too_large
        unpack.finish()
        return bytes(body)

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._permitted(address[0]):
            raise OSError(_REFUSED_ERRNO, f"{address[0]} is a private address")
        return socket.socket(family, kind, protocol)


class _Plain:
    def feed(self, data: bytes, room: int) -> bytes:
        return data

    def finish(self) -> None: ...


class _Inflate:
    """gzip (of any number of members) or deflate (with or without the zlib header), never more than there is room for."""

    def __init__(self, gzip: bool, where: str) -> None:
        self._windows = [16 + zlib.MAX_WBITS] if gzip else [zlib.MAX_WBITS, -zlib.MAX_WBITS]
        self._again = gzip
        self._where = where
        self._stream = zlib.decompressobj(self._windows[0])
        self._started = self._ended = False

    def feed(self, data: bytes, room: int) -> bytes:
        """What `data` expands to; more than `room` bytes are cut off, which the caller takes for too much."""
        out = bytearray()
        while data and len(out) < room:
            if self._ended:
                # Servers pad with zeros; anything else after the end must be another member.
                if not self._again or not data.strip(b"\x00"):
                    break
                self._stream, self._ended = zlib.decompressobj(self._windows[0]), False
            try:
                out += self._stream.decompress(data, room - len(out))
            except zlib.error as error:
                if self._started or len(self._windows) == 1:
                    raise FetchError("encoding", f"{self._where}: the compressed body is damaged: {error}") from error
                self._windows = self._windows[1:]
                self._stream = zlib.decompressobj(self._windows[0])
                continue
            self._started = True
            self._ended = self._stream.eof
            data = self._stream.unused_data if self._ended else self._stream.unconsumed_tail
        return bytes(out)

    def finish(self) -> None:
        if self._started and not self._ended:
            raise FetchError("encoding", f"{self._where}: the compressed body breaks off")


def _decoder(encoding: str, where: str) -> _Plain | _Inflate:
    named = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
    if not named:
        return _Plain()
    if named in (["gzip"], ["x-gzip"], ["deflate"]):
        return _Inflate(named != ["deflate"], where)
    raise FetchError("encoding", f"{where}: sent as {_word(encoding)}, which was not asked for")


def _validator(value: str | None) -> str | None:
    """A validator fit to be stored and sent back: servers put anything into headers."""
    return value if value and len(value) <= 1_000 and value.isascii() and value.isprintable() else None


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait as a Retry-After header says, in either form (seconds or a date); None where it says nothing."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max((moment - now).total_seconds(), 0.0)


def _web_url(text: str | URL, kind: str) -> URL:
    try:
        url = URL(text).with_fragment(None)
        if url.scheme in ("http", "https") and url.host and url.port:
            return url
    except (ValueError, TypeError) as error:
        raise FetchError(kind, f"{_word(str(text))}: not a URL that can be fetched: {_word(str(error))}") from error
    raise FetchError(kind, f"{_word(str(text))}: only http and https URLs are fetched")


def _joined(base: URL, location: str) -> URL:
    try:
        return base.join(URL(location))
    except (ValueError, UnicodeError) as error:
        raise FetchError("redirect", f"{_shown(base)}: redirects to {_word(location)}, which is no URL") from error


def _shown(url: URL) -> str:
    return _word(str(url.with_user(None) if url.user else url))


def _word(text: str | None) -> str:
    """What a server said, fit for a message: short, on one line, nothing that steers a terminal."""
    shown = "".join(mark if mark.isprintable() else "?" for mark in text or "")
    return shown if len(shown) <= 200 else shown[:199] + "…"


def _explained(where: str, error: Exception) -> FetchError:
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
