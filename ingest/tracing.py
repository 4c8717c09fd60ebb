"""OpenTelemetry traces from a feed's pull to its articles' events, where somebody collects them.

With the extra `otel` installed and OTEL_EXPORTER_OTLP_ENDPOINT set, spans go there (OTLP over HTTP; the other OTEL_*
variables are the SDK's own). The context travels in the header `traceparent` of the records (W3C Trace Context), which a
worker hands on from an article to its events even where it traces nothing itself.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ingest.broker import Headers, Record

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

log = logging.getLogger(__name__)

TRACEPARENT = "traceparent"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Version 00 of https://www.w3.org/TR/trace-context/#traceparent-header: ids that are all zero are invalid.
_FORM = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# A collector that does not answer must not hold up the end of the process, which is to be over within ten seconds.
_EXPORT_SECONDS = 2.0


def carried(headers: Headers) -> Headers:
    """The header that hands the trace on, if there is one and it is well formed."""
    return tuple((name, value) for name, value in headers if name == TRACEPARENT and _FORM.fullmatch(value))[:1]


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A span around what happens within, in the trace of the current context."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(name, attributes=attributes):
        yield


def current() -> Headers:
    """The header for records published now."""
    if _tracer() is None:
        return ()
    from opentelemetry import trace

    return _header(trace.get_current_span())


def begin(records: Sequence[Record]) -> tuple[Sequence[Record], list[Span]]:
    """Begin a span for each article record; returns the records with the header that puts what they give within it.

    No spans, and the records as they are, where nothing is traced.
    """
    tracer = _tracer()
    if tracer is None:
        return records, []
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    read, now = TraceContextTextMapPropagator(), time.time_ns()
    spans, within = [], []
    for record in records:
        parent = read.extract({name: value.decode() for name, value in carried(record.headers)})
        attributes: dict[str, str | int] = {
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.batch.message_count": len(records),
            "conflictwire.article": (record.key or b"").decode(errors="replace")[:100],
        }
        begun = tracer.start_span("process article", parent, SpanKind.CONSUMER, attributes, start_time=now)
        others = tuple(header for header in record.headers if header[0] != TRACEPARENT)
        within.append(replace(record, headers=(*others, *_header(begun))))
        spans.append(begun)
    return within, spans


def finish(spans: Sequence[Span], **stages: float) -> None:
    """End the spans that `begin` began, each with a span for each stage, given in order with its seconds.

    The stages are those of the batch: its articles share them.
    """
    tracer = _tracer()
    if tracer is None or not spans:
        return
    from opentelemetry import trace

    end = time.time_ns()
    for each in spans:
        within = trace.set_span_in_context(each)
        at = end - sum(int(seconds * 1e9) for seconds in stages.values())
        for name, seconds in stages.items():
            stage = tracer.start_span(name, within, start_time=at)
            at += int(seconds * 1e9)
            stage.end(at)
        each.end(end)


def _header(span: Span) -> Headers:
    context = span.get_span_context()
    if not context.is_valid:
        return ()
    return ((TRACEPARENT, b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)),)


@cache
def _tracer() -> Tracer | None:
    """None where nobody collects."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        advice = "pip install 'conflictwire[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT"
        log.warning("nothing is traced", extra={"error": str(error), "advice": advice})
        return None
    # Not the global provider: Prefect has spans of its own there.
    name = os.environ.get("OTEL_SERVICE_NAME", "conflictwire")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    timeout = None if os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT") else _EXPORT_SECONDS
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)))
    return provider.get_tracer("conflictwire")
