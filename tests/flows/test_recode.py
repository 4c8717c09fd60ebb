"""The recode flow: decisions by themselves, and the flow against a real Prefect server with workers at work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows import recode as recoding
from ingest.broker import PartitionLag
from ingest.errors import ServerUnreachable
from ingest.recode import again
from ingest.records import Article
from models.events import Event
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article, as_record

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def fetched(number: int, days_ago: int, text: str = "") -> Article:
    given = {"fetched": NOW - timedelta(days=days_ago)} | ({} if text else {"text": ""})
    return article(number, text).model_copy(update=given)


def test_articles_are_taken_up_to_the_first_that_is_too_old_and_those_without_text_are_counted() -> None:
    stored = [fetched(1, 0, "a"), fetched(2, 1), fetched(3, 2, "c"), fetched(4, 9, "d")]
    (batch,) = again(stored, NOW - timedelta(days=2), "articles")
    assert batch.records == [as_record(stored[0]), as_record(stored[2])]
    assert batch.empty == 1
    assert sum(len(each.records) for each in again(stored, None, "articles")) == 3
    assert list(again([], None, "articles")) == []
    many = [fetched(number, 0, "x") for number in range(450)]
    assert [len(each.records) for each in again(many, None, "articles")] == [200, 200, 50]


@pytest.mark.parametrize(
    ("ends", "now", "read"),
    [
        ({0: 5}, [PartitionLag("articles", 0, 5, 9)], True),
        ({0: 5}, [PartitionLag("articles", 0, 4, 9)], False),
        ({0: 5, 1: 2}, [PartitionLag("articles", 0, 9, 9), PartitionLag("articles", 1, 1, 2)], False),
        ({0: 5}, [PartitionLag("articles", 0, 5, 5), PartitionLag("articles", 1, 0, 7)], True),
        ({}, [], True),
    ],
)
def test_what_is_published_later_is_not_waited_for(ends: dict[int, int], now: list[PartitionLag], read: bool) -> None:
    assert recoding.read_up_to(ends, now) is read


class Workers:
    """A consumer group that reads so many records between two looks, and a clock that the looks move."""

    def __init__(self, *reads: int) -> None:
        self.reads, self.committed, self.time, self.looks = list(reads), 0, 0.0, 0

    def lag(self) -> Sequence[PartitionLag]:
        self.looks += 1
        self.committed += self.reads.pop(0) if self.reads else 0
        return [PartitionLag("articles", 0, self.committed, 10)]

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def wait(self, patience: float) -> None:
        def enough(now: Sequence[PartitionLag]) -> bool:
            return not now[0].lag

        recoding.wait(self.lag, enough, patience, self.pause, lambda: self.time)


def test_waiting_ends_when_enough_is_read_however_long_it_takes() -> None:
    slow = Workers(1, *[0, 0, 1] * 9)
    slow.wait(patience=3 * recoding.LOOK_EVERY)
    assert slow.committed == 10
    assert slow.time > 3 * recoding.LOOK_EVERY


def test_workers_that_read_nothing_are_given_up_on() -> None:
    gone = Workers(4)
    with pytest.raises(
        ServerUnreachable, match="6 articles wait and none was read in 10 s: start `conflictwire worker`"
    ):
        gone.wait(patience=10)
    assert gone.time == pytest.approx(10, abs=recoding.LOOK_EVERY)


class Milder(KeywordCoder):
    """Other weights: they see no shelling."""

    def events(self, text: str, title: str = "", min_confidence: float | None = None) -> list[Event]:
        return super().events(text.replace("shelled", "visited"), title, min_confidence)


@pytest.mark.prefect
def test_workers_with_new_weights_revise_what_was_stored_and_the_backlog_stays_small(
    prefect_client: SyncPrefectClient, embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recoding, "LOOK_EVERY", 0.05)
    embedded.publish([article(number) for number in range(30)])
    embedded.work(KeywordCoder())
    before = embedded.agreed()
    shelled = {event_id for event_id, event in before.items() if event.trigger.text == "shelled"}
    assert len(shelled) == 30
    stop = threading.Event()
    worker = threading.Thread(target=embedded.work, args=(Milder(),), kwargs={"once": False, "stop": stop})
    worker.start()
    try:
        state = recoding.recode(backlog=5, return_state=True)
    finally:
        stop.set()
        worker.join()
    assert state.is_completed(), state.message
    assert state.message == "30 articles coded again"
    after = embedded.agreed()
    assert {event_id for event_id, event in after.items() if event.status == "retracted"} == shelled
    assert all(after[event_id] == before[event_id] for event_id in before.keys() - shelled)


@pytest.mark.prefect
def test_a_time_that_cannot_be_read_fails_the_run(prefect_client: SyncPrefectClient, embedded: Pipeline) -> None:
    state = recoding.recode.with_options(retries=0)(since="the day before", return_state=True)
    assert state.is_failed()
    assert "the day before" in (state.message or "")
