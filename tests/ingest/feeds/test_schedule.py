"""When and how a feed is pulled again: by the table of decisions.tsv, by simulated feeds, and by Hypothesis."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.feeds.schedule import (
    HARD,
    INTERVAL,
    JITTER,
    LONGEST,
    MAX_INTERVAL,
    MIN_INTERVAL,
    MOVING_DAYS,
    SOFT,
    Asked,
    Conditions,
    Failure,
    Success,
    at_url,
    conditions,
    is_doubtful,
    is_due,
    next_state,
)
from ingest.storage import FeedState
from tests.ingest.feeds.decisions import NOON, Case, cases, moment, seconds

CASES = cases()


def waits(state: FeedState, now: datetime = NOON) -> float:
    assert state.next_due is not None
    return (state.next_due - now).total_seconds()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_table_of_decisions_holds(case: Case) -> None:
    after = next_state(case.state, case.outcome, case.now)
    assert case.then
    for what, value in case.then.items():
        match what:
            case "wait":
                base = seconds(value)
                assert (
                    0.99 * min(base, LONGEST) <= waits(after, case.now) <= min(1.01 * (1 + JITTER) * base, MAX_INTERVAL)
                )
            case "due":
                assert timedelta(0) <= (after.next_due or NOON) - moment(value) <= timedelta(minutes=6)
            case "interval":
                assert after.interval == pytest.approx(min(seconds(value), LONGEST), rel=0.01)
            case "failures" | "moved_days":
                assert getattr(after, what) == int(value)
            case "url":
                assert after.url == (None if value == "A" else value)
            case "disabled" | "enabled":
                assert after.disabled is (what == "disabled")
            case "doubted" | "believed":
                assert is_doubtful(case.state, case.now) is (what == "doubted")
            case "conditional":
                assert conditions(after, case.now) == Conditions(after.etag, None)
                assert after.etag
            case "unconditional":
                assert conditions(after, case.now) == Conditions(None, None)
            case _:
                pytest.fail(f"the table says {what}, which nothing tests")


@pytest.mark.parametrize(
    ("state", "due"),
    [
        (FeedState("feed"), True),
        (FeedState("feed", next_due=NOON), True),
        (FeedState("feed", next_due=NOON - timedelta(days=9)), True),
        (FeedState("feed", next_due=NOON + timedelta(seconds=1)), False),
        (FeedState("feed", next_due=NOON + timedelta(days=1)), False),
        (FeedState("feed", next_due=NOON + timedelta(days=900)), True),
        (FeedState("feed", disabled=True), False),
        (FeedState("feed", next_due=NOON, disabled=True), False),
    ],
)
def test_feeds_are_due(state: FeedState, due: bool) -> None:
    assert is_due(state, NOON) is due


def test_an_answer_is_remembered_and_a_failure_forgotten() -> None:
    known = FeedState(
        "feed", etag='"1"', last_modified="a", body_hash="h", failures=4, last_error="e", new_entries=5, pulls=3
    )
    after = next_state(known, Success(200, '"2"', None, "i", asked=Asked(60.0), entries=9, new=4), NOON)
    assert replace(after, next_due=None) == FeedState(
        "feed",
        etag='"2"',
        body_hash="i",
        last_body=NOON,
        last_pull=NOON,
        last_success=NOON,
        first_success=NOON,
        last_status=200,
        interval=INTERVAL,
        asked=60.0,
        new_entries=9,
        pulls=4,
    )


def test_a_304_keeps_the_validators_that_it_does_not_repeat() -> None:
    known = FeedState("feed", etag='"1"', last_modified="a", body_hash="h", last_body=NOON - timedelta(hours=1))
    after = next_state(known, Success(304, None, "b", None), NOON)
    assert (after.etag, after.last_modified, after.body_hash) == ('"1"', "b", "h")
    assert after.last_body == NOON - timedelta(hours=1)
    assert next_state(known, Success(200, None, None, "h"), NOON).etag is None


def test_a_failure_keeps_what_stands_for_the_body_that_was_read() -> None:
    known = FeedState("feed", etag='"1"', last_modified="a", body_hash="h", interval=3_600.0, new_entries=5, pulls=3)
    after = next_state(known, Failure("http", "m", 500), NOON)
    kept = replace(known, last_pull=NOON, next_due=after.next_due, failures=1, last_error="m", last_status=500, pulls=4)
    assert after == kept


def test_the_notice_of_a_feed_that_is_gone_says_how_to_get_it_back() -> None:
    after = next_state(FeedState("my feed"), Failure("http", "answered 410", 410), NOON)
    assert after.last_error == "answered 410; not pulled any more, until: conflictwire feeds enable 'my feed'"


def test_another_url_in_the_catalogue_is_a_new_beginning() -> None:
    old = FeedState(
        "feed",
        etag='"1"',
        last_modified="a",
        body_hash="h",
        validators_wrong=NOON,
        next_due=NOON + timedelta(hours=9),
        failures=7,
        last_error="gone",
        disabled=True,
        interval=3_600.0,
        new_entries=5,
        pulls=3,
        max_age=60.0,
        url="http://c/",
        catalog_url="http://a/",
        moved_to="http://d/",
        moved_days=2,
        moved_on=NOON,
    )
    assert at_url(old, "http://a/") == old
    fresh = FeedState("feed", interval=3_600.0, new_entries=5, pulls=3, catalog_url="http://b/")
    assert at_url(old, "http://b/") == fresh
    assert is_due(fresh, NOON)


def test_a_state_from_before_there_were_urls_in_it_is_kept() -> None:
    old = FeedState("feed", etag='"1"', failures=2, disabled=True)
    assert at_url(old, "http://a/") == replace(old, catalog_url="http://a/")


def simulate(published: list[float], entries: int, days: float) -> tuple[FeedState, list[float], int]:
    """A feed of `entries` places that publishes at these seconds: state, times of the pulls, entries lost."""
    state, pulls, lost, seen = FeedState("simulated"), [], 0, 0.0
    now = NOON
    while (clock := (now - NOON).total_seconds()) < days * 86_400:
        fresh = bisect_right(published, clock) - bisect_right(published, seen)
        lost += max(fresh - entries, 0) if pulls else 0
        new = min(fresh, entries)
        state = next_state(state, Success(200, None, None, str(clock), asked=Asked(), entries=entries, new=new), now)
        pulls.append(clock)
        seen = clock
        assert state.next_due is not None
        now = state.next_due
    return state, pulls, lost


@pytest.mark.parametrize(
    ("entries", "a_day", "hours"),
    [(20, 24, 1.0), (20, 4, 6.0), (10, 24, 0.5), (100, 240, 0.1), (50, 1, 24 / (1 + JITTER)), (20, 1_000, 1 / 12)],
)
def test_the_interval_follows_the_rhythm(entries: int, a_day: int, hours: float) -> None:
    """About one new entry a pull; half of one where the feed holds ten."""
    random.seed(f"{entries} {a_day}")
    published = sorted(random.uniform(0, 20 * 86_400) for _ in range(20 * a_day))
    _, pulls, lost = simulate(published, entries, 20)
    last = [time for time in pulls if time > 10 * 86_400]
    # A tenth for jitter, and the average of waits is more than that of rates.
    assert 0.8 * hours <= (last[-1] - last[0]) / (len(last) - 1) / 3_600 <= 1.6 * hours
    assert lost == 0


def test_a_feed_that_wakes_is_followed_before_it_loses_anything() -> None:
    """Asleep for ten days, then ten entries an hour into a feed of fifty."""
    wakes = 10 * 86_400 + 20_000.0
    published = [wakes + 360 * number for number in range(480)]
    _, pulls, lost = simulate(published, 50, 12)
    asleep = [time for time in pulls if time < wakes]
    assert asleep[-1] - asleep[-2] > 12 * 3_600
    first = next(time for time in pulls if time > wakes)
    after = [time for time in pulls if time >= first]
    assert after[3] - after[2] < 3_600
    assert after[20] - after[19] < 900
    assert lost == sum(time <= first for time in published) - 50, "nothing more is lost once it is known to be awake"


def test_articles_a_day_are_those_of_the_last_week() -> None:
    state, now = FeedState("feed"), NOON
    state = next_state(state, Success(200, None, None, "h", asked=Asked(), entries=30, new=30), now)
    assert state.per_day is None
    for hour in range(24 * 3):
        now += timedelta(hours=1)
        state = next_state(state, Success(200, None, None, "h", asked=Asked(), entries=30, new=hour % 2), now)
    assert state.per_day == pytest.approx(12, rel=0.05)
    for _ in range(24 * 28):
        now += timedelta(hours=1)
        state = next_state(state, Success(200, None, None, "h", asked=Asked(), entries=30, new=2), now)
    assert state.per_day == pytest.approx(48, rel=0.05)


def test_a_pull_that_was_late_counts_for_the_time_it_stands_for() -> None:
    state = next_state(FeedState("feed"), Success(200, None, None, "h"), NOON)
    failed = next_state(state, Failure("dns", "m"), NOON + timedelta(hours=1))
    after = next_state(failed, Success(200, None, None, "i", asked=Asked(), entries=9, new=6), NOON + timedelta(days=2))
    assert after.per_day == pytest.approx(3)


def test_feeds_pulled_together_part_company() -> None:
    """An import of 1,000 feeds that all ask for an hour is spread over six minutes, and more the next time."""
    states = [FeedState(f"feed {number}") for number in range(1_000)]
    success = Success(200, None, None, "h", asked=Asked(3_600.0))
    due = sorted(waits(next_state(state, success, NOON)) for state in states)
    assert due[0] >= 3_600
    for part in range(10):
        within = [time for time in due if 3_600 + part * 36 <= time < 3_600 + (part + 1) * 36]
        assert 60 <= len(within) <= 140


def test_jitter_is_the_same_for_the_same_feed_and_time_only() -> None:
    success = Success(304, None, None, None)
    once = next_state(FeedState("feed"), success, NOON)
    assert once == next_state(FeedState("feed"), success, NOON)
    assert once.next_due == datetime(2026, 11, 24, 12, 15, 15, 461352, tzinfo=UTC), "in every version, on every machine"
    assert waits(once) != waits(next_state(FeedState("other"), success, NOON))
    later = NOON + timedelta(hours=1)
    assert waits(once) != waits(next_state(FeedState("feed"), success, later), later)


MAYBE_SECONDS = st.none() | st.floats(0, 1e12)
HOURS = st.lists(st.integers(0, 23), max_size=24).map(tuple)
DAYS = st.lists(st.integers(0, 6), max_size=7).map(tuple)
SUCCESSES = st.builds(
    Success,
    status=st.sampled_from([200, 304]),
    etag=st.none() | st.just('"1"'),
    last_modified=st.none(),
    body_hash=st.sampled_from(["h", "i"]),
    max_age=MAYBE_SECONDS,
    asked=st.none() | st.builds(Asked, MAYBE_SECONDS, HOURS, DAYS),
    entries=st.integers(0, 10**9),
    new=st.integers(0, 10**9),
    moved_to=st.sampled_from([None, "http://b/", "http://c/"]),
    doubted=st.booleans(),
)
STATUSES = [None, 304, 401, 403, 404, 408, 429, 451, 500, 503]
KINDS = ["dns", "connect", "timeout", "tls", "http", "not_a_feed", "deadline", "redirect", "never heard of"]
FAILURES = st.builds(Failure, st.sampled_from(KINDS), st.just("m"), st.sampled_from(STATUSES), MAYBE_SECONDS)
PAUSES = st.floats(-1e5, 1e7)
"""Seconds between two pulls: late, early, by hand, and after a clock was set back."""


@given(st.lists(st.tuples(SUCCESSES | FAILURES, PAUSES), min_size=1, max_size=30), st.text(max_size=9))
@example([(Success(200, None, None, "h", asked=Asked(None, tuple(range(24)), tuple(range(7)))), 0.0)], "\udc80")
def test_no_feed_is_annoyed_or_forgotten(history: list[tuple[Success | Failure, float]], name: str) -> None:
    state, now = FeedState(name, catalog_url="http://a/"), NOON
    for count, (outcome, pause) in enumerate(history, 1):
        before, now = state, now + timedelta(seconds=pause)
        state = next_state(before, outcome, now)
        assert next_state(before, outcome, now) == state
        assert MIN_INTERVAL <= waits(state, now) <= MAX_INTERVAL
        assert not state.disabled
        assert state.pulls == count
        assert is_due(state, now + timedelta(seconds=MAX_INTERVAL))
        assert not is_due(state, now + timedelta(seconds=MIN_INTERVAL - 1))
        assert state.interval is None or MIN_INTERVAL <= state.interval <= LONGEST
        assert (state.failures, state.last_error) == (0, None) or isinstance(outcome, Failure)
        assert state.moved_days < MOVING_DAYS


@given(SUCCESSES, SUCCESSES, PAUSES)
def test_what_is_asked_is_kept_for_up_to_a_day(first: Success, second: Success, pause: float) -> None:
    state = next_state(next_state(FeedState("feed"), first, NOON), second, now := NOON + timedelta(seconds=pause))
    body = second.asked or first.asked
    asked = max((body and body.seconds) or 0.0, second.max_age or 0.0)
    assert waits(state, now) >= min(asked, MAX_INTERVAL) - 1e-3
    if body and waits(state, now) < MAX_INTERVAL:
        assert state.next_due is not None
        assert state.next_due.hour not in body.skip_hours
        assert state.next_due.weekday() not in body.skip_days


@given(FAILURES, st.integers(0, 60), st.lists(FAILURES, max_size=5))
def test_waits_never_shorten_while_one_failure_goes_on(failure: Failure, times: int, before: list[Failure]) -> None:
    failure = replace(failure, retry_after=None)
    state, now = FeedState("feed"), NOON
    for other in before:
        state = next_state(state, other, now)
        now = state.next_due or now
    bases = []
    for _ in range(times):
        state = next_state(state, failure, now)
        bases.append(waits(state, now))
        now = state.next_due or now
    first, longest = bases[:1], max(SOFT[1], HARD[1])
    for earlier, later in pairwise(bases):
        assert later >= earlier / (1 + JITTER) - 1e-3
        assert later <= 2 * (1 + JITTER) * max(earlier, HARD[0])
    assert all(base <= longest * (1 + JITTER) + 1e-3 for base in bases)
    assert not first or first[0] >= MIN_INTERVAL


@given(st.lists(FAILURES, max_size=30), SUCCESSES)
def test_recovery_leaves_no_trace_of_the_failures(failures: list[Failure], success: Success) -> None:
    well = next_state(FeedState("feed"), Success(200, '"1"', None, "h"), NOON)
    ill, later = well, NOON + timedelta(days=3)
    for number, failure in enumerate(failures):
        if failure.status != 429:  # which does leave one: the interval was too short
            ill = next_state(ill, failure, NOON + timedelta(hours=number))
    recovered = next_state(ill, success, later)
    assert replace(recovered, pulls=0) == replace(next_state(well, success, later), pulls=0)


@given(st.lists(st.sampled_from([None, "http://b/", "http://c/"]), max_size=40), st.integers(1, 30))
def test_a_feed_moves_only_after_three_days_of_the_same(targets: list[str | None], hours: int) -> None:
    state, now = FeedState("feed", catalog_url="http://a/"), NOON
    seen: list[tuple[str | None, object]] = []
    for target in targets:
        now += timedelta(hours=hours)
        seen.append((target, now.date()))
        before = state.url
        state = next_state(state, Success(304, None, None, None, moved_to=target), now)
        if state.url != before:
            run = []
            while seen and seen[-1][0] == target:
                run.append(seen.pop())
            assert target == state.url
            assert len({day for _, day in run}) == MOVING_DAYS
            seen.clear()
