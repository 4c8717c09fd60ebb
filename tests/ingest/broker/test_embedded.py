"""The embedded broker's own matters: its file, its leases, its shares of the partitions."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.broker import Outgoing
from ingest.broker.embedded import (
    SCHEMA,
    EmbeddedBroker,
    EmbeddedMember,
    pack_headers,
    partition_of,
    rebalance,
    unpack_headers,
)
from ingest.errors import BrokerRejected, BrokerUnavailable, Fenced
from tests.ingest.broker.places import Place, poll_until, read_all, values, wait_for
from tests.ingest.broker.test_processes import ROOT, Child
from tests.servers.kafka import die_with_parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def here(path: Path) -> Iterator[Place]:
    place = Place(EmbeddedBroker(path), f"embedded:{path}")
    yield place
    place.close()


# Pure decisions


@pytest.mark.parametrize(
    ("partitions", "members", "owners", "me", "release", "take"),
    [
        pytest.param([1, 2, 3], [7], {}, 7, [], [1, 2, 3], id="alone: all"),
        pytest.param([1, 2, 3], [7, 8], {}, 7, [], [1, 2], id="the first takes one more"),
        pytest.param([1, 2, 3], [7, 8], {}, 8, [], [1], id="the second takes its share of what is free"),
        pytest.param([1, 2, 3, 4], [7, 8], {1: 7, 2: 7, 3: 7, 4: 7}, 7, [3, 4], [], id="one has come: give up half"),
        pytest.param([1, 2, 3, 4], [7, 8], {1: 7, 2: 7, 3: 7, 4: 7}, 8, [], [], id="nothing is free yet: wait"),
        pytest.param([1, 2, 3, 4], [7, 8], {1: 7, 2: 7}, 8, [], [3, 4], id="take what the other gave up"),
        pytest.param(
            [1, 2, 3, 4], [8], {1: 7, 2: 7, 3: 8, 4: 8}, 8, [], [], id="owned by a member that is not yet dead"
        ),
        pytest.param([1], [7, 8], {1: 7}, 8, [], [], id="more members than partitions"),
        pytest.param([1, 2, 3], [7, 8, 9], {2: 9}, 9, [], [], id="a share is kept, not swapped"),
    ],
)
def test_a_member_moves_towards_its_fair_share(
    partitions: list[int], members: list[int], owners: dict[int, int], me: int, release: list[int], take: list[int]
) -> None:
    moves = rebalance(partitions, members, owners, me)
    assert (sorted(moves.release), sorted(moves.take)) == (release, take)


@settings(deadline=None)
@given(st.data())
def test_members_that_move_in_any_order_end_with_fair_shares_and_move_nothing_needlessly(data: st.DataObject) -> None:
    partitions = list(range(data.draw(st.integers(1, 12))))
    members = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=5, unique=True))
    owners = data.draw(st.dictionaries(st.sampled_from(partitions), st.sampled_from(members)))
    moved = 0
    for _ in range(4):
        for me in data.draw(st.permutations(members)):
            moves = rebalance(partitions, members, owners, me)
            assert all(owners[number] == me for number in moves.release)
            assert not moves.take & owners.keys()
            moved += len(moves.release)
            owners = {number: owner for number, owner in owners.items() if number not in moves.release}
            owners |= dict.fromkeys(moves.take, me)
    assert owners.keys() == set(partitions)
    shares = [list(owners.values()).count(member) for member in members]
    assert max(shares) - min(shares) <= 1
    assert moved <= len(partitions)
    assert not any(
        any((moves.release, moves.take)) for moves in (rebalance(partitions, members, owners, m) for m in members)
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.binary())))
def test_headers_come_back_as_packed(headers: list[tuple[str, bytes]]) -> None:
    assert unpack_headers(pack_headers(tuple(headers))) == tuple(headers)


def test_the_partition_of_a_key_never_changes() -> None:
    # Files written by former releases hold keys in these partitions.
    keys = (b"", b"a", b"article-1", b"article-2", bytes(range(256)))
    assert [partition_of(key, 6) for key in keys] == [0, 3, 2, 4, 1]


# The file


def test_any_bytes_come_back(here: Place) -> None:
    headers = st.lists(st.tuples(st.just("h"), st.binary()))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.tuples(st.none() | st.binary(), st.binary(), headers), max_size=20))
    def come_back(records: list) -> None:
        topic = here.topic(1)
        here.producer().send([Outgoing(topic, key, value, tuple(headers)) for key, value, headers in records])
        found = [(record.key, record.value, list(record.headers)) for record in read_all(here, topic)]
        assert found == records

    come_back()


def test_the_file_is_kept_from_one_broker_to_the_next(path: Path) -> None:
    first = Place(EmbeddedBroker(path), "")
    topic = first.topic()
    first.publish(topic, 20)
    first.close()
    second = Place(EmbeddedBroker(path), "")
    assert values(read_all(second, topic)) == list(range(20))
    second.close()


def test_a_file_of_a_newer_schema_is_refused(here: Place, path: Path) -> None:
    here.topic()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(BrokerRejected, match=f"newer Conflictwire .schema {SCHEMA + 1}.*upgrade"):
        here.producer()


def test_a_file_of_another_program_is_refused_and_left_alone(here: Place, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE articles (id)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BrokerRejected, match="another program"):
        here.producer()
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(here: Place, path: Path) -> None:
    path.write_bytes(b"notes " * 1000)
    with pytest.raises(BrokerRejected, match="not a database"):
        here.producer()
    assert path.read_bytes() == b"notes " * 1000


def test_a_lock_that_is_held_too_long_is_told(here: Place, path: Path) -> None:
    topic = here.topic()
    impatient = Place(EmbeddedBroker(path, busy=0.2), "")
    producer = impatient.producer()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerUnavailable, match="locked"):
            producer.send([Outgoing(topic, b"k", b"0")])
        other.execute("ROLLBACK")
    producer.send([Outgoing(topic, b"k", b"1")])
    impatient.close()
    assert values(read_all(here, topic)) == [1]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ingest.broker import Outgoing
from ingest.broker.embedded import EmbeddedBroker
from ingest.errors import BrokerUnavailable
path, source, target, group = sys.argv[1:]
broker = EmbeddedBroker(Path(path))
producer, consumer = broker.producer(), broker.consumer([source], group)
records = consumer.poll(10, 5)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
for number in range(100):
    try:
        producer.send([Outgoing(target, b"k", b"%d" % number + bytes(50_000)) for _ in range(3)])
    except BrokerUnavailable as error:
        print(number, error)
        break
try:
    consumer.commit(records, [Outgoing(target, b"k", b"commit" + bytes(50_000)) for _ in range(30)])
except BrokerUnavailable as error:
    print(len(records), error)
# There is room again.
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
producer.send([Outgoing(target, b"k", b"after")])
again = consumer.poll(10, 5)
consumer.commit(again, [Outgoing(target, b"k", b"done")])
consumer.close()
"""


