"""Which articles are prints of one story, and whose it is: near-duplicates by MinHash, and what the text says of itself.

An article is found by its passages: each of its first sentences gets a few MinHash keys over word shingles (Broder 1997;
banding as in Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4), so that a summary finds the full text, and
a reprint under a new lead finds the original. What is found is then compared by two measures that are kept of each:

- how many shingles of the shorter are in the longer (numbers count as equal), from the smallest hashes of each;
- whether the same frames hold the same fillings: in "killed in X on Y" names, numbers and days. That tells a reprint, and
  an update with a higher toll, from yesterday's report after the same pattern.

Hashes depend on nothing but the text. Everything here is bounded: the part of a text that is read, what is kept of it,
and how many articles one key may lead to.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from struct import pack, unpack
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from ingest.records import Article
from ingest.storage.syndication import Print

_Hashes = NDArray[np.uint64]

READ = 8_000
"""Characters of a text that are looked at, from its beginning; of its end, those where a credit may stand."""
WORDS = 240
"""Words that are compared, about: wire stories are cut from the end."""
SHINGLE = 3
PASSAGES = 8
BANDS = 4
ROWS = 2
SHORTEST_PASSAGE = 6  # shingles
FEWEST = 8
"""Shingles below which a text is like any other: it stands alone."""
SAMPLE = 96
"""Shingles kept of an article, those with the smallest hashes."""
SLOTS = 32
HOT = 24
"""Articles that may have a passage in common before it is taken for boilerplate and no longer looked up."""

COMPARED = 24
"""Articles that one is compared with, those first that have most keys in common."""

ALIKE = 0.34
"""The share of shingles from which two texts may be one story."""
SAME_FRAME = 0.60
"""The share of common frames that must have the same filling."""
VERY_ALIKE = 0.80
"""From this on the other stands for the article too, which is not kept to be found."""
NEXT_ISSUE = timedelta(hours=18)
"""Numbers that all changed are an update before this time and the next daily report after it."""
LONGEST_APART = timedelta(days=5)
"""A text that comes back later is the next of a pattern."""


@dataclass(frozen=True, slots=True)
class Syndication:
    """The story that an article is a print of.

    `id` is the `article_id` of the first article of the group, the article's own where it is the first;
    `original_publisher` is who wrote it, where that can be known.
    """

    id: str
    original_publisher: str | None


# --- words

_TOKEN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"  # scripts without spaces
    r"|\d[\d.,]{0,30}|[^\W\d_]{1,40}|[$€£]|[.!?。！？](?=[\s\"'”’)»]|$)|\n"
)
_ENDS = frozenset(".!?。！？\n")
_POSSESSIVE = re.compile(r"'s\b|(?<=s)'(?=\s)|(?<=\w)'(?=\w)")
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}")

_DROPPED = frozenset("the a an that mr mrs ms dr".split())
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
    if number != 1  # "one of them" counts nothing
} | {"dozen": "12", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80"}
_DAYS = {
    name: day
    for day in "monday tuesday wednesday thursday friday saturday sunday".split()
    for name in (day, day[:3], day[:4])
} | {"thurs": "thursday"}
_MONTHS = {
    name: month[:3]
    for month in "january february march april may june july august september october november december".split()
    for name in (month, month[:3], month[:4])
}
_SAME_WORD = {
    "government": "govt",
    "governor": "gov",
    "president": "pres",
    "minister": "min",
    "general": "gen",
    "lieutenant": "lt",
    "senator": "sen",
    "department": "dept",
    "kilometre": "km",
    "kilometer": "km",
    "kilometres": "km",
    "kilometers": "km",
    "grey": "gray",
    "tonnes": "tons",
    "tonne": "ton",
    "whilst": "while",
    "towards": "toward",
    "afterwards": "afterward",
    "spokesperson": "spokesman",
    "spokeswoman": "spokesman",
    "programme": "program",
    "programmes": "programs",
    "labour": "labor",
    "cheque": "check",
    "kerb": "curb",
    "aeroplane": "airplane",
    "mum": "mom",
}
# Both spellings end in one form, which need not be either: "hour" and "hor" do no harm.
_SPELLINGS = [
    (re.compile(r"our(?=$|s$|ed$|ing$|able$|ful$|ite$|ites$|ers?$|hood)"), "or"),
    (re.compile(r"is(?=(?:e|ed|es|ing|ation|ations|er|ers)$)"), "iz"),
    (re.compile(r"yse(?=$|d$|s$)"), "yze"),
    (re.compile(r"tre(?=$|s$|d$)"), "ter"),
    (re.compile(r"ogue(?=$|s$)"), "og"),
    (re.compile(r"(?<=[aeiou])ll(?=(?:ed|ing|er|ers)$)"), "l"),
    (re.compile(r"ence(?=$|s$|less$)"), "ense"),
]

_SMALL, _CAPITAL, _NUMBER, _DAY, _NOTHING, _END = range(6)
_MOST_WORDS = 1 << 16
_TOKENS = WORDS + WORDS // 8  # a sentence's end is one, and so is an article
_CHARACTERS = 10 * WORDS


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


_ANY_NUMBER = _hash("\0number")
_ANY_DAY = _hash("\0day")


class _Words(dict[str, tuple[int, int]]):
    """Of each token, a hash that all its spellings have, and what it is. Bounded: begun anew when it is full."""

    def __missing__(self, token: str) -> tuple[int, int]:
        if len(self) >= _MOST_WORDS:
            self.clear()
        found = self[token] = _word(token)
        return found


def _word(token: str) -> tuple[int, int]:
    low = token.casefold()
    if token in _ENDS:
        return 0, _END
    if low in _DROPPED:
        return 0, _NOTHING
    if low[0].isdecimal():
        return _hash(low.replace(",", "").strip(".")), _NUMBER
    if low in _NUMBERS:
        return _hash(_NUMBERS[low]), _NUMBER
    kind = _CAPITAL if token[0].isupper() else _SMALL
    if kind == _CAPITAL and low in _DAYS:
        return _hash(_DAYS[low]), _DAY
    if kind == _CAPITAL and low in _MONTHS:
        return _hash(_MONTHS[low]), kind
    if low in _SAME_WORD:
        return _hash(_SAME_WORD[low]), kind
    if len(low) > 4:
        for pattern, to in _SPELLINGS:
            low = pattern.sub(to, low)
    return _hash(low), kind


_words = _Words()


# --- what is not the story

# Before the dash, in the first lines: "KYIV, Nov 3 (Reuters) -", "MOSCOW, November 3. /TASS/.", "LAGOS —".
_HEAD = 12  # lines
_DATELINE = re.compile(
    r"^\s*(?:(?P<place>[^()\n–—]{0,70}?)\s*[(/](?P<agency>[^()/\n]{2,40})[)/]\s*(?:\.?\s*[-–—―]{1,3}|\.|:)"
    r"|(?P<capitals>[A-ZÀ-Þ][A-ZÀ-Þ .,'’/-]{2,40}(?:,? ?[A-Z][a-z]{2,8}\.? \d{1,2})?)\s*(?:[-–—―]{1,3}|:)(?=\s)"
    r"|(?P<plain>[A-ZÀ-Þ][^()\n–—.]{2,40}(?:, \d{1,2} [A-Za-z]{3,10}|, [A-Z][a-z]{2,8}\.? \d{1,2}))\s*[-–—―]{1,3}(?=\s))"
)
_SITE = re.compile(
    r"\s*(?:read (?:more|also|next|the full)|also read|see also|more on this|sign up|subscribe|follow us|click here|share this"
    r"|listen to this|advertisement|get (?:our|the latest|all the)|download our|join our|support our"
    r"|\(?this (?:story|article|report|content|copy) (?:was|has|is|first|originally)|the post .{0,200}appeared first"
    r"|\(?(?:with (?:inputs?|additional)|additional reporting|reporting by|writing by|editing by|edited by)|copyright|©|\(c\)"
    r"|continue reading|all rights reserved|we use cookies|your browser|our standards|for more (?:news|on|stories)"
    r"|stay (?:up to date|informed|tuned)|the views expressed|disclaimer:|editor.s note|first published"
    r"|last (?:updated|modified))",
    re.I,
)
_LABEL = re.compile(
    r"\s*(?:(?:image|photo|picture|file photo|credit|source|published|updated|related|watch|newsletter|topics|tags)\b"
    r"|(?-i:By) (?-i:[A-ZÀ-Þ])|\d+ min(?:ute)?s? read)",
    re.I,
)
_LONGEST_SITE_LINE = 260
_LONGEST_LABEL = 80


def _story(text: str) -> str:
    """The beginning of `text` without datelines, credits and what sites put around a story."""
    kept = []
    for number, line in enumerate(text[:READ].split("\n")):
        if not line.strip() or _around(line):
            continue
        if number < _HEAD and (dateline := _DATELINE.match(line[:160])) and _is_dateline(dateline):
            line = line[dateline.end() :]
        kept.append(line)
    return "\n".join(kept)


def _around(line: str) -> bool:
    length = len(line)
    if length > _LONGEST_SITE_LINE:
        return False
    return bool(_SITE.match(line) or (length <= _LONGEST_LABEL and _LABEL.match(line) and line[-1] not in ".!?"))


def _is_dateline(found: re.Match[str]) -> bool:
    """Whether it is one, and no sentence with a parenthesis: few words, none of them in small letters but "of"."""
    before = found["place"]
    if before is None:
        return True
    words = re.findall(r"[^\W\d_]+", before)
    small = sum(word.islower() for word in words)
    return len(words) <= 8 and small <= 2 and (not words or words[0][0].isupper() or not words[0][0].islower())


# --- the sketch

# From a hash and not from numpy's generators, whose numbers may change with its version.
_MULTIPLY = np.array([[_hash(f"row {row}") | 1] for row in range(BANDS * ROWS)], dtype=np.uint64)
_BAND = np.arange(BANDS, dtype=np.uint64)[:, None]
_SHIFT = np.uint64(33)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_NO_LIMIT = 1 << 32


@dataclass(frozen=True, slots=True)
class Reading:
    """What `read` saw in a text: its shingles' hashes, each passage's first, keys and frames."""

    shingles: _Hashes
    starts: tuple[int, ...]
    keys: tuple[tuple[int, ...], ...]
    keyed: tuple[int, ...]
    slots: tuple[tuple[int, int, int], ...]

    @property
    def all_keys(self) -> tuple[int, ...]:
        """The keys of all passages, each once."""
        return tuple(dict.fromkeys(key for keys in self.keys for key in keys))


def read(title: str, text: str) -> Reading:
    """The passages, keys and frames of an article. A function of nothing but its text; takes well under a millisecond."""
    codes, starts, slots = _codes(title, _story(text))
    count = len(codes) - SHINGLE + 1
    if count < FEWEST:
        return Reading(np.empty(0, np.uint64), (), (), (), ())
    array = np.array(codes, dtype=np.uint64)
    shingles = array[:count].copy()
    for offset in range(1, SHINGLE):
        shingles = (shingles ^ (shingles >> _SHIFT)) * _ODD + array[offset : offset + count]
    shingles = (shingles ^ (shingles >> _SHIFT)) * _ODD
    shingles ^= shingles >> _SHIFT
    starts = [start for start in starts if start < count] or [0]
    ends = [*starts[1:], count]
    keyed = [at for at, (start, end) in enumerate(zip(starts, ends, strict=True)) if end - start >= SHORTEST_PASSAGE]
    if not keyed:
        starts, keyed = [0], [0]
    keyed = keyed[:PASSAGES]
    permuted = shingles * _MULTIPLY
    permuted ^= permuted >> _SHIFT
    least = np.minimum.reduceat(permuted, starts, axis=1)[:, keyed]
    bands = least[:BANDS] * _ODD
    for row in range(1, ROWS):
        bands ^= least[row * BANDS : (row + 1) * BANDS]
        bands *= _ODD
    numbers = (bands >> np.uint64(32) ^ _BAND).T.tolist()
    return Reading(shingles, tuple(starts), tuple(map(tuple, numbers)), tuple(keyed), tuple(slots))


def _plainer(text: str) -> str:
    """Without what styles of writing differ in: accents' encoding, apostrophes, points in initials, signs of percent."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("’", "'")
    if "'" in text:
        text = _POSSESSIVE.sub("", text)
    if any(len(piece) == 1 for piece in text.split(".")):
        text = _INITIALS.sub(lambda found: found[0].replace(".", ""), text)
    return text.replace("%", " percent ").replace("per cent", "percent")


