"""The routes: `/v1/...`, the page, health."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from ingest.alerts.atom import ENTRIES, MEDIA_TYPE, Entry, feed
from ingest.alerts.recall import shown
from ingest.api.answers import counts, points
from ingest.api.columns import Columns, Place, Rows, microseconds, moment
from ingest.api.desk import Desk, Unready
from ingest.api.filters import (
    QUADS,
    STATUSES,
    ArticlePageQuery,
    CountQuery,
    EventPageQuery,
    EventQuery,
    IncidentPageQuery,
    MapQuery,
    Of,
    Past,
    StreamQuery,
    Wanted,
    parse_article_cursor,
    parse_cursor,
    parse_event_id,
)
from ingest.api.guard import App, Armoured, Guard, Keys, error_body
from ingest.api.stream import EventStream, Hub
from ingest.cli.values import REALIS
from ingest.export.lines import csv_lines, geojson_lines
from ingest.records import Article, EventRecord, IncidentRecord, format_time, parse_event
from ingest.settings import Settings
from ingest.storage import ArticleFilter, Item, Store
from models.errors import ConflictwireError
from models.ontology import TYPES, quad
from models.resolve.gazetteer import country_names

log = logging.getLogger(__name__)

STATIC = Path(__file__).with_name("static")
_KEPT_ANSWERS = 32  # counts and maps, of some 500 kB each
_THREADS = 12  # fewer than the connections that a store has
_READ_AT_ONCE = 500  # records of a file
_SEARCHED_AT_ONCE, _SEARCHED = 250, 5000  # records that a text is looked for in, for one answer
_ID = Annotated[str, Field(pattern="^[0-9a-f]{24}$", examples=["0f3c5a2e9b7d4c6a8e1f2b3d"])]


class Failure(BaseModel):
    """Every error."""

    error: str
    detail: Any = None


class EventPage(BaseModel):
    """Events, those that became known last first, as of a time; `next` is the cursor of what follows."""

    items: list[EventRecord]
    next: str | None
    as_of: str


class IncidentPage(BaseModel):
    """Incidents, those changed last first, as of a time; `next` is the cursor of what follows."""

    items: list[IncidentRecord]
    next: str | None
    as_of: str


class EventRevisions(BaseModel):
    """Every revision, the first first."""

    items: list[EventRecord]


class IncidentRevisions(BaseModel):
    """Every revision, the first first."""

    items: list[IncidentRecord]


class IncidentWithEvents(BaseModel):
    """An incident, and the events of its reports as they are now."""

    incident: IncidentRecord
    events: list[EventRecord]


class Snippet(BaseModel):
    """A sentence with events: offsets count code points of the article's `title` or `text`."""

    field: str
    start: int
    end: int
    text: str
    events: list[str]


class ArticleAnswer(BaseModel):
    """An article, with the sentences that tell events; `text` only where the operator lets texts out."""

    article_id: str
    revision: int
    title: str
    url: str
    feed: str
    publisher: str
    published: str | None
    fetched: str
    language: str | None
    authors: list[str]
    syndication_id: str | None
    snippets: list[Snippet]
    text: str | None = None


class ArticlePage(BaseModel):
    """Articles, those fetched last first; `next` is the cursor of what follows."""

    items: list[ArticleAnswer]
    next: str | None


class CountAnswer(BaseModel):
    """How many there are of each value; an item of two countries or sources counts for both."""

    of: Of
    by: list[str]
    rows: list[dict[str, str | int]]
    as_of: str


class MapAnswer(BaseModel):
    """GeoJSON (RFC 7946): a point for each place, with the number of items there and the commonest type."""

    type: str
    features: list[dict[str, Any]]
    as_of: str


class Meta(BaseModel):
    """The values that filters can have, and how far the store was read."""

    types: list[dict[str, str]]
    quads: list[str]
    countries: list[dict[str, str]]
    realis: list[str]
    statuses: list[str]
    languages: list[str]
    sources: list[str]
    version: str
    latest: str


class Health(BaseModel):
    """Whether all is well, and what is to be said of each thing."""

    status: str
    checks: dict[str, str]


