"""When: the earliest and latest day that a date phrase means, seen from the day of publication.

The phrase is brought down to a core ("late on Monday night" to "monday"), and the core to a span of days by a table of forms.
What no form fits goes to dateparser, which knows other languages and layouts. Whether a day lies ahead, `ahead` reads from the
sentence around it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from models.resolve.feasts import NAMES, feast

_MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class DateReading:
    """What a date phrase means and why: first and last day (ISO 8601; None is open or unknown) and the rule in plain words.

    Where both days are None, the rule says that nothing was found.
    """

    earliest: str | None
    latest: str | None
    rule: str


class _Span(NamedTuple):
    """Days, both ends included; None is open."""

    earliest: date | None
    latest: date | None
    rule: str = ""


class _Frame(NamedTuple):
    """What a phrase is seen from: publication, and the days of the event that was told before it."""

    today: date | None
    future: bool
    anchor: tuple[date, date] | None = None


_Rule = Callable[[re.Match[str], _Frame], _Span | None]

_WEEKDAYS = {name: number for number, name in enumerate(calendar.day_name)}
_WEEKDAYS = {name.lower(): number for name, number in _WEEKDAYS.items()}
_WEEKDAYS |= {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
# The first month of each season of three, on the northern half of the earth.
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
} | {
    "a": 1,
    "an": 1,
    "couple of": 2,
    "a couple of": 2,
    "few": 3,
    "a few": 3,
    "several": 3,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
}
_ORDINALS = {
    word: number
    for number, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        1,
    )
}


def _any(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


_WEEKDAY, _MONTH, _SEASON, _ORDINAL = _any(_WEEKDAYS), _any(_MONTHS), _any(_SEASONS), _any(_ORDINALS)
_YEAR = r"(?:1[6-9]\d\d|20\d\d)"
_YEAR_AFTER = rf"(?:,? (?:of )?(?:the )?(?P<year>{_YEAR}|last year|previous year|this year|next year))?"
_DAY = r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_COUNT = rf"(?:\d{{1,3}}|{_any(_NUMBERS)})"
_UNIT = r"(?:hour|day|night|evening|morning|weekend|week|fortnight|month|year|decade)s?"
_PART = (
    r"(?:(?P<part>early|mid|late|early in|late in|middle of|beginning of|start of|end of|"
    r"first half of|second half of)(?: |-))?(?:the )?"
)
_WHICH = r"(?:(?P<which>last|past|previous|this past|this coming|this|next|following|coming|that) )?"
_ABOUT = r"(?:(?:about|around|nearly|almost|more than|over|just|less than|some|exactly|roughly|at least|only|well) )*"

# Words that place an event within its day, and that a span of days has no use for.
_HOUR = _any(
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
            rf"\b(?:late|early|mid)[ -](?=(?:on )?(?:{_WEEKDAY}|morning|afternoon|evening|night|yesterday|today|in the)\b)",
            rf"(?<=day ){_PART_OF_DAY}",
            rf"\b(?:the |in the )?{_PART_OF_DAY} (?:of|on) ",
        ]
    )
)
_LEAD = re.compile(
    r"^(?:on|in|at|during|the|of|over|around|about|sometime|some time|some point|only|just|as early as|as recently as|"
    r"as late as|late on|early on|later|back|both|(?:for )?(?:much|most|all|the whole|part) of|all day|entire|holy|month of|"
    rf"circa|exactly|towards?|near|years?(?= {_YEAR})|(?:(?:a|one) day )?(?:earlier|later|before)(?= (?:on )?{_WEEKDAY})|"
    rf"(?:earlier|later)(?: in)?(?= {_MONTH}\b))\s+"
)
_SINCE = re.compile(r"^(?:since|ever since)\s+(?:(?:at least|about|around)\s+)?")
_UNTIL = re.compile(r"^(?P<word>until|till|by|before|through|up to|no later than|ahead of)\s+")
_FROM = re.compile(r"^(?:from|starting|beginning|effective)(?: on| from| in)?\s+")
_AS_OF = re.compile(r"^as of\s+")
_THROUGHOUT = re.compile(r"^(?:throughout|all through|all|for|for the|for a|for an|within)\s+")
_EVE = re.compile(r"^(?:on )?(?:the )?eve of\s+")
_BESIDE = re.compile(
    rf"^(?:on )?(?:(?P<count>{_COUNT}) (?P<unit>day|week|fortnight)s?|(?:the )?(?:day|night|morning|evening)) "
    r"(?P<way>before|ahead of|prior to|after|following) (?P<rest>.+)$"
)
_POSSESSIVE = re.compile(rf"(?P<day>(?:last )?{_WEEKDAY}|{_MONTH} {_DAY})'s? .+")
_FIRST_OF_TWO = re.compile(
    r"^(?:(?:overnight|(?:the )?night|sometime|some time|both|on|in the years|in) )*(?:(?:between|from) )?(?:the night of )?"
)
_AND = re.compile(
    r"\s+(?:and(?: again| then)?(?: on)?|to|through|until|or|into)\s+|(?<!mid)(?<!early)(?<!late)\s*[-–]\s*(?=[a-z\d])|"
    r"\s+(?=through )"
)
_OVERNIGHT_INTO = re.compile(r"^(?:overnight|(?:the )?night) (?:in)?to (?P<rest>.+)$")
_HABIT = re.compile(r"^(?:on )?(?:every|each|weekly|daily|nightly|monthly|annual|annually|alternate)\b")
# What a part of a day, and what a longer length of time, is counted in.
_PARTS_OF_DAY = r"(?:day|night|evening|morning|afternoon)"


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
    frame = _Frame(published.date() if published else None, future, _days(anchor))
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


def _days(anchor: tuple[str, str] | None) -> tuple[date, date] | None:
    if anchor is None:
        return None
    try:
        first, last = date.fromisoformat(anchor[0]), date.fromisoformat(anchor[1])
    except (TypeError, ValueError):
        return None  # an open end is no place to count from
    return (first, last) if first <= last else None


# What says that the day after it lies ahead, and what says that it lies behind: the nearer one to the day decides.
_AHEAD = re.compile(
    r"\b(?:will|shall|would(?! have)|(?:is|are) to(?= \w+ )|due|slated|scheduled|set (?:to|for)|planned (?:for|to)|plans to|"
    r"planning to|(?:is|are) going to|expected|upcoming|forthcoming|ha(?:s|ve) until|tentatively|begins|starts|opens|resumes|"
    r"must|takes? effect|expires?|(?:go(?:es)?|heads?) to the polls)\b|(?<=\w)['’]ll\b",
    re.IGNORECASE,
)
# Of a threat that was made, "on Friday" is its own day; of one that is only feared or planned, the day of the deed.
_MEANT = re.compile(
    r"\b(?:vow|pledge|promise|threaten|agree|prepare|intend|hope|want|try|call)(?:s|d|ed|ing)? (?:to|for)\b|"
    r"\b(?:may|might|could)\b",
    re.IGNORECASE,
)
_BEHIND = re.compile(r"\b(?:was|were|had|has|have|did|said|says|told|announced|killed|after)\b", re.IGNORECASE)
# Who was due to come, and the truce that was to begin, belong to a day gone by, unless they were called off.
_WAS_AHEAD = re.compile(
    r"\b(?:was|were|had)(?: been)? (?:\w+ly )?(?:due|slated|scheduled|set|planned|promised|expected|to|agreed)\b",
    re.IGNORECASE,
)
_CALLED_OFF = re.compile(r"\b(?:cancell?ed|called off|postponed|put off|delayed|scrapped)\b", re.IGNORECASE)
_SPOKEN = re.compile(
    r"\b(?:said|says|told \w+|announced|declared|added|confirmed)(?: (?:late|early))?(?: on)?\s*$", re.IGNORECASE
)
_CLAUSE = re.compile(r"[;:,\u2014]|\s[-–]\s|\b(?:but|while|when|which|who|although|because|that)\b", re.IGNORECASE)
_STARTS_NEXT = re.compile(
    r"(?:(?:early|late|later|from|by|until|this|the|in|over) )*(?:next (?!day|night|morning|evening|afternoon)|coming|"
    r"upcoming|tomorrow|later today|later this)\b",
    re.IGNORECASE,
)
_PAST = re.compile(r"\b(?:last|previous|past|overnight|yesterday|ago|since|earlier|recent|[12]\d{3})\b", re.IGNORECASE)
# "Told them to leave by Friday", "must leave until the 14th"; not "had left by Friday".
_DEADLINE = re.compile(
    r"^(?!.*\b(?:had|was|were)\b).*\b(?:to (?!the\b|a\b|its\b|his\b|their\b|death\b)[a-z]+|must|should|pledged|promised|"
    r"swore)\b.*\b(?:by|until|no later than|before the end of)\b",
    re.IGNORECASE | re.DOTALL,
)
# "The cleric arrested on Monday", but not "will be released on Monday" or "expected on Monday".
_PARTICIPLE = re.compile(
    r"(?<!\bbe )(?<!\bget )\b(?!expected|scheduled|planned|slated)\w+ed(?: (?:on|in|at|late|early))*\s*$", re.IGNORECASE
)
_BARE = {"on", "in", "at", "by", "from", "until", "and", "late", "early", "for", "next"}


def ahead(sentence: str, start: int, end: int, realis: str) -> bool:
    """Whether the day named by sentence[start:end] lies ahead of publication, as far as its event and the words around it say.

    `realis` is that of the event: what is announced (`future`) lies ahead, unless the day is that of the announcement ("said
    on Tuesday"); what is `historical` does not. For all others the nearest verb of the clause decides: "is due to meet on
    Friday", "told them to leave by Friday", "Friday's planned march". Never raises; offsets outside the sentence are cut.
    """
    before, words, after = sentence[: max(start, 0)], sentence[max(start, 0) : max(end, 0)], sentence[max(end, 0) :]
    if _SPOKEN.search(before) or (realis != "future" and _PAST.search(words)):
        return False
    if realis == "future" or realis == "historical":
        return realis == "future"
    if _STARTS_NEXT.match(words) or re.match(r"['’]s (?:planned|scheduled|upcoming|forthcoming|expected)\b", after):
        return True
    clause = _CLAUSE.split(before)[-1]
    if _WAS_AHEAD.search(clause):
        return bool(_CALLED_OFF.search(sentence))
    if _DEADLINE.match(_edge(clause, words)):
        return True
    if _BARE.issuperset(clause.lower().split()):  # "On Friday, lawmakers will vote"
        rest = _CLAUSE.split(after.lstrip(" ,"))[0]
        cues = [match.start() if (match := cue.search(rest)) else len(rest) for cue in (_AHEAD, _BEHIND)]
        return cues[0] < cues[1]
    if after.startswith(("'s", "’s")) or _PARTICIPLE.search(clause):
        return False
    cue = max(_last(_AHEAD, clause), _last(_MEANT, clause) if realis == "hypothetical" else -1)
    return cue >= 0 and _last(_BEHIND, clause) < cue


def _edge(clause: str, words: str) -> str:
    """The clause up to the preposition of the day, if it is one of a deadline."""
    preposition = re.match(r"(?:by|until|no later than|before the end of)\b", words, re.IGNORECASE)
    if preposition:
        return clause + preposition[0]
    return clause if re.search(r"\b(?:by|until|no later than)(?: the)?\s*$", clause, re.IGNORECASE) else ""


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)


@lru_cache(maxsize=4096)
def _resolve(text: str, frame: _Frame) -> _Span | None:
    phrase = text.lower().replace("’", "'").strip(" .,;:\"'()")
    phrase = re.sub(r"(?<=[a-z])\.(?= )|(?<=\d),(?= )|(?<=[a-z]),", "", phrase)
    phrase = re.sub(r"\b(?:after|before|following|during) (friday|eid) prayers\b", r"\1", phrase)
    if not phrase or _HABIT.match(phrase) or re.fullmatch(r"\d{1,2}", phrase):
        return None
    if re.search(r"\b(?:may|march)\b", text) and not any(char.isdigit() for char in text):
        return None  # the verb and the walk
    first, second = (_foreign, _search) if _OTHER_ORDER.search(text) else (_search, _foreign)
    return _phrase(phrase, frame) or first(text, frame) or second(text, frame)


def _up_to_today(since: _Span, frame: _Frame) -> _Span:
    ahead_of_today = since.earliest and frame.today and since.earliest > frame.today
    return _Span(since.earliest, None if ahead_of_today else frame.today, f"from then to publication: {since.rule}")


def _because(span: _Span, more: str) -> _Span:
    return span._replace(rule=f"{more}: {span.rule}")


def _phrase(phrase: str, frame: _Frame) -> _Span | None:
    """The span of a phrase with its preposition."""
    if match := _SINCE.match(phrase):
        since = _phrase(phrase[match.end() :], frame._replace(future=False))
        return _up_to_today(since, frame) if since else None
    if span := _core(phrase, frame):
        return span
    if span := _two(phrase, frame):
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
    for _ in range(4):
        plain = _LEAD.sub("", " ".join(plain.split()).strip(" ,-()"))
    plain = re.sub(r"\s+(?:on|of|at|in|around|local|shortly|late|early)$", "", plain)
    if plain != phrase and plain and (span := _core(plain, frame) or _two(plain, frame)):
        return span
    if match := _THROUGHOUT.match(phrase):
        return _phrase(phrase[match.end() :], frame)
    if not plain and timeless != phrase and frame.today:
        return _Span(frame.today, frame.today, "an hour of the day of publication")
    return None


def _until(word: str, rest: str, frame: _Frame) -> _Span | None:
    past = None if frame.future else _phrase(rest, frame._replace(future=False))
    if past and past.latest and frame.today and past.latest <= frame.today:
        if word == "by":
            return _Span(frame.today, frame.today, past.rule) if past.latest == frame.today else past
        if re.search(_YEAR, rest):
            return _Span(None, past.latest, f"up to then: {past.rule}")
    end = _phrase(rest, frame._replace(future=True))
    if end is None or frame.today is None or (end.latest and end.latest < frame.today):
        return None
    return _Span(frame.today, end.latest, f"from publication up to then: {end.rule}")


def _beside(phrase: str, frame: _Frame) -> _Span | None:
    """Days counted from a day that the phrase names: "two days before Christmas", "the eve of Sunday's vote"."""
    days, rest = -1, ""
    if match := _EVE.match(phrase):
        rest = phrase[match.end() :]
    elif match := _BESIDE.match(phrase):
        unit = {"week": 7, "fortnight": 14}.get(match["unit"] or "", 1)
        days = unit * _number(match["count"] or "a") * (1 if match["way"] in ("after", "following") else -1)
        rest = match["rest"]
    if not rest or frame.today is None:
        return None
    if match := _POSSESSIVE.fullmatch(rest):
        rest = match["day"]
    # The day named may itself lie ahead on the eve of it, and must lie further back for a day after it.
    seen = frame._replace(today=frame.today - timedelta(days=days))
    for _ in range(3):
        rest = _LEAD.sub("", rest)
    day = _core(rest, seen)
    if day is None or day.earliest is None or day.latest is None or (day.latest - day.earliest).days > 29:
        return None
    found = (day.earliest if days < 0 else day.latest) + timedelta(days=days)
    return _Span(found, found, f"counted from a day that is named: {day.rule}")


def _two(phrase: str, frame: _Frame) -> _Span | None:
    """From the first to the second of two dates."""
    if match := _OVERNIGHT_INTO.match(phrase):
        end = _phrase(match["rest"], frame)
        if end and end.earliest and end.earliest == end.latest:
            return _Span(end.earliest - timedelta(days=1), end.latest, f"the night before a day: {end.rule}")
    bare = phrase[_FIRST_OF_TWO.match(phrase).end() :]  # type: ignore[union-attr]  # it matches the empty string
    for match in list(_AND.finditer(bare))[:4]:
        first, second = bare[: match.start()], bare[match.end() :]
        if first and second and (span := _between(first, second, frame)):
            return span
    return None


def _between(a: str, b: str, frame: _Frame) -> _Span | None:
    second = _phrase(b, frame)
    if second is None or second.latest is None:
        bare = re.fullmatch(rf"(?P<month>{_MONTH}) {_DAY}", a)
        second = _core(f"{bare['month']} {b}", frame) if bare else None
        if second is None or second.latest is None:
            return None
    # The first of two is seen from the second: "between Sunday and Tuesday", "April and June 2023".
    year = re.search(_YEAR, b)
    first = _phrase(f"{a} {year[0]}", frame) if year and not re.search(_YEAR, a) else None
    if first and first.earliest and first.earliest > second.latest:
        first = None
    first = first or _phrase(a, frame if frame.future else _Frame(second.latest, False))
    if first is None and (month := re.search(rf"\b{_MONTH}\b", b)):
        first = _phrase(f"{a} {month[0]}", _Frame(second.latest, False))
    if first is None or first.earliest is None or first.earliest > second.latest:
        return None
    return _Span(first.earliest, second.latest, f"from the first to the second: {second.rule}")


def _core(phrase: str, frame: _Frame) -> _Span | None:
    for name, pattern, rule in _FORMS:
        if (match := pattern.fullmatch(phrase)) and (span := rule(match, frame)):
            return span._replace(rule=name)
    return None


def _search(text: str, frame: _Frame) -> _Span | None:
    """A date within words that say no more of when: "night in 2024". Capitals tell May and March from may and march."""
    since = bool(_SINCE.match(text.lower()))
    if not since and re.search(
        r"\b(?:anniversary|after|before|since|eve|later|earlier|following|every|each|weekly|annual|run-up|wake|aftermath|"
        r"(?:days|weeks|months) of (?=\d{4}))\b",
        text.lower(),
    ):
        return None
    for pattern in _WITHIN:
        found = pattern.findall(text)
        seen = frame._replace(future=frame.future and not since)
        if found and (span := _core(found[-1].lower().replace(".", "").replace(",", ""), seen)):
            span = _because(span, "found within the words")
            return _up_to_today(span, frame) if since else span
    return None


def _foreign(text: str, frame: _Frame) -> _Span | None:
    # dateparser guesses at anything; a digit beside letters, or a form without any letter, is the least that it needs.
    if not any(char.isdigit() for char in text) or re.search(
        r"[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}", text.lower()
    ):
        return None
    if re.fullmatch(r"[\d\s:.,%$]{1,6}", text) or re.search(
        r"\b(?:people|hours?|days?|weeks?|months?|years?|times?|quarter|nights?)\b", text.lower()
    ):
        return None
    import dateparser  # half a second that most runs never spend

    settings: dict[str, object] = {
        "PREFER_DATES_FROM": "future" if frame.future else "past",
        "REQUIRE_PARTS": ["day", "month"],
    }
    if frame.today:
        settings["RELATIVE_BASE"] = datetime(frame.today.year, frame.today.month, frame.today.day)
    elif not re.search(_YEAR, text):
        return None
    found = dateparser.parse(text, languages=_LANGUAGES, settings=settings)
    return _Span(found.date(), found.date(), "read by dateparser") if found else None


_LANGUAGES = ["en", "fr", "es", "de", "pt", "it", "nl", "ru", "uk", "tr", "pl", "ar", "fa", "id", "sw"]


def _one(day: date | None) -> _Span | None:
    return _Span(day, day) if day else None


def _needs_today(rule: Callable[[re.Match[str], date, bool], _Span | None]) -> _Rule:
    def checked(match: re.Match[str], frame: _Frame) -> _Span | None:
        return rule(match, frame.today, frame.future) if frame.today else None

    return checked


def _number(written: str) -> int:
    return int(written) if written.isdigit() else _NUMBERS[written]


def _day_number(written: str) -> int:
    return _ORDINALS.get(written) or int(written.rstrip("stndrh"))


def _month_span(year: int, month: int) -> _Span:
    return _Span(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def _year_span(year: int) -> _Span:
    return _Span(date(year, 1, 1), date(year, 12, 31))


def _shift_month(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, min(day.day, calendar.monthrange(number // 12, number % 12 + 1)[1]))


def _week(day: date) -> _Span:
    monday = day - timedelta(days=day.weekday())
    return _Span(monday, monday + timedelta(days=6))


def _not_after(span: _Span, today: date, future: bool) -> _Span:
    """What has happened has not happened after today, what is to come not before."""
    if span.earliest is None or span.latest is None:
        return span
    if future:
        return _Span(max(span.earliest, today), span.latest) if span.latest >= today else span
    return _Span(span.earliest, min(span.latest, today)) if span.earliest <= today else span


def _weekday(match: re.Match[str], frame: _Frame) -> _Span | None:
    wanted, which = _WEEKDAYS[match["weekday"]], match["which"]
    today, future = frame.today, frame.future
    if frame.anchor and which in ("following", "previous", "that"):
        today = frame.anchor[which == "following"]
    elif which == "following" and not future:
        return None
    if today is None:
        return None
    back = (today.weekday() - wanted) % 7
    if which in ("next", "following", "coming", "this coming"):
        return _one(today + timedelta(days=7 - back))
    if which in ("last", "past", "previous", "this past"):
        return _one(today - timedelta(days=back or 7))
    return _one(today + timedelta(days=-back % 7) if future else today - timedelta(days=back))


def _weekdays(match: re.Match[str], today: date, future: bool) -> _Span | None:
    """Days told one after the other: the first is seen from the last, or the last from the first if they lie ahead."""
    days = [_WEEKDAYS[word] for word in match[0].split()]
    length = sum((after - before) % 7 or 7 for before, after in pairwise(days))
    if future:
        first = today + timedelta(days=(days[0] - today.weekday()) % 7)
        return _Span(first, first + timedelta(days=length))
    last = today - timedelta(days=(today.weekday() - days[-1]) % 7)
    return _Span(last - timedelta(days=length), last)


def _weekday_of_week(match: re.Match[str], today: date, future: bool) -> _Span | None:
    monday = today - timedelta(days=today.weekday())
    step = {"last": -7, "previous": -7, "this": 0, "next": 7}[match["which"]]
    return _one(monday + timedelta(days=step + _WEEKDAYS[match["weekday"]]))


def _weekdays_ago(match: re.Match[str], today: date, future: bool) -> _Span | None:
    last = today - timedelta(days=(today.weekday() - _WEEKDAYS[match["weekday"]]) % 7)
    return _one(last - timedelta(days=7 * (_number(match["count"]) - 1)))


def _weeks_from_weekday(match: re.Match[str], today: date, future: bool) -> _Span | None:
    weeks, to_come = _number(match["count"]), match["way"] == "from"
    back = (today.weekday() - _WEEKDAYS[match["weekday"]]) % 7
    return _one(today + timedelta(days=7 * weeks + -back % 7 if to_come else -7 * weeks - back))


def _weekday_of_month(match: re.Match[str], frame: _Frame) -> _Span | None:
    """ "The second Sunday in October"."""
    if match["month"] is None and frame.today is None:
        return None
    for step in range(2):
        if match["month"]:
            year = _relative_year(match["year"], frame)
            if year is None and frame.today is None:
                return None
            month, shift = _MONTHS[match["month"]], step if frame.future else -step
            year = year if year is not None else (frame.today or date.min).year + shift
        else:
            today = frame.today or date.min
            year, month = today.year, today.month
        first, days = calendar.monthrange(year, month)
        day = (_WEEKDAYS[match["weekday"]] - first) % 7 + 1
        day += 7 * ((days - day) // 7 if match["nth"] in ("last", "final") else _ORDINALS[match["nth"]] - 1)
        if day > days:
            return None
        found = date(year, month, day)
        if frame.today is None or match["month"] is None or match["year"]:
            return _one(found)
        if (found >= frame.today) if frame.future else (found <= frame.today):
            return _one(found)
    return None


def _month_day(match: re.Match[str], frame: _Frame) -> _Span | None:
    month, day = _MONTHS[match["month"]], _day_number(match["day"])
    if match["year"]:
        return _one(date(int(match["year"]), month, day))
    if frame.today is None:
        return None
    for step in range(9):  # the 29th of February may be eight years away
        year = frame.today.year + (step if frame.future else -step)
        if day <= calendar.monthrange(year, month)[1]:
            found = date(year, month, day)
            if (found >= frame.today) if frame.future else (found <= frame.today):
                return _one(found)
    return None


def _day_of_month(match: re.Match[str], today: date, future: bool) -> _Span | None:
    day = _day_number(match["day"])
    for months in range(3):
        first = _shift_month(today.replace(day=1), months if future else -months)
        if 1 <= day <= calendar.monthrange(first.year, first.month)[1]:
            found = first.replace(day=day)
            if (found >= today) if future else (found <= today):
                return _one(found)
    return None


def _part(span: _Span, part: str | None) -> _Span:
    """The early, middle or late third of a month, season or year (by months, if it has several); half is half."""
    first, last = span.earliest, span.latest
    if part is None or first is None or last is None:
        return span
    half = part.startswith(("first half", "second half"))
    number = {"e": 0, "b": 0, "f": 0, "m": 1}.get(part[0], 1 if half else 2)
    if part.startswith("start"):
        number = 0
    if part.startswith("end"):
        number = 2
    parts = 2 if half else 3
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if months > 2:
        start = _shift_month(first, number * months // parts)
        return _Span(start, _shift_month(first, (number + 1) * months // parts) - timedelta(days=1))
    length = (last - first).days + 1
    start = first + timedelta(days=number * (length // parts))
    return _Span(start, last if number == parts - 1 else start + timedelta(days=length // parts - 1))


def _relative_year(written: str | None, frame: _Frame) -> int | None:
    if written is None:
        return None
    if written.isdigit():
        return int(written)
    if frame.today is None:
        return None
    return frame.today.year + {"last": -1, "previous": -1, "this": 0, "next": 1}[written.split()[0]]


def _month(match: re.Match[str], frame: _Frame) -> _Span | None:
    span = _whole_month(match, frame)
    if span is None:
        return None
    span = _part(span, match["part"])
    return span if match["year"] or frame.today is None else _not_after(span, frame.today, frame.future)


def _whole_month(match: re.Match[str], frame: _Frame) -> _Span | None:
    month = _MONTHS[match["month"]]
    year = _relative_year(match["year"], frame)
    if year is not None:
        return _month_span(year, month)
    if frame.today is None:
        return None
    this, which = (frame.today.year, frame.today.month), match.groupdict().get("which")
    year = this[0]
    if which in ("last", "previous", "past", "this past"):
        year -= month >= this[1]
    elif which == "next":
        year += month <= this[1]
    elif frame.future:
        year += month < this[1]
    else:
        year -= month > this[1]
    return _month_span(year, month)


def _days_of_month(match: re.Match[str], frame: _Frame) -> _Span | None:
    """Weeks of a month start on its first, its last week ends on its last day."""
    month = _whole_month(match, frame)
    if month is None or month.earliest is None or month.latest is None:
        return None
    if match["nth"] in ("last", "final", "closing", "late"):
        return _Span(month.latest - timedelta(days=6), month.latest)
    start = month.earliest + timedelta(days=7 * (_ORDINALS.get(match["nth"], 1) - 1))
    return _Span(start, min(start + timedelta(days=6), month.latest)) if start <= month.latest else None


def _season(match: re.Match[str], frame: _Frame) -> _Span | None:
    first = _SEASONS[match["season"]]
    year = _relative_year(match["year"], frame)
    if year is None:
        if frame.today is None:
            return None
        year, which = frame.today.year, match["which"]
        started = frame.today.month >= first
        if which in ("last", "previous", "past", "this past"):
            # The last summer is over: in autumn this year's, before that the one of the year before.
            year -= _shift_month(date(year, first, 1), 3) > frame.today
        elif which == "next" or frame.future:
            year += started and (which == "next" or frame.today >= _shift_month(date(year, first, 1), 3))
        else:
            year -= not started
    start = date(year, first, 1)
    span = _part(_Span(start, _shift_month(start, 3) - timedelta(days=1)), match["part"])
    return _not_after(span, frame.today, frame.future) if frame.today else span


def _quarter(match: re.Match[str], frame: _Frame) -> _Span | None:
    number = int(match["q"]) if match["q"] else {"last": 4, "final": 4}.get(match["nth"]) or _ORDINALS[match["nth"]]
    year = _relative_year(match["year"], frame)
    if year is None:
        if frame.today is None or match["nth"] in ("last", "final"):
            return None
        begun = 3 * number - 2 <= frame.today.month
        over = 3 * number < frame.today.month
        year = frame.today.year + (over if frame.future else begun - 1)
    start = date(year, 3 * number - 2, 1)
    return _Span(start, _shift_month(start, 3) - timedelta(days=1))


def _year(match: re.Match[str], frame: _Frame) -> _Span | None:
    span = _part(_year_span(int(match["year"])), match["part"])
    return _not_after(span, frame.today, frame.future) if frame.today else span


def _months_of_year(match: re.Match[str], frame: _Frame) -> _Span | None:
    year, months = _relative_year(match["year"], frame), _number(match["count"])
    if year is None or not 1 <= months <= 12:
        return None
    if match["nth"] != "first":
        return _Span(date(year, 13 - months, 1), date(year, 12, 31))
    return _Span(date(year, 1, 1), _month_span(year, months).latest)


def _years(match: re.Match[str], frame: _Frame) -> _Span | None:
    first, last = int(match["first"]), match["last"]
    return _Span(date(first, 1, 1), date(int(match["first"][:2] + last if len(last) == 2 else last), 12, 31))


def _decade(match: re.Match[str], frame: _Frame) -> _Span | None:
    first = int(match["decade"])
    if first < 100:
        first += 1900 if first >= 30 else 2000
    part = match["part"]
    start, length = {"early": (0, 4), "mid": (4, 3), "late": (6, 4)}.get((part or "").strip(" -"), (0, 10))
    return _Span(date(first + start, 1, 1), date(first + start + length - 1, 12, 31))


def _iso(match: re.Match[str], frame: _Frame) -> _Span | None:
    return _one(date(int(match["year"]), int(match["month"]), int(match["day"])))


def _numeric(match: re.Match[str], frame: _Frame) -> _Span | None:
    """A day in figures. Where both of the first two can be the month, only dots tell: they set the day first."""
    a, b, year = int(match["a"]), int(match["b"]), int(match["year"])
    if match["dot"] == "." or a > 12 or a == b:
        return _one(date(year, b, a))
    return _one(date(year, a, b)) if b > 12 else None


def _september_11(match: re.Match[str], frame: _Frame) -> _Span | None:
    return _one(date(2001, 9, 11))


def _day_range(match: re.Match[str], frame: _Frame) -> _Span | None:
    year = f" {match['year']}" if match["year"] else ""
    last = _core(f"{match['month']} {match['last']}{year}", frame)
    if not last or not last.latest:
        return None
    return _Span(last.latest.replace(day=_day_number(match["first"])), last.latest)


def _ago(match: re.Match[str], frame: _Frame) -> _Span | None:
    """A count of days, weeks or years back or ahead, from publication or from the event before."""
    unit, way = match["unit"].removesuffix("s"), match["way"]
    if not match["count"] and match["unit"].endswith("s") and unit != "hour":
        return None  # "years ago"
    count = _number(match["count"] or "a")
    back = way in ("ago", "earlier", "before", "back", "prior", "previously", "beforehand")
    if way not in ("ago", "back", "from now", "hence", ""):
        if frame.anchor:
            return _at_distance(frame.anchor, -count if back else count, unit)
        if not back and not frame.future:
            return None  # "three days later" is counted from another event
    if frame.today is None or not (back or frame.future):
        return None
    return _at_distance((frame.today, frame.today), -count if back else count, unit)


# The longest event, in days, from which a unit can be counted: "a week later" than a year says nothing.
_WIDEST = {"month": 31, "year": 366, "decade": 366}


def _at_distance(start: tuple[date, date], count: int, unit: str) -> _Span | None:
    first, last = start
    if (last - first).days > _WIDEST.get(unit, 7):
        return None
    if unit == "hour":
        there = timedelta(days=round(count / 24))
        return _Span(min(first, first + there), max(last, last + there)) if first == last else _Span(first, last)
    days = {"day": 1, "night": 1, "evening": 1, "morning": 1, "week": 7, "fortnight": 14}.get(unit)
    if days:
        step = timedelta(days=days * count)
        return _Span(first + step, last + step)
    if unit == "month":
        return _Span(_shift_month(first.replace(day=1), count), _month_end(_shift_month(last.replace(day=1), count)))
    if unit in ("year", "decade"):
        years = count * (10 if unit == "decade" else 1)
        return _Span(date(first.year + years, 1, 1), date(last.year + years, 12, 31))
    return None


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _ago_today(match: re.Match[str], today: date, future: bool) -> _Span | None:
    """ "A year ago today", "a year ago this month"."""
    start = _before_today(today, _number(match["count"]), match["unit"])
    if start is None:
        return None
    return {"today": _one(start), "this week": _week(start), "this month": _month_span(start.year, start.month)}[
        match["rest"]
    ]


def _before_today(today: date, count: int, unit: str) -> date | None:
    days = {
        "hour": 1 / 24,
        "day": 1,
        "night": 1,
        "evening": 1,
        "morning": 1,
        "weekend": 7,
        "week": 7,
        "fortnight": 14,
    }.get(unit)
    if days:
        return today - timedelta(days=round(days * count))
    months = {"month": 1, "year": 12, "decade": 120}.get(unit)
    return _shift_month(today, -months * count) if months else None


def _lasting(match: re.Match[str], today: date, future: bool) -> _Span | None:
    """A length of time up to today; one that is to come starts today."""
    count, unit = _number(match["count"]), match["unit"].removesuffix("s")
    start = _before_today(today, count, unit)
    if start is None:
        return None
    return _Span(today, today + (today - start)) if future else _Span(start, today)


def _past_unit(match: re.Match[str], today: date, future: bool) -> _Span | None:
    start = _before_today(today, 1, match["unit"])
    return _Span(start, today) if start else None


def _recent(match: re.Match[str], today: date, future: bool) -> _Span | None:
    """ "Recent days" are a week, weeks four of them, months three."""
    days = {"minutes": 0, "hours": 0, "days": 7, "weeks": 28, "months": 92}[match["unit"]]
    return _Span(today - timedelta(days=days), today)


def _within(match: re.Match[str], today: date, future: bool) -> _Span | None:
    start = _before_today(today, _number(match["count"]), match["unit"].removesuffix("s"))
    return _Span(today, today + (today - start)) if start else None


def _coming(match: re.Match[str], today: date, future: bool) -> _Span | None:
    days = {"days": 7, "weeks": 28, "months": 92, "hours": 1}[match["unit"]]
    return _Span(today, today + timedelta(days=days))


def _period(match: re.Match[str], frame: _Frame) -> _Span | None:
    """This, last and next week, month, year, quarter and weekend, or their starts and ends."""
    which, unit, edge, future = match["which"], match["unit"], match["edge"], frame.future
    step = {"last": -1, "previous": -1, "past": -1, "this past": -1, "next": 1, "following": 1, "coming": 1}.get(
        which or "this", 0
    )
    if which in ("that", "same", "following") or (which == "previous" and frame.anchor):
        if frame.anchor is None:
            return None if which != "following" or not future or frame.today is None else _shifted(frame.today, 1, unit)
        if (frame.anchor[1] - frame.anchor[0]).days > (366 if unit == "year" else 31):
            return None
        span = _shifted(frame.anchor[0], step, unit)
        if edge == "later" and span and span.latest:
            return _Span(min(frame.anchor[1], span.latest), span.latest)
        if edge in ("earlier", "earlier in") and span:
            return span._replace(latest=frame.anchor[0])
        return _part(span, edge) if span else None
    today = frame.today
    if today is None:
        return None
    if edge in ("later", "later in"):
        future, edge = True, None
    elif edge in ("earlier", "earlier in"):
        future, edge = False, None
    elif unit not in ("weekend", "quarter", "day") and not edge and which in (None, "past"):
        start = _before_today(today, 1, unit)  # "for a week": the words lose their article
        return _Span(start, today) if start else None
    if unit == "weekend":
        if step > 0 or (future and today.weekday() < 5):
            weeks = step > 0 and today.weekday() >= 5
            saturday = today + timedelta(days=5 - today.weekday() + 7 * weeks)
        else:
            saturday = today - timedelta(days=(today.weekday() - 5) % 7)
            saturday -= timedelta(days=7 * (step < 0 and today.weekday() >= 5))
        return _not_after(_Span(saturday, saturday + timedelta(days=1)), today, future)
    span = _shifted(today, step, unit)
    if span is None:
        return None
    if edge and edge.startswith("end") and future:
        return _one(span.latest)
    if edge == "first" or (edge in ("start", "beginning") and unit == "week"):
        return _one(span.earliest)
    if edge and edge.startswith(("first week", "last week")):
        return _days_from(span, edge)
    if edge:
        span = _part(span, edge)
        return span if step else _not_after(span, today, future)
    return span if step else _not_after(span, today, future)


def _days_from(span: _Span, edge: str) -> _Span:
    first, last = span.earliest, span.latest
    if first is None or last is None:
        return span
    week = timedelta(days=6)
    return _Span(first, first + week) if edge.startswith("first") else _Span(last - week, last)


def _shifted(day: date, step: int, unit: str) -> _Span | None:
    """The week, month, quarter, year or weekend of a day, or one that is `step` of them away."""
    if unit == "day":
        return _one(day + timedelta(days=step))
    if unit == "week":
        return _week(day + timedelta(days=7 * step))
    if unit == "weekend":
        saturday = _week(day).earliest or day
        return _Span(saturday + timedelta(days=5 + 7 * step), saturday + timedelta(days=6 + 7 * step))
    if unit == "month":
        there = _shift_month(day.replace(day=1), step)
        return _month_span(there.year, there.month)
    if unit == "quarter":
        start = _shift_month(date(day.year, 3 * ((day.month - 1) // 3) + 1, 1), 3 * step)
        return _Span(start, _shift_month(start, 3) - timedelta(days=1))
    return _year_span(day.year + step)


def _week_of(match: re.Match[str], frame: _Frame) -> _Span | None:
    day = _core(match["rest"], frame)
    if day is None or day.earliest is None or day.latest is None or (day.latest - day.earliest).days > 6:
        return None
    if match["unit"] == "weekend":
        to_saturday = max(5 - day.earliest.weekday(), 0)
        return day if day.earliest != day.latest else _week_end(day.earliest + timedelta(days=to_saturday))
    if match["way"] == "ending":
        return _Span(day.latest - timedelta(days=6), day.latest)
    return _week(day.earliest) if match["way"] == "of" else _Span(day.earliest, day.earliest + timedelta(days=6))


def _week_end(day: date) -> _Span:
    saturday = day - timedelta(days=day.weekday() - 5)
    return _Span(saturday, saturday + timedelta(days=1))


def _word(match: re.Match[str], today: date, future: bool) -> _Span | None:
    first, last = _DAY_WORDS[match["word"]]
    return _Span(today + timedelta(days=first), today + timedelta(days=last))


# Days from the day of publication, first and last.
_DAY_WORDS = {
    "today": (0, 0), "tonight": (0, 0), "this morning": (0, 0), "this afternoon": (0, 0), "this evening": (0, 0),
    "now": (0, 0), "in the day": (0, 0), "all day": (0, 0), "hours ago": (0, 0), "minutes ago": (0, 0), "moments ago": (0, 0),
    "minutes earlier": (0, 0), "hours earlier": (0, 0), "moments earlier": (0, 0), "past hour": (0, 0), "last hour": (0, 0),
    "yesterday": (-1, -1), "tomorrow": (1, 1), "day before yesterday": (-2, -2), "night before last": (-2, -2),
    "day after tomorrow": (2, 2),
    "last night": (-1, -1), "last evening": (-1, -1), "yesterday evening": (-1, -1), "yesterday morning": (-1, -1),
    "yesterday afternoon": (-1, -1), "yesterday night": (-1, -1),
    "overnight": (-1, 0), "night": (-1, 0), "evening": (-1, 0), "during the night": (-1, 0), "through the night": (-1, 0),
    "middle of the night": (-1, 0), "dead of night": (-1, 0), "course of the night": (-1, 0),
    "at night": (-1, 0), "morning": (0, 0), "afternoon": (0, 0), "lunchtime": (0, 0), "tomorrow morning": (1, 1),
    "tomorrow night": (1, 1), "tomorrow evening": (1, 1), "past day": (-1, 0), "early hours": (0, 0), "small hours": (0, 0),
}  # fmt: skip


def _again(match: re.Match[str], today: date, future: bool) -> _Span | None:
    return _one(today)


def _same_day(match: re.Match[str], frame: _Frame) -> _Span | None:
    return _Span(*frame.anchor) if frame.anchor else None


def _day_after(match: re.Match[str], frame: _Frame) -> _Span | None:
    return _at_distance(frame.anchor, 1, "day") if frame.anchor else None


def _day_before(match: re.Match[str], frame: _Frame) -> _Span | None:
    start = frame.anchor or (frame.today and (frame.today, frame.today))
    return _at_distance(start, -1, "day") if start else None


def _feast(match: re.Match[str], frame: _Frame) -> _Span | None:
    name = match["feast"]
    if match["year"]:
        days = feast(name, int(match["year"]))
        return _Span(*days) if days else None
    if frame.today is None:
        return None
    for step in range(3):
        days = feast(name, frame.today.year + (step if frame.future else -step))
        if days and (days[1] >= frame.today if frame.future else days[0] <= frame.today):
            return _not_after(_Span(*days), frame.today, frame.future)
    return None


_FORMS: list[tuple[str, re.Pattern[str], _Rule]] = [
    (name, re.compile("".join(parts)), rule)
    for name, *parts, rule in (
        (
            "weekday on or before publication; on or after it if ahead",
            rf"(?:{_WHICH})(?P<weekday>{_WEEKDAY})",
            _weekday,
        ),
        ("weekdays one after the other", rf"{_WEEKDAY}(?: {_WEEKDAY})+", _needs_today(_weekdays)),
        (
            "weekday of that week",
            rf"(?P<weekday>{_WEEKDAY})(?: of)? (?P<which>last|previous|this|next) week",
            _needs_today(_weekday_of_week),
        ),
        (
            "weekday of that week",
            rf"(?P<which>last|previous|this|next) week (?:on )?(?P<weekday>{_WEEKDAY})",
            _needs_today(_weekday_of_week),
        ),
        ("weekdays back", rf"(?P<count>{_COUNT}) (?P<weekday>{_WEEKDAY})s ago", _needs_today(_weekdays_ago)),
        (
            "weeks from a weekday",
            rf"(?P<count>{_COUNT}) weeks? (?P<way>ago|from)(?: last)?(?: on)? (?P<weekday>{_WEEKDAY})",
            _needs_today(_weeks_from_weekday),
        ),
        (
            "weekday of a month",
            rf"(?P<nth>{_ORDINAL}|last|final) (?P<weekday>{_WEEKDAY}) (?:of|in) ",
            rf"(?:(?:the|this) month|(?P<month>{_MONTH}){_YEAR_AFTER})",
            _weekday_of_month,
        ),
        (
            "day and month, the last one before publication; the next if ahead; with a year, that day",
            rf"(?:{_WEEKDAY},? )?(?P<month>{_MONTH}) (?P<day>{_DAY})",
            rf"(?:,? (?P<year>{_YEAR}))?(?:,? {_WEEKDAY})?",
            _month_day,
        ),
        (
            "day and month, the last one before publication; the next if ahead; with a year, that day",
            rf"(?:{_WEEKDAY},? )?(?:the )?(?P<day>{_DAY}|{_ORDINAL})(?: of | |-)(?P<month>{_MONTH})",
            rf"(?:(?:,? |-)(?P<year>{_YEAR}))?",
            _month_day,
        ),
        ("full date", rf"(?P<year>{_YEAR})[-/.](?P<month>0?[1-9]|1[0-2])[-/.](?P<day>{_DAY})", _iso),
        (
            "full date in figures",
            rf"(?P<a>\d{{1,2}})(?P<dot>[-/.])(?P<b>\d{{1,2}})[-/.](?P<year>{_YEAR})",
            _numeric,
        ),
        ("11 September 2001", "9/11", _september_11),
        (
            "days of a month",
            rf"(?P<month>{_MONTH}) (?P<first>{_DAY}) ?(?:-|–|to|and|or|through) ?(?P<last>{_DAY})",
            rf"(?:,? (?P<year>{_YEAR}))?",
            _day_range,
        ),
        (
            "days of a month",
            rf"(?P<first>{_DAY}) ?(?:-|–|to|and|or|through) ?(?P<last>{_DAY})(?: of)? (?P<month>{_MONTH})",
            rf"(?:,? (?P<year>{_YEAR}))?",
            _day_range,
        ),
        ("month", rf"{_PART}{_WHICH}(?P<month>{_MONTH}){_YEAR_AFTER}", _month),
        (
            "week of a month",
            rf"(?P<nth>{_ORDINAL}|last|final|closing|opening|early|late) (?:week|days) (?:of|in) ",
            rf"(?P<month>{_MONTH}){_YEAR_AFTER}",
            _days_of_month,
        ),
        ("season", rf"{_PART}{_WHICH}(?P<season>{_SEASON}){_YEAR_AFTER}(?:[-/–]\d\d(?:\d\d)?)?", _season),
        (
            "quarter",
            rf"(?:q(?P<q>[1-4])|(?P<nth>first|second|third|fourth|last|final) quarter){_YEAR_AFTER}",
            _quarter,
        ),
        ("year", rf"{_PART}(?:year )?(?P<year>{_YEAR})", _year),
        (
            "first or last months of a year",
            rf"(?P<nth>first|last|final) (?P<count>{_COUNT}) months of (?:the )?(?P<year>{_YEAR}|last year|this year)",
            _months_of_year,
        ),
        ("years", rf"(?P<first>{_YEAR}) ?(?:-|–|/|to|and) ?(?P<last>{_YEAR}|\d\d)", _years),
        ("decade", r"(?:the )?(?:(?P<part>early|mid|late)[ -])?(?P<decade>(?:1[6-9]|20)\d0)'?s", _decade),
        ("decade", r"the (?:(?P<part>early|mid|late)[ -])?'?(?P<decade>\d0)'?s", _decade),
        (
            "the day of the event before",
            r"(?:(?:later|earlier|late|early)(?: on| in)? )?(?:the )?",
            rf"(?:that|same|that same|that very|very same|this same) {_PARTS_OF_DAY}",
            _same_day,
        ),
        (
            "the day of the event before",
            r"(?:a few |several |just |only |some |a couple of )?(?:minutes|moments|hours|seconds|an hour|half an hour) "
            r"(?:later|after|afterwards?)|(?:shortly|soon|immediately) (?:after|afterwards?|thereafter)|then",
            _same_day,
        ),
        (
            "the day before the event before",
            rf"(?:the )?previous {_PARTS_OF_DAY}|(?:the )?{_PARTS_OF_DAY} (?:before|earlier)",
            _day_before,
        ),
        (
            "the day after the event before",
            rf"(?:the )?(?:next|following) {_PARTS_OF_DAY}|(?:the |a )?{_PARTS_OF_DAY} (?:after|later|afterwards?)",
            _day_after,
        ),
        (
            "word for a day near publication",
            rf"(?:(?:late|early|earlier|later|very early|very late)(?: on)? )?(?:the )?(?P<word>{_any(_DAY_WORDS)})",
            _needs_today(_word),
        ),
        (
            "recent or coming days, weeks or months",
            r"(?:(?:in|over|during|for|within) )?(?:the )?(?:past|last|previous|recent) (?:few |several |couple of )?",
            r"(?P<unit>minutes|hours|days|weeks|months)",
            _needs_today(_recent),
        ),
        (
            "length of time up to publication",
            r"(?:within|over|in|during|for|throughout) (?:the )?(?:past|last) (?P<unit>day|week|fortnight|month|year|decade)",
            _needs_today(_past_unit),
        ),
        (
            "week, month, quarter or year seen from publication, or from the event before",
            r"(?:(?P<edge>end|start|beginning|first half|second half|first week|last week|first|early|late|middle|mid|",
            r"later|earlier)(?: of| in|-)?,? ?(?:the )?)?",
            r"(?:(?P<which>last|past|previous|this past|this|next|following|coming|that|same) )?",
            r"(?P<unit>weekend|week|month|year|quarter)",
            _period,
        ),
        (
            "counted back from a day a year, month or week ago",
            rf"{_ABOUT}(?P<count>{_COUNT}) (?P<unit>week|month|year|decade)s? ago (?P<rest>today|this week|this month)",
            _needs_today(_ago_today),
        ),
        (
            "counted from publication, or from the event before",
            rf"{_ABOUT}(?:(?P<count>{_COUNT})[ -])?(?P<unit>{_UNIT}) ",
            r"(?P<way>ago|earlier|beforehand|before|back|prior|previously|later|from now|hence|afterwards?|after)",
            _ago,
        ),
        (
            "counted from publication",
            rf"in {_ABOUT}(?P<count>{_COUNT}) (?P<unit>{_UNIT})(?:'(?= time))?(?: time)?(?P<way>)",
            _ago,
        ),
        (
            "recent or coming days, weeks or months",
            r"(?:(?:in|over|within|for|during) )?(?:the )?(?:coming|next few|next several|next|within) ",
            r"(?P<unit>days|weeks|months|hours)",
            _needs_today(_coming),
        ),
        (
            "length of time from publication on",
            rf"(?:(?:in|over|for|during|within) )?(?:the )?(?:next|coming|following) (?P<count>{_COUNT}) (?P<unit>{_UNIT})",
            _needs_today(_within),
        ),
        (
            "length of time from publication on",
            rf"within (?:a |the next )?(?P<count>{_COUNT}) (?P<unit>{_UNIT})",
            _needs_today(_within),
        ),
        (
            "length of time up to publication",
            rf"(?:(?:for|over|in|during|throughout) )?(?:the )?(?:(?:past|last|previous|preceding) )?{_ABOUT}",
            rf"(?P<count>{_COUNT}) (?:straight |consecutive |successive |full )?(?P<unit>{_UNIT})",
            r"(?: running| straight| on| in a row)?",
            _needs_today(_lasting),
        ),
        (
            "still going on at publication",
            rf"(?:for )?(?:a |the )?(?:{_ORDINAL}|\d+(?:st|nd|rd|th)?) (?:straight |consecutive |successive |running )?",
            r"(?:day|night|evening|morning)(?: running| in a row)?",
            _needs_today(_again),
        ),
        (
            "still going on at publication",
            rf"(?:for )?a (?:{_ORDINAL}|\d+(?:st|nd|rd|th)) (?:straight |consecutive |successive )?(?:day|night) of [a-z ]+",
            _needs_today(_again),
        ),
        (
            "day of the month",
            rf"(?:{_WEEKDAY} )?(?:the )?(?P<day>\d{{1,2}}(?:st|nd|rd|th))(?: of (?:the|this) month)?",
            _needs_today(_day_of_month),
        ),
        (
            "day of the month",
            rf"(?P<day>(?!first|second|third){_ORDINAL})",
            _needs_today(_day_of_month),
        ),
        ("day of the month", rf"(?P<day>{_DAY}|{_ORDINAL}) of (?:the|this) month", _needs_today(_day_of_month)),
        (
            "week of a day that is named",
            r"(?P<unit>week|weekend) (?P<way>of|from|starting|beginning|commencing|ending) (?:on )?(?P<rest>.+)",
            _week_of,
        ),
        ("feast", rf"(?P<feast>{_any(NAMES)})(?:,? (?:of )?(?P<year>{_YEAR}))?", _feast),
    )
]
_NAMED_MONTH = r"(?:" + "|".join(calendar.month_name[1:]) + r"|(?:Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.?)"
# A day and a year without a month that English knows: "12 de enero de 2024".
_OTHER_ORDER = re.compile(rf"^(?!.*\b{_NAMED_MONTH})(?=.*\b\d{{1,2}}\b).*\b{_YEAR}\b", re.DOTALL)
_NAMED_WEEKDAY = r"(?<!Bloody )(?<!Black )(?:" + "|".join(calendar.day_name) + ")"
_NAMED_FEAST = rf"(?=[A-Z])(?i:\b{_any(NAMES)}\b)(?! (?:{_NAMED_WEEKDAY}|week|holiday))"
_WITHIN = [
    re.compile(pattern)
    for pattern in (
        rf"\b{_NAMED_MONTH} {_DAY}(?:,? {_YEAR})?\b", rf"\b{_DAY} {_NAMED_MONTH}(?: {_YEAR})?\b",
        rf"\b{_YEAR}-\d\d-\d\d\b", rf"\b{_YEAR}[-–/]\d\d(?:\d\d)?\b",
        rf"\b{_NAMED_MONTH},? {_YEAR}\b", rf"\b{_YEAR}\b", r"\b9/11\b", _NAMED_FEAST,
        rf"\b(?:last |next )?{_NAMED_WEEKDAY}\b",
        rf"\b(?:last |next )?{_NAMED_MONTH}\b", r"\b(?:last|next|this) (?:week|month|year)\b",
    )
]  # fmt: skip