def _codes(title: str, story: str) -> tuple[list[int], list[int], list[tuple[int, int, int]]]:
    """The words of title and text as numbers, where sentences start, and what stands in which frame."""
    codes: list[int] = []
    starts = [0]
    slots: list[tuple[int, int, int]] = []
    for part, is_title in ((title[:400], True), (story[:_CHARACTERS], False)):
        before = last = 0
        fresh, in_name = True, False
        for token in _TOKEN.findall(_plainer(part))[: _TOKENS - len(codes)]:
            code, kind = _words[token]
            if kind == _SMALL or (kind == _CAPITAL and (fresh or is_title)):
                codes.append(code)
                before, last = last, code
                fresh = in_name = False
            elif kind == _CAPITAL:
                codes.append(code)
                if in_name:  # known by its last word
                    slots[-1] = (slots[-1][0], kind, code)
                else:
                    slots.append((before * 31 + last * 7, kind, code))
                    in_name = True
            elif kind == _END:
                if not fresh:
                    starts.append(len(codes))
                fresh, in_name, before, last = True, False, 0, 0
            elif kind != _NOTHING:
                slots.append((before * 31 + last * 7 + kind, kind, code))
                codes.append(_ANY_NUMBER if kind == _NUMBER else _ANY_DAY)
                fresh = in_name = False
        if not fresh:
            starts.append(len(codes))
    return codes, starts, slots