_FAILURES: dict[int | str, dict[str, Any]] = {
    401: {"model": Failure, "description": "A key is needed, or there is no such key."},
    403: {"model": Failure, "description": "The key may not do that."},
    421: {"model": Failure, "description": "Asked by a name that is not known, without a key."},
    422: {"model": Failure, "description": "A parameter cannot be read; `error` names it."},
    429: {"model": Failure, "description": "Too many requests; `Retry-After` says when."},
    503: {"model": Failure, "description": "The store does not answer, or is still being read."},
}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Failure, "description": "There is no such thing."}}


def _answers(
    example: object = None, kind: str = "application/json", found: bool = False
) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {} if example is None else {"content": {kind: {"example": example}}}
    not_modified = {"description": "What `If-None-Match` names is still so."}
    return {200: content, 304: not_modified} | _FAILURES | (_MISSING if found else {})


class Api:
    """What the routes share."""

    def __init__(self, settings: Settings, store: Store, writing: Store) -> None:
        self.settings = settings
        self.store = store
        self.desk = Desk(store)
        self.hub = Hub(self.desk, settings.api.streams)
        self.keys = Keys(store, writing)
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def made(self, name: Hashable, make: Callable[[], bytes]) -> bytes:
        """What `make` makes, kept under its name: when there is news many ask for the same at once."""
        with self._lock:
            found = self._made.get(name)
        if found is None:
            found = make()
            with self._lock:
                self._made[name] = found
                if len(self._made) > _KEPT_ANSWERS:
                    self._made.popitem(last=False)
        return found

    def columns(self, of: Of, as_of: int | None) -> tuple[Columns, int]:
        """The columns that answer, and the time as of which they do: the last that is settled up to `as_of`."""
        if (why := self.desk.not_ready()) is not None:
            raise Unready(why)
        until = self.desk.now(of).until
        moment_ = until if as_of is None else min(as_of, until)
        return self.desk.then(of, moment_), moment_

    def rows(self, of: Of, wanted: Wanted) -> tuple[Columns, Rows, int]:
        """What passes, the oldest first, and the time as of which it does."""
        columns, settled = self.settled(of, wanted)
        return columns, columns.rows(wanted, settled), settled

    def settled(self, of: Of, wanted: Wanted) -> tuple[Columns, int]:
        """The columns that answer, and the time as of which they do."""
        as_of = wanted.query.as_of
        return self.columns(of, microseconds(as_of) if as_of else None)

    def page(self, of: Of, wanted: Wanted, limit: int, cursor: str | None) -> bytes:
        """A page of records, and the cursor of the next."""
        place = None
        if cursor is not None:
            as_of, *at = _parsed("cursor", parse_cursor, cursor)
            place = Place(*at)
            wanted = replace(wanted, query=replace(wanted.query, as_of=moment(as_of)))
        columns, settled = self.settled(of, wanted)
        rows = columns.newest(wanted, settled, place, 1 + (limit if wanted.text is None else _SEARCHED))
        if wanted.text is None:
            taken = rows[:limit]
            seen = len(taken)
            records = self.desk.records(of, columns, taken)
        else:
            records, seen = self._searched(of, columns, rows, wanted.text, limit)
        following = None
        if seen < len(rows):
            last = columns.place(int(rows[seen - 1]))
            following = f"{settled}-{last.known}-{last.id}-{last.revision}"
        end = json.dumps({"next": following, "as_of": _shown(settled)})
        return b'{"items":[' + ",".join(records).encode() + b"]," + end[1:].encode()

    def _searched(self, of: Of, columns: Columns, rows: Rows, text: str, limit: int) -> tuple[list[str], int]:
        """The first records that have the text, and how many were looked at: not more than is quickly done."""
        found: list[str] = []
        seen = 0
        while seen < min(len(rows), _SEARCHED):
            some = rows[seen : seen + _SEARCHED_AT_ONCE]
            records = self.desk.records(of, columns, some)
            for record, has in zip(records, self.desk.texts(of, records, text), strict=True):
                seen += 1
                if has:
                    found.append(record)
                    if len(found) == limit:
                        return found, seen
        return found, seen

    def events(self, wanted: Wanted) -> Iterator[EventRecord]:
        """All events that pass, the oldest first."""
        columns, rows, _ = self.rows("events", wanted)

        def read() -> Iterator[EventRecord]:
            for start in range(0, len(rows), _READ_AT_ONCE):
                records = self.desk.records("events", columns, rows[start : start + _READ_AT_ONCE])
                if wanted.text is not None:
                    having = self.desk.texts("events", records, wanted.text)
                    records = [record for record, has in zip(records, having, strict=True) if has]
                yield from (parse_event(record.encode()) for record in records)

        return read()

    def article(self, request: Request, article: Article, events: Sequence[str]) -> dict[str, Any]:
        """What is told of an article."""
        text = self.settings.api.full_text and "full_text" in request.state.scopes
        snippets: dict[tuple[str, int, int], dict[str, Any]] = {}
        for record in map(from_json, events):
            for span in (record["sentence"], *(mention["sentence"] for mention in record["mentions"])):
                # Of another revision of the article the offsets would point at other words.
                if record["article"]["revision"] == article.revision:
                    key = span["field"], span["start"], span["end"]
                    snippet = snippets.setdefault(key, {**span, "events": []})
                    if record["event_id"] not in snippet["events"]:
                        snippet["events"].append(record["event_id"])
        ordered = sorted(snippets.values(), key=lambda each: (each["field"] != "title", each["start"]))
        return {
            "article_id": article.article_id,
            "revision": article.revision,
            "title": article.title,
            "url": article.url,
            "feed": article.feed,
            "publisher": article.syndicated_from or article.feed,
            "published": format_time(article.published) if article.published else None,
            "fetched": format_time(article.fetched),
            "language": article.language,
            "authors": list(article.authors),
            "syndication_id": article.syndication_id,
            "snippets": ordered,
        } | ({"text": article.text} if text else {})


