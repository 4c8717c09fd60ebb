"""Dates seen from more than the day of publication: the event before, the tense of the sentence, the zone of the dateline."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.resolve.date_forms import FORMS
from models.resolve.dates import date_reading, resolve_date
from models.resolve.feasts import easter, feast, orthodox_easter
from models.resolve.lexicon import rows
from models.resolve.tense import ahead
from models.resolve.zones import local_time

PHRASES = [
    line.split("\t")[0] for line in (Path(__file__).parent / "dates.tsv").read_text(encoding="utf-8").splitlines()
] + ["later that month", "earlier that year", "the following week", "two days later", "that weekend"]
TUESDAY = datetime(2026, 11, 24)

# words, first and last day of the event before, earliest, latest
ANCHORED = [
    ("the next day", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("next day", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("following day", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("the following morning", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("the next morning", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("the day after", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("a day later", "2026-11-10", "2026-11-10", "2026-11-11", "2026-11-11"),
    ("two days later", "2026-11-10", "2026-11-10", "2026-11-12", "2026-11-12"),
    ("two days afterwards", "2026-11-10", "2026-11-10", "2026-11-12", "2026-11-12"),
    ("a week later", "2026-11-10", "2026-11-10", "2026-11-17", "2026-11-17"),
    ("a fortnight later", "2026-11-01", "2026-11-01", "2026-11-15", "2026-11-15"),
    ("about three weeks later", "2026-11-01", "2026-11-01", "2026-11-22", "2026-11-22"),
    ("a month later", "2026-08-10", "2026-08-10", "2026-09-01", "2026-09-30"),
    ("two years later", "2014-03-01", "2014-03-31", "2016-01-01", "2016-12-31"),
    ("three days earlier", "2026-11-10", "2026-11-10", "2026-11-07", "2026-11-07"),
    ("a week earlier", "2026-11-10", "2026-11-10", "2026-11-03", "2026-11-03"),
    ("two days before", "2026-11-10", "2026-11-10", "2026-11-08", "2026-11-08"),
    ("the previous day", "2026-11-10", "2026-11-10", "2026-11-09", "2026-11-09"),
    ("the previous evening", "2026-11-10", "2026-11-10", "2026-11-09", "2026-11-09"),
    ("the night before", "2026-11-10", "2026-11-10", "2026-11-09", "2026-11-09"),
    ("the day before", "2026-11-10", "2026-11-10", "2026-11-09", "2026-11-09"),
    ("a day earlier", "2026-11-10", "2026-11-10", "2026-11-09", "2026-11-09"),
    ("that day", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("that same day", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("the same day", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("same evening", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("that night", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("later that day", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("earlier that evening", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("late that night", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("hours later", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("a few hours later", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("minutes later", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("two hours later", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("shortly afterwards", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-10"),
    ("the following Tuesday", "2026-11-10", "2026-11-10", "2026-11-17", "2026-11-17"),
    ("the following Friday", "2026-11-10", "2026-11-10", "2026-11-13", "2026-11-13"),
    ("the previous Friday", "2026-11-10", "2026-11-10", "2026-11-06", "2026-11-06"),
    ("that week", "2026-11-11", "2026-11-11", "2026-11-09", "2026-11-15"),
    ("that month", "2026-10-11", "2026-10-11", "2026-10-01", "2026-10-31"),
    ("later that month", "2026-10-11", "2026-10-11", "2026-10-11", "2026-10-31"),
    ("earlier that year", "2024-10-11", "2024-10-11", "2024-01-01", "2024-10-11"),
    ("later that year", "2024-10-11", "2024-10-11", "2024-10-11", "2024-12-31"),
    ("the following week", "2026-11-11", "2026-11-11", "2026-11-16", "2026-11-22"),
    ("the following month", "2026-08-11", "2026-08-11", "2026-09-01", "2026-09-30"),
    ("the following year", "2014-01-01", "2014-12-31", "2015-01-01", "2015-12-31"),
    ("the previous year", "2014-01-01", "2014-12-31", "2013-01-01", "2013-12-31"),
    ("the previous week", "2026-11-11", "2026-11-11", "2026-11-02", "2026-11-08"),
    ("that year", "2014-05-01", "2014-05-01", "2014-01-01", "2014-12-31"),
    ("since then", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-24"),
    ("since that day", "2026-11-10", "2026-11-10", "2026-11-10", "2026-11-24"),
    ("three days later", "2014-01-01", "2014-12-31", "", ""),
    ("days later", "2026-11-10", "2026-11-10", "", ""),
    ("months later", "2026-11-10", "2026-11-10", "", ""),
    ("last week", "2026-11-10", "2026-11-10", "2026-11-16", "2026-11-22"),
    ("two weeks ago", "2026-11-01", "2026-11-01", "2026-11-10", "2026-11-10"),
    ("Tuesday", "2026-11-10", "2026-11-10", "2026-11-24", "2026-11-24"),
    ("yesterday", "2026-11-10", "2026-11-10", "2026-11-23", "2026-11-23"),
    ("10 days after", "2026-11-10", "2026-11-10", "2026-11-20", "2026-11-20"),
    ("over the following week", "2026-11-11", "2026-11-11", "2026-11-16", "2026-11-22"),
    ("the day after", "2026-11-10", "2026-11-11", "2026-11-11", "2026-11-12"),
]


@pytest.mark.parametrize(("text", "first", "last", "earliest", "latest"), ANCHORED)
def test_dates_can_be_seen_from_the_event_before(text: str, first: str, last: str, earliest: str, latest: str) -> None:
    assert resolve_date(text, TUESDAY, anchor=(first, last)) == (earliest or None, latest or None)


@pytest.mark.parametrize("anchor", [("", ""), ("2026-11-10", ""), ("soon", "2026-11-10"), ("2026-11-10", "2026-11-01")])
def test_an_anchor_without_both_days_in_order_is_passed_over(anchor: tuple[str, str]) -> None:
    assert resolve_date("the next day", TUESDAY, anchor=anchor) == (None, None)


days = st.dates(date(1990, 1, 1), date(2035, 1, 1))


@settings(deadline=None)  # the first phrase in another language loads dateparser
@given(st.sampled_from(PHRASES), days, st.booleans(), st.one_of(st.none(), st.tuples(days, days)))
def test_days_are_in_order_from_wherever_they_are_seen(
    text: str, today: date, future: bool, anchor: tuple[date, date] | None
) -> None:
    before = (min(anchor).isoformat(), max(anchor).isoformat()) if anchor else None
    earliest, latest = resolve_date(text, datetime(today.year, today.month, today.day), future, before)
    assert earliest is None or latest is None or earliest <= latest


# The day in brackets, the realis of its event, and whether it lies ahead.
AHEAD = [
    ("The talks will resume in Geneva on [Tuesday].", "actual", True),
    ("Ministers are due to meet in Brussels on [Friday].", "actual", True),
    ("A march is planned for [Sunday] in the capital.", "actual", True),
    ("The vote is scheduled for [Dec. 3].", "actual", True),
    ("The court is set to rule on [Thursday].", "actual", True),
    ("[Friday]'s planned march was called off.", "actual", True),
    ("On [Friday], lawmakers will vote on the bill.", "actual", True),
    ("On [Friday], lawmakers voted on the bill.", "actual", False),
    ("The president arrived in Moscow on [Tuesday].", "actual", False),
    ("The minister said on [Tuesday] that talks would resume.", "future", False),
    ("Unions announced on [Monday] a general strike for Friday.", "future", False),
    ("Unions announced on Monday a general strike for [Friday].", "future", True),
    ("Gunmen killed 12 people in the town on [Saturday].", "actual", False),
    ("The army said on [Sunday] it would withdraw by Friday.", "actual", False),
    ("The army said on Sunday it would withdraw by [Friday].", "future", True),
    ("The army said on Sunday it would withdraw by [Friday].", "actual", True),
    ("The two sides may agree to meet on [Friday].", "hypothetical", True),
    ("The leader, who will face trial next month, was shot on [Tuesday].", "actual", False),
    ("He was due to appear in court on [Tuesday] but did not.", "negated", False),
    ("They had been expected to sign the deal when fighting broke out on [Sunday].", "actual", False),
    ("The president will visit Ankara [next week].", "actual", True),
    ("The envoy flies to Doha [next Monday].", "actual", True),
    ("The ceasefire takes effect on [Sunday].", "actual", True),
    ("Police told the refugees to leave by [Friday].", "actual", True),
    ("By [Friday] the rebels had taken the town.", "actual", False),
    ("Rebels had taken the town by [Friday].", "actual", False),
    ("Reporters must leave the country by [Friday].", "actual", True),
    ("They called for the resignation of the government on [Saturday].", "actual", False),
    ("The opposition vowed to march on parliament on [Wednesday].", "hypothetical", True),
    ("Troops could enter the city on [Thursday].", "future", True),
    ("Hamas said it would free three hostages on [Saturday].", "future", True),
    ("Three hostages were freed on [Saturday].", "actual", False),
    ("The summit, set for [December 5], has been cancelled.", "negated", True),
    ("Israeli strikes killed five after rockets were fired on [Monday].", "actual", False),
    ("The parliament voted on [Monday] to expel the ambassador, who will leave next week.", "actual", False),
    ("The parliament voted on Monday to expel the ambassador, who will leave [next week].", "actual", True),
    ("He is to be sworn in on [Monday].", "actual", True),
    ("Voters go to the polls on [Sunday].", "actual", True),
    ("[Sunday]'s attack killed 12.", "actual", False),
    ("[Tuesday]'s meeting will be held behind closed doors.", "actual", True),
    ("[Tuesday]", "actual", False),
    ("[Tuesday]", "future", True),
    ("Soldiers were deployed on [Thursday] ahead of the vote.", "actual", False),
    ("The rally on [Saturday] drew thousands.", "actual", False),
    ("A ceasefire that was to begin on [Friday] collapsed.", "actual", False),
    ("The rebels will not attend the talks on [Thursday], they said.", "negated", True),
    ("The minister will resign, state TV reported on [Sunday].", "actual", False),
    ("After the raid on [Sunday], the army said it would send more troops.", "actual", False),
    ("The prime minister, who would resign a week later, met the king on [Monday].", "actual", False),
    ("The trial began on [Monday].", "actual", False),
    ("The trial begins on [Monday].", "actual", True),
    ("The UN Security Council will meet on [Wednesday] to discuss the attack.", "future", True),
    ("The protest was held ahead of a vote expected on [Sunday].", "actual", True),
    ("Russia plans to hold drills in the Baltic on [Monday].", "actual", True),
    ("Residents fled when shells hit the market on [Monday].", "actual", False),
    ("The group, expected to disarm, attacked the base on [Sunday].", "actual", False),
    ("Iran warned on [Monday] that it would retaliate.", "hypothetical", False),
    ("He told reporters on [Tuesday] that troops would leave.", "future", False),
    ("The foreign minister is expected in Kyiv on [Friday], an aide said.", "actual", True),
    ("The two men had planned to meet on [Friday].", "actual", False),
    ("Talks that were due to open on [Sunday] have been postponed.", "negated", True),
    ("The trial, which was scheduled to open on [Sunday], was put off.", "negated", True),
    ("Gunmen freed the crew the [next morning].", "actual", False),
    ("The prime minister will compensate the families of farmers killed by soldiers [last year].", "historical", False),
    ("A French court will hear the appeal of a doctor convicted in [April].", "historical", False),
    ("Chile's communists threatened to leave the coalition on [Tuesday] if the deal was signed.", "actual", False),
    ("EU leaders endorsed a plan on [Friday] to send police to Kosovo.", "actual", False),
    ("The curfew will run from 7 p.m. to 5 a.m. until [Wednesday].", "actual", True),
    ("They hacked to death 14 farmers before [Wednesday].", "actual", False),
    ("Colombo told India's envoy, summoned on [Monday], that trawlers would be seized.", "actual", False),
    ("He would say no more about [Tuesday]'s raid.", "actual", False),
    ("Police will question the man arrested on [Monday].", "actual", False),
    ("The hostages will be released on [Monday].", "actual", True),
    ("The Arab League's chief may travel to Baghdad in [June].", "hypothetical", True),
    ("The Polish president promised ten more jets by [Easter].", "actual", True),
    ("Kigali has pledged that the M23 will leave by [the end of March].", "actual", True),
]


@pytest.mark.parametrize(("sentence", "realis", "expected"), AHEAD)
def test_the_words_around_a_day_tell_whether_it_lies_ahead(sentence: str, realis: str, expected: bool) -> None:
    start, end = sentence.index("["), sentence.index("]") - 1
    assert ahead(sentence.replace("[", "").replace("]", ""), start, end, realis) == expected


@given(st.text(max_size=200), st.integers(-5, 250), st.integers(-5, 250), st.sampled_from(["actual", "future", ""]))
def test_any_string_can_be_asked_whether_it_lies_ahead(text: str, start: int, end: int, realis: str) -> None:
    assert ahead(text, start, end, realis) in (True, False)


# Country, longitude and province of the dateline, publication, and the clock there.
LOCAL = [
    ("AUS", 151.2, "New South Wales", "2026-11-24T20:00+00:00", "2026-11-25T07:00"),
    ("AUS", None, None, "2026-11-24T20:00", "2026-11-25T07:00"),
    ("AUS", 115.9, None, "2026-11-24T20:00+00:00", "2026-11-25T04:00"),
    ("USA", -118.2, "California", "2026-11-25T05:00+00:00", "2026-11-24T21:00"),
    ("USA", -157.9, "Hawaii", "2026-11-25T05:00+00:00", "2026-11-24T19:00"),
    ("USA", None, None, "2026-11-25T04:30+00:00", "2026-11-24T23:30"),
    ("USA", -77.0, None, "2026-07-25T03:30+00:00", "2026-07-24T23:30"),
    ("RUS", 131.9, "Primorye", "2026-11-24T20:00+00:00", "2026-11-25T06:00"),
    ("RUS", None, None, "2026-11-24T20:00+00:00", "2026-11-24T23:00"),
    ("COD", 29.2, "Nord Kivu", "2026-11-24T20:00+00:00", "2026-11-24T22:00"),
    ("COD", 15.3, "Kinshasa", "2026-11-24T20:00+00:00", "2026-11-24T21:00"),
    ("BRA", -46.6, "São Paulo", "2026-11-24T02:00+00:00", "2026-11-23T23:00"),
    ("IND", None, None, "2026-11-24T20:00+00:00", "2026-11-25T01:30"),
    ("PHL", None, None, "2026-11-25T01:00+08:00", "2026-11-25T01:00"),
    ("IGO", None, None, "2026-11-24T20:00+00:00", "2026-11-24T20:00"),
    (None, None, None, "2026-11-24T20:00+00:00", "2026-11-24T20:00"),
]


@pytest.mark.parametrize(("country", "lon", "admin1", "published", "clock"), LOCAL)
def test_publication_can_be_put_on_the_clock_of_the_dateline(
    country: str | None, lon: float | None, admin1: str | None, published: str, clock: str
) -> None:
    local = local_time(datetime.fromisoformat(published), country, lon, admin1)
    assert local.replace(tzinfo=None) == datetime.fromisoformat(clock)


def test_a_day_without_a_time_stays_that_day() -> None:
    day = datetime(2026, 11, 24, tzinfo=UTC)
    assert local_time(day, "USA", -118.2) == day


@pytest.mark.parametrize("edge", [datetime.min, datetime.max])
@pytest.mark.parametrize("country", ["USA", "NZL", "", "??"])
def test_the_ends_of_time_can_be_put_on_any_clock(edge: datetime, country: str) -> None:
    assert isinstance(local_time(edge, country, float("nan")), datetime)


def test_every_country_has_a_zone_that_the_database_knows() -> None:
    zones = {country: ZoneInfo(zone) for country, _, _, zone in rows("zones")}
    assert zones.keys() == {row[0] for row in rows("countries")}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Tuesday", "weekday on or before publication; on or after it if ahead"),
        ("January 7", "day and month, the last one before publication; the next if ahead; with a year, that day"),
        ("since Monday", "from then to publication: weekday on or before publication; on or after it if ahead"),
        ("in 2014", "year"),
        ("5 мая 2023", "read by dateparser"),
        ("eve of the vote", "no day that can be known"),
    ],
)
def test_a_reading_says_by_which_rule(text: str, rule: str) -> None:
    reading = date_reading(text, TUESDAY)
    assert reading.rule == rule
    assert (reading.earliest, reading.latest) == resolve_date(text, TUESDAY)


@pytest.mark.parametrize(
    ("year", "western", "eastern"),
    [(2022, "2022-04-17", "2022-04-24"), (2023, "2023-04-09", "2023-04-16"), (2024, "2024-03-31", "2024-05-05"),
     (2025, "2025-04-20", "2025-04-20"), (2026, "2026-04-05", "2026-04-12")],
)  # fmt: skip
def test_both_easters_can_be_computed(year: int, western: str, eastern: str) -> None:
    assert (easter(year).isoformat(), orthodox_easter(year).isoformat()) == (western, eastern)


@pytest.mark.parametrize(
    ("name", "year", "first", "last"),
    [
        ("thanksgiving", 2026, "2026-11-26", "2026-11-26"),
        ("memorial day", 2026, "2026-05-25", "2026-05-25"),
        ("labor day", 2025, "2025-09-01", "2025-09-01"),
        ("passover", 2024, "2024-04-23", "2024-04-29"),
        ("yom kippur", 2023, "2023-09-25", "2023-09-25"),
        ("simchat torah", 2023, "2023-10-07", "2023-10-07"),
        ("tet", 2025, "2025-01-29", "2025-01-29"),
    ],
)
def test_moving_feasts_can_be_dated(name: str, year: int, first: str, last: str) -> None:
    days = feast(name, year)
    assert days is not None
    assert [day.isoformat() for day in days] == [first, last]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_form_that_fits_can_be_passed_over_with_its_group(data: st.DataObject) -> None:
    holds, forms = data.draw(st.sampled_from(FORMS))
    _, pattern, _ = data.draw(st.sampled_from(forms))
    assert holds.search(data.draw(st.from_regex(pattern, fullmatch=True)))
