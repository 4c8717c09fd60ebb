"""The doctor finds what is wrong, and above all whether store and topic hold the same events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import models
from ingest.broker import Outgoing, Record
from ingest.doctor import Difference, Published, agreement, compare, examine, judge, published_events, skew
from ingest.errors import SettingsError
from ingest.records import EventRecord
from ingest.settings import Settings, Topics
from tests.ingest.cli_driver import StandIn
from tests.ingest.command import call, record
from tests.ingest.pipeline import Pipeline, article
from tests.ingest.storage.samples import NOON

LATER = NOON + timedelta(hours=1)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyword coder in place of the model."""
    monkeypatch.setattr(models, "Coder", StandIn, raising=False)


def on_topic(*events: EventRecord, first_offset: int = 0, at: datetime = NOON) -> Published:
    records = [
        Record("events", 0, first_offset + number, b"", event.to_json(), timestamp=int(at.timestamp() * 1000))
        for number, event in enumerate(events)
    ]
    return published_events(records, lambda event_id: True)


def event(name: str, revision: int = 1) -> EventRecord:
    return record(name=name, revision=revision)


@pytest.mark.parametrize(
    ("published", "stored", "difference"),
    [
        ([event("a"), event("b")], [event("b"), event("a")], Difference(0, 0)),
        ([event("a"), event("a", 2)], [event("a", 2)], Difference(0, 0)),
        ([event("a"), event("b")], [event("a")], Difference(not_stored=1, not_published=0)),
        ([event("a", 1), event("a", 2)], [event("a", 1)], Difference(not_stored=1, not_published=0)),
        ([event("a")], [event("a"), event("b")], Difference(not_stored=0, not_published=1)),
        ([event("a")], [event("a", 2)], Difference(not_stored=0, not_published=1)),
        ([], [], Difference(0, 0)),
    ],
)
def test_store_and_topic_are_compared_event_by_event(
    published: Sequence[EventRecord], stored: Sequence[EventRecord], difference: Difference
) -> None:
    assert compare(on_topic(*published), stored, LATER) == difference


def test_what_was_coded_after_the_topic_was_read_is_no_difference() -> None:
    assert compare(on_topic(), [event("a")], until=NOON) == Difference(0, 0)


def test_what_retention_has_dropped_from_the_topic_is_no_difference() -> None:
    pruned = on_topic(event("b"), first_offset=7, at=NOON)
    assert pruned.complete_since == NOON
    assert compare(pruned, [event("a"), event("b")], LATER) == Difference(0, 0)


def test_events_published_twice_or_out_of_order_are_found() -> None:
    found = on_topic(event("a"), event("a"), event("b", 2), event("b", 1))
    assert len(found.doubled) == 1
    assert len(found.unordered) == 1


@pytest.mark.parametrize(
    ("published", "difference", "waiting", "status"),
    [
        (Published({"a": 1}), Difference(0, 0), 0, "ok"),
        (Published({"a": 1}), Difference(1, 0), 0, "fail"),
        (Published({"a": 1}), Difference(0, 1), 0, "fail"),
        (Published({"a": 1}), Difference(0, 1), 5, "warn"),
        (Published({"a": 1}), Difference(1, 1), 5, "fail"),
        (Published({"a": 1}, doubled={"a"}), Difference(0, 0), 0, "fail"),
        (Published({"a": 1}, unordered={"a"}), Difference(0, 0), 0, "fail"),
        (Published({"a": 1}, unreadable=1), Difference(0, 0), 0, "fail"),
    ],
)
def test_a_difference_is_a_failure_unless_a_worker_will_mend_it(
    published: Published, difference: Difference, waiting: int, status: str
) -> None:
    finding = judge(published, difference, waiting, every=1)
    assert finding.status == status
    assert bool(finding.advice) == (status != "ok")


def test_a_healthy_pipeline_is_found_healthy(pipeline: Pipeline) -> None:
    pipeline.publish([article(number) for number in range(20)])
    pipeline.work(StandIn())
    findings = list(examine(lambda: pipeline.settings))
    assert {finding.status for finding in findings} == {"ok"}, findings
    assert "hold the same 50 events" in findings[-1].says


