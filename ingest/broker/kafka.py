"""The broker on Apache Kafka 4, through kafka-python 3.

The library leaves five things to its caller, and they make up most of this file:

- Its producer buffers without bound, and a batch that expires in a transaction does not fail that transaction. So records
  are handed over in bounded chunks, and every acknowledgement is awaited before the next step.
- The ends of a transaction are awaited for ever. Here each wait ends with `kafka.transaction_timeout`; a producer whose
  transaction may still be open is thrown away, and its successor under the same transactional id has the broker end it.
- A member that was thrown out of its group and joins again can keep its old position in a partition that another member
  has read on in between; and once thrown out it has no generation to be fenced by. So a commit carries the generation under
  which its records were polled, and each new generation starts from the committed offsets.
- One record with a header whose name is no UTF-8 makes its whole partition unreadable. `_Batch` reads it.
- Its `poll` cannot tell an empty topic from a broker that is gone; `_Pulse` asks.

See docs/decisions/0005-kafka-python.md.
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata

from ingest.broker import Outgoing, PartitionLag, Record
from ingest.errors import BrokerRejected, BrokerUnavailable, Fenced, RecordTooLarge, SettingsError, TopicMissing
from models.errors import ConflictwireError

if TYPE_CHECKING:
    from ingest.settings import Kafka, Settings

_LOG = logging.getLogger(__name__)

# The largest record that the producer takes and that a topic created here keeps; Kafka's own default is 1 MiB.
MAX_RECORD_BYTES = 16 * 1024 * 1024
# What the producer may hold unacknowledged.
CHUNK_BYTES = 8 * 1024 * 1024
CHUNK_RECORDS = 5_000
# What one fetch may bring, for all partitions and for one; a single larger record comes all the same.
FETCH_BYTES = 32 * 1024 * 1024
PARTITION_FETCH_BYTES = 4 * 1024 * 1024
# An empty poll asks whether the broker is there after so many seconds without a record, and waits so long for the answer.
PROBE_AFTER = 3.0
PROBE_SECONDS = 1.0
# How long a member that leaves waits for the broker to take note, and a reader for what may lie behind the last record.
LEAVE_SECONDS = 2.0
MARKER_SECONDS = 0.2
# How long a member that works on what it polled looks after its group, when it is time to.
KEEP_SECONDS = 0.2

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/@\s,]+)(:\d{1,5})?")

_QUOTED = re.compile(r"\[Error (\d+)\]")

_FENCED = (
    kafka_errors.CommitFailedError,
    kafka_errors.FencedInstanceIdError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.InvalidProducerEpochError,
    kafka_errors.ProducerFencedError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_REJECTED = (
    kafka_errors.AuthorizationError,
    kafka_errors.InvalidTopicError,
    kafka_errors.SaslAuthenticationFailedError,
    # Records are compressed in a way that the library cannot read here.
    kafka_errors.UnsupportedCodecError,
    kafka_errors.UnsupportedSaslMechanismError,
)
_TIMED_OUT = (kafka_errors.KafkaTimeoutError, kafka_errors.RequestTimedOutError)


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def parse_servers(url: str) -> list[str]:
    """The addresses in `kafka://host:9092,host2:9092`. Raises SettingsError where one is no `host` or `host:port`."""
    servers = [server.strip() for server in url.removeprefix("kafka://").rstrip("/").split(",")]
    for server in servers:
        if not _ADDRESS.fullmatch(server):
            # What stands before an @ may be a password.
            shown = server.rpartition("@")[2]
            raise SettingsError(f"setting broker: {shown!r} is no host:port (as in kafka://host:9092,host2:9092)")
    return servers


def next_offsets(consumed: Iterable[Record]) -> dict[TopicPartition, int]:
    """The offset after the last of `consumed` in each partition."""
    offsets: dict[TopicPartition, int] = {}
    for record in consumed:
        where = TopicPartition(record.topic, record.partition)
        offsets[where] = max(offsets.get(where, 0), record.offset + 1)
    return offsets


def _ssl_context(kafka: Kafka) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile)
        context.check_hostname = kafka.ssl_check_hostname
        if kafka.ssl_certfile is not None:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile)
    except (OSError, ValueError) as error:
        raise SettingsError(f"settings kafka.ssl_*: {error}") from error
    return context


def _connection_config(settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    config: dict[str, Any] = {
        "bootstrap_servers": parse_servers(settings.broker),
        "bootstrap_timeout_ms": _ms(kafka.connect_timeout),
        "client_id": "conflictwire",
        "request_timeout_ms": _ms(kafka.request_timeout),
        "reconnect_backoff_max_ms": 1000,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        config["ssl_context"] = _ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        needed = {
            "sasl_mechanism": kafka.sasl_mechanism,
            "username": kafka.username,
            "password": settings.kafka_password,
        }
        for name, value in needed.items():
            if value is None:
                raise SettingsError(f"setting kafka.{name}: needed for security_protocol {kafka.security_protocol}")
        config["sasl_mechanism"] = kafka.sasl_mechanism
        config["sasl_plain_username"] = kafka.username
        config["sasl_plain_password"] = settings.kafka_password
    return config


class _Network(KafkaNetClient):  # type: ignore[misc]  # the library has no types
    """The library's network client, which remembers why a connection failed: of that the library only tells its log."""

    failure: Exception | None = None

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        connect = self._manager.get_connection

        def remember(error: Exception) -> None:
            # A broker that refuses a password closes the connection, and the library may miss why. And the last
            # attempt ends with the time allowed, which says less than those before.
            vague = isinstance(self.failure, _REJECTED) or isinstance(error, _TIMED_OUT)
            self.failure = self.failure if self.failure and vague else error

        def watched(*arguments: Any, **options: Any) -> Any:
            connection = connect(*arguments, **options)
            connection.init_future.add_errback(remember)
            return connection

        self._manager.get_connection = watched


