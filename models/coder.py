"""The coder: from the text of an article to its events.

The way of a sentence: `text.sentences` cuts it out, the gate, a small network, passes it on if it may hold an event, and
`reader` finds candidates and their arguments with the large one (`encoder`, `classifier`, `arguments`); `resolve` turns the
words into countries, places, days and numbers, and `mentions` joins what headline and lead both tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from models import Profile, ontology, resolve
from models.arguments import Argument
from models.encoder import BATCH_TOKENS
from models.events import Actor, Count, Event, EventDate, Location, ModelInfo, Span
from models.mentions import LEAD_SENTENCES, told_once
from models.reader import Reader, Reading
from models.text import sentences, uncodable

WEIGHTS = Path(__file__).parent / "weights"
# Articles are read together until they hold this many code points, so that sentences of one length fill a batch.
_CHUNK = 60_000


class Text(Protocol):
    """An article as an object; `title` and `published` may be missing."""

    @property
    def text(self) -> str: ...


Article = str | Mapping[str, Any] | Text
Published = datetime | date | str | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence of the chunk: which article, which field, where."""

    article: int
    field: Literal["title", "text"]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    title: str
    published: datetime | None

    @classmethod
    def of(cls, article: Article) -> _Source:
        """Raises TypeError where there is no text, ValueError where a date cannot be read."""
        if isinstance(article, str):
            return cls(article, "", None)
        read = article.get if isinstance(article, Mapping) else partial(getattr, article)
        text, title, published = read("text", None), read("title", None), read("published", None)
        if not isinstance(text, str):
            raise TypeError(f"an article is a str, or has a `text` that is one, not {type(text).__name__}")
        return cls(text, title or "", _moment(published))


