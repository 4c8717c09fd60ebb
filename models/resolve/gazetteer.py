"""Places of the world by name: GeoNames' places of 500 inhabitants and more, provinces and districts.

The file is one sorted list of names, searched by halving, so that 300,000 places cost some 20 MB and no start-up.
Data: GeoNames (geonames.org), CC BY 4.0; see NOTICE and build_gazetteer.py.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from models.resolve.text import read_data

PLACE, ADMIN1, DISTRICT = 0, 1, 2


class Found(NamedTuple):
    """A row of the gazetteer. `country` is ISO 3166-1 alpha-3, `kind` one of PLACE, ADMIN1 and DISTRICT.

    `main` tells whether the name asked for is the row's own, not one of its other spellings; `geonames_id` is None for the
    few provinces that could not be matched with GeoNames' own list.
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


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Every country as alpha-3 and alpha-2 code, in the order in which the gazetteer counts them."""
    lines = read_data("countries.tsv").splitlines()[2:]
    return tuple((line.split("\t")[0], line.split("\t")[1]) for line in lines)


class _Gazetteer:
    def __init__(self) -> None:
        with files(__package__).joinpath("data/gazetteer.npz").open("rb") as file, np.load(file) as data:
            self._names: bytes = data["names"].tobytes()
            self._titles: bytes = data["titles"].tobytes()
            counts = data["counts"]
            self._entries = data["entries"]
            self._columns = [
                data[name] for name in ("country", "admin1", "lat", "lon", "geonames_id", "population", "kind")
            ]
        self._name_starts = _line_starts(self._names)
        self._title_starts = _line_starts(self._titles)
        self._firsts = np.concatenate(([0], np.cumsum(counts, dtype=np.uint32)))

    def find(self, folded: str) -> list[Found]:
        wanted = folded.encode("utf-8", "replace")
        low, high = 0, len(self._name_starts) - 1
        while low < high:
            middle = (low + high) // 2
            if self._name(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        if low >= len(self._name_starts) - 1 or self._name(low) != wanted:
            return []
        return [self._row(int(entry)) for entry in self._entries[self._firsts[low] : self._firsts[low + 1]]]

    def _name(self, number: int) -> bytes:
        return self._names[self._name_starts[number] : self._name_starts[number + 1] - 1]

    def _title(self, number: int) -> str:
        return self._titles[self._title_starts[number] : self._title_starts[number + 1] - 1].decode()

    def _row(self, entry: int) -> Found:
        number = entry >> 1
        country, admin1, lat, lon, identity, population, kind = (column[number].item() for column in self._columns)
        return Found(
            self._title(number), countries()[country][0], self._title(admin1) if admin1 else None,
            round(lat, 5), round(lon, 5), identity or None, population, kind, bool(entry & 1),
        )  # fmt: skip


def _line_starts(lines: bytes) -> np.ndarray:
    """Where each line starts, and after them where one more would."""
    breaks = np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == ord("\n")) + 1
    return np.concatenate(([0], breaks, [len(lines) + 1]))


@cache
def _gazetteer() -> _Gazetteer:
    return _Gazetteer()


def find(folded: str) -> list[Found]:
    """All places of that name (as `fold` spells it), in no order."""
    return _gazetteer().find(folded)
