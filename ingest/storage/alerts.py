"""Alerts: saved filters, what was told of which incident, and the messages that wait to be sent or were.

An alert is looked at (`ingest.alerts.notify`) up to a known time, its `position`. What is to be told is written in the
transaction that moves the position on, so nothing is lost or told twice, however many look at it. Sending comes after: who
sends claims a message for a while, and if it dies then, another one sends it again under the same id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from ingest.storage.connect import transaction
from ingest.storage.incidents import incident_keeper, incidents
from ingest.storage.queries import among, chunks
from ingest.storage.reading import revoke_key, write_key
from ingest.storage.tables import Key, Number, UtcTime, metadata
from ingest.storage.values import ApiKey, IncidentFilter

Channel = Literal["webhook", "email", "feed"]
Change = Literal["new", "updated", "withdrawn"]
Result = Literal["sent", "refused", "gave_up"]

# `target` is what may be shown of where messages go: addresses, or of a webhook's URL the host. `paused` says why nothing is
# looked at or sent; null where that is done. `position` is the known time up to which it was looked at, `due` when it is
# next, null for at once. `key_id` is the key of the API that opens its feed.
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", Key, primary_key=True),
    sa.Column("name", Key, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("filter", sa.Text, nullable=False),
    sa.Column("every", sa.Double),
    sa.Column("created", UtcTime, nullable=False),
    sa.Column("paused", sa.Text),
    sa.Column("position", UtcTime, nullable=False),
    sa.Column("due", UtcTime),
    sa.Column("key_id", Key),
    sa.Index("alerts_name", "name", unique=True),
)

# Of webhooks. The role conflictwire_reader may not read it.
alert_secrets = sa.Table(
    "alert_secrets",
    metadata,
    sa.Column("alert_id", Key, primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
)

# The revision of each incident that was told last, and why.
alert_told = sa.Table(
    "alert_told",
    metadata,
    sa.Column("alert_id", Key, primary_key=True),
    sa.Column("incident_id", Key, primary_key=True),
    sa.Column("revision", Number, nullable=False),
    sa.Column("change", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("first", UtcTime, nullable=False),
    sa.Column("changed", UtcTime, nullable=False),
    sa.Index("alert_told_changed", "alert_id", "changed", "incident_id"),
)

# `number` orders those of an alert. `due` is the next attempt, null when it is `done`; moved on while somebody sends it.
alert_deliveries = sa.Table(
    "alert_deliveries",
    metadata,
    sa.Column("delivery_id", Key, primary_key=True),
    sa.Column("alert_id", Key, nullable=False),
    sa.Column("number", Number, nullable=False),
    sa.Column("recipient", Key, nullable=False),
    sa.Column("created", UtcTime, nullable=False),
    sa.Column("items", sa.Text, nullable=False),
    sa.Column("more", Number, nullable=False),
    sa.Column("attempts", Number, nullable=False),
    sa.Column("due", UtcTime),
    sa.Column("done", UtcTime),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    sa.Index("alert_deliveries_alert", "alert_id", "number"),
)
_waits = alert_deliveries.c.done.is_(None)
sa.Index(
    "alert_deliveries_waiting",
    *(alert_deliveries.c[name] for name in ("alert_id", "recipient", "number")),
    postgresql_where=_waits,
    sqlite_where=_waits,
)


@dataclass(frozen=True, slots=True)
class Alert:
    """A saved filter and where what passes it goes; `every` is the period of a digest in seconds, None for at once."""

    alert_id: str
    name: str
    channel: Channel
    target: str
    filter: IncidentFilter
    created: datetime
    position: datetime
    every: float | None = None
    paused: str | None = None
    due: datetime | None = None
    key_id: str | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom a message goes to, each by itself: the addresses; one without a name for a webhook; nobody for a feed."""
        match self.channel:
            case "email":
                return tuple(self.target.split())
            case "webhook":
                return ("",)
            case _:
                return ()


