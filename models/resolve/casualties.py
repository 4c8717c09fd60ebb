"""How many: the lowest and highest number of persons that a phrase names.

What looks like a number of persons and is none (an age, a weapon, a date, a length of time) is taken out first; the rest is
cut at each "and" or comma after which something is counted anew, and the parts are added. "dozens" and its kin stand for the
least that they can mean (`_VAGUE`).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Role = Literal["dead", "injured"]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: value for value, word in enumerate(_ONES)} | {word: 10 * value for value, word in enumerate(_TENS, 2)}
_WORDS |= {"fourty": 40, "couple": 2, "pair": 2, "both": 2, "none": 0, "nobody": 0, "twins": 2, "duo": 2, "trio": 3,
           "triplets": 3}  # fmt: skip
_UNITS = {"dozen": 12, "score": 20, "hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000,
          "lakh": 100_000, "crore": 10_000_000}  # fmt: skip
# The least that each can mean: two of the unit ("scores" 40), three for "several"; none has an upper bound.
_VAGUE = {"dozens": 24, "scores": 40, "tens": 20, "hundreds": 200, "thousands": 2_000, "millions": 2_000_000}
_SEVERAL = {"several": 3, "few": 3, "handful": 3}
_HIGHEST = 10_000_000_000


def _any(words: Sequence[str]) -> str:
    return "(?:" + "|".join(words) + ")"


_NUMERAL = rf"(?:\d+(?:[.,]\d+)*|{_any([*_ONES[1:], *_TENS])}(?:-{_any(_ONES[1:10])})?)"
_COUNTED = rf"(?:\d|an? |half|{_any([*_WORDS, *_UNITS])}\b)"
_OPEN = re.compile(
    r"\b(?:at least|more than|no fewer than|no less than|not fewer than|not less than|upwards? of|a minimum of|minimum|"
    r"exceed(?:s|ed|ing)?|topp(?:ed|ing)|passed|surpass(?:es|ed|ing)|greater than)\b|"
    rf"\b(?:over|above|beyond|past) (?={_COUNTED})|\bor more\b|[\s-]plus\b|\d\+"
)
_BELOW = re.compile(rf"\b(?:fewer than|less than|(?:under|below) (?={_COUNTED}))")
_OPEN_NEGATED = re.compile(r"\b(?:no|not) more than\b")
_PARTITIVE = (
    r"(?:including|includes|among them|among whom|most of them|mostly|mainly|many of them|some of them|"
    r"half of them|all of them|of whom)"
)
_CUT = re.compile(
    rf"[,;(]?\s*(?:\s-\s)?\b{_PARTITIVE}\b.*|[,;(]\s*(?:at least )?(?:an? )?[\w-]+(?: \w+)? of (?:them|whom|these)\b.*|"
    r"[,;(]\s*[\w\s-]* among (?:them|whom|the dead)\b.*|,\s*(?:both|all) (?!of the\b)[\w-]+(?: [\w-]+)?$|"
    r"^(?:every|each)(?: one)? of(?= the)",
    re.IGNORECASE,
)
_PERHAPS = re.compile(r"[,(]?\s*\b(?:and )?(?:possibly|perhaps|maybe|if not)\b(?P<rest>.*)$", re.IGNORECASE)
_MONTH = rf"(?:{_any([name for name in calendar.month_name if name])}|(?:jan|feb|aug|sept?|oct|nov|dec)\b\.?)"
_WEAPON = r"\b(?!covid)[a-z]{1,4}-?\d+[a-z]*s?\b"
_AGE_OF = (
    r"\b(?P<who>(?!(?:famil|crew|group|party|convoy|patrol|team|squad|total|toll|column|gang|unit|band|couple|pair|trio|dozen|"
    r"score|death|killing|murder|loss|live|life|bod|number|minimum|maximum|average|crowd|delegation|class|household|mob|list|"
    r"count|half|third|quarter|out|all|some|any|none|each|both|most|many|more|upward|force|cell|excess|deployment|staff|"
    r"handful|tens|platoon|brigade|battalion|one\b|two\b|three\b|four\b|five\b|six\b|seven\b|eight\b|nine\b|ten\b|\d))[a-z]+)"
    rf" of {_NUMERAL}(?=\s*(?:$|[,;)]|and\b|who\b|in\b|from\b))"
)
# Numbers that count no persons.
_NOT_COUNTS = [
    (re.compile(pattern, re.IGNORECASE), kept)
    for pattern, kept in (
        (rf"\$\s?[\d.,]+(?: (?:million|billion))?|{_NUMERAL}\s?(?:%|per ?cent\b)", " "),
        (
            rf"\b(?:of the )?aged? (?:of )?(?:between |from )?(?:just |only )?{_NUMERAL}"
            rf"(?:(?:,| and| to|-|–|, and) {_NUMERAL})*",
            " ",
        ),
        (rf"\b(?:children|kids|minors|boys|girls|those|people|aged?) under (?:the age of )?{_NUMERAL}\b", " children "),
        (r"\b(?:his|her|their) (?:early |mid |late )?-?(?:\w+ties|\d0s)\b", " "),
        (r"\b\w+[- ](?:thirds?|quarters?|fifths?|tenths?) of (?!an? (?:hundred|thousand|million)).*", " "),
        (r"\b(?P<who>\d+|[a-z]+) \w+-year-olds\b", r" \g<who> children "),
        (r"^(?:an? )?[\w-]+-year-old$", " child "),
        (r"\b\w+-(?:year|month|week|day|hour|man|member|metre|meter|km|mile|strong|storey|story|point)s?(?:-olds?)?\b", " "),
        (_AGE_OF, r" \g<who> "),
        (r"(?<=[a-z]),\s*\d{1,2}(?=\s*(?:,|;|$|and\b|\)))", " "),
        (rf"\b{_MONTH} \d{{1,2}}(?:, \d{{4}})?\b|\b\d{{1,2}} {_MONTH}\b", " "),
        (r"\b(?:in|since|from|by|during|until|of|early|late|mid-?) ?(?:19|20)\d\d\b", " "),
        (
            rf"\b(?:in|over|for|within|during|after)? ?(?:the )?(?:past |last |more than |previous )?{_NUMERAL} "
            r"(?:minute|hour|day|night|week|month|year|decade)s\b",
            " ",
        ),
        (r"\b\d{1,2}(?:[:.]\d\d)? ?[ap]\.?m\b\.?|\b\d+(?:st|nd|rd|th)\b", " "),
        (
            rf"\b{_NUMERAL} {_WEAPON}$|{_WEAPON}|"
            r"\b\d+ ?(?:mm|cm|km|kg|tonnes?|tons|miles|kilomet(?:re|er)s|metres|meters|yards)\b",
            " ",
        ),
        (
            r"\b(?:flight|highway|route|boeing|airbus|article|no\.?|zone|area|block|gate|room|ward|bus|unit|camp|checkpoint)"
            r" \d+\b",
            " ",
        ),
        (
            rf"\b(?:the )?{_NUMERAL} (?:\w+ )?(?:famil(?:y|ies)|households|attacks?|strikes?|air ?strikes|raids?|blasts?|"
            r"explosions?|bombings?|incidents?|clashes|shootings?|battalions?|brigades?|units|vehicles?|cars?|buses|trucks|tanks|"
            r"boats|houses?|homes|buildings?|villages?|towns?|cities|districts?|provinces?|countries|places|locations|shells|"
            r"rockets?|missiles?|drones?|bombs?|times)\b",
            " ",
        ),
    )
]  # fmt: skip
_RANGE = re.compile(
    r"(?:between|from)\s+(?P<a>[\w.,-]+?(?: (?:dozen|hundred|thousand|million))?)\s+(?:and|to)\s+(?P<b>.+)"
)
_RANGE_DASH = re.compile(r"(?P<a>\d[\d,]*)\s*(?:-|–|—|to|or)\s*(?P<b>\d[\d,]*\b.*)")
_RANGE_OR = re.compile(r"(?P<a>[a-z]+) (?:or|to) (?P<b>[a-z]+\b.*)")
_GROUPED = re.compile(r"(?<=\d)[,\u00a0\u202f ](?=\d{3}\b)")
_SHORT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(m|k|bn)\b")
_SHORT_UNITS = {"m": "million", "k": "thousand", "bn": "billion"}
_FIGURES_PLURAL = re.compile(r"\b(10+)s\b")
_PLURAL_FIGURES = {"10": "tens", "100": "hundreds", "1000": "thousands"}
_NUMBER = re.compile(r"\d+(?:\.\d+)?|[a-z]+")
_ONE_MORE = re.compile(r"^(?:an?|the|another|one|his|her|their|its)\s+(?P<noun>.*)")
_RISING = re.compile(r"\b(?:toll|rose|risen|rises|rising|climbed|climbs|grew|jumped|increased|revised|raised|went)\b")
_FORMER = re.compile(
    r",?\s*\b(?:up )?from (?:an earlier |a previous )?(?:\w+ )?\d[\d,]*(?: \w+)?$|\bfrom \w+(?= to\b)", re.IGNORECASE
)
_NOBODY = re.compile(
    r"(?:no|not an?) (?!(?:fewer|less|more)\b)[a-z]+|nobody|no-one|without (?:any )?(?:casualties|deaths)"
)
# Kin and travellers told after an "and" without an article of their own are persons of their own.
_SECOND_PERSON = re.compile(
    r"^(?:his |her )?(?:wife|husband|son|daughter|mother|father|brother|sister|woman|girl|child|boy|passenger|co-?pilot|"
    r"bodyguard|driver|infant|baby|guide|interpreter|translator|cousin|aunt|uncle|nephew|niece|grand\w+|fianc\w+)\b(?!.*\b[A-Z])"
)
_NAME_END = re.compile(r"\b[A-Z][\w'’-]+$")
_MULTIPLE = re.compile(
    r"(?:nearly |almost |about |more than )?(?:twice|double|triple|three times|half) (?:that|as|the)\b"
)
# A name that ends in s is no plural after an office: "reporter Yadira Solís".
_TITLE_AND_NAME = re.compile(
    r"(?:^|\s)(?!former)[a-z-]+(?:er|or|ist|man|ent|al|ain|ant) [A-Z][\w'-]+ [A-Z][\w'-]+s$|d'affaires$"
)
_ROLE_WORDS: dict[str, re.Pattern[str]] = {
    "dead": re.compile(
        r"\b(?:kill\w*|dead|died?|dies|dying|deaths?|slain|slay\w*|lives|fatal\w*|murder\w*|martyr\w*|perish\w*|massacr\w*|"
        r"execut\w+|beheaded|drown\w*|bodies|lost)\b",
        re.IGNORECASE,
    ),
    "injured": re.compile(r"\b(?:wound\w*|injur\w*|hurt|maim\w*|hospitali[sz]ed|burn(?:ed|t|s))\b", re.IGNORECASE),
}
_VERB_FIRST = re.compile(
    r"^(?:has |have |had |and |that )*(?:(?:kill|wound|injur|maim|murder|massacr|slay|left|leav|hurt)\w*)\s+(?!and\b|or\b)",
    re.IGNORECASE,
)

_MANY_WITHOUT_S = {
    "people", "men", "women", "children", "police", "troops", "personnel", "staff", "crew", "family", "families",
    "others", "cattle", "clergy", "militia", "public", "population", "folk", "congregation", "community", "crowd",
    "group", "number", "force", "unit", "patrol", "squad", "team", "more", "many", "some", "all", "most", "them",
    "dead", "wounded", "injured", "killed", "casualties", "fatalities", "unknown", "undisclosed", "half", "infantry",
    "poor", "elderly", "majority", "toll", "media", "taliban", "hezbollah", "mujahideen", "peshmerga", "janjaweed",
    "army", "navy", "government", "garrison", "battalion", "brigade", "regiment", "platoon", "convoy", "village",
    "town", "rohingya", "several", "wounding", "killing", "dying", "everyone", "everybody", "anyone", "clan", "tribe",
    "household", "cavalry", "british", "french", "irish", "dutch", "english",
}  # fmt: skip
_THINGS = {"bus", "car", "vehicle", "house", "station", "school", "hospital", "plane", "helicopter", "tank", "truck", "market",
           "church", "mosque", "boat", "ship", "building", "checkpoint", "base"}  # fmt: skip
_END_OF_HEAD = re.compile(
    r"\s(?:of|in|from|at|near|who|that|which|with|for|on|by|under|during|after|known|aged|said|accused|suspected|trying|working|aboard)\s|[,;(]"
)

_MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class CountReading:
    """The lowest and highest number of persons that a phrase names (None is unknown or open) and the rule in plain words."""

    min: int | None
    max: int | None
    rule: str


def resolve_count(text: str, role: Role | None = None) -> tuple[int | None, int | None]:
    """The lowest and highest number of persons that a count phrase names: "at least 12 people" is (12, None).

    (None, None) where it names no number: "relatives". One person named or described is (1, 1). Parts joined by "and" are
    added: "two soldiers and a child" is (3, 3). Of a phrase that tells dead and wounded, `role` chooses whose number is
    answered; without it those that are told first. Never raises for any string.
    """
    reading = count_reading(text, role)
    return reading.min, reading.max


def count_reading(text: str, role: Role | None = None) -> CountReading:
    """What `resolve_count` answers, with the rule that led to it."""
    return _read(" ".join(text[:_MOST_CHARACTERS].split()), role)


@lru_cache(maxsize=4096)
def _read(text: str, role: Role | None) -> CountReading:
    original = _of_role(text, role)
    phrase = _CUT.sub("", original.replace("’", "'")).strip(" .,;:\"'()")
    perhaps = _PERHAPS.search(phrase)
    if perhaps and perhaps.start():
        sure, possible = (_read(part, None) for part in (phrase[: perhaps.start()], perhaps["rest"]))
        top = sure.max
        if top is not None and possible.max is not None:
            top = max(top, possible.max)
        return CountReading(sure.min, top, "the sure number, and the possible one")
    lower = phrase.lower()
    if _NOBODY.match(lower):
        return CountReading(0, 0, "none")
    # One after the other: each takes out what the next would misread.
    plain = _SHORT.sub(lambda found: f"{found[1]} {_SHORT_UNITS[found[2]]}", _GROUPED.sub("", phrase))
    plain = _FIGURES_PLURAL.sub(lambda found: _PLURAL_FIGURES.get(found[1], found[0]), plain)
    if _RISING.search(lower) and " to " in lower:
        plain = _FORMER.sub(" ", plain)
    for pattern, kept in _NOT_COUNTS:
        plain = pattern.sub(kept, plain)
    plain = " ".join(plain.split()).strip(" ,;-")
    if not plain and re.fullmatch(r"\d+(?:st|nd|rd|th)", lower):
        return CountReading(1, 1, "one person named or described")  # "the 400th"
    low_plain = plain.lower()
    if found := _range(low_plain):
        return CountReading(*found, "range named" if found[0] != found[1] else "toll: the new number")
    parts = _parts(plain)
    counts = [_part(part, alone=len(parts) == 1, first=at == 0) for at, part in enumerate(parts)]
    known = [count for count in counts if count is not None]
    if known:
        low = sum(count[0] for count in known)
        high = None if any(count[1] is None for count in known) else sum(count[1] or 0 for count in known)
        if _number(_NUMBER.findall(low_plain)) is None:
            return CountReading(
                low, high, "one person named or described" if low == 1 else "persons told one by one, added"
            )
        return _bounded(low_plain, low, high, len(known))
    if _MULTIPLE.match(lower):
        return CountReading(None, None, "a multiple of a number that is not named")
    if _is_one(low_plain) or _TITLE_AND_NAME.search(plain):
        return CountReading(1, 1, "one person named or described")
    return CountReading(None, None, "no number named")


def _bounded(phrase: str, low: int, high: int | None, parts: int) -> CountReading:
    if low > _HIGHEST:
        return CountReading(None, None, "no number of persons")
    if _OPEN.search(phrase) and not _OPEN_NEGATED.search(phrase):
        return CountReading(low, None, "the number named or more")
    if _BELOW.search(phrase):
        return CountReading(None, low, "below the number named")
    added = f" (sum of {parts} parts)" if parts > 1 else ""
    if high is None:
        return CountReading(low, None, f"vague word: the least that it means{added}")
    return CountReading(low, high, f"number named{added}")


def _of_role(text: str, role: Role | None) -> str:
    """The clauses of the text that tell the dead, or the injured, where it tells both."""
    told_of = {name for name, pattern in _ROLE_WORDS.items() if pattern.search(text)}
    if len(told_of) < 2 and (role is None or role in told_of or not told_of):
        return text
    clauses = [
        clause
        for clause in re.split(r"\s*(?:[,;]\s*(?:and\s+|while\s+)?|\band\s+|\bbut\s+|\bwhile\s+|\bwith\s+)", text)
        if clause
    ]
    named = [_told_of(clause) for clause in clauses]
    verb_first = any(_VERB_FIRST.match(clause) for clause in clauses)
    carried: str | None = None
    for at in range(len(named)) if verb_first else reversed(range(len(named))):
        # "killing a soldier and two civilians" goes on, "a soldier and two civilians killed" is told before its verb.
        carried = named[at] = named[at] or carried
    wanted: str | None = role or next((name for name in named if name), None)
    if wanted not in named:
        wanted = None
    chosen = " and ".join(
        _VERB_FIRST.sub("", clause) for name, clause in zip(named, clauses, strict=True) if name == wanted
    )
    return chosen if " " in chosen or _number(_NUMBER.findall(chosen.lower())) else text


def _told_of(clause: str) -> str | None:
    return next((name for name, pattern in _ROLE_WORDS.items() if pattern.search(clause)), None)


def _range(phrase: str) -> tuple[int, int] | None:
    match = _RANGE.search(phrase) or _RANGE_DASH.search(phrase) or _RANGE_OR.search(phrase)
    if not match:
        return None
    first = match["a"].split()
    low, high = _number(first), _number(_NUMBER.findall(match["b"]))
    unit = re.match(r"[\w.,]+ (dozen|hundred|thousand|million)\b", match["b"])
    if unit and high and not any(word in _UNITS for word in first):
        low = _number([*first, unit[1]])
    if low is None or high is None or low[1] is None or high[1] is None or max(low[0], high[0]) > _HIGHEST:
        return None
    if _RISING.search(phrase):
        return (high[0], high[0])
    return (low[0], high[0]) if low[0] < high[0] else None


def _parts(phrase: str) -> list[str]:
    """The phrase cut at each "and" or comma after which something is counted anew."""
    parts: list[str] = []
    pieces = _pieces(phrase)
    for separator, piece in pieces:
        low = piece.lower()
        words = _NUMBER.findall(low)
        another = _ONE_MORE.match(low) is not None
        if (
            separator == ","
            and parts
            and re.match(r"an? |the ", low)
            and (len(pieces) == 2 or _NAME_END.search(parts[-1]))
        ):
            another = _number(words[1:4]) is not None  # "Ahmad Ali, a teacher" is one
        vague = low.startswith(("an unknown number", "an unspecified number"))
        new = vague or another or (bool(words) and _number(words[:3]) is not None)
        if parts and not new:
            headline = separator == "," and piece.islower() and parts[-1].lower()[1:] == parts[-1][1:]  # "Woman, baby"
            new = (separator != "," or headline) and _is_another_person(parts[-1], piece)
        inside_number = (
            parts and re.search(r"(?:hundred|thousand|million)$", parts[-1].lower()) and _ONE_MORE.match(low) is None
        )
        if parts and (not new or inside_number):
            parts[-1] += " and " + piece
        else:
            parts.append(piece)
    return parts


def _pieces(phrase: str) -> list[tuple[str, str]]:
    """The pieces between separators, each with the one before it; names in a row are all set off by "and"."""
    found, separator = [], ""
    for piece in re.split(r"(,\s*(?:and\s+)?|\s+and\s+|\s+as well as\s+|\s+plus\s+)", phrase):
        if re.fullmatch(r",\s*(?:and\s+)?|\s+(?:and|as well as|plus)\s+", piece):
            separator = "," if piece.strip() == "," else "and"
        elif piece.strip():
            found.append((separator, piece.strip()))
    if len(found) > 2 and all(_NAME_END.search(piece) and not re.match(r"an? |the ", piece) for _, piece in found):
        return [(separator and "and", piece) for separator, piece in found]
    return found


def _is_another_person(first: str, second: str) -> bool:
    if not _is_one(first.lower()) or not _is_one(second.lower()) or re.search(r"\d", first + second):
        return False
    if _SECOND_PERSON.match(second):
        return True
    if re.search(r"\b(?:of|from|in|at|near|between|for|to)\b", first):
        return False
    return bool(_NAME_END.search(first) and _NAME_END.search(second))


def _part(part: str, alone: bool, first: bool) -> tuple[int, int | None] | None:
    part = re.sub(
        r"^(?:killed|killing|kills|wounded|wounding|injured|injuring|leaving|left|the (?:death|killing|murder) of)\s+",
        "",
        part.lower(),
    )
    part = re.sub(r"(?<=\w)(?: (?:was|were|are|is|been|shot))* (?:killed|wounded|injured|hurt|dead|slain)$", "", part)
    part = re.sub(r"^both (?=(?:the|his|her|an?) )", "", part)
    number = _number(_NUMBER.findall(part))
    if number is not None:
        return number
    if part.startswith(("an unknown number", "an unspecified number")):
        return None if alone else (0, None)
    match = _ONE_MORE.match(part)
    if match and _is_one(match["noun"]):
        return 1, 1
    return (1, 1) if not alone and _is_one(part) else None


def _number(words: Sequence[str]) -> tuple[int, int | None] | None:
    """The first number in the words: digits, number words, "two dozen", "several hundred", "tens of thousands"."""
    for at, word in enumerate(words):
        if word == "few" and at and words[at - 1] == "as":
            continue
        if word == "twin" and words[at + 1 : at + 2] and words[at + 1].endswith("s"):
            return 2, 2
        if (
            word in ("a", "an", "half", "quarter")
            or word in _WORDS
            or word in _SEVERAL
            or word in _UNITS
            or word[0].isdigit()
        ):
            number = _number_from(words, at)
            if number is not None:
                return number
        elif word in _VAGUE:
            low = _VAGUE[word]
            if words[at + 1 : at + 2] == ["of"] and words[at + 2 : at + 3] and words[at + 2] in _VAGUE:
                low = low // 2 * _VAGUE[words[at + 2]]
            return low, None
    return None


def _number_from(words: Sequence[str], at: int) -> tuple[int, int | None] | None:
    total, current, seen, vague = 0.0, 0.0, False, False
    share = 1.0
    for place, word in enumerate(words[at:]):
        if word[0].isdigit():
            if seen or len(word) > 13:
                break
            current, seen = float(word), True
        elif word in _WORDS:
            if (
                seen
                and not (word in _ONES and current % 100 >= 20 and current % 10 == 0)
                and not (current and current % 100 == 0)
                and not (total and not current)
            ):
                break
            current, seen = current + _WORDS[word], True
        elif word in _SEVERAL:
            if seen:
                break
            current, seen, vague = _SEVERAL[word], True, True
        elif word in _UNITS:
            current = (current if seen else 1) * _UNITS[word] * share
            seen, share = True, 1.0
            if _UNITS[word] >= 1000:
                total, current = total + current, 0.0
        elif word in ("half", "quarter") and not seen:
            share = 0.5 if word == "half" else 0.25
        elif word in ("a", "an") and (place == 0 or share < 1):
            pass
        elif word == "of" and words[at + place + 1 : at + place + 2] and (words[at + place + 1] in _UNITS or share < 1):
            pass  # "a couple of dozen", "a quarter of a million"
        elif word == "and" and seen and (current % 100 == 0) and (current or total):
            following = words[at + place + 1 : at + place + 2]
            if not (following and (following[0] in _WORDS) and (current >= 100 or total)):
                break
        else:
            break
    if not seen or share < 1:
        return None
    value = round(total + current)
    return value, None if vague else value


def _is_one(phrase: str) -> bool:
    """Whether the phrase names or describes one person: its head noun is no plural."""
    phrase = re.sub(r"^(?:an?|the|his|her|their|its|another)\s+", "", phrase.lower().strip())
    head = _END_OF_HEAD.split(" " + phrase + " ", maxsplit=1)[0].split()
    if not head or not any(char.isalpha() for char in head[-1]):
        return False
    last = head[-1]
    if last in _MANY_WITHOUT_S or last in _THINGS or last.endswith(("men", "women", "children", "ese")):
        return False
    return not last.endswith("s") or last.endswith(("ss", "us"))
