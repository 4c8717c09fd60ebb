"""Following the topic of events, on each broker, in this process and as a user does."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Literal

import pytest

from ingest.broker import Outgoing, Record
from ingest.errors import RecordError
from ingest.records import EventRecord
from ingest.storage import EventFilter
from ingest.tail import read_events
from tests.ingest.command import call, finish, on_terminal, record, start
from tests.ingest.pipeline import Pipeline
from tests.ingest.storage.samples import BARE, EVENT


def publish(pipeline: Pipeline, *events: EventRecord | bytes) -> None:
    """Publish to the topic of events."""
    topic = pipeline.settings.topics.events
    producer = pipeline.broker.producer()
    for event in events:
        if isinstance(event, bytes):
            producer.send([Outgoing(topic, b"strange", event)])
        else:
            producer.send([Outgoing(topic, event.article.article_id.encode(), event.to_json())])
    producer.close()


def read(
    pipeline: Pipeline,
    wanted: Callable[[EventRecord], bool] = lambda event: True,
    start: Literal["earliest", "latest"] | int = "earliest",
    on_unreadable: Callable[[Record, RecordError], None] = lambda record, error: None,
) -> list[EventRecord]:
    """All that is there."""
    with closing(pipeline.broker.reader(pipeline.settings.topics.events, start)) as reader:
        batches = read_events(reader, wanted, follow=False, on_unreadable=on_unreadable)
        return [event for batch in batches for event in batch]


def test_without_following_it_ends_when_all_that_is_there_is_read(pipeline: Pipeline) -> None:
    assert read(pipeline) == []
    events = [record(name=f"a{number}") for number in range(20)]
    publish(pipeline, *events)
    assert sorted(read(pipeline), key=lambda event: event.event_id) == sorted(events, key=lambda event: event.event_id)


def test_the_order_of_an_article_is_kept(pipeline: Pipeline) -> None:
    events = [record(revision=revision) for revision in range(1, 30)]
    publish(pipeline, *events)
    assert read(pipeline) == events


def test_events_that_do_not_match_are_left_out(pipeline: Pipeline) -> None:
    publish(pipeline, record(), record(BARE), record(revision=2, status="retracted"))
    assert [event.type for event in read(pipeline, EventFilter(types=("PROTEST",)).matches)] == ["PROTEST"]
    retracted = EventFilter(types=("ASSAULT",), include_retracted=True).matches
    assert [event.status for event in read(pipeline, retracted)] == ["new", "retracted"]


def test_a_record_that_is_no_event_is_told_of_and_passed_over(pipeline: Pipeline) -> None:
    seen: list[str] = []
    publish(pipeline, record(), b"{not json", b'{"schema": 99}', record(BARE))
    found = read(pipeline, on_unreadable=lambda record, error: seen.append(str(error)))
    assert len(found) == 2
    assert len(seen) == 2


def test_it_follows_until_it_is_stopped(pipeline: Pipeline) -> None:
    stop = threading.Event()
    found: list[EventRecord] = []
    with closing(pipeline.broker.reader(pipeline.settings.topics.events, "latest")) as reader:

        def follow() -> None:
            batches = read_events(
                reader, lambda event: True, follow=True, stopped=stop.is_set, on_unreadable=lambda *_: None
            )
            for batch in batches:
                found.extend(batch)
                if found:
                    stop.set()

        thread = threading.Thread(target=follow)
        thread.start()
        publish(pipeline, record())
        thread.join(60)
        assert not thread.is_alive()
    assert found == [record()]


# --- as a user does ---


@pytest.fixture
def tails(pipeline: Pipeline) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `conflictwire tail` processes, which end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def tail(*arguments: str) -> subprocess.Popen[bytes]:
        started.append(start(pipeline.settings, "tail", *arguments))
        return started[-1]

    yield tail
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout
    return process.stdout.readline()


def test_a_follower_gets_events_as_json_and_ends_on_ctrl_c(
    pipeline: Pipeline, tails: Callable[..., subprocess.Popen[bytes]]
) -> None:
    publish(pipeline, record())
    process = tails("--since", "2020-01-01", "--format", "json")
    assert json.loads(first_line(process))["type"] == "ASSAULT"
    publish(pipeline, record(BARE))
    assert json.loads(first_line(process))["type"] == "PROTEST"
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert (answer.code, answer.out, answer.err) == (130, "", "")


def test_a_follower_ends_when_nobody_reads_it_though_nothing_happens(
    pipeline: Pipeline, tails: Callable[..., subprocess.Popen[bytes]]
) -> None:
    publish(pipeline, record())
    process = tails("--since", "2020-01-01")
    assert first_line(process)
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    answer = finish(process)
    assert (answer.code, answer.err) == (0, "")


def test_a_pipe_that_is_closed_amid_many_events_is_no_error(
    pipeline: Pipeline, tails: Callable[..., subprocess.Popen[bytes]]
) -> None:
    publish(pipeline, *(record(name=f"a{number}") for number in range(300)))
    process = tails("--no-follow")
    assert first_line(process)
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    answer = finish(process)
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ((), 3),
        (("--type", "ASSAULT"), 2),
        (("--type", "ASSAULT", "--type", "PROTEST"), 3),
        (("--country", "irq"), 2),
        (("--country", "UKR"), 0),
        (("--country", "UKR", "--country", "SYR"), 2),
        (("--realis", "future"), 1),
        (("--realis", "future", "--type", "ASSAULT"), 0),
        (("--feed", "other"), 1),
        (("--feed", "other", "--feed", "wire"), 3),
        (("--min-confidence", "0.8"), 2),
        (("--since", "2099-01-01"), 0),
        (("--since", "2020-01-01"), 3),
    ],
)
def test_filters_of_one_kind_add_up_and_of_different_kinds_must_all_pass(
    embedded: Pipeline, filters: tuple[str, ...], count: int
) -> None:
    publish(embedded, record(), record(BARE), record(EVENT, name="b", feed="other"))
    answer = call("tail", "--no-follow", *filters, "--data-dir", embedded.settings.data_dir)
    assert answer.code == 0, answer.err
    assert len(answer.lines) == count


def test_a_terminal_shows_colours_and_a_pipe_one_plain_line_an_event(embedded: Pipeline) -> None:
    publish(embedded, record())
    code, shown = on_terminal(embedded.settings, "tail", "--no-follow")
    assert code == 0
    assert "\x1b[1;91mASSAULT\x1b[0m" in shown
    assert "\x1b[4;91mbombed\x1b[0m" in shown
    plain = finish(start(embedded.settings, "tail", "--no-follow"))
    assert "\x1b" not in plain.out
    assert len(plain.lines) == 1


def test_no_color_is_respected(embedded: Pipeline) -> None:
    publish(embedded, record())
    process = start(embedded.settings, "tail", "--no-follow", environment={"NO_COLOR": "1", "FORCE_COLOR": "1"})
    shown = finish(process).out
    assert "[91m" not in shown
    assert ";91m" not in shown


def test_a_strange_record_is_named_on_standard_error(embedded: Pipeline) -> None:
    publish(embedded, b"strange", record())
    answer = finish(start(embedded.settings, "tail", "--no-follow", "--format", "json"))
    assert answer.code == 0
    assert len(answer.lines) == 1
    assert "passed over events/" in answer.err
