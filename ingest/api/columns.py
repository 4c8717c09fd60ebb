"""What the filters test, of every event or incident, as columns in memory: about a hundred bytes each.

Rows lie in the order in which they became known, and are only ever added, so a place in that order is a cursor that
nothing can move, and what was known at a time is a prefix without what was superseded by then. One thread adds; any number
read, each as of a time that is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.api.filters import Wanted
from models.ontology import TYPES, quad

Rows = NDArray[np.intp]

DAY = 86_400_000_000
"""Microseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_FIRST_DAY, _NO_LAST_DAY = np.iinfo(np.int32).max, -1
_FEW = 16  # ids that are looked for one by one
_LOOKED_UP = 65_536  # values that are looked for in others at once
_COMPARED = 4  # values that are looked for one by one
_LOOKED_AT = 20_000  # rows, when some of the newest are looked for; four times as many if that does not do
_RARE = 30  # rows to one that passes, from where on each is looked up by itself


def microseconds(time: datetime) -> int:
    """Since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The time so many microseconds after 1970."""
    return _EPOCH + microseconds * _MICROSECOND


class Row(NamedTuple):
    """What is kept of one revision. Times are microseconds since 1970, days ordinals of the Gregorian calendar.

    `id` is 24 hex digits, `words` are those of its actors and recipients, folded; `superseded` is when the next revision
    became known.
    """

    known: int
    id: str
    revision: int
    coded: int
    status: str
    type: str
    realis: str
    confidence: float
    sources: int = 1
    lat: float = float("nan")
    lon: float = float("nan")
    first_day: int = _NO_FIRST_DAY
    last_day: int = _NO_LAST_DAY
    countries: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    superseded: int | None = None


class Told(NamedTuple):
    """What an incident takes from an event that reports it."""

    realis: str
    confidence: float
    feeds: tuple[str, ...]
    languages: tuple[str, ...]


class Place(NamedTuple):
    """A revision's place in the order: by known time, then id, then revision."""

    known: int
    id: str
    revision: int