def encode(reading: Reading, keys: Iterable[int], boilerplate: Iterable[int] = ()) -> bytes:
    """The sketch of a reading without its passages `boilerplate`, as it is stored: at most some 600 bytes.

    Three bytes: how many keys, how many slots, whether no shingle was left out. Then keys (see
    `ingest.storage.syndication.keys_of`), slots and shingles, of four bytes each, little-endian.
    """
    shingles = reading.shingles
    left_out = set(boilerplate)
    if left_out:
        ends = [*reading.starts[1:], len(shingles)]
        pieces = zip(reading.starts, ends, strict=True)
        story = [shingles[start:end] for at, (start, end) in enumerate(pieces) if at not in left_out]
        shingles = np.concatenate(story) if story else shingles[:0]
    hashes = sorted(set((shingles >> np.uint64(32)).tolist()))
    slots = sorted({_slot(*slot) for slot in reading.slots[:SLOTS]})
    own = list(keys)
    complete = len(hashes) <= SAMPLE
    numbers = [*own, *slots, *hashes[:SAMPLE]]
    return pack(f"<BBB{len(numbers)}I", len(own), len(slots), complete, *numbers)


def _slot(frame: int, kind: int, filling: int) -> int:
    """18 bits for the frame, one that says whether it holds a number, 13 for the filling."""
    mixed = (frame ^ frame >> 32) * 0xD6E8FEB86659FD93 & 0xFFFFFFFFFFFFFFFF
    return (mixed >> 46) << 14 | (kind == _NUMBER) << 13 | (filling >> 20 & 0x1FFF)


