"""A coder that finds keywords: it stands in for the model only, where a test is about what goes on around it."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

from ingest.records import Article
from ingest.settings import Settings
from models.assemble import Assembly
from models.events import AcledCode, Actor, Codes, Count, Event, Field, ModelInfo, Realis, Span, Why

# The driver's log shows what `ingest` says.
log = logging.getLogger("ingest.keywords")

MODEL = ModelInfo("keywords", "1")
SECONDS = "KEYWORD_CODER_SECONDS"
_BATTLE = AcledCode("Battles", "Armed clash")
_WORDS: dict[str, tuple[str, str, str, float, AcledCode | None]] = {
    "killed": ("ASSAULT", "material_conflict", "190", -10.0, _BATTLE),
    "shelled": ("ASSAULT", "material_conflict", "194", -10.0, _BATTLE),
    "protested": ("PROTEST", "material_conflict", "141", -6.5, None),
    "condemned": ("ACCUSE", "verbal_conflict", "111", -2.0, None),
    "met": ("CONSULT", "verbal_cooperation", "040", 1.0, None),
}
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.\n]+\.?")
_ACTOR = re.compile(r"\b(rebels|police|army|president)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\b(\d{1,6})\b")


class KeywordCoder:
    """One event for each keyword. Takes `seconds` for each article; words in the text say when to fail.

    `POISON` always raises, `BATCHPOISON` in a batch only, `FLAKY` in a batch and at the first two tries alone, `CURSED`
    like it at every try. `LETHAL` ends the process as a crash of native code does, `SLOW` takes
    `slow_seconds`.
    """

    def __init__(self, seconds: float = 0.0, slow_seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.slow_seconds = slow_seconds
        self.alone: list[str] = []

    def code_many(self, articles: Iterable[Article], *, min_confidence: float | None = None) -> Iterator[list[Event]]:
        for article in articles:
            if any(word in article.text for word in ("POISON", "FLAKY", "CURSED")):
                raise ValueError("poison in the batch")
            yield self.events(article.text, article.title, min_confidence)

    def explain_many(self, articles: Iterable[Article], *, min_confidence: float | None = None) -> Iterator[Assembly]:
        for events in self.code_many(articles, min_confidence=min_confidence):
            arguments = [part for event in events for part in (*event.actors, event.dead) if part]
            yield Assembly(events, dict.fromkeys(arguments, Why("keyword", (), ("keystone",))))

    def code(
        self,
        text: str,
        title: str | None = None,
        published: datetime | None = None,
        min_confidence: float | None = None,
        url: str | None = None,
    ) -> list[Event]:
        self.alone.append(text)
        if "POISON" in text.replace("BATCHPOISON", ""):
            raise ValueError("poison\nalone")
        if "CURSED" in text or ("FLAKY" in text and self.alone.count(text) < 3):
            raise OSError("no luck")
        return self.events(text, title or "", min_confidence)

    def events(self, text: str, title: str = "", min_confidence: float | None = None) -> list[Event]:
        """What is found, whatever the text says about failing."""
        log.debug("coding")
        if "LETHAL" in text:
            os.abort()
        time.sleep(self.slow_seconds if "SLOW" in text else self.seconds)
        found = [*_find("title", title), *_find("text", text)]
        return [event for event in found if event.confidence >= (min_confidence or 0.0)]


def _find(field: Field, text: str) -> Iterator[Event]:
    for sentence in _SENTENCE.finditer(text):
        for word in _WORD.finditer(text, *sentence.span()):
            type_, quad, cameo, intensity, acled = _WORDS[word[0].lower()]
            realis: Realis = "negated" if "not" in sentence[0] else "actual"
            actors = tuple(
                Actor(actor[0], *actor.span(), field, country="XYZ", sector="REB", confidence=0.5)
                for actor in _ACTOR.finditer(text, sentence.start(), word.start())
            )
            number = _NUMBER.search(text, word.end(), sentence.end())
            dead = Count(number[0], *number.span(), field, int(number[0]), int(number[0])) if number else None
            yield Event(
                type=type_,
                quad=quad,
                modes=(),
                intensity=intensity,
                realis=realis,
                confidence=0.9 if field == "text" else 0.6,
                trigger=Span(word[0], *word.span(), field),
                sentence=Span(sentence[0], *sentence.span(), field),
                codes=Codes(type_, cameo, acled),
                crosswalk="keywords-1",
                model=MODEL,
                actors=actors,
                dead=dead if type_ == "ASSAULT" else None,
            )


def load(settings: Settings, workers: int) -> KeywordCoder:
    """For `run_workers`: slow by as many seconds an article as the environment says.

    Fails once for each file `crash*` in the data folder.
    """
    for crash in settings.data_dir.glob("crash*"):
        crash.unlink()
        raise RuntimeError("a bug")
    return KeywordCoder(float(os.environ.get(SECONDS, "0")))
