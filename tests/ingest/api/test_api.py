"""What the API answers over real HTTP, on both databases, against what the store itself says."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.export.lines import csv_lines, geojson_lines
from ingest.records import EventRecord
from ingest.settings import Settings
from ingest.storage import EventFilter, IncidentFilter, Store
from tests.ingest.api.conftest import QUICK, Desk, until, wait_ready
from tests.ingest.api.serving import Served, Writer, article, event, fill, story


@pytest.fixture(scope="session")
def events(desk: Desk) -> list[EventRecord]:
    """All events of the desk's store, the first coded first."""
    store = Store.open(desk.settings.store_url)
    found = list(store.events(EventFilter(), newest_first=False))
    store.close()
    return found


def ids(answer: Any) -> list[str]:
    return [item["event_id"] for item in answer["items"]]


def get(desk: Desk, path: str, status: int = 200, **params: Any) -> Any:
    answer = desk.client.get(path, params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def pages(client: httpx.Client, path: str, **params: Any) -> Iterator[Any]:
    """Every item, page by page."""
    cursor = None
    while True:
        answer = client.get(path, params=params | ({"cursor": cursor} if cursor else {})).json()
        yield from answer["items"]
        cursor = answer["next"]
        if cursor is None:
            return


def test_records_can_be_had_as_they_are_stored(desk: Desk, events: list[EventRecord]) -> None:
    found = get(desk, "/v1/events", limit=500)
    assert found["next"] is None
    assert sorted(found["items"], key=lambda each: each["event_id"]) == sorted(
        (json.loads(each.to_json()) for each in events), key=lambda each: each["event_id"]
    )
    one = get(desk, f"/v1/events/{events[0].event_id}")
    assert one == json.loads(events[0].to_json())
    assert get(desk, f"/v1/events/{events[0].event_id}/revisions") == {"items": [one]}


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"type": ["ASSAULT", "aid"]}, EventFilter(types=("ASSAULT", "AID"))),
        ({"country": "sdn"}, EventFilter(countries=("SDN",))),
        ({"country": ["COD", "NGO"], "type": "AID"}, EventFilter(types=("AID",), countries=("COD", "NGO"))),
        ({"realis": "future"}, EventFilter(realis=("future",))),
        ({"min_confidence": 0.7}, EventFilter(min_confidence=0.7)),
        ({"happened_since": "yesterday"}, "yesterday"),
        ({"since": "3d", "until": "2d"}, "days"),
        ({"source": "harbour-wire"}, EventFilter(feed="harbour-wire")),
        ({"type": "SANCTION"}, EventFilter(types=("SANCTION",))),
    ],
)
def test_filters_can_be_given_as_on_the_command_line(desk: Desk, params: dict[str, Any], wanted: Any) -> None:
    now = datetime.now(UTC)
    if wanted == "yesterday":
        wanted = EventFilter(happened_since=now.date() - timedelta(days=1))
    elif wanted == "days":
        wanted = EventFilter(since=now - timedelta(days=3), until=now - timedelta(days=2))
    store = Store.open(desk.settings.store_url)
    told = {each.event_id for each in store.events(wanted)}
    store.close()
    assert set(ids(get(desk, "/v1/events", limit=500, **params))) == told