class _Sketch:
    """A sketch unpacked: the sampled shingles in order, and what stands in each frame."""

    def __init__(self, sketch: bytes) -> None:
        keys, slots, complete = sketch[:3]
        numbers = unpack(f"<{(len(sketch) - 3) // 4}I", sketch[3:])
        self.shingles = numbers[keys + slots :]
        self.largest = _NO_LIMIT if complete or not self.shingles else self.shingles[-1]
        self._slots = numbers[keys : keys + slots]

    @cached_property
    def frames(self) -> dict[int, set[int]]:
        """The fillings of each frame; the frame's lowest bit says whether they are numbers."""
        frames: dict[int, set[int]] = {}
        for slot in self._slots:
            frames.setdefault(slot >> 13, set()).add(slot & 0x1FFF)
        return frames

    @cached_property
    def sampled(self) -> frozenset[int]:
        return frozenset(self.shingles)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two texts are: the share of the shorter's shingles in the longer, and frames of the same filling or not."""

    alike: float
    names_same: float = 0.0
    names_other: float = 0.0
    numbers_same: float = 0.0
    numbers_other: float = 0.0


def compare(one: bytes, other: bytes) -> Likeness:
    """How alike two texts are, by their sketches. Symmetric."""
    return _compare(_Sketch(one), _Sketch(other))


