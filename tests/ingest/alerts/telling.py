"""Incidents that tests of alerts tell, in the words of several papers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from ingest.storage import Store
from models.events import Event
from tests.ingest.api.serving import FEEDS, PLACES, Story, Writer, article, event

SHELLED = Story(
    "ASSAULT", "artillery", "shelled", ("The army", None, "MIL"), ("the market", None, "CIV"), PLACES[1], dead=12
)
# Of articles: tests share a store.
_NUMBERS = count(1)
MARCHED = Story("PROTEST", "demo", "protested", ("Students", None, "CVL"), ("the government", None, "GOV"), PLACES[9])


def apart(number: int) -> Story:
    """One of ten stories that nobody takes for another."""
    return replace(SHELLED, place=PLACES[number])


class Papers:
    """Papers that report, so that incidents become known in a store."""

    def __init__(self, store: Store) -> None:
        self.writer = Writer(store)

    def report(self, story: Story = SHELLED, paper: int = 0, title: str = "", url: str = "", **changes: object) -> int:
        """One article of a paper on a story with `changes`; its number."""
        number = next(_NUMBERS)
        self._write(number, 1, replace(story, **changes), paper, title, url)  # type: ignore[arg-type]
        return number

    def correct(self, number: int, story: Story | None, paper: int = 0) -> None:
        """The next revision of an article, with another story or none."""
        self._write(number, 2, story, paper, "", "")

    def _write(self, number: int, revision: int, story: Story | None, paper: int, title: str, url: str) -> None:
        now = datetime.now(UTC)
        events: list[Event] = []
        text = "Nothing of that has happened after all."
        if story is not None:
            text, found = event(story, now.date().isoformat(), 0.9)
            events = [found]
        fields = {"revision": revision, "content_hash": f"{number}-{revision}"} | ({"url": url} if url else {})
        one = article(
            number, text, title or f"News {number} of paper {paper}", FEEDS[paper], now - timedelta(minutes=5), **fields
        )
        self.writer.report([(one, events)])
