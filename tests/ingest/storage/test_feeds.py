"""The puller's memory: states of feeds, and what was published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ingest.errors import StoreRejected
from ingest.storage import FeedState, Known, Store, queries
from ingest.storage.connect import Conflict
from ingest.storage.values import Alias
from tests.ingest.storage.processes import race
from tests.ingest.storage.samples import at

STATE = FeedState(
    name="wire",
    etag='W/"abc"',
    last_modified="Tue, 24 Nov 2026 12:00:00 GMT",
    body_hash="f00",
    last_pull=at(0),
    last_success=at(-5),
    next_due=at(15),
    failures=2,
    last_error="http: 503 of https://example.org/",
    last_status=503,
    disabled=True,
    interval=900.5,
    new_entries=17,
    pulls=3,
    last_body=at(-6),
    validators_wrong=at(-7),
    asked=3_600.0,
    max_age=60.0,
    skip_hours=(0, 23),
    skip_days=(6,),
    first_success=at(-8),
    per_day=2.5,
    url="https://example.org/new",
    catalog_url="https://example.org/old",
    moved_to="https://example.org/newer",
    moved_days=2,
    moved_on=at(-1),
)


def test_a_feed_state_comes_back_as_it_was_saved(store: Store) -> None:
    assert store.feed_states() == {}
    bare = FeedState(name="gazette")
    store.save_feed_state()
    assert store.feed_states() == {}
    store.save_feed_state(STATE, bare)
    assert store.feed_states() == {"wire": STATE, "gazette": bare}
    assert store.counts().feeds == 2


def test_a_feed_state_can_be_replaced_field_by_field(store: Store) -> None:
    store.save_feed_state(STATE)
    store.save_feed_state(FeedState(name="wire"))
    assert store.feed_states() == {"wire": FeedState(name="wire")}


def test_what_a_server_sends_cannot_keep_its_state_from_being_saved(store: Store) -> None:
    store.save_feed_state(replace(STATE, etag='"\udcff\x00"', last_error="bad \ud800\x00 💥" * 10_000))
    saved = store.feed_states()["wire"]
    assert saved.etag == '"?\ufffd"'
    assert saved.last_error == "bad ?\ufffd 💥" * 10_000


def test_what_was_published_is_known(store: Store) -> None:
    assert store.known([]) == store.known(["a", "b"]) == {}
    published = [Known("a", 1, "x", "wire"), Known("b", 3, "y", "wire")]
    store.remember(published, [STATE])
    assert store.known(["a", "b", "c", "a"]) == {"a": published[0], "b": published[1]}
    assert store.feed_states() == {"wire": STATE}


def test_articles_are_known_by_aliases_and_stay_the_first_feeds(store: Store) -> None:
    store.remember([Known("a", 1, "x", "wire")], aliases=[Alias("k", "a"), Alias("h", "a", "said"), Alias("l", "z")])
    store.remember([Known("a", 2, "y", "other")], aliases=[Alias("k", "b"), Alias("h", "a", "more")])
    known = Known("a", 2, "y", "wire")
    assert store.known(["a", "k", "h", "l"]) == {"a": known, "k": known, "h": replace(known, said="more")}


def test_the_latest_revision_is_known_in_whatever_order_they_come(store: Store) -> None:
    store.remember([Known("a", 2, "two", "wire")])
    store.remember([Known("a", 1, "one", "wire")])
    assert store.known(["a"]) == {"a": Known("a", 2, "two", "wire")}
    store.remember([Known("a", 4, "four", "wire"), Known("a", 3, "three", "wire")])
    assert store.known(["a"]) == {"a": Known("a", 4, "four", "wire")}
    store.remember([Known("a", 4, "other", "wire")])
    assert store.known(["a"]) == {"a": Known("a", 4, "other", "wire")}


def test_nothing_published_still_saves_the_state(store: Store) -> None:
    store.remember([], [STATE])
    assert store.feed_states() == {"wire": STATE}


def test_articles_and_the_state_are_remembered_together_or_not_at_all(store: Store) -> None:
    with pytest.raises(StoreRejected):
        store.remember([Known("a", 1, "x")], [replace(STATE, pulls=2**63)])
    assert store.known(["a"]) == {}
    assert store.feed_states() == {}


def test_very_many_articles_can_be_looked_up(store: Store) -> None:
    published = [Known(f"a{number}", 1, "x") for number in range(30_000)]
    store.remember(published[:100])
    assert len(store.known([each.article_id for each in published])) == 100


MEMORIES = """
import random
import ingest.storage.store
from datetime import timedelta
from ingest.storage.syndication import Print
from ingest.storage.values import Alias

ingest.storage.store._ATTEMPTS = 1  # what has to be done again shows
store = Store.open(url)
names = [f"{number:03}" for number in range(60)]
for turn in range(12):
    some = random.sample(names, 40)
    store.remember(
        [Known(each, turn + 1, name, name) for each in some],
        [FeedState(each, pulls=turn) for each in some],
        [Print(each, each, None, name, NOON, (1, 2, 3), bytes([0, 0, 1])) for each in some],
        [Alias(f"alias {each}", each, name) for each in some],
    )
    keys = [f"alias {each}" for each in random.sample(names, 40)]
    assert set(store.known(keys, datetime.now(UTC) + timedelta(days=10 * (turn + 1)))) <= set(keys)
"""


def test_pullers_of_the_same_feeds_do_not_wait_for_each_other_in_a_circle(store: Store, store_url: str) -> None:
    assert race(MEMORIES, "ab", store_url) == [0, 0]
    names = [f"{number:03}" for number in range(60)]
    known = store.known([*names, *(f"alias {name}" for name in names)])
    assert {known[name].article_id for name in known} == set(names)
    assert {known[f"alias {name}"].article_id for name in names} == set(names)
    assert store.feed_states().keys() == set(names)
    assert {kept.article_id for kept in store.syndicated(names, ())} == set(names)


def test_a_transaction_that_another_got_in_the_way_of_is_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = queries.write_feed_states, [Conflict("deadlock detected")] * 2

    def hindered(*arguments: Any) -> None:
        write(*arguments)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(queries, "write_feed_states", hindered)
    store.remember([Known("a", 1, "x", "wire")], [STATE], aliases=[Alias("k", "a")])
    assert store.known(["k"]) == {"k": Known("a", 1, "x", "wire")}
    assert store.feed_states() == {"wire": STATE}
