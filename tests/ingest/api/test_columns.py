"""The columns answer what a look at every record would: filters, times, places in the order, what is counted."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from ingest.api import answers
from ingest.api.answers import counts, points
from ingest.api.columns import Columns, Place, Row, microseconds, moment
from ingest.api.filters import Wanted, words_of
from ingest.api.rows import event_row
from ingest.records import EventRecord
from ingest.storage import EventFilter
from models.events import Actor, EventDate, Location
from tests.ingest.storage.samples import EVENT, article, record

START = datetime(2026, 11, 1, tzinfo=UTC)
COUNTRIES = ("SDN", "TCD", "UKR", "FJI")
ACTORS = ("Rebels", "Forces armées du Tchad", "the Rapid Support Forces", "police")
TYPES = ("ASSAULT", "PROTEST", "AID")


@dataclass(frozen=True)
class Known:
    """A revision and when it became known."""

    record: EventRecord
    at: datetime


@st.composite
def histories(draw: Any) -> list[Known]:
    """Revisions of some events in the order in which they became known, several at one time."""
    made: list[Known] = []
    revisions: dict[int, int] = {}
    time = START
    for _ in range(draw(st.integers(0, 25))):
        time += timedelta(hours=draw(st.integers(0, 3)))
        at = time
        number = draw(st.integers(0, 9))
        if any(known.at == at and known.record.event_id == f"{number:024x}" for known in made):
            continue
        revisions[number] = revisions.get(number, 0) + 1
        made.append(Known(draw(records(number, revisions[number], at)), at))
    return sorted(made, key=lambda known: (known.at, known.record.event_id, known.record.revision))


@st.composite
def records(draw: Any, number: int, revision: int, at: datetime) -> EventRecord:
    country = draw(st.sampled_from((None, *COUNTRIES)))
    lat, lon = draw(st.sampled_from(((None, None), (13.625, 25.375), (-18.125, 178.5), (-18.0, -179.75), (0.0, 0.0))))
    earliest = draw(st.sampled_from((None, "2026-10-30", "2026-11-02")))
    actors = draw(st.lists(st.sampled_from(ACTORS), max_size=2))
    event = replace(
        EVENT,
        type=draw(st.sampled_from(TYPES)),
        realis=draw(st.sampled_from(("actual", "future"))),
        confidence=draw(st.sampled_from((0.25, 0.5, 0.9))),
        actors=tuple(Actor(text, 0, 1, "text", country=draw(st.sampled_from((None, "TCD")))) for text in actors),
        recipients=(),
        location=Location("x", 0, 1, "text", "x", country, None, lat, lon) if country else None,
        date=EventDate("x", 0, 1, "text", earliest, earliest) if earliest else None,
    )
    feed, language = draw(st.sampled_from(("a", "b"))), draw(st.sampled_from((None, "en", "fr")))
    made = record(event, article(feed=feed, language=language), at - timedelta(seconds=draw(st.integers(0, 5))))
    status = draw(st.sampled_from(("new", "updated", "retracted"))) if revision > 1 else "new"
    return made.model_copy(update={"event_id": f"{number:024x}", "revision": revision, "status": status})


TIMES = st.none() | st.integers(-2, 80).map(lambda hours: START + timedelta(hours=hours))
DAYS = st.none() | st.sampled_from([date(2026, 10, 29), date(2026, 10, 31), date(2026, 11, 2), date(2026, 11, 3)])


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2).map(tuple)


QUERIES = st.builds(
    EventFilter,
    types=some((*TYPES, "COERCE")),
    countries=some((*COUNTRIES, "XXX")),
    realis=some(("actual", "negated")),
    since=TIMES,
    until=TIMES,
    min_confidence=st.none() | st.sampled_from((0.25, 0.5, 0.6)),
    include_retracted=st.booleans(),
    happened_since=DAYS,
    happened_until=DAYS,
)
WANTED = st.builds(
    Wanted,
    QUERIES,
    quads=some(("material conflict", "verbal conflict")),
    feeds=some(("a", "c")),
    languages=some(("en", "de")),
    actor_words=st.sampled_from(((), ("rebel",), ("rapid", "forc"), ("armees",), ("nobody",))),
    bbox=st.none() | st.sampled_from(((20.0, 10.0, 30.0, 20.0), (178.0, -19.0, -179.5, -17.0), (0.0, 0.0, 0.0, 0.0))),
)


def passes(wanted: Wanted, event: EventRecord) -> bool:
    """What a look at the record says."""
    place, box = event.location, wanted.bbox
    words = words_of([actor.text for actor in (*event.actors, *event.recipients)])
    inside = box is None or bool(
        place
        and place.lat is not None
        and place.lon is not None
        and box[1] <= place.lat <= box[3]
        and (box[0] <= place.lon <= box[2] if box[0] <= box[2] else place.lon >= box[0] or place.lon <= box[2])
    )
    quads = {"ASSAULT": "material conflict", "PROTEST": "material conflict", "AID": "material cooperation"}
    return (
        wanted.query.matches(event)
        and (not wanted.quads or quads[event.type] in wanted.quads)
        and (not wanted.feeds or event.article.feed in wanted.feeds)
        and (not wanted.languages or event.article.language in wanted.languages)
        and all(any(word.startswith(start) for word in words) for start in wanted.actor_words)
        and inside
    )


def current(history: list[Known], as_of: datetime) -> list[EventRecord]:
    """The revisions that were current, those known last last."""
    last = {known.record.event_id: known for known in history if known.at <= as_of}
    order = [known for known in history if last.get(known.record.event_id) == known]
    return [known.record for known in order]


def followed(history: list[Known]) -> Columns:
    """Columns as they are filled while the store is followed."""
    columns = Columns()
    for known in history:
        at = microseconds(known.at)
        columns.append([event_row(from_json(known.record.to_json()), at)], at)
    return columns


def loaded(history: list[Known]) -> Columns:
    """Columns as they are filled at the start, from what the store says of superseded rows."""
    columns = Columns()
    rows = []
    for at, known in enumerate(history):
        later = [each.at for each in history[at + 1 :] if each.record.event_id == known.record.event_id]
        superseded = microseconds(later[0]) if later else None
        rows.append(event_row(from_json(known.record.to_json()), microseconds(known.at), superseded))
    for start in range(0, len(rows), 7):
        columns.append(rows[start : start + 7], 0, follow=False)
    columns.link()
    columns.append([], microseconds(START + timedelta(days=30)))
    return columns


def named(columns: Columns, rows: Any) -> list[tuple[str, int]]:
    return columns.ids(rows).pairs if len(rows) else []


@settings(deadline=None, max_examples=60)
@given(histories(), WANTED, st.integers(-1, 80))
def test_columns_can_answer_what_a_look_at_every_record_does(history: list[Known], wanted: Wanted, hours: int) -> None:
    as_of = START + timedelta(hours=hours)
    told = [(each.event_id, each.revision) for each in current(history, as_of) if passes(wanted, each)]
    for columns in (followed(history), loaded(history)):
        assert named(columns, columns.rows(wanted, microseconds(as_of))) == told


@settings(deadline=None, max_examples=60)
@given(histories(), WANTED, st.integers(-1, 80), st.integers(1, 5), st.integers(1, 4))
def test_pages_of_the_newest_can_be_joined_to_all(
    history: list[Known], wanted: Wanted, hours: int, number: int, looked_at: int
) -> None:
    columns, as_of = loaded(history), microseconds(START + timedelta(hours=hours))
    pages: list[Any] = [columns.newest(wanted, as_of, None, number)]
    with patch("ingest.api.columns._LOOKED_AT", looked_at):
        while len(pages[-1]):
            pages.append(columns.newest(wanted, as_of, columns.place(int(pages[-1][-1])), number))
    assert {len(page) for page in pages[:-2]} <= {number}
    assert [row for page in pages for row in page] == columns.rows(wanted, as_of)[::-1].tolist()


@settings(deadline=None, max_examples=60)
@given(histories(), WANTED, st.integers(0, 25))
def test_a_follower_can_learn_of_all_that_passes_and_of_all_that_no_longer_does(
    history: list[Known], wanted: Wanted, first: int
) -> None:
    wanted = replace(wanted, query=replace(wanted.query, include_retracted=True))
    first = min(first, len(history))
    told = []
    for at, known in enumerate(history):
        before = [each.record for each in history[:at] if each.record.event_id == known.record.event_id]
        news = passes(wanted, known.record) or (bool(before) and passes(wanted, before[-1]))
        if news and at >= first:
            told.append((known.record.event_id, known.record.revision))
    for columns in (followed(history), loaded(history)):
        assert named(columns, columns.news(wanted, first, len(history))) == told


@settings(deadline=None, max_examples=40)
@given(histories(), st.integers(0, 80), st.integers(0, 80))
def test_columns_can_let_go_of_what_was_superseded_long_ago(history: list[Known], floor: int, hours: int) -> None:
    columns = followed(history)
    limit = microseconds(START + timedelta(hours=floor))
    as_of = max(limit, microseconds(START + timedelta(hours=hours)))
    small = columns.compacted(limit)
    assert named(small, small.rows(Wanted(), as_of)) == named(columns, columns.rows(Wanted(), as_of))
    assert small.size <= columns.size
    kept = [small.place(row) for row in range(small.size)]
    assert [small.after(place) - 1 for place in kept] == list(range(small.size))


def test_a_place_can_be_found_though_its_row_is_gone() -> None:
    rows = [Row(5, f"{number:024x}", 1, 0, "new", "ASSAULT", "actual", 0.5) for number in (1, 3, 5)]
    columns = Columns()
    columns.append(rows, 5)
    places = [Place(4, "f" * 24, 9), Place(5, f"{2:024x}", 1), Place(5, f"{3:024x}", 1), Place(6, "0" * 24, 1)]
    assert [columns.after(place) for place in places] == [0, 1, 2, 3]
    assert columns.after(None) == 0


def filled(*rows: Row) -> Columns:
    columns = Columns()
    columns.append(rows, 10**18)
    return columns


def row(number: int, **fields: Any) -> Row:
    day = fields.pop("day", 2)
    coded = microseconds(datetime(2026, 11, day, 23, 59, 59, tzinfo=UTC))
    base = Row(number, f"{number:024x}", 1, coded, "new", "ASSAULT", "actual", 0.5)
    return base._replace(**fields)


def test_columns_can_hold_more_names_than_a_byte_or_two_can_tell_apart() -> None:
    """What was read before there were so many is not moved by it."""
    columns = filled(*(row(number, feeds=(f"feed-{number}",), languages=("en",)) for number in range(1, 400)))
    before = columns.rows(Wanted(), 10**18)
    columns.append([row(400, feeds=tuple(f"more-{number}" for number in range(70_000)), languages=("fr",))], 10**18)
    for feed, number in (("feed-1", 1), ("feed-257", 257), ("feed-399", 399), ("more-0", 400), ("more-69999", 400)):
        found = columns.rows(Wanted(feeds=(feed,)), 10**18)
        assert named(columns, found) == [(f"{number:024x}", 1)]
    assert len(counts(columns, before, ["source"])) == 399
    # As an incident looks its events up: in any order, some of them twice, some unknown.
    ids = [f"{number:024x}" for number in (300, 5, 999, 300, *range(10, 40))]
    [found, nothing] = columns.find([ids, ["f" * 24]], 10**18)
    assert [each.feeds for each in columns.told(found)] == [
        (f"feed-{number}",) for number in (300, 5, 300, *range(10, 40))
    ]
    assert {each.languages for each in columns.told(found)} == {("en",)}
    assert nothing == columns.told([]) == []


@pytest.mark.parametrize(
    ("by", "answer"),
    [
        (["day"], [("2026-11-01", 1), ("2026-11-02", 2), ("2026-11-30", 1)]),
        (["week"], [("2026-10-26", 1), ("2026-11-02", 2), ("2026-11-30", 1)]),
        (["month"], [("2026-11", 4)]),
        (["type"], [("ASSAULT", 3), ("AID", 1)]),
        (["quad"], [("material conflict", 3), ("material cooperation", 1)]),
        (["country"], [("SDN", 3), ("TCD", 2)]),
        (["source"], [("a", 3), ("b", 1)]),
        (["month", "country"], [("2026-11", "SDN", 3), ("2026-11", "TCD", 2)]),
        (["country", "type"], [("SDN", "ASSAULT", 2), ("TCD", "ASSAULT", 2), ("SDN", "AID", 1)]),
        (["source", "country"], [("a", "SDN", 3), ("a", "TCD", 2), ("b", "SDN", 1), ("b", "TCD", 1)]),
        (["country", "country"], [("SDN", 3), ("TCD", 2)]),
    ],
)
def test_rows_can_be_counted_by_one_or_two_things(by: list[Any], answer: list[tuple[Any, ...]]) -> None:
    columns = filled(
        row(1, day=1, countries=("SDN", "TCD"), feeds=("a",)),
        row(2, type="AID", countries=("SDN",), feeds=("a",)),
        row(3, countries=("TCD", "SDN"), feeds=("a", "b")),
        row(4, day=30),
    )
    found = counts(columns, columns.rows(Wanted(), 10**18), by)
    assert [tuple(each.values()) for each in found] == answer


@pytest.mark.parametrize("by", [["day"], ["week", "type"], ["country"], ["source", "country"]])
def test_nothing_can_be_counted(by: list[Any]) -> None:
    assert counts(Columns(), Columns().rows(Wanted(), 0), by) == []


@settings(deadline=None, max_examples=30)
@given(histories(), st.sampled_from((["country"], ["type"], ["day"])))
def test_counts_can_be_checked_against_the_records(history: list[Known], by: list[Any]) -> None:
    columns = followed(history)
    known = [each for each in current(history, START + timedelta(days=30)) if each.status != "retracted"]
    values = {
        "country": lambda each: each.countries,
        "type": lambda each: [each.type],
        "day": lambda each: [each.coded.date().isoformat()],
    }
    told = Counter(value for each in known for value in values[by[0]](each))
    found = counts(columns, columns.rows(Wanted(), columns.until), by)
    assert {each[by[0]]: each["count"] for each in found} == dict(told)


def mapped(columns: Columns, zoom: int) -> Any:
    return json.loads(f"[{points(columns, columns.rows(Wanted(), 10**18), zoom, 'events')}]")


def test_a_map_can_show_one_point_a_cell_with_the_commonest_type_and_the_last_ids() -> None:
    here = [row(number, lat=13.6, lon=25.3, type="AID" if number < 3 else "ASSAULT") for number in range(1, 9)]
    columns = filled(*here, row(20, lat=-18.1, lon=178.4), row(21))
    features = mapped(columns, 4)
    assert [each["geometry"]["coordinates"] for each in features] == [[178.4, -18.1], [25.3, 13.6]]
    assert features[1]["properties"] == {
        "count": 8,
        "type": "ASSAULT",
        "events": [f"{number:024x}" for number in (8, 7, 6, 5, 4)],
        "latest": "1970-01-01T00:00:00.000Z",
    }
    assert points(columns, columns.rows(Wanted(), 0), 4, "events") == ""


@pytest.mark.parametrize("zoom", [0, 5, 12])
def test_a_map_can_be_of_any_zoom_and_never_has_too_many_points(zoom: int) -> None:
    random_ = np.random.default_rng(1)
    lat, lon = random_.uniform(-90, 90, 20_000).tolist(), random_.uniform(-180, 180, 20_000).tolist()
    columns = filled(*(row(at + 1, lat=lat[at], lon=lon[at]) for at in range(20_000)))
    features = mapped(columns, zoom)
    assert sum(each["properties"]["count"] for each in features) == 20_000
    assert 500 < len(features) <= 4000


PLACES = st.tuples(st.floats(-90, 90, width=32), st.floats(-180, 180, width=32)) | st.just((math.nan, math.nan))


@given(
    st.lists(st.tuples(st.sampled_from([(13.6, 25.3), (13.7, 25.2)]) | PLACES, st.sampled_from(["AID", "ASSAULT"]))),
    st.integers(0, 12),
)
def test_a_map_says_of_each_cell_what_lies_in_it(known: list[tuple[tuple[float, float], str]], zoom: int) -> None:
    columns = filled(*(row(at + 1, lat=lat, lon=lon, type=kind) for at, ((lat, lon), kind) in enumerate(known)))
    with patch.object(answers, "_BLOCK", 3):
        found = mapped(columns, zoom)
    cells: dict[tuple[int, int], list[int]] = {}
    for at, ((lat, lon), _) in enumerate(known):
        if not math.isnan(lat):
            scale = 2**zoom / 8
            south, west = np.float32(lat) + np.float32(90), np.float32(lon) + np.float32(180)
            cells.setdefault((int(south * np.float32(scale)), int(west * np.float32(scale))), []).append(at)
    assert len(found) == len(cells)
    for feature, cell in zip(found, sorted(cells), strict=True):
        some = cells[cell]
        kinds = Counter(known[at][1] for at in some)
        told = feature["properties"]
        assert told["count"] == len(some)
        assert kinds[told["type"]] == max(kinds.values())
        assert told["events"] == [f"{at + 1:024x}" for at in reversed(some)][:5]
        mean = [sum(known[at][0][axis] for at in some) / len(some) for axis in (1, 0)]
        assert feature["geometry"]["coordinates"] == pytest.approx(mean, abs=0.001)


def test_microseconds_can_be_turned_back_into_times() -> None:
    for time in (START, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)):
        assert moment(microseconds(time)) == time
