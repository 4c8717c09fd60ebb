"""What an article's new coding means for the events already known of it. Pure: from state to decision."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from ingest.records import Article, ArticleRef, EventRecord, Status
from models.events import Actor, Event

_EVENT_FIELDS = tuple(field.name for field in fields(Event))
# A better model that finds the same is no news, so `model` does not count; offsets do, since a record must cut the
# words it carries out of the revision of the article that it names.
_COMPARED_FIELDS = tuple(name for name in _EVENT_FIELDS if name != "model")
_CONFIDENCE_DIGITS = 3  # sums of floats differ in their last digits from one machine and batch to another


def event_id(article_id: str, event: Event, nth: int) -> str:
    """24 hex digits that stay the same when the article is coded again.

    `nth` is 1 for the first event in the article with that type and trigger (letter case apart), 2 for the next.
    """
    identity = json.dumps([article_id, event.type, event.trigger.text.casefold(), nth])
    return hashlib.sha256(identity.encode()).hexdigest()[:24]


def same(stored: EventRecord, event: Event) -> bool:
    """Whether `event` says nothing that `stored` did not say.

    Everything counts except the model and differences of confidence below the third decimal; the time of coding and
    the article's revision are no part of an event.
    """
    return stored.status != "retracted" and _comparable(stored) == _comparable(event)


def revise(
    stored: Sequence[EventRecord], article: Article, events: Sequence[Event], coded: datetime
) -> list[EventRecord]:
    """The revisions that coding `article` makes, where `stored` are the current revisions of its events.

    In the order of `events`: `new` ones, and `updated` ones that differ from what is stored; then those that have
    vanished, `retracted`, in the order of `stored`. What is unchanged is left out, so that a second coding of the same
    gives nothing. An event that comes back after its retraction is `new` again, under the revision that follows.

    A retracted record keeps its last content and the article revision it was coded from, in which its offsets hold.
    """
    known = {record.event_id: record for record in stored}
    reference = ArticleRef(
        article_id=article.article_id,
        revision=article.revision,
        feed=article.feed,
        url=article.url,
        title=article.title,
        published=article.published,
        language=article.language,
        syndication_id=article.syndication_id,
    )
    seen: Counter[tuple[str, str]] = Counter()
    revisions = []
    for event in events:
        likeness = (event.type, event.trigger.text.casefold())
        seen[likeness] += 1
        identity = event_id(article.article_id, event, seen[likeness])
        former = known.pop(identity, None)
        if former and same(former, event):
            continue
        status: Status = "updated" if former and former.status != "retracted" else "new"
        revisions.append(
            EventRecord(
                event_id=identity,
                revision=former.revision + 1 if former else 1,
                status=status,
                article=reference,
                coded=coded,
                **{name: getattr(event, name) for name in _EVENT_FIELDS},
            )
        )
    vanished = (record for record in known.values() if record.status != "retracted")
    changes = {"status": "retracted", "coded": coded}
    return revisions + [
        EventRecord.model_validate(dict(record) | changes | {"revision": record.revision + 1}) for record in vanished
    ]


def _comparable(event: Event | EventRecord) -> tuple[Any, ...]:
    return tuple(_rounded(name, getattr(event, name)) for name in _COMPARED_FIELDS)


def _rounded(name: str, value: Any) -> Any:
    if name == "confidence":
        return round(value, _CONFIDENCE_DIGITS)
    if name in ("actors", "recipients"):
        return tuple(_rounded_actor(actor) for actor in value)
    return value


def _rounded_actor(actor: Actor) -> Actor:
    return replace(actor, confidence=round(actor.confidence, _CONFIDENCE_DIGITS))
