"""Rows to records and records to rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects import postgresql

from ingest.records import Article, EventRecord, parse_event
from ingest.storage.decide import CodingKey, Decision, StoredArticle, coding_key
from ingest.storage.tables import aliases, articles, codings, event_countries, events, feed_states, known, not_coded
from ingest.storage.values import Alias, Answer, Coding, Counts, EventFilter, FeedState, Known, Position

_MAX_PARAMETERS = 10_000  # PostgreSQL takes 65,535 in a statement, SQLite 32,766
_MAX_NUMBER = 2**63 - 1
_CURRENT = events.c.superseded.is_(None)
SAME_REVISION = sa.and_(
    event_countries.c.event_id == events.c.event_id,
    event_countries.c.revision == events.c.revision,
    event_countries.c.coded == events.c.coded,
)
_MILLISECOND = timedelta(milliseconds=1)
_to_json = json.JSONEncoder(ensure_ascii=False).encode
_GAP = 1000  # offsets that a search of a range may read in vain
_FEED_FIELDS = [field.name for field in fields(FeedState)]
_STREAMED_AT_ONCE = 500  # rows
_DROPPED_AT_ONCE = 1000  # articles in a transaction, so that workers do not wait long
_FORGOTTEN_AT_ONCE = 5000  # rows in a transaction


def chunks(values: Iterable[str]) -> Iterable[list[str]]:
    """Each value once, sorted, in lists that fit into a statement."""
    ordered = sorted(set(values))
    return (ordered[start : start + _MAX_PARAMETERS] for start in range(0, len(ordered), _MAX_PARAMETERS))


def among(connection: sa.Connection, column: sa.Column[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """`column IN values`; to PostgreSQL as one array, as a parameter for each value took a tenth of `apply`'s time."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(values, postgresql.ARRAY(column.type)))
    return column.in_(values)


