"""The Atom feed of an alert (RFC 4287): an entry for each incident that it told of, as it was told last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree

from ingest.alerts.words import Shown, as_html, cut, evidence, headline
from ingest.records import format_time
from ingest.storage import Alert

ENTRIES = 100
"""Of a feed, at most: those told last."""
MEDIA_TYPE = "application/atom+xml"
_NS = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True, slots=True)
class Entry:
    """An incident, when it was told first, and last."""

    told: Shown
    first: datetime
    changed: datetime


def feed(alert: Alert, entries: Sequence[Entry], url: str) -> bytes:
    """The document; the same as long as nothing more is told."""
    root = ElementTree.Element("feed", {"xmlns": _NS, "xml:lang": "en"})
    _add(root, "id", _id(alert.alert_id))
    _add(root, "title", alert.name)
    _add(root, "updated", format_time(max((entry.changed for entry in entries), default=alert.created)))
    _add(root, "link", rel="self", type=MEDIA_TYPE, href=url)
    _add(_add(root, "author"), "name", "Conflictwire")
    _add(root, "generator", "Conflictwire")
    for entry in entries:
        _entry(root, alert, entry)
    document: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return document


def _entry(root: ElementTree.Element, alert: Alert, entry: Entry) -> None:
    told = entry.told
    record = told.record
    title = headline(record)
    if told.change == "withdrawn" and record.status != "retracted":
        title = f"Withdrawn: {title}"
    made = _add(root, "entry")
    _add(made, "id", _id(f"{alert.alert_id}:{record.incident_id}"))
    _add(made, "title", title)
    _add(made, "published", format_time(entry.first))
    _add(made, "updated", format_time(entry.changed))
    links = list(dict.fromkeys(each.url for each in evidence(record, told.events) if each.url))
    for number, link in enumerate(links):
        _add(made, "link", rel="related" if number else "alternate", href=link)
    for term in (record.type.value, record.status, *record.countries):
        _add(made, "category", term=cut(term, 80))
    _add(made, "content", as_html(told), type="html")


def _id(name: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'conflictwire:alert:{name}')}"


def _add(parent: ElementTree.Element, tag: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, tag, attributes)
    made.text = text
    return made