class _Bytes(bytearray):
    """Bytes of which every part can be read as text, what is no UTF-8 as U+FFFD."""

    def __getitem__(self, which: Any) -> Any:
        part = super().__getitem__(which)
        return _Bytes(part) if isinstance(which, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, "replace")


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """The library's, save that a header whose name is no UTF-8 makes no record unreadable, and with it its partition."""

    __slots__ = ()

    def _read_msg(self) -> Any:
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            batch: Any = self
            strict = batch._buffer
            batch._buffer = _Bytes(strict)
            try:
                return super()._read_msg()
            finally:
                batch._buffer = strict


memory_records.DefaultRecordBatch = _Batch


class KafkaBroker:
    """Topics on the Kafka that `settings.broker` and `settings.kafka` name. Connects at the first use."""

    def __init__(self, settings: Settings) -> None:
        self.limits = settings.kafka
        self._config = _connection_config(settings)
        self._known: set[str] = set()
        # Lost connections are what BrokerUnavailable tells; the library logs each attempt to mend them as an error.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        logging.getLogger("kafka.coordinator").setLevel(logging.WARNING)

    def connect(self, kind: Any, **config: Any) -> Any:
        """A client of the library, connected. Raises BrokerUnavailable or BrokerRejected within `connect_timeout`."""
        made: list[_Network] = []

        def network(**options: Any) -> _Network:
            made.append(_Network(**options))
            return made[-1]

        try:
            return kind(**(self._config | config), kafka_client=network)
        except KafkaError as error:
            reason: Exception = error
            # A client that fails to start leaves its thread and sockets behind.
            for client in made:
                reason = client.failure or reason
                client.close()
            raise self.translate(reason) from error

    def translate(self, error: Exception) -> ConflictwireError:
        """The error of our own tree for one of the library's."""
        address = ",".join(self._config["bootstrap_servers"])
        # What the broker answers to InitProducerId comes as a bare KafkaError that quotes it.
        if type(error) is KafkaError and (code := _QUOTED.search(str(error))):
            error = kafka_errors.for_code(int(code[1]))(str(error))
        if isinstance(error, _FENCED):
            return Fenced(f"the partitions have moved to another member of the group: {error}")
        if isinstance(error, _TOO_LARGE):
            return RecordTooLarge(f"Kafka at {address} takes no record so large ({error}): raise max.message.bytes")
        if isinstance(error, _REJECTED):
            return BrokerRejected(f"Kafka at {address} refuses: {error}")
        if isinstance(error, kafka_errors.KafkaConfigurationError):
            return SettingsError(f"settings kafka.*: {error}")
        protocol = self.limits.security_protocol
        settings = (
            "broker and kafka.* (such as username and password)"
            if protocol.startswith("SASL")
            else "broker and kafka.*"
        )
        return BrokerUnavailable(
            f"Kafka at {address} ({protocol}) does not answer: {error}; is it running, and are {settings} right?"
        )

    def check_topics(self, topics: Iterable[str]) -> None:
        """Raise BrokerRejected where one of `topics` does not exist, which the library would wait for."""
        if not (asked := set(topics) - self._known):
            return
        with contextlib.closing(self.connect(KafkaAdminClient)) as admin:
            try:
                missing = asked - set(admin.list_topics())
            except KafkaError as error:
                raise self.translate(error) from error
        if missing:
            raise TopicMissing(f"topic {min(missing)!r} does not exist: create it, or correct topics.* in the settings")
        self._known |= asked

    def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """See `ingest.broker.Broker`. A topic made here takes records of up to 16 MiB."""
        with contextlib.closing(self.connect(KafkaAdminClient)) as admin:
            try:
                if missing := set(topics) - set(admin.list_topics()):
                    self._create(admin, {name: topics[name] for name in missing})
            except KafkaError as error:
                raise self.translate(error) from error
        self._known |= set(topics)

    def _create(self, admin: Any, topics: Mapping[str, int]) -> None:
        wanted = {
            name: {
                "num_partitions": partitions,
                "replication_factor": self.limits.replication_factor,
                "configs": {"max.message.bytes": str(MAX_RECORD_BYTES)},
            }
            for name, partitions in topics.items()
        }
        for topic in admin.create_topics(wanted, raise_errors=False)["topics"]:
            failure = kafka_errors.for_code(topic["error_code"])
            # Another process may have been quicker.
            if failure not in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
                raise BrokerRejected(
                    f"topic {topic['name']!r} cannot be created: {topic['error_message'] or failure.message}"
                )
        admin.wait_for_topics(list(topics), timeout_ms=_ms(self.limits.request_timeout))

    def producer(self) -> KafkaPublisher:
        """See `ingest.broker.Broker`."""
        return KafkaPublisher(self)

    def consumer(self, topics: Sequence[str], group: str) -> KafkaMember:
        """See `ingest.broker.Broker`."""
        return KafkaMember(self, topics, group)

    def reader(self, topic: str, start: Literal["earliest", "latest"] | int = "latest") -> KafkaReader:
        """See `ingest.broker.Broker`."""
        return KafkaReader(self, topic, start)

    def lag(self, topic: str, group: str) -> list[PartitionLag]:
        """See `ingest.broker.Broker`. In a topic written by transactions their markers count as records."""
        self.check_topics([topic])
        timeout_ms = _ms(self.limits.request_timeout)
        with contextlib.closing(self.connect(KafkaConsumer, group_id=group, enable_auto_commit=False)) as consumer:
            try:
                partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
                first = consumer.beginning_offsets(partitions, timeout_ms)
                ends = consumer.end_offsets(partitions, timeout_ms)
                committed = {where: consumer.committed(where, timeout_ms=timeout_ms) for where in partitions}
            except KafkaError as error:
                raise self.translate(error) from error
        return [
            PartitionLag(topic, where.partition, first[where] if offset is None else offset, ends[where])
            for where, offset in committed.items()
        ]

    def close(self) -> None:
        """See `ingest.broker.Broker`: nothing is kept open here."""