class Coder:
    """Codes texts. One instance may be used by one thread at a time; the runtime itself uses all cores."""

    def __init__(self, reader: Reader, gate: Reader | None = None) -> None:
        self.reader = reader
        self._gate = gate
        self.model = ModelInfo(reader.weights.name, reader.weights.version)

    @classmethod
    def load(cls, path: str | Path | None = None, threads: int | None = None, profile: Profile | None = None) -> Coder:
        """The shipped weights, or those in the folder `path`; `threads` of the runtime, all cores if None.

        `profile` "accurate" (default) reads with the large network what the small one passes on, "fast" with the small one
        alone. In a folder that holds one network it is not looked at.
        Raises ModelError if weights are missing or damaged.
        """
        folder = Path(path) if path is not None else WEIGHTS
        if (folder / "config.json").exists():
            return cls(Reader.load(folder, threads))
        small = Reader.load(folder / "fast", threads)
        if profile == "fast":
            return cls(small)
        return cls(Reader.load(folder / "accurate", threads), small)

    def code(
        self,
        text: str,
        title: str | None = None,
        published: Published = None,
        min_confidence: float | None = None,
    ) -> list[Event]:
        """The events of one article, those of the title first, in text order.

        `published` (a time, a day, or either in ISO 8601) anchors relative dates. `min_confidence` None is the default
        threshold of the weights; 0 returns every candidate, also those of sentences that the gate would not pass on. The same
        text gives the same events alone or among others (`code_many`).
        """
        source = {"text": text, "title": title, "published": published}
        return next(self.code_many([source], min_confidence=min_confidence))

    def code_many(
        self,
        articles: Iterable[Article],
        batch_tokens: int = BATCH_TOKENS,
        min_confidence: float | None = None,
    ) -> Iterator[list[Event]]:
        """The events of each article, in order, for any iterable; reads ahead by at most a few articles.

        An article is a str, or a mapping or an object with `text` and, if it likes, `title` and `published`.
        `batch_tokens` bounds the padded tokens that the encoder holds at once.
        """
        threshold = self.reader.weights.min_confidence if min_confidence is None else min_confidence
        chunk: list[_Source] = []
        held = 0
        for article in articles:
            source = _Source.of(article)
            chunk.append(source)
            held += len(source.text) + len(source.title)
            if held >= _CHUNK:
                yield from self._code_chunk(chunk, batch_tokens, threshold)
                chunk, held = [], 0
        if chunk:
            yield from self._code_chunk(chunk, batch_tokens, threshold)

    def _code_chunk(self, articles: Sequence[_Source], batch_tokens: int, threshold: float) -> Iterator[list[Event]]:
        pieces: list[_Piece] = []
        for number, article in enumerate(articles):
            if uncodable(article.text, article.title):
                continue
            pieces += [_Piece(number, "title", *span) for span in sentences(article.title)]
            pieces += [_Piece(number, "text", *span) for span in sentences(article.text)]
        texts = [getattr(articles[piece.article], piece.field)[piece.start : piece.end] for piece in pieces]
        events: list[list[Event]] = [[] for _ in articles]
        leads: list[list[tuple[int, int]]] = [[] for _ in articles]
        for piece, text, readings in zip(pieces, texts, self.read(texts, threshold, batch_tokens), strict=True):
            if piece.field == "text" and len(leads[piece.article]) < LEAD_SENTENCES:
                leads[piece.article].append((piece.start, piece.end))
            for reading in readings:
                events[piece.article].append(self._event(piece, text, reading, articles[piece.article]))
        for found, lead in zip(events, leads, strict=True):
            yield told_once(found, lead)

    def read(self, sentences: Sequence[str], threshold: float, batch_tokens: int = BATCH_TOKENS) -> list[list[Reading]]:
        """For each sentence the candidates at or above the threshold, in order; at 0 every candidate, past the gate."""
        least = self.reader.weights.gate
        if self._gate is None or least is None or threshold <= 0:
            return self.reader.read(sentences, threshold, batch_tokens)
        passed = np.flatnonzero(self._gate.event_logits(sentences, batch_tokens) >= least).tolist()
        found: list[list[Reading]] = [[] for _ in sentences]
        for row, readings in zip(
            passed, self.reader.read([sentences[row] for row in passed], threshold, batch_tokens), strict=True
        ):
            found[row] = readings
        return found

    def _event(self, piece: _Piece, sentence: str, reading: Reading, article: _Source) -> Event:
        headline, published = article.title, article.published

        def span(start: int, end: int) -> Span:
            return Span(sentence[start:end], piece.start + start, piece.start + end, piece.field)

        def actor(argument: Argument) -> Actor:
            at = span(argument.start, argument.end)
            code = resolve.resolve_actor(at.text, published.date() if published else None)
            return Actor(at.text, at.start, at.end, at.field, code.country, code.sector, argument.confidence)

        what, roles = reading.kind, reading.arguments
        actors = tuple(actor(argument) for argument in roles["actor"])
        recipients = tuple(actor(argument) for argument in roles["recipient"])
        places = [span(argument.start, argument.end) for argument in roles["location"]]
        dates = [span(argument.start, argument.end) for argument in roles["date"]]
        dead, injured = (
            _count([span(argument.start, argument.end) for argument in roles[role]]) for role in ("dead", "injured")
        )
        countries = [
            code for each in (*actors, *recipients) if (code := each.country) and code not in ("IGO", "NGO", "IMG")
        ]
        return Event(
            type=what.type,
            quad=ontology.quad(what.type),
            modes=what.modes,
            intensity=ontology.intensity(what.type, what.modes),
            realis=what.realis,
            confidence=reading.confidence,
            trigger=span(*reading.trigger),
            sentence=Span(sentence, piece.start, piece.end, piece.field),
            codes=ontology.crosswalk(
                what.type,
                what.modes,
                what.realis,
                [each.sector for each in actors],
                [each.sector for each in recipients],
                dead.min if dead else None,
                sentence[slice(*reading.trigger)],
            ),
            crosswalk=ontology.CROSSWALK_VERSION,
            model=self.model,
            actors=actors,
            recipients=recipients,
            location=_location(places, countries, (sentence, headline)),
            date=_date(dates, published, what.realis == "future"),
            dead=dead,
            injured=injured,
            claimed_by=tuple(span(argument.start, argument.end) for argument in roles["claimed_by"]),
        )


def _moment(published: Published) -> datetime | None:
    if isinstance(published, str):
        published = datetime.fromisoformat(published)
    if published is None or isinstance(published, datetime):
        return published
    return datetime(published.year, published.month, published.day, tzinfo=UTC)


def _location(places: Sequence[Span], actors: Sequence[str], around: Sequence[str]) -> Location | None:
    """The first mention is the most specific one; the others, and the countries of the actors and of the texts around it,
    tell which place of that name it is."""
    if not places:
        return None
    at = places[0]
    hints = dict.fromkeys([*actors, *(country for text in around for country in resolve.countries_named(text))])
    place = resolve.resolve_place([span.text for span in places], list(hints))
    if place is None:
        return Location(at.text, at.start, at.end, at.field)
    return Location(
        at.text,
        at.start,
        at.end,
        at.field,
        name=place.name,
        country=place.country,
        admin1=place.admin1,
        lat=place.lat,
        lon=place.lon,
        geonames_id=place.geonames_id,
        precision=place.precision,
    )


def _date(dates: Sequence[Span], published: datetime | None, future: bool) -> EventDate | None:
    if not dates:
        return None
    at = dates[0]
    return EventDate(at.text, at.start, at.end, at.field, *resolve.resolve_date(at.text, published, future))


def _count(counts: Sequence[Span]) -> Count | None:
    if not counts:
        return None
    at = counts[0]
    return Count(at.text, at.start, at.end, at.field, *resolve.resolve_count(at.text))
