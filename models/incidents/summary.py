"""What an incident says, out of its reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from models.incidents.compare import parties, places
from models.incidents.facts import Facts, Party, Place, Range
from models.incidents.record import (
    FIELDS,
    Casualties,
    Disputed,
    Field,
    Figure,
    IncidentRecord,
    Persons,
    Report,
    Status,
    Supported,
    Value,
    When,
    Where,
    Who,
)

# A paper may print a toll that has been overtaken; after this long, or at less than half, it speaks against the other.
_STALE = timedelta(hours=6)
# A value that at least this share of as many sources support as the best one is in dispute with it.
_RIVAL = 3
V = TypeVar("V")


def sources(members: Sequence[Facts]) -> list[int]:
    """For each report the number of its source: those of one publisher or of one story, however linked, are one."""
    group = list(range(len(members)))

    def root(at: int) -> int:
        while group[at] != at:
            at = group[at]
        return at

    seen: dict[tuple[str, str], int] = {}
    for at, one in enumerate(members):
        for key in (("publisher", one.publisher), ("story", one.story)):
            other = root(seen.setdefault(key, at))
            mine = root(at)
            group[max(mine, other)] = min(mine, other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(at), len(numbers) + 1) for at in range(len(members))]


def summary(
    incident_id: str, revision: int, created: datetime, changed: datetime, members: Sequence[Facts]
) -> IncidentRecord:
    """The record of an incident out of its reports, of which there is at least one, in order of arrival."""
    numbers = dict(zip((one.event_id for one in members), sources(members), strict=True))
    told = [one for one in members if one.realis != "negated"]
    denials = [one for one in members if one.realis == "negated"]
    saying = told or denials
    votes = _Votes(saying, numbers)
    place, other_places = votes.best(lambda one: _if(one.place), _same_place, _finer)
    day, other_days = votes.best(lambda one: _if(one.days if one.dated else None), _same_days, _narrower)
    actors, other_actors = votes.parties(lambda one: one.actors)
    recipients, _ = votes.parties(lambda one: one.recipients)
    dead, other_dead = votes.toll(lambda one: one.dead)
    injured, other_injured = votes.toll(lambda one: one.injured)
    rivals: dict[Field, tuple[Supported[Any], ...]] = {
        "place": tuple(_mapped(rival, _where) for rival in other_places),
        "date": tuple(_mapped(rival, _when) for rival in other_days),
        "actors": other_actors,
        "dead": other_dead,
        "injured": other_injured,
    }
    disputed = tuple(Disputed(field, rivals[field]) for field in FIELDS if rivals.get(field))
    types, _ = votes.best(lambda one: (one.type,), str.__eq__, lambda one, _: one)
    assert types is not None
    modes = [_counted(mode, [one for one in saying if mode in one.modes], numbers) for mode in _modes(saying)]
    asserting = {numbers[one.event_id] for one in told}
    denied = any(numbers[one.event_id] not in asserting for one in denials)
    number = len(set(numbers.values()))
    status: Status = "single_source" if number == 1 else "corroborated"
    if denied or any(one.field in ("dead", "injured") for one in disputed):
        status = "contradicted"
    countries = Counter(country for one in saying for country in one.countries if country)
    return IncidentRecord(
        incident_id=incident_id,
        revision=revision,
        status=status,
        created=created,
        changed=changed,
        reports=tuple(
            Report(
                one.event_id,
                one.revision,
                one.article_id,
                one.article_revision,
                one.publisher,
                one.published,
                numbers[one.event_id],
                one.realis == "negated",
            )
            for one in members
        ),
        sources=number,
        first_report=min(one.published for one in members),
        last_report=max(one.published for one in members),
        countries=(place.value.country,)
        if place
        else tuple(sorted(countries, key=lambda code: (-countries[code], code))),
        type=types,
        modes=tuple(mode for mode in modes if 2 * mode.sources >= types.sources),
        place=_mapped(place, _where) if place else None,
        date=_mapped(day, _when) if day else None,
        actors=actors,
        recipients=recipients,
        dead=dead,
        injured=injured,
        dead_figures=_figures(saying, lambda one: one.dead),
        injured_figures=_figures(saying, lambda one: one.injured),
        disputed=disputed,
    )


def retracted(record: IncidentRecord, changed: datetime) -> IncidentRecord:
    """The record after the last of its reports was withdrawn."""
    return replace(record, revision=record.revision + 1, status="retracted", changed=changed)


def _if(value: V | None) -> tuple[V, ...]:
    return () if value is None else (value,)


def _modes(members: Iterable[Facts]) -> list[str]:
    return sorted({mode for one in members for mode in one.modes})


def _counted(value: V, behind: Sequence[Facts], numbers: dict[str, int]) -> Supported[V]:
    ids = tuple(one.event_id for one in behind)
    return Supported(value, len({numbers[each] for each in ids}), ids)


def _mapped(one: Supported[Any], to: Callable[[Any], V]) -> Supported[V]:
    return Supported(to(one.value), one.sources, one.evidence)


class _Votes:
    """The reports of an incident, asked field by field; each independent source has one voice for a value."""

    def __init__(self, members: Sequence[Facts], numbers: dict[str, int]) -> None:
        self._members = members
        self._numbers = numbers

    def _groups(
        self, values: Callable[[Facts], Sequence[V]], same: Callable[[V, V], bool], finer: Callable[[V, V], V]
    ) -> list[Supported[V]]:
        """Values with those like them, the best supported first; the earlier told first where they are even."""
        groups: list[tuple[V, list[Facts]]] = []
        for one in self._members:
            for value in values(one):
                for at, (held, behind) in enumerate(groups):
                    if same(held, value):
                        groups[at] = (finer(held, value), behind if one in behind else [*behind, one])
                        break
                else:
                    groups.append((value, [one]))
        counted = [_counted(value, behind, self._numbers) for value, behind in groups]
        return sorted(counted, key=lambda group: (-group.sources, -len(group.evidence)))

    def best(
        self, values: Callable[[Facts], Sequence[V]], same: Callable[[V, V], bool], finer: Callable[[V, V], V]
    ) -> tuple[Supported[V] | None, tuple[Supported[V], ...]]:
        """The best-supported value, and those that other sources support against it."""
        groups = self._groups(values, same, finer)
        if not groups:
            return None, ()
        first, *others = groups
        return first, tuple(other for other in others if self._rivals(first, other))

    def _rivals(self, first: Supported[Any], other: Supported[Any]) -> bool:
        """Whether sources of their own support `other`, and enough of them."""
        mine = {self._numbers[each] for each in first.evidence}
        against = {self._numbers[each] for each in other.evidence} - mine
        return bool(against) and _RIVAL * len(against) >= len(mine)

    def parties(
        self, side: Callable[[Facts], Sequence[Party]]
    ) -> tuple[tuple[Supported[Who], ...], tuple[Supported[Value], ...]]:
        """The parties that at least half as many sources name as the one named most, and those that cannot be one of them."""
        groups = self._groups(side, lambda one, other: parties([one], [other]) in ("words", "code"), _fuller)
        if not groups:
            return (), ()
        named = [group for group in groups if 2 * group.sources >= groups[0].sources]
        rivals = [
            other
            for other in named[1:]
            if other.value.country and groups[0].value.country not in (None, other.value.country)
            if self._rivals(groups[0], other) and not {*groups[0].evidence} & {*other.evidence}
        ]
        held = [group for group in named if group not in rivals]
        return tuple(_mapped(one, _who) for one in held), tuple(_mapped(one, _who) for one in rivals)

    def toll(
        self, count: Callable[[Facts], Range | None]
    ) -> tuple[Supported[Persons] | None, tuple[Supported[Value], ...]]:
        """Of each source's last figure the one that most give, else the latest; and those that contradict it."""
        last: dict[int, Facts] = {}
        for one in sorted(self._members, key=lambda one: one.published):
            if count(one) is not None:
                last[self._numbers[one.event_id]] = one
        if not last:
            return None, ()
        figures = sorted(last.values(), key=lambda one: (one.published, one.event_id))

        def given(one: Facts) -> Range:
            found = count(one)
            assert found is not None
            return found

        alike = {one.event_id: [other for other in figures if given(other).low == given(one).low] for one in figures}
        best = max(figures, key=lambda one: (len(alike[one.event_id]), one.published, one.event_id))
        behind = alike[best.event_id]
        against: dict[int, list[Facts]] = {}
        for one in figures:
            if one not in behind and any(_contradict(one, given(one), other, given(other)) for other in behind):
                against.setdefault(given(one).low, []).append(one)
        rivals = tuple(_counted(_persons(given(ones[0])), ones, self._numbers) for ones in against.values())
        return _counted(_persons(given(best)), behind, self._numbers), rivals


