"""The keeper of incidents: exactly once, one at a time, the same after a restart."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import count, cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.broker import Outgoing, Record
from ingest.broker.embedded import EmbeddedMember
from ingest.errors import Fenced, StoreRejected
from ingest.incidents import Keeper, in_order, keep_incidents, publisher_of, run_keeper
from ingest.records import EventRecord, IncidentRecord, parse_incident
from ingest.settings import Settings
from ingest.storage import Kept, Place, Store
from ingest.storage.queries import event_row, insert
from ingest.storage.tables import events as events_table
from tests.ingest.command import ROOT
from tests.ingest.keeping import STORY, Report, expected, store_reports, tell
from tests.ingest.pipeline import Pipeline, as_environment
from tests.models.incidents.reports import HERAT, JUBA, NOON

LATER = 24 * 3.4  # hours; with more, events would be coded in the future


def told_to(pipeline: Pipeline, reports: Sequence[Report]) -> list[EventRecord]:
    return tell(pipeline.broker, pipeline.store, pipeline.settings.topics.events, reports)


def revisions(records: Sequence[IncidentRecord]) -> dict[str, list[IncidentRecord]]:
    found: dict[str, list[IncidentRecord]] = {}
    for record in records:
        found.setdefault(record.incident_id, []).append(record)
    return found


def reported(records: Sequence[IncidentRecord]) -> list[tuple[str, int]]:
    """The event revisions that are in an incident, each as often as it is."""
    last = {record.incident_id: record for record in records}.values()
    current = [each for each in last if each.kind != "merged_into" and each.status != "retracted"]
    return sorted((report.event_id, report.revision) for each in current for report in each.reports)


def valid(events: Sequence[EventRecord]) -> list[tuple[str, int]]:
    """The event revisions that should be."""
    last = {each.event_id: each for each in events}.values()
    return sorted((each.event_id, each.revision) for each in last if each.status != "retracted")


def wait_until(what: Callable[[], bool], timeout: float = 60.0) -> None:
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- decisions


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9)), max_size=30))
def test_events_are_taken_in_the_order_of_coding_that_partitions_allow(given: list[tuple[int, int | None]]) -> None:
    (event,) = [EventRecord.model_construct(coded=NOON)]
    read = [
        (
            Record("events", partition, offset, None, b""),
            None if hours is None else event.model_copy(update={"coded": NOON + timedelta(hours=hours)}),
        )
        for offset, (partition, hours) in enumerate(given)
    ]
    ordered = in_order(read)
    assert sorted(record.offset for record, _ in ordered) == list(range(len(given)))
    for partition in range(4):
        offsets = [record.offset for record, _ in ordered if record.partition == partition]
        assert offsets == sorted(offsets)
    # Whatever comes before another, of another partition, was not coded later than all that its partition had before.
    latest: dict[int, object] = {}
    passed: list[object] = []
    for record, found in ordered:
        if found:
            latest[record.partition] = max(latest.get(record.partition, found.coded), found.coded)  # type: ignore[type-var]
        if record.partition in latest:
            passed.append(latest[record.partition])
    assert passed == sorted(passed)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("url", "publisher"),
    [
        ("https://www.bbc.co.uk/news/1", "bbc.co.uk"),
        ("https://edition.example.com:8443/x", "example.com"),
        ("https://[broken", "feed"),
        ("not an address", "feed"),
        ("", "feed"),
        ("http://192.0.2.7/x", "192.0.2.7"),
    ],
)
def test_who_publishes_is_told_by_the_address(url: str, publisher: str) -> None:
    assert publisher_of(url, "feed") == publisher


# --- a restart


def test_a_keeper_that_restarts_before_each_event_makes_the_same(pipeline: Pipeline) -> None:
    events = store_reports(pipeline.store, STORY)
    made = [record for each in events for answer in Keeper(pipeline.store).keep([each]) for record in answer]
    assert made == expected(events)
    assert {record.kind for record in made} == {"new", "updated", "merged_into", "split_from"}
    assert {record.status for record in made} == {"single_source", "corroborated", "contradicted", "retracted"}
    assert max(len(each) for each in revisions(made).values()) > 4


@pytest.mark.parametrize("seed", range(4))
def test_batches_and_restarts_change_nothing(embedded: Pipeline, seed: int) -> None:
    """Many reports with revisions over more than the window, so that incidents close and are opened again."""
    random_ = random.Random(seed)
    codings = [report.coding for report in STORY if report.coding]
    reports, latest = [], Counter[str]()
    for number in range(90):
        name = f"r{random_.randrange(40)}"
        latest[name] += 1
        hours = -24 * 20 + 24 * 23 * number / 90
        coding = None if latest[name] > 1 and random_.random() < 0.3 else dict(random_.choice(codings))
        if coding and coding.get("day", "") is not None:
            coding["day"] = (NOON + timedelta(hours=hours)).date().isoformat()
        reports.append(Report(name, hours, coding, latest[name], hours + random_.choice((0, 0, 5, -5))))
    events = store_reports(embedded.store, reports)
    assert any(each.revision > 1 for each in events)

    made: list[IncidentRecord] = []
    keeper, at = Keeper(embedded.store), 0
    while at < len(events):
        answers = keeper.keep(events[at : at + random_.randrange(1, 20)])
        made += [record for answer in answers for record in answer]
        at += len(answers)
        if random_.random() < 0.5:
            keeper = Keeper(embedded.store)
    at_once = [record for each in _by_themselves(embedded, events) for record in each]
    assert made == at_once


def _by_themselves(pipeline: Pipeline, events: Sequence[EventRecord]) -> list[tuple[IncidentRecord, ...]]:
    """What a keeper that never ends makes of them in a store of its own, one by one."""
    folder = pipeline.settings.data_dir / "other"
    other = Pipeline(Settings(data_dir=folder))
    try:
        # Of closed incidents the events are read from the store.
        for each in events:
            _copy(other, each)
        keeper = Keeper(other.store)
        return [answer for each in events for answer in keeper.keep([each])]
    finally:
        other.close()


def _copy(pipeline: Pipeline, event: EventRecord) -> None:
    with pipeline.store._writing() as connection:
        insert(connection, events_table, [event_row(event, event.coded, None)])


# --- exactly once


def test_incidents_are_on_the_topic_and_in_the_store_each_revision_once(pipeline: Pipeline) -> None:
    events = told_to(pipeline, STORY[:9])
    broken = Outgoing(pipeline.settings.topics.events, b"x", b'{"schema": 99}')
    producer = pipeline.broker.producer()
    producer.send([broken])
    producer.close()
    stats = pipeline.keep()
    assert (stats.events, stats.unreadable) == (len(events) + 1, 1)
    first = pipeline.incidents()
    assert reported(first) == valid(events)
    told_to(pipeline, STORY[9:])
    # The keys are those of the incidents, so that revisions stay in order for readers of the topic.
    pipeline.keep()
    assert len(pipeline.incidents()) > len(first)
    keys = {record.key for record in pipeline.published(pipeline.settings.topics.incidents)}
    assert keys == {record.incident_id.encode() for record in pipeline.incidents()}


def driver(settings: Settings, once: bool, *deaths: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ingest.keeper_driver", str(int(once)), *deaths],
        cwd=ROOT,
        env=os.environ | as_environment(settings) | {"PYTHONPATH": str(ROOT), "CONFLICTWIRE_LOG": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.timeout(300)
def test_a_keeper_killed_anywhere_publishes_each_revision_once_and_in_order(pipeline: Pipeline) -> None:
    """The first dies before it publishes anything, the next two in what makes up for that, and so on."""
    events = told_to(pipeline, STORY)
    deaths = ("stored:1", "sent:1", "published:1", "stored:1")
    if pipeline.settings.broker == "embedded:":  # Kafka takes seconds to let go of what the dead held
        deaths += ("published:2", "sent:1")
    process = driver(pipeline.settings, True, *deaths)
    _, log = process.communicate(timeout=200)
    assert process.returncode == 0, log
    assert pipeline.store.keeper().unpublished
    assert len(pipeline.published(pipeline.settings.topics.incidents)) < len(pipeline.stored_incidents())
    pipeline.keep()
    records = pipeline.incidents()
    assert pipeline.store.keeper() == replace(pipeline.store.keeper(), number=len(events), unpublished=())
    assert reported(records) == valid(events)


class Died(BaseException):
    """A keeper's end, at which nothing is caught."""


