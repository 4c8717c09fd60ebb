"""How well reprints are told from other stories, and how fast: `python -m tests.bench.syndication [--fast]`.

Pairs are made from agency stories of the project's own (syndication.txt, and the articles of models/corpus) by edits that
newsrooms make, seeded: 1,000 pairs of prints of one story, and more than 2,000 of stories that look alike but are two (the
same event by another writer, reports of one pattern about another place or day, other stories in one site's frame).
Half of the stories, "held out", were not looked at when the thresholds were chosen.
"""

# ruff: noqa: E501 - tables of edits read better with one edit a line
from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from ingest.feeds.syndication import Syndicator, prepare
from ingest.records import Article

FOLDER = Path(__file__).parent
CORPUS = FOLDER.parent.parent / "models" / "corpus"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Story:
    """A text by paragraphs. `name` is the event's, equal for two writers."""

    name: str
    title: str
    paragraphs: tuple[str, ...]
    published: datetime = NOON
    authors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two texts, whether they are prints of one story, and what kind of pair it is."""

    kind: str
    first: Story
    second: Story
    same: bool
    held_out: bool


def blocks(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, headline and paragraphs of each block of a file."""
    for block in re.split(r"^== ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        name, title, *paragraphs = block.strip().split("\n")
        yield name, title, tuple(paragraphs)


def stories() -> tuple[list[Story], dict[str, tuple[Story, Story]]]:
    """All stories, one of each event; and the events that two writers wrote of."""
    writers: dict[str, list[Story]] = {}
    for name, title, paragraphs in blocks(FOLDER / "syndication.txt"):
        event = name.split("/")[0]
        writers.setdefault(event, []).append(Story(event, title, paragraphs))
    corpus: dict[str, list[str]] = {}
    for path in sorted(CORPUS.glob("articles-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            corpus.setdefault(record["article"], []).append(record["text"])
    base = [story for both in writers.values() for story in both]
    base += [Story(name, title, tuple(sentences)) for name, (title, *sentences) in corpus.items()]
    return base, {event: (both[0], both[1]) for event, both in writers.items() if len(both) == 2}


# --- what newsrooms do

_SPELLINGS = [
    pair.split("/")
    for pair in "neighbouring/neighboring neighbour/neighbor harbour/harbor colour/color labour/labor centre/center metres/meters "
    "litres/liters kilometres/kilometers recognise/recognize organisers/organizers organisation/organization defence/defense "
    "organised/organized honour/honor rumour/rumor programme/program grey/gray tyres/tires theatre/theater travellers/travelers "
    "cancelled/canceled licence/license tonnes/tons favour/favor armoured/armored catalogue/catalog analyse/analyze jewellery/jewelry "
    "lorries/trucks lorry/truck petrol/gasoline autumn/fall motorway/highway pavement/sidewalk mum/mom towards/toward "
    "mobilise/mobilize criticised/criticized paralyse/paralyze behaviour/behavior".split()
]
_STYLE = [
    (r"\bU\.N\.", "UN"), (r"\bU\.S\.", "US"), (r"\bUnited Nations\b", "U.N."), (r"\bPrime Minister\b", "PM"),
    (r"(\d)%", r"\1 per cent"), (r"(\d)%", r"\1 percent"), (r"\bper cent\b", "%"), (r"\bkm\b", "kilometres"),
    (r"\bkilometres\b", "km"), (r"\bgovernment\b", "govt"), (r"\bmillion\b", "mn"), (r"\bPresident\b", "Pres."),
    (r"\bGovernor\b", "Gov."), (r"\bDr\b", "Doctor"), (r"\bminister\b", "min."), (r"\bJan(?:uary)?\b", "Jan."),
    (r"\bDecember\b", "Dec."), (r"\bOctober\b", "Oct."), (r"\bShi'ite\b", "Shia"), (r"\bal Qaeda\b", "al-Qaida"),
]  # fmt: skip
_WORDS = [
    (r"\bat least\b", "no fewer than"), (r"\babout (?=\d)", "around "), (r"\baround (?=\d)", "some "), (r"\bbecause\b", "as"),
    (r"\bsaid that\b", "said"), (r"\bsaid\b(?! (?:on|in))", "has said"), (r"\balso\b", "additionally"), (r"\bpeople were\b", "persons were"),
    (r"\bthe following day\b", "the next day"), (r"\bsince\b", "ever since"), (r"\bmore than\b", "over"), (r"\bover\b", "more than"),
    (r"\binjured\b", "hurt"), (r"\bwounded\b", "injured"), (r"\bofficials said\b", "authorities said"), (r"\bpolice said\b", "according to police"),
    (r"\btold reporters\b", "told journalists"), (r"\bin a statement\b", "in a press release"), (r"\bcity of\b", ""), (r"\bvery\b", ""),
    (r"\bset ablaze\b", "torched"), (r"\bdetained\b", "arrested"), (r"\bopened fire on\b", "shot at"), (r"\bearly on\b", "early"),
    (r"\bwill not\b", "won't"), (r"\bdid not\b", "didn't"), (r"\bit is\b", "it's"), (r"\bhad been\b", "was"), (r"\bwhich is\b", "that is"),
]  # fmt: skip
_NUMERALS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_DAY = r"\b(on )?(Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b"
_CITIES = "Leeds Tucson Halifax Perth Durban Nagpur Galway Lagos Penang Hamilton Austin Cork Quito Mombasa".split()
_LOCAL = [
    "Families in {c} with relatives in the region were trying to reach them on Tuesday night, said {p}, who runs a community centre on {s} Street.",
    "The news was received with dismay in {c}, where {p}, a councillor, called for a minute of silence before the next sitting of the council.",
    "{c} firms that trade with the country are watching events with concern, the chamber of commerce told this newspaper.",
    "A vigil is planned outside {c} town hall at six this evening. {p}, one of those who called it, hopes that two hundred will come.",
    "As readers of our morning bulletin will know, the story broke late last night. Here is what we know so far.",
    "The Foreign Office in the capital has updated its travel advice; {p} of {c} cut short a holiday after hearing of it on the radio.",
]  # fmt: skip
_SITES = [
    (("Home > World > News", "Published 2 hours ago", "Save"), ("More on this story", "Sign up for our morning newsletter and never miss a story.")),
    (("By Our Foreign Staff", "24 November 2026 • 11:05am"), ("Follow us on Facebook and X for the latest.", "© 2026 The Daily Harbour. All rights reserved.")),
    ((), ("Support independent journalism: become a member of the Courier for the price of a coffee a month.",)),
    (("3 min read", "Listen to this article"), ("The views of readers are welcome below. Please keep comments civil and on the subject of the article.",)),
    (("ADVERTISEMENT",), ("Read also: Ten things to know this morning", "The post appeared first on Morning Mail.")),
    (("Image: A file photograph of the scene. Photo by Getty",), ("Get our app for breaking news alerts wherever you are.",)),
    (("Updated: Nov 24, 2026 14:22 IST",), ("(This story has not been edited by our staff and is published from a syndicated feed.)",)),
    ((), ()), ((), ()), ((), ()),
]  # fmt: skip
AGENCIES = [
    ("({a}) -", "Reuters"), ("({a}) —", "AP"), ("({a}) --", "Xinhua"), ("({a}) –", "AFP"), ("[India], November 24 ({a}):", "ANI"), ("(PTI)", "PTI"),
]  # fmt: skip


def substitute(
    text: str, pattern: str, to: str | Callable[[re.Match[str]], str], rng: random.Random, share: float = 1.0
) -> str:
    """Replace a share of the places where `pattern` stands."""
    return re.sub(
        pattern,
        lambda found: (to(found) if callable(to) else found.expand(to)) if rng.random() < share else found[0],
        text,
    )


def spelling(text: str, rng: random.Random) -> str:
    american = rng.random() < 0.5
    for pair in _SPELLINGS:
        old, new = pair if american else pair[::-1]
        text = re.sub(rf"\b{old}\b", new, text)
    return text


def style(text: str, rng: random.Random) -> str:
    for pattern, to in rng.sample(_STYLE, 9):
        text = substitute(text, pattern, to, rng, 0.8)
    return text


def words(text: str, rng: random.Random) -> str:
    for pattern, to in rng.sample(_WORDS, 9):
        text = substitute(text, pattern, to, rng, 0.7)
    return text


def quotes(text: str, rng: random.Random) -> str:
    left, right = rng.choice([("“", "”"), ("‘", "’"), ("«", "»"), ("``", "''")])
    text = re.sub(r'"([^"\n]*)"', rf"{left}\1{right}", text)
    return text.replace("'", "’") if rng.random() < 0.7 else text


def days(text: str, rng: random.Random) -> str:
    to = rng.choice([r"\2", "yesterday", "today", r"on \2 morning", "on 24 November", r"last \2"])
    return substitute(text, _DAY, to, rng, 0.8)


def numerals(text: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        return re.sub(
            r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
            lambda found: str(_NUMERALS.index(found[0])),
            text,
        )
    return re.sub(r"(?<![\d.,$-])\b([2-9])\b(?![\d.,%:])", lambda found: _NUMERALS[int(found[0])], text)


def updated(text: str, rng: random.Random) -> str:
    """The same numbers risen wherever they stand: a new toll."""
    found = [
        number
        for number in dict.fromkeys(re.findall(r"(?<![\d.,$:-])\b\d{1,3}\b(?![\d.,:%-])", text))
        if int(number) > 2
    ]
    for number in rng.sample(found, min(len(found), rng.choice([1, 1, 2, 2, 3]))):
        risen = str(int(number) + rng.randint(1, 3 + int(number) // 4))
        text = re.sub(rf"(?<![\d.,$:-])\b{number}\b(?![\d.,:%-])", risen, text)
    return text


def attribution(text: str, rng: random.Random) -> str:
    """ "…, the police said." to "…, according to the police.", or to its head."""
    text = substitute(
        text,
        r", ((?:the )?[a-z][a-z .]{2,30}|[A-Z][\w. ]{2,24}) said\b(?: in a statement)?(?=[.,])",
        r", according to \1",
        rng,
        0.7,
    )
    return substitute(text, r"(?m)^([A-Z])([^\n.\"]{40,200}), ([a-z][a-z ]{3,30}) said\.", r"\3 said: \1\2.", rng, 0.3)


def dropped(text: str, rng: random.Random) -> str:
    """A sentence or two in the middle cut out."""
    lines = text.split("\n")
    for _ in range(rng.choice([1, 1, 2])):
        if len(lines) > 2:
            del lines[rng.randrange(1, len(lines))]
    return "\n".join(lines)


def merged(text: str, rng: random.Random) -> str:
    """Paragraphs put together, or one sentence a paragraph."""
    if rng.random() < 0.5:
        return substitute(text, r"\n", " ", rng, 0.6)
    return substitute(text, r"(?<=[a-z]\.) (?=[A-Z])", "\n", rng, 0.8)


EDITS = [spelling, style, words, quotes, days, numerals, updated, attribution, dropped, merged]


def headline(story: Story, rng: random.Random, other: Story | None) -> str:
    """Another headline: the other writer's, the beginning of the lead, or the old one trimmed or dressed up."""
    lead = story.paragraphs[0].split()
    choices = [
        story.title,
        " ".join(lead[: rng.randint(6, 11)]).strip(",."),
        f"{rng.choice(['Breaking', 'World', 'Update', 'In brief'])}: {story.title}",
        story.title.title(),
        " ".join(story.title.split()[: rng.randint(4, 7)]),
        rng.choice(["What we know so far", "World news in brief", "Shock and calls for inquiry after latest events"]),
    ]
    return other.title if other and rng.random() < 0.4 else rng.choice(choices)


def reprint(story: Story, rng: random.Random, other: Story | None = None, edits: int | None = None) -> Story:
    """The story as another newsroom prints it."""
    text = "\n".join(story.paragraphs)
    number = rng.choice([0, 2, 4, 6, 8]) if edits is None else edits
    chosen = rng.sample(EDITS, number)
    for edit in chosen:
        text = edit(text, rng)
    form = rng.random()
    sentences = re.split(r"(?<=[.!?”\"])\s+(?=[\"“A-Z])", text)
    if form < 0.35:  # a summary
        text = " ".join(sentences[: rng.choice([1, 2, 2, 3])])
        if rng.random() < 0.4 and len(text) > 260:
            text = text[: rng.randint(180, 260)].rsplit(" ", 1)[0] + rng.choice(["…", "...", " [&#8230;]", " ..."])
    elif form < 0.7:  # cut at the end
        text = text[: max(300, int(len(text) * rng.uniform(0.4, 0.95)))].rsplit(". ", 1)[0] + "."
    head, foot = rng.choice(_SITES)
    lines = text.split("\n")
    authors: tuple[str, ...] = ()
    credit = rng.random()
    shape, agency = rng.choice(AGENCIES)
    if credit < 0.3:
        lines[0] = f"{rng.choice(_CITIES).upper()} {shape.format(a=agency)} {lines[0]}"
    elif credit < 0.4:
        lines.append(rng.choice([f"— {agency}", f"({agency})", f"Source: {agency}", f"© 2026 {agency}"]))
    elif credit < 0.5:
        authors = (f"By {agency}",)
    if number >= 4 and rng.random() < 0.3:
        local = rng.choice(_LOCAL).format(
            c=rng.choice(_CITIES), p=rng.choice(_PEOPLE), s=rng.choice(_PEOPLE).split()[1]
        )
        lines.insert(0, local)
    title = headline(story, rng, other) if rng.random() < 0.6 else story.title
    published = story.published + timedelta(minutes=rng.randint(-600, 600))
    return Story(story.name, title, (*head, *lines, *foot), published, authors)


# --- reports of one pattern

_PEOPLE = (
    "Ahmad Rezai;Maria Lopes;Tom Ashby;Ravi Menon;Grace Achieng;Olena Bondar;Yusuf Demir;Chen Wei;Ana Souza;Karl Brandt;Nora Haddad;Ivan Petrov;"
    "Lucy Marsh;Omar Farouk;Sunil Rao;Elif Kaya;Peter Novak;Amina Diallo;Jorge Vidal;Hana Sato"
).split(";")
_PLACES = (
    "Kunduz;Peshawar;Maiduguri;Basra;Odesa;Kherson;Mersin;Sylhet;Guwahati;Tacloban;Medan;Arequipa;Oaxaca;Mombasa;Goma;Gao;Tripoli;Aden;Homs;Izmir;"
    "Catania;Almeria;Split;Lviv;Sumy;Quetta;Jammu;Kochi;Chittagong;Mandalay;Davao;Cali;Recife;Beira;Bangui"
).split(";")
_WEEK = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def report(name: str, title: str, paragraphs: tuple[str, ...], fixed: str, day: int, rng: random.Random) -> Story:
    """A report after a pattern, of one day; a name with "!" is always of the place `fixed`."""
    filled: dict[str, str] = {"place1": fixed} if name.endswith("!") else {}

    def fill(found: re.Match[str]) -> str:
        slot = found[1]
        if slot in filled:
            return filled[slot]
        kind = slot.rstrip("1234567890")
        values = {"place": _PLACES, "other": _PLACES, "person": _PEOPLE}
        if kind in values:
            value = rng.choice(values[kind])
        elif kind == "day":
            value = _WEEK[day % 7]
        elif kind == "pct":
            value = f"{rng.randint(0, 3)}.{rng.randint(1, 99)}"
        else:
            most = int(slot[1:])
            value = (
                f"{rng.randint(max(2, most // 10), most):,}"
                if most > 999
                else str(rng.randint(max(2, most // 10), most))
            )
        if slot[-1].isdigit() and kind in values:
            filled[slot] = value
        return value

    pattern = re.compile(r"\{(\w+)\}")
    filled_title, *rest = (pattern.sub(fill, line) for line in (title, *paragraphs))
    return Story(f"{name}-{fixed}-{day}", filled_title, tuple(rest), NOON + timedelta(days=day))


# --- pairs


def pairs(seed: int = 6) -> list[Pair]:
    """1,000 pairs of one story, and more than 2,000 of two that look alike."""
    rng = random.Random(seed)
    base, events = stories()
    halves = {story.name: at % 2 == 1 for at, story in enumerate({each.name: each for each in base}.values())}
    made = []
    while len(made) < 1_000:
        story = base[len(made) % len(base)]
        both = events.get(story.name)
        other = None if both is None else both[both[0] is story]
        first = reprint(story, rng, other, edits=rng.choice([0, 0, 2, 4]))
        second = reprint(story, rng, other)
        if min(len(" ".join(each.paragraphs)) for each in (first, second)) > 60:
            made.append(Pair("reprint", first, second, True, halves[story.name]))
    for event, (one, two) in events.items():
        made += [
            Pair("other writer", reprint(one, rng, two), reprint(two, rng, one), False, halves[event])
            for _ in range(20)
        ]
    patterns = list(blocks(FOLDER / "syndication_reports.txt"))
    for number, (name, title, paragraphs) in enumerate(patterns):
        for _ in range(40):
            place, day = rng.choice(_PLACES), rng.randint(0, 5)
            later = day + rng.choice([1, 1, 2, 7])
            if not name.endswith("!"):
                later = day + rng.choice([0, 0, 0, 1])
            few = rng.choice([0, 0, 2, 3])
            reports = [report(name, title, paragraphs, place, each, rng) for each in (day, later)]
            if name.endswith("!"):
                # The next report comes a day later, give or take a few hours.
                reports = [
                    replace(each, published=each.published + timedelta(hours=rng.randint(-2, 2))) for each in reports
                ]
            shown = [framed(each, rng, few) for each in reports]
            made.append(Pair("same pattern", shown[0], shown[1], False, number % 2 == 1))
    for _ in range(400):
        one, two = rng.sample(base, 2)
        if one.name != two.name:
            head, foot = rng.choice(_SITES[:7])
            shown = [
                replace(each, paragraphs=(*head, *each.paragraphs[: rng.choice([1, 1, 2, 9])], *foot))
                for each in (one, two)
            ]
            made.append(Pair("same site", shown[0], shown[1], False, halves[one.name]))
    return made


def framed(story: Story, rng: random.Random, edits: int) -> Story:
    """A report with few edits that leave its numbers alone, sometimes cut to a summary, in a site's frame."""
    text = "\n".join(story.paragraphs)
    for edit in rng.sample([spelling, style, words, quotes, merged], edits):
        text = edit(text, rng)
    lines = text.split("\n")
    if rng.random() < 0.3:
        lines = lines[:1]
    head, foot = rng.choice(_SITES)
    return replace(story, paragraphs=(*head, *lines, *foot))


def article(story: Story, number: object) -> Article:
    """The record of a print."""
    return Article(
        article_id=f"{number}",
        feed="bench",
        url=f"https://news.example/{number}",
        canonical_url=f"https://news.example/{number}",
        title=story.title,
        text="\n".join(story.paragraphs),
        authors=story.authors,
        published=story.published,
        fetched=story.published,
        content_hash=f"{number}",
    )


@dataclass(frozen=True)
class Score:
    """Pairs told right and wrong."""

    found: int
    missed: int
    wrong: int

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.wrong)

    @property
    def recall(self) -> float:
        return self.found / max(1, self.found + self.missed)


def joined(pair: Pair) -> bool:
    """Whether the second, coming after the first, is taken for a print of it."""
    syndicator = Syndicator()
    first = syndicator.assign(article(pair.first, "first"), "one")
    return syndicator.assign(article(pair.second, "second"), "two").id == first.id


def score(outcomes: Iterable[tuple[Pair, bool]]) -> Score:
    """The score of pairs, each with whether it was joined."""
    tally = Counter((pair.same, is_joined) for pair, is_joined in outcomes)
    return Score(tally[True, True], tally[True, False], tally[False, True])


def in_one_stream(made: list[Pair], seed: int = 1) -> list[tuple[Pair, bool]]:
    """All texts of all pairs in one memory in random order: which pairs end up in one group."""
    texts = [
        (number, side, story)
        for number, pair in enumerate(made)
        for side, story in enumerate((pair.first, pair.second))
    ]
    random.Random(seed).shuffle(texts)
    syndicator = Syndicator()
    ids = {
        (number, side): syndicator.assign(article(story, f"{number}-{side}"), f"site {number * 2 + side}").id
        for number, side, story in texts
    }
    return [(pair, ids[number, 0] == ids[number, 1]) for number, pair in enumerate(made)]


# --- speed and size


class Words:
    """Endless articles of nearly natural phrases, all different: a chain of the corpus' word pairs."""

    def __init__(self, seed: int = 3) -> None:
        self._rng = random.Random(seed)
        self._after: dict[str, list[str]] = {}
        for path in sorted(CORPUS.glob("part-*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                sentence = ["", *str(json.loads(line)["text"]).split(), ""]
                for one, two in pairwise(sentence):
                    self._after.setdefault(one, []).append(two)

    def sentence(self) -> str:
        said: list[str] = []
        while len(said) < 45:
            word = self._rng.choice(self._after[said[-1] if said else ""])
            if not word:
                break
            said.append(word)
        return " ".join(said)

    def article(self, number: int, earlier: list[Story]) -> Story:
        """A new story of some 200 words, or, one time in five, an earlier one cut and under another headline."""
        if earlier and self._rng.random() < 0.2:
            story = self._rng.choice(earlier)
            return replace(story, title=self.sentence()[:80], paragraphs=story.paragraphs[: self._rng.randint(3, 9)])
        return Story(f"{number}", self.sentence()[:80], tuple(self.sentence() for _ in range(9)))


def batches(count: int, size: int = 50) -> Iterator[list[Article]]:
    """`count` articles, in lists of `size` as a puller publishes them."""
    made, recent = Words(), []
    for start in range(0, count, size):
        some = [made.article(number, recent) for number in range(start, start + size)]
        recent = [*recent, *some][-2_000:]
        yield [article(story, start + number) for number, story in enumerate(some)]


def megabytes() -> float:
    """What the process has in memory now."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def in_memory(count: int) -> None:
    """Time and memory of `assign` while `count` articles become known."""
    syndicator, before, wall, cpu = Syndicator(), 0.0, 0.0, 0.0
    for number, some in enumerate(batches(count)):
        if number == 0:
            before = megabytes()
        started, used = time.perf_counter(), time.process_time()
        for each in some:
            syndicator.assign(each, "bench")
        wall, cpu = wall + time.perf_counter() - started, cpu + time.process_time() - used
    grown = megabytes() - before
    print(
        f"in memory: {count:,} articles, {count / wall:,.0f}/s ({count / cpu:,.0f} a CPU second), "
        f"{grown * 1e3 / count:.1f} kB each"
    )


def against_sqlite(count: int) -> None:
    """Time and memory of whole batches of 50 against SQLite, and the size of its file, while `count` become known."""
    # Here, as the other measurements need no database.
    from ingest.storage.connect import open_engine, transaction
    from ingest.storage.syndication import metadata, read_syndicated, syndicated, syndication_keys, write_syndicated

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        engine = open_engine(f"sqlite:///{path}")
        metadata.create_all(engine, tables=[syndicated, syndication_keys])
        before, wall, cpu, last = 0.0, 0.0, 0.0, 0.0
        for number, some in enumerate(batches(count)):
            if number == 0:
                before = megabytes()
            started, used = time.perf_counter(), time.process_time()
            read = [prepare(each, "bench") for each in some]
            with transaction(engine, "bench") as connection:
                names = [each.article.article_id for each in read]
                kept = read_syndicated(connection, names, (key for each in read for key in each.reading.all_keys))
            syndicator = Syndicator(kept)
            for each in read:
                syndicator.assign_prepared(each)
            with transaction(engine, "bench", write=True) as connection:
                write_syndicated(connection, syndicator.made, datetime.now(UTC), timedelta(days=10_000))
            last = time.perf_counter() - started
            wall, cpu = wall + last, cpu + time.process_time() - used
        size = sum(each.stat().st_size for each in Path(folder).iterdir()) / count
        grown = megabytes() - before
        engine.dispose()
        print(
            f"SQLite: {count:,} articles, {count / wall:,.0f}/s ({count / cpu:,.0f} a CPU second), the last batch "
            f"{50 / last:,.0f}/s, {size / 1e3:.2f} kB each on disk, the process grew by {grown:.0f} MB"
        )


def report_accuracy(made: list[Pair]) -> None:
    """Precision and recall, and what goes wrong in which kind of pair."""
    alone = [(pair, joined(pair)) for pair in made]
    for name, outcomes in (
        ("pairs, all", alone),
        ("pairs, held out", [each for each in alone if each[0].held_out]),
        ("one stream, all", in_one_stream(made)),
    ):
        found = score(outcomes)
        kinds = Counter(pair.kind for pair, _ in outcomes)
        wrong = Counter(pair.kind for pair, is_joined in outcomes if is_joined != pair.same)
        shown = ", ".join(f"{kind} {wrong[kind]} of {number}" for kind, number in kinds.items())
        print(f"{name}: precision {found.precision:.3f}, recall {found.recall:.3f}; wrong: {shown}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.syndication", description=main.__doc__)
    parser.add_argument("--fast", action="store_true", help="accuracy only")
    parser.add_argument("--known", type=int, default=5_000, help="how many articles become known (default: 5000)")
    options = parser.parse_args()
    report_accuracy(pairs())
    if not options.fast:
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        in_memory(options.known)
        against_sqlite(options.known)


if __name__ == "__main__":
    main()
