"""When and how a feed is pulled again: pure functions from its state, what happened and the time to its next state.

`next_state` decides all of it. docs/ingestion.md has the rules as a table, made of the cases that the tests run.
"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from ingest.log import mask
from ingest.storage import FeedState

if TYPE_CHECKING:
    from ingest.feeds.fetch import Redirect

HOUR = 3_600.0
DAY = 86_400.0

INTERVAL = 900.0
"""Seconds between the first pulls of a feed, until it has shown its rhythm."""
MIN_INTERVAL = 300.0
MAX_INTERVAL = DAY
"""Seconds between two pulls, at the least and at the most, whatever happened and whoever asked for what."""
JITTER = 0.1
"""Part of a wait by which it may be longer, so that feeds pulled together once are not pulled together for ever."""
LONGEST = MAX_INTERVAL / (1 + JITTER)
"""Seconds of the longest wait that nobody asked for: with its jitter a day."""
NEWS = 20
"""Entries at the top of a feed that its rhythm is measured by."""
SHARE = 1 / NEWS
"""Share of these that shall be new at a pull. So it is about one entry, or less in feeds that hold few."""
MEMORY = 4.0
"""Intervals over which the share is averaged."""
SOFT = (MIN_INTERVAL, 6 * HOUR)
HARD = (HOUR, LONGEST)
"""Seconds of the first and the longest wait after failures that may pass by themselves, and after others."""
SOFT_KINDS = frozenset({"dns", "connect", "timeout", "tls", "cancelled", "rejected", "internal"})
SOFT_STATUSES = frozenset({408, 425, *range(500, 600)})
MOVING_DAYS = 3
"""Different days on which a feed must redirect for good to the same place before it is pulled from there."""
MOVE_FAILURES = 5
"""Failures in a row at the new place after which the catalogue's own is tried again."""
DOUBT_INTERVALS = 2
"""A 304 is doubted after so many intervals without a body, and no sooner than after a day."""
TRUST_AGAIN = timedelta(days=30)
"""How long validators that were caught lying are not sent."""
WEEK = 7 * DAY

GONE = 410
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Asked:
    """What a feed itself asks: `seconds` between pulls (RSS ttl, sy:updatePeriod), no visits at some hours and days.

    Hours are 0 to 23 in GMT (RSS skipHours), days 0 for Monday to 6 (skipDays).
    """

    seconds: float | None = None
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Success:
    """A pull that was answered: 200 or 304. `None` for the validators and `max_age` where the server gave none.

    `max_age` is in seconds. `asked` is None where the body was not read, as it is the one of the last time; else
    `entries` are those in the feed, and `new` those of them that were not known. `moved_to`: where permanent redirects
    led. `doubted`: the server had just answered 304, and this is what it answered when asked without validators.
    """

    status: int
    etag: str | None
    last_modified: str | None
    body_hash: str | None
    max_age: float | None = None
    asked: Asked | None = None
    entries: int = 0
    new: int = 0
    moved_to: str | None = None
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A pull that failed. `kind` is that of the error, `retry_after` the seconds that the server asked to wait."""

    kind: str
    message: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a feed is asked for with; both None ask for it whatever it is."""

    etag: str | None
    last_modified: str | None


def is_due(state: FeedState, now: datetime) -> bool:
    """Whether a feed is to be pulled at `now`: never pulled, or its time has come; never while it is disabled.

    Also when its time lies much further ahead than any wait is long: then a clock was wrong.
    """
    if state.disabled:
        return False
    return state.next_due is None or not now < state.next_due <= now + 2 * timedelta(seconds=MAX_INTERVAL)


