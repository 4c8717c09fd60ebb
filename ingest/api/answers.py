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
# Rows that are reckoned with together: what is allocated for a million of them takes as long to get as to reckon with.
_BLOCK = 16_384


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
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(rows), _BLOCK)]
    number, cells = _cells(columns, rows, blocks, zoom)
    kinds = len(columns.types.names)
    # Each has a place more, for the rows without one.
    totals, types = np.zeros(number + 1, np.intp), np.zeros((number + 1) * kinds, np.intp)
    sum_lat, sum_lon = np.zeros(number + 1), np.zeros(number + 1)
    for block in blocks:
        cell, some = cells[block].astype(np.intp), rows[block]
        totals += np.bincount(cell, minlength=number + 1)
        sum_lat += np.bincount(cell, columns.column("lat", some), number + 1)
        sum_lon += np.bincount(cell, columns.column("lon", some), number + 1)
        cell *= kinds
        cell += columns.column("type", some)
        np.add.at(types, cell, 1)
    totals = totals[:number]
    commonest = types.reshape(-1, kinds)[:number].argmax(axis=1)
    last = _newest(rows, cells, blocks, totals)
    ids = iter(columns.ids(last[last >= 0]).pairs if number else ())
    latest = columns.column("known", last[:, 0]).tolist()
    names = columns.types.names
    means = ((each[:number] / totals).tolist() for each in (sum_lon, sum_lat))
    features = []
    for at_lon, at_lat, total, kind, time in zip(*means, totals.tolist(), commonest.tolist(), latest, strict=True):
        shown = '","'.join(name for name, _ in islice(ids, min(total, _MOST_IDS)))
        features.append(
            f'{{"type":"Feature","geometry":{{"type":"Point","coordinates":[{at_lon:.3f},{at_lat:.3f}]}},'
            f'"properties":{{"count":{total},"type":{json.dumps(names[kind])},"{of}":["{shown}"],'
            f'"latest":"{format_time(moment(time))}"}}}}'
        )
    return ",".join(features)


def _cells(columns: Columns, rows: Rows, blocks: Sequence[slice], zoom: int) -> tuple[int, NDArray[np.int16]]:
    """How many cells of the grid have something in them, and the number of each row's; for those without a place that of how
    many there are."""
    coarse = zoom
    while (nowhere := math.prod(_grid(coarse))) > _MOST_DENSE:
        coarse -= 1
    keys = _keys(columns, rows, blocks, coarse)
    seen = np.zeros(nowhere + 1, bool)
    for block in blocks:
        seen[keys[block]] = True
    taken = places = np.flatnonzero(seen[:nowhere])
    if coarse < zoom and len(taken) <= _MOST_POINTS:
        different, keys = np.unique(_keys(columns, rows, blocks, zoom), return_inverse=True)
        taken = different[different < math.prod(_grid(zoom))]
        places, nowhere, coarse = np.arange(len(taken)), len(taken), zoom
    wide, _ = _grid(coarse)
    down, across = taken // wide, taken % wide
    number, of_cell = len(taken), np.arange(len(taken))
    while number > _MOST_POINTS:
        # Four to one.
        down, across = down >> 1, across >> 1
        different, of_cell = np.unique(down * wide + across, return_inverse=True)
        number = len(different)
    table = np.full(nowhere + 1, number, np.int16)
    table[places] = of_cell
    cells = np.empty(len(rows), np.int16)
    for block in blocks:
        cells[block] = table[keys[block]]
    return number, cells


def _grid(zoom: int) -> tuple[int, int]:
    """How many cells it has from west to east and from south to north."""
    return int(360 * 2**zoom / _WIDEST) + 1, int(180 * 2**zoom / _WIDEST) + 1


def _keys(columns: Columns, rows: Rows, blocks: Sequence[slice], zoom: int) -> NDArray[Any]:
    """The cell that each row lies in, counted by columns from the south-west; how many cells there are for one without a
    place."""
    (wide, high), scale = _grid(zoom), np.float32(2**zoom / _WIDEST)
    keys = np.empty(len(rows), np.min_scalar_type(-wide * high))
    for block in blocks:
        lat, lon = columns.column("lat", rows[block]), columns.column("lon", rows[block])
        missing = np.isnan(lat) | np.isnan(lon)
        lat[missing] = lon[missing] = 0
        key = ((lat + np.float32(90)) * scale).astype(keys.dtype)
        key *= wide
        key += ((lon + np.float32(180)) * scale).astype(keys.dtype)
        key[missing] = wide * high
        keys[block] = key
    return keys


def _newest(
    rows: Rows, cells: NDArray[np.int16], blocks: Sequence[slice], totals: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The last rows of each cell, the newest first; -1 where there are no more."""
    found = np.full((len(totals), _MOST_IDS), -1, np.intp)
    # What is still looked for in each; nothing of the rows without a place.
    wanted, have = np.append(np.minimum(totals, _MOST_IDS), 0), np.zeros(len(totals) + 1, np.intp)
    for block in reversed(blocks):
        some, cell = rows[block][::-1], cells[block][::-1]
        looked_for = np.flatnonzero(wanted[cell] > have[cell])
        cell = cell[looked_for]
        order = np.argsort(cell, kind="stable")
        cell, some = cell[order], some[looked_for[order]]
        rank = have[cell] + np.arange(len(cell)) - np.searchsorted(cell, cell)
        taken = rank < wanted[cell]
        found[cell[taken], rank[taken]] = some[taken]
        have += np.bincount(cell[taken], minlength=len(have))
        if np.array_equal(have, wanted):
            break
    return found
