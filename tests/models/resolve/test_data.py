import re

import pytest

from models.ontology import TYPES
from models.resolve import gazetteer
from models.resolve.lexicon import rows, tokens
from models.spelling import fold

SECTORS = set("GOV MIL COP SPY JUD LEG REB UAF OPP PTY ELI REL EDU BUS MED LAB CRM REF CVL".split())
COUNTRIES = {row[0] for row in rows("countries")}
ACTORS = COUNTRIES | {"IGO", "NGO", "IMG"}
DAY = re.compile(r"(?:\d{4}(?:-\d\d(?:-\d\d)?)?)?")


def test_every_country_has_a_code_a_name_and_a_place_on_the_map() -> None:
    assert len(COUNTRIES) == 248
    for code, iso2, identity, lat, lon, names, *_ in rows("countries"):
        assert re.fullmatch("[A-Z]{3}", code) and re.fullmatch("[A-Z]{2}", iso2) and identity.isdigit() and names
        if code not in ("ATA", "UMI"):
            assert -90 <= float(lat) <= 90 and -180 <= float(lon) <= 180


@pytest.mark.parametrize("file", ["groups", "organisations"])
def test_every_group_and_organisation_has_a_known_country_and_sector(file: str) -> None:
    for country, sector, names, first, last in rows(file):
        assert country in ACTORS, names
        assert sector in SECTORS or (sector == "" and country in ("IGO", "NGO")), names
        assert all(name.strip() == name and name for name in names.split("|")), names
        assert DAY.fullmatch(first) and DAY.fullmatch(last), names


@pytest.mark.parametrize("file", ["groups", "organisations"])
def test_no_name_stands_for_two_at_the_same_time(file: str) -> None:
    seen: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for _, _, names, first, last in rows(file):
        # As text, a year or month ends after all its days.
        period = (first, f"{last or 9999}-99")
        for name in names.split("|"):
            earlier = seen.setdefault((" ".join(token.key for token in tokens(name)), name.isupper()), [])
            assert not any(period[0] <= end and start <= period[1] for start, end in earlier), name
            earlier.append(period)


def test_there_are_enough_groups_and_leaders() -> None:
    assert len({row[2].split("|")[0] for row in rows("groups")}) >= 900
    assert sum(row[2].count("|") + 1 for row in rows("groups")) > 1500
    assert sum(1 for _ in rows("leaders")) > 500


def test_every_leader_has_a_country_and_terms_in_order() -> None:
    for country, sector, names, terms in rows("leaders"):
        assert country in ACTORS and (sector in SECTORS or country in ("IGO", "NGO")), names
        for term in terms.split(";"):
            first, last = term.split("..")
            assert re.fullmatch(r"\d{4}(-\d\d){0,2}", first) and DAY.fullmatch(last), names
            assert not last or first[: len(last)] <= last, names


def test_every_noun_has_one_meaning() -> None:
    nouns = [noun for sector, rank, words in rows("nouns") for noun in words.split("|")]
    assert sorted(nouns) == sorted(set(nouns))
    assert {row[0] for row in rows("nouns")} <= SECTORS | {"-", "NGO", "IGO"}
    assert {row[1] for row in rows("nouns")} == {"strong", "weak", "office"}


@pytest.mark.parametrize("file", ["regions", "places"])
def test_every_region_and_place_lies_on_the_map(file: str) -> None:
    for names, country, lat, lon, *_ in rows(file):
        assert country in COUNTRIES | {""}, names
        if names:
            assert -90 <= float(lat) <= 90 and -180 <= float(lon) <= 180, names


def test_places_of_five_hundred_inhabitants_and_their_provinces_can_be_found() -> None:
    found = gazetteer.find(fold("Soldeu"))
    assert [(place.country, place.admin1, place.geonames_id) for place in found] == [("AND", "Canillo", 3038999)]
    assert gazetteer.find("") == gazetteer.find("no such place at all") == []


def test_every_capital_is_in_the_gazetteer() -> None:
    missing = [
        (row[0], seat)
        for row in rows("countries")
        if (seat := row[8].split("|")[0]) and row[0] not in ("VAT", "COM")
        and not any(place.country == row[0] for place in gazetteer.find(fold(seat)))
    ]  # fmt: skip
    assert missing == []


def test_the_ontology_and_the_sectors_do_not_share_names() -> None:
    assert SECTORS.isdisjoint(TYPES)
