"""What a bare date phrase means, by a table of forms ("3 weeks ago", "mid-March") that each name their rule."""

from __future__ import annotations

import re
from datetime import timedelta

from models.resolve import date_rules as rules
from models.resolve.calendar_spans import Days, week, weekend
from models.resolve.date_rules import Frame, Rule
from models.resolve.date_words import COUNT, DAY, MONTH, ORDINAL, SEASON, WEEKDAY, YEAR, any_of
from models.resolve.feasts import NAMES


def days_of(phrase: str, frame: Frame) -> tuple[Days, str] | None:
    """The days that a lower-case phrase without preposition means, and the name of its form; None if no form fits.

    Raises ValueError or OverflowError for a day that no calendar has ("30 February 2024", "in 900 decades").
    """
    for holds, forms in FORMS:
        if holds.search(phrase):
            for name, pattern, rule in forms:
                if (match := pattern.fullmatch(phrase)) and (days := rule(match, frame)):
                    return days, name
    return None


_YEAR_AFTER = rf"(?:,? (?:of )?(?:the )?(?P<year>{YEAR}|last year|previous year|this year|next year))?"
_UNIT = r"(?:hour|day|night|evening|morning|weekend|week|fortnight|month|year|decade)s?"
_PART_OF_DAY = r"(?:day|night|evening|morning|afternoon)"
_PART = (
    r"(?:(?P<part>early|mid|late|early in|late in|middle of|beginning of|start of|end of|"
    r"first half of|second half of)(?: |-))?(?:the )?"
)
_WHICH = r"(?:(?P<which>last|past|previous|this past|this coming|this|next|following|coming|that) )?"
_ABOUT = r"(?:(?:about|around|nearly|almost|more than|over|just|less than|some|exactly|roughly|at least|only|well) )*"
_TO = r" ?(?:-|–|to|and|or|through) ?"


def _week_of(match: re.Match[str], frame: Frame) -> Days | None:
    found = days_of(match["rest"], frame)
    if found is None or (found[0].last - found[0].first).days > 6:
        return None
    first, last = found[0]
    if match["unit"] == "weekend":
        return weekend(first) if first == last else found[0]
    if match["way"] == "ending":
        return Days(last - timedelta(days=6), last)
    return week(first) if match["way"] == "of" else Days(first, first + timedelta(days=6))


_Group = tuple[re.Pattern[str], list[tuple[str, re.Pattern[str], Rule]]]


def _forms(holds: str, *forms: tuple[str, str, Rule]) -> _Group:
    return re.compile(holds), [(name, re.compile(pattern), rule) for name, pattern, rule in forms]