def at_url(state: FeedState, url: str) -> FeedState:
    """The state that holds for a feed whose URL in the catalogue is `url`.

    Where that URL is another than before, what belonged to the old place is forgotten: validators, where it had moved,
    and that it was failing or gone. The state keeps the URL without its secrets, so that another password is no other URL.
    """
    url = mask(url)
    if state.catalog_url in (None, url):
        return replace(state, catalog_url=url)
    return replace(
        state,
        catalog_url=url,
        etag=None,
        last_modified=None,
        body_hash=None,
        validators_wrong=None,
        max_age=None,
        next_due=None,
        failures=0,
        last_error=None,
        disabled=False,
        url=None,
        moved_to=None,
        moved_days=0,
        moved_on=None,
    )


def conditions(state: FeedState, now: datetime) -> Conditions:
    """The validators to send: those of the last body, unless the server was caught lying about them lately."""
    if state.validators_wrong is not None and now - state.validators_wrong < TRUST_AGAIN:
        return Conditions(None, None)
    return Conditions(state.etag, state.last_modified)


def is_doubtful(state: FeedState, now: datetime) -> bool:
    """Whether a 304 is to be checked by asking without validators: no body for a day, and two intervals."""
    longest = max(DAY, DOUBT_INTERVALS * (state.interval or INTERVAL))
    return state.last_body is None or now - state.last_body >= timedelta(seconds=longest)


def moved_to(redirects: Sequence[Redirect]) -> str | None:
    """Where permanent redirects led (RFC 9110, 15.4: 301 and 308), up to the first that is not."""
    target = None
    for hop in takewhile(lambda hop: hop.status in (301, 308), redirects):
        target = hop.url
    return target


def next_state(state: FeedState, outcome: Success | Failure, now: datetime) -> FeedState:
    """The state of a feed after a pull that began with `state` and ended at `now` with `outcome`.

    The next pull is 5 minutes to 24 hours ahead. A feed that is gone (410) is disabled, with the reason in
    `last_error`; no other failure ever disables one, and the first answer after failures resets everything.
    """
    after = _answered(state, outcome, now) if isinstance(outcome, Success) else _failed(state, outcome, now)
    return replace(after, last_pull=now, last_status=outcome.status, pulls=state.pulls + 1)


def _answered(state: FeedState, success: Success, now: datetime) -> FeedState:
    unmodified = success.status == 304
    asked = success.asked or Asked(state.asked, state.skip_hours, state.skip_days)
    # RFC 9111, 3.2: headers that a 304 does not repeat stay as they were.
    kept = state if unmodified else FeedState(state.name)
    max_age = kept.max_age if success.max_age is None else success.max_age
    interval = _rhythm(state, success, now)
    after = replace(
        state,
        etag=success.etag or kept.etag,
        last_modified=success.last_modified or kept.last_modified,
        body_hash=state.body_hash if unmodified else success.body_hash,
        last_body=state.last_body if unmodified else now,
        validators_wrong=now if success.doubted and success.new else state.validators_wrong,
        last_success=now,
        failures=0,
        last_error=None,
        interval=interval,
        asked=asked.seconds,
        max_age=max_age,
        skip_hours=asked.skip_hours,
        skip_days=asked.skip_days,
        new_entries=state.new_entries + success.new,
        first_success=state.first_success or now,
        per_day=_per_day(state, success.new, now),
    )
    after = _moving(after, success.moved_to, now)
    return replace(after, next_due=_due(after, interval, max(asked.seconds or 0.0, max_age or 0.0), now))


def _failed(state: FeedState, failure: Failure, now: datetime) -> FeedState:
    failures = state.failures + 1
    gone = failure.status == GONE
    after = replace(state, failures=failures, last_error=failure.message)
    if failure.status == TOO_MANY_REQUESTS:
        after = replace(after, interval=min(2 * (state.interval or INTERVAL), LONGEST))
    if state.url is not None and (gone or failures >= MOVE_FAILURES):
        # The place that it moved to is no good (any more): back to the catalogue's, which knows where to go now.
        gone = False
        after = replace(after, url=None, moved_to=None, moved_days=0, moved_on=None)
    if gone:
        again = f"conflictwire feeds enable {shlex.quote(state.name)}"
        after = replace(after, disabled=True, last_error=f"{failure.message}; not pulled any more, until: {again}")
    return replace(after, next_due=_due(after, _back_off(state, failure), failure.retry_after or 0.0, now))


