"""Messages to a webhook, signed by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from ingest.feeds.fetch import Fetcher, Posted, is_public
from ingest.settings import Settings

_PREFIX = "whsec_"
_LONGEST_ANSWER = 2_000  # bytes of it that are looked at


def new_secret() -> str:
    """A secret of 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def parse_secret(text: str) -> str:
    """A secret as the specification wants it: `whsec_` and the base64 of 24 to 64 bytes. Raises ValueError, without it."""
    found = re.fullmatch(r"(?:whsec_)?([A-Za-z0-9+/]+={0,2})", text.strip())
    try:
        size = len(base64.b64decode(found[1], validate=True)) if found else 0
    except binascii.Error:
        size = 0
    if found is None or not 24 <= size <= 64:
        raise ValueError("the secret must be whsec_ and the base64 of 24 to 64 random bytes")
    return _PREFIX + found[1]


def parse_url(text: str, settings: Settings) -> str:
    """The URL of a webhook: https, or http where private addresses are allowed. Raises ValueError."""
    wrong = ValueError("give an address such as https://desk.example.org/hooks/conflictwire")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise wrong
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise wrong from None
    if not usable:
        raise wrong
    if parts.scheme == "http" and not settings.alerts.allow_private:
        raise ValueError("give an https address: http is for private networks (setting alerts.allow_private) only")
    return text


def shown_url(url: str) -> str:
    """What may be shown of it: the rest is often a secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{port}/{'…' if parts.path.strip('/') or parts.query else ''}"


def signed(body: bytes, delivery_id: str, secret: str, now: datetime) -> dict[str, str]:
    """The headers of a message."""
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery_id, now.astimezone(UTC), body.decode()),
    }


@dataclass(frozen=True, slots=True)
class Hook:
    """Where messages go, and the secret that signs them; neither is shown."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return f"Hook({shown_url(self.url)})"


async def post(hook: Hook, delivery_id: str, body: bytes, settings: Settings) -> Posted:
    """Send a message. Raises FetchError where there is no answer, or the address is not permitted.

    Without TLS only private addresses are, and these only where the settings allow it.
    """
    plain = urlsplit(hook.url).scheme == "http"
    allowed = settings.alerts.allow_private

    def permitted(address: str) -> bool:
        return (allowed and not is_public(address)) if plain else (allowed or is_public(address))

    timeout = settings.alerts.timeout
    limits = settings.fetch.model_copy(update={"timeout": timeout, "connect_timeout": timeout, "concurrency": 1})
    async with Fetcher(limits, permitted) as fetcher:
        return await fetcher.post(
            hook.url, body, signed(body, delivery_id, hook.secret, datetime.now(UTC)), _LONGEST_ANSWER
        )