@pytest.mark.parametrize(
    ("params", "passes"),
    [
        ({"quad": "material_cooperation"}, lambda e: e.type == "AID"),
        ({"actor": "MARCH 23 fight"}, lambda e: "March 23" in e.actors[0].text),
        ({"actor": "displaced"}, lambda e: e.type == "AID"),
        ({"actor": "ighters"}, lambda e: False),
        ({"language": "fr"}, lambda e: e.article.language == "fr"),
        ({"bbox": "170,-20,-170,-10"}, lambda e: e.location.name == "Suva"),
        ({"bbox": "20,10,30,20", "type": "ASSAULT"}, lambda e: e.location.name == "El Fasher" and e.type == "ASSAULT"),
        ({"text": "MARCH 23 movement Bombed"}, lambda e: e.trigger.text == "bombed"),
        ({"text": "nowhere said"}, lambda e: False),
    ],
)
def test_filters_can_be_more_than_those_of_the_command_line(
    desk: Desk, events: list[EventRecord], params: dict[str, Any], passes: Any
) -> None:
    told = {each.event_id for each in events if passes(each)}
    assert set(ids(get(desk, "/v1/events", limit=500, **params))) == told
    assert (params.get("actor") == "ighters" or params.get("text") == "nowhere said") == (not told)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"type": "WAR"}, "parameter type.0: 'WAR' is no PLOVER type: give one of AGREE"),
        ({"country": "Sudan"}, "'Sudan' is no country code"),
        ({"since": "soon"}, "parameter since: 'soon' is no time"),
        ({"bbox": "1,2,3"}, "parameter bbox: '1,2,3' is no box: give west,south,east,north"),
        ({"bbox": "1,9,3,2"}, "south first"),
        ({"min_confidence": "2"}, "parameter min_confidence"),
        ({"as_of": "2999-01-01"}, "2999-01-01 is to come"),
        ({"cursor": "x"}, "parameter cursor: is not one that was given out"),
        ({"limit": "501"}, "parameter limit"),
        ({"contry": "SDN"}, "parameter contry"),
        ({"text": "a\x00b"}, "parameter text"),
        ({"actor": "x" * 201}, "parameter actor"),
    ],
)
def test_a_wrong_parameter_is_told_by_name_and_how_to_put_it_right(
    desk: Desk, params: dict[str, Any], says: str
) -> None:
    found = get(desk, "/v1/events", 422, **params)
    assert says in found["error"]


@pytest.mark.parametrize(
    "path",
    ["/v1/events/0f3c5a2e9b7d4c6a8e1f2b3d", "/v1/articles/none", "/v1/incidents/0f3c5a2e9b7d4c6a8e1f2b3d/revisions"],
)
def test_what_is_not_there_is_told(desk: Desk, path: str) -> None:
    assert get(desk, path, 404)["error"].startswith("there is no ")


def test_pages_can_be_walked_through_to_the_end(desk: Desk, events: list[EventRecord]) -> None:
    found = [item["event_id"] for item in pages(desk.client, "/v1/events", limit=7, type="ASSAULT")]
    assert len(found) == len(set(found))
    assert set(found) == {each.event_id for each in events if each.type == "ASSAULT"}
    with_text = list(pages(desk.client, "/v1/events", limit=7, text="Goma"))
    assert {item["event_id"] for item in with_text} == {
        each.event_id for each in events if "Goma" in each.sentence.text
    }