def listed(dialect: str, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """`column IN` the list that is bound as `listed`: `among` for a statement that is made once.

    To SQLite as JSON, which cuts a text off at a NUL: for digests and numbers.
    """
    if dialect == "postgresql":
        return column == sa.any_(sa.bindparam("listed", type_=postgresql.ARRAY(column.type)))
    values = sa.func.json_each(sa.bindparam("listed", type_=sa.JSON)).table_valued("value")
    return column.in_(sa.select(values.c.value))


def lock_articles(connection: sa.Connection, article_ids: Iterable[str]) -> dict[str, StoredArticle]:
    """Those of the articles that are stored, locked against other workers until the transaction ends.

    In one order for all, so that no two workers wait for each other. (SQLite has one writer at a time anyway.)
    """
    stored = {}
    for some in chunks(article_ids):
        statement = (
            sa.select(
                articles.c.article_id,
                articles.c.revision,
                articles.c.content_hash,
                articles.c.text.is_(None).label("dropped"),
                articles.c.first_coded,
            )
            .where(among(connection, articles.c.article_id, some))
            .order_by(articles.c.article_id)
            .with_for_update(key_share=True)
        )
        for article_id, revision, content_hash, dropped, first_coded in connection.execute(statement):
            stored[article_id] = StoredArticle(revision, content_hash, bool(dropped), first_coded)
    return stored


def decisions(connection: sa.Connection, wanted: Iterable[Coding]) -> dict[CodingKey, Answer]:
    """What was decided before about any of the records of `wanted`."""
    keys = {coding_key(coding) for coding in wanted}

    def partition_of(key: CodingKey) -> tuple[str, int]:
        return key[0].topic, key[0].partition

    found: dict[CodingKey, Answer] = {}
    made: dict[CodingKey, list[tuple[str, int]]] = {}
    times: list[datetime] = []
    for (topic, partition), some in groupby(sorted(keys, key=partition_of), key=partition_of):
        for first, last in ranges(position.offset for position, _, _ in some):
            statement = sa.select(
                codings.c.offset, codings.c.article_id, codings.c.article_revision, codings.c.coded, codings.c.made
            ).where(codings.c.topic == topic, codings.c.partition == partition, codings.c.offset.between(first, last))
            for offset, article_id, revision, coded, names in connection.execute(statement):
                key = (Position(topic, partition, offset), article_id, revision)
                if key not in keys:
                    continue
                answer = json.loads(names)
                if isinstance(answer, str):
                    found[key] = answer
                else:
                    made[key] = [(event_id, number) for event_id, number in answer]
                    times.append(coded)
    records: dict[tuple[str, int], str] = {}
    for some_ids in chunks(event_id for names in made.values() for event_id, _ in names):
        rows = connection.execute(
            sa.select(events.c.event_id, events.c.revision, events.c.record).where(
                among(connection, events.c.event_id, some_ids),
                # What a coding made bears its time, though once with fewer digits.
                events.c.coded.between(min(times) - _MILLISECOND, max(times)),
            )
        )
        records |= {(event_id, revision): record for event_id, revision, record in rows}
    return found | {key: [parse_event(records[name].encode()) for name in names] for key, names in made.items()}


def ranges(offsets: Iterable[int]) -> list[tuple[int, int]]:
    """The first and last of each run of offsets that lie close together.

    The offsets of a batch do. As a list of 500 they were looked for one by one in all that the partition had: a tenth of
    a second at 10,000 codings, and more with each.
    """
    found: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if found and offset - found[-1][1] <= _GAP:
            found[-1] = (found[-1][0], offset)
        else:
            found.append((offset, offset))
    return found


def current_events(connection: sa.Connection, stored: Mapping[str, StoredArticle]) -> list[EventRecord]:
    """The current revisions of the articles' events, retracted ones too, in an order that is always the same."""
    rows: list[str] = []
    times = [each.first_coded for each in stored.values()]
    since = min(filter(None, times), default=None) if None not in times else None
    for some in chunks(stored):
        statement = (
            sa.select(events.c.record)
            .where(_CURRENT, among(connection, events.c.article_id, some), *within(events.c.coded, since, None))
            .order_by(events.c.coded, events.c.event_id)
        )
        rows += connection.scalars(statement)
    return [parse_event(record.encode()) for record in rows]


def write(connection: sa.Connection, decision: Decision, stored: datetime) -> None:
    """Write what was decided, as known since `stored`."""
    # Sorted, so that two workers with the same new articles do not wait for each other in a circle.
    new = [decision.new_articles[article_id] for article_id in sorted(decision.new_articles)]
    insert(
        connection,
        articles,
        [article_row(article) | {"first_coded": decision.first_coded[article.article_id]} for article in new],
    )
    if decision.changed_articles:
        statement = articles.update().where(articles.c.article_id == sa.bindparam("key"))
        rows = [article_row(article) for article in decision.changed_articles.values()]
        connection.execute(statement, [{"key": row.pop("article_id"), **row} for row in rows])
    for some in chunks(decision.not_coded.keys() - decision.new_articles.keys()):
        connection.execute(not_coded.delete().where(among(connection, not_coded.c.article_id, some)))
    reasons = sorted((article_id, reason) for article_id, reason in decision.not_coded.items() if reason)
    insert(connection, not_coded, [{"article_id": article_id, "reason": reason} for article_id, reason in reasons])
    for some in chunks(decision.superseded):
        times = [decision.superseded[event_id].coded for event_id in some]
        superseded = events.update().where(
            _CURRENT, among(connection, events.c.event_id, some), events.c.coded.between(min(times), max(times))
        )
        connection.execute(superseded.values(superseded=stored))
    current = decision.current
    insert(
        connection,
        events,
        [
            event_row(record, stored, None if record is current[record.event_id] else stored)
            for record in decision.revisions
        ],
    )
    insert(
        connection,
        event_countries,
        [
            {
                "country": country,
                "coded": record.coded,
                "event_id": record.event_id,
                "revision": record.revision,
                "type": record.type,
            }
            for record in decision.revisions
            for country in record.countries
        ],
    )
    insert(
        connection,
        codings,
        [
            {
                "topic": coding.position.topic,
                "partition": coding.position.partition,
                "offset": coding.position.offset,
                "article_id": coding.article.article_id,
                "article_revision": coding.article.revision,
                "coded": coding.coded,
                "made": json.dumps(_named(decision.made[key])),
            }
            for key, coding in decision.coded.items()
        ],
    )


def _named(answer: Answer) -> str | list[tuple[str, int]]:
    return answer if isinstance(answer, str) else [(record.event_id, record.revision) for record in answer]


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns in the same order."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        # COPY carried half as many articles again as INSERT did: psycopg sends an INSERT row by row.
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        names = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
        with driver.cursor() as cursor, cursor.copy(command) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    else:
        connection.execute(table.insert(), rows)


def article_row(article: Article) -> dict[str, Any]:
    """The row of the table `articles`."""
    row = vars(article) | {"authors": _to_json(article.authors)}
    del row["record_schema"]
    return row


def event_row(record: EventRecord, stored: datetime, superseded: datetime | None) -> dict[str, Any]:
    """The row of the table `events`."""
    location, date, dead, injured = record.location, record.date, record.dead, record.injured
    return {
        "event_id": record.event_id,
        "revision": record.revision,
        "coded": record.coded,
        "stored": stored,
        "superseded": superseded,
        "status": record.status,
        "article_id": record.article.article_id,
        "article_revision": record.article.revision,
        "feed": record.article.feed,
        "published": record.article.published,
        "type": record.type,
        "quad": record.quad,
        "realis": record.realis,
        "confidence": record.confidence,
        "intensity": record.intensity,
        "country": location and location.country,
        "lat": location and location.lat,
        "lon": location and location.lon,
        "earliest": date and date.earliest,
        "latest": date and date.latest,
        "dead_min": dead and bounded(dead.min),
        "injured_min": injured and bounded(injured.min),
        "record": record.to_json().decode(),
    }


def bounded(number: int | None) -> int | None:
    """A text may say any number; the record keeps it."""
    return None if number is None else min(number, _MAX_NUMBER)


def read_events(
    connection: sa.Connection, wanted: EventFilter, limit: int | None, newest_first: bool
) -> Iterator[EventRecord]:
    """The current event revisions that `wanted` matches, by time of coding; a stream."""
    statement = select_events(wanted, limit, newest_first, connection.dialect.name)
    rows = connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement)
    # An event of several of the countries comes once for each, one after the other.
    unique = (next(same)[0] for _, same in groupby(rows, key=itemgetter(1, 2)))
    for record in islice(unique, limit):
        yield parse_event(record.encode())