def _compare(a: _Sketch, b: _Sketch) -> Likeness:
    # Of both texts all hashes up to this are known, so what they share up to it can be counted.
    largest = min(a.largest, b.largest)
    shorter = min(bisect_right(a.shingles, largest), bisect_right(b.shingles, largest))
    if not shorter:
        return Likeness(0.0)
    alike = len(a.sampled.intersection(b.shingles)) / shorter
    if alike < ALIKE:
        return Likeness(alike)
    same, other = [0.0, 0.0], [0.0, 0.0]
    for frame, fillings in a.frames.items():
        others = b.frames.get(frame)
        if others:
            agree = len(fillings & others) / min(len(fillings), len(others))
            same[frame & 1] += agree
            other[frame & 1] += 1 - agree
    return Likeness(alike, same[0], other[0], same[1], other[1])


def same_story(likeness: Likeness, apart: timedelta) -> bool:
    """Whether two texts that are `apart` in time are prints of one story."""
    if likeness.alike < ALIKE or apart > LONGEST_APART:
        return False
    # A toll may rise between two prints of a day; the next day's report has other numbers throughout.
    weight = 0.5 if apart < NEXT_ISSUE else 1.0
    same = likeness.names_same + likeness.numbers_same
    other = likeness.names_other + weight * likeness.numbers_other
    return same >= SAME_FRAME * (same + other)


# --- groups


@dataclass(frozen=True, slots=True)
class Unassigned:
    """An article read, before its group is known: what `Syndicator.assign` needs of it, worked out in any thread."""

    article: Article
    publisher: str
    reading: Reading
    origin: str | None


def prepare(article: Article, publisher: str) -> Unassigned:
    """Read an article of `publisher` (a name, such as the catalogue's)."""
    return Unassigned(article, publisher, read(article.title, article.text), origin(article))


