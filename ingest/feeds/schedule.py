"""When a feed is pulled again: pure functions from its state, what happened and the time to its next state.

The plain rule for now: a fixed interval, or what the feed asks for if that is longer; errors double it each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingest.storage import FeedState

INTERVAL = 900.0
"""Seconds between two pulls of a healthy feed that asks for nothing else."""
MAX_INTERVAL = 86_400.0
GONE = 410


@dataclass(frozen=True, slots=True)
class Success:
    """A pull that was answered: 200 or 304. `None` for the validators and `ttl` (seconds) where the feed gave none."""

    status: int
    etag: str | None
    last_modified: str | None
    body_hash: str | None
    ttl: float | None = None
    new: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A pull that failed. `kind` is that of the error, `retry_after` the seconds that the server asked to wait."""

    kind: str
    message: str
    status: int | None = None
    retry_after: float | None = None


def is_due(state: FeedState, now: datetime) -> bool:
    """Whether a feed is to be pulled at `now`: never pulled, or its time has come; never while it is disabled."""
    return not state.disabled and (state.next_due is None or state.next_due <= now)


def after_success(state: FeedState, success: Success, now: datetime) -> FeedState:
    """The state after an answered pull: failures forgotten, next due after the feed's interval."""
    unread = success.body_hash == state.body_hash
    asked = (state.interval if unread else success.ttl) or INTERVAL
    interval = min(max(asked, INTERVAL), MAX_INTERVAL)
    return replace(
        state,
        etag=success.etag,
        last_modified=success.last_modified,
        body_hash=success.body_hash,
        last_pull=now,
        last_success=now,
        next_due=now + timedelta(seconds=interval),
        failures=0,
        last_error=None,
        last_status=success.status,
        interval=interval,
        new_entries=state.new_entries + success.new,
        pulls=state.pulls + 1,
    )


def after_failure(state: FeedState, failure: Failure, now: datetime) -> FeedState:
    """The state after a pull that failed: the wait doubles with each failure in a row, up to a day.

    Longer if the server asked for more in Retry-After, up to a day. A feed that is gone (410) is disabled. Validators
    stay as they are: what they stand for was read.
    """
    backoff = INTERVAL * 2.0 ** min(state.failures, 20)
    wait = min(max(backoff, failure.retry_after or 0.0), MAX_INTERVAL)
    return replace(
        state,
        last_pull=now,
        next_due=now + timedelta(seconds=wait),
        failures=state.failures + 1,
        last_error=failure.message,
        last_status=failure.status,
        disabled=state.disabled or failure.status == GONE,
        pulls=state.pulls + 1,
    )