def select_events(
    wanted: EventFilter, limit: int | None, newest_first: bool, dialect: str
) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """What `read_events` reads: JSON, time of coding and id, of one revision an event.

    Each country is searched by itself, since its rows lie in the order wanted and a limit ends the search early.
    """

    def order(columns: Any) -> list[sa.UnaryExpression[Any]]:
        keys = (columns[name] for name in ("coded", "event_id"))
        return [key.desc() if newest_first else key.asc() for key in keys]

    searches = [_select_events(wanted, country, dialect) for country in dict.fromkeys(wanted.countries) or (None,)]
    first, *others = (search.order_by(*order(search.selected_columns)).limit(limit) for search in searches)
    if not others:
        return first
    merged = sa.union_all(*(sa.select(search.subquery()) for search in (first, *others)))
    return merged.order_by(*order(merged.selected_columns))


def _select_events(wanted: EventFilter, country: str | None, dialect: str) -> sa.Select[Any]:
    """`EventFilter.matches` in SQL, of what is current or was; with `country` in place of the countries wanted."""
    times = events.c.coded
    tests = [_CURRENT] if wanted.as_of is None else known_at(wanted.as_of)
    tests += within(times, wanted.since, wanted.until)
    if wanted.types:
        tests.append(events.c.type.in_(wanted.types))
    if wanted.realis:
        tests.append(events.c.realis.in_(wanted.realis))
    if wanted.min_confidence is not None:
        tests.append(events.c.confidence >= wanted.min_confidence)
    tests += within(events.c.published, wanted.published_since, wanted.published_until)
    if wanted.happened_since is not None:
        tests.append(events.c.latest >= wanted.happened_since.isoformat())
    if wanted.happened_until is not None:
        tests.append(events.c.earliest < wanted.happened_until.isoformat())
    if wanted.feed is not None:
        tests.append(events.c.feed == wanted.feed)
    if wanted.article_id is not None:
        tests.append(events.c.article_id == wanted.article_id)
    if not wanted.include_retracted:
        tests.append(events.c.status != "retracted")
    if country is None:
        return sa.select(events.c.record, times, events.c.event_id).where(*tests)

    named = [event_countries.c.country == country, *within(event_countries.c.coded, wanted.since, wanted.until)]
    if wanted.as_of is not None:
        named.append(event_countries.c.coded <= sa.literal(wanted.as_of, times.type))
    if wanted.types:
        named.append(event_countries.c.type.in_(wanted.types))
    columns = (event_countries.c.coded, event_countries.c.event_id)
    if dialect == "sqlite":
        return sa.select(events.c.record, *columns).where(SAME_REVISION, *named, *tests)
    # One after the other, in the order of the index: left to itself, PostgreSQL reads all months to join them by hash.
    found = sa.select(events.c.record).where(SAME_REVISION, *tests).limit(1).correlate(event_countries).lateral()
    return sa.select(found.c.record, *columns).select_from(event_countries.join(found, sa.true())).where(*named)


