"""The topics as an AsyncAPI 3 document, docs/asyncapi.json."""

from __future__ import annotations

from typing import Any, Literal

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

    def channel(address: str, description: str, message: dict[str, Any], key: dict[str, Any] = key) -> dict[str, Any]:
        named = {"bindings": {"kafka": {"key": key}}} | message
        return {"address": address, "description": description, "messages": {"record": named}}

    of_incident = {"type": "string", "description": "incident_id: one incident's revisions stay in order"}

    def record(kind: Literal["article", "event", "incident"]) -> dict[str, Any]:
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
            "description": "Articles from news feeds, the conflict events coded from them, and the incidents they report. "
            "Read `events` and `incidents` with isolation.level=read_committed.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "articles": channel(topics.articles, "Every revision of every article, to be coded", record("article")),
            "events": channel(topics.events, "Every revision of every event, once", record("event")),
            "incidents": channel(
                topics.incidents, "Every revision of every incident, once", record("incident"), of_incident
            ),
            "dead": channel(topics.dead, "Article records that could not be read or coded, unchanged", dead),
        },
        "operations": {
            "code": {"action": "receive", "channel": {"$ref": "#/channels/articles"}},
            "follow": {"action": "send", "channel": {"$ref": "#/channels/events"}},
            "watch": {"action": "send", "channel": {"$ref": "#/channels/incidents"}},
            "bury": {"action": "send", "channel": {"$ref": "#/channels/dead"}},
        },
        "components": {"schemas": {kind: json_schema(kind) for kind in ("article", "event", "incident")}},
    }
