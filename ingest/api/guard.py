"""Who may ask, how often, and the headers that every answer bears. Around the application, as ASGI."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders, QueryParams

from ingest.api.keys import FEED, id_of, opens
from ingest.api.rates import Rates, whose
from ingest.settings import Api
from ingest.storage import ApiKey, Store
from models.errors import ConflictwireError

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_FEED_PATH = re.compile(r"/v1/alerts/[^/]+\.atom")
_HSTS = "max-age=31536000"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_KNOWN_FOR = 5.0  # seconds that a key counts as valid or revoked without asking the store again
_USED_EVERY = 60.0  # seconds between two notes that a key was used
_WRONG_A_MINUTE, _WRONG_AT_ONCE = 10.0, 20  # wrong keys from one address
_REMEMBERED = 2000  # keys


class Keys:
    """The keys, looked up in the store and remembered for some seconds."""

    def __init__(self, store: Store, writing: Store) -> None:
        self._store = store
        self._writing = writing
        self._known: OrderedDict[str, tuple[float, ApiKey | None]] = OrderedDict()
        self._used: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def valid(self, key: str) -> ApiKey | None:
        """What is kept of a key that opens; None where it does not. Raises StoreUnavailable."""
        key_id = id_of(key)
        if key_id is None:
            return None
        now = time.monotonic()
        known = self._known.get(key_id)
        if known is None or now - known[0] > _KNOWN_FOR:
            known = (now, await run_in_threadpool(self._store.key, key_id))
            self._known[key_id] = known
            self._known.move_to_end(key_id)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known[1] if opens(key, known[1]) else None

    def used(self, key: ApiKey) -> None:
        """Note in the store that the key was used, now and then, and without waiting for it."""
        now = time.monotonic()
        if now - self._used.get(key.key_id, -_USED_EVERY) < _USED_EVERY:
            return
        self._used[key.key_id] = now
        note = asyncio.ensure_future(run_in_threadpool(self._note, key.key_id))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    def _note(self, key_id: str) -> None:
        try:
            self._writing.use_key(key_id, datetime.now(UTC))
        except ConflictwireError as error:  # a standby, or a role without the right: nothing that a reader should miss
            log.info("use of a key not noted", extra={"key": key_id, "error": str(error)})


class Guard:
    """Asks for a key, counts the requests, and refuses foreign names of this host where no key is needed."""

    def __init__(self, app: App, settings: Api, keys: Keys) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys
        self._rates = Rates(settings.rate, settings.burst)
        self._wrong = Rates(_WRONG_A_MINUTE, _WRONG_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse and say why."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in ("/livez", "/readyz"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._settings.keys_required and not self._named(headers.get("host", "")):
            # A page of another site whose name was made to lead here (DNS rebinding) would read what has no key.
            await refuse(send, 421, "this host is not known by that name: set api.hosts, or ask by its address")
            return
        now = time.monotonic()
        address = whose(scope["client"][0]) if scope.get("client") else ""
        feed = _FEED_PATH.fullmatch(path) is not None
        given = _given(headers)
        if given is None and feed:
            # Readers of feeds can send no header.
            given = QueryParams(scope["query_string"]).get("token")
        key = None
        if given is not None:
            if self._wrong.empty(address, now):
                await refuse(send, 429, "too many wrong keys from this address", {"Retry-After": "60"})
                return
            try:
                key = await self._keys.valid(given)
            except ConflictwireError as error:
                await refuse(send, 503, str(error), {"Retry-After": "5"})
                return
            if key is None:
                self._wrong.take(address, now)
        wait = self._rates.take(key.key_id if key else address, now)
        if wait:
            await refuse(send, 429, "too many requests", {"Retry-After": f"{wait + 0.5:.0f}" if wait > 0.5 else "1"})
            return
        if path.startswith("/v1/") and (given is not None or self._settings.keys_required):
            if key is None:
                wrong = "no such key" if given is not None else "a key is needed: Authorization: Bearer KEY"
                asked = 'Basic realm="Conflictwire: the key as password", charset="UTF-8"' if feed else "Bearer"
                await refuse(send, 401, wrong, {"WWW-Authenticate": asked})
                return
            self._keys.used(key)
        scope.setdefault("state", {})
        scope["state"]["key"] = given
        scope["state"]["key_id"] = key and key.key_id
        scope["state"]["scopes"] = key.scopes if key else () if self._settings.keys_required else ("read", "full_text")
        # Which feed a key of that scope opens is for the route to see.
        if (
            path.startswith("/v1/")
            and "read" not in scope["state"]["scopes"]
            and not (feed and FEED in scope["state"]["scopes"])
        ):
            await refuse(send, 403, "this key may not read")
            return
        await self._app(scope, receive, send)

    def _named(self, host: str) -> bool:
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower()
        return name in _LOOPBACK or name == self._settings.host.lower() or name in map(str.lower, self._settings.hosts)


def _given(headers: Headers) -> str | None:
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return key.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(key.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return headers.get("x-api-key")


class Armoured:
    """Puts the security headers on every answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with them."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def armoured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _HSTS
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "private, no-cache"
            await send(message)

        await self._app(scope, receive, armoured)


async def refuse(send: Send, status: int, error: str, headers: dict[str, str] | None = None) -> None:
    """Answer with an error."""
    body = error_body(error)
    sent = {"content-type": "application/json", "content-length": str(len(body))} | (headers or {})
    raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def error_body(error: str, detail: object = None) -> bytes:
    """The body of every error."""
    return json.dumps({"error": error, "detail": detail}, ensure_ascii=False).encode("utf-8", "replace")