def _publish(producer: Any, records: Sequence[Outgoing], deadline: float) -> None:
    """Send `records` and wait until each is acknowledged, never holding more than a chunk.

    Raises KafkaError, KafkaTimeoutError when `deadline` (monotonic) passes.
    """
    waiting: list[Any] = []
    size = 0
    for record in records:
        if size >= CHUNK_BYTES or len(waiting) >= CHUNK_RECORDS:
            _await_all(waiting, deadline)
            waiting, size = [], 0
        waiting.append(producer.send(record.topic, record.value, record.key, list(record.headers)))
        size += len(record.value)
    _await_all(waiting, deadline)


def _await_all(futures: Iterable[Any], deadline: float) -> None:
    for future in futures:
        future.get(timeout=max(deadline - time.monotonic(), 0))


def _discard(producer: Any) -> None:
    """End a producer at once. Its own `close` first waits for what it still buffers, which a dead broker never takes."""
    producer._sender.force_close()
    producer._sender.join(1.0)
    with contextlib.suppress(KafkaError):
        producer.close(timeout=0)
    # Or its destructor would wait once more.
    producer._closed = True


_PRODUCER_CONFIG = {
    "acks": "all",
    "enable_idempotence": True,
    "batch_size": 512 * 1024,
    "max_request_size": MAX_RECORD_BYTES,
    "metrics_enabled": False,
}


