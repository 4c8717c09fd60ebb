"""Places of the world by name: GeoNames' places of 500 inhabitants and more, provinces and districts.

The file is one sorted list of names, searched by halving, so that 250,000 places cost some 30 MB and no start-up.
Data: GeoNames (geonames.org), CC BY 4.0; see NOTICE and build_gazetteer.py.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from models.resolve.text import read_data

PLACE, ADMIN1, DISTRICT = 0, 1, 2
_BLOCK = 32


class Found(NamedTuple):
    """A row of the gazetteer. `country` is ISO 3166-1 alpha-3, `kind` one of PLACE, ADMIN1 and DISTRICT.

    `main` tells whether the name asked for is the row's own, not one of its other spellings; `geonames_id` is None for the
    few provinces that could not be matched with GeoNames' own list. `admin1_code` is the ISO 3166-2 code of the province that
    it is or lies in ("NG-NI"), None where ISO has none.
    """

    name: str
    country: str
    admin1: str | None
    lat: float
    lon: float
    geonames_id: int | None
    population: int
    kind: int
    main: bool
    admin1_code: str | None


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Every country as alpha-3 and alpha-2 code, in the order in which the gazetteer counts them."""
    lines = read_data("countries.tsv").splitlines()[2:]
    return tuple((line.split("\t")[0], line.split("\t")[1]) for line in lines)


@cache
def country_names() -> dict[str, str]:
    """The usual name of each country, by its alpha-3 code."""
    rows = (line.split("\t") for line in read_data("countries.tsv").splitlines()[2:] if line)
    return {row[0]: row[5].split("|")[0] for row in rows}


class _Gazetteer:
    def __init__(self) -> None:
        with files(__package__).joinpath("data/gazetteer.npz").open("rb") as file, np.load(file) as data:
            self._names: bytes = data["names"].tobytes()
            self._titles: bytes = data["titles"].tobytes()
            counts = data["counts"]
            # A memoryview gives plain numbers, in a third of the time that an array takes for one.
            self._entries = data["entries"].data
            names = ("country", "admin1", "lat", "lon", "geonames_id", "population", "kind")
            self._columns = [data[name].data for name in names]
            self._first_province = int(np.argmax(data["kind"] == ADMIN1))
            self._iso_codes = [code.decode() or None for code in data["iso_codes"].tolist()]
        self._title_starts = _line_starts(self._titles).data
        self._firsts = np.concatenate((np.zeros(1, np.uint32), np.cumsum(counts, dtype=np.uint32))).data
        # One name in so many is kept apart, so that Python's own bisect and search in bytes do all the work.
        self._block_starts = _line_starts(self._names)[:-1:_BLOCK].tolist()
        self._block_names = [self._names[at : self._names.find(b"\n", at)] for at in self._block_starts]

    def find(self, folded: str) -> list[Found]:
        wanted = folded.encode("utf-8", "replace")
        block = bisect_right(self._block_names, wanted) - 1
        if block < 0 or b"\n" in wanted:
            return []
        start, end = self._block_starts[block], (*self._block_starts[block + 1 : block + 2], len(self._names) + 1)[0]
        lines = b"\n" + self._names[start : end - 1] + b"\n"
        at = lines.find(b"\n" + wanted + b"\n")
        if at < 0:
            return []
        number = block * _BLOCK + lines.count(b"\n", 0, at)
        return [self._row(entry) for entry in self._entries[self._firsts[number] : self._firsts[number + 1]]]

    def _title(self, number: int) -> str:
        return self._titles[self._title_starts[number] : self._title_starts[number + 1] - 1].decode()

    def _row(self, entry: int) -> Found:
        number = entry >> 1
        country, admin1, lat, lon, identity, population, kind = [column[number] for column in self._columns]
        province = number if kind == ADMIN1 else admin1
        code = self._iso_codes[province - self._first_province] if province else None
        return Found(
            self._title(number), countries()[country][0], self._title(admin1) if admin1 else None,
            round(lat, 5), round(lon, 5), identity or None, population, kind, bool(entry & 1), code,
        )  # fmt: skip


def _line_starts(lines: bytes) -> np.ndarray:
    """Where each line starts, and after them where one more would."""
    breaks = np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == ord("\n")) + 1
    return np.concatenate(([0], breaks, [len(lines) + 1])).astype(np.uint32)


@cache
def _gazetteer() -> _Gazetteer:
    return _Gazetteer()


def find(folded: str) -> list[Found]:
    """All places of that name (as `fold` spells it), in no order."""
    return _gazetteer().find(folded)
