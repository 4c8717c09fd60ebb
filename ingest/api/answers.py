"""What is counted and mapped, out of the columns. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.api.columns import Columns, Rows, moment
from ingest.api.filters import TIMES, Unit
from ingest.records import format_time
from models.ontology import TYPES, quad

_MOST_POINTS = 4000
_MOST_IDS = 5
# Of a cell at zoom 0, in degrees; half of that at each further one.
_WIDEST = 8.0
_MOST_DENSE = 4_000_000  # cells that are counted in an array of their own


def counts(columns: Columns, rows: Rows, by: Sequence[Unit]) -> list[dict[str, str | int]]:
    """How many of the rows there are of each value, or pair of values; what has none of a kind is left out.

    One of two countries or sources counts for both. Ordered by time, else by number, the largest first.
    """
    axes = [_axis(columns, rows, unit) for unit in dict.fromkeys(by)]
    key, sizes = _joined(axes), [len(axis.names) for axis in axes]
    if math.prod(sizes) <= _MOST_DENSE:
        totals = np.bincount(key, minlength=1)
        found = np.flatnonzero(totals)
        totals = totals[found]
    else:
        found, totals = np.unique(key, return_counts=True)
    places = np.unravel_index(found, sizes) if len(found) else [found] * len(axes)
    units = [axis.unit for axis in axes]
    if units[0] in TIMES:
        order = np.lexsort((-totals, places[0]))
    else:
        ranks = [_ranks(axis.names)[place] for axis, place in zip(axes, places, strict=True)]
        order = np.lexsort((*reversed(ranks), -totals))
    labels = [[axis.names[at] for at in place[order].tolist()] for axis, place in zip(axes, places, strict=True)]
    numbers = totals[order].tolist()
    if len(units) == 1:
        return [{units[0]: value, "count": number} for value, number in zip(*labels, numbers, strict=True)]
    one, other = units
    return [
        {one: first, other: second, "count": number} for first, second, number in zip(*labels, numbers, strict=True)
    ]


def _ranks(names: Sequence[str]) -> NDArray[np.intp]:
    """The place of each name among them all in the order of the alphabet."""
    ranks = np.empty(len(names), np.intp)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


@dataclass(frozen=True, slots=True)
class _Axis:
    """The numbers that rows have, one row after the other; how many each has, None where each has one; and their names."""

    unit: Unit
    numbers: NDArray[Any]
    lengths: NDArray[np.intp] | None
    names: list[str]


def _joined(axes: Sequence[_Axis]) -> NDArray[np.intp]:
    """One number for each value, or pair of values that a row has."""
    if len(axes) == 1:
        return axes[0].numbers.astype(np.intp)
    one, other = axes
    left, right = one.numbers, other.numbers
    if one.lengths is not None and other.lengths is not None:
        # Each of the first by each of the second of the same row.
        owners = np.repeat(np.arange(len(one.lengths)), one.lengths)
        times = other.lengths[owners]
        begins = (np.cumsum(other.lengths) - other.lengths)[owners]
        within = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
        left, right = np.repeat(left, times), right[np.repeat(begins, times) + within]
    elif one.lengths is not None:
        right = np.repeat(right, one.lengths)
    elif other.lengths is not None:
        left = np.repeat(left, other.lengths)
    key = left.astype(np.intp)
    key *= len(other.names)
    key += right
    return key


def _axis(columns: Columns, rows: Rows, unit: Unit) -> _Axis:
    if unit in TIMES:
        days = columns.column("day", rows)
        first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
        starts = _starts(np.arange(first, last + 1), unit)
        found, table = np.unique(starts, return_inverse=True)
        names = np.datetime_as_string(found).tolist()
        return _Axis(unit, np.take(table.astype(np.int32), days - first), None, names)
    if unit == "type":
        return _Axis(unit, columns.column("type", rows), None, list(columns.types.names))
    if unit == "quad":
        quads = [quad(name) if name in TYPES else "" for name in columns.types.names]
        names = list(dict.fromkeys(quads))
        table = np.array([names.index(each) for each in quads], np.int32)
        return _Axis(unit, np.take(table, columns.column("type", rows)), None, names)
    lists, known = ("countries", columns.countries) if unit == "country" else ("feeds", columns.feeds)
    listed, lengths = columns.listed(lists, rows)
    single = len(listed) == len(rows) and bool(np.all(lengths == 1))
    return _Axis(unit, listed, None if single else lengths, list(known.names) or [""])


def _starts(days: NDArray[Any], unit: Unit) -> NDArray[Any]:
    """The days (since 1970, a Thursday), the Mondays of their weeks, or their months."""
    if unit == "week":
        days = days - (days + 3) % 7
    dates = days.astype("datetime64[D]")
    return dates.astype("datetime64[M]") if unit == "month" else dates


def points(columns: Columns, rows: Rows, zoom: int, of: str) -> str:
    """GeoJSON features, as the inside of a JSON list, of those rows that have a place: one a cell of a grid, at the mean of
    what lies in it, with the number, the commonest type, the last ids and the time of the latest.

    Cells are of 8 degrees at zoom 0 and half as wide at each further one, but wider where there would be too many.
    """
    lat, lon = columns.column("lat", rows), columns.column("lon", rows)
    placed = ~(np.isnan(lat) | np.isnan(lon))
    if not placed.all():
        rows, lat, lon = rows[placed], lat[placed], lon[placed]
    if not len(rows):
        return ""
    number, cells = _cells(lat, lon, zoom)
    totals = np.bincount(cells, minlength=number)
    mean_lat = np.bincount(cells, lat, number) / totals
    mean_lon = np.bincount(cells, lon, number) / totals
    kinds = len(columns.types.names)
    types = np.bincount(cells * kinds + columns.column("type", rows), minlength=number * kinds)
    commonest = types.reshape(number, kinds).argmax(axis=1)
    # Sorted by cell, and within by time, as the numbers of cells are small and the sort is stable.
    order, ends = np.argsort(cells.astype(np.int16), kind="stable"), np.cumsum(totals)
    newest = ends[:, None] - 1 - np.arange(_MOST_IDS)
    valid = np.arange(_MOST_IDS) < totals[:, None]
    last = rows[order[np.where(valid, newest, 0)]]
    ids = iter(columns.ids(last[valid]).pairs)
    latest = columns.column("known", last[:, 0]).tolist()
    names = columns.types.names
    columns_ = (mean_lon.tolist(), mean_lat.tolist(), totals.tolist(), commonest.tolist(), latest)
    features = []
    for at_lon, at_lat, total, kind, time in zip(*columns_, strict=True):
        some = '","'.join(name for name, _ in islice(ids, min(total, _MOST_IDS)))
        features.append(
            f'{{"type":"Feature","geometry":{{"type":"Point","coordinates":[{at_lon:.3f},{at_lat:.3f}]}},'
            f'"properties":{{"count":{total},"type":{json.dumps(names[kind])},"{of}":["{some}"],'
            f'"latest":"{format_time(moment(time))}"}}}}'
        )
    return ",".join(features)


def _cells(lat: NDArray[Any], lon: NDArray[Any], zoom: int) -> tuple[int, NDArray[np.intp]]:
    """How many cells of the grid have something in them, and the number of each point's."""
    scale = np.float32(2**zoom / _WIDEST)
    wide, high = int(360 * scale) + 1, int(180 * scale) + 1
    dense = wide * high <= _MOST_DENSE

    def along(degrees: NDArray[Any], first: int) -> NDArray[Any]:
        # In place and in few bytes, as to get memory for a million numbers takes as long as to reckon with them.
        at = degrees + np.float32(first)
        at *= scale
        return at.astype(np.int32 if dense else np.int64)

    key = along(lat, 90)
    key *= wide
    key += along(lon, 180)
    if dense:
        seen = np.zeros(wide * high, bool)
        seen[key] = True
        taken = np.flatnonzero(seen)
    else:
        taken, numbers = np.unique(key, return_inverse=True)
    down, across = taken // wide, taken % wide
    number, of_cell = len(taken), np.arange(len(taken))
    while number > _MOST_POINTS:
        # Four to one.
        down, across = down >> 1, across >> 1
        different, of_cell = np.unique(down * wide + across, return_inverse=True)
        number = len(different)
    if not dense:
        return number, of_cell[numbers]
    table = np.zeros(wide * high, np.intp)
    table[taken] = of_cell
    return number, table[key]
