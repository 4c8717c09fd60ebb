"""Traces go from a feed's pull to its articles' events, through the headers of the records, to whoever collects them."""

from __future__ import annotations

import asyncio
import gzip
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import tracing
from ingest.broker import Outgoing
from ingest.feeds.catalog import Feed
from ingest.feeds.pull import pull_feeds
from tests.feeds.serve import SampleServer
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(HTTPServer):
    """Takes OTLP over HTTP on loopback."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)

    def spans(self) -> dict[bytes, tuple[str, bytes, bytes]]:
        """Name, trace and parent of each span, by its id."""
        return {
            span.span_id: (span.name, span.trace_id, span.parent_span_id)
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        tracing._tracer.cache_clear()
        yield server
        tracing._tracer.cache_clear()
        server.shutdown()


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing._tracer.cache_clear()
    yield
    tracing._tracer.cache_clear()


def flush() -> None:
    tracer = tracing._tracer()
    assert tracer is not None
    tracer.span_processor.force_flush()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (PARENT, True),
        (PARENT[:-1], False),
        (PARENT + b"0", False),
        (PARENT.upper(), False),
        (b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", False),
        (b"00-0af7651916cd43dd8448eb211c80319c-" + b"0" * 16 + b"-01", False),
        (b"\xff" * 55, False),
        (b"", False),
    ],
)
def test_only_a_well_formed_trace_is_handed_on(value: bytes, whole: bool) -> None:
    header = (tracing.TRACEPARENT, value)
    assert tracing.carried((("other", b"x"), header)) == ((header,) if whole else ())


def test_events_carry_the_trace_of_their_article_where_nothing_is_collected(pipeline: Pipeline, untraced: None) -> None:
    one = article(1)
    topic = pipeline.settings.topics.articles
    pipeline.publish([Outgoing(topic, one.article_id.encode(), one.to_json(), ((tracing.TRACEPARENT, PARENT),))])
    pipeline.publish([article(2)])
    pipeline.work(KeywordCoder())
    traces = {record.key: record.headers for record in pipeline.published()}
    assert traces == {b"article-00001": ((tracing.TRACEPARENT, PARENT),), b"article-00002": ()}


def test_one_trace_leads_from_the_pull_of_a_feed_to_its_events(
    embedded: Pipeline, collector: Collector, samples: SampleServer
) -> None:
    settings = embedded.settings
    fetch = settings.fetch.model_copy(update={"allow_private": True, "host_gap": 0.0})
    settings = settings.model_copy(update={"fetch": fetch})
    producer = embedded.broker.producer()
    feed = Feed("sahel", f"{samples.url}/sahel-courier.xml")
    (result,) = asyncio.run(pull_feeds([feed], embedded.store, producer, settings))
    producer.close()
    assert result.new
    embedded.work(KeywordCoder())
    flush()
    spans = collector.spans()

    def way(span: bytes) -> list[str]:
        return [spans[span][0], *way(spans[span][2])] if span else []

    assert len({trace for _, trace, _ in spans.values()}) == 1
    ways = {tuple(way(span)) for span in spans}
    to_article = ("process article", "publish articles", "pull feed")
    assert {(stage, *to_article) for stage in ("code", "store", "publish")} | {to_article} <= ways
    assert sum(name == "process article" for name, _, _ in spans.values()) == result.new
    for record in embedded.published():
        ((_, header),) = record.headers
        assert spans[bytes.fromhex(header.split(b"-")[2].decode())][0] == "process article"


def test_a_collector_that_is_not_there_stops_nothing(embedded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing._tracer.cache_clear()
    embedded.publish([article(number) for number in range(3)])
    assert embedded.work(KeywordCoder()).articles == 3
    tracing._tracer.cache_clear()


def test_without_the_extra_a_warning_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    tracing._tracer.cache_clear()
    assert tracing.current() == ()
    assert re.search(r"conflictwire\[otel\]", str(caplog.records[0].__dict__))
    tracing._tracer.cache_clear()