class Syndicator:
    """Groups of prints of one story among the articles it was given.

    Holds all that it is given in memory, about 5 kB an article; so a puller makes one for each batch, out of what the
    store has under the batch's keys (`ingest.storage.syndication.read_syndicated`), and writes `made` back.
    """

    def __init__(self, kept: Iterable[Print] = ()) -> None:
        self._kept: dict[str, Print] = {}
        self._by_key: dict[int, list[str]] = {}
        self.made: list[Print] = []
        """What is to be remembered of the articles assigned, in their order."""
        for each in kept:
            self._add(each)

    def _add(self, each: Print) -> None:
        self._kept[each.article_id] = each
        for key in each.keys:
            self._by_key.setdefault(key, []).append(each.article_id)

    def assign(self, article: Article, publisher: str) -> Syndication:
        """The story that `article` of `publisher` is a print of. A later revision stays with the first one's."""
        return self.assign_prepared(prepare(article, publisher))

    def assign_prepared(self, new: Unassigned) -> Syndication:
        """`assign` for an article that was read before."""
        article, reading = new.article, new.reading
        before = self._kept.get(article.article_id)
        if before is not None:
            return Syndication(before.syndication_id, new.origin or before.origin)
        seen = article.published or article.fetched
        hot = {key for key in reading.all_keys if len(self._by_key.get(key, ())) >= HOT}
        boilerplate = [at for at, keys in zip(reading.keyed, reading.keys, strict=True) if hot.issuperset(keys)]
        keys = [key for key in reading.all_keys if key not in hot]
        sketch = encode(reading, keys, boilerplate)
        found = Counter(name for key in keys for name in self._by_key.get(key, ()))
        mine = _Sketch(sketch)
        best, group = 0.0, article.article_id
        origins: dict[str, str] = {}
        for name, _ in found.most_common(COMPARED):
            other = self._kept[name]
            if not other.sketch:
                continue
            likeness = _compare(mine, _Sketch(other.sketch))
            if not same_story(likeness, abs(seen - other.seen)):
                continue
            if other.origin:
                origins.setdefault(other.syndication_id, other.origin)
            if likeness.alike > best:
                best, group = likeness.alike, other.syndication_id
        writer = new.origin or origins.get(group)
        stands_for_itself = best < VERY_ALIKE or (new.origin is not None and group not in origins)
        kept = Print(article.article_id, group, writer, new.publisher, seen)
        self._add(replace(kept, keys=tuple(keys), sketch=sketch) if stands_for_itself and keys else kept)
        self.made.append(self._kept[article.article_id])
        return Syndication(group, writer)


# --- who wrote it


