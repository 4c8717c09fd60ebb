"""Records: what is written can be read, what is wrong is named, and the documents tell the truth about both."""

import json
from datetime import UTC, datetime, timedelta, timezone

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RecordError
from ingest.records import SCHEMA, Article, format_time, json_schema, parse_article, parse_event
from tests.ingest.command import record

ARTICLE = {
    "schema": 1,
    "article_id": "a1",
    "revision": 1,
    "feed": "harbour-wire",
    "url": "https://example.org/1",
    "canonical_url": "https://example.org/1",
    "title": "Rebels shell market",
    "text": "Rebels shelled a market.",
    "fetched": "2026-11-24T01:02:03Z",
    "content_hash": "00",
}

# Unicode text as a feed gives it: anything but lone surrogates, which JSON text in UTF-8 cannot hold.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(texts, texts, st.none() | times, st.lists(texts, max_size=3))
def test_an_article_can_be_written_and_read(
    title: str, text: str, published: datetime | None, authors: list[str]
) -> None:
    article = Article.model_validate(
        ARTICLE | {"title": title, "text": text, "published": published, "authors": authors}
    )
    assert parse_article(article.to_json()) == article
    assert b"\n" not in article.to_json()


def test_nul_is_replaced_one_for_one() -> None:
    assert parse_article(json.dumps(ARTICLE | {"text": "a\x00b"}).encode()).text == "a\ufffdb"


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 11, 24, 1, 2, 3, 456789, UTC), "2026-11-24T01:02:03.456Z"),
        (datetime(2026, 11, 24, 1, 2, 3), "2026-11-24T01:02:03.000Z"),
        (datetime(2026, 11, 24, 1, 2, 3, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-11-23T19:32:03.000Z"),
    ],
)
def test_times_are_written_in_one_way(time: datetime, written: str) -> None:
    assert format_time(time) == written


def test_unknown_fields_are_ignored() -> None:
    assert parse_article(json.dumps(ARTICLE | {"later": {"deep": [1]}}).encode()) == Article.model_validate(ARTICLE)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (b"", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[]", "article record"),
        (b"[" * 100_000, "recursion"),
        (json.dumps(ARTICLE | {"schema": SCHEMA + 1}).encode(), "schema"),
        (json.dumps(ARTICLE | {"revision": 0}).encode(), "revision"),
        (json.dumps(ARTICLE | {"text": 5}).encode(), "text"),
        (json.dumps(ARTICLE | {"fetched": "soon"}).encode(), "fetched"),
        (json.dumps(ARTICLE | {"fetched": "0001-01-01T00:00:00+05:00"}).encode(), "outside the years"),
        (json.dumps({key: value for key, value in ARTICLE.items() if key != "article_id"}).encode(), "article_id"),
    ],
    ids=["empty", "not UTF-8", "array", "deep", "future", "revision", "text", "time", "too early", "missing"],
)
def test_a_wrong_record_is_named(value: bytes, fault: str) -> None:
    with pytest.raises(RecordError, match=fault):
        parse_article(value)


def test_an_article_is_no_event() -> None:
    with pytest.raises(RecordError, match="event_id"):
        parse_event(json.dumps(ARTICLE).encode())


def test_the_schemas_hold_for_what_is_written() -> None:
    for kind in ("article", "event"):
        jsonschema.Draft202012Validator.check_schema(json_schema(kind))
    written = json.loads(Article.model_validate(ARTICLE).to_json())
    jsonschema.validate(written, json_schema("article"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written | {"revision": 0}, json_schema("article"))


def test_a_changed_copy_of_an_event_is_written_anew() -> None:
    event = record()
    assert event.to_json() is event.to_json()
    changed = event.model_copy(update={"revision": 7})
    assert parse_event(changed.to_json()).revision == 7
    assert changed.model_copy(update={"revision": event.revision}) == event == parse_event(event.to_json())