def _shown(microseconds_: int) -> str:
    return moment(microseconds_).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _parsed(name: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise HTTPException(422, f"parameter {name}: {error}") from None


def _missing(what: str, name: str) -> HTTPException:
    return HTTPException(404, f"there is no {what} {name}")


def _dumped(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _json(request: Request, body: bytes | dict[str, Any], media_type: str = "application/json") -> Response:
    """The answer, or 304 where the client has it."""
    if isinstance(body, dict):
        body = _dumped(body)
    # Weak, as it is the same for the answer when compressed.
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    asked = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    # Vary by what decides whether the article's text is in it.
    headers = {"ETag": tag, "Vary": "Authorization, X-API-Key"}
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def create_app(api: Api) -> App:
    """The application, with everything around it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        api.desk.wake = lambda: loop.call_soon_threadsafe(api.hub.wake)
        api.desk.start()
        try:
            yield
        finally:
            api.desk.wake = lambda: None
            api.desk.close()

    app = FastAPI(
        title="Conflictwire",
        version=version("conflictwire"),
        summary="Coded conflict events, and incidents that several articles report.",
        description=(
            "Filters given several times let any of their values pass; different filters must all pass. "
            "Times are RFC 3339, a day, `today`, `yesterday`, or how long ago: `30m`, `2h`, `3d`."
        ),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    _errors(app)
    _records(app, api)
    _totals(app, api)
    _stream(app, api)
    _alerts(app, api)
    _health(app, api)
    if api.settings.api.page:
        _page(app)
    _describe_keys(app)
    wrapped: App = GZipMiddleware(app, minimum_size=1000, compresslevel=5)
    wrapped = Guard(wrapped, api.settings.api, api.keys)
    if api.settings.api.cors_origins:
        wrapped = CORSMiddleware(
            wrapped,
            allow_origins=api.settings.api.cors_origins,
            allow_methods=["GET"],
            allow_headers=["Authorization", "X-API-Key", "Last-Event-ID", "If-None-Match"],
            expose_headers=["ETag", "Retry-After"],
        )
    return Armoured(wrapped)


def _errors(app: FastAPI) -> None:
    def failure(status: int, error: str, detail: object = None, headers: Any = None) -> Response:
        return Response(error_body(error, detail), status, media_type="application/json", headers=headers)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return failure(error.status_code, error.detail, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        found = [
            {"parameter": ".".join(str(part) for part in each["loc"][1:]), "message": each["msg"]}
            for each in error.errors()
        ]
        first = found[0]
        said = first["message"].removeprefix("Value error, ")
        return failure(422, f"parameter {first['parameter']}: {said}", found)

    @app.exception_handler(Unready)
    async def unready(_: Request, error: Unready) -> Response:
        return failure(503, str(error), headers={"Retry-After": "2"})

    @app.exception_handler(ConflictwireError)
    async def failed(_: Request, error: ConflictwireError) -> Response:
        log.warning("request failed", extra={"error": str(error)})
        return failure(503, str(error), headers={"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:  # uvicorn logs it
        return failure(500, "a defect of this server; its log says more")


def _records(app: FastAPI, api: Api) -> None:
    @app.get("/v1/events", response_model=EventPage, responses=_answers(), tags=["events"])
    def events(request: Request, query: Annotated[EventPageQuery, Query()]) -> Response:
        """Events, those that became known last first.

        `next` leads on through what was known when the first page was asked for, whatever has become known since. With
        `text` a page may have fewer items than `limit` though `next` leads on.
        """
        return _json(request, api.page("events", query.wanted(), query.limit, query.cursor))

    @app.get(
        "/v1/events.csv",
        response_class=StreamingResponse,
        responses=_answers("event_id,revision,status,type,...", "text/csv"),
        tags=["events"],
    )
    def events_csv(query: Annotated[EventQuery, Query()]) -> Response:
        """Events as a table, those that became known first first: the columns of docs/export.md."""
        lines = csv_lines(api.events(query.wanted()))
        return _file(lines, "text/csv; charset=utf-8", "events.csv")

    @app.get(
        "/v1/events.geojson",
        response_class=StreamingResponse,
        responses=_answers({"type": "FeatureCollection", "features": []}, "application/geo+json"),
        tags=["events"],
    )
    def events_geojson(query: Annotated[EventQuery, Query()]) -> Response:
        """Events as GeoJSON, those that became known first first."""
        lines = geojson_lines(api.events(query.wanted()))
        return _file(lines, "application/geo+json", "events.geojson")

    @app.get("/v1/events/{event_id}", response_model=EventRecord, responses=_answers(found=True), tags=["events"])
    def event(request: Request, event_id: _ID) -> Response:
        """An event as it is now, retracted ones too."""
        found = api.store.current_events([event_id]).get(event_id)
        if found is None:
            raise _missing("event", event_id)
        return _json(request, found.encode())

    @app.get(
        "/v1/events/{event_id}/revisions",
        response_model=EventRevisions,
        responses=_answers(found=True),
        tags=["events"],
    )
    def event_revisions(request: Request, event_id: _ID) -> Response:
        """Every revision of an event, the first first."""
        found = api.store.event_revisions(event_id)
        if not found:
            raise _missing("event", event_id)
        return _json(request, _items(found))

    @app.get("/v1/incidents", response_model=IncidentPage, responses=_answers(), tags=["incidents"])
    def incidents(request: Request, query: Annotated[IncidentPageQuery, Query()]) -> Response:
        """Incidents, those that changed last first; without those that were merged into others. See `/v1/events`."""
        return _json(request, api.page("incidents", query.wanted(), query.limit, query.cursor))

    @app.get(
        "/v1/incidents/{incident_id}",
        response_model=IncidentWithEvents,
        responses=_answers(found=True),
        tags=["incidents"],
    )
    def incident(
        request: Request,
        incident_id: _ID,
        as_of: Annotated[Past | None, Query(description="What was known then.")] = None,
    ) -> Response:
        """An incident, and the events of its reports as they are now."""
        found = api.store.incident(incident_id, as_of)
        if found is None:
            raise _missing("incident", incident_id)
        named = [report["event_id"] for report in from_json(found)["reports"]]
        told = api.store.current_events(named)
        events = ",".join(told[event_id] for event_id in dict.fromkeys(named) if event_id in told)
        return _json(request, f'{{"incident":{found},"events":[{events}]}}'.encode())

    @app.get(
        "/v1/incidents/{incident_id}/revisions",
        response_model=IncidentRevisions,
        responses=_answers(found=True),
        tags=["incidents"],
    )
    def incident_revisions(request: Request, incident_id: _ID) -> Response:
        """Every revision of an incident, the first first."""
        found = api.store.incident_revisions(incident_id)
        if not found:
            raise _missing("incident", incident_id)
        return _json(request, _items(found))

    @app.get("/v1/articles", response_model=ArticlePage, responses=_answers(), tags=["articles"])
    def articles(request: Request, query: Annotated[ArticlePageQuery, Query()]) -> Response:
        """Articles, those fetched last first, each with the sentences that tell events."""
        before = None
        if query.cursor is not None:
            fetched, article_id = _parsed("cursor", parse_article_cursor, query.cursor)
            before = (moment(fetched), article_id)
        wanted = ArticleFilter(tuple(query.source), tuple(query.language), query.since, query.until, query.text, before)
        found, records = api.store.article_page(wanted, query.limit + 1)
        of: dict[str, list[str]] = {}
        for record in records:
            of.setdefault(from_json(record)["article"]["article_id"], []).append(record)
        page = found[: query.limit]
        following = None
        if len(found) > len(page):
            following = f"{microseconds(page[-1].fetched)}-{page[-1].article_id}"
        items = [api.article(request, each, of.get(each.article_id, [])) for each in page]
        return _json(request, {"items": items, "next": following})

    @app.get(
        "/v1/articles/{article_id}", response_model=ArticleAnswer, responses=_answers(found=True), tags=["articles"]
    )
    def article(
        request: Request, article_id: Annotated[str, Field(min_length=1, max_length=64, pattern="^[!-.0-~]+$")]
    ) -> Response:
        """An article, with the sentences that tell events."""
        found = api.store.article(article_id)
        if found is None:
            raise _missing("article", article_id)
        return _json(request, api.article(request, *found))


def _items(records: Sequence[str]) -> bytes:
    return b'{"items":[' + ",".join(records).encode() + b"]}"


def _file(lines: Iterator[bytes], media_type: str, name: str) -> Response:
    def pieces() -> Iterator[bytes]:
        piece = bytearray()
        for line in lines:
            piece += line
            if len(piece) > 100_000:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    return StreamingResponse(
        pieces(), media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _totals(app: FastAPI, api: Api) -> None:
    example = {
        "of": "events",
        "by": ["day", "type"],
        "rows": [{"day": "2026-11-01", "type": "ASSAULT", "count": 12}],
        "as_of": "2026-11-01T12:00:00.000000Z",
    }

    @app.get("/v1/counts", response_model=CountAnswer, responses=_answers(example), tags=["totals"])
    def count(request: Request, query: Annotated[CountQuery, Query()]) -> Response:
        """How many there are by time, type, country or source; `day`, `week` (its Monday) and `month` in UTC.

        The time is that at which events were coded, and incidents last changed.
        """
        wanted, by = query.wanted(), tuple(dict.fromkeys(query.by))
        columns, settled = api.settled(query.of, wanted)

        def make() -> bytes:
            rows = counts(columns, columns.rows(wanted, settled), by)
            return _dumped({"of": query.of, "by": by, "rows": rows, "as_of": _shown(settled)})

        return _json(request, api.made((query.of, settled, wanted, by), make))

    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [29.22, -1.68]},
        "properties": {
            "count": 12,
            "type": "ASSAULT",
            "incidents": ["0f3c5a2e9b7d4c6a8e1f2b3d"],
            "latest": "2026-11-01T12:00:00.000Z",
        },
    }

    @app.get(
        "/v1/map",
        response_model=MapAnswer,
        responses=_answers({"type": "FeatureCollection", "features": [feature], "as_of": example["as_of"]}),
        tags=["totals"],
    )
    def places(request: Request, query: Annotated[MapQuery, Query()]) -> Response:
        """Where they are: a point for each cell of a grid that is the finer the higher `zoom`, 4,000 at most.

        The properties have the number, the commonest type, the time of the latest and the ids of the last five, named
        `incidents` or `events`.
        """
        wanted = query.wanted()
        columns, settled = api.settled(query.of, wanted)

        def make() -> bytes:
            features = points(columns, columns.rows(wanted, settled), query.zoom, query.of)
            return f'{{"type":"FeatureCollection","features":[{features}],"as_of":"{_shown(settled)}"}}'.encode()

        return _json(request, api.made((query.of, settled, wanted, query.zoom), make))

    @app.get("/v1/meta", response_model=Meta, responses=_answers(), tags=["totals"])
    def meta(request: Request) -> Response:
        """The values that filters can have, and how far the store was read."""
        columns, settled = api.columns("events", None)
        names = country_names()
        answer = {
            "types": [{"type": name, "quad": quad(name)} for name in TYPES],
            "quads": list(QUADS),
            "countries": [
                {"code": code, "name": names.get(code, code)}
                for code in sorted(columns.countries.names, key=lambda code: names.get(code, code))
            ],
            "realis": list(REALIS),
            "statuses": list(STATUSES),
            "languages": sorted(columns.languages.names),
            "sources": sorted(columns.feeds.names),
            "version": app.version,
            "latest": _shown(settled),
        }
        return _json(request, answer)


def _stream(app: FastAPI, api: Api) -> None:
    example = "id: 1764331200000000-0f3c5a2e9b7d4c6a8e1f2b3d-1\nevent: incident\ndata: {...}\n\n"

    @app.get(
        "/v1/stream",
        response_class=StreamingResponse,
        responses=_answers(example, "text/event-stream"),
        tags=["stream"],
    )
    async def stream(request: Request, query: Annotated[StreamQuery, Query()]) -> Response:
        """What becomes known, as server-sent events; goes on until the client ends it.

        With the header `Last-Event-ID` it goes on after that one, else it begins with what comes next. Each revision is an
        event of its own, also one by which an item no longer passes the filters, and retractions. There is a comment every
        15 s.
        """
        if (why := api.desk.not_ready()) is not None:
            raise Unready(why)
        if api.hub.clients >= api.hub.limit:
            raise HTTPException(503, "too many clients follow the stream", {"Retry-After": "30"})
        columns = api.desk.now(query.of)
        resumed = parse_event_id(request.headers.get("last-event-id", ""))
        if resumed is not None:
            place: Place | None = Place(*resumed)
        else:
            place = columns.place(columns.size - 1) if columns.size else None
        key = request.state.key

        async def still() -> bool:
            try:
                return key is None or await api.keys.valid(key) is not None
            except ConflictwireError:
                return True  # the store does not answer: not the client's fault

        wanted = query.wanted()
        wanted = replace(wanted, query=replace(wanted.query, as_of=None))
        return EventStream(api.hub, query.of, wanted, place, still)


def _alerts(app: FastAPI, api: Api) -> None:
    @app.get(
        "/v1/alerts/{name}.atom",
        response_class=Response,
        responses=_answers("<feed xmlns='http://www.w3.org/2005/Atom'>...</feed>", MEDIA_TYPE, found=True),
        tags=["alerts"],
    )
    def alert_feed(
        request: Request,
        name: Annotated[str, Field(min_length=1, max_length=63, pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")],
        token: Annotated[str | None, Query(description="In place of a key: what `alerts add --feed` printed.")] = None,
    ) -> Response:
        """The Atom feed of an alert: an entry for each of the last hundred incidents that it told of, as it was told last."""
        alert = api.store.alerts.get(name)
        opened = "read" in request.state.scopes or (alert and alert.key_id == request.state.key_id)
        if alert is None or alert.channel != "feed" or not opened:
            raise _missing("feed of an alert", name)
        told = api.store.alerts.told_last(alert.alert_id, ENTRIES)
        shown_ = shown(api.store, [Item(each.incident_id, each.revision, each.change, each.why) for each in told])
        by_id = {each.record.incident_id: each for each in shown_}
        entries = [
            Entry(by_id[each.incident_id], each.first, each.changed) for each in told if each.incident_id in by_id
        ]
        # Without the query, which may hold the token.
        url = str(request.url.replace(query=""))
        return _json(request, feed(alert, entries, url), MEDIA_TYPE)


def _health(app: FastAPI, api: Api) -> None:
    def health(checks: dict[str, str | None]) -> Response:
        ok = not any(checks.values())
        said = {"status": "ok" if ok else "failing", "checks": {name: why or "ok" for name, why in checks.items()}}
        return Response(json.dumps(said), 200 if ok else 503, media_type="application/json")

    @app.get("/livez", response_model=Health, tags=["health"])
    async def livez() -> Response:
        """Whether the process gets on."""
        return health({"server": None})

    @app.get("/readyz", response_model=Health, responses={503: {"model": Health}}, tags=["health"])
    async def readyz() -> Response:
        """Whether it can answer, with what the store knows now."""
        return health({"store": api.desk.not_ready() or api.desk.stale()})


def _page(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        found = STATIC / "index.html"
        if not found.is_file():
            raise HTTPException(404, "the page was not installed; the API lies under /v1, described by /openapi.json")
        return FileResponse(found, media_type="text/html")


def _describe_keys(app: FastAPI) -> None:
    """Say in the description how a key is given, and that errors have one form."""
    make = app.openapi

    def described() -> dict[str, Any]:
        made = make()
        schemes = made.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {"type": "http", "scheme": "bearer", "description": "A key that the operator gave."}
        schemes["header"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        for path, operations in made["paths"].items():
            if re.match("/v1/", path):
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}, {"header": []}, {}]
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"].get("schemas", {}).pop(name, None)
        return made

    app.openapi = described  # type: ignore[method-assign]