def test_an_answer_that_has_not_changed_is_not_sent_again(desk: Desk) -> None:
    first = desk.client.get("/v1/events")
    again = desk.client.get("/v1/events", headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert desk.client.get("/v1/events", params={"limit": 2}).headers["etag"] != first.headers["etag"]


def test_files_can_be_had_as_export_writes_them(desk: Desk, events: list[EventRecord]) -> None:
    def key(row: list[str]) -> list[str]:
        return row

    answer = desk.client.get("/v1/events.csv", params={"country": "UKR"})
    told = b"".join(csv_lines(each for each in events if "UKR" in each.countries))
    rows, expected = (sorted(csv.reader(io.StringIO(text.decode())), key=key) for text in (answer.content, told))
    assert rows == expected
    assert len(rows) > 1
    assert answer.headers["content-disposition"] == 'attachment; filename="events.csv"'
    answer = desk.client.get("/v1/events.geojson")
    told = json.loads(b"".join(geojson_lines(events)))
    assert len(answer.json()["features"]) == len(told["features"]) == len(events)
    assert answer.headers["content-type"] == "application/geo+json"


def test_counts_can_be_had_over_time_and_place(desk: Desk, events: list[EventRecord]) -> None:
    found = get(desk, "/v1/counts", of="events", by=["day", "type"])
    told = Counter((each.coded.date().isoformat(), each.type) for each in events)
    assert {(row["day"], row["type"]): row["count"] for row in found["rows"]} == told
    assert [row["day"] for row in found["rows"]] == sorted(row["day"] for row in found["rows"])
    found = get(desk, "/v1/counts", of="events", by="country", type="AID")
    told_by_country = Counter(country for each in events if each.type == "AID" for country in each.countries)
    assert {row["country"]: row["count"] for row in found["rows"]} == told_by_country


def test_a_map_can_be_had(desk: Desk, events: list[EventRecord]) -> None:
    answer = desk.client.get("/v1/map", params={"of": "events", "zoom": 3, "type": "ASSAULT"})
    found = answer.json()["features"]
    told = Counter(
        (each.location.lon, each.location.lat) for each in events if each.location and each.type == "ASSAULT"
    )
    assert {tuple(each["geometry"]["coordinates"]): each["properties"]["count"] for each in found} == dict(told)
    assert {each["properties"]["type"] for each in found} == {"ASSAULT"}


def test_articles_can_be_had_with_the_sentences_that_tell_events(desk: Desk, events: list[EventRecord]) -> None:
    items = list(pages(desk.client, "/v1/articles", limit=50))
    assert (
        len(items) == len({each["article_id"] for each in items}) == len({each.article.article_id for each in events})
    )
    one = events[0]
    found = get(desk, f"/v1/articles/{one.article.article_id}")
    assert found in items
    sentence = one.sentence
    assert found["snippets"] == [
        {"text": sentence.text, "start": sentence.start, "end": sentence.end, "field": "text", "events": [one.event_id]}
    ]
    assert "text" not in found
    french = get(desk, "/v1/articles", language="fr", source=one.article.feed, text="GOMA", since="2d")["items"]
    assert (
        french
        == [
            each
            for each in items
            if each["language"] == "fr"
            and each["feed"] == one.article.feed
            and "goma" in each["title"].lower()
            and datetime.fromisoformat(each["fetched"]) > datetime.now(UTC) - timedelta(days=2)
        ][:50]
    )


def test_the_values_of_filters_can_be_asked_for(desk: Desk) -> None:
    found = get(desk, "/v1/meta")
    assert {"type": "AID", "quad": "material cooperation"} in found["types"]
    assert {"code": "SDN", "name": "Sudan"} in found["countries"]
    assert found["languages"] == ["en", "fr"]
    assert "harbour-wire" in found["sources"]
    assert "corroborated" in found["statuses"]


def test_every_answer_bears_the_security_headers(desk: Desk) -> None:
    for path in ("/v1/events", "/v1/events?type=X", "/nothing", "/", "/livez", "/openapi.json", "/static/nothing.js"):
        headers = desk.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "strict-transport-security" not in headers
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    through_tls = desk.client.get("/livez", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"})
    assert through_tls.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "path", ["/../../../etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_no_other_file_can_be_had(desk: Desk, path: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(desk.served.url.removeprefix("http://"))
    connection.request("GET", path)  # as it stands, unlike what httpx does
    answer = connection.getresponse()
    assert answer.status == 404
    assert b"import" not in answer.read()
    connection.close()


def test_only_reading_is_possible(desk: Desk) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = desk.client.request(method, "/v1/events")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET"


def test_health_can_be_asked_for(desk: Desk) -> None:
    assert get(desk, "/livez") == {"status": "ok", "checks": {"server": "ok"}}
    assert get(desk, "/readyz") == {"status": "ok", "checks": {"store": "ok"}}


def test_the_description_has_examples_and_names_every_route(desk: Desk) -> None:
    described = get(desk, "/openapi.json")
    assert described["openapi"].startswith("3.1")
    text = json.dumps(described)
    assert "HTTPValidationError" not in text
    for path in ("/v1/events", "/v1/incidents/{incident_id}", "/v1/stream", "/v1/counts", "/v1/map", "/v1/events.csv"):
        operation = described["paths"][path]["get"]
        assert operation["description"] or operation["summary"]
        content = operation["responses"]["200"]["content"]
        assert any("example" in each or "schema" in each for each in content.values()), path


@pytest.fixture
def growing(tmp_path: Path, store_url: str) -> Iterator[tuple[Served, httpx.Client, Writer]]:
    """The API on a store that the test writes to."""
    from pydantic import SecretStr

    settings = Settings(data_dir=tmp_path, store=SecretStr(store_url))
    fill(store_url, 6)
    store = Store.open(store_url)
    writer = Writer(store)
    writer.number = 10_000
    with (
        Served(tmp_path, settings=settings, **QUICK) as served,
        httpx.Client(base_url=served.url, trust_env=False, verify=False) as client,
    ):
        wait_ready(client)
        yield served, client, writer
    store.close()


def some(number: int, realis: str = "actual", revision: int = 1) -> tuple[Any, list[Any]]:
    """A report that is nobody else's."""
    import random

    now = datetime.now(UTC)
    one = replace(story(random.Random(number)), realis=realis)
    text, found = event(one, date.today().isoformat(), 0.9)
    made = article(10**12 + number, text, "Report", "wire", now, revision=revision)
    return made, [found]


def test_pages_stay_as_they_were_whatever_is_written_meanwhile(growing: tuple[Served, httpx.Client, Writer]) -> None:
    _, client, writer = growing
    writer.report([some(number) for number in range(5)])
    until(lambda: len(client.get("/v1/events", params={"source": "wire"}).json()["items"]) == 5)
    told = [(item["event_id"], item["revision"]) for item in client.get("/v1/events").json()["items"]]
    first = client.get("/v1/events", params={"limit": 2}).json()
    as_of, cursor = first["as_of"], first["next"]
    # New ones, an edit and a retraction of what lies on pages to come.
    edited, retracted = some(0, realis="future", revision=2), some(1, revision=2)
    writer.report([some(number) for number in range(5, 9)] + [edited, (retracted[0], [])])

    def seen() -> bool:
        found = client.get("/v1/events", params={"source": "wire"}).json()["items"]
        return len(found) == 8 and any(item["realis"] == "future" and item["revision"] == 2 for item in found)

    until(seen)
    rest = []
    while cursor is not None:
        page = client.get("/v1/events", params={"limit": 3, "cursor": cursor}).json()
        rest += page["items"]
        cursor = page["next"]
        assert page["as_of"] == as_of
    assert [(item["event_id"], item["revision"]) for item in (*first["items"], *rest)] == told
    # The same can be asked for by its time.
    again = client.get("/v1/events", params={"as_of": as_of, "limit": 500}).json()
    assert [(item["event_id"], item["revision"]) for item in again["items"]] == told
    revisions = client.get(f"/v1/events/{edited_id(client)}/revisions").json()["items"]
    assert [(each["revision"], each["realis"]) for each in revisions] == [(1, "actual"), (2, "future")]
    with_retracted = client.get("/v1/events", params={"source": "wire", "retracted": "true"}).json()["items"]
    assert len(with_retracted) == 9


def edited_id(client: httpx.Client) -> str:
    items = client.get("/v1/events", params={"source": "wire", "realis": "future"}).json()["items"]
    return next(item["event_id"] for item in items if item["revision"] == 2)


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, IncidentFilter()),
        ({"type": "ASSAULT", "country": "COD"}, IncidentFilter(types=("ASSAULT",), countries=("COD",))),
        ({"min_sources": 3}, IncidentFilter(min_sources=3)),
        ({"status": ["corroborated", "contradicted"]}, IncidentFilter(statuses=("corroborated", "contradicted"))),
        ({"status": "retracted"}, IncidentFilter(statuses=("retracted",))),
        (
            {"language": "fr", "source": "andes-dispatch"},
            IncidentFilter(languages=("fr",), sources=("andes-dispatch",)),
        ),
        ({"bbox": "170,-20,-170,-10"}, IncidentFilter(bbox=(170, -20, -170, -10))),
        ({"actor": "march 23"}, IncidentFilter(actor="march 23")),
        ({"happened_since": "3d"}, "happened"),
    ],
)
def test_incidents_can_be_had_by_filters_as_the_store_has_them(desk: Desk, params: dict[str, Any], wanted: Any) -> None:
    if wanted == "happened":
        wanted = IncidentFilter(happened_since=(datetime.now(UTC) - timedelta(days=3)).date())
    store = Store.open(desk.settings.store_url)
    told = [json.loads(row.record.to_json()) for row in store.incidents(wanted)]
    store.close()
    found = list(pages(desk.client, "/v1/incidents", limit=20, **params))
    assert found == told
    assert found or params == {"status": "retracted"}


