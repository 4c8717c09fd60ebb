import dataclasses

import pytest

from models.resolve import gazetteer, resolve_place
from models.resolve.lexicon import rows
from models.spelling import fold


@pytest.mark.parametrize(
    ("mention", "hints", "code"),
    [
        ("Niger state", "", "NG-NI"),
        ("Borno", "", "NG-BO"),
        ("Abuja", "NGA", "NG-FC"),
        ("Goma", "", "CD-NK"),
        ("North Kivu", "", "CD-NK"),
        ("Ituri", "", "CD-IT"),
        ("Kherson region", "", "UA-65"),
        ("Kharkiv", "", "UA-63"),
        ("Kyiv", "", "UA-30"),
        ("Bucha", "", "UA-32"),
        ("Crimea", "", "UA-43"),
        ("Bakhmut", "", "UA-14"),
        ("Aleppo", "", "SY-HL"),
        ("Idlib province", "", "SY-ID"),
        ("Hmeimim air base", "", "SY-LA"),
        ("Mosul", "", "IQ-NI"),
        ("Sulaimaniya", "IRQ", "IQ-SU"),
        ("El Fasher", "", "SD-DN"),
        ("Malakal", "", "SS-NU"),
        ("Mekele", "", "ET-TI"),
        ("Amhara", "", "ET-AM"),
        ("Sittwe", "", "MM-16"),
        ("Hodeidah", "", "YE-HU"),
        ("Marib", "", "YE-MA"),
        ("Kandahar", "", "AF-KAN"),
        ("Peshawar", "", "PK-KP"),
        ("Balochistan", "", "PK-BA"),
        ("Srinagar", "", "IN-JK"),
        ("Imphal", "", "IN-MN"),
        ("Cali", "", "CO-VAC"),
        ("Culiacan", "", "MX-SIN"),
        ("Gao", "", "ML-7"),
        ("Djibo", "", "BF-12"),
        ("Diffa", "", "NE-2"),
        ("Kismayo", "", "SO-JH"),
        ("Naqoura", "", "LB-JA"),
        ("Baalbek", "", "LB-BH"),
        ("Sderot", "", "IL-D"),
        ("Belgorod", "", "RU-BEL"),
        ("Grozny", "", "RU-CE"),
        ("Barnaul", "", "RU-ALT"),
        ("Gorno-Altaysk", "", "RU-AL"),
        ("Diyarbakir", "", "TR-21"),
        ("Buenos Aires", "", "AR-C"),
        ("Texas", "", "US-TX"),
        ("Pemba", "MOZ", "MZ-P"),
        ("Gaza City", "", None),
        ("Nigeria", "", None),
        ("Red Sea", "YEM", None),
        ("Darfur", "", None),
    ],
)
def test_the_province_of_a_place_has_its_iso_code(mention: str, hints: str, code: str | None) -> None:
    found = resolve_place([mention], hints.split())
    assert found is not None
    assert found.admin1_code == code


def test_every_iso_code_is_of_the_country_of_its_province() -> None:
    iso2 = dict(gazetteer.countries())
    names = {fold(name) for names, *_ in rows("places") for name in names.split("|")} | {
        "san jose",
        "victoria",
        "punjab",
    }
    codes = [
        (found.country, found.admin1_code) for name in names for found in gazetteer.find(name) if found.admin1_code
    ]
    assert len(codes) > 500
    assert [(country, code) for country, code in codes if not code.startswith(iso2[country] + "-")] == []


def test_there_are_enough_places_of_conflict_and_their_provinces_are_known() -> None:
    listed = list(rows("places"))
    assert len(listed) >= 750
    unknown = {
        (country, admin1)
        for _, country, _, _, admin1 in listed
        if admin1
        and not any(
            found.kind == gazetteer.ADMIN1 and found.country == country for found in gazetteer.find(fold(admin1))
        )
    }
    assert unknown <= {("GEO", "Tbilisi")}


def test_no_place_of_conflict_is_listed_twice_in_one_country() -> None:
    names = [
        (fold(name), country) for names, country, *_ in rows("places") for name in set(map(fold, names.split("|")))
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("mentions", "hints", "provinces", "country", "admin1"),
    [
        ("Santiago", "", "", "CHL", "Santiago Metropolitan"),
        ("Springfield", "USA", "Illinois", "USA", "Illinois"),
        ("Springfield", "USA", "Massachusetts|Vermont", "USA", "Massachusetts"),
        ("San Fernando", "PHL", "Ilocos", "PHL", "Ilocos"),
        ("Tripoli", "", "Liban-Nord", "LBN", "Liban-Nord"),
        ("Hyderabad", "", "Sindh", "PAK", "Sindh"),
        ("Paris", "USA", "Texas", "FRA", "Île-de-France"),
    ],
)
def test_the_provinces_of_the_article_count(
    mentions: str, hints: str, provinces: str, country: str, admin1: str
) -> None:
    found = resolve_place(mentions.split("|"), hints.split(), provinces.split("|"))
    assert found is not None
    assert (found.country, found.admin1) == (country, admin1)


@pytest.mark.parametrize(
    ("mention", "hints", "rule"),
    [
        ("Goma", "", "GeoNames town"),
        ("Kherson region", "", "province"),
        ("Upper Nile", "", "list of regions"),
        ("Dahiyeh", "", "list of conflict places"),
        ("northern Mali", "", "country name"),
        ("parliament", "KEN", "country of the context"),
        ("near the border with Chad", "SDN", "country of the context"),
        ("the Libyan capital", "", "capital of the named country"),
    ],
)
def test_a_place_tells_which_rule_found_it(mention: str, hints: str, rule: str) -> None:
    found = resolve_place([mention], hints.split())
    assert found is not None
    assert found.rule == rule


def test_a_place_tells_what_else_its_name_could_mean() -> None:
    found = resolve_place(["Tripoli"], ["LBN"])
    assert found is not None and found.country == "LBN"
    assert 1 < len(found.refused) <= 5
    assert found.refused[0].startswith("Tripoli, LBY (tripoli, ")
    scores = [float(refused.rpartition(" ")[2].rstrip(")")) for refused in found.refused]
    assert scores == sorted(scores, reverse=True)


def test_what_was_refused_does_not_make_two_places_of_one() -> None:
    found = resolve_place(["Goma"])
    assert found is not None
    assert found == dataclasses.replace(found, rule="", refused=("Goma, BFA (goma, 20.0)",))


def test_a_place_of_conflict_has_the_id_of_the_town_that_it_is() -> None:
    bakhmut, dahiyeh = resolve_place(["Bakhmut"]), resolve_place(["Dahiyeh"])
    assert bakhmut is not None and bakhmut.geonames_id is not None
    assert dahiyeh is not None and dahiyeh.geonames_id is None
