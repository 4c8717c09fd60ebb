"""A loopback HTTP server for the sample feeds: conditional GET, gzip, redirects, and a second version of what was edited.

    with SampleServer() as server:
        load_catalog(server.catalog_path)
        server.advance()            # from now on the edited versions (NAME.2.xml) are served in place of NAME.xml

`python -m tests.feeds.serve --write-catalog feeds.toml` prints the URL on its first line and serves until interrupted;
`python -m tests.feeds.serve -- conflictwire run --once` runs a command on the samples.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

FOLDER = Path(__file__).parent
BASE = b"{{BASE}}"

CONTENT_TYPES = {
    # Without a charset, so that the encoding named in the XML itself holds (RFC 7303).
    ".xml": "application/rss+xml",
    ".rdf": "application/rdf+xml",
    ".atom": "application/atom+xml",
    ".html": "text/html; charset=utf-8",
}

# Fixed, as the times of files in a fresh clone say nothing about the news in them.
FIRST_MODIFIED = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
SECOND_MODIFIED = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)


@dataclass(frozen=True)
class SampleFeed:
    """One feed of the catalogue. `path` is what the catalogue names; it may be a redirect to the file."""

    name: str
    path: str
    country: str
    language: str
    publisher: str


FEEDS = (
    SampleFeed("harbour-wire", "/harbour-wire.xml", "GBR", "en-GB", "Harbour Wire"),
    SampleFeed("sahel-courier", "/sahel-courier.xml", "SEN", "en", "Sahel Courier"),
    SampleFeed("levant-ledger", "/levant-ledger.rdf", "LBN", "en", "The Levant Ledger"),
    SampleFeed("pacific-sentinel", "/pacific-sentinel.atom", "FJI", "en", "Pacific Sentinel"),
    SampleFeed("andes-dispatch", "/andes-dispatch.xml", "CHL", "en", "The Andes Dispatch"),
    SampleFeed("baltic-observer", "/baltic-observer.xml", "EST", "en", "Baltic Observer"),
    SampleFeed("steppe-times", "/steppe-times", "KAZ", "en", "Steppe Times"),
    SampleFeed("great-lakes-post", "/latest/great-lakes-post", "KEN", "en-KE", "Great Lakes Post"),
    SampleFeed("faro-del-istmo", "/faro-del-istmo.xml", "PAN", "es", "El Faro del Istmo"),
    SampleFeed("bay-of-bengal-mail", "/bay-of-bengal-mail.xml", "IND", "en-IN", "Bay of Bengal Mail"),
    SampleFeed("northern-standard", "/northern-standard.xml", "GBR", "en-GB", "Northern Standard"),
    SampleFeed("touchline", "/touchline.xml", "NGA", "en", "Touchline"),
)

REDIRECTS = {
    "/steppe-times": (HTTPStatus.MOVED_PERMANENTLY, "/steppe-times.xml"),
    "/latest/great-lakes-post": (HTTPStatus.FOUND, "/great-lakes-post.atom"),
}


@dataclass(frozen=True)
class _File:
    template: bytes
    content_type: str
    etag: str
    modified: datetime


def _read(path: Path, modified: datetime) -> _File:
    template = path.read_bytes()
    # Of the template, so that the tag does not change with the port; weak, as it stands for the gzipped form too.
    etag = f'W/"{hashlib.sha256(template).hexdigest()[:20]}"'
    return _File(template, CONTENT_TYPES[path.suffix], etag, modified)


def _load() -> tuple[dict[str, _File], dict[str, _File]]:
    """The files by URL path: all in their first version, and the second versions of those that have one."""
    first: dict[str, _File] = {}
    second: dict[str, _File] = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix not in CONTENT_TYPES:
            continue
        url_path = "/" + path.relative_to(FOLDER).as_posix()
        if path.stem.endswith(".2"):
            second[url_path.replace(".2.", ".")] = _read(path, SECOND_MODIFIED)
        else:
            first[url_path] = _read(path, FIRST_MODIFIED)
    return first, second


def is_unchanged(if_none_match: str | None, if_modified_since: str | None, etag: str, modified: datetime) -> bool:
    """Whether a conditional GET is to be answered by 304 (RFC 9110, 13.2.2: If-None-Match goes before the date)."""
    if if_none_match is not None:
        tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return "*" in tags or etag.removeprefix("W/") in tags
    if if_modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
    except ValueError:
        return False
    return modified <= (since if since.tzinfo else since.replace(tzinfo=UTC))


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip, by its Accept-Encoding header."""
    for offer in accept_encoding.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HTTPServer

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path in REDIRECTS:
            status, target = REDIRECTS[path]
            self._answer(path, status, {"Location": self.server.samples.url + target})
            return
        file = self.server.samples.file(path)
        if file is None:
            self._answer(path, HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, b"no such sample\n")
            return
        headers = {
            "ETag": file.etag,
            "Last-Modified": format_datetime(file.modified, usegmt=True),
            "Cache-Control": "max-age=300",
            "Vary": "Accept-Encoding",
        }
        asked = self.headers
        if is_unchanged(asked["If-None-Match"], asked["If-Modified-Since"], file.etag, file.modified):
            self._answer(path, HTTPStatus.NOT_MODIFIED, headers)
            return
        body = file.template.replace(BASE, self.server.samples.url.encode())
        if accepts_gzip(asked["Accept-Encoding"] or ""):
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
        self._answer(path, HTTPStatus.OK, headers | {"Content-Type": file.content_type}, body)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, path: str, status: HTTPStatus, headers: dict[str, str], body: bytes = b"") -> None:
        self.server.samples.count(path, status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        # Kept connections would go on being answered after the server was stopped.
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read the counters, and the demo's terminal belongs to the events."""


class _HTTPServer(ThreadingHTTPServer):
    # A puller opens its connections all at once; the default of 5 would leave some waiting for a second SYN.
    request_queue_size = 64
    samples: SampleServer


class SampleServer:
    """Serves the sample feeds on a loopback address for as long as the `with` block lasts.

    `url` is the base URL without a slash at its end; `catalog_path` a feed catalogue (TOML) of all samples, removed at
    the end; `answers` counts the answers by (path, status).
    """

    def __init__(self, port: int = 0) -> None:
        """`port` 0 takes a free one. Raises OSError where the port is taken."""
        self._first, self._second = _load()
        self._files = self._first
        self._lock = threading.Lock()
        self.answers: Counter[tuple[str, int]] = Counter()
        self._http = _HTTPServer(("127.0.0.1", port), _Handler)
        self._http.samples = self
        self._thread = threading.Thread(target=self._http.serve_forever, name="sample-feeds", daemon=True)
        self._scratch = tempfile.TemporaryDirectory(prefix="sample-feeds-")
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.catalog_path = Path(self._scratch.name) / "feeds.toml"

    def __enter__(self) -> Self:
        self.write_catalog(self.catalog_path)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._scratch.cleanup()

    def advance(self) -> None:
        """From now on the edited feeds come in their second version, with another ETag and Last-Modified."""
        self._files = self._first | self._second

    @property
    def requests(self) -> Counter[str]:
        """How often each path was asked for, whatever the answer was."""
        with self._lock:
            totals: Counter[str] = Counter()
            for (path, _), count in self.answers.items():
                totals[path] += count
            return totals

    def write_catalog(self, path: Path) -> None:
        """Write a feed catalogue (TOML) of all samples to `path`."""
        tables = [
            "\n".join(
                f"{key} = {json.dumps(value, ensure_ascii=False)}"
                for key, value in {
                    "name": feed.name,
                    "url": self.url + feed.path,
                    "country": feed.country,
                    "language": feed.language,
                    "publisher": feed.publisher,
                }.items()
            )
            for feed in FEEDS
        ]
        path.write_text("\n\n".join(f"[[feed]]\n{table}" for table in tables) + "\n", encoding="utf-8")

    def file(self, path: str) -> _File | None:
        """What lies at a URL path now."""
        return self._files.get(path)

    def count(self, path: str, status: HTTPStatus) -> None:
        """Enter one answer in `answers`."""
        with self._lock:
            self.answers[path, status.value] += 1


def _run(command: list[str], server: SampleServer) -> int:
    """The exit code of `command`, run with the samples as its feeds; an interrupt is left for it to handle."""
    environment = os.environ | {
        "CONFLICTWIRE_FEEDS": str(server.catalog_path),
        "CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true",
        "CONFLICTWIRE_FETCH__HOST_GAP": "0",
    }
    # A handler and not SIG_IGN, which the command would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.run(command, env=environment, check=False).returncode


def main() -> None:
    """Serve until interrupted, or for as long as a command runs."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.feeds.serve", description="Serve the sample feeds on loopback."
    )
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--write-catalog", type=Path, metavar="FILE", help="write a feed catalogue of the samples")
    parser.add_argument("command", nargs="*", help="run this with the samples as its feeds, and end as it ends")
    options = parser.parse_args()
    with SampleServer(options.port) as server:
        if options.command:
            raise SystemExit(_run(options.command, server))
        if options.write_catalog:
            server.write_catalog(options.write_catalog)
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