def _back_off(state: FeedState, failure: Failure) -> float:
    told = failure.retry_after is not None and failure.status in (TOO_MANY_REQUESTS, UNAVAILABLE)
    soft = told or failure.kind in SOFT_KINDS or failure.status in SOFT_STATUSES
    first, longest = SOFT if soft else HARD
    wait = min(first * 2.0 ** min(state.failures, 20), longest)
    if state.failures and state.next_due and state.last_pull:
        # A 404 after hours of timeouts is a server coming up again, and no reason to stay away for a day.
        wait = min(wait, max(first, 2 * (state.next_due - state.last_pull).total_seconds()))
    return wait


def _rhythm(state: FeedState, success: Success, now: datetime) -> float:
    """Seconds in which `SHARE` of the feed's newest entries are expected to be new.

    1 / seconds is an exponential average of the rates seen at the pulls, each weighted by the time that it stands for,
    so that neither failures in between nor a pull by hand right after another distort it.
    """
    before = min(max(state.interval or INTERVAL, MIN_INTERVAL), LONGEST)
    if state.last_success is None:
        return before
    passed = max((now - state.last_success).total_seconds(), 1.0)
    weight = -math.expm1(-passed / (MEMORY * before))
    share = success.new / min(max(success.entries, success.new, 1), NEWS)
    rate = (1 - weight) * SHARE / before + weight * share / passed
    return min(max(SHARE / max(rate, SHARE / LONGEST), MIN_INTERVAL), LONGEST)


def _per_day(state: FeedState, new: int, now: datetime) -> float | None:
    """New articles a day, averaged with weights that fall over a week; all of the first success are left out."""
    if state.first_success is None or state.last_success is None or now <= state.last_success:
        return state.per_day
    passed = (now - state.last_success).total_seconds()
    observed = max((now - state.first_success).total_seconds(), passed)
    weight = math.expm1(-passed / WEEK) / math.expm1(-observed / WEEK)
    return (1 - weight) * (state.per_day or 0.0) + weight * new * DAY / passed


def _moving(state: FeedState, target: str | None, now: datetime) -> FeedState:
    if target is None:
        return replace(state, moved_to=None, moved_days=0, moved_on=None)
    if target != state.moved_to:
        return replace(state, moved_to=target, moved_days=1, moved_on=now)
    if state.moved_on is not None and state.moved_on.astimezone(UTC).date() == now.astimezone(UTC).date():
        return state
    if state.moved_days + 1 < MOVING_DAYS:
        return replace(state, moved_days=state.moved_days + 1, moved_on=now)
    url = None if target == state.catalog_url else target
    return replace(state, url=url, moved_to=None, moved_days=0, moved_on=None)


def _due(state: FeedState, own: float, asked: float, now: datetime) -> datetime:
    """When a feed is due that would wait `own` seconds by itself, and was asked to wait for `asked` at least."""
    part = _fraction(state.name, now)
    wait = max(min(max(own, MIN_INTERVAL), LONGEST), asked)
    due = now + timedelta(seconds=min(wait * (1 + JITTER * part), MAX_INTERVAL))
    if not _skipped(state, due):
        return due
    latest = now + timedelta(seconds=MAX_INTERVAL)
    hour = due.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour <= latest:
        hour += timedelta(hours=1)
        if not _skipped(state, hour):
            return min(hour + timedelta(seconds=HOUR * JITTER * part), latest)
    return latest


def _skipped(state: FeedState, time: datetime) -> bool:
    gmt = time.astimezone(UTC)
    return gmt.hour in state.skip_hours or gmt.weekday() in state.skip_days


def _fraction(name: str, now: datetime) -> float:
    """A number from 0 to 1 that is as good as random, but always the same for the same feed and time."""
    digest = hashlib.sha256(f"{name}\n{now.astimezone(UTC).isoformat()}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:6]) / 2**48