@cache
def _agencies() -> tuple[dict[str, str], dict[str, str]]:
    """Names by their spellings and by their hosts."""
    names, hosts = {}, {}
    for line in Path(__file__).with_name("agencies.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, aliases, places = line.split("\t")
        names.update({_plain(alias): name for alias in (name, *filter(None, aliases.split(";")))})
        hosts.update(dict.fromkeys(filter(None, places.split(";")), name))
    return names, hosts


_LETTERS = re.compile(r"\w+")
_NOT_LETTERS = re.compile(r"[^\w&/]+")
_AROUND_NAME = re.compile(
    r"^(?:by|from|via|source|the|de|por|par|news) |(?: staff| writers?| reporters?| news agency)$"
)
_BETWEEN_NAMES = re.compile(r"[,;|()\[\]\n]|\s[-–—]\s|\b(?:and|for|via|with|of)\b|(?<=\w)/(?=\w)")
# Where the text itself ends in a name.
_LAST_LINES = 400
_SIGNATURE = 90
_LONGEST_BYLINE = 80
_SIGNED = re.compile(
    r"(?:^|[\n.!?”\"'’])\s*(?:[-–—]{1,2}\s*|[(\[]\s*|[©]\s*(?:copyright\s*)?(?:\d{4}\s*)?|copyright\s*(?:©|\(c\))?\s*(?:\d{4}\s*)?"
    r"|(?:source|credit|agency|via|courtesy(?: of)?|by)\s*:?\s+)?"
    r"(?P<name>[^\n.!?()\[\]©:–—]{2,40}?)\s*[)\]]?(?:\.?\s*all rights reserved)?\.?\s*$",
    re.I,
)
_COPYRIGHT = re.compile(r"(?:©|\(c\)|copyright)[ \t©]*(?:\d{4})?[ \t,]*(?:by )?(?P<name>[^\n.,()]{2,40})", re.I)
_REPUBLISHED = re.compile(
    r"(?:republished|reprinted|originally published|originally appeared|first published|first appeared|produced|distributed"
    r"|provided|written|supplied)[ \t]+(?:(?:here|with permission)[ \t]+)?(?:by|from|in|on|at)[ \t]+"
    r"(?P<name>[^\n.,()]{2,60}?)(?=[.,()\n]|[ \t]+(?:under|and|on|with|in)\b|$)",
    re.I,
)
_DESK = re.compile(
    r"\(?(?:additional )?reporting by .{2,300}?[;.] ?(?:additional reporting .{2,200}?[;.] ?)?"
    r"(?:writing by .{2,200}?[;.] ?)?editing by",
    re.I,
)
_MIXED = re.compile(r"(?:with|from) (?:additional )?(?:inputs?|files|reporting|contributions?) (?:from|by)", re.I)
_PROPER = re.compile(r"(?:(?:The|of|de|del|the) |[A-ZÀ-Þ][\w.'’&-]*(?: |$)){1,5}$")


@cache
def _hints() -> frozenset[str]:
    """Words of which one stands in every credit: an agency's name begins with it, or a credit without a known name."""
    names = {_LETTERS.findall(alias)[0] for alias in _agencies()[0]}
    return frozenset(names | {"republished", "reprinted", "originally", "first", "editing"})


def _plain(name: str) -> str:
    plain = " ".join(_NOT_LETTERS.sub(" ", name.replace(".", "")).casefold().split())
    while (shorter := _AROUND_NAME.sub("", plain).strip()) != plain and shorter:
        plain = shorter
    return plain


def _agency(text: str) -> str | None:
    """The agency of a name as it stands in a credit; None where it is none that is known."""
    return _agencies()[0].get(_plain(text)) if text.strip() else None


def origin(article: Article) -> str | None:
    """The publisher that wrote an article, by byline, dateline, closing credit or the agency's own site.

    None where the text does not say, or says that it was put together from several. Agencies of agencies.tsv come under
    their one name there, others as they are spelt. To quote an agency ("told Reuters") is no credit.
    """
    for author in article.authors[:20]:
        for part in _BETWEEN_NAMES.split(author[:200]):
            if name := _agency(part):
                return name
    lines = [line for line in article.text[:READ].split("\n") if line.strip()]
    for line in lines[:_HEAD]:
        dateline = _DATELINE.match(line[:160]) if "(" in line[:160] or "/" in line[:160] else None
        if dateline and dateline["agency"] and _is_dateline(dateline):
            for part in (*_BETWEEN_NAMES.split(dateline["agency"]), dateline["agency"]):
                if name := _agency(part):
                    return name
            # A name that no table has is one where a city in capitals, or a date, stands before it.
            place = dateline["place"]
            dated = place.isupper() or (place.strip()[:1].isupper() and any(mark.isdecimal() for mark in place))
            if dated and _PROPER.match(dateline["agency"].strip()):
                return dateline["agency"].strip()
    for line in lines[:3]:
        if len(line) <= _LONGEST_BYLINE:
            for part in _BETWEEN_NAMES.split(line):
                if name := _agency(part):
                    return name
    return _closing(article.text[-_LAST_LINES:]) or _own_site(article.canonical_url or article.url)


def _closing(end: str) -> str | None:
    end = end.rstrip()
    words = set(_LETTERS.findall(end.casefold()))
    # Most texts end without any of these words, and are not searched further.
    if words.isdisjoint(_hints()) or _MIXED.search(end):
        return None
    if "editing" in words and _DESK.search(end):
        return "Reuters"  # whose house style it is
    signed = _SIGNED.search(end[-_SIGNATURE:])
    credited = [*_REPUBLISHED.finditer(end), *_COPYRIGHT.finditer(end), *([signed] if signed else [])]
    for found in credited:
        if name := _agency(found["name"]):
            return name
    for found in credited:
        if found[0][:3].casefold() in ("rep", "ori", "fir") and _PROPER.fullmatch(found["name"]):
            return str(found["name"])
    for line in end.split("\n")[-3:]:
        if len(line) <= _LONGEST_BYLINE and (name := _agency(line)):
            return name
    return None


def _own_site(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    hosts = _agencies()[1]
    labels = host.split(".")
    return next((hosts[name] for at in range(len(labels)) if (name := ".".join(labels[at:])) in hosts), None)
