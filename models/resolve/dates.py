"""When: the earliest and latest day that a date phrase means, seen from the day of publication.

The phrase is brought down to a core ("late on Monday night" to "monday"), and the core to a span of days by a table of forms.
What no form fits goes to dateparser, which knows other languages and layouts.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from models.resolve.feasts import NAMES, feast

_MOST_CHARACTERS = 100


class _Span(NamedTuple):
    """Days, both ends included; None is open."""

    earliest: date | None
    latest: date | None


class _Frame(NamedTuple):
    """What a phrase is seen from."""

    today: date | None
    future: bool


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
_DAY = r"(?:[12]\d|3[01]|0?[1-9])"
_COUNT = rf"(?:\d{{1,3}}|{_any(_NUMBERS)})"
_UNIT = r"(?:hour|day|night|evening|morning|weekend|week|fortnight|month|year|decade)s?"
_PART = (
    r"(?:(?P<part>early|mid|late|middle of|beginning of|start of|end of|first half of|second half of)(?: |-))?(?:the )?"
)
_WHICH = r"(?:(?P<which>last|past|previous|this|next|following|coming|that) )?"
_ABOUT = r"(?:about |around |nearly |almost |more than |over |just |less than |some )*"

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
            r"\b(?:at |around |about )?\d{1,2}(?:[:.]\d\d)? ?(?:a\.?m\.?|p\.?m\.?)(?: \w*time)?",
            r"\b\d{1,2}:\d\d(?: ?(?:gmt|utc))?",
            rf"\b(?:late|early|mid)[ -](?=(?:on )?(?:{_WEEKDAY}|morning|afternoon|evening|night|yesterday|today|in the)\b)",
            rf"(?<=day ){_PART_OF_DAY}",
            rf"\b(?:the |in the )?{_PART_OF_DAY} (?:of|on) ",
        ]
    )
)
_LEAD = re.compile(
    r"^(?:on|in|at|during|the|of|over|around|about|sometime|some time|only|just|as early as|as recently as|late on|early on|"
    r"later)\s+"
)
_SINCE = re.compile(r"^(?:since|ever since)\s+")
_UNTIL = re.compile(r"^(?:until|till|by|before|through|up to|no later than|ahead of)\s+")
_FROM = re.compile(r"^(?:from|starting|beginning|as of|effective)(?: on| from| in)?\s+")
_THROUGHOUT = re.compile(r"^(?:throughout|all through|all|for|for the|for a|for an|within)\s+")
_EVE = re.compile(r"^(?:on )?(?:the )?eve of\s+")
_BETWEEN = re.compile(r"^(?:between|from)?\s*(?P<a>.+?)\s+(?:and|to|through|until|-|–|or)\s+(?P<b>.+)$")


def resolve_date(text: str, published: datetime | None, future: bool = False) -> tuple[str | None, str | None]:
    """The earliest and latest day (ISO 8601) that the text means; both None where it means none that can be known.

    Relative words are seen from the day of `published` in its own time zone; without it only full dates are answered.
    A weekday, a month or a day without a year is the last one on or before that day; with `future` (an announced event) the
    first one on or after it. An open end is None: "from Monday", announced, has no latest day. Never raises for any string.
    """
    frame = _Frame(published.date() if published else None, future)
    try:
        span = _resolve(" ".join(text[:_MOST_CHARACTERS].split()), frame)
    except (OverflowError, ValueError):
        # A count of days or years that leaves the calendar: "in 900 decades".
        return (None, None)
    if span is None:
        return (None, None)
    return (span.earliest.isoformat() if span.earliest else None, span.latest.isoformat() if span.latest else None)


@lru_cache(maxsize=4096)
def _resolve(text: str, frame: _Frame) -> _Span | None:
    phrase = text.lower().replace("’", "'").strip(" .,;:\"'()")
    phrase = re.sub(r"(?<=[a-z])\.(?= )|(?<=\d),(?= )|(?<=[a-z]),", "", phrase)
    phrase = re.sub(r"\b(\d{1,2})(?:st|nd|rd|th)\b", r"\1", phrase)
    if not phrase:
        return None
    first, second = (_foreign, _search) if _OTHER_ORDER.search(text) else (_search, _foreign)
    return _phrase(phrase, frame) or first(text, frame) or second(text, frame)


def _phrase(phrase: str, frame: _Frame) -> _Span | None:
    """The span of a phrase with its preposition."""
    if match := _SINCE.match(phrase):
        since = _phrase(phrase[match.end() :], frame._replace(future=False))
        return _Span(since.earliest, frame.today) if since else None
    if span := _core(phrase, frame):
        return span
    if (match := _BETWEEN.match(phrase)) and (span := _between(match, frame)):
        return span
    if (match := _FROM.match(phrase)) and (start := _phrase(phrase[match.end() :], frame)):
        ongoing = frame.today and start.earliest and start.earliest <= frame.today and not frame.future
        return _Span(start.earliest, frame.today if ongoing else None)
    if (match := _TIME.match(phrase)) and (span := _core(phrase[match.end() :].strip(), frame)):
        return span
    if match := _UNTIL.match(phrase):
        end = _phrase(phrase[match.end() :], frame._replace(future=True))
        return _Span(frame.today, end.latest) if end and frame.today else None
    if match := _EVE.match(phrase):
        day = _phrase(phrase[match.end() :], frame)
        if day and day.earliest and day.earliest == day.latest:
            return _Span(day.earliest - timedelta(days=1), day.earliest - timedelta(days=1))
    plain = timeless = _TIME.sub(" ", phrase)
    for _ in range(4):
        plain = _LEAD.sub("", " ".join(plain.split()).strip(" ,-"))
    plain = re.sub(r"\s+(?:on|of|at|in|around|local|shortly|late|early)$", "", plain)
    if plain != phrase and plain and (span := _core(plain, frame)):
        return span
    if match := _THROUGHOUT.match(phrase):
        return _phrase(phrase[match.end() :], frame)
    if not plain and timeless != phrase and frame.today:
        return _Span(frame.today, frame.today)
    return None


def _between(match: re.Match[str], frame: _Frame) -> _Span | None:
    second = _phrase(match["b"], frame)
    if second is None or second.latest is None:
        bare = re.fullmatch(rf"(?P<month>{_MONTH}) {_DAY}", match["a"])
        second = _core(f"{bare['month']} {match['b']}", frame) if bare else None
        if second is None or second.latest is None:
            return None
    # The first of two is seen from the second: "between Sunday and Tuesday", "April and June 2023".
    year = re.search(_YEAR, match["b"])
    first = _phrase(f"{match['a']} {year[0]}", frame) if year and not re.search(_YEAR, match["a"]) else None
    first = first or _phrase(match["a"], frame if frame.future else _Frame(second.latest, False))
    if first is None and (month := re.search(rf"\b{_MONTH}\b", match["b"])):
        first = _phrase(f"{match['a']} {month[0]}", _Frame(second.latest, False))
    if first is None or first.earliest is None or first.earliest > second.latest:
        return None
    return _Span(first.earliest, second.latest)


def _core(phrase: str, frame: _Frame) -> _Span | None:
    for pattern, rule in _FORMS:
        if (match := pattern.fullmatch(phrase)) and (span := rule(match, frame)):
            return span
    return None


def _search(text: str, frame: _Frame) -> _Span | None:
    """A date within words that say no more of when: "night in 2024". Capitals tell May and March from may and march."""
    since = bool(_SINCE.match(text.lower()))
    if not since and re.search(r"\b(?:anniversary|after|before|later|earlier)\b", text.lower()):
        return None
    for pattern in _WITHIN:
        found = pattern.findall(text)
        if found and (span := _core(found[-1].lower().replace(".", "").replace(",", ""), frame)):
            return _Span(span.earliest, frame.today) if since else span
    return None


def _foreign(text: str, frame: _Frame) -> _Span | None:
    # dateparser guesses at anything; a digit beside letters, or a form without any letter, is the least that it needs.
    if not any(char.isdigit() for char in text) or re.search(
        r"[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}.*[a-z]{2,}", text.lower()
    ):
        return None
    if re.fullmatch(r"[\d\s:.,%$]{1,6}", text) or re.search(
        r"\b(?:people|hours?|days?|weeks?|months?|years?|times?)\b", text
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
    return _Span(found.date(), found.date()) if found else None


_LANGUAGES = ["en", "fr", "es", "de", "pt", "it", "nl", "ru", "uk", "tr", "pl", "ar", "fa", "id", "sw"]


def _one(day: date | None) -> _Span | None:
    return _Span(day, day) if day else None


def _needs_today(rule: Callable[[re.Match[str], date, bool], _Span | None]) -> _Rule:
    def checked(match: re.Match[str], frame: _Frame) -> _Span | None:
        return rule(match, frame.today, frame.future) if frame.today else None

    return checked


def _count(written: str) -> int:
    return int(written) if written.isdigit() else _NUMBERS[written]


def _month_span(year: int, month: int) -> _Span:
    return _Span(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


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


def _weekday(match: re.Match[str], today: date, future: bool) -> _Span | None:
    wanted = _WEEKDAYS[match["weekday"]]
    which = match["which"]
    ahead = (wanted - today.weekday()) % 7
    if which in ("next", "following", "coming"):
        return _one(today + timedelta(days=ahead or 7))
    if which in ("last", "past", "previous"):
        return _one(today - timedelta(days=-ahead % 7 or 7))
    return _one(today + timedelta(days=ahead) if future else today - timedelta(days=-ahead % 7))


def _month_day(match: re.Match[str], frame: _Frame) -> _Span | None:
    month, day = _MONTHS[match["month"]], int(match["day"])
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
    day = int(match["day"]) if match["day"].isdigit() else _ORDINALS.get(match["day"], 0)
    for months in range(3):
        first = _shift_month(today.replace(day=1), months if future else -months)
        if 1 <= day <= calendar.monthrange(first.year, first.month)[1]:
            found = first.replace(day=day)
            if (found >= today) if future else (found <= today):
                return _one(found)
    return None


def _part(span: _Span, part: str | None) -> _Span:
    """The early, middle or late part of a month or year; half is half."""
    first, last = span.earliest, span.latest
    if part is None or first is None or last is None:
        return span
    length = (last - first).days + 1
    if part.startswith(("early", "beginning", "start")):
        return _Span(first, first + timedelta(days=length // 3 - 1))
    if part.startswith(("mid", "middle")):
        return _Span(first + timedelta(days=length // 3), first + timedelta(days=2 * length // 3 - 1))
    if part.startswith("first half"):
        return _Span(first, first + timedelta(days=length // 2 - 1))
    if part.startswith("second half"):
        return _Span(first + timedelta(days=length // 2), last)
    return _Span(first + timedelta(days=2 * length // 3), last)


def _relative_year(written: str | None, frame: _Frame) -> int | None:
    if written is None:
        return None
    if written.isdigit():
        return int(written)
    if frame.today is None:
        return None
    return frame.today.year + {"last": -1, "previous": -1, "this": 0, "next": 1}[written.split()[0]]


def _month(match: re.Match[str], frame: _Frame) -> _Span | None:
    month, part = _MONTHS[match["month"]], match["part"]
    year = _relative_year(match["year"], frame)
    if year is not None:
        return _part(_month_span(year, month), part)
    if frame.today is None:
        return None
    this, which = (frame.today.year, frame.today.month), match["which"]
    year = this[0]
    if which in ("last", "previous", "past"):
        year -= month >= this[1]
    elif which == "next":
        year += month <= this[1]
    elif frame.future:
        year += month < this[1]
    else:
        year -= month > this[1]
    return _not_after(_part(_month_span(year, month), part), frame.today, frame.future)


def _season(match: re.Match[str], frame: _Frame) -> _Span | None:
    first = _SEASONS[match["season"]]
    year = _relative_year(match["year"], frame)
    if year is None:
        if frame.today is None:
            return None
        year, which = frame.today.year, match["which"]
        started = frame.today.month >= first
        if which in ("last", "previous", "past"):
            # The last summer is over: in autumn this year's, before that the one of the year before.
            year -= _shift_month(date(year, first, 1), 3) > frame.today
        elif which == "next" or frame.future:
            year += started and (which == "next" or frame.today >= _shift_month(date(year, first, 1), 3))
        else:
            year -= not started
    start = date(year, first, 1)
    span = _Span(start, _shift_month(start, 3) - timedelta(days=1))
    return _not_after(span, frame.today, frame.future) if frame.today else span


def _year(match: re.Match[str], frame: _Frame) -> _Span | None:
    year = int(match["year"])
    span = _part(_Span(date(year, 1, 1), date(year, 12, 31)), match["part"])
    return _not_after(span, frame.today, frame.future) if frame.today else span


def _years(match: re.Match[str], frame: _Frame) -> _Span | None:
    first, last = int(match["first"]), match["last"]
    return _Span(date(first, 1, 1), date(int(match["first"][:2] + last if len(last) == 2 else last), 12, 31))


def _decade(match: re.Match[str], frame: _Frame) -> _Span | None:
    first = int(match["decade"])
    part = match["part"]
    start, length = {"early": (0, 4), "mid": (4, 3), "late": (6, 4)}.get((part or "").strip(" -"), (0, 10))
    return _Span(date(first + start, 1, 1), date(first + start + length - 1, 12, 31))


def _iso(match: re.Match[str], frame: _Frame) -> _Span | None:
    return _one(date(int(match["year"]), int(match["month"]), int(match["day"])))


def _day_range(match: re.Match[str], frame: _Frame) -> _Span | None:
    year = f" {match['year']}" if match["year"] else ""
    last = _core(f"{match['month']} {match['last']}{year}", frame)
    if not last or not last.latest:
        return None
    return _Span(last.latest.replace(day=int(match["first"])), last.latest)


def _ago(match: re.Match[str], today: date, future: bool) -> _Span | None:
    count, unit = _count(match["count"] or "a"), match["unit"].rstrip("s")
    ahead = match["way"] not in ("ago", "earlier", "before", "back", "prior", "previously")
    if ahead and not future:
        return None  # "three days later" is counted from another event
    return _at_distance(today, count if ahead else -count, unit)


def _at_distance(today: date, count: int, unit: str) -> _Span | None:
    if unit == "hour":
        return _Span(*sorted((today, today + timedelta(days=round(count / 24)))))
    days = {"day": 1, "night": 1, "evening": 1, "morning": 1, "week": 7, "fortnight": 14}.get(unit)
    if days:
        return _one(today + timedelta(days=days * count))
    if unit == "month":
        there = _shift_month(today, count)
        return _month_span(there.year, there.month)
    if unit in ("year", "decade"):
        year = today.year + count * (10 if unit == "decade" else 1)
        return _Span(date(year, 1, 1), date(year, 12, 31))
    return None


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
    count, unit = _count(match["count"]), match["unit"].rstrip("s")
    start = _before_today(today, count, unit)
    if start is None:
        return None
    return _Span(today, today + (today - start)) if future else _Span(start, today)


def _within(match: re.Match[str], today: date, future: bool) -> _Span | None:
    start = _before_today(today, _count(match["count"]), match["unit"].rstrip("s"))
    return _Span(today, today + (today - start)) if start else None


def _coming(match: re.Match[str], today: date, future: bool) -> _Span | None:
    days = {"days": 7, "weeks": 28, "months": 92, "hours": 1}[match["unit"]]
    return _Span(today, today + timedelta(days=days))


def _period(match: re.Match[str], today: date, future: bool) -> _Span | None:
    """This, last and next week, month, year, quarter and weekend, or their starts and ends."""
    which, unit, edge = match["which"], match["unit"], match["edge"]
    if unit not in ("weekend", "quarter") and not edge and which in (None, "past"):
        start = _before_today(today, 1, unit)  # "for a week": the words lose their article
        return _Span(start, today) if start else None
    step = {"last": -1, "previous": -1, "past": -1, "next": 1, "following": 1, "coming": 1}.get(which or "this", 0)
    if unit == "weekend":
        saturday = today - timedelta(days=(today.weekday() - 5) % 7)
        if step > 0 or (future and today.weekday() < 5):
            saturday = today + timedelta(days=(5 - today.weekday()) % 7)
        if step > 0 and today.weekday() >= 5:
            saturday += timedelta(days=7)
        if step < 0 and today.weekday() >= 5:
            saturday -= timedelta(days=7)
        return _not_after(_Span(saturday, saturday + timedelta(days=1)), today, future)
    if unit == "week":
        span = _week(today + timedelta(days=7 * step))
    elif unit == "month":
        there = _shift_month(today.replace(day=1), step)
        span = _month_span(there.year, there.month)
    elif unit == "quarter":
        start = _shift_month(date(today.year, 3 * ((today.month - 1) // 3) + 1, 1), 3 * step)
        span = _Span(start, _shift_month(start, 3) - timedelta(days=1))
    else:
        span = _Span(date(today.year + step, 1, 1), date(today.year + step, 12, 31))
    if edge and edge.startswith("end"):
        return _one(span.latest)
    if edge and edge in ("start", "beginning", "first"):
        return _one(span.earliest)
    if edge:
        return _part(span, edge)
    return span if step else _not_after(span, today, future)


def _word(match: re.Match[str], today: date, future: bool) -> _Span | None:
    first, last = _DAY_WORDS[match["word"]]
    return _Span(today + timedelta(days=first), today + timedelta(days=last))


# Days from the day of publication, first and last.
_DAY_WORDS = {
    "today": (0, 0), "tonight": (0, 0), "this morning": (0, 0), "this afternoon": (0, 0), "this evening": (0, 0),
    "now": (0, 0),
    "yesterday": (-1, -1), "tomorrow": (1, 1), "day before yesterday": (-2, -2), "day after tomorrow": (2, 2),
    "last night": (-1, -1), "yesterday evening": (-1, -1), "yesterday morning": (-1, -1), "yesterday afternoon": (-1, -1),
    "yesterday night": (-1, -1), "previous evening": (-1, -1), "previous night": (-1, -1), "previous day": (-1, -1),
    "night before": (-1, -1), "day before": (-1, -1), "day earlier": (-1, -1), "evening before": (-1, -1),
    "overnight": (-1, 0), "night": (-1, 0), "evening": (-1, 0), "during the night": (-1, 0), "through the night": (-1, 0),
    "at night": (-1, 0), "morning": (0, 0), "afternoon": (0, 0), "lunchtime": (0, 0), "tomorrow morning": (1, 1),
    "tomorrow night": (1, 1), "tomorrow evening": (1, 1), "past day": (-1, 0), "recent days": (-7, 0),
    "past few days": (-7, 0), "last few days": (-7, 0), "recent weeks": (-28, 0), "past few weeks": (-28, 0),
    "last few weeks": (-28, 0), "early hours": (0, 0), "small hours": (0, 0), "past hours": (0, 0), "recent months": (-92, 0),
}  # fmt: skip


def _again(match: re.Match[str], today: date, future: bool) -> _Span | None:
    return _one(today)


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


_FORMS: list[tuple[re.Pattern[str], _Rule]] = [
    (re.compile("".join(parts)), rule)
    for *parts, rule in (
        (rf"(?:{_WHICH})(?P<weekday>{_WEEKDAY})s?", _needs_today(_weekday)),
        (
            rf"(?:{_WEEKDAY},? )?(?P<month>{_MONTH}) (?P<day>{_DAY})",
            rf"(?:,? (?P<year>{_YEAR}))?(?:,? {_WEEKDAY})?",
            _month_day,
        ),
        (rf"(?:{_WEEKDAY},? )?(?P<day>{_DAY})(?: of)? (?P<month>{_MONTH})(?:,? (?P<year>{_YEAR}))?", _month_day),
        (rf"(?P<year>{_YEAR})[-/.](?P<month>0?[1-9]|1[0-2])[-/.](?P<day>{_DAY})", _iso),
        (
            rf"(?P<month>{_MONTH}) (?P<first>{_DAY}) ?(?:-|–|to|and|or|through) ?(?P<last>{_DAY})",
            rf"(?:,? (?P<year>{_YEAR}))?",
            _day_range,
        ),
        (
            rf"(?P<first>{_DAY}) ?(?:-|–|to|and|or) ?(?P<last>{_DAY}) (?P<month>{_MONTH})",
            rf"(?:,? (?P<year>{_YEAR}))?",
            _day_range,
        ),
        (rf"{_PART}{_WHICH}(?P<month>{_MONTH}){_YEAR_AFTER}", _month),
        (rf"{_WHICH}(?P<season>{_SEASON}){_YEAR_AFTER}", _season),
        (rf"{_PART}(?:year )?(?P<year>{_YEAR})", _year),
        (rf"(?P<first>{_YEAR}) ?(?:-|–|/|to|and) ?(?P<last>{_YEAR}|\d\d)", _years),
        (r"(?:the )?(?:(?P<part>early|mid|late)[ -])?(?P<decade>(?:1[6-9]|20)\d0)'?s", _decade),
        (rf"(?P<word>{_any(_DAY_WORDS)})", _needs_today(_word)),
        (
            r"(?:(?P<edge>end|start|beginning|first half|second half|first|early|late|middle)(?: of)?,? (?:the )?)?",
            rf"{_WHICH}(?P<unit>weekend|week|month|year|quarter)",
            _needs_today(_period),
        ),
        (
            rf"{_ABOUT}(?:(?P<count>{_COUNT})[ -])?(?P<unit>{_UNIT}) ",
            r"(?P<way>ago|earlier|before|back|prior|previously|later|from now|hence|after)",
            _needs_today(_ago),
        ),
        (rf"in (?P<count>{_COUNT}) (?P<unit>{_UNIT})(?P<way>)", _needs_today(_ago)),
        (rf"within (?:a |the next )?(?P<count>{_COUNT}) (?P<unit>{_UNIT})", _needs_today(_within)),
        (
            r"(?:in the |over the |within the )?(?:coming|next few|next|within) (?P<unit>days|weeks|months|hours)",
            _needs_today(_coming),
        ),
        (
            rf"(?:(?:for|over|in|during|throughout) )?(?:the )?(?:(?:past|last|previous|preceding) )?{_ABOUT}",
            rf"(?P<count>{_COUNT})[ -](?P<unit>{_UNIT})(?: running| straight| on)?",
            _needs_today(_lasting),
        ),
        (
            rf"(?:for )?(?:a |the )?(?:{_ORDINAL}|\d+) (?:straight |consecutive |successive |running )?",
            r"(?:day|night|evening|morning)(?: running| in a row)?",
            _needs_today(_again),
        ),
        (rf"(?P<day>{_DAY}|{_ORDINAL})(?: of (?:the|this) month)?", _needs_today(_day_of_month)),
        (rf"(?P<feast>{_any(NAMES)})(?:,? (?:of )?(?P<year>{_YEAR}))?", _feast),
    )
]
_NAMED_MONTH = r"(?:" + "|".join(calendar.month_name[1:]) + r"|(?:Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec)\.?)"
# A day and a year without a month that English knows: "12 de enero de 2024".
_OTHER_ORDER = re.compile(rf"^(?!.*\b{_NAMED_MONTH})(?=.*\b\d{{1,2}}\b).*\b{_YEAR}\b", re.DOTALL)
_NAMED_WEEKDAY = "(?:" + "|".join(calendar.day_name) + ")"
_WITHIN = [
    re.compile(pattern)
    for pattern in (
        rf"\b{_NAMED_MONTH} {_DAY}(?:,? {_YEAR})?\b", rf"\b{_DAY} {_NAMED_MONTH}(?: {_YEAR})?\b",
        rf"\b{_NAMED_MONTH},? {_YEAR}\b", rf"\b{_YEAR}\b", rf"\b(?:last |next )?{_NAMED_WEEKDAY}\b",
        rf"\b(?:last |next )?{_NAMED_MONTH}\b", r"\b(?:last|next|this) (?:week|month|year)\b",
    )
]  # fmt: skip
