"""When: the earliest and latest day that a date phrase means, seen from the day of publication.

The phrase is brought down to a core ("since late on Monday night" to "monday"), and the core to days by the table of
`date_forms`. What no form fits goes to dateparser, which knows other languages and layouts. Whether a day lies ahead is for
the sentence around it to tell (`tense`).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from models.resolve.calendar_spans import Days
from models.resolve.date_forms import days_of
from models.resolve.date_rules import Frame
from models.resolve.date_words import COUNT, DAY, MONTH, WEEKDAY, YEAR, any_of, count_of
from models.resolve.feasts import NAMES

_MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class DateReading:
    """What a date phrase means and why: first and last day (ISO 8601; None is open or unknown) and the rule in plain words.

    Where both days are None, the rule says that nothing was found.
    """

    earliest: str | None
    latest: str | None
    rule: str


def resolve_date(
    text: str, published: datetime | None, future: bool = False, anchor: tuple[str, str] | None = None
) -> tuple[str | None, str | None]:
    """The earliest and latest day (ISO 8601) that the text means; both None where it means none that can be known.

    Relative words are seen from the day of `published` in its own time zone; without it only full dates are answered.
    A weekday, a month or a day without a year is the last one on or before that day; with `future` (an announced event) the
    first one on or after it. An open end is None: "from Monday", announced, has no latest day.
    `anchor` is the first and last day (ISO 8601) of the event that the article told before: "the next day", "a week later",
    "that evening" and "the following Tuesday" are seen from it, "three days earlier" and "the previous day" from publication
    if there is none. Never raises for any string.
    """
    reading = date_reading(text, published, future, anchor)
    return reading.earliest, reading.latest


def date_reading(
    text: str, published: datetime | None, future: bool = False, anchor: tuple[str, str] | None = None
) -> DateReading:
    """What `resolve_date` answers, with the rule that led to it."""
    frame = Frame(published.date() if published else None, future, _anchor_days(anchor))
    try:
        span = _resolve(" ".join(text[:_MOST_CHARACTERS].split()), frame)
    except (OverflowError, ValueError):
        # A count of days or years that leaves the calendar: "in 900 decades".
        span = None
    if span is None:
        return DateReading(None, None, "no day that can be known")
    return DateReading(
        span.earliest.isoformat() if span.earliest else None,
        span.latest.isoformat() if span.latest else None,
        span.rule,
    )


def _anchor_days(anchor: tuple[str, str] | None) -> Days | None:
    if anchor is None:
        return None
    try:
        days = Days(date.fromisoformat(anchor[0]), date.fromisoformat(anchor[1]))
    except (TypeError, ValueError):
        return None  # an open end is no place to count from
    return days if days.first <= days.last else None


class _Span(NamedTuple):
    """Days, both ends included; None is open."""

    earliest: date | None
    latest: date | None
    rule: str


_PUNCTUATION = re.compile(r"\.(?<=[a-z].)(?= )|,(?<=\d.)(?= )|,(?<=[a-z].)")
_PRAYERS = re.compile(r"\b(?:after|before|following|during) (friday|eid) prayers\b")
_HABIT = re.compile(r"^(?:on )?(?:every|each|weekly|daily|nightly|monthly|annual|annually|alternate)\b")
_NUMBER = re.compile(r"\d{1,2}")
_VERB_OR_WALK = re.compile(r"\b(?:may|march)\b")
_NAMED_MONTH = r"(?:" + "|".join(calendar.month_name[1:]) + r"|(?:Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.?)"
# A day and a year without a month that English knows: "12 de enero de 2024".
_OTHER_ORDER = re.compile(rf"^(?!.*\b{_NAMED_MONTH})(?=.*\b\d{{1,2}}\b).*\b{YEAR}\b", re.DOTALL)


@lru_cache(maxsize=4096)
def _resolve(text: str, frame: Frame) -> _Span | None:
    phrase = text.lower().replace("’", "'").strip(" .,;:\"'()")
    phrase = _PRAYERS.sub(lambda match: match[1], _PUNCTUATION.sub("", phrase))
    if not phrase or _HABIT.match(phrase) or _NUMBER.fullmatch(phrase):
        return None
    if _VERB_OR_WALK.search(text) and not any(char.isdigit() for char in text):
        return None
    if span := _phrase(phrase, frame):
        return span
    first, second = (_foreign, _within) if _OTHER_ORDER.search(text) else (_within, _foreign)
    return first(text, frame) or second(text, frame)


_SINCE = re.compile(r"^(?:since|ever since)\s+(?:(?:at least|about|around)\s+)?")
_AS_OF = re.compile(r"^as of\s+")
_FROM = re.compile(r"^(?:from|starting|beginning|effective)(?: on| from| in)?\s+")
_UNTIL = re.compile(r"^(?P<word>until|till|by|before|through|up to|no later than|ahead of)\s+")
_THROUGHOUT = re.compile(r"^(?:throughout|all through|all|for|for the|for a|for an|within)\s+")
# Words that place an event within its day, and that a span of days has no use for.
_HOUR = any_of(
    ["predawn", "pre-dawn", "dawn", "daybreak", "sunrise", "sunset", "dusk", "nightfall", "first light", "noon", "midday",
     "midnight", "small hours", "early hours", "wee hours"]
)  # fmt: skip
_PART_OF_DAY = r"(?:late |early )?(?:morning|afternoon|evening|night|lunchtime|midnight|noon)s?"
_TIME = re.compile(
    "|".join(
        [
            rf"\b(?:at )?(?:(?:about|around|just|shortly|soon) )*(?:before |after )?\b{_HOUR}(?: prayers)?(?: of| on)?",
            r"\b(?:at |around |about )*\d{1,2}(?:[:.]\d\d)? ?(?:a\.?m\.?|p\.?m\.?)(?: \w*time)?",
            r"\b\d{1,2}:\d\d(?: ?(?:gmt|utc))?",
            r"\b(?:at |around |about )*\(?\d{4} (?:gmt|utc)\)?",
            r"\b(?:local|eastern|pacific|moscow) time\b|\b(?:gmt|utc|est|edt)\b",
            rf"\b(?:late|early|mid)[ -](?=(?:on )?(?:{WEEKDAY}|morning|afternoon|evening|night|yesterday|today|in the)\b)",
            rf"(?<=day ){_PART_OF_DAY}",
            rf"\b(?:the |in the )?{_PART_OF_DAY} (?:of|on) ",
        ]
    )
)
_LEAD = re.compile(
    r"^(?:on|in|at|during|the|of|over|around|about|sometime|some time|some point|only|just|as early as|as recently as|"
    r"as late as|late on|early on|later|back|both|(?:for )?(?:much|most|all|the whole|part) of|all day|entire|holy|month of|"
    rf"circa|exactly|towards?|near|years?(?= {YEAR})|(?:(?:a|one) day )?(?:earlier|later|before)(?= (?:on )?{WEEKDAY})|"
    rf"(?:earlier|later)(?: in)?(?= {MONTH}\b))\s+"
)
_MOST_LEADS = 4
_TAIL = re.compile(r"\s+(?:on|of|at|in|around|local|shortly|late|early)$")


def _phrase(phrase: str, frame: Frame) -> _Span | None:
    """The span of a phrase with its preposition."""
    if match := _SINCE.match(phrase):
        since = _phrase(phrase[match.end() :], frame._replace(future=False))
        return _up_to_today(since, frame) if since else None
    if span := _core(phrase, frame) or _two(phrase, frame):
        return span
    if (match := _AS_OF.match(phrase)) and not frame.future:
        return _phrase(phrase[match.end() :], frame)
    if (match := _FROM.match(phrase) or _AS_OF.match(phrase)) and (start := _phrase(phrase[match.end() :], frame)):
        ongoing = frame.today and start.earliest and start.earliest <= frame.today and not frame.future
        return _Span(start.earliest, frame.today if ongoing else None, f"from then on: {start.rule}")
    if (match := _TIME.match(phrase)) and (span := _core(phrase[match.end() :].strip(), frame)):
        return span
    if match := _UNTIL.match(phrase):
        return _until(match["word"], phrase[match.end() :], frame)
    if span := _beside(phrase, frame):
        return span
    plain = timeless = _TIME.sub(" ", phrase)
    for _ in range(_MOST_LEADS):
        plain, leads = _LEAD.subn("", " ".join(plain.split()).strip(" ,-()"))
        if not leads:
            break
    plain = _TAIL.sub("", plain)
    if plain != phrase and plain and (span := _core(plain, frame) or _two(plain, frame)):
        return span
    if match := _THROUGHOUT.match(phrase):
        return _phrase(phrase[match.end() :], frame)
    if not plain and timeless != phrase and frame.today:
        return _Span(frame.today, frame.today, "an hour of the day of publication")
    return None


def _core(phrase: str, frame: Frame) -> _Span | None:
    found = days_of(phrase, frame)
    return _Span(*found[0], found[1]) if found else None


def _up_to_today(since: _Span, frame: Frame) -> _Span:
    ahead_of_today = since.earliest and frame.today and since.earliest > frame.today
    return _Span(since.earliest, None if ahead_of_today else frame.today, f"from then to publication: {since.rule}")


def _until(word: str, rest: str, frame: Frame) -> _Span | None:
    past = None if frame.future else _phrase(rest, frame._replace(future=False))
    if past and past.latest and frame.today and past.latest <= frame.today:
        if word == "by":
            return _Span(frame.today, frame.today, past.rule) if past.latest == frame.today else past
        if re.search(YEAR, rest):
            return _Span(None, past.latest, f"up to then: {past.rule}")
    end = _phrase(rest, frame._replace(future=True))
    if end is None or frame.today is None or (end.latest and end.latest < frame.today):
        return None
    return _Span(frame.today, end.latest, f"from publication up to then: {end.rule}")


_EVE = re.compile(r"^(?:on )?(?:the )?eve of\s+(?P<rest>.+)$")
_BESIDE = re.compile(
    rf"^(?:on )?(?:(?P<count>{COUNT}) (?P<unit>day|week|fortnight)s?|(?:the )?(?:day|night|morning|evening)) "
    r"(?P<way>before|ahead of|prior to|after|following) (?P<rest>.+)$"
)
_POSSESSIVE = re.compile(rf"(?P<day>(?:last )?{WEEKDAY}|{MONTH} {DAY})'s? .+")


def _beside(phrase: str, frame: Frame) -> _Span | None:
    """Days counted from a day that the phrase names: "two days before Christmas", "the eve of Sunday's vote"."""
    days = -1
    if match := _BESIDE.match(phrase):
        days = {"week": 7, "fortnight": 14}.get(match["unit"] or "", 1) * count_of(match["count"] or "a")
        days *= 1 if match["way"] in ("after", "following") else -1
    else:
        match = _EVE.match(phrase)
    if match is None or frame.today is None:
        return None
    named = _POSSESSIVE.fullmatch(match["rest"])
    rest = named["day"] if named else match["rest"]
    # The day named may itself lie ahead on the eve of it, and must lie further back for a day after it.
    seen = frame._replace(today=frame.today - timedelta(days=days))
    for _ in range(_MOST_LEADS - 1):
        rest = _LEAD.sub("", rest)
    found = days_of(rest, seen)
    if found is None or (found[0].last - found[0].first).days > 29:
        return None
    day = found[0][days >= 0] + timedelta(days=days)
    return _Span(day, day, f"counted from a day that is named: {found[1]}")


_OVERNIGHT_INTO = re.compile(r"^(?:overnight|(?:the )?night) (?:in)?to (?P<rest>.+)$")
_FIRST_OF_TWO = re.compile(
    r"^(?:(?:overnight|(?:the )?night|sometime|some time|both|on|in the years|in) )*(?:(?:between|from) )?(?:the night of )?"
)
_AND = re.compile(
    r"\s+(?:and(?: again| then)?(?: on)?|to|through|until|or|into)\s+|(?<!mid)(?<!early)(?<!late)\s*[-–]\s*(?=[a-z\d])|"
    r"\s+(?=through )"
)
_MOST_ANDS = 4


def _two(phrase: str, frame: Frame) -> _Span | None:
    """From the first to the second of two dates."""
    if match := _OVERNIGHT_INTO.match(phrase):
        end = _phrase(match["rest"], frame)
        if end and end.earliest and end.earliest == end.latest:
            return _Span(end.earliest - timedelta(days=1), end.latest, f"the night before a day: {end.rule}")
    bare = _FIRST_OF_TWO.sub("", phrase)
    for match in islice(_AND.finditer(bare), _MOST_ANDS):
        first, second = bare[: match.start()], bare[match.end() :]
        if first and second and (span := _between(first, second, frame)):
            return span
    return None


def _between(a: str, b: str, frame: Frame) -> _Span | None:
    second = _phrase(b, frame)
    if second is None or second.latest is None:
        bare = re.fullmatch(rf"(?P<month>{MONTH}) {DAY}", a)
        second = _core(f"{bare['month']} {b}", frame) if bare else None
        if second is None or second.latest is None:
            return None
    # The first of two is seen from the second: "between Sunday and Tuesday", "April and June 2023".
    year = re.search(YEAR, b)
    first = _phrase(f"{a} {year[0]}", frame) if year and not re.search(YEAR, a) else None
    if first and first.earliest and first.earliest > second.latest:
        first = None
    first = first or _phrase(a, frame if frame.future else Frame(second.latest, False))
    if first is None and (month := re.search(rf"\b{MONTH}\b", b)):
        first = _phrase(f"{a} {month[0]}", Frame(second.latest, False))
    if first is None or first.earliest is None or first.earliest > second.latest:
        return None
    return _Span(first.earliest, second.latest, f"from the first to the second: {second.rule}")


_OF_ANOTHER_DAY = re.compile(
    r"\b(?:anniversary|after|before|since|eve|later|earlier|following|every|each|weekly|annual|run-up|wake|aftermath|"
    r"(?:days|weeks|months) of (?=\d{4}))\b"
)
_NAMED_WEEKDAY = r"(?<!Bloody )(?<!Black )(?:" + "|".join(calendar.day_name) + ")"
_NAMED_FEAST = rf"(?=[A-Z])(?i:\b{any_of(NAMES)}\b)(?! (?:{_NAMED_WEEKDAY}|week|holiday))"
_WITHIN = [
    re.compile(pattern)
    for pattern in (
        rf"\b{_NAMED_MONTH} {DAY}(?:,? {YEAR})?\b", rf"\b{DAY} {_NAMED_MONTH}(?: {YEAR})?\b",
        rf"\b{YEAR}-\d\d-\d\d\b", rf"\b{YEAR}[-–/]\d\d(?:\d\d)?\b",
        rf"\b{_NAMED_MONTH},? {YEAR}\b", rf"\b{YEAR}\b", r"\b9/11\b", _NAMED_FEAST,
        rf"\b(?:last |next )?{_NAMED_WEEKDAY}\b",
        rf"\b(?:last |next )?{_NAMED_MONTH}\b", r"\b(?:last|next|this) (?:week|month|year)\b",
    )
]  # fmt: skip


def _within(text: str, frame: Frame) -> _Span | None:
    """A date within words that say no more of when: "night in 2024". Capitals tell May and March from may and march."""
    since = bool(_SINCE.match(text.lower()))
    if not since and _OF_ANOTHER_DAY.search(text.lower()):
        return None
    seen = frame._replace(future=frame.future and not since)
    for pattern in _WITHIN:
        found = pattern.findall(text)
        if found and (span := _core(found[-1].lower().replace(".", "").replace(",", ""), seen)):
            span = span._replace(rule=f"found within the words: {span.rule}")
            return _up_to_today(span, frame) if since else span
    return None


_LANGUAGES = ["en", "fr", "es", "de", "pt", "it", "nl", "ru", "uk", "tr", "pl", "ar", "fa", "id", "sw"]
# dateparser guesses at anything; a digit beside letters, or a form without any letter, is the least that it needs.
_NO_DATE = re.compile(
    r"[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}|^[\d\s:.,%$]{1,6}$|"
    r"\b(?:people|hours?|days?|weeks?|months?|years?|times?|quarter|nights?)\b"
)


def _foreign(text: str, frame: Frame) -> _Span | None:
    if not any(char.isdigit() for char in text) or _NO_DATE.search(text.lower()):
        return None
    import dateparser  # half a second that most runs never spend

    settings: dict[str, object] = {
        "PREFER_DATES_FROM": "future" if frame.future else "past",
        "REQUIRE_PARTS": ["day", "month"],
    }
    if frame.today:
        settings["RELATIVE_BASE"] = datetime(frame.today.year, frame.today.month, frame.today.day)
    elif not re.search(YEAR, text):
        return None
    found = dateparser.parse(text, languages=_LANGUAGES, settings=settings)
    return _Span(found.date(), found.date(), "read by dateparser") if found else None
