"""How well actors, places, dates and numbers are resolved, their spans given: `python -m tests.bench.resolution.score`.

articles-a.jsonl and articles-b.jsonl hold short invented articles with the words that an event coder would mark and what they
mean, written by hand without sight of the resolvers. The first half of each was looked at while the rules were made; only the
second half is a check. A place is right within 25 km of the true one, a province or country by its name or code.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from models.assemble import Resolver
from models.events import Location, ModelInfo, Span
from models.resolve.article import Article
from models.spelling import fold
from models.text import sentences

HERE = Path(__file__).parent
FILES = ("articles-a.jsonl", "articles-b.jsonl")
RIGHT_WITHIN = 25.0


class Answer(NamedTuple):
    """One question put to the resolvers: what of, in which half, the words, what was expected and what was found."""

    what: str
    looked_at: bool
    place: str
    expected: object
    found: object
    right: bool


def _kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    (a, b), (c, d) = ((math.radians(lat), math.radians(lon)) for lat, lon in (one, other))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6371 * math.asin(math.sqrt(half))


def _span(record: dict[str, Any], marked: dict[str, Any]) -> Span:
    text, start = record[marked["field"]], -1
    for _ in range(marked["n"] + 1):
        start = text.index(marked["text"], start + 1)
    return Span(marked["text"], start, start + len(marked["text"]), marked["field"])


def _sentence(record: dict[str, Any], span: Span) -> Span:
    text = record[span.field]
    start, end = next((s for s in sentences(text) if s[0] <= span.start < s[1]), (0, len(text)))
    return Span(text[start:end], start, end, span.field)


def _same_place(expected: dict[str, Any], found: Location | None) -> bool:
    if found is None or found.country != expected["country"]:
        return found is None and expected["country"] is None
    if expected["precision"] == "country":
        return found.precision == "country"
    if expected["precision"] == "admin1" and found.precision == "admin1":
        names = {fold(name or "").split(" ")[0] for name in (found.name, found.admin1, found.text)}
        return fold(expected["name"]).split(" ")[0] in names or fold(expected["text"]) == fold(found.text)
    if expected["lat"] is None or found.lat is None or found.lon is None:
        return expected["lat"] is None
    return _kilometres((expected["lat"], expected["lon"]), (found.lat, found.lon)) <= RIGHT_WITHIN


def answers(record: dict[str, Any], looked_at: bool) -> Iterator[Answer]:
    """All that is asked of one article."""
    published = datetime.fromisoformat(record["published"])
    article = Article(record["text"], record["title"], published, record.get("url"))
    resolver = Resolver(article, ModelInfo("", ""), {})

    def asked(what: str, span: Span, expected: object, found: object, right: bool) -> Answer:
        return Answer(what, looked_at, f"{record['id']} {span.text!r}", expected, found, right)

    for marked in record.get("actors", ()):
        span = _span(record, marked)
        party = article.at_home(article.party(span), span, None, _sentence(record, span))
        country, sector = marked["country"], None if marked["sector"] == "UNK" else marked["sector"]
        yield asked("country", span, country, f"{party.code.country} ({party.rule})", party.code.country == country)
        yield asked("sector", span, sector, f"{party.code.sector} ({party.rule})", party.code.sector == sector)
    for marked in record.get("places", ()):
        span = _span(record, marked)
        location = resolver.location([span], [], _sentence(record, span))
        named = f"{location.name}, {location.country} {location.lat},{location.lon}" if location else None
        wanted = f"{marked['name']}, {marked['country']} {marked['lat']},{marked['lon']} {marked['precision']}"
        country = location.country if location else None
        yield asked("country of the event", span, marked["country"], country, country == marked["country"])
        yield asked("place", span, wanted, named, _same_place(marked, location))
    for marked in record.get("dates", ()):
        span = _span(record, marked)
        date = resolver.date([span], marked["realis"], _sentence(record, span))
        found = (date.earliest, date.latest) if date else None
        expected = (marked["earliest"], marked["latest"])
        yield asked("date", span, expected, found, found == expected)
    for marked in record.get("counts", ()):
        span = _span(record, marked)
        count = resolver.count([span], marked["role"])
        bounds = (count.min, count.max) if count else None
        yield asked("count", span, (marked["min"], marked["max"]), bounds, bounds == (marked["min"], marked["max"]))


def all_answers() -> list[Answer]:
    """Every question of both files."""
    found: list[Answer] = []
    for name in FILES:
        path = HERE / name
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        for number, record in enumerate(records):
            found += answers(record, number < len(records) / 2)
    return found


class Share(NamedTuple):
    """How many answers of a kind are right."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        return self.right / self.asked


def right_of() -> dict[tuple[str, bool], Share]:
    """What is right, by what was asked and whether its half was looked at."""
    found: dict[tuple[str, bool], Share] = defaultdict(lambda: Share(0, 0))
    for answer in all_answers():
        key = answer.what, answer.looked_at
        found[key] = Share(found[key].right + answer.right, found[key].asked + 1)
    return dict(found)


def main() -> None:
    """Print the share that is right, and with --wrong what is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", metavar="WHAT", help="list what is wrong: country, sector, place, date, count ...")
    wanted = parser.parse_args().wrong
    for answer in all_answers() if wanted else ():
        if answer.what == wanted and answer.looked_at and not answer.right:
            print(f"{answer.place}: {answer.expected}, found {answer.found}")
    for (what, looked_at), share in right_of().items():
        print(f"{what:22}{'looked at' if looked_at else 'check':10}{share.share:.3f}  of {share.asked}")


if __name__ == "__main__":
    main()