def known_at(moment: datetime) -> list[sa.ColumnElement[bool]]:
    """That a revision was the current one at that moment."""
    then = sa.literal(moment, events.c.coded.type)
    # Nothing is coded after it is stored, so the index by time of coding ends the search.
    return [events.c.coded <= then, events.c.stored <= then, sa.or_(_CURRENT, events.c.superseded > then)]


def within(
    column: sa.ColumnElement[Any], since: datetime | None, until: datetime | None
) -> list[sa.ColumnElement[bool]]:
    """That a time lies between the two: the first included, the second not."""
    bounds = []
    if since is not None:
        bounds.append(column >= since)
    if until is not None:
        bounds.append(column < until)
    return bounds


def read_articles(connection: sa.Connection, feed: str | None, limit: int | None) -> Iterator[Article]:
    """The articles, of `feed` alone where it is given, the last fetched first; a stream."""
    statement = select_articles(feed, limit)
    rows = connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement).mappings()
    for row in rows:
        yield _article(row)


def read_not_coded(connection: sa.Connection, feed: str | None, limit: int | None) -> Iterator[tuple[Article, str]]:
    """Those of the articles that the coder does not read, each with the reason; as `read_articles` gives them."""
    statement = select_not_coded(feed, limit)
    for row in connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement).mappings():
        yield _article(row), row["reason"]


def _article(row: Mapping[Any, Any]) -> Article:
    return Article(**{**row, "authors": json.loads(row["authors"]), "text": row["text"] or ""})


def select_articles(feed: str | None, limit: int | None) -> sa.Select[Any]:
    """What `read_articles` reads."""
    statement = sa.select(articles).order_by(articles.c.fetched.desc(), articles.c.article_id.desc()).limit(limit)
    return statement if feed is None else statement.where(articles.c.feed == feed)


def select_not_coded(feed: str | None, limit: int | None) -> sa.Select[Any]:
    """What `read_not_coded` reads."""
    return select_articles(feed, limit).join_from(articles, not_coded).add_columns(not_coded.c.reason)


