"""The topics as an AsyncAPI 3 document, docs/asyncapi.json."""

from __future__ import annotations

from typing import Any

from ingest.records import SCHEMA, json_schema
from ingest.settings import Topics

_DEAD_HEADERS = {
    "topic": "The topic that the record lay in",
    "partition": "Its partition, in decimal",
    "offset": "Its offset, in decimal",
    "stage": "read, code, store or publish",
    "exception": "The class of the error",
    "message": "What was wrong",
    "attempts": "How often it was tried, in decimal",
    "history": "Earlier failures of a replayed record, as a JSON array; absent on the first",
}


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of the topics under their default names."""
    topics = Topics()
    key = {"type": "string", "description": "article_id: one article's records stay in order"}

    def channel(address: str, description: str, message: dict[str, Any]) -> dict[str, Any]:
        named = {"bindings": {"kafka": {"key": key}}} | message
        return {"address": address, "description": description, "messages": {"record": named}}

    def record(kind: str) -> dict[str, Any]:
        return {"name": kind, "contentType": "application/json", "payload": {"$ref": f"#/components/schemas/{kind}"}}

    headers = {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in _DEAD_HEADERS.items()},
    }
    dead = {"name": "dead letter", "contentType": "application/json", "headers": headers, "payload": {}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Conflictwire",
            "version": str(SCHEMA),
            "description": "Articles from news feeds, and the conflict events coded from them. "
            "Read `events` with isolation.level=read_committed.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "articles": channel(topics.articles, "Every revision of every article, to be coded", record("article")),
            "events": channel(topics.events, "Every revision of every event, once", record("event")),
            "dead": channel(topics.dead, "Article records that could not be read or coded, unchanged", dead),
        },
        "operations": {
            "code": {"action": "receive", "channel": {"$ref": "#/channels/articles"}},
            "follow": {"action": "send", "channel": {"$ref": "#/channels/events"}},
            "bury": {"action": "send", "channel": {"$ref": "#/channels/dead"}},
        },
        "components": {"schemas": {"article": json_schema("article"), "event": json_schema("event")}},
    }
