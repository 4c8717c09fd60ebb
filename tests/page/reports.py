"""Reports with words that break pages which are careless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.records import Article
from models.events import Event
from tests.ingest.api.serving import Story, article, event


def bomb(actor: str, recipient: str, place: tuple[str, str, float, float, int]) -> Story:
    """An attack in a country of which nothing else is told, so that it stays an incident of its own."""
    return Story("ASSAULT", "bombing", "bombed", (actor, place[1], "REB"), (recipient, place[1], "CVL"), place, 7)


@dataclass(frozen=True)
class Report:
    """A story as one feed tells it; `ago` is how long before now it was published."""

    story: Story
    feed: str = "sahel-courier"
    title: str = "Riders bomb depot"
    ago: timedelta = timedelta(minutes=5)
    before: str = ""
    fields: tuple[tuple[str, Any], ...] = ()

    def coded(self, number: int) -> tuple[Article, Sequence[Event]]:
        """The article, and the event in it; `before` stands before the sentence, in the same text and in the same sentence."""
        published = datetime.now(UTC) - self.ago
        text, found = event(self.story, published.date().isoformat(), 0.9)
        if self.before:
            found = shifted(found, self.before)
            text = self.before + text
        return article(number, text, self.title, self.feed, published, **dict(self.fields)), [found]


def shifted(found: Event, before: str) -> Event:
    """The event where `before` begins its sentence."""
    by = len(before)

    def moved(span: Any) -> Any:
        return span and replace(span, start=span.start + by, end=span.end + by)

    changes: dict[str, Any] = {
        name: moved(getattr(found, name)) for name in ("trigger", "location", "date", "dead", "injured")
    }
    changes |= {name: tuple(map(moved, getattr(found, name))) for name in ("actors", "recipients", "claimed_by")}
    sentence = replace(found.sentence, text=before + found.sentence.text, end=found.sentence.end + by)
    return replace(found, sentence=sentence, **changes)


# Before the marked words stand letters that are two units in UTF-16, a flag of four and one with a mark of its own.
SMILE = tuple(
    Report(
        bomb("The 🦅 Eagles", "the 𝔊ate", ("Sabha", "LBY", 27.04, 14.43, 2212775)),
        feed=feed,
        title="😀 Eagles strike",
        before="🇱🇾 M\u0301 😀 On the run, ",
        ago=timedelta(minutes=50),
    )
    for feed in ("levant-ledger", "baltic-observer")
)

_IMAGE = "<img src=x onerror=\"window.hit='image'\">"
_SCRIPT = "</blockquote></script><script>window.hit='script'</script>"
_SVG = "\"'><svg/onload=window.hit='svg'>"
_TURNED = "\u202egnp.exe"
_MAD = Story(
    "COERCE",
    "arrest",
    "detained",
    (f"Zealots {_IMAGE} {_TURNED}", "SOM", "REB"),
    (f"the hall {_SCRIPT}", "SOM", "CVL"),
    ("<b>Baidoa</b> &lt;Bay&gt; {{7*7}}", "SOM", 3.11, 43.65, 65170),
)
HOSTILE = (
    Report(_MAD, "sahel-courier", f"{_SCRIPT}{_IMAGE}", fields=(("url", "javascript:window.hit='link'"),)),
    Report(_MAD, _SVG, f"{_SVG} {_TURNED}", fields=(("url", "data:text/html,<script>parent.hit='data'</script>"),)),
    Report(
        _MAD, "harbour-wire", "a" * 4000, fields=(("url", 'https://harbour.example.org/a?b="><script>hit()</script>'),)
    ),
    Report(_MAD, "andes-dispatch", "", fields=(("url", "//andes.example.org/x"), ("language", 'x"><i>'))),
)
