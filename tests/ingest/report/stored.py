"""A small store to report on: nine quiet weeks, a louder one with a large attack, and hostile words."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from ingest.storage import Store
from tests.ingest.api.serving import FEEDS, PLACES, Story, Writer, article, event, story

FIRST = datetime(2026, 11, 16, tzinfo=UTC)
"""The first day of the week that is reported."""
ARGUMENTS = ("--from", "2026-11-16", "--to", "2026-11-23")
SHELLING = Story(
    "ASSAULT", "artillery", "shelled", ("The militia", "SDN", "UAF"), ("the 😀 camp", "SDN", "CVL"), PLACES[1], 40
)
IMAGE = "<img src=x onerror=\"window.hit='image'\">"
MAD = Story(
    "COERCE",
    "arrest",
    "detained",
    (f"Zealots {IMAGE} \u202egnp.exe", "SDN", "REB"),
    ("the hall </blockquote></style><script>window.hit='script'</script>", "SDN", "CVL"),
    ("<b>Nyala</b> {{7*7}} &lt;", "SDN", 12.05, 24.88, 371760),
)
ADDRESSES = (
    "javascript:window.hit=1",
    'https://x.example.org/a?b="><script>hit()</script>',
    "//x.example.org/",
    "https://x.org/a",
)


def fill(url: str, weeks: int = 9) -> None:
    """Write it all, a week at once; the articles' own times are the same each time."""
    random_ = random.Random(5)
    store = Store.open(url)
    writer = Writer(store)
    told: list[tuple[datetime, Story, str, str, dict[str, Any]]] = []
    for week in range(weeks + 1):
        for _ in range(7 if week < weeks else 12):
            published = FIRST - timedelta(weeks=weeks - week) + timedelta(hours=random_.randrange(7 * 24 - 2))
            one = story(random_)
            told.append((published, one, random_.choice(FEEDS), f"{one.place[0]}: {one.trigger}", {}))
    for nth, feed in enumerate(FEEDS[:3]):
        toll = replace(SHELLING, dead=40 + nth)
        told.append((FIRST + timedelta(days=2, hours=nth), toll, feed, "Camp shelled", {}))
    for nth, address in enumerate(ADDRESSES):
        title = f"</a></style><script>window.hit='{nth}'</script>{IMAGE}\u202e"
        given = {"url": address, "canonical_url": address}
        told.append((FIRST + timedelta(days=3, hours=nth), MAD, f"feed-{nth}", title, given))
    # What never happened, and what long ago.
    past = replace(SHELLING, realis="historical", dead=800_000)
    told.append((FIRST + timedelta(days=4), past, FEEDS[4], "Remembered", {}))
    told.sort(key=lambda each: each[0])
    for _, some in groupby(enumerate(told), key=lambda pair: (pair[1][0] - FIRST) // timedelta(weeks=1)):
        reports = []
        for number, (published, one, feed, title, fields) in some:
            text, found = event(one, published.date().isoformat(), 0.9)
            reports.append((article(number, text, title, feed, published, language="en", **fields), [found]))
        writer.report(reports, published + timedelta(hours=1))
    store.close()