@dataclass(frozen=True, slots=True)
class Told:
    """What an alert told last of an incident: which revision, and `why`; when for the first time and the last."""

    incident_id: str
    revision: int
    change: Change
    why: tuple[str, ...]
    first: datetime
    changed: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """One incident in a message; `why` names what has changed, or why it is withdrawn."""

    incident_id: str
    revision: int
    change: Change
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one recipient. `more` incidents were left out of it; `due` is None when it is done."""

    delivery_id: str
    alert_id: str
    recipient: str
    created: datetime
    items: tuple[Item, ...]
    more: int = 0
    number: int = 0
    attempts: int = 0
    due: datetime | None = None
    done: datetime | None = None
    result: Result | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The messages of an alert that wait: how many, since when, and the error of the one that is next."""

    alert_id: str
    number: int
    oldest: datetime
    error: str | None


_TIMES = ("happened_since", "happened_until", "since", "until", "as_of", "before")


def filter_to_json(wanted: IncidentFilter) -> str:
    """The tests of a filter that bear no time."""
    said = {name: value for name, value in asdict(wanted).items() if value not in ((), None) and name not in _TIMES}
    return json.dumps(said, ensure_ascii=False)


def filter_from_json(text: str) -> IncidentFilter:
    """The reverse of `filter_to_json`."""
    said = json.loads(text)
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return IncidentFilter(**values)


