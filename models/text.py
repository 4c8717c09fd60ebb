"""From an article to sentences, with offsets that cut exactly what the sentence says; and whether the coder reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

# Longer stretches are cut at a clause: the encoder reads at most 256 tokens at once.
MAX_SENTENCE = 900
_MIN_CUT = 300

# Abbreviations, by what a full stop after them means. Titles and names count with a capital only: "Gen. Sun", but "they
# sat. Gunmen came".
_TITLES = frozenset(
    """mr mrs ms mx dr prof gen lt col maj capt cpt cpl sgt pvt pte cmdr cdr adm rear brig gov sen sens rep reps pres hon
    rev fr msgr amb supt insp det messrs asst undersec atty""".split()
)
_NUMBERED = frozenset("no nos art sec para fig vol pp ch rs tk ksh ca approx".split())
_NEVER_LAST = frozenset("vs e.g i.e a.k.a cf viz".split())
# These end sentences as often as not; the word after them decides.
_EITHER_WAY = frozenset("etc inc ltd co corp bros al est dept min ph.d ret".split())
_EITHER_WAY_NAMES = frozenset(
    """st mt ft ave blvd rd jr sr jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri
    sat sun ala ariz ark calif colo conn del fla ga ill ind kan ky la md mass mich minn miss mo mont neb nev okla ore pa
    tenn tex va vt wash wis wyo""".split()
)
_DOTTED = re.compile(r"(?:[a-z]\.)*[a-z]")
_STARTERS = frozenset(
    """the a an in on at it he she they we i you but and or so this that these those there here his her its their our my
    as after before when while if for from with without by no not yes one two some many most all both each several dozens
    hundreds thousands only even then what who why how since although though because during under until nearly about
    another other others nobody such according earlier later meanwhile however also still now today yesterday police officials
    witnesses residents gunmen protesters rebels critics analysts""".split()
)
_AFTER_TIME = re.compile(
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? \d"
    r"|[A-Z]{1,3}T\b|UTC\b|\d\d?:?\d\d\b|Eastern\b|Pacific\b|Central\b|[A-Z]\w+(?: [A-Z]\w+)? time\b"
)

_LINE_END = re.compile(r"(?:\r\n?|[\n\v\f\x85\u2028\u2029])\s*")
_LINK = re.compile(r"https?:|www\.")
_INVISIBLE = "\u00ad\u200b-\u200f\u2060\ufeff"
# Punctuation with what closes after it, or the place before a bullet. A run of it is tried once, or a megabyte of full stops
# would cost its square.
_END = re.compile(
    rf"(?<![.!?…؟۔।።])[.!?…؟۔।።]++[\"'”’»)\]{_INVISIBLE}]*+(?=\s|$|[^\W\d_]|[“\"‘«(\[])"
    rf"|[。！？][\"'”’»)\]」』）]*|(?<=\s)(?=•\s)"
)
_OPENING = re.compile(rf"[\s\"'“‘«(\[{_INVISIBLE}]*")
_STARTS_LIKE = re.compile(r"[\d$#@•–—-]|[ae]l-[A-Z]")
_WORD_BEFORE = re.compile(r"[^\s(\[\"“‘«/–—-]*$")
_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_WORD = re.compile(r"[^\W_]+")
_LISTED = re.compile(r"\s*\(?(?:\d{1,2}|\d\.\d|[A-Za-z]|[ivx]+|[IVX]+)")
# ‘“Why?” Mr. Diop asked.’
_ATTRIBUTION = re.compile(r"\s+(?:[A-Z][\w.’'-]*\s+){1,4}(?:said|says|asked|told|wrote|added|replied|shouted)\b")

# "AMMAN, May 14 (AFP) -- ", "Juba, 3 March 2026 – ", "May 14 (Reuters) - ", "MOSCOW, May 5. /TASS/. ": a place in capitals,
# or anything like a place before a date or an agency. Where a word in small letters follows, it was none.
_CAPITAL = "[A-ZÀ-ÖØ-Þ]"
_CAPITALS = rf"(?!\w\.){_CAPITAL}(?:{_CAPITAL}|['’.]){{2,}}(?:[ /-]{_CAPITAL}(?:{_CAPITAL}|['’.])+){{0,4}}"
_PLACE = rf"{_CAPITAL}[\w'’.]+(?:[ /-]{_CAPITAL}[\w'’.]+){{0,4}}"
_MORE = r"(?:, [A-Z\d][\w.'’ ]{1,25}){0,3}"
_AGENCY = r"\([A-Z][^()\n]{1,40}\)"
_DAY = r"(?:\d{1,2} [A-Z][a-z]+|[A-Z][a-z]+\.? \d{1,2}),?(?: \d{4})?"
_DATELINE = re.compile(
    rf"(?:(?:{_CAPITALS}{_MORE}(?:\s{{0,3}}{_AGENCY})?|(?:{_PLACE}(?: \d{{1,2}})?{_MORE}\s{{0,3}})?{_AGENCY}|{_PLACE}, {_DAY})"
    rf"\s{{0,3}}(?:--?|[–—―_])|{_PLACE}{_MORE}\s{{0,3}}/[A-Z]\w+/\.?)\s+(?=[^\sa-z])"
)
# What follows the place in a dateline: the agency, a day, a dash.
_NO_PLACE = re.compile(rf",?\s*{_AGENCY}|,?\s+{_DAY}|\s+\d|\s*(?:--?(?!\w)|[–—―_/])")
_SPACE = re.compile(r"\s")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_LATIN = re.compile(r"[^\W\d_a-zA-Z\u00aa-\u024f\u1e00-\u1eff]+")
_QUOTED = re.compile(r"“[^“”]*”|«[^«»]*»|\"[^\"\n]*\"")
# Code points that are looked at, and those that do where they are as good as surely English; letters below which no language
# is told.
_SAMPLE = 2000
_GLANCE, _SURE = 400, 0.999
_TOO_SHORT = 20
# Headlines about Lagos or Nairobi look like Nigerian Pidgin, which no feed is refused for.
_ENGLISH = ("en", "pcm")
# How unlikely English must be. The least that py3langid gave to 9,949 English sentences of the corpus was 0.023, but a short
# text may be little more than the name of a foreign party.
_SHORT = 60
_UNLIKELY, _UNLIKELY_SHORT = 0.01, 0.001
_CUT = re.compile(r"[;:,]\s|\s[–—-]{1,2}\s")


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """The stretches between the line ends that end sentences: all but those inside of hard-wrapped sentences."""
    start = 0
    for end in _LINE_END.finditer(text):
        following = text[end.end() : end.end() + 6]
        wrapped = following[:1].islower() and len(f"{end[0]}.".splitlines()) == 2 and not _LINK.match(following)
        if not wrapped or text[end.start() - 1 : end.start()] == ":":
            yield start, end.start()
            start = end.end()
    yield start, len(text)


def _ends_sentence(block: str, start: int, end: re.Match[str]) -> bool:
    """Whether the punctuation at `end` closes the sentence that begins at `start`."""
    marks = end[0]
    if not marks or marks[0] in "。！？":
        return True
    # A bounded look to both sides: a megabyte on one line must not cost its square.
    before, after = block[max(end.start() - 40, start) : end.start()], block[end.end() : end.end() + 80]
    opening = _OPENING.match(after)
    rest = after[opening.end() :] if opening else after
    if not rest:
        return True
    if not (rest[0].isupper() or not rest[0].isascii() or _STARTS_LIKE.match(rest)):
        return False
    found = _WORD_BEFORE.search(before)
    name = _HIDDEN.sub("", found[0]).lstrip("'") if found else ""
    first = _WORD.match(rest)
    starter = first is not None and first[0].casefold() in _STARTERS
    if not after[0].isspace():
        # A missing space: "ended.The" ends a sentence, "U.S.A", "Mr.X" and "John.Smith@example.org" do not.
        around = block[max(end.start() - 200, start) : end.start()].split()[-1:] + after.split()[:1]
        if any(sign in part for part in around for sign in ("@", "://", "www.")) or not name.isalnum():
            return False
        likely = len(name) > 1 if starter else len(name) > 3 and name.isalpha() and rest[1:2].islower()
        return likely and not _abbreviated(name, rest, starter)
    if marks[0] != ".":
        spaced = before[-1:].isspace() and marks[0] == "…"
        spoken = len(marks) > 1 and _ATTRIBUTION.match(after)
        return starter or not (spaced or spoken or name == "Yahoo")
    if marks.startswith("..") and before[-1:].isspace():
        return starter
    if end.start() - start < 8 and _LISTED.fullmatch(block, start, end.start()):
        return False
    return marks.startswith("..") or not _abbreviated(name, rest, starter)


def _abbreviated(name: str, rest: str, starter: bool) -> bool:
    """Whether the full stop between `name` and `rest` only shortens a word; `starter`: `rest` begins as sentences do."""
    word, capital = name.casefold(), name[:1].isupper()
    if word in _NEVER_LAST or (capital and word in _TITLES):
        return True
    if word in _NUMBERED:
        return rest[0].isdigit() or rest[0] in "#$£€"
    if word in ("a.m", "p.m"):
        return _AFTER_TIME.match(rest) is not None
    either = word in _EITHER_WAY or (capital and word in _EITHER_WAY_NAMES) or _DOTTED.fullmatch(word)
    return bool(either) and not starter and name != "X"  # where statements are posted


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretch in pieces of at most MAX_SENTENCE, cut after a clause, else at a space, else anywhere."""
    while end - start > MAX_SENTENCE:
        window = text[start + _MIN_CUT : start + MAX_SENTENCE]
        clauses = list(_CUT.finditer(window)) or list(_SPACE.finditer(window))
        at = start + _MIN_CUT + clauses[-1].end() if clauses else start + MAX_SENTENCE
        yield start, at
        start = at
    yield start, end