def _contradict(one: Facts, mine: Range, other: Facts, theirs: Range) -> bool:
    """Whether two figures cannot both be: the lower one was told later, and not only because the paper was slow."""
    earlier, later = (one, other) if one.published <= other.published else (other, one)
    before, after = (mine, theirs) if earlier is one else (theirs, mine)
    if after.high is None or after.high >= before.low:
        return False
    return later.published - earlier.published >= _STALE or 2 * after.high <= before.low


def _same_place(one: Place, other: Place) -> bool:
    return places(one, other) in ("same", "within", "unknown")


def _finer(one: Place, other: Place) -> Place:
    order = ("place", "admin1", "country")
    return other if order.index(other.precision) < order.index(one.precision) else one


def _same_days(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(one[0], other[0]) <= min(one[1], other[1])


def _narrower(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(one[0], other[0]), min(one[1], other[1])


def _fuller(one: Party, other: Party) -> Party:
    def filled(party: Party) -> tuple[bool, bool]:
        return party.country is not None, party.sector is not None

    return other if filled(other) > filled(one) else one


def _figures(members: Sequence[Facts], count: Callable[[Facts], Range | None]) -> Casualties | None:
    given = [(one, found) for one in members if (found := count(one)) is not None]
    if not given:
        return None
    given.sort(key=lambda pair: (pair[0].published, pair[0].event_id))
    return Casualties(
        min(found.low for _, found in given),
        max(found.low if found.high is None else found.high for _, found in given),
        tuple(Figure(one.event_id, one.publisher, one.published, found.low, found.high) for one, found in given),
    )


def _where(place: Place) -> Where:
    return Where(place.name, place.country, place.admin1, place.lat, place.lon, place.geonames_id, place.precision)


def _when(days: tuple[int, int]) -> When:
    return When(date.fromordinal(days[0]), date.fromordinal(days[1]))


def _who(party: Party) -> Who:
    return Who(party.text, party.country, party.sector)


def _persons(count: Range) -> Persons:
    return Persons(count.low, count.high)