def count(connection: sa.Connection) -> Counts:
    """How much there is. Reads whole tables."""
    number = sa.func.count()
    valid = (_CURRENT, events.c.status != "retracted")

    def size(table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
        return connection.execute(sa.select(number).select_from(table).where(*where)).scalar_one()

    def tally(column: sa.Column[str], source: sa.FromClause) -> dict[str, int]:
        rows = connection.execute(sa.select(column, number).select_from(source).where(*valid).group_by(column))
        return {str(name): int(total) for name, total in rows}

    return Counts(
        articles=size(articles),
        events=size(events, *valid),
        retracted=size(events, _CURRENT, events.c.status == "retracted"),
        revisions=size(events),
        codings=size(codings),
        feeds=size(feed_states),
        known=size(known),
        types=tally(events.c.type, events),
        countries=tally(event_countries.c.country, event_countries.join(events, SAME_REVISION)),
    )


def read_known(
    connection: sa.Connection, keys: Iterable[str], before: datetime | None = None
) -> tuple[dict[str, Known], list[str]]:
    """The articles that the keys lead to, be they ids or aliases; the id where a key is both.

    And which of the keys are aliases last seen before `before`. Of what retention has deleted, the table of articles
    has as much (`forget_known`).
    """
    dialect = connection.dialect.name
    asked = set(keys)
    leads = {}
    stale = []
    for key, article_id, said, is_stale in connection.execute(
        _select_aliases(dialect), {"listed": sorted(asked), "before": before}
    ):
        leads[key] = article_id, said
        if is_stale:
            stale.append(key)
    found: dict[str, Known] = {}
    wanted = asked.union(article_id for article_id, _ in leads.values())
    for table in (known, articles):
        if missing := sorted(wanted.difference(found)):
            for row in connection.execute(_select_known(dialect, table), {"listed": missing}):
                found[row[0]] = Known(*row)
    told = {key: found[key] for key in asked if key in found}
    for key, (article_id, said) in leads.items():
        if key not in told and article_id in found:
            told[key] = found[article_id] if said is None else replace(found[article_id], said=said)
    return told, stale


# Made anew for each feed, such a statement took a millisecond.
@cache
def _select_aliases(dialect: str) -> sa.Select[Any]:
    is_stale = aliases.c.last_seen < sa.bindparam("before", type_=aliases.c.last_seen.type)
    return sa.select(aliases.c.key, aliases.c.article_id, aliases.c.said, is_stale).where(
        listed(dialect, aliases.c.key)
    )


@cache
def _select_known(dialect: str, table: sa.Table) -> sa.Select[Any]:
    columns = (table.c.article_id, table.c.revision, table.c.content_hash, table.c.feed)
    return sa.select(*columns).where(listed(dialect, table.c.article_id))


def touch_aliases(connection: sa.Connection, keys: Iterable[str], seen: datetime) -> None:
    """Remember that aliases were seen."""
    for some in chunks(keys):
        these = among(connection, aliases.c.key, some)
        # In one order for all, so that no two pullers wait for each other.
        connection.execute(sa.select(aliases.c.key).where(these).order_by(aliases.c.key).with_for_update())
        connection.execute(aliases.update().where(these).values(last_seen=seen))


def write_known(connection: sa.Connection, published: Iterable[Known], now: datetime) -> None:
    """Remember what was published; an older revision than the one remembered changes nothing. The first feed stays."""
    # Sorted, here and below, so that two pullers of the same feeds do not wait for each other in a circle.
    ordered = sorted(published, key=lambda each: (each.article_id, each.revision))
    rows = [
        {
            "article_id": each.article_id,
            "revision": each.revision,
            "content_hash": each.content_hash,
            "feed": each.feed,
            "first_seen": now,
            "last_seen": now,
        }
        for each in ordered
    ]
    if rows:
        connection.execute(_WRITE_KNOWN, rows)


def write_aliases(connection: sa.Connection, given: Iterable[Alias], now: datetime) -> None:
    """Remember by what else articles are known. An alias stays that of the article that had it first."""
    rows = [{**asdict(each), "last_seen": now} for each in sorted(given, key=lambda alias: alias.key)]
    if rows:
        connection.execute(_WRITE_ALIASES, rows)


def write_feed_states(connection: sa.Connection, states: Iterable[FeedState]) -> None:
    """Replace what is known of feeds."""
    rows = [_feed_row(state) for state in sorted(states, key=lambda state: state.name)]
    if rows:
        connection.execute(_WRITE_FEED_STATES, rows)


def _upsert(table: sa.Table, taken: Iterable[str], where: str = "true") -> sa.TextClause:
    """An INSERT of whole rows that sets the columns `taken` of a row that is there, if `where`.

    As text: what SQLAlchemy makes of an ON CONFLICT it compiles anew each time.
    """
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(f":{column.name}" for column in table.columns)
    (key,) = table.primary_key.columns
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in taken)
    conflict = f'ON CONFLICT ("{key.name}") DO UPDATE SET {changes} WHERE {where}'
    return sa.text(
        f"INSERT INTO {table.name} ({columns}) VALUES ({values}) {conflict}"  # noqa: S608 - names of ours
    ).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in table.columns))


