"""Keys of the API. Pure but for the randomness of new ones.

A key is `cw_ID_SECRET` with 256 random bits, of which the SHA-256 is kept: there is nothing to guess, so nothing is gained
by a hash that is slow, as passwords need.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from hmac import compare_digest

from ingest.storage import ApiKey

SCOPES = {
    "read": "everything but the articles' texts",
    "full_text": "the articles' texts too, where the setting api.full_text lets them out",
}
FEED = "feed"
"""The scope of the keys that alerts make for their feeds; such a key opens nothing else."""
_KEY = re.compile(r"cw_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


def new_key(name: str, scopes: Sequence[str], now: datetime) -> tuple[str, ApiKey]:
    """A key for whoever is to have it, and what is kept of it."""
    key_id = secrets.token_hex(6)
    key = f"cw_{key_id}_{secrets.token_urlsafe(32)}"
    return key, ApiKey(key_id, name, _hash(key), tuple(scopes), now)


def id_of(key: str) -> str | None:
    """The id in a key; None where it is none."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def opens(key: str, kept: ApiKey | None) -> bool:
    """Whether the key is the one that was kept, and not revoked."""
    return kept is not None and kept.revoked is None and compare_digest(_hash(key), kept.hash)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
