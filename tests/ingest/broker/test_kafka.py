"""The Kafka broker where Kafka is not like the embedded one, and where it fails."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import MemberToRemove
from kafka.structs import TopicPartition

from ingest.broker import Outgoing, Record
from ingest.broker.kafka import KafkaBroker, next_offsets, parse_servers
from ingest.errors import BrokerRejected, BrokerUnavailable, Fenced, RecordTooLarge, SettingsError
from ingest.settings import load_settings
from tests.ingest.broker.places import Place, poll_until, read_all, values, wait_for
from tests.servers.kafka import KafkaServer, require_kafka

pytestmark = pytest.mark.kafka

QUICK = {"session_timeout": 3.0, "transaction_timeout": 3.0, "request_timeout": 3.0, "connect_timeout": 3.0}


def place_at(bootstrap: str, **limits: object) -> Place:
    url = f"kafka://{bootstrap}"
    return Place(KafkaBroker(load_settings(broker=url, kafka=QUICK | limits)), url)


@pytest.fixture
def shared(kafka: str) -> Iterator[Place]:
    place = place_at(kafka)
    yield place
    place.close()


@pytest.fixture(scope="module")
def fragile_server() -> Iterator[KafkaServer]:
    require_kafka()
    server = KafkaServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def fragile(fragile_server: KafkaServer) -> Iterator[Place]:
    place = place_at(fragile_server.bootstrap)
    yield place
    place.close()


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://host:9092", ["host:9092"]),
        ("kafka://a:1,b:2, c/", ["a:1", "b:2", "c"]),
        ("kafka://[::1]:9092", ["[::1]:9092"]),
    ],
)
def test_addresses_can_be_parsed(url: str, servers: list[str]) -> None:
    assert parse_servers(url) == servers


@pytest.mark.parametrize("url", ["kafka://", "kafka://a:1,,b:2", "kafka://user:secret@host:1", "kafka://host:port"])
def test_wrong_addresses_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="setting broker"):
        parse_servers(url)


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"security_protocol": "SASL_SSL", "username": "u", "password": "p"}, "sasl_mechanism"),
        ({"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "username": "u"}, "password"),
        ({"security_protocol": "SSL", "ssl_cafile": "/no/such/file"}, "ssl"),
    ],
)
def test_security_settings_that_lack_something_are_refused(limits: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        KafkaBroker(load_settings(broker="kafka://localhost:9092", kafka=limits))


def test_next_offsets_are_those_after_the_last_record_of_each_partition() -> None:
    consumed = [Record("t", 0, 4, None, b""), Record("t", 1, 9, None, b""), Record("t", 0, 2, None, b"")]
    assert next_offsets(consumed) == {TopicPartition("t", 0): 5, TopicPartition("t", 1): 10}


def test_records_of_other_programs_can_be_read(shared: Place, kafka: str) -> None:
    topic = shared.topic(1)
    foreign = KafkaProducer(bootstrap_servers=kafka)
    foreign.send(topic, value=b"no key")
    foreign.send(topic, key=b"tombstone", value=None)
    foreign.send(topic, key=b"", value=b"", headers=[("h", b"")])
    foreign.close()
    read = [(record.key, record.value, record.headers) for record in read_all(shared, topic)]
    assert read == [(None, b"no key", ()), (b"tombstone", b"", ()), (b"", b"", (("h", b""),))]


def test_an_open_transaction_is_not_read_before_it_is_committed(shared: Place, kafka: str) -> None:
    topic = shared.topic(1)
    other = KafkaProducer(bootstrap_servers=kafka, transactional_id=shared.name())
    other.init_transactions()
    reader = shared.reader(topic)
    for commit in (True, False):
        other.begin_transaction()
        other.send(topic, b"1", b"k").get(10)
        assert reader.poll(10, 0.5) == []
        assert shared.reader(topic, "latest").at_end()
        if commit:
            other.commit_transaction()
            assert values(poll_until(reader, 1)) == [1]
        else:
            other.abort_transaction()
            assert reader.poll(10, 0.5) == []
    # Markers and the records of the aborted one lie at the end.
    assert values(read_all(shared, topic)) == [1]
    other.close()


def test_a_record_above_the_topics_own_limit_is_refused(shared: Place, kafka: str) -> None:
    source, small = shared.topic(1), shared.name()
    with_limit = {small: {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "10000"}}}
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics(with_limit)
    admin.wait_for_topics([small])
    admin.close()
    producer = shared.producer()
    with pytest.raises(RecordTooLarge, match=r"max\.message\.bytes"):
        producer.send([Outgoing(small, b"k", bytes(20_000))])
    producer.send([Outgoing(small, b"k", b"0"), Outgoing(source, b"k", b"1")])
    consumer = shared.consumer([source], shared.name())
    records = poll_until(consumer, 1)
    with pytest.raises(RecordTooLarge):
        consumer.commit(records, [Outgoing(small, b"k", b"2"), Outgoing(small, b"k", bytes(20_000))])
    consumer.commit(records, [Outgoing(small, b"k", b"3")])
    assert values(read_all(shared, small)) == [0, 3]


def test_a_member_thrown_out_by_the_broker_is_fenced_even_when_it_has_noticed(shared: Place, kafka: str) -> None:
    source, target, group = shared.topic(2), shared.topic(1), shared.name()
    shared.publish(source, 10)
    member = shared.consumer([source], group)
    records = poll_until(member, 10)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    (described,) = admin.describe_groups([group]).values()
    identities = [MemberToRemove(member_id=each["member_id"]) for each in described["members"]]
    admin.remove_group_members(group, identities)
    admin.close()
    # Its heartbeat has told it, so that it has no generation left which the broker could refuse.
    wait_for(lambda: member._consumer.group_metadata().generation_id == -1)
    other = shared.consumer([source], group)
    taken = poll_until(other, 10)
    with pytest.raises(Fenced):
        member.commit(records, [Outgoing(target, b"k", record.value) for record in records])
    other.commit(taken, [Outgoing(target, b"k", record.value) for record in taken])
    other.close()
    shared.publish(source, 3, start=10)
    assert values(poll_until(member, 3)) == [10, 11, 12]
    assert values(read_all(shared, target)) == list(range(10))


def test_a_member_that_joins_anew_does_not_go_on_from_where_it_was(shared: Place) -> None:
    source, group = shared.topic(1), shared.name()
    shared.publish(source, 10)
    member = shared.consumer([source], group)
    poll_until(member, 10)
    # kafka-python can join under a new member id with the old positions; seen from here, that is another identity.
    member._generation = member._generation._replace(member_id="former")
    assert values(poll_until(member, 10)) == list(range(10))


def test_work_goes_on_when_the_broker_was_killed_and_comes_back(fragile: Place, fragile_server: KafkaServer) -> None:
    source, target, group = fragile.topic(2), fragile.topic(2), fragile.name()
    consumer, reader, producer = fragile.consumer([source], group), fragile.reader(target), fragile.producer()
    fragile.publish(source, 10)
    records = poll_until(consumer, 10)
    fragile_server.kill()
    with pytest.raises(BrokerUnavailable, match=fragile_server.bootstrap):
        producer.send([Outgoing(source, b"k", b"lost")])
    with pytest.raises(BrokerUnavailable, match=fragile_server.bootstrap):
        consumer.commit(records, [Outgoing(target, b"k", record.value) for record in records])
    gone = pytest.raises(BrokerUnavailable, match=fragile_server.bootstrap)
    with gone:
        consumer.poll(10, 0.2)
    with gone:
        wait_for(lambda: reader.poll(10, 0.2))
    fragile_server.start()
    fragile.publish(source, 10, start=10)
    seen: list[int] = []
    deadline = time.monotonic() + 60
    while len(seen) < 20 and time.monotonic() < deadline:
        try:
            records = consumer.poll(100, 0.5)
            consumer.commit(records, [Outgoing(target, b"k", record.value) for record in records])
            seen += [int(record.value) for record in records if record.value != b"lost"]
        except (BrokerUnavailable, Fenced):
            continue
    copied = [record.value for record in poll_until(reader, 20)] + [record.value for record in reader.poll(100, 1.0)]
    assert Counter(value for value in copied if value != b"lost") == Counter(b"%d" % n for n in range(20))


def test_a_commit_ends_in_time_when_the_broker_stalls_and_is_done_or_undone_later(
    fragile: Place, fragile_server: KafkaServer
) -> None:
    source, target, group = fragile.topic(2), fragile.topic(2), fragile.name()
    fragile.publish(source, 200)
    consumer = fragile.consumer([source], group)
    stalls = 0
    for delay in (None, 0.0, 0.005, 0.01, 0.02):
        records = poll_until(consumer, 1, max_records=20)
        outputs = [Outgoing(target, record.key, record.value) for record in records]
        timer = threading.Timer(delay or 0, fragile_server.pause)
        timer.start()
        if delay is None:
            timer.join()
        try:
            consumer.commit(records, outputs)
        except BrokerUnavailable:
            stalls += 1
        finally:
            timer.join()
            fragile_server.resume()
        wait_for(lambda: recovered(consumer, target))
    while records := consumer.poll(50, 3.0):
        consumer.commit(records, [Outgoing(target, record.key, record.value) for record in records])
    assert stalls >= 1
    assert Counter(values(read_all(fragile, target))) == Counter(range(200))


def recovered(consumer, target: str) -> bool:
    try:
        if records := consumer.poll(5, 0.5):
            consumer.commit(records, [Outgoing(target, record.key, record.value) for record in records])
    except (BrokerUnavailable, Fenced):
        return False
    return bool(records)


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


def test_tls_with_client_certificates_and_scram_can_be_required(tmp_path: Path) -> None:
    require_kafka()
    key, cert = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    scram = "listener.name.clients.scram-sha-256.sasl.jaas.config"
    server = KafkaServer(
        {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(cert),
            "listener.name.clients.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            scram: "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:ada",
        },
        listener="SASL_SSL",
        scram={"ada": "secret-of-ada", "bob": "secret-of-bob"},
    )
    right = {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": cert,
        "ssl_certfile": cert,
        "ssl_keyfile": key,
        "sasl_mechanism": "SCRAM-SHA-256",
        "username": "ada",
        "password": "secret-of-ada",
        "connect_timeout": 10.0,
    }
    try:
        server.start()
        place = place_at(server.bootstrap, **right)
        source, target = place.topic(1), place.topic(1)
        place.publish(source, 5)
        consumer = place.consumer([source], "coders")
        records = poll_until(consumer, 5)
        consumer.commit(records, [Outgoing(target, b"k", record.value) for record in records])
        assert values(read_all(place, target)) == list(range(5))
        place.close()
        for wrong, refusal, said in (
            # Often, but not always, the library sees why the broker hangs up.
            ({"password": "guess"}, (BrokerRejected, BrokerUnavailable), "password|credentials"),
            ({"username": "bob", "password": "secret-of-bob"}, BrokerRejected, source),
            ({"ssl_cafile": None}, BrokerUnavailable, "certificate verify failed"),
            ({"ssl_certfile": None, "ssl_keyfile": None}, BrokerUnavailable, server.bootstrap),
            ({"security_protocol": "PLAINTEXT"}, BrokerUnavailable, "PLAINTEXT"),
        ):
            wrong["connect_timeout"] = 2.0
            with pytest.raises(refusal, match=said) as raised:
                place_at(server.bootstrap, **(right | wrong)).producer().send([Outgoing(source, b"k", b"v")])
            assert "secret" not in str(raised.value) and "guess" not in str(raised.value)
    finally:
        server.close()