class Names(dict[str, int]):
    """Strings with numbers, in order of appearance: to look up one that is new gives it the next."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__()
        self.names: list[str] = []
        for name in names:
            self[name]

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self.names)
        self.names.append(name)
        return number

    def among(self, wanted: Iterable[str]) -> NDArray[np.bool_]:
        """For each number whether its name is wanted."""
        chosen = np.zeros(len(self.names) + 1, bool)  # the last for those that are not there yet
        for name in wanted:
            if name in self:
                chosen[self[name]] = True
        return chosen

    def starting(self, start: str) -> NDArray[np.bool_]:
        """For each number whether its name starts so."""
        return np.array([*(name.startswith(start) for name in self.names[:]), False])


class _Column:
    """An array that grows at its end; what a reader holds stays as it is."""

    def __init__(self, kind: Any) -> None:
        self._data = np.empty(1024, kind)
        self.size = 0

    def extend(self, values: Sequence[Any] | NDArray[Any]) -> None:
        size = self.size + len(values)
        if size > len(self._data):
            grown = np.empty(max(size, len(self._data) * 5 // 4), self._data.dtype)
            grown[: self.size] = self._data[: self.size]
            self._data = grown
        self._data[self.size : size] = values
        self.size = size

    def upto(self, size: int) -> NDArray[Any]:
        return self._data[:size]


class _Numbers(_Column):
    """Whole numbers from 0 on, in as few bytes each as the greatest of them takes."""

    def __init__(self) -> None:
        super().__init__(np.uint8)

    def extend(self, values: Sequence[Any] | NDArray[Any]) -> None:
        most = int(np.max(values, initial=0))
        if most > np.iinfo(self._data.dtype).max:
            self._data = self._data.astype(np.min_scalar_type(most))
        super().extend(values)


class _Lists:
    """The numbers of a few names for each row."""

    def __init__(self) -> None:
        self._values = _Numbers()
        self._rows = _Column(np.int32)  # of each value, in order

    def extend(self, first: int, lists: Sequence[Sequence[int]]) -> None:
        """Add what the rows from `first` on have."""
        lengths = np.fromiter(map(len, lists), np.intp, len(lists))
        self.append(first, [value for each in lists for value in each], lengths)

    def append(self, first: int, values: Sequence[int] | NDArray[Any], lengths: NDArray[np.intp]) -> None:
        """Rows from `first` on that have so many of the values each."""
        self._values.extend(values)
        # Last, as a reader looks here for how many there are.
        self._rows.extend(np.repeat(np.arange(first, first + len(lengths)), lengths))

    def _slice(self, first: int, last: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """The values of the rows, and the row of each."""
        rows = self._rows.upto(self._rows.size)
        begin, end = np.searchsorted(rows, np.array([first, last], np.int32)).tolist()
        return self._values.upto(end)[begin:], rows[begin:end]

    def keep(self, passing: NDArray[np.bool_], chosen: NDArray[np.bool_], first: int, last: int) -> None:
        """Of the rows from `first` on that pass let only those pass on that have one of the chosen numbers."""
        rows = np.flatnonzero(passing) + first
        found = np.zeros(len(passing), bool)
        if len(rows) * _RARE < len(passing):
            values, lengths = self.of(rows)
            found[np.repeat(rows, lengths)[_chosen(chosen, values)] - first] = True
        else:
            values, having = self._slice(first, last)
            found[having[_chosen(chosen, values)] - first] = True
        passing &= found

    def of(self, rows: Rows) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """The numbers of those rows, which are in order, one row after the other, and how many each row has."""
        if not len(rows):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        first, last = int(rows[0]), int(rows[-1]) + 1
        values, having = self._slice(first, last)
        if len(rows) * _RARE < last - first:
            wanted = rows.astype(np.int32)
            starts = np.searchsorted(having, wanted)
            lengths = np.searchsorted(having, wanted, side="right") - starts
            within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            return values[np.repeat(starts, lengths) + within], lengths
        lengths = np.bincount(having - first, minlength=last - first)
        if len(rows) == last - first:
            return values, lengths
        taken = np.zeros(last - first, bool)
        taken[rows - first] = True
        return values[np.repeat(taken, lengths)], lengths[taken]


def _among(values: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> Rows:
    """Where one of the wanted values is. What `numpy.isin` needs for it is several times the size of `values`."""
    wanted = np.sort(wanted)
    # Most are known by their last 16 bits not to be wanted, which is many times quicker than to search for them.
    ends = np.zeros(1 << 16, bool)
    ends[wanted.astype(np.uint16)] = True
    near = [
        np.flatnonzero(ends[values[start : start + _LOOKED_UP].astype(np.uint16)]) + start
        for start in range(0, len(values), _LOOKED_UP)
    ]
    rows = np.concatenate(near) if near else np.empty(0, np.intp)
    some = values[rows]
    found: Rows = rows[wanted[np.minimum(np.searchsorted(wanted, some), len(wanted) - 1)] == some]
    return found


def _chosen(chosen: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.bool_]:
    """For each of the values whether it is chosen."""
    few = np.flatnonzero(chosen)
    if len(few) <= _COMPARED:
        # Comparing is many times quicker than looking up.
        found = np.zeros(len(values), bool)
        for number in few.tolist():
            found |= values == number
        return found
    # A name that was added after `chosen` was made is none that was wanted: the last of `chosen` stands for all of these.
    looked_up: NDArray[np.bool_] = np.take(chosen, values, mode="clip")
    return looked_up


def _parted(numbers: NDArray[Any], lengths: NDArray[np.intp], names: Names) -> Iterator[tuple[str, ...]]:
    """The names that stand for the numbers, of which each row has so many."""
    named = (names.names[number] for number in numbers.tolist())
    return (tuple(islice(named, length)) for length in lengths.tolist())


@dataclass(frozen=True, slots=True)
class Ids:
    """Which revisions: ids with their revisions, and the first and the last time at which they were coded."""

    pairs: list[tuple[str, int]]
    first: datetime
    last: datetime


class Columns:
    """All that is known of events, or of incidents, since `floor` (microseconds; None: since ever)."""

    def __init__(self, floor: int | None = None) -> None:
        self.floor = floor
        self.until = 0
        """Up to which time nothing more can become known; what is asked for by `rows` must not be later."""
        self.types = Names(TYPES)
        self.realis, self.statuses = Names(), Names()
        self.countries, self.words, self.feeds, self.languages = Names(), Names(), Names(), Names()
        self._known, self._coded, self._day = _Column(np.int64), _Column(np.int64), _Column(np.int32)
        self._head, self._tail, self._revision = _Column(np.uint64), _Column(np.uint32), _Numbers()
        self._type, self._realis, self._status = _Column(np.uint8), _Column(np.uint8), _Column(np.uint8)
        self._confidence, self._sources = _Column(np.float32), _Numbers()
        self._lat, self._lon = _Column(np.float32), _Column(np.float32)
        self._first_day, self._last_day = _Column(np.int32), _Column(np.int32)
        self._countries, self._words, self._feeds, self._languages = _Lists(), _Lists(), _Lists(), _Lists()
        # Rows that were superseded, and when.
        self._gone, self._gone_at = _Column(np.int64), _Column(np.int64)
        # The row before of the same item; -1 for none.
        self._previous = _Column(np.int32)
        self.size = 0

    # --- adding: one thread

    def append(self, rows: Sequence[Row], until: int, follow: bool = True) -> None:
        """Add what became known up to `until`, in order. With `follow` each supersedes the row of its item before it;
        without, what the rows say of that is taken, and `link` is to be called at the end."""
        if rows:
            self._extend(rows, follow)
        self.until = until

    def _extend(self, rows: Sequence[Row], follow: bool) -> None:
        first = self.size
        heads = [int(row.id[:16], 16) for row in rows]
        former = self._rows_of((row.id for row in rows if row.revision > 1), first) if follow else {}
        self._known.extend([row.known for row in rows])
        self._coded.extend([row.coded for row in rows])
        self._day.extend([row.coded // DAY for row in rows])
        self._head.extend(np.array(heads, np.uint64))
        self._tail.extend([int(row.id[16:], 16) for row in rows])
        self._revision.extend([min(row.revision, 2**31 - 1) for row in rows])
        self._type.extend([self.types[row.type] for row in rows])
        self._realis.extend([self.realis[row.realis] for row in rows])
        self._status.extend([self.statuses[row.status] for row in rows])
        self._confidence.extend([row.confidence for row in rows])
        self._sources.extend([min(row.sources, 65535) for row in rows])
        self._lat.extend([row.lat for row in rows])
        self._lon.extend([row.lon for row in rows])
        self._first_day.extend([row.first_day for row in rows])
        self._last_day.extend([row.last_day for row in rows])
        self._countries.extend(first, [[self.countries[name] for name in row.countries] for row in rows])
        self._words.extend(first, [[self.words[name] for name in row.words] for row in rows])
        self._feeds.extend(first, [[self.feeds[name] for name in row.feeds] for row in rows])
        self._languages.extend(first, [[self.languages[name] for name in row.languages] for row in rows])
        gone: dict[int, int] = {}
        previous = [-1] * len(rows)
        for at, row in enumerate(rows, first):
            if follow:
                before = former.get(row.id)
                if before is not None:
                    gone[before] = row.known
                    previous[at - first] = before
                former[row.id] = at
            elif row.superseded is not None:
                gone[at] = row.superseded
        self._previous.extend(previous)
        self._gone_at.extend(list(gone.values()))
        self._gone.extend(list(gone))
        self.size += len(rows)

    def link(self) -> None:
        """Find the row before of every row, after appending without `follow`."""
        heads, tails = self._head.upto(self.size), self._tail.upto(self.size)
        order = np.lexsort((tails, heads))  # stable
        heads, tails = heads[order], tails[order]
        same = (heads[1:] == heads[:-1]) & (tails[1:] == tails[:-1])
        self._previous.upto(self.size)[order[1:][same]] = order[:-1][same]

    def _rows_of(self, ids: Iterable[str], size: int) -> dict[str, int]:
        """Of the first `size` rows the last one of each of those items; those that are not there are not in it."""
        wanted = {(int(name[:16], 16), int(name[16:], 16)): name for name in ids}
        if not wanted:
            return {}
        heads, tails = self._head.upto(size), self._tail.upto(size)
        if len(wanted) <= _FEW:
            hits = np.concatenate([np.flatnonzero(heads == np.uint64(head)) for head, _ in wanted])
        else:
            hits = _among(heads, np.array([head for head, _ in wanted], np.uint64))
        hits.sort()
        found: dict[str, int] = {}
        for at, head, tail in zip(hits.tolist(), heads[hits].tolist(), tails[hits].tolist(), strict=True):
            name = wanted.get((head, tail))
            if name is not None:
                found[name] = at
        return found

    def compacted(self, floor: int) -> Columns:
        """The same without what was superseded by `floor`."""
        gone, gone_at = self._gone.upto(self._gone_at.size), self._gone_at.upto(self._gone_at.size)
        keep = np.ones(self.size, bool)
        keep[gone[gone_at <= floor]] = False
        rows = np.flatnonzero(keep)
        made = Columns(floor)
        made.types, made.realis, made.statuses = self.types, self.realis, self.statuses
        made.countries, made.words = self.countries, self.words
        made.feeds, made.languages = self.feeds, self.languages
        for name, value in vars(self).items():
            mine = getattr(made, name)
            if name in ("_gone", "_gone_at"):
                continue
            if isinstance(value, _Column):
                mine.extend(value.upto(self.size)[rows])
            elif isinstance(value, _Lists):
                mine.append(0, *value.of(rows))
        renumbered = np.cumsum(keep) - 1
        later = gone_at > floor
        made._gone_at.extend(gone_at[later])
        made._gone.extend(renumbered[gone[later]])
        before = made._previous.upto(len(rows))
        before[:] = np.where((before >= 0) & keep[before], renumbered[before], -1)
        made.size, made.until = len(rows), self.until
        return made

    @property
    def superseded(self) -> int:
        """How many rows are no longer current."""
        return self._gone_at.size

    # --- reading: any thread

    def after(self, place: Place | None) -> int:
        """The row that follows a place; the first row without one."""
        if place is None:
            return 0
        size = self.size
        known = self._known.upto(size)
        low, high = (int(np.searchsorted(known, place.known, side=side)) for side in ("left", "right"))
        head, tail = np.uint64(int(place.id[:16], 16)), np.uint32(int(place.id[16:], 16))
        heads, tails = self._head.upto(size)[low:high], self._tail.upto(size)[low:high]
        revisions = self._revision.upto(size)[low:high]
        same = (heads == head) & (tails == tail)
        before = (heads < head) | ((heads == head) & (tails < tail)) | (same & (revisions <= place.revision))
        return low + int(np.count_nonzero(before))

    def place(self, row: int) -> Place:
        """The place of a row."""
        return Place(int(self._known.upto(self.size)[row]), self._id(row), int(self._revision.upto(self.size)[row]))

    def _id(self, row: int) -> str:
        return f"{int(self._head.upto(self.size)[row]):016x}{int(self._tail.upto(self.size)[row]):08x}"

    def ids(self, rows: Rows) -> Ids:
        """Which revisions lie in those rows, of which there is at least one."""
        size = self.size
        heads, tails = self._head.upto(size)[rows].tolist(), self._tail.upto(size)[rows].tolist()
        coded = self._coded.upto(size)[rows]
        pairs = zip(heads, tails, self._revision.upto(size)[rows].tolist(), strict=True)
        return Ids(
            [(f"{head:016x}{tail:08x}", revision) for head, tail, revision in pairs],
            moment(int(coded.min())),
            moment(int(coded.max())),
        )

    def rows(self, wanted: Wanted, as_of: int) -> Rows:
        """The rows that were current at `as_of` and pass, the oldest first."""
        return self._rows(wanted, as_of, *self._bounds(wanted, as_of))

    def newest(self, wanted: Wanted, as_of: int, before: Place | None, number: int) -> Rows:
        """So many of those rows, the newest first; with `before` only those that lie before that place."""
        first, last = self._bounds(wanted, as_of)
        if before is not None:
            last = min(last, self.after(before))
            if last and self.place(last - 1) == before:
                last -= 1
        found, size, left = [np.empty(0, np.intp)], _LOOKED_AT, number
        while left > 0 and first < last:
            start = max(first, last - size)
            found.append(self._rows(wanted, as_of, start, last)[::-1][:left])
            left -= len(found[-1])
            last, size = start, size * 4
        return np.concatenate(found)

    def _bounds(self, wanted: Wanted, as_of: int) -> tuple[int, int]:
        """The first row that may pass, and the one after the last."""
        last = int(np.searchsorted(self._known.upto(self.size), as_of, side="right"))
        if wanted.query.since is None:
            return 0, last
        # Nothing is known before it is coded.
        return int(np.searchsorted(self._known.upto(last), microseconds(wanted.query.since), side="left")), last

    def _rows(self, wanted: Wanted, as_of: int, first: int, last: int) -> Rows:
        passing = self._passing(wanted, first, last)
        number = self._gone.size
        gone, gone_at = self._gone.upto(number), self._gone_at.upto(number)
        gone = gone[(gone_at <= as_of) & (gone >= first) & (gone < last)]
        passing[gone - first] = False
        return np.flatnonzero(passing) + first

    def news(self, wanted: Wanted, first: int, last: int) -> Rows:
        """Of the rows from `first` to before `last` those that pass, or whose item passed until then.

        Retracted ones too: a follower that never heard of it would go on believing them.
        """
        passing = self._passing(wanted, first, last, stream=True)
        previous = self._previous.upto(last)[first:]
        others = np.flatnonzero((previous >= 0) & ~passing)
        if len(others) > _FEW:
            passing[others] = self._passing(wanted, 0, last, stream=True)[previous[others]]
        else:
            for at in others.tolist():
                before = int(previous[at])
                passing[at] = self._passing(wanted, before, before + 1, stream=True)[0]
        return np.flatnonzero(passing) + first

    def _passing(self, wanted: Wanted, first: int, last: int, stream: bool = False) -> NDArray[np.bool_]:
        query = wanted.query
        passing = np.ones(last - first, bool)

        def test(column: _Column) -> NDArray[Any]:
            return column.upto(last)[first:]

        def named(column: _Column, names: Names, values: Iterable[str]) -> None:
            nonlocal passing
            passing &= _chosen(names.among(values), test(column))

        if query.since is not None:
            passing &= test(self._coded) >= microseconds(query.since)
        if query.until is not None:
            passing &= test(self._coded) < microseconds(query.until)
        if wanted.statuses:
            named(self._status, self.statuses, wanted.statuses)
        elif not (stream or query.include_retracted):
            passing &= ~_chosen(self.statuses.among(("retracted",)), test(self._status))
        if not stream:
            passing &= ~_chosen(self.statuses.among(("merged",)), test(self._status))
        if query.types:
            named(self._type, self.types, query.types)
        if wanted.quads:
            named(self._type, self.types, [name for name in TYPES if quad(name) in wanted.quads])
        if query.realis:
            named(self._realis, self.realis, query.realis)
        if query.min_confidence is not None:
            passing &= test(self._confidence) >= np.float32(query.min_confidence)
        if wanted.min_sources is not None:
            passing &= test(self._sources) >= wanted.min_sources
        if query.happened_since is not None:
            passing &= test(self._last_day) >= query.happened_since.toordinal()
        if query.happened_until is not None:
            passing &= test(self._first_day) < query.happened_until.toordinal()
        if wanted.bbox is not None:
            west, south, east, north = (np.float32(edge) for edge in wanted.bbox)
            lat, lon = test(self._lat), test(self._lon)
            passing &= (lat >= south) & (lat <= north)
            passing &= (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
        for lists, chosen in (
            (self._countries, [self.countries.among(query.countries)] if query.countries else []),
            (self._feeds, [self.feeds.among(wanted.feeds)] if wanted.feeds else []),
            (self._languages, [self.languages.among(wanted.languages)] if wanted.languages else []),
            (self._words, [self.words.starting(word) for word in wanted.actor_words]),
        ):
            for each in chosen:
                lists.keep(passing, each, first, last)
        return passing

    def find(self, ids: Sequence[Sequence[str]], as_of: int) -> list[list[int]]:
        """The last rows, known by then, of the items of each list; those that are not there are left out."""
        size = int(np.searchsorted(self._known.upto(self.size), as_of, side="right"))
        last = self._rows_of((name for some in ids for name in some), size)
        return [[last[name] for name in some if name in last] for some in ids]

    def told(self, rows: Sequence[int]) -> list[Told]:
        """What incidents take from the events in those rows, in any order."""
        some, places = np.unique(np.array(rows, np.intp), return_inverse=True)
        realis = self._realis.upto(self.size)[some].tolist()
        confidence = self._confidence.upto(self.size)[some].tolist()
        made = [
            Told(self.realis.names[number], *each)
            for number, *each in zip(
                realis,
                confidence,
                _parted(*self._feeds.of(some), self.feeds),
                _parted(*self._languages.of(some), self.languages),
                strict=True,
            )
        ]
        return [made[place] for place in places.tolist()]

    # --- what is counted

    def column(self, name: str, rows: Rows) -> NDArray[Any]:
        """One of known, day (since 1970, of coding), type, lat, lon of those rows."""
        column: _Column = getattr(self, f"_{name}")
        found: NDArray[Any] = column.upto(self.size)[rows]
        return found

    def listed(self, name: str, rows: Rows) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """The numbers of `countries` or `feeds` of those rows, which are in order, and how many each row has."""
        lists: _Lists = getattr(self, f"_{name}")
        return lists.of(rows)
