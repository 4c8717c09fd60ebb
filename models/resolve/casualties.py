"""How many: the lowest and highest number that a phrase of persons names.

"dozens" and its kin stand for the least that they can mean (`_VAGUE`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: value for value, word in enumerate(_ONES)} | {word: 10 * value for value, word in enumerate(_TENS, 2)}
_WORDS |= {"fourty": 40, "couple": 2, "pair": 2, "both": 2, "none": 0, "nobody": 0}
_UNITS = {"dozen": 12, "score": 20, "hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000,
          "lakh": 100_000, "crore": 10_000_000}  # fmt: skip
# The least that each can mean: two of the unit ("scores" 40), three for "several"; none has an upper bound.
_VAGUE = {"dozens": 24, "scores": 40, "tens": 20, "hundreds": 200, "thousands": 2_000, "millions": 2_000_000}
_SEVERAL = {"several": 3, "few": 3, "handful": 3}
_HIGHEST = 10_000_000_000

_OPEN = re.compile(
    r"\b(?:at least|more than|over|no fewer than|no less than|not fewer than|not less than|upwards? of|a minimum of|minimum|"
    r"above|beyond|past|exceed(?:s|ed|ing)?|topp(?:ed|ing)|passed|surpass(?:es|ed|ing)|greater than)\b|"
    r"\bor more\b|\bplus\b|\d\+"
)
_BELOW = re.compile(r"\b(?:fewer than|less than|under|below)\b")
_OPEN_NEGATED = re.compile(r"\b(?:no|not) more than\b")
_CUT = re.compile(
    r"[,;(]?\s*\b(?:including|includes|among them|among whom|most of them|mostly|mainly|many of them|some of them|"
    r"half of them|all of them|of whom)\b.*|[,;(]\s*at least [\w-]+ of (?:them|whom)\b.*"
)
_NOT_COUNTS = re.compile(
    r"\b(?:aged?|of the age of)\s+[\w-]+|"
    r"\b(?:boy|girl|child|man|woman|son|daughter|teenager|student|youth)\s+of\s+[\w-]+\b|"
    r"\b(?:his|her|their) (?:early |mid |late )?-?\w+ties\b|"
    r"\b\w+-(?:year|month|week|day|hour|man|member|metre|meter|km|mile|strong)s?(?:-olds?)?\b|\$\s?[\d.,]+"
)
_RANGE = re.compile(
    r"(?:between|from)\s+(?P<a>[\w.,-]+?(?: (?:dozen|hundred|thousand|million))?)\s+(?:and|to)\s+(?P<b>.+)"
)
_RANGE_DASH = re.compile(r"(?P<a>\d[\d,]*)\s*(?:-|–|—|to|or)\s*(?P<b>\d[\d,]*)\b")
_RANGE_OR = re.compile(r"(?P<a>[a-z]+) (?:or|to) (?P<b>[a-z]+)\b")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}\b)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|[a-z]+")
_ONE_MORE = re.compile(r"^(?:a|an|another|one|his|her|their|its)\s+(?P<noun>.*)")
_RISING = re.compile(r"\b(?:rose|risen|rises|rising|climbed|climbs|grew|jumped|increased|revised|raised|went)\b")

_MANY_WITHOUT_S = {
    "people", "men", "women", "children", "police", "troops", "personnel", "staff", "crew", "family", "families", "others",
    "cattle", "clergy", "militia", "public", "population", "folk", "policemen", "servicemen", "gunmen", "fishermen",
    "tribesmen", "clansmen", "herdsmen", "militiamen", "firemen", "congregation", "community", "crowd", "group", "number",
    "force", "unit", "patrol", "squad", "team", "more", "many", "some", "all", "most", "them", "dead", "wounded", "injured",
    "killed", "casualties", "fatalities", "unknown", "undisclosed", "half", "infantry", "poor", "elderly", "majority", "toll",
    "media",
}  # fmt: skip
_END_OF_HEAD = re.compile(
    r"\s(?:of|in|from|at|near|who|that|which|with|for|on|by|under|during|after|known|aged|said|accused|suspected|trying|working)\s|[,;(]"
)

_MOST_CHARACTERS = 200


def resolve_count(text: str) -> tuple[int | None, int | None]:
    """The lowest and highest number of persons that a count phrase names: "at least 12 people" is (12, None).

    (None, None) where it names no number: "relatives". One person named or described is (1, 1). Parts joined by "and" are
    added: "two soldiers and a child" is (3, 3). Never raises for any string.
    """
    original = " ".join(text[:_MOST_CHARACTERS].split())
    phrase = _CUT.sub("", original.lower().replace("’", "'")).strip(" .,;:\"'")
    phrase = _GROUPED.sub("", phrase)
    if re.match(r"(?:no|not a) (?!(?:fewer|less|more)\b)[a-z]+|nobody|no-one", phrase):
        return (0, 0)
    plain = " ".join(_NOT_COUNTS.sub(" ", phrase).split())
    if found := _range(plain):
        return found
    counts = [_part(part) for part in _parts(plain)]
    known = [count for count in counts if count is not None]
    if known:
        low = sum(count[0] for count in known)
        high = None if any(count[1] is None for count in known) else sum(count[1] or 0 for count in known)
        return _bounded(plain, low, high)
    return (1, 1) if _is_one(plain) else (None, None)


def _bounded(phrase: str, low: int, high: int | None) -> tuple[int | None, int | None]:
    if low > _HIGHEST:
        return (None, None)
    if _OPEN.search(phrase) and not _OPEN_NEGATED.search(phrase):
        return (low, None)
    if _BELOW.search(phrase):
        return (None, low)
    return (low, high)


def _range(phrase: str) -> tuple[int, int] | None:
    match = _RANGE.search(phrase) or _RANGE_DASH.search(phrase) or _RANGE_OR.search(phrase)
    if not match:
        return None
    low, high = _number(match["a"].split()), _number(_NUMBER.findall(match["b"]))
    if low is None or high is None or low[1] is None or high[1] is None or max(low[0], high[0]) > _HIGHEST:
        return None
    if _RISING.search(phrase):
        return (high[0], high[0])
    return (low[0], high[0]) if low[0] < high[0] else None


def _parts(phrase: str) -> list[str]:
    """The phrase cut at each "and" or comma after which something is counted anew."""
    parts: list[str] = []
    for piece in re.split(r",\s*(?:and\s+)?|\s+and\s+|\s+as well as\s+|\s+plus\s+", phrase):
        words = _NUMBER.findall(piece)
        new = bool(words) and (_number(words[:3]) is not None or _ONE_MORE.match(piece) is not None)
        inside_number = (
            parts and re.search(r"(?:hundred|thousand|million)$", parts[-1]) and _ONE_MORE.match(piece) is None
        )
        if parts and (not new or inside_number):
            parts[-1] += " and " + piece
        else:
            parts.append(piece)
    return parts


def _part(part: str) -> tuple[int, int | None] | None:
    number = _number(_NUMBER.findall(part))
    if number is not None:
        return number
    match = _ONE_MORE.match(part)
    return (1, 1) if match and _is_one(match["noun"]) else None


def _number(words: Sequence[str]) -> tuple[int, int | None] | None:
    """The first number in the words: digits, number words, "two dozen", "several hundred", "tens of thousands"."""
    for at, word in enumerate(words):
        if word in ("a", "an", "half") or word in _WORDS or word in _SEVERAL or word in _UNITS or word[0].isdigit():
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
    half = False
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
            ):
                break
            current, seen = current + _WORDS[word], True
        elif word in _SEVERAL:
            if seen:
                break
            current, seen, vague = _SEVERAL[word], True, True
        elif word in _UNITS:
            current = (current if seen else 1) * _UNITS[word] * (0.5 if half else 1)
            seen, half = True, False
            if _UNITS[word] >= 1000:
                total, current = total + current, 0.0
        elif word == "half" and not seen:
            half = True
        elif word in ("a", "an") and (place == 0 or half):
            pass
        elif word == "of" and words[at + place + 1 : at + place + 2] and words[at + place + 1] in _UNITS:
            pass  # "a couple of dozen"
        elif word == "and" and seen and (current % 100 == 0) and (current or total):
            following = words[at + place + 1 : at + place + 2]
            if not (following and (following[0] in _WORDS) and (current >= 100 or total)):
                break
        else:
            break
    if not seen or half:
        return None
    value = round(total + current)
    return value, None if vague else value


def _is_one(phrase: str) -> bool:
    """Whether the phrase names or describes one person: its head noun is no plural."""
    phrase = re.sub(r"^(?:a|an|the|his|her|their|its)\s+", "", phrase)
    head = _END_OF_HEAD.split(" " + phrase + " ", maxsplit=1)[0].split()
    if not head or not any(char.isalpha() for char in head[-1]):
        return False
    last = head[-1]
    if last in _MANY_WITHOUT_S:
        return False
    return not last.endswith("s") or last.endswith(("ss", "us"))
