"""Errors of the pipeline, on the tree of `models.errors`."""

from models.errors import ConflictwireError


class SettingsError(ConflictwireError):
    """A setting is unknown, malformed, or contradicts another."""

    exit_code = 2


class CatalogError(ConflictwireError):
    """A feed catalogue (TOML or OPML) cannot be read, or names a feed wrongly."""


class FetchError(ConflictwireError):
    """One URL could not be fetched. `kind` is a short stable word for schedules and metrics.

    Kinds: dns, connect, timeout, tls, http, too_large, private_address, redirect, protocol, encoding, robots, cancelled.
    `status` is the HTTP status where there was one, `retry_after` the seconds that the server asked to wait.
    """

    def __init__(self, kind: str, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after


class ParseError(ConflictwireError):
    """A body is no feed, or the parser process overran its time or memory. `kind`: not_a_feed, deadline, memory, crash."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class RecordError(ConflictwireError):
    """A record breaks its schema; it belongs in the dead letters."""


class ServerUnreachable(ConflictwireError):
    """A server (broker, database, Prefect) did not answer; trying again later may help."""

    exit_code = 3


class BrokerUnavailable(ServerUnreachable):
    """The broker did not answer in time."""


class BrokerRejected(ConflictwireError):
    """The broker answered and refused: an unknown topic, a wrong password, a missing right. Trying again cannot help."""


class TopicMissing(BrokerRejected):
    """A topic does not exist."""


class RecordTooLarge(BrokerRejected):
    """A record is larger than the broker takes; nothing of its batch was published by a transaction."""


class StoreUnavailable(ServerUnreachable):
    """The database did not answer, or cut the connection."""


class StoreRejected(ConflictwireError):
    """The database refuses this very record (a data error), so that trying again cannot help."""


class StoreTooNew(ConflictwireError):
    """The tables in the database were made by a newer version of Conflictwire than this one."""


class Fenced(ConflictwireError):
    """This member of the consumer group no longer owns the partitions of its batch: drop the batch and poll again."""
