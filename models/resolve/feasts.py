"""Feasts and holidays that news dates events by: the same day each year, by Easter, or by the moon."""

from __future__ import annotations

from datetime import date, timedelta

from models.resolve.calendar_spans import nth_weekday


def easter(year: int) -> date:
    """Western Easter Sunday, by the anonymous Gregorian computus."""
    golden, century = year % 19, year // 100
    moon = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= (moon // 28) * (1 - (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    back = moon - weekday
    month = 3 + (back + 40) // 44
    return date(year, month, back + 28 - 31 * (month // 4))


def orthodox_easter(year: int) -> date:
    """Easter Sunday of the eastern churches in the Gregorian calendar (1900 to 2099), by Meeus's Julian computus."""
    moon = (19 * (year % 19) + 15) % 30
    weekday = (2 * (year % 4) + 4 * (year % 7) - moon + 34) % 7
    month, day = divmod(moon + weekday + 114, 31)
    return date(year, month, day + 1) + timedelta(days=13)


# Days of the year, or days from Easter, or days of the year by the moon.
_FIXED = {
    "christmas day": (12, 25), "christmas": (12, 25), "christmas eve": (12, 24), "boxing day": (12, 26), "new year": (1, 1),
    "new year's day": (1, 1), "new year's eve": (12, 31), "epiphany": (1, 6), "orthodox christmas": (1, 7), "may day": (5, 1),
    "international workers' day": (5, 1), "women's day": (3, 8), "international women's day": (3, 8), "victory day": (5, 9),
    "bastille day": (7, 14), "halloween": (10, 31), "all saints' day": (11, 1), "all souls' day": (11, 2), "nowruz": (3, 21),
    "valentine's day": (2, 14), "armistice day": (11, 11), "remembrance day": (11, 11), "labour day": (5, 1),
    "yennayer": (1, 12),
    "saba saba day": (7, 7), "anzac day": (4, 25), "nakba day": (5, 15), "juneteenth": (6, 19), "land day": (3, 30),
}  # fmt: skip
_FROM_EASTER = {
    "palm sunday": -7, "holy thursday": -3, "maundy thursday": -3, "good friday": -2, "holy saturday": -1, "easter sunday": 0,
    "easter": 0, "easter monday": 1, "ascension day": 39, "ascension": 39, "pentecost": 49, "ash wednesday": -46,
    "shrove tuesday": -47, "carnival": -47, "corpus christi": 60,
}  # fmt: skip
_FROM_ORTHODOX_EASTER = {"orthodox easter": 0, "orthodox good friday": -2, "orthodox palm sunday": -7}
# Month, weekday and which of them in the month, None for the last.
_BY_WEEKDAY = {
    "thanksgiving": (11, 3, 4),
    "thanksgiving day": (11, 3, 4),
    "labor day": (9, 0, 1),
    "memorial day": (5, 0, None),
    "martin luther king jr. day": (1, 0, 3),
}
# The Jewish feasts keep their distance in days from the first day of Rosh Hashanah, Passover before it and the others after
# it: first day, last day (Israel's count).
_JEWISH_NEW_YEAR = {
    2014: "09-25", 2015: "09-14", 2016: "10-03", 2017: "09-21", 2018: "09-10", 2019: "09-30", 2020: "09-19", 2021: "09-07",
    2022: "09-26", 2023: "09-16", 2024: "10-03", 2025: "09-23", 2026: "09-12", 2027: "10-02",
}  # fmt: skip
_JEWISH = {
    "passover": (-163, -157), "shavuot": (-113, -113), "rosh hashanah": (0, 1), "yom kippur": (9, 9), "sukkot": (14, 20),
    "simchat torah": (21, 21),
}  # fmt: skip
_LUNAR_NEW_YEAR = {
    2014: "01-31", 2015: "02-19", 2016: "02-08", 2017: "01-28", 2018: "02-16", 2019: "02-05", 2020: "01-25", 2021: "02-12",
    2022: "02-01", 2023: "01-22", 2024: "02-10", 2025: "01-29", 2026: "02-17", 2027: "02-06",
}  # fmt: skip
_LUNAR_NAMES = ("lunar new year", "chinese new year", "tet")
# First days of Ramadan, of Eid al-Fitr and of Eid al-Adha as most countries kept or will keep them.
_ISLAMIC = {
    2014: ("06-28", "07-28", "10-04"), 2015: ("06-18", "07-17", "09-24"), 2016: ("06-06", "07-06", "09-12"),
    2017: ("05-27", "06-25", "09-01"), 2018: ("05-17", "06-15", "08-21"), 2019: ("05-06", "06-04", "08-11"),
    2020: ("04-24", "05-24", "07-31"), 2021: ("04-13", "05-13", "07-20"), 2022: ("04-02", "05-02", "07-09"),
    2023: ("03-23", "04-21", "06-28"), 2024: ("03-11", "04-10", "06-16"), 2025: ("03-01", "03-30", "06-06"),
    2026: ("02-18", "03-20", "05-27"), 2027: ("02-08", "03-10", "05-16"), 2028: ("01-28", "02-27", "05-05"),
}  # fmt: skip
_ISLAMIC_DAYS = {
    "start of ramadan": 0, "first day of ramadan": 0, "first of ramadan": 0, "beginning of ramadan": 0, "eid": 1,
    "eid al-fitr": 1, "eid el-fitr": 1, "eid ul-fitr": 1, "eid al-adha": 2, "eid el-adha": 2, "eid ul-adha": 2,
}  # fmt: skip

NAMES = (
    *_FIXED, *_FROM_EASTER, *_FROM_ORTHODOX_EASTER, *_BY_WEEKDAY, *_JEWISH, *_LUNAR_NAMES, *_ISLAMIC_DAYS, "ramadan",
    "holy week",
)  # fmt: skip


def feast(name: str, year: int) -> tuple[date, date] | None:
    """The first and last day of the feast in that year; None where they are not known (lunar years outside the table)."""
    if name in _FIXED:
        return _one(date(year, *_FIXED[name]))
    if name in _FROM_EASTER:
        return _one(easter(year) + timedelta(days=_FROM_EASTER[name]))
    if name in _FROM_ORTHODOX_EASTER:
        return _one(orthodox_easter(year) + timedelta(days=_FROM_ORTHODOX_EASTER[name]))
    if name in _BY_WEEKDAY:
        day = nth_weekday(year, *_BY_WEEKDAY[name])
        return _one(day) if day else None
    if name in _JEWISH:
        if year not in _JEWISH_NEW_YEAR:
            return None
        start, (first, last) = date.fromisoformat(f"{year}-{_JEWISH_NEW_YEAR[year]}"), _JEWISH[name]
        return start + timedelta(days=first), start + timedelta(days=last)
    if name in _LUNAR_NAMES:
        return _one(date.fromisoformat(f"{year}-{_LUNAR_NEW_YEAR[year]}")) if year in _LUNAR_NEW_YEAR else None
    if name == "holy week":
        return easter(year) - timedelta(days=7), easter(year) - timedelta(days=1)
    if year not in _ISLAMIC:
        return None
    days = [date.fromisoformat(f"{year}-{day}") for day in _ISLAMIC[year]]
    return (days[0], days[1] - timedelta(days=1)) if name == "ramadan" else _one(days[_ISLAMIC_DAYS[name]])


def _one(day: date) -> tuple[date, date]:
    return day, day