def test_an_incident_can_be_had_with_the_events_that_report_it(desk: Desk) -> None:
    one = get(desk, "/v1/incidents", min_sources=2, limit=1)["items"][0]
    found = get(desk, f"/v1/incidents/{one['incident_id']}")
    assert found["incident"] == one
    named = [report["event_id"] for report in one["reports"]]
    assert [each["event_id"] for each in found["events"]] == named
    assert found["events"][0] == get(desk, f"/v1/events/{named[0]}")
    revisions = get(desk, f"/v1/incidents/{one['incident_id']}/revisions")["items"]
    assert [each["revision"] for each in revisions] == list(range(1, one["revision"] + 1))
    assert revisions[-1] == one
    headline = found["events"][-1]["article"]["title"]
    with_text = [item["incident_id"] for item in pages(desk.client, "/v1/incidents", text=headline.upper(), limit=5)]
    assert one["incident_id"] in with_text


def test_incidents_take_realis_and_confidence_from_their_events(desk: Desk, events: list[EventRecord]) -> None:
    of = {event.event_id: event for event in events}
    every = list(pages(desk.client, "/v1/incidents", limit=100))
    sure = [item for item in every if max(of[each["event_id"]].confidence for each in item["reports"]) >= 0.9]
    assert list(pages(desk.client, "/v1/incidents", limit=100, min_confidence=0.9)) == sure
    to_come = [item for item in every if {of[each["event_id"]].realis for each in item["reports"]} == {"future"}]
    assert list(pages(desk.client, "/v1/incidents", limit=100, realis="future")) == to_come
    counted = get(desk, "/v1/counts", of="incidents", by="type")["rows"]
    assert {row["type"]: row["count"] for row in counted} == Counter(item["type"]["value"] for item in every)
    assert sum(each["properties"]["count"] for each in get(desk, "/v1/map", zoom=5)["features"]) == len(every)


def test_what_was_known_of_incidents_before_the_server_started_can_be_asked_for(desk: Desk) -> None:
    every = list(pages(desk.client, "/v1/incidents", limit=100))
    revised = next(item for item in every if item["revision"] > 1)
    store = Store.open(desk.settings.store_url)
    rows = list(store.incidents(IncidentFilter()))
    then = sorted(row.changed for row in rows)[len(rows) // 2]
    told = [json.loads(row.record.to_json()) for row in store.incidents(IncidentFilter(as_of=then))]
    store.close()
    as_of = then.isoformat()
    assert 0 < len(told) < len(every)
    assert list(pages(desk.client, "/v1/incidents", limit=7, as_of=as_of)) == told
    counted = get(desk, "/v1/counts", of="incidents", by="quad", as_of=as_of)["rows"]
    assert sum(row["count"] for row in counted) == len(told)
    early = desk.client.get(f"/v1/incidents/{revised['incident_id']}", params={"as_of": "2020-01-01"})
    assert early.status_code == 404