class KafkaPublisher:
    """An idempotent producer; see `ingest.broker.Producer`. Each `send` ends within `request_timeout` a chunk."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._producer = self._connect()

    def _connect(self) -> Any:
        limits = self._broker.limits
        return self._broker.connect(
            KafkaProducer,
            max_block_ms=_ms(limits.connect_timeout),
            delivery_timeout_ms=2 * _ms(limits.request_timeout),
            **_PRODUCER_CONFIG,
        )

    def send(self, records: Sequence[Outgoing]) -> None:
        """See `ingest.broker.Producer`."""
        self._broker.check_topics({record.topic for record in records})
        with self._lock:
            if self._producer is None:
                self._producer = self._connect()
            try:
                _publish(self._producer, records, time.monotonic() + self._broker.limits.request_timeout)
            except KafkaError as error:
                # Its retries would go on behind the caller's back, and come among what the caller sends next.
                producer, self._producer = self._producer, None
                _discard(producer)
                raise self._broker.translate(error) from error

    def close(self) -> None:
        """See `ingest.broker.Producer`: every record sent has been acknowledged."""
        with self._lock:
            if self._producer is not None:
                _discard(self._producer)
                self._producer = None


class _Pulse:
    """Tells an empty topic from a broker that is gone."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.heard()

    def heard(self) -> None:
        """Note that the broker has answered."""
        self._last = time.monotonic()
        self._silent_since: float | None = None

    def check(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:
        """Ask for the end offsets of `partitions` where nothing came for a while.

        Raises the library's error when no answer has come for the limit given; until then its lack is only noted.
        """
        now = time.monotonic()
        if now - self._last < PROBE_AFTER:
            return
        try:
            consumer.end_offsets(list(partitions), timeout_ms=_ms(PROBE_SECONDS))
        except KafkaError:
            # Counted from here, not from the last record: this very process may have been asleep.
            self._silent_since = self._silent_since or now
            if time.monotonic() - self._silent_since >= self._limit:
                raise
        else:
            self.heard()


_CONSUMER_CONFIG = {
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "fetch_max_bytes": FETCH_BYTES,
    "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
    # A member that leads an assignment before it has heard of a topic made a moment ago assigns nothing; only the next
    # look at the metadata mends that, which by default is five minutes off.
    "metadata_max_age_ms": 5_000,
    "metrics_enabled": False,
}


def _records(polled: Mapping[TopicPartition, Sequence[Any]]) -> list[Record]:
    return [
        Record(
            message.topic,
            message.partition,
            message.offset,
            message.key,
            message.value or b"",
            tuple((name, value or b"") for name, value in message.headers),
            message.timestamp,
        )
        for messages in polled.values()
        for message in messages
    ]


def _close(consumer: Any) -> None:
    try:
        consumer.close(autocommit=False, timeout_ms=_ms(LEAVE_SECONDS))
    except Exception as error:
        # Its network thread may have crashed, which close() raises again; there is nothing more to be closed.
        _LOG.warning("a consumer did not close cleanly: %r", error)


def _at_end(consumer: Any, ends: Mapping[TopicPartition, int]) -> bool:
    positions = {where: consumer.position(where, timeout_ms=_ms(PROBE_SECONDS)) for where in ends}
    return not any(position is None or position < ends[where] for where, position in positions.items())


class _Forgetting(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Forgets what was polled of partitions that are no longer owned."""

    def __init__(self, polled: dict[TopicPartition, int]) -> None:
        self._polled = polled

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing: see `KafkaMember.poll`."""

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Also of those lost, by default."""
        for where in revoked:
            self._polled.pop(where, None)


class KafkaMember:
    """A member of a consumer group with a transactional producer; see `ingest.broker.Consumer`.

    The transactional id is new for each member: the generation of the group fences (KIP-447), not the id. Should the
    process die in a transaction, the broker ends it after `transaction_timeout`; only then do others read past it.
    """

    def __init__(self, broker: KafkaBroker, topics: Sequence[str], group: str) -> None:
        broker.check_topics(topics)
        self._broker = broker
        self._topics = list(topics)
        self._group = group
        self._transactional_id = f"conflictwire-{group}-{uuid.uuid4().hex}"
        self._pulse = _Pulse(broker.limits.request_timeout)
        self._producer: Any = None
        self._consumer: Any = None
        # The offsets after what was polled under the generation, and not forgotten.
        self._polled: dict[TopicPartition, int] = {}
        self._generation: ConsumerGroupMetadata | None = None
        self._must_rewind = False
        self._last_poll = time.monotonic()
        self._open_producer()
        self._open_consumer()

    def _open_producer(self) -> None:
        if self._producer is not None:
            return
        limits = self._broker.limits
        producer = self._broker.connect(
            KafkaProducer,
            transactional_id=self._transactional_id,
            transaction_timeout_ms=_ms(limits.transaction_timeout),
            max_block_ms=_ms(limits.connect_timeout),
            # Never reached: a batch that expires in a transaction would be lost without failing the commit.
            delivery_timeout_ms=2 * _ms(max(limits.request_timeout, limits.transaction_timeout)),
            **_PRODUCER_CONFIG,
        )
        try:
            # Ends a transaction that a discarded predecessor left open or in doubt.
            producer.init_transactions()
        except BaseException as error:
            _discard(producer)
            if isinstance(error, KafkaError):
                raise self._broker.translate(error) from error
            raise
        self._producer = producer

    def _open_consumer(self) -> None:
        if self._consumer is not None:
            return
        limits = self._broker.limits
        self._consumer = self._broker.connect(
            KafkaConsumer,
            group_id=self._group,
            session_timeout_ms=_ms(limits.session_timeout),
            heartbeat_interval_ms=_ms(min(3.0, limits.session_timeout / 5)),
            max_poll_interval_ms=_ms(limits.max_poll_interval),
            partition_assignment_strategy=[CooperativeStickyAssignor],
            **_CONSUMER_CONFIG,
        )
        self._consumer.subscribe(self._topics, listener=_Forgetting(self._polled))
        self._await_topics(time.monotonic() + limits.connect_timeout)
        self._generation = None
        self._must_rewind = False
        self._pulse.heard()

    def _await_topics(self, deadline: float) -> None:
        """Know the partitions before the first assignment.

        A leader that knows none assigns none, and the library takes them for assigned once it hears of them in between.
        """
        try:
            while not all(self._consumer.partitions_for_topic(topic) for topic in self._topics):
                if time.monotonic() > deadline:
                    raise kafka_errors.KafkaTimeoutError(f"no partitions of {', '.join(self._topics)}")
                time.sleep(0.05)
        except KafkaError as error:
            self._close_consumer()
            raise self._broker.translate(error) from error

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """See `ingest.broker.Consumer`. May take a second longer than `timeout` where the broker is silent."""
        deadline = time.monotonic() + timeout
        self._open_producer()
        self._open_consumer()
        try:
            while not (records := self._poll_once(max_records, deadline)) and time.monotonic() < deadline:
                pass
            if records:
                self._pulse.heard()
            else:
                self._pulse.check(self._consumer, [TopicPartition(topic, 0) for topic in self._topics])
        except Exception as error:
            # The next poll starts with a new one.
            self._close_consumer()
            if isinstance(error, KafkaError):
                raise self._broker.translate(error) from error
            raise
        return records

    def _poll_once(self, max_records: int, deadline: float) -> list[Record]:
        if self._must_rewind and self._consumer.group_metadata().state == MemberState.STABLE:
            if not self._seek_to_committed(deadline):
                return []
            self._must_rewind = False
        self._last_poll = time.monotonic()
        polled = self._consumer.poll(_ms(deadline - time.monotonic()), max_records=max_records)
        if not self._generation_holds():
            return []
        for where, messages in polled.items():
            self._polled[where] = messages[-1].offset + 1
        return _records(polled)

    def _generation_holds(self) -> bool:
        """Whether what was just polled may be used; otherwise the positions must be set anew first."""
        now = self._consumer.group_metadata()
        before = self._generation
        stable = bool(now.state == MemberState.STABLE)
        if stable and before and (now.member_id, now.generation_id) == (before.member_id, before.generation_id):
            return True
        # One that the broker has named already counts only once its partitions are known, when the state is stable.
        self._generation = now if stable else None
        self.rewind()
        return False

    def _seek_to_committed(self, deadline: float) -> bool:
        """Set all positions to the committed offsets; false where the broker did not tell them all in time."""
        committed = self._committed(self._consumer.assignment(), deadline)
        for where, offset in (committed or {}).items():
            if offset is None:
                self._consumer.seek_to_beginning(where)
            else:
                self._consumer.seek(where, offset)
        return committed is not None

    def _committed(
        self, partitions: Iterable[TopicPartition], deadline: float
    ) -> dict[TopicPartition, int | None] | None:
        """The committed offsets, None for a partition that has none; None where the broker did not tell them all in time."""
        found = {}
        for where in partitions:
            remaining = max(deadline - time.monotonic(), PROBE_SECONDS)
            try:
                found[where] = self._consumer.committed(where, timeout_ms=_ms(remaining))
            except kafka_errors.KafkaTimeoutError:
                # A dead member's transaction may still be open on this partition.
                return None
        return found

    def commit(self, consumed: Sequence[Record], outputs: Sequence[Outgoing]) -> None:
        """See `ingest.broker.Consumer`. Ends within `transaction_timeout` and `connect_timeout`."""
        offsets = next_offsets(consumed)
        if not offsets and not outputs:
            return
        for where, offset in offsets.items():
            if offset > self._polled.get(where, -1):
                self.rewind()
                raise Fenced(
                    f"{where.topic} {where.partition}: lost, or forgotten, since offset {offset - 1} was polled"
                )
        self._broker.check_topics({record.topic for record in outputs})
        self._open_producer()
        try:
            self._transact(offsets, outputs)
        except KafkaError as error:
            raise self._give_up(error) from error
        except BaseException:
            self._discard_producer()
            self.rewind()
            raise

    def _transact(self, offsets: Mapping[TopicPartition, int], outputs: Sequence[Outgoing]) -> None:
        deadline = time.monotonic() + self._broker.limits.transaction_timeout
        transactions = self._producer._transaction_manager
        self._producer.begin_transaction()
        _publish(self._producer, outputs, deadline)
        if offsets:
            marks = {where: OffsetAndMetadata(offset, "", -1) for where, offset in offsets.items()}
            # The generation of the poll, not of now: a member thrown out since has none, and would not be fenced.
            self._await(transactions.send_offsets_to_transaction(marks, self._generation), deadline)
        self._await(transactions.begin_commit(), deadline)

    def _await(self, result: Any, deadline: float) -> None:
        """What the library's own methods do, with an end."""
        self._producer._sender.wakeup()
        if not result.wait(timeout_ms=_ms(deadline - time.monotonic())):
            raise kafka_errors.KafkaTimeoutError(
                f"no end of the transaction in {self._broker.limits.transaction_timeout} s"
            )

    def _give_up(self, error: KafkaError) -> ConflictwireError:
        """End a failed transaction, and say why it failed."""
        transactions = self._producer._transaction_manager
        # The library wraps the first error of a transaction in vaguer ones.
        reason = self._broker.translate(transactions.last_error or error)
        if not isinstance(reason, BrokerRejected):
            self.rewind()
        if not isinstance(reason, BrokerUnavailable) and not transactions.has_fatal_error():
            # Otherwise others could not read past it until the next producer is there.
            with contextlib.suppress(KafkaError):
                self._await(transactions.begin_abort(), time.monotonic() + self._broker.limits.connect_timeout)
        # Its sequence numbers count what the broker has refused; the next one's init_transactions ends what is open.
        self._discard_producer()
        return reason

    def keep(self) -> None:
        """See `ingest.broker.Consumer`. Polls, with all partitions paused, when a third of `max_poll_interval` is over.

        Not sooner: a rebalance waits for those who do not poll, and so for the batch at hand.
        """
        if self._consumer is None:
            return
        stable = self._consumer.group_metadata().state == MemberState.STABLE
        if stable and time.monotonic() - self._last_poll < self._broker.limits.max_poll_interval / 3:
            return
        self._last_poll = time.monotonic()
        try:
            self._consumer.pause(*self._consumer.assignment())
            self._consumer.poll(_ms(KEEP_SECONDS), max_records=1)
            self._consumer.resume(*self._consumer.paused())
            self._follow_generation()
        except Exception as error:
            _LOG.warning("group %s: this member could not keep in touch: %r", self._group, error)
            self._close_consumer()

    def _follow_generation(self) -> None:
        """After a rebalance, keep what was polled of the partitions that stayed; the next poll sets all positions anew.

        A member that keeps its id took part in each rebalance since, and nobody owned in between what was not revoked.
        """
        now, before = self._consumer.group_metadata(), self._generation
        if before is None or now.state != MemberState.STABLE or now.generation_id == before.generation_id:
            return
        self._generation = now
        if now.member_id == before.member_id:
            self._must_rewind = True
        else:
            self.rewind()

    def rewind(self) -> None:
        """See `ingest.broker.Consumer`."""
        self._must_rewind = True
        self._polled.clear()

    def reclaim(self, records: Sequence[Record]) -> list[Record] | None:
        """See `ingest.broker.Consumer`."""
        if self._consumer is None or self._generation is None:
            return None
        partitions = {TopicPartition(record.topic, record.partition) for record in records}
        try:
            if not partitions <= self._consumer.assignment():
                return None
            # That these are still this member's at the commit is for the generation to tell.
            committed = self._committed(partitions, time.monotonic() + self._broker.limits.request_timeout)
        except KafkaError as error:
            raise self._broker.translate(error) from error
        if committed is None:
            return None
        left = [
            record
            for record in records
            if record.offset >= (committed[TopicPartition(record.topic, record.partition)] or 0)
        ]
        for where, offset in next_offsets(left).items():
            self._polled[where] = max(self._polled.get(where, 0), offset)
        return left

    def position_at_end(self) -> bool:
        """See `ingest.broker.Consumer`."""
        if self._consumer is None or self._generation is None or self._must_rewind:
            return False
        try:
            owned = sorted(self._consumer.assignment())
            return _at_end(self._consumer, self._consumer.end_offsets(owned, _ms(self._broker.limits.request_timeout)))
        except KafkaError as error:
            raise self._broker.translate(error) from error

    def _discard_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            _discard(producer)

    def _close_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._polled.clear()
        if consumer is not None:
            _close(consumer)

    def close(self) -> None:
        """See `ingest.broker.Consumer`."""
        self._discard_producer()
        self._close_consumer()


class KafkaReader:
    """All partitions of a topic without a group; see `ingest.broker.Reader`."""

    def __init__(self, broker: KafkaBroker, topic: str, start: Literal["earliest", "latest"] | int) -> None:
        broker.check_topics([topic])
        self._broker = broker
        self._topic = topic
        self._pulse = _Pulse(broker.limits.request_timeout)
        self._ahead: list[Record] = []
        self._consumer: Any = None
        self._next: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._open(start)

    def _open(self, start: Literal["earliest", "latest"] | int) -> None:
        """Connect; at the first time from `start` on, later from where it was."""
        if self._consumer is not None:
            return
        consumer = self._broker.connect(KafkaConsumer, group_id=None, **_CONSUMER_CONFIG)
        timeout_ms = _ms(self._broker.limits.request_timeout)
        try:
            partitions = [TopicPartition(self._topic, n) for n in sorted(consumer.partitions_for_topic(self._topic))]
            if not self._next:
                self._ends = consumer.end_offsets(partitions, timeout_ms)
                self._next = dict(self._ends)
                if start == "earliest":
                    self._next = consumer.beginning_offsets(partitions, timeout_ms)
                elif start != "latest":
                    found = consumer.offsets_for_times(dict.fromkeys(partitions, max(start, 0)), timeout_ms)
                    self._next |= {where: first.offset for where, first in found.items() if first is not None}
            consumer.assign(partitions)
            for where, offset in self._next.items():
                consumer.seek(where, offset)
        except KafkaError as error:
            _close(consumer)
            raise self._broker.translate(error) from error
        self._consumer = consumer
        self._pulse.heard()

    def _pull(self, max_records: int, timeout: float) -> list[Record]:
        self._open("latest")
        try:
            polled = self._consumer.poll(_ms(timeout), max_records=max_records)
            if polled:
                self._pulse.heard()
            else:
                self._pulse.check(self._consumer, list(self._next))
        except Exception as error:
            # The next poll goes on from where this one was, with a new consumer.
            self.close()
            if isinstance(error, KafkaError):
                raise self._broker.translate(error) from error
            raise
        for where, messages in polled.items():
            self._next[where] = messages[-1].offset + 1
        return _records(polled)

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """See `ingest.broker.Reader`. May take a second longer than `timeout` where the broker is silent."""
        if not self._ahead:
            return self._pull(max_records, timeout)
        records, self._ahead = self._ahead[:max_records], self._ahead[max_records:]
        return records

    def at_end(self) -> bool:
        """See `ingest.broker.Reader`."""
        if self._ahead:
            return False
        self._open("latest")
        if self._is_past_ends():
            return True
        # The markers of transactions lie behind the last record, and are passed by polling only.
        self._ahead = self._pull(1, MARKER_SECONDS)
        return not self._ahead and self._is_past_ends()

    def _is_past_ends(self) -> bool:
        try:
            return _at_end(self._consumer, self._ends)
        except KafkaError as error:
            raise self._broker.translate(error) from error

    def close(self) -> None:
        """See `ingest.broker.Reader`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            _close(consumer)
