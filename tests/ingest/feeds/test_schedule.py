"""When a feed is pulled again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feeds.schedule import INTERVAL, MAX_INTERVAL, Failure, Success, after_failure, after_success, is_due
from ingest.storage import FeedState

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = 86_400.0
FEED = FeedState("feed", etag='"1"', last_modified="yesterday", body_hash="h", interval=3_600.0, new_entries=5, pulls=3)


def waits(state: FeedState) -> float:
    assert state.next_due is not None
    return (state.next_due - NOW).total_seconds()


@pytest.mark.parametrize(
    ("state", "due"),
    [
        (FeedState("feed"), True),
        (FeedState("feed", next_due=NOW), True),
        (FeedState("feed", next_due=NOW - timedelta(days=9)), True),
        (FeedState("feed", next_due=NOW + timedelta(seconds=1)), False),
        (FeedState("feed", disabled=True), False),
        (FeedState("feed", next_due=NOW, disabled=True), False),
    ],
)
def test_feeds_are_due(state: FeedState, due: bool) -> None:
    assert is_due(state, NOW) is due


@pytest.mark.parametrize(
    ("success", "seconds"),
    [
        (Success(200, None, None, "new"), INTERVAL),
        (Success(200, None, None, "new", ttl=60.0), INTERVAL),
        (Success(200, None, None, "new", ttl=7_200.0), 7_200),
        (Success(200, None, None, "new", ttl=1e9), MAX_INTERVAL),
        (Success(304, '"1"', None, "h"), 3_600),
        (Success(200, None, None, "h"), 3_600),
    ],
    ids=["plain", "short ttl", "ttl", "endless ttl", "not modified", "same body"],
)
def test_a_healthy_feed_is_pulled_at_its_interval(success: Success, seconds: float) -> None:
    after = after_success(FEED, success, NOW)
    assert waits(after) == after.interval == seconds


def test_success_forgets_failures_and_counts() -> None:
    failed = after_failure(FEED, Failure("dns", "no such host"), NOW)
    assert after_success(failed, Success(200, '"2"', "today", "new", new=4), NOW) == FeedState(
        "feed",
        etag='"2"',
        last_modified="today",
        body_hash="new",
        last_pull=NOW,
        last_success=NOW,
        next_due=NOW + timedelta(seconds=INTERVAL),
        last_status=200,
        interval=INTERVAL,
        new_entries=9,
        pulls=5,
    )


@pytest.mark.parametrize(
    ("failures", "failure", "seconds"),
    [
        (0, Failure("dns", "m"), INTERVAL),
        (1, Failure("dns", "m"), 2 * INTERVAL),
        (3, Failure("timeout", "m"), 8 * INTERVAL),
        (7, Failure("http", "m", 500), DAY),
        (10_000, Failure("http", "m", 500), DAY),
        (0, Failure("http", "m", 429, retry_after=7_200.0), 7_200),
        (0, Failure("http", "m", 503, retry_after=10.0), INTERVAL),
        (0, Failure("http", "m", 503, retry_after=1e9), DAY),
    ],
)
def test_failures_wait_longer_and_longer(failures: int, failure: Failure, seconds: float) -> None:
    after = after_failure(FeedState("feed", failures=failures), failure, NOW)
    assert waits(after) == seconds
    assert (after.failures, after.last_error, after.last_status) == (failures + 1, "m", failure.status)
    assert not after.disabled


def test_a_failure_keeps_what_stands_for_the_body_that_was_read() -> None:
    after = after_failure(FEED, Failure("http", "m", 500), NOW)
    assert (after.etag, after.last_modified, after.body_hash) == ('"1"', "yesterday", "h")
    assert (after.interval, after.new_entries, after.pulls) == (3_600, 5, 4)


def test_a_feed_that_is_gone_is_disabled() -> None:
    assert after_failure(FEED, Failure("http", "m", 410), NOW).disabled


OUTCOMES = st.one_of(
    st.builds(
        Success,
        st.sampled_from([200, 304]),
        st.none(),
        st.none(),
        st.sampled_from(["h", "i"]),
        st.one_of(st.none(), st.floats(0, 1e12)),
        st.integers(0, 9),
    ),
    st.builds(
        Failure,
        st.just("http"),
        st.just("m"),
        st.sampled_from([None, 404, 500, 503]),
        st.one_of(st.none(), st.floats(0, 1e12)),
    ),
)


@given(st.lists(OUTCOMES, min_size=1, max_size=40))
def test_no_feed_is_annoyed_or_forgotten(outcomes: list[Success | Failure]) -> None:
    state = FeedState("feed")
    for outcome in outcomes:
        state = (after_success if isinstance(outcome, Success) else after_failure)(state, outcome, NOW)  # type: ignore[operator]
        assert INTERVAL <= waits(state) <= MAX_INTERVAL
    assert state.pulls == len(outcomes)
