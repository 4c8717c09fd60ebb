"""The coder: from the text of an article to its events.

The way of a sentence: `text.sentences` cuts it out, the gate, a small network, passes it on if it may hold an event, and
`reader` finds candidates and their arguments with the large one (`encoder`, `classifier`, `arguments`); `assemble` turns the
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

from models import Profile
from models.assemble import Assembly, Told, assemble
from models.encoder import BATCH_TOKENS
from models.events import Event, ModelInfo, Span
from models.mentions import LEAD_SENTENCES, told_once
from models.reader import Reader, Reading
from models.resolve.article import Article
from models.text import sentences, uncodable

WEIGHTS = Path(__file__).parent / "weights"
# Articles are read together until they hold this many code points, so that sentences of one length fill a batch.
_CHUNK = 60_000


class Text(Protocol):
    """An article as an object; `title`, `published` and `url` may be missing."""

    @property
    def text(self) -> str: ...


Source = str | Mapping[str, Any] | Text
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
    url: str | None

    @classmethod
    def of(cls, article: Source) -> _Source:
        """Raises TypeError where there is no text, ValueError where a date cannot be read."""
        if isinstance(article, str):
            return cls(article, "", None, None)
        read = article.get if isinstance(article, Mapping) else partial(getattr, article)
        text, title, published = read("text", None), read("title", None), read("published", None)
        if not isinstance(text, str):
            raise TypeError(f"an article is a str, or has a `text` that is one, not {type(text).__name__}")
        return cls(text, title or "", _moment(published), read("url", None))


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
        url: str | None = None,
    ) -> list[Event]:
        """The events of one article, those of the title first, in text order.

        `published` (a time, a day, or either in ISO 8601) anchors relative dates, the top-level domain of `url` tells the
        publisher's country. `min_confidence` None is the default threshold of the weights; 0 returns every candidate, also
        those of sentences that the gate would not pass on. The same text gives the same events alone or among others
        (`code_many`).
        """
        source = {"text": text, "title": title, "published": published, "url": url}
        return next(self.code_many([source], min_confidence=min_confidence))

    def code_many(
        self,
        articles: Iterable[Source],
        batch_tokens: int = BATCH_TOKENS,
        min_confidence: float | None = None,
    ) -> Iterator[list[Event]]:
        """The events of each article, in order, for any iterable; reads ahead by at most a few articles.

        An article is a str, or a mapping or an object with `text` and, if it likes, `title`, `published` and `url`, whose
        top-level domain tells the publisher's country. `batch_tokens` bounds the tokens that the encoder reads at once.
        """
        for assembly in self.explain_many(articles, batch_tokens, min_confidence):
            yield assembly.events

    def explain_many(
        self,
        articles: Iterable[Source],
        batch_tokens: int = BATCH_TOKENS,
        min_confidence: float | None = None,
    ) -> Iterator[Assembly]:
        """As `code_many`, with the reasons: `why` has one for each actor, recipient, location, date and count."""
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

    def _code_chunk(self, articles: Sequence[_Source], batch_tokens: int, threshold: float) -> Iterator[Assembly]:
        pieces: list[_Piece] = []
        for number, article in enumerate(articles):
            if uncodable(article.text, article.title):
                continue
            pieces += [_Piece(number, "title", *span) for span in sentences(article.title)]
            pieces += [_Piece(number, "text", *span) for span in sentences(article.text)]
        texts = [getattr(articles[piece.article], piece.field)[piece.start : piece.end] for piece in pieces]
        told: list[list[Told]] = [[] for _ in articles]
        leads: list[list[tuple[int, int]]] = [[] for _ in articles]
        for piece, text, readings in zip(pieces, texts, self.read(texts, threshold, batch_tokens), strict=True):
            if piece.field == "text" and len(leads[piece.article]) < LEAD_SENTENCES:
                leads[piece.article].append((piece.start, piece.end))
            if readings:
                told[piece.article].append(Told(Span(text, piece.start, piece.end, piece.field), readings))
        for source, sentences_told, lead in zip(articles, told, leads, strict=True):
            whole = Article(source.text, source.title, source.published, source.url)
            assembly = assemble(whole, sentences_told, self.model)
            assembly.events = told_once(assembly.events, lead)
            yield assembly

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


def _moment(published: Published) -> datetime | None:
    if isinstance(published, str):
        published = datetime.fromisoformat(published)
    if published is None or isinstance(published, datetime):
        return published
    return datetime(published.year, published.month, published.day, tzinfo=UTC)