def mortal(work: Callable[..., Any], dies: Callable[[], bool]) -> Callable[..., Any]:
    def worked(*arguments: Any) -> Any:
        result = work(*arguments)
        if dies():
            raise Died
        return result

    return worked


def keep_dying(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, dies: Callable[[], bool]) -> Iterator[int]:
    """Keepers one after the other, each of which dies after a commit when `dies` says so; their numbers, until one lives."""
    for owner, name in ((Store, "keep"), (Store, "move_keeper"), (EmbeddedMember, "commit")):
        monkeypatch.setattr(owner, name, mortal(getattr(owner, name), dies))
    for number in count():
        yield number
        try:
            pipeline.keep()
        except Died:
            continue
        return


@pytest.mark.parametrize("seed", range(3))
def test_deaths_at_any_commit_and_other_batches_change_no_order(
    embedded: Pipeline, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_ = random.Random(seed)
    events = told_to(embedded, STORY)
    lives = 0
    for _ in keep_dying(embedded, monkeypatch, lambda: random_.random() < 0.6):
        monkeypatch.setattr("ingest.incidents.READ_AHEAD", random_.randrange(1, 9))
        lives += 1
    assert lives > 3
    assert reported(embedded.incidents()) == valid(events)


def test_records_too_large_for_their_topic_are_passed_over_by_a_keeper_that_dies(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All others are published once and in order, though the batch goes to the topic in parts, between which it dies."""
    limit = sorted(len(record.to_json()) for record in expected(told_to(embedded, STORY)))[-3]
    monkeypatch.setattr("ingest.broker.embedded.MAX_RECORD_BYTES", limit)
    deaths = cycle([False, True])
    lives = list(keep_dying(embedded, monkeypatch, lambda: next(deaths)))
    assert len(lives) > 4
    small = [record for record in map(parse_incident, embedded.stored_incidents()) if len(record.to_json()) <= limit]
    published = [parse_incident(each.value) for each in embedded.published(embedded.settings.topics.incidents)]
    assert revisions(published) == revisions(small)
    assert 0 < len(small) < len(embedded.stored_incidents())
    assert "not published, only stored" in caplog.text


def test_a_group_set_back_by_hand_publishes_nothing_anew(embedded: Pipeline) -> None:
    events = told_to(embedded, STORY)
    embedded.keep()
    before = embedded.incidents()
    with closing(sqlite3.connect(embedded.settings.embedded_path)) as connection, connection:
        assert connection.execute("UPDATE offsets SET committed = 0").rowcount
    stats = embedded.keep()
    assert (stats.events, stats.made.total()) == (len(events), 0)
    assert embedded.incidents() == before


def test_a_topic_made_anew_does_not_hold_a_keeper_up(embedded: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """What was to be published belonged to places in the old one."""
    told_to(embedded, STORY[:2])
    embedded.keep()
    state = embedded.store.keeper()
    embedded.store.move_keeper(state, replace(state, unpublished=(Place(1, 0, 0), Place(2, 4711, 0))))
    assert embedded.keep().made.total() == 0
    assert "the topic was made anew" in caplog.text
    assert embedded.store.keeper() == state
    assert len(embedded.incidents()) == 2


def test_an_event_that_the_store_refuses_is_passed_over(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = told_to(embedded, STORY)
    bad, keep = events[6].event_id, Store.keep

    def refusing(self: Store, kept: Sequence[Kept], *others: Any) -> None:
        if any(each.event.event_id == bad for each in kept):
            raise StoreRejected("refused")
        keep(self, kept, *others)

    monkeypatch.setattr(Store, "keep", refusing)
    monkeypatch.setattr("ingest.incidents.READ_AHEAD", 4)
    assert embedded.keep().events == len(events)
    assert reported(embedded.incidents()) == [each for each in valid(events) if each[0] != bad]
    assert caplog.text.count("passed over an event that the store refuses") == 1


def test_a_keeper_can_be_stopped_and_says_so(embedded: Pipeline) -> None:
    told_to(embedded, STORY[:3])
    process = driver(embedded.settings, once=False)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"batch")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"keeper ended" in log
    assert len(embedded.incidents()) > 0


def test_a_broker_that_does_not_answer_ends_a_keeper_that_works_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path_factory.mktemp("keeper"),
            "broker": "kafka://127.0.0.1:9",
            "kafka": {"connect_timeout": 0.2},
        }
    )
    assert keep_incidents(settings, once=True) == 3


# --- one at a time


def test_a_second_keeper_waits_and_takes_over(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ingest.incidents")
    stops = [threading.Event(), threading.Event()]
    done: list[list[int]] = [[], []]

    def work(at: int) -> threading.Thread:
        def keep() -> None:
            run_keeper(
                pipeline.broker,
                pipeline.store,
                pipeline.settings,
                stop=stops[at],
                on_batch=lambda batch: done[at].append(batch.events),
            )

        thread = threading.Thread(target=keep)
        thread.start()
        return thread

    threads = [work(0)]
    events: list[EventRecord] = []
    try:
        for report in STORY[:4]:  # one after the other, so that their order is that of the story
            events += told_to(pipeline, [report])
            wait_until(lambda: sum(done[0]) == pipeline.store.keeper().number == len(events))  # noqa: B023 - waits here
        kinds = [record.kind for record in pipeline.incidents()]
        assert Counter(kinds) == {"new": 2, "updated": 2, "merged_into": 1, "split_from": 1}
        threads.append(work(1))
        wait_until(lambda: "another keeper is at work on this store" in caplog.text)
        more = told_to(pipeline, STORY[4:8])
        wait_until(lambda: sum(done[0]) == len(events) + len(more))
        # With `once` a keeper waits no longer than there is something to read.
        assert pipeline.keep().events == 0
        stops[0].set()
        threads[0].join(30)
        rest = told_to(pipeline, STORY[8:])
        wait_until(lambda: sum(done[1]) == len(rest))
        assert "took over from the other keeper" in caplog.text
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join(30)
    assert reported(pipeline.incidents()) == valid([*events, *more, *rest])


def test_a_keeper_that_lost_its_lock_unnoticed_writes_nothing(embedded: Pipeline) -> None:
    events = store_reports(embedded.store, STORY[:4])
    first, second = Keeper(embedded.store), Keeper(embedded.store)
    second.keep(events[:1])
    with pytest.raises(Fenced):
        first.keep(events[1:2])
    assert not first.sound
    assert embedded.store.kept_events([events[1].event_id]) == {}
    assert (
        Keeper(embedded.store).keep(events)
        == [
            (),  # kept before
            *(tuple(record for record in expected(events) if record.changed == each.coded) for each in events[1:]),
        ]
    )


@pytest.mark.kafka
@pytest.mark.postgres
def test_the_lock_goes_with_its_connection(servers: Pipeline) -> None:
    import sqlalchemy as sa

    mine, others = servers.store.keeper_lock(), servers.store.keeper_lock()
    assert mine.take() and mine.take() and not others.take()
    with servers.store._engine.begin() as connection:
        ended = connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = 1801807216"
            )
        ).all()
    assert ended
    wait_until(others.take, 10)
    assert not mine.take() and not mine.take()
    others.release()
    assert mine.take()
    mine.release()


# --- what is told


def test_copies_and_one_publishers_stories_are_one_source(embedded: Pipeline) -> None:
    told_to(
        embedded,
        [
            Report("a", 0, {}, story="a"),
            Report("b", 1, {}, story="a"),
            Report("c", 2, {}, publisher="a"),
            Report("d", 3, {}),
        ],
    )
    embedded.keep()
    *_, last = embedded.incidents()
    assert (last.sources, len(last.reports), last.status) == (2, 4, "corroborated")
    assert [report.source for report in last.reports] == [1, 1, 1, 2]
    assert [report.publisher for report in last.reports] == ["a-news.org", "b-news.org", "a-news.org", "d-news.org"]


def test_an_event_of_a_closed_incident_can_be_withdrawn(embedded: Pipeline) -> None:
    told_to(embedded, [Report("a", -24 * 10, {}), Report("b", -24 * 10, {})])
    told_to(embedded, [Report("c", LATER, {"place": JUBA, "day": "2026-11-27"})])
    embedded.keep()
    told_to(embedded, [Report("a", LATER, None, 2), Report("b", LATER, None, 2)])
    embedded.keep()
    (closed,) = (each for each in revisions(embedded.incidents()).values() if each[0].reports[0].article_id == "a")
    assert [(each.revision, each.status) for each in closed][-1] == (4, "retracted")
    assert embedded.store.kept_events([closed[-1].reports[0].event_id]) != {}


def test_events_coded_before_syndication_was_told_are_each_a_story(embedded: Pipeline) -> None:
    (made,) = store_reports(embedded.store, [Report("a", 0, {"place": HERAT})])
    assert made.article.syndication_id is None
    (told,) = store_reports(embedded.store, [Report("b", 0, {"place": HERAT}, story="s")])
    assert told.article.syndication_id == "s"
    ((record,), (joined,)) = Keeper(embedded.store).keep([made, told])
    assert (record.sources, joined.sources) == (1, 2)


def test_a_record_can_be_written_and_read_again(embedded: Pipeline) -> None:
    events = store_reports(embedded.store, STORY)
    for record in expected(events):
        text = record.to_json()
        assert parse_incident(text) == record
        assert parse_incident(text).to_json() == text
        assert replace(record.incident(), revision=1) == replace(parse_incident(text).incident(), revision=1)