# Forms in groups: none of a group is tried on a phrase that lacks what each of them holds. The first form that fits decides.
_MONTH_DAY = "day and month, the last one before publication; the next if ahead; with a year, that day"
FORMS = [
    _forms(
        WEEKDAY,
        ("weekday on or before publication; on or after it if ahead", rf"{_WHICH}(?P<weekday>{WEEKDAY})", rules.weekday),
        ("weekdays one after the other", rf"{WEEKDAY}(?: {WEEKDAY})+", rules.weekdays),
        ("weekday of that week",
         rf"(?P<weekday>{WEEKDAY})(?: of)? (?P<which>last|previous|this|next) week", rules.weekday_of_week),
        ("weekday of that week",
         rf"(?P<which>last|previous|this|next) week (?:on )?(?P<weekday>{WEEKDAY})", rules.weekday_of_week),
        ("weekdays back", rf"(?P<count>{COUNT}) (?P<weekday>{WEEKDAY})s ago", rules.weekdays_ago),
        ("weeks from a weekday",
         rf"(?P<count>{COUNT}) weeks? (?P<way>ago|from)(?: last)?(?: on)? (?P<weekday>{WEEKDAY})", rules.weeks_from_weekday),
        ("weekday of a month",
         rf"(?P<nth>{ORDINAL}|last|final) (?P<weekday>{WEEKDAY}) (?:of|in) "
         rf"(?:(?:the|this) month|(?P<month>{MONTH}){_YEAR_AFTER})", rules.weekday_of_month),
    ),
    _forms(
        MONTH,
        ("month", rf"{_PART}{_WHICH}(?P<month>{MONTH}){_YEAR_AFTER}", rules.month_or_part),
        (_MONTH_DAY,
         rf"(?:{WEEKDAY},? )?(?P<month>{MONTH}) (?P<day>{DAY})(?:,? (?P<year>{YEAR}))?(?:,? {WEEKDAY})?", rules.day_and_month),
        (_MONTH_DAY,
         rf"(?:{WEEKDAY},? )?(?:the )?(?P<day>{DAY}|{ORDINAL})(?: of | |-)(?P<month>{MONTH})(?:(?:,? |-)(?P<year>{YEAR}))?",
         rules.day_and_month),
        ("days of a month",
         rf"(?P<month>{MONTH}) (?P<first>{DAY}){_TO}(?P<day>{DAY})(?:,? (?P<year>{YEAR}))?", rules.day_and_month),
        ("days of a month",
         rf"(?P<first>{DAY}){_TO}(?P<day>{DAY})(?: of)? (?P<month>{MONTH})(?:,? (?P<year>{YEAR}))?", rules.day_and_month),
        ("week of a month",
         rf"(?P<nth>{ORDINAL}|last|final|closing|opening|early|late) (?:week|days) (?:of|in) (?P<month>{MONTH}){_YEAR_AFTER}",
         rules.week_of_month),
    ),
    _forms(
        SEASON,
        ("season", rf"{_PART}{_WHICH}(?P<season>{SEASON}){_YEAR_AFTER}(?:[-/–]\d\d(?:\d\d)?)?", rules.season),
    ),
    _forms(
        r"\d",
        ("year", rf"{_PART}(?:year )?(?P<year>{YEAR})", rules.year_or_part),
        ("years", rf"(?P<first>{YEAR}) ?(?:-|–|/|to|and) ?(?P<last>{YEAR}|\d\d)", rules.years),
        ("decade", r"(?:the )?(?:(?P<part>early|mid|late)[ -])?(?P<decade>(?:1[6-9]|20)\d0)'?s", rules.decade),
        ("decade", r"the (?:(?P<part>early|mid|late)[ -])?'?(?P<decade>\d0)'?s", rules.decade),
        ("full date", rf"(?P<year>{YEAR})[-/.](?P<month>0?[1-9]|1[0-2])[-/.](?P<day>{DAY})", rules.iso),
        ("full date in figures", rf"(?P<a>\d{{1,2}})(?P<dot>[-/.])(?P<b>\d{{1,2}})[-/.](?P<year>{YEAR})", rules.numeric),
        ("11 September 2001", "9/11", rules.september_11),
    ),
    _forms(
        f"{_PART_OF_DAY}|hour|minute|moment|second|after|then|now|tomorrow|lunchtime",
        ("the day of the event before",
         rf"(?:(?:later|earlier|late|early)(?: on| in)? )?(?:the )?"
         rf"(?:that|same|that same|that very|very same|this same) {_PART_OF_DAY}", rules.same_day),
        ("the day of the event before",
         r"(?:a few |several |just |only |some |a couple of )?(?:minutes|moments|hours|seconds|an hour|half an hour) "
         r"(?:later|after|afterwards?)|(?:shortly|soon|immediately) (?:after|afterwards?|thereafter)|then", rules.same_day),
        ("the day before the event before",
         rf"(?:the )?previous {_PART_OF_DAY}|(?:the )?{_PART_OF_DAY} (?:before|earlier)", rules.day_before),
        ("the day after the event before",
         rf"(?:the )?(?:next|following) {_PART_OF_DAY}|(?:the |a )?{_PART_OF_DAY} (?:after|later|afterwards?)",
         rules.day_after),
        ("word for a day near publication",
         rf"(?:(?:late|early|earlier|later|very early|very late)(?: on)? )?(?:the )?(?P<word>{any_of(rules.DAY_WORDS)})",
         rules.word),
    ),
    _forms(
        f"{_UNIT}|quarter|minute|q[1-4]",
        ("quarter", rf"(?:q(?P<q>[1-4])|(?P<nth>first|second|third|fourth|last|final) quarter){_YEAR_AFTER}", rules.quarter),
        ("first or last months of a year",
         rf"(?P<nth>first|last|final) (?P<count>{COUNT}) months of (?:the )?(?P<year>{YEAR}|last year|this year)",
         rules.months_of_year),
        ("recent or coming days, weeks or months",
         r"(?:(?:in|over|during|for|within) )?(?:the )?(?:past|last|previous|recent) (?:few |several |couple of )?"
         r"(?P<unit>minutes|hours|days|weeks|months)", rules.about(ahead=False)),
        ("length of time up to publication",
         r"(?:within|over|in|during|for|throughout) (?:the )?(?:past|last) (?P<unit>day|week|fortnight|month|year|decade)",
         rules.lasting(ahead=False)),
        ("week, month, quarter or year seen from publication, or from the event before",
         r"(?:(?P<edge>end|start|beginning|first half|second half|first week|last week|first|early|late|middle|mid|later|"
         r"earlier)(?: of| in|-)?,? ?(?:the )?)?"
         r"(?:(?P<which>last|past|previous|this past|this|next|following|coming|that|same) )?"
         r"(?P<unit>weekend|week|month|year|quarter)", rules.period),
        ("counted back from a day a year, month or week ago",
         rf"{_ABOUT}(?P<count>{COUNT}) (?P<unit>week|month|year|decade)s? ago (?P<rest>today|this week|this month)",
         rules.ago_today),
        ("counted from publication, or from the event before",
         rf"{_ABOUT}(?:(?P<count>{COUNT})[ -])?(?P<unit>{_UNIT}) "
         r"(?P<way>ago|earlier|beforehand|before|back|prior|previously|later|from now|hence|afterwards?|after)",
         rules.counted),
        ("counted from publication",
         rf"in {_ABOUT}(?P<count>{COUNT}) (?P<unit>{_UNIT})(?:'(?= time))?(?: time)?(?P<way>)", rules.counted),
        ("recent or coming days, weeks or months",
         r"(?:(?:in|over|within|for|during) )?(?:the )?(?:coming|next few|next several|next|within) "
         r"(?P<unit>days|weeks|months|hours)", rules.about(ahead=True)),
        ("length of time from publication on",
         rf"(?:(?:in|over|for|during|within) )?(?:the )?(?:next|coming|following) (?P<count>{COUNT}) (?P<unit>{_UNIT})",
         rules.lasting(ahead=True)),
        ("length of time from publication on",
         rf"within (?:a |the next )?(?P<count>{COUNT}) (?P<unit>{_UNIT})", rules.lasting(ahead=True)),
        ("length of time up to publication",
         rf"(?:(?:for|over|in|during|throughout) )?(?:the )?(?:(?:past|last|previous|preceding) )?{_ABOUT}"
         rf"(?P<count>{COUNT}) (?:straight |consecutive |successive |full )?(?P<unit>{_UNIT})"
         r"(?: running| straight| on| in a row)?", rules.lasting()),
        ("still going on at publication",
         rf"(?:for )?(?:a |the )?(?:{ORDINAL}|\d+(?:st|nd|rd|th)?) (?:straight |consecutive |successive |running )?"
         r"(?:day|night|evening|morning)(?: running| in a row)?", rules.still),
        ("still going on at publication",
         rf"(?:for )?a (?:{ORDINAL}|\d+(?:st|nd|rd|th)) (?:straight |consecutive |successive )?(?:day|night) of [a-z ]+",
         rules.still),
        ("week of a day that is named",
         r"(?P<unit>week|weekend) (?P<way>of|from|starting|beginning|commencing|ending) (?:on )?(?P<rest>.+)", _week_of),
    ),
    _forms(
        r"\d|th|first|second",
        ("day of the month",
         rf"(?:{WEEKDAY} )?(?:the )?(?P<day>\d{{1,2}}(?:st|nd|rd|th))(?: of (?:the|this) month)?", rules.day_of_month),
        ("day of the month", rf"(?P<day>(?!first|second|third){ORDINAL})", rules.day_of_month),
        ("day of the month", rf"(?P<day>{DAY}|{ORDINAL}) of (?:the|this) month", rules.day_of_month),
    ),
    _forms(
        "",
        ("feast", rf"(?P<feast>{any_of(NAMES)})(?:,? (?:of )?(?P<year>{YEAR}))?", rules.feast_day),
    ),
]  # fmt: skip
