"""The maintenance flow, run against a real Prefect server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows import maintain
from ingest.broker import Outgoing, PartitionLag
from ingest.settings import Retention
from ingest.storage import FeedState, Known
from ingest.storage.values import Alias
from tests.flows.looking import artifact
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WELL = FeedState("well", last_success=NOW)
SHAKY = FeedState("shaky", failures=maintain.FAILING - 1, last_error="timeout")
ILL = FeedState("ill", failures=maintain.FAILING, last_error="answered 503", last_success=NOW)
WORSE = FeedState("worse", failures=9, last_error="answered 404")
GONE = FeedState("gone", failures=1, last_error="answered 410 Gone", disabled=True)


@pytest.mark.parametrize(
    ("lag", "dead", "feeds", "found"),
    [
        ([], 0, [], []),
        ([PartitionLag("articles", 0, 5, 5)], 0, [WELL, SHAKY], []),
        (
            [PartitionLag("articles", 0, 5, 5), PartitionLag("articles", 1, 2, 9)],
            4,
            [],
            [("lag", "articles/1", 7), ("dead letters", "", 4)],
        ),
        (
            [],
            0,
            [GONE, ILL, WELL, WORSE],
            [("feed failing", "worse", 9), ("feed failing", "ill", 3), ("feed disabled", "gone", 1)],
        ),
    ],
)
def test_health_tells_what_wants_a_person(
    lag: list[PartitionLag], dead: int, feeds: list[FeedState], found: list[tuple[str, str, int]]
) -> None:
    rows = maintain.health(lag, dead, {feed.name: feed for feed in feeds})
    assert [(row["what"], row["where"], row["count"]) for row in rows] == found


def test_health_gives_the_reason_and_since_when() -> None:
    ill, never = maintain.health([], 0, {"ill": ILL, "never": replace(ILL, name="never", last_success=None)})
    assert ill["detail"] == "answered 503; last read 2026-11-24T00:00:00.000Z"
    assert never["detail"] == "answered 503; never read"


@pytest.mark.prefect
def test_maintenance_keeps_to_the_retention_and_reports_health(
    prefect_client: SyncPrefectClient, embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = article(1), article(2).model_copy(update={"published": datetime.now(UTC), "fetched": datetime.now(UTC)})
    embedded.publish([old, new, Outgoing(embedded.settings.topics.articles, b"bad", b"no article")])
    assert embedded.work(KeywordCoder()).dead == 1
    events = embedded.stored()
    embedded.publish([article(3)])
    embedded.store.save_feed_state(ILL)
    monkeypatch.setenv("CONFLICTWIRE_RETENTION__ARTICLE_TEXT", "1")

    state = maintain.maintain(return_state=True)

    assert state.is_completed()
    assert state.message == "1 texts emptied, 0 notes forgotten, 0 records pruned; 3 things to look at"
    assert {each.article_id: bool(each.text) for each in embedded.store.articles()} == {
        old.article_id: False,
        new.article_id: True,
    }
    assert embedded.stored() == events, "events outlive the texts"
    assert state.state_details.flow_run_id
    rows, description = artifact(prefect_client, state.state_details.flow_run_id, maintain.ARTIFACT)
    assert sorted((row["what"], row["count"]) for row in rows) == [("dead letters", 1), ("feed failing", 3), ("lag", 1)]
    assert "lag 1 records; 1 dead letters in 24 hours" in description


def test_notes_are_forgotten_once_they_have_served_their_time(embedded: Pipeline) -> None:
    coded = [article(number) for number in range(3)]
    embedded.publish(coded)
    embedded.work(KeywordCoder())
    embedded.publish([article(4)])
    known = [Known(each.article_id, each.revision, each.content_hash, each.feed) for each in (*coded, article(4))]
    embedded.store.remember(known, aliases=[Alias("guid", coded[0].article_id)])
    before, events = embedded.store.known([each.article_id for each in known]), embedded.agreed()

    def forgotten(**days: int) -> int:
        off = {"codings": 0, "known": 0, "aliases": 0}
        chosen = embedded.settings.model_copy(update={"retention": Retention(**(off | days))})
        return maintain.forget.fn(embedded.store, embedded.broker, chosen, datetime.now(UTC) + timedelta(days=50))

    assert forgotten() == 0, "0 keeps them for good"
    assert forgotten(codings=60, known=60, aliases=60) == 0
    assert forgotten(codings=40) == 3
    assert forgotten(known=40) == 3, "the article that is not coded yet is known from here alone"
    assert embedded.store.known([each.article_id for each in known]) == before
    assert forgotten(aliases=40) == 1
    embedded.work(KeywordCoder())
    embedded.publish(coded)  # published again, as by a puller that lost its memory
    embedded.work(KeywordCoder())
    after = embedded.agreed()
    assert {name: event for name, event in after.items() if name in events} == events


def test_the_embedded_log_is_pruned_of_what_is_old_and_read(embedded: Pipeline) -> None:
    embedded.publish([article(1), article(2)])
    embedded.work(KeywordCoder())
    embedded.publish([article(3)])
    read = 2 + len(embedded.published())
    later = datetime.now(UTC) + timedelta(days=3)
    prune = maintain.prune_log.fn
    assert prune(embedded.broker, Retention(embedded_log=0), later) == 0, "0 keeps them for good"
    assert prune(embedded.broker, Retention(embedded_log=4), later) == 0
    assert prune(embedded.broker, Retention(embedded_log=2), later) == read
    assert embedded.left() == 1
