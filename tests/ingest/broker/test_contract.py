"""What every broker promises (ingest/broker/__init__.py), on the embedded one and on a real Kafka."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ingest.broker import Broker, Consumer, Outgoing, Record
from ingest.broker.embedded import EmbeddedBroker
from ingest.broker.kafka import KafkaBroker
from ingest.errors import BrokerRejected, BrokerUnavailable, Fenced, RecordTooLarge
from ingest.settings import load_settings
from tests.ingest.broker.places import PATIENCE, Place, poll_until, read_all, values, wait_for
from tests.servers.kafka import free_ports

MakePlace = Callable[..., Place]


def copies(records: Sequence[Record], topic: str) -> list[Outgoing]:
    return [Outgoing(topic, record.key, record.value) for record in records]


# Publishing and reading


def test_records_of_one_key_keep_their_order(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 500, keys=11)
    place.publish(topic, 500, keys=11, start=500)
    by_key: dict[bytes | None, list[int]] = {}
    for record in read_all(place, topic):
        by_key.setdefault(record.key, []).append(int(record.value))
    assert len(by_key) == 11
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert sum(map(len, by_key.values())) == 1000


def test_a_key_lies_in_one_partition_and_keys_spread_over_all(place: Place) -> None:
    topic = place.topic(partitions=3)
    place.publish(topic, 300, keys=60)
    homes: dict[bytes | None, set[int]] = {}
    for record in read_all(place, topic):
        homes.setdefault(record.key, set()).add(record.partition)
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert set.union(*homes.values()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", b"v", ()),
        (b"k", b"", ()),
        (b"", b"", (("", b""),)),
        (None, b"no key", ()),
        (bytes(range(256)), bytes(range(256)) * 40, (("stage", b"parse"), ("stage", b"\x00\xff"), ("naïve ✓", b"1"))),
    ],
)
def test_keys_values_and_headers_come_back_as_sent(
    place: Place, key: bytes | None, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> None:
    topic = place.topic()
    before = round(time.time() * 1000)
    place.producer().send([Outgoing(topic, key, value, headers)])
    (record,) = read_all(place, topic)
    assert (record.topic, record.key, record.value, record.headers) == (topic, key, value, headers)
    assert before - 1000 <= record.timestamp <= time.time() * 1000 + 1000


def test_records_without_key_are_all_kept(place: Place) -> None:
    topic = place.topic()
    place.producer().send([Outgoing(topic, None, b"%d" % n) for n in range(200)])
    assert values(read_all(place, topic)) == list(range(200))


def test_an_article_of_five_megabytes_passes(place: Place) -> None:
    topic, target = place.topic(), place.topic()
    large = [Outgoing(topic, b"k", bytes([n]) * 5_000_000) for n in range(4)]
    place.producer().send(large)
    consumer = place.consumer([topic], place.name())
    records = poll_until(consumer, 4)
    consumer.commit(records, copies(records, target))
    assert [record.value for record in read_all(place, target)] == [record.value for record in large]


def test_a_record_above_the_limit_is_refused_by_name(place: Place) -> None:
    topic = place.topic()
    producer = place.producer()
    with pytest.raises(RecordTooLarge, match="large"):
        producer.send([Outgoing(topic, b"k", bytes(17 * 1024 * 1024))])
    producer.send([Outgoing(topic, b"k", b"0")])
    assert values(read_all(place, topic)) == [0]


def test_sending_nothing_is_harmless(place: Place) -> None:
    place.producer().send([])
    consumer = place.consumer([place.topic()], place.name())
    consumer.commit([], [])


def test_a_producer_can_be_used_from_several_threads(place: Place) -> None:
    topic = place.topic()
    producer = place.producer()

    def send(start: int) -> None:
        for number in range(start, start + 20):
            producer.send([Outgoing(topic, b"%d" % start, b"%d" % number)])

    threads = [threading.Thread(target=send, args=(start,)) for start in range(0, 100, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(read_all(place, topic)) == list(range(100))


# Readers


def test_a_reader_starts_at_the_beginning_or_at_the_end(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 10)
    earliest, latest = place.reader(topic, "earliest"), place.reader(topic, "latest")
    assert latest.at_end() and not earliest.at_end()
    place.publish(topic, 5, start=10)
    assert values(poll_until(earliest, 15)) == list(range(15))
    assert values(poll_until(latest, 5)) == list(range(10, 15))


def test_a_reader_starts_at_a_time(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 20)
    time.sleep(0.05)
    middle = round(time.time() * 1000)
    time.sleep(0.05)
    place.publish(topic, 5, keys=1, start=20)
    assert values(poll_until(place.reader(topic, middle), 5)) == list(range(20, 25))
    assert values(poll_until(place.reader(topic, 0), 25)) == list(range(25))
    later = place.reader(topic, middle + 3_600_000)
    assert later.at_end() and later.poll(10, 0.1) == []


def test_a_reader_is_at_the_end_when_it_has_all_that_there_was_when_it_was_opened(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 30)
    reader = place.reader(topic)
    place.publish(topic, 30, start=30)
    seen: list[Record] = []
    while not reader.at_end():
        seen += reader.poll(7, 1.0)
    assert set(range(30)) <= set(values(seen))
    assert values(seen + poll_until(reader, 60 - len(seen))) == list(range(60))


def test_a_reader_of_an_empty_topic_is_at_the_end(place: Place) -> None:
    reader = place.reader(place.topic())
    assert reader.at_end() and reader.poll(10, 0.05) == []


def test_a_reader_reaches_the_end_behind_committed_and_failed_outputs(place: Place) -> None:
    source, target = place.topic(), place.topic()
    place.publish(source, 12)
    consumer = place.consumer([source], place.name())
    records = poll_until(consumer, 12)
    consumer.commit(records[:6], copies(records[:6], target))
    with pytest.raises(RecordTooLarge):
        consumer.commit(records[6:], [*copies(records[6:], target), Outgoing(target, b"k", bytes(17 * 1024 * 1024))])
    reader = place.reader(target)
    assert values(poll_until(reader, 6)) == values(records[:6])
    assert reader.at_end()


def test_a_poll_gives_no_more_than_asked_for(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 100)
    reader = place.reader(topic)
    consumer = place.consumer([topic], place.name())
    for each in (reader, consumer):
        seen: list[Record] = []
        while len(seen) < 100:
            records = each.poll(9, 0.5)
            assert len(records) <= 9
            seen += records
        assert values(seen) == list(range(100))


# Groups


def test_a_commit_publishes_outputs_and_marks_the_consumed_as_read(place: Place) -> None:
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 40)
    consumer = place.consumer([source], group)
    done: list[Record] = []
    while len(done) < 40:
        records = consumer.poll(15, 0.5)
        consumer.commit(records, copies(records, target))
        done += records
    assert values(read_all(place, target)) == values(done) == list(range(40))
    assert sum(row.lag for row in place.broker.lag(source, group)) == 0
    consumer.close()
    assert place.consumer([source], group).poll(10, 2.0) == []


def test_a_commit_that_fails_publishes_nothing_and_marks_nothing(place: Place) -> None:
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 10)
    consumer = place.consumer([source], group)
    records = poll_until(consumer, 10)
    too_large = Outgoing(target, b"k", bytes(17 * 1024 * 1024))
    for bad in (too_large, Outgoing(place.name(), b"k", b"no such topic")):
        with pytest.raises(BrokerRejected):
            consumer.commit(records, [*copies(records, target), bad])
        assert read_all(place, target) == []
        assert sum(row.lag for row in place.broker.lag(source, group)) == 10
    consumer.commit(records, copies(records, target))
    assert values(read_all(place, target)) == list(range(10))


def test_outputs_can_go_to_several_topics_and_consumed_come_from_several(place: Place) -> None:
    sources, targets, group = [place.topic(), place.topic(1)], [place.topic(), place.topic()], place.name()
    for number, source in enumerate(sources):
        place.publish(source, 10, start=10 * number)
    consumer = place.consumer(sources, group)
    records = poll_until(consumer, 20)
    consumer.commit(records, [copy for target in targets for copy in copies(records, target)])
    for target in targets:
        assert values(read_all(place, target)) == list(range(20))
    assert sum(row.lag for source in sources for row in place.broker.lag(source, group)) == 0


def test_what_was_not_committed_comes_again_after_rewind(place: Place) -> None:
    topic, group = place.topic(), place.name()
    place.publish(topic, 30)
    consumer = place.consumer([topic], group)
    first = consumer.poll(10, 5.0)
    consumer.commit(first, [])
    poll_until(consumer, 30 - len(first))
    consumer.rewind()
    assert values(first + poll_until(consumer, 30 - len(first))) == list(range(30))


def test_what_was_not_committed_comes_again_to_the_next_member(place: Place) -> None:
    topic, group = place.topic(), place.name()
    place.publish(topic, 30)
    consumer = place.consumer([topic], group)
    records = poll_until(consumer, 30)
    mine = [record for record in records if record.partition == 0]
    consumer.commit(mine, [])
    consumer.close()
    rest = poll_until(place.consumer([topic], group), 30 - len(mine))
    assert values(mine + rest) == list(range(30))


def test_a_commit_of_what_a_rewind_forgot_is_fenced(place: Place) -> None:
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 5)
    consumer = place.consumer([source], group)
    records = poll_until(consumer, 5)
    consumer.rewind()
    with pytest.raises(Fenced):
        consumer.commit(records, copies(records, target))
    again = poll_until(consumer, 5)
    consumer.commit(again, copies(again, target))
    assert values(read_all(place, target)) == list(range(5))


def test_a_member_can_commit_what_one_before_it_polled(place: Place) -> None:
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 30)
    first = place.consumer([source], group)
    records = poll_until(first, 30)
    committed = [record for record in records if record.partition == 0]
    first.commit(committed, copies(committed, target))
    first.close()
    second = place.consumer([source], group)
    places = [Record(record.topic, record.partition, record.offset, None, b"") for record in records]
    assert second.reclaim(places) is None
    left = reclaimed(second, places)
    assert left == [each for each in places if each.partition != 0]
    second.commit(left, copies([record for record in records if record.partition != 0], target))
    assert second.reclaim(places) == []
    place.publish(source, 5, start=30)
    second.rewind()
    assert values(poll_until(second, 5)) == list(range(30, 35))
    assert values(read_all(place, target)) == list(range(30))


def reclaimed(consumer: Consumer, records: Sequence[Record]) -> list[Record]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        consumer.poll(1, 0.2)
        if (left := consumer.reclaim(records)) is not None:
            return left
    pytest.fail("the partitions did not come")


def test_what_was_reclaimed_cannot_be_committed_by_one_that_lost_its_partitions(make_place: MakePlace) -> None:
    place = make_place(max_poll=1.5, session=1.5)
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 10)
    slow = place.consumer([source], group)
    records = poll_until(slow, 10)
    slow.rewind()
    assert reclaimed(slow, records) == records
    other = place.consumer([source], group)
    taken = poll_until(other, 10)
    other.commit(taken, copies(taken, target))
    with pytest.raises(Fenced):
        slow.commit(records, copies(records, target))
    assert Counter(values(read_all(place, target))) == Counter(range(10))


def test_groups_read_independently(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 10)
    for group in (place.name(), place.name()):
        consumer = place.consumer([topic], group)
        records = poll_until(consumer, 10)
        consumer.commit(records, [])
        assert values(records) == list(range(10))


def work(place: Place, consumer: Consumer, target: str, stop: threading.Event, seen: list[int]) -> None:
    while not stop.is_set():
        try:
            records = consumer.poll(5, 0.1)
            consumer.commit(records, copies(records, target))
        except Fenced:
            continue
        seen += [record.partition for record in records]


def test_two_members_share_the_partitions_and_each_record_is_consumed_once(place: Place) -> None:
    source, target, group = place.topic(4), place.topic(), place.name()
    stops = [threading.Event(), threading.Event()]
    seen: list[list[int]] = [[], []]
    members = [place.consumer([source], group) for _ in stops]
    threads = [
        threading.Thread(target=work, args=(place, member, target, stop, shares))
        for member, stop, shares in zip(members, stops, seen, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        count = 0

        def both_work() -> bool:
            nonlocal count
            seen[0].clear(), seen[1].clear()
            place.publish(source, 40, keys=40, start=count)
            count += 40
            time.sleep(0.3)
            return bool(seen[0] and seen[1]) and not set(seen[0]) & set(seen[1])

        wait_for(both_work)
        # One leaves; the other takes over what is published from now on.
        stops[0].set()
        threads[0].join()
        members[0].close()
        place.publish(source, 40, keys=40, start=count)
        wait_for(lambda: sum(row.lag for row in place.broker.lag(source, group)) == 0)
    finally:
        for stop, thread in zip(stops, threads, strict=True):
            stop.set()
            thread.join()
    assert values(read_all(place, target)) == list(range(count + 40))


def test_a_member_without_partitions_is_at_the_end(place: Place) -> None:
    topic, group = place.topic(1), place.name()
    owner, spare = place.consumer([topic], group), place.consumer([topic], group)
    place.publish(topic, 3)
    got: list[Record] = []

    def settled() -> bool:
        got.extend(owner.poll(10, 0.2))
        got.extend(spare.poll(10, 0.2))
        return len(got) >= 3 and owner.position_at_end() and spare.position_at_end()

    wait_for(settled)


def test_a_member_knows_when_all_is_read(place: Place) -> None:
    topic = place.topic()
    place.publish(topic, 12)
    consumer = place.consumer([topic], place.name())
    assert not consumer.position_at_end()
    records = poll_until(consumer, 11, max_records=11)
    assert consumer.position_at_end() == (len(records) == 12)
    poll_until(consumer, 12 - len(records))
    assert consumer.poll(10, 0.5) == []
    assert consumer.position_at_end()
    consumer.rewind()
    assert not consumer.position_at_end()


def test_a_member_keeps_its_partitions_while_it_codes_for_long(make_place: MakePlace) -> None:
    place = make_place(session=1.0)
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 10)
    consumer, other = place.consumer([source], group), place.consumer([source], group)
    records = poll_until(consumer, 10)
    stolen = []
    for _ in range(5):
        stolen += other.poll(10, 0.5)
    consumer.commit(records, copies(records, target))
    assert stolen == []
    assert values(read_all(place, target)) == list(range(10))


def test_a_member_that_lost_its_partitions_is_fenced(make_place: MakePlace) -> None:
    place = make_place(max_poll=1.5, session=1.5)
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 10)
    slow, other = place.consumer([source], group), place.consumer([source], group)
    lost = poll_until(slow, 10)
    taken = poll_until(other, 10)
    other.commit(taken, copies(taken, target))
    with pytest.raises(Fenced):
        slow.commit(lost, copies(lost, target))
    assert Counter(values(read_all(place, target))) == Counter(range(10))
    # Back in the group, it starts from what the other has committed.
    other.close()
    place.publish(source, 5, start=10)
    again = poll_until(slow, 5)
    slow.commit(again, copies(again, target))
    assert values(again) == list(range(10, 15))
    assert values(read_all(place, target)) == list(range(15))


def test_a_member_that_keeps_in_touch_can_work_longer_than_the_poll_interval(make_place: MakePlace) -> None:
    place = make_place(max_poll=1.5, session=1.5)
    source, target, group = place.topic(), place.topic(), place.name()
    place.publish(source, 10)
    slow = place.consumer([source], group)
    polled = poll_until(slow, 10)
    # More than was polled: nothing of it may be passed over by keeping in touch.
    place.publish(source, 5, start=10)
    busy_until = time.monotonic() + 5.0
    while time.monotonic() < busy_until:
        slow.keep()
        time.sleep(0.2)
    slow.commit(polled, copies(polled, target))
    rest = poll_until(slow, 5)
    slow.commit(rest, copies(rest, target))
    assert values(read_all(place, target)) == list(range(15))


# Topics and lag


def test_lag_is_what_a_group_has_yet_to_read(place: Place) -> None:
    topic, group = place.topic(4), place.name()
    assert [(row.partition, row.committed, row.end) for row in place.broker.lag(topic, group)] == [
        (number, 0, 0) for number in range(4)
    ]
    place.publish(topic, 50)
    assert sum(row.lag for row in place.broker.lag(topic, group)) == 50
    consumer = place.consumer([topic], group)
    records = poll_until(consumer, 50)
    assert sum(row.lag for row in place.broker.lag(topic, group)) == 50
    consumer.commit(records[:20], [])
    rows = place.broker.lag(topic, group)
    assert sum(row.lag for row in rows) == 30
    assert [(row.topic, row.partition) for row in rows] == [(topic, number) for number in range(4)]


def test_topics_can_be_ensured_again_and_keep_their_partitions(place: Place) -> None:
    topic = place.topic(2)
    place.publish(topic, 10)
    other = place.name()
    place.broker.ensure_topics({topic: 5, other: 3})
    assert len(place.broker.lag(topic, "any")) == 2
    assert len(place.broker.lag(other, "any")) == 3
    assert values(read_all(place, topic)) == list(range(10))


def test_topics_can_be_ensured_by_several_at_once(place: Place) -> None:
    names = {place.name(): 2 for _ in range(4)}
    failures: list[Exception] = []

    def ensure() -> None:
        try:
            place.broker.ensure_topics(names)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(len(place.broker.lag(name, "any")) == 2 for name in names)


USES: dict[str, Callable[[Broker, str], object]] = {
    "producer": lambda broker, topic: broker.producer().send([Outgoing(topic, b"k", b"v")]),
    "consumer": lambda broker, topic: broker.consumer([topic], "g"),
    "reader": lambda broker, topic: broker.reader(topic),
    "lag": lambda broker, topic: broker.lag(topic, "g"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_an_unknown_topic_is_named(place: Place, use: Callable[[Broker, str], object]) -> None:
    place.broker.ensure_topics({})
    with pytest.raises(BrokerRejected, match="no-such-topic"):
        use(place.broker, "no-such-topic")


def unreachable_kafka() -> tuple[Broker, str]:
    (port,) = free_ports(1)
    settings = load_settings(broker=f"kafka://127.0.0.1:{port}", kafka={"connect_timeout": 0.5})
    return KafkaBroker(settings), f"127.0.0.1:{port}"


def unreachable_embedded() -> tuple[Broker, str]:
    return EmbeddedBroker(Path("/dev/null/broker.db")), "/dev/null/broker.db"


@pytest.mark.parametrize("unreachable", [unreachable_kafka, unreachable_embedded])
@pytest.mark.parametrize(
    "use", [*USES.values(), lambda broker, topic: broker.ensure_topics({topic: 1})], ids=[*USES.keys(), "ensure_topics"]
)
def test_a_broker_out_of_reach_is_named(
    unreachable: Callable[[], tuple[Broker, str]], use: Callable[[Broker, str], object]
) -> None:
    broker, address = unreachable()
    threads = threading.active_count()
    with pytest.raises(BrokerUnavailable, match=address):
        use(broker, "topic")
    assert threading.active_count() <= threads