def dateline(text: str) -> str | None:
    """The place that the text is dated from, as written: "AMMAN, Jordan" of "AMMAN, Jordan, May 14 (AFP) -- ", or None."""
    match = _DATELINE.match(text.lstrip())
    if match is None:
        return None
    place = _NO_PLACE.split(match[0].strip(), maxsplit=1)[0].strip(" ,.")
    return place or None


def sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as (start, end) offsets in code points, without surrounding white space, in order.

    Every character that is not white space lies in exactly one sentence. Headlines, datelines, list items and lines are
    sentences of their own, but a line that goes on in small letters belongs to the one before it; a stretch above
    MAX_SENTENCE code points is cut at a clause.
    """
    spans: list[tuple[int, int]] = []
    for block_start, block_end in _blocks(text):
        block = text[block_start:block_end]
        start = 0
        if dateline := _DATELINE.match(block):
            start = dateline.end()
            spans.append((block_start, block_start + start))
        for mark in _END.finditer(block, start):
            if _ends_sentence(block, start, mark):
                spans.append((block_start + start, block_start + mark.end()))
                start = mark.end()
        spans.append((block_start + start, block_end))
    found: list[tuple[int, int]] = []
    for start, end in spans:
        for left, right in _cut(text, start, end):
            piece = text[left:right]
            stripped = piece.strip()
            if stripped:
                left += len(piece) - len(piece.lstrip())
                found.append((left, left + len(stripped)))
    return found


def encodable(text: str) -> str:
    """`text` with lone surrogates replaced, code point for code point, so that any tokeniser takes it."""
    return _SURROGATE.sub("\ufffd", text)


def uncodable(text: str, title: str = "") -> str | None:
    """Why the coder does not read an article, None if it does: `empty` (no letters), `language:` and its BCP 47 code, or
    `script` (not Latin letters, in no language that can be told).

    What may be English is read: a headline of names looks like many languages, and what is quoted does not count.
    """
    sample = f"{title}\n{text}"[:_SAMPLE]
    if len(sample) > _GLANCE and _english(_odds(sample[:_GLANCE])) > _SURE:
        return None
    letters = sum(map(str.isalpha, sample))
    if not letters:
        return "empty"
    latin = _NOT_LATIN.sub(" ", sample)
    if sum(map(str.isalpha, latin)) < letters / 2:
        code, probability = language(sample)
        return f"language:{code}" if code not in _ENGLISH and probability > 0.5 else "script"
    own = _QUOTED.sub(" ", latin)
    if sum(map(str.isalpha, own)) >= _TOO_SHORT:
        latin = own
    letters = sum(map(str.isalpha, latin))
    if letters < _TOO_SHORT:
        return None
    odds = _odds(latin)
    if _english(odds) >= (_UNLIKELY if letters >= _SHORT else _UNLIKELY_SHORT):
        return None
    return f"language:{max(odds, key=odds.__getitem__)}"


def _odds(text: str) -> dict[str, float]:
    """The probability of each language."""
    return dict(_identifier().rank(encodable(text)))


def _english(odds: Mapping[str, float]) -> float:
    return sum(odds[code] for code in _ENGLISH)


def language(text: str) -> tuple[str, float]:
    """The language of `text` (BCP 47) and how sure that is (0 to 1), by py3langid's model."""
    code, probability = _identifier().classify(encodable(text))
    return str(code), float(probability)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
