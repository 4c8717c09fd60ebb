"""What a batch of codings does to the store. Pure: from what is stored to what is to be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ingest.records import Article, EventRecord
from ingest.revisions import revise
from ingest.storage.values import Answer, Coding, Position

CodingKey = tuple[Position, str, int]


@dataclass(frozen=True, slots=True)
class StoredArticle:
    """The latest revision of an article as far as decisions need it; `dropped`: retention has emptied its text.

    None of its events was coded before `first_coded`; None where that is not known.
    """

    revision: int
    content_hash: str
    dropped: bool
    first_coded: datetime | None = None


@dataclass(slots=True)
class Decision:
    """What to write, and what `Store.apply` answers for each coding, in order.

    `superseded` are the stored revisions that were current until now, by event.
    """

    answers: list[Answer] = field(default_factory=list)
    made: dict[CodingKey, Answer] = field(default_factory=dict)
    coded: dict[CodingKey, Coding] = field(default_factory=dict)
    new_articles: dict[str, Article] = field(default_factory=dict)
    changed_articles: dict[str, Article] = field(default_factory=dict)
    revisions: list[EventRecord] = field(default_factory=list)
    first_coded: dict[str, datetime] = field(default_factory=dict)
    not_coded: dict[str, str | None] = field(default_factory=dict)
    superseded: dict[str, EventRecord] = field(default_factory=dict)

    @property
    def current(self) -> dict[str, EventRecord]:
        """The last revision made of each event: the one that is current from now on."""
        return {record.event_id: record for record in self.revisions}


def coding_key(coding: Coding) -> CodingKey:
    """What makes two codings decisions about the same record."""
    return coding.position, coding.article.article_id, coding.article.revision


def decide(
    codings: Sequence[Coding],
    decided: Mapping[CodingKey, Answer],
    articles: Mapping[str, StoredArticle],
    current: Iterable[EventRecord],
) -> Decision:
    """Decide `codings` in order, given what is already decided, the stored articles and the current events of these.

    - A record that was decided before gets the answer it got then, be it now coded or buried.
    - One that is buried changes nothing.
    - A revision older than the stored one changes nothing, nor does the empty text of an article whose text retention
      has dropped (coded again, it would retract everything).
    - Any other coding replaces the article and revises its events.
    """
    decision = Decision()
    latest = dict(articles)
    events: dict[str, dict[str, EventRecord]] = {}
    stored_events = {record.event_id: record for record in current}
    for record in stored_events.values():
        events.setdefault(record.article.article_id, {})[record.event_id] = record

    for given in codings:
        coding = _in_order(given, latest)
        key, article = coding_key(coding), coding.article
        answer = decided.get(key, decision.made.get(key))
        if answer is None:
            stored = latest.get(article.article_id)
            answer = [] if coding.buried is None else coding.buried
            if coding.buried is None and (stored is None or _counts(article, stored)):
                known = events.setdefault(article.article_id, {})
                answer = revised = revise(list(known.values()), article, coding.events, coding.coded)
                known.update((record.event_id, record) for record in revised)
                decision.revisions += revised
                decision.not_coded[article.article_id] = coding.not_coded
                if article.article_id not in articles:
                    decision.new_articles[article.article_id] = article
                    decision.first_coded.setdefault(article.article_id, coding.coded)
                elif stored and (stored.revision, stored.content_hash) != (article.revision, article.content_hash):
                    decision.changed_articles[article.article_id] = article
                first_coded = stored.first_coded if stored else coding.coded
                latest[article.article_id] = StoredArticle(article.revision, article.content_hash, False, first_coded)
            decision.made[key] = answer
            decision.coded[key] = coding
        decision.answers.append(answer)
    decision.superseded = {name: stored_events[name] for name in decision.current if name in stored_events}
    return decision


def _in_order(coding: Coding, latest: Mapping[str, StoredArticle]) -> Coding:
    """`coding`, not before the first of its article, whatever the workers' clocks say."""
    stored = latest.get(coding.article.article_id)
    first = stored.first_coded if stored else None
    return replace(coding, coded=first) if first and coding.coded < first else coding


def _counts(article: Article, stored: StoredArticle) -> bool:
    if article.revision < stored.revision:
        return False
    return not (stored.dropped and article.revision == stored.revision and not article.text)
