"""The broker: durable, partitioned topics with consumer groups.

Two implementations of one Protocol, held to it by one contract test suite: `kafka.py` (Apache Kafka 4) and
`embedded.py` (a log in SQLite under the data folder, for one machine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from ingest.settings import Settings

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish. Records of one key keep their order; `key` decides the partition, None leaves it to chance."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read. `timestamp` is milliseconds since the epoch, `value` is empty for a tombstone."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers = ()
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """`end` is the offset after the last record, `committed` the next one that the group will read; lag is the difference."""

    topic: str
    partition: int
    committed: int
    end: int

    @property
    def lag(self) -> int:
        """Records that the group has yet to read."""
        return max(self.end - self.committed, 0)


class Producer(Protocol):
    """Publishes at least once, in order, without duplicates of its own retries (an idempotent producer)."""

    def send(self, records: Sequence[Outgoing]) -> None:
        """Publish `records`; on return all are durable.

        Raises BrokerUnavailable, BrokerRejected (an unknown topic, no right) or RecordTooLarge; then any part may have
        been published. May be called from several threads.
        """

    def close(self) -> None: ...


class Consumer(Protocol):
    """A member of a consumer group that turns records into records, exactly once."""

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """The next records of the partitions this member owns; empty when `timeout` seconds passed without one.

        Joins the group, and is where partitions come and go: records polled before and not committed may be fenced.
        Raises BrokerUnavailable.
        """

    def commit(self, consumed: Sequence[Record], outputs: Sequence[Outgoing]) -> None:
        """Atomically publish `outputs` and mark `consumed` as read by the group.

        Raises Fenced when the partitions have moved to another member (or `rewind` came between), BrokerUnavailable when
        the broker does not answer. After either, nothing of it is visible to a read_committed reader, and the next `poll`
        starts again from the group's committed offsets (except where the commit had in truth succeeded).

        Raises BrokerRejected or RecordTooLarge where an output cannot be published: nothing of it is visible, and
        `consumed` may be committed again with other outputs.
        """

    def keep(self) -> None:
        """Stay in the group while working long on what was polled: to be called every few seconds, instead of `poll`.

        Brings no records, raises nothing: who has lost their partitions meanwhile is fenced at `commit`.
        """

    def rewind(self) -> None:
        """Forget what was polled and not committed: the next `poll` starts from the group's committed offsets."""

    def reclaim(self, records: Sequence[Record]) -> list[Record] | None:
        """Those of `records`, which a member before this one polled, that the group has yet to read; they may be committed
        now as if this member had polled them, with `rewind` to follow. Of a record only its place counts.

        None until this member owns all of their partitions, which `poll` brings, and no transaction on them is open.
        Raises BrokerUnavailable.
        """

    def position_at_end(self) -> bool:
        """Whether every partition this member owns is read to its end (it owns none: true), for `--once`.

        False until the member has joined the group by `poll`. May turn true only at the poll after the last record.
        """

    def close(self) -> None:
        """Leave the group at once, so that others take the partitions over."""


class Reader(Protocol):
    """Reads a topic outside any group, committed records only."""

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """The next records of all partitions; empty when `timeout` seconds passed without one. Raises BrokerUnavailable."""

    def at_end(self) -> bool:
        """Whether all that was committed when the reader was opened has been polled."""

    def close(self) -> None: ...


class Broker(Protocol):
    """A place that keeps topics. All methods raise BrokerUnavailable when it does not answer, and BrokerRejected for an
    unknown topic.
    """

    def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """Create the topics that are missing, each with its number of partitions; never changes an existing one."""

    def producer(self) -> Producer: ...

    def consumer(self, topics: Sequence[str], group: str) -> Consumer: ...

    def reader(self, topic: str, start: Literal["earliest", "latest"] | int = "latest") -> Reader:
        """`start` as an int is a time in milliseconds since the epoch: the first records at or after it."""

    def lag(self, topic: str, group: str) -> list[PartitionLag]:
        """A row a partition, by partition number; `committed` is the beginning where the group never committed."""

    def close(self) -> None:
        """Let go of the broker's own connections; its producers, consumers and readers are closed by who opened them."""


def open_broker(settings: Settings) -> Broker:
    """The broker that `settings.broker` names: `embedded:PATH` or `kafka://host:port,...`.

    Raises SettingsError for any other form. Does not connect yet.
    """
    from ingest.errors import SettingsError

    url = settings.broker
    if url.startswith("embedded:"):
        from ingest.broker.embedded import EmbeddedBroker

        return EmbeddedBroker(settings.embedded_path)
    if url.startswith("kafka://"):
        from ingest.broker.kafka import KafkaBroker

        return KafkaBroker(settings)
    raise SettingsError(f"broker {url!r}: must start with embedded: or kafka://")