def test_an_event_on_the_topic_that_the_store_does_not_know_is_found(pipeline: Pipeline) -> None:
    pipeline.publish([Outgoing(pipeline.settings.topics.events, b"a", record().to_json())])
    finding = agreement(pipeline.broker, pipeline.store, pipeline.settings)
    assert finding.status == "fail"
    assert "1 on the topic and not in the store" in finding.says


def test_articles_that_wait_and_dead_letters_are_warnings(embedded: Pipeline) -> None:
    embedded.publish([article(1, text="POISON")])
    embedded.work(StandIn())
    embedded.publish([article(2)])
    answer = call("doctor", "--data-dir", embedded.settings.data_dir)
    assert answer.code == 0
    assert re.search(r"^warn +lag +1 articles wait", answer.out, re.M)
    assert re.search(r"^warn +dead +1 dead letters", answer.out, re.M)
    assert "→ conflictwire dead list" in answer.out


def test_a_fresh_machine_is_told_that_topics_are_made_on_first_use(tmp_path: Path) -> None:
    answer = call("doctor", "--data-dir", tmp_path / "new")
    assert answer.code == 0
    assert re.search(r"^warn +broker .*does not exist", answer.out, re.M)


def test_settings_that_are_wrong_are_the_only_finding() -> None:
    def load() -> Settings:
        raise SettingsError("setting broker: nonsense")

    (finding,) = examine(load)
    assert (finding.status, finding.says) == ("fail", "setting broker: nonsense")


def test_servers_that_do_not_answer_are_named_and_end_it_with_3(tmp_path: Path) -> None:
    answer = call("doctor", "--store", "postgresql://user:secret@127.0.0.1:9/none", "--data-dir", tmp_path)
    assert answer.code == 3
    assert re.search(r"^fail +store .*127\.0\.0\.1", answer.out, re.M)
    assert "secret" not in answer.out
    assert re.search(r"^(ok|warn) +broker", answer.out, re.M)


def test_a_catalogue_that_cannot_be_read_ends_it_with_1(tmp_path: Path) -> None:
    (tmp_path / "feeds.toml").write_text("nonsense")
    answer = call("doctor", "--data-dir", tmp_path)
    assert answer.code == 1
    assert re.search(r"^fail +feeds .*not TOML", answer.out, re.M)


def test_of_many_events_a_sample_is_compared(embedded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.doctor._COMPARED", 10)
    embedded.publish([article(number) for number in range(20)])
    embedded.work(StandIn())
    finding = agreement(embedded.broker, embedded.store, embedded.settings)
    assert finding.status == "ok"
    assert "one in 5 compared" in finding.says
    whole = agreement(embedded.broker, embedded.store, embedded.settings, full=True)
    assert whole.says == "store and topic hold the same 50 events"


def test_in_full_the_one_difference_is_found_wherever_it_is(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.doctor._COMPARED", 10)
    embedded.publish([article(number) for number in range(20)])
    embedded.work(StandIn())
    embedded.publish([Outgoing(embedded.settings.topics.events, b"a", record().to_json())])
    finding = agreement(embedded.broker, embedded.store, embedded.settings, full=True)
    assert finding.status == "fail"
    assert "1 on the topic and not in the store" in finding.says


@pytest.mark.parametrize(
    ("seconds", "status", "says"), [(0.2, "ok", "within"), (60, "warn", "60 s ahead"), (-60, "warn", "60 s behind")]
)
def test_a_clock_that_differs_from_the_database_is_a_warning(seconds: float, status: str, says: str) -> None:
    finding = skew(seconds)
    assert finding.status == status
    assert says in finding.says


def test_topics_of_other_names_are_looked_at(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, topics=Topics(events="mine"))
    pipeline = Pipeline(settings)
    pipeline.publish([Outgoing("mine", b"a", record().to_json())])
    assert agreement(pipeline.broker, pipeline.store, settings).status == "fail"
    pipeline.close()