_WRITE_KNOWN = _upsert(known, ("revision", "content_hash", "last_seen"), "excluded.revision >= known.revision")
_WRITE_ALIASES = _upsert(aliases, ("said", "last_seen"), "excluded.article_id = aliases.article_id")
_WRITE_FEED_STATES = _upsert(feed_states, [name for name in _FEED_FIELDS if name != "name"])


def _feed_row(state: FeedState) -> dict[str, Any]:
    values = ((name, getattr(state, name)) for name in _FEED_FIELDS)
    return {name: _clean(value) if isinstance(value, str) else value for name, value in values}


def _clean(text: str) -> str:
    # Servers choose their ETags and error messages; neither may keep a feed's state from being stored.
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def drop_texts(connection: sa.Connection, before: datetime) -> int:
    """Empty the texts of some articles fetched before `before`; how many, 0 when there are none left."""
    statement = (
        sa.select(articles.c.article_id)
        .where(articles.c.fetched < before, articles.c.text.is_not(None))
        .order_by(articles.c.fetched)
        .limit(_DROPPED_AT_ONCE)
        # What a worker is at work on is left for the next time.
        .with_for_update(skip_locked=True, key_share=True)
    )
    article_ids = connection.scalars(statement).all()
    connection.execute(articles.update().where(among(connection, articles.c.article_id, article_ids)).values(text=None))
    return len(article_ids)


def forget_codings(
    connection: sa.Connection, topic: str, partition: int, committed: int, before: datetime, after: int
) -> tuple[int, int | None]:
    """Delete codings before `before` of some of the offsets from `after` to `committed`, which is not included.

    Returns how many and where to go on; None when among those looked at none was old, since what follows is younger.
    """
    here = (codings.c.topic == topic, codings.c.partition == partition)
    window = (
        sa.select(codings.c.offset)
        .where(*here, codings.c.offset >= after, codings.c.offset < committed)
        .order_by(codings.c.offset)
        .limit(_FORGOTTEN_AT_ONCE)
    )
    last = connection.scalar(sa.select(sa.func.max(window.subquery().c.offset)))
    if last is None:
        return 0, None
    old = codings.delete().where(*here, codings.c.offset.between(after, last), codings.c.coded < before)
    gone = connection.execute(old).rowcount
    return gone, last + 1 if gone else None


def forget_known(
    connection: sa.Connection, before: datetime, after: tuple[datetime, str] | None
) -> tuple[int, tuple[datetime, str] | None]:
    """Delete some of what was last published before `before` and is told by the table of articles just as well.

    Returns how many, and what to go on after, None at the end.
    """
    place = (known.c.last_seen, known.c.article_id)
    window = sa.select(*place).where(known.c.last_seen < before)
    if after is not None:
        passed = (sa.literal(value, column.type) for value, column in zip(after, place, strict=True))
        window = window.where(sa.tuple_(*place) > sa.tuple_(*passed))
    rows = connection.execute(window.order_by(known.c.last_seen, known.c.article_id).limit(_FORGOTTEN_AT_ONCE)).all()
    if not rows:
        return 0, None
    same = sa.select(articles.c.article_id).where(
        *(articles.c[name] == known.c[name] for name in ("article_id", "revision", "content_hash", "feed"))
    )
    told = known.delete().where(
        among(connection, known.c.article_id, [article_id for _, article_id in rows]),
        known.c.last_seen < before,
        same.exists(),
    )
    last = rows[-1]
    return connection.execute(told).rowcount, (last.last_seen, last.article_id)


def forget_aliases(connection: sa.Connection, before: datetime) -> int:
    """Delete some of the aliases last seen before `before`; how many, 0 when there are none left."""
    some = sa.select(aliases.c.key).where(aliases.c.last_seen < before).limit(_FORGOTTEN_AT_ONCE)
    keys = connection.scalars(some).all()
    old = aliases.delete().where(among(connection, aliases.c.key, keys), aliases.c.last_seen < before)
    return connection.execute(old).rowcount if keys else 0