def test_a_full_disk_is_told_and_leaves_nothing_half_written(here: Place, path: Path) -> None:
    source, target, group = here.topic(1), here.topic(1), here.name()
    here.publish(source, 5)
    here.close()
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), source, target, group],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=die_with_parent,
    )
    assert ran.returncode == 0, ran.stderr
    sent, commit = ran.stdout.splitlines()
    assert all(str(path) in line and "MB free" in line for line in (sent, commit))
    acknowledged = int(sent.split()[0])
    assert acknowledged > 0 and commit.startswith("5 ")
    here.opened.clear()
    found = [record.value.rstrip(b"\0") for record in read_all(here, target)]
    assert found == [b"%d" % number for number in range(acknowledged) for _ in range(3)] + [b"after", b"done"]
    assert sum(row.lag for row in here.broker.lag(source, group)) == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_times_do_not_fall_when_the_clock_is_set_back(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = here.topic(1)
    now = time.time_ns()
    for hours, number in ((0, 0), (-2, 1), (1, 2), (0, 3)):
        monkeypatch.setattr(time, "time_ns", lambda hours=hours: now + hours * 3_600_000_000_000)
        here.publish(topic, 1, start=number)
    records = read_all(here, topic)
    times = [record.timestamp for record in records]
    assert times == sorted(times) and values(records) == [0, 1, 2, 3]
    assert values(poll_until(here.reader(topic, now // 1_000_000 + 1), 2)) == [2, 3]


def test_old_records_are_pruned_save_what_a_group_has_yet_to_read(here: Place) -> None:
    topic, other, group = here.topic(2), here.topic(1), here.name()
    here.publish(topic, 40)
    here.publish(other, 5)
    time.sleep(0.02)
    cut = datetime.now(UTC)
    time.sleep(0.02)
    here.publish(topic, 10, start=40)
    consumer = here.consumer([topic], group)
    records = poll_until(consumer, 50)
    read = [record for record in records if int(record.value) < 30]
    consumer.commit(read, [])
    assert here.broker.prune(cut) == len(read) + 5
    assert values(read_all(here, topic)) == [n for n in range(50) if n not in values(read)]
    assert sum(row.lag for row in here.broker.lag(topic, group)) == 50 - len(read)
    consumer.rewind()
    rest = poll_until(consumer, 50 - len(read))
    consumer.commit(rest, [])
    assert here.broker.prune(cut) == 40 - len(read)
    assert values(read_all(here, topic)) == list(range(40, 50))
    assert here.broker.prune(cut) == 0
    # A reader at an old time, and a group that comes late, start with what there is.
    assert values(poll_until(here.reader(topic, round((cut - timedelta(days=1)).timestamp() * 1000)), 10)) == list(
        range(40, 50)
    )
    assert values(poll_until(here.consumer([topic], here.name()), 10)) == list(range(40, 50))
    assert sum(row.lag for row in here.broker.lag(topic, "late")) == 10


# Leases


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def make(*arguments: str) -> Child:
        children.append(Child(*arguments))
        return children[-1]

    yield make
    for child in children:
        if child.process.returncode is None:
            child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that another process has ended")
def test_the_partitions_of_a_killed_process_are_taken_over_at_once(path: Path, start: Callable[..., Child]) -> None:
    # The lease that the child has taken would outlast this test's patience many times.
    place = Place(EmbeddedBroker(path, lease=3600), f"embedded:{path}")
    source, target, group = place.topic(1), place.topic(1), place.name()
    place.publish(source, 5)
    child = start("copy", place.url, source, target, group, "hold")
    wait_for(lambda: "polled 5" in child.lines)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE members SET expires = expires + 3000")
    child.kill()
    assert values(poll_until(place.consumer([source], group), 5)) == list(range(5))
    place.close()


def test_a_lease_from_before_a_reboot_is_over(path: Path) -> None:
    place = Place(EmbeddedBroker(path, lease=5), "")
    source, group = place.topic(1), place.name()
    place.publish(source, 5)
    before = place.consumer([source], group)
    poll_until(before, 5)
    # The monotonic clock starts anew with the machine, so that former ends of leases lie far ahead.
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE members SET expires = expires + 1000000, process = ''")
    after = place.consumer([source], group)
    assert values(after.poll(10, 0.5)) == list(range(5))
    place.close()


def test_a_member_is_fenced_when_it_lost_a_partition_for_a_moment(here: Place, path: Path) -> None:
    source, group = here.topic(1), here.name()
    here.publish(source, 5)
    member = here.consumer([source], group)
    records = poll_until(member, 5)
    # Another member has had it, and has given it back.
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE owners SET epoch = epoch + 2")
        connection.execute("UPDATE offsets SET committed = 3")
    with pytest.raises(Fenced):
        member.commit(records, [])
    again = poll_until(member, 2)
    member.commit(again, [])
    assert sum(row.lag for row in here.broker.lag(source, group)) == 0


def test_two_members_never_read_as_one_where_the_first_could_not_join(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, group = here.topic(2), here.name()
    here.publish(source, 6)
    first = here.consumer([source], group)

    def full(*_: object) -> None:
        raise BrokerUnavailable("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedMember, "_adopt", full)
        with pytest.raises(BrokerUnavailable):
            first.poll(10, 0)
    second = here.consumer([source], group)
    records = poll_until(second, 6)
    # It has the number now that the first was to have.
    assert first.poll(10, 0) == []
    second.commit(records, [])
    assert sum(row.lag for row in here.broker.lag(source, group)) == 0


def test_a_stopped_process_loses_its_partitions_when_its_lease_ends(path: Path, start: Callable[..., Child]) -> None:
    place = Place(EmbeddedBroker(path, lease=1.5), f"embedded:{path}")
    source, target, group = place.topic(1), place.topic(1), place.name()
    place.publish(source, 5)
    child = start("copy", place.url, source, target, group, "hold")
    wait_for(lambda: "polled 5" in child.lines)
    consumer = place.consumer([source], group)
    assert consumer.poll(10, 0.1) == []
    child.signal(signal.SIGSTOP)
    assert values(poll_until(consumer, 5)) == list(range(5))
    place.close()