class AlertStore:
    """The tables of alerts. Every method raises StoreUnavailable, as those of `Store` do."""

    def __init__(self, engine: sa.Engine, shown: str) -> None:
        self._engine = engine
        self._shown = shown

    def all(self) -> list[Alert]:
        """Every alert, by name."""
        with transaction(self._engine, self._shown) as connection:
            rows = connection.execute(sa.select(alerts).order_by(alerts.c.name)).mappings()
            return [_alert(row) for row in rows]

    def get(self, name: str) -> Alert | None:
        """The alert of that name."""
        with transaction(self._engine, self._shown) as connection:
            row = connection.execute(sa.select(alerts).where(alerts.c.name == name)).mappings().one_or_none()
            return _alert(row) if row else None

    def add(self, alert: Alert, url: str = "", secret: str = "", key: ApiKey | None = None) -> bool:
        """Add one; a webhook with its URL and secret, a feed with its key. False where the name is taken."""
        with transaction(self._engine, self._shown, write=True) as connection:
            if connection.scalar(sa.select(sa.literal(1)).where(alerts.c.name == alert.name)):
                return False
            row = {field.name: getattr(alert, field.name) for field in fields(alert)}
            connection.execute(alerts.insert(), [row | {"filter": filter_to_json(alert.filter)}])
            if url:
                connection.execute(alert_secrets.insert().values(alert_id=alert.alert_id, url=url, secret=secret))
            if key is not None:
                write_key(connection, key)
            return True

    def remove(self, alert: Alert, now: datetime) -> None:
        """Remove one with all that it told and has to send, and revoke its key."""
        with transaction(self._engine, self._shown, write=True) as connection:
            for table in (alerts, alert_secrets, alert_told, alert_deliveries):
                connection.execute(table.delete().where(table.c.alert_id == alert.alert_id))
            if alert.key_id:
                revoke_key(connection, alert.key_id, now)

    def pause(self, alert_id: str, why: str | None) -> None:
        """Pause one, or with None let it go on where it was."""
        with transaction(self._engine, self._shown, write=True) as connection:
            connection.execute(alerts.update().where(alerts.c.alert_id == alert_id).values(paused=why))

    def secret(self, alert_id: str) -> tuple[str, str] | None:
        """URL and secret of a webhook; None where it was removed."""
        statement = sa.select(alert_secrets.c.url, alert_secrets.c.secret).where(alert_secrets.c.alert_id == alert_id)
        with transaction(self._engine, self._shown) as connection:
            row = connection.execute(statement).one_or_none()
            return (row.url, row.secret) if row else None

    # --- what is told

    def window(self, after: datetime, until: datetime, limit: int) -> datetime:
        """The known time up to which there are about `limit` revisions of incidents after `after`; `until` at the latest."""
        stored = incidents.c.stored
        statement = sa.select(stored).where(stored > after, stored <= until).order_by(stored).offset(limit).limit(1)
        with transaction(self._engine, self._shown) as connection:
            found: datetime | None = connection.scalar(statement)
        return found or until

    def told(self, alert_id: str, incident_ids: Iterable[str]) -> dict[str, Told]:
        """What the alert told last of those of the incidents that it has told of."""
        found = {}
        with transaction(self._engine, self._shown) as connection:
            for some in chunks(incident_ids):
                statement = sa.select(alert_told).where(
                    alert_told.c.alert_id == alert_id, among(connection, alert_told.c.incident_id, some)
                )
                for row in connection.execute(statement).mappings():
                    found[row["incident_id"]] = _told(row)
        return found

    def told_last(self, alert_id: str, limit: int) -> list[Told]:
        """The incidents that the alert told of, the one told last first."""
        statement = sa.select(alert_told).where(alert_told.c.alert_id == alert_id)
        statement = statement.order_by(alert_told.c.changed.desc(), alert_told.c.incident_id.desc()).limit(limit)
        with transaction(self._engine, self._shown) as connection:
            return [_told(row) for row in connection.execute(statement).mappings()]

    def changed(self, alert_id: str, after: datetime, until: datetime) -> dict[str, str]:
        """The JSON, as of `until`, of incidents changed since `after` that the alert told of and has not withdrawn; by id."""
        c = incidents.c
        statement = sa.select(c.incident_id, c.record).where(
            c.stored > after,
            c.stored <= until,
            sa.or_(c.superseded.is_(None), c.superseded > sa.literal(until, UtcTime())),
            c.incident_id == alert_told.c.incident_id,
            alert_told.c.alert_id == alert_id,
            alert_told.c.change != "withdrawn",
        )
        with transaction(self._engine, self._shown) as connection:
            return {row.incident_id: row.record for row in connection.execute(statement)}

    def advance(
        self,
        alert: Alert,
        until: datetime,
        due: datetime | None,
        told: Sequence[Told],
        deliveries: Sequence[Delivery],
    ) -> bool:
        """Write what is told, and that the alert was looked at up to `until`; all or nothing.

        False, and nothing is written, where another one has looked meanwhile, or it was removed or paused.
        """
        c = alerts.c
        with transaction(self._engine, self._shown, write=True) as connection:
            moved = alerts.update().where(
                c.alert_id == alert.alert_id, c.position == alert.position, c.paused.is_(None)
            )
            if not connection.execute(moved.values(position=until, due=due)).rowcount:
                return False
            for some in chunks(each.incident_id for each in told):
                connection.execute(
                    alert_told.delete().where(
                        alert_told.c.alert_id == alert.alert_id, among(connection, alert_told.c.incident_id, some)
                    )
                )
            if told:
                rows = [asdict(each) | {"alert_id": alert.alert_id, "why": " ".join(each.why)} for each in told]
                connection.execute(alert_told.insert(), rows)
            if deliveries:
                d = alert_deliveries.c
                last = connection.scalar(sa.select(sa.func.max(d.number)).where(d.alert_id == alert.alert_id)) or 0
                numbered = [replace(each, number=last + at) for at, each in enumerate(deliveries, 1)]
                connection.execute(alert_deliveries.insert(), [_row(each) for each in numbered])
            return True

    # --- what is sent

    def next(self, now: datetime, limit: int) -> list[Delivery]:
        """Messages whose turn it is: of each alert and recipient the first that waits, if it is due."""
        d = alert_deliveries.alias("d")
        earlier = alert_deliveries.alias("earlier")
        first = ~sa.exists().where(
            earlier.c.alert_id == d.c.alert_id,
            earlier.c.recipient == d.c.recipient,
            earlier.c.number < d.c.number,
            earlier.c.done.is_(None),
        )
        statement = (
            sa.select(d)
            .join(alerts, alerts.c.alert_id == d.c.alert_id)
            .where(d.c.done.is_(None), d.c.due <= now, alerts.c.paused.is_(None), first)
            .order_by(d.c.due, d.c.delivery_id)
            .limit(limit)
        )
        with transaction(self._engine, self._shown) as connection:
            return [_delivery(row) for row in connection.execute(statement).mappings()]

    def claim(self, delivery: Delivery, until: datetime) -> bool:
        """Keep others from sending it until then; False where another one has it."""
        d = alert_deliveries.c
        mine = alert_deliveries.update().where(
            d.delivery_id == delivery.delivery_id, d.attempts == delivery.attempts, d.done.is_(None)
        )
        with transaction(self._engine, self._shown, write=True) as connection:
            return bool(connection.execute(mine.values(attempts=delivery.attempts + 1, due=until)).rowcount)

    def outcome(
        self,
        delivery: Delivery,
        now: datetime,
        result: Result | None,
        error: str | None = None,
        due: datetime | None = None,
    ) -> None:
        """Write what became of an attempt at a claimed delivery: it is done with a result, or tried again at `due`."""
        d = alert_deliveries.c
        mine = alert_deliveries.update().where(
            d.delivery_id == delivery.delivery_id, d.attempts == delivery.attempts + 1, d.done.is_(None)
        )
        done = now if result else None
        with transaction(self._engine, self._shown, write=True) as connection:
            connection.execute(mine.values(result=result, done=done, due=due, error=error))

    def deliveries(self, alert_id: str, limit: int) -> list[Delivery]:
        """The messages of an alert, the last made first."""
        statement = sa.select(alert_deliveries).where(alert_deliveries.c.alert_id == alert_id)
        with transaction(self._engine, self._shown) as connection:
            rows = connection.execute(statement.order_by(alert_deliveries.c.number.desc()).limit(limit)).mappings()
            return [_delivery(row) for row in rows]

    def waiting(self) -> list[Waiting]:
        """The alerts that have messages waiting."""
        d = alert_deliveries.c
        counts = (
            sa.select(d.alert_id, sa.func.count(), sa.func.min(d.created), sa.func.min(d.number))
            .where(d.done.is_(None))
            .group_by(d.alert_id)
        )
        with transaction(self._engine, self._shown) as connection:
            found = []
            for alert_id, number, oldest, first in connection.execute(counts).all():
                head = sa.select(d.error).where(d.alert_id == alert_id, d.number == first)
                found.append(Waiting(alert_id, number, oldest, connection.scalar(head)))
            return found

    def forget(self, before: datetime) -> int:
        """Delete messages that were done before then; how many."""
        with transaction(self._engine, self._shown, write=True) as connection:
            return connection.execute(alert_deliveries.delete().where(alert_deliveries.c.done < before)).rowcount

    def forget_told(self, before: datetime) -> int:
        """Delete what was told before then of incidents that are closed and have not changed since; how many.

        What an incident's last change is still to be compared with stays, as does what was told of one that can change.
        """
        c = incidents.c
        position = sa.select(alerts.c.position).where(alerts.c.alert_id == alert_told.c.alert_id)
        current = sa.exists().where(
            c.incident_id == alert_told.c.incident_id,
            c.superseded.is_(None),
            sa.or_(
                c.stored >= before,
                c.number >= sa.select(incident_keeper.c.open_from).scalar_subquery(),
                c.stored > position.correlate(alert_told).scalar_subquery(),
            ),
        )
        needed = current.correlate(alert_told)
        with transaction(self._engine, self._shown, write=True) as connection:
            return connection.execute(alert_told.delete().where(alert_told.c.changed < before, ~needed)).rowcount


def _alert(row: Any) -> Alert:
    return Alert(**dict(row) | {"filter": filter_from_json(row["filter"])})


def _told(row: Any) -> Told:
    values = {name: value for name, value in row.items() if name != "alert_id"}
    return Told(**values | {"why": tuple(row["why"].split())})


def _row(delivery: Delivery) -> dict[str, Any]:
    items = [[each.incident_id, each.revision, each.change, list(each.why)] for each in delivery.items]
    return {field.name: getattr(delivery, field.name) for field in fields(delivery)} | {"items": json.dumps(items)}


def _delivery(row: Any) -> Delivery:
    items = tuple(Item(name, revision, change, tuple(why)) for name, revision, change, why in json.loads(row["items"]))
    return Delivery(**dict(row) | {"items": items})
