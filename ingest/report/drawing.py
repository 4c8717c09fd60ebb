"""Where the lines, bars and points of charts and maps lie, for the template to draw. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.report.atlas import Box, Shape, box_of, shapes
from ingest.report.tallies import Spot
from ingest.report.usual import Usual

QUADS = ("material conflict", "verbal conflict", "verbal cooperation", "material cooperation")
CLASSES = dict(zip(QUADS, ("mc", "vc", "vp", "mp"), strict=True))
_MARKS = 350  # points of a map; further ones are left out and counted
_LABELS = 14
_MAP = 720.0
_ROOM = 8.0  # around a label
_LETTER = 5.6  # width of a letter of a label


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart, with what it stands for."""

    x: float
    y: float
    width: float
    height: float
    number: int | None
    inside: bool
    part: bool
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One row of a chart: bars, and the band that is usual (its upper edge and its height), if that can be told."""

    name: str
    kind: str
    top: float
    base: float
    bars: tuple[Bar, ...]
    band: tuple[float, float] | None
    most: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows of bars over the same weeks."""

    width: float
    height: float
    left: float
    panels: tuple[Panel, ...]
    ticks: tuple[tuple[float, str], ...]
    split: float


def chart(
    rows: Sequence[tuple[str, str, Sequence[int | None], Usual | None]],
    weeks: Sequence[tuple[str, bool, bool]],
) -> Chart:
    """The chart of rows (name, kind, number each week, what is usual a week) over weeks (label, of the period, shorter).

    None is the number of a week of which nothing is known.
    """
    width, left, right, high, gap = 720.0, 132.0, 8.0, 58.0, 26.0
    step = (width - left - right) / max(len(weeks), 1)
    bar = min(step * 0.72, 46.0)
    panels = []
    for at, (name, kind, numbers, usual) in enumerate(rows):
        top = at * (high + gap) + 16
        base = top + high
        most = max([*(number or 0 for number in numbers), usual.high if usual else 0, 1])

        def up(number: float | None, base: float = base, most: int = most) -> float:
            return base - high * min(number or 0, most) / most

        bars = tuple(
            Bar(left + step * (nth + 0.5) - bar / 2, up(number), bar, base - up(number), number, inside, part, label)
            for nth, (number, (label, inside, part)) in enumerate(zip(numbers, weeks, strict=True))
        )
        band = (up(usual.high), max(up(usual.low) - up(usual.high), 1.0)) if usual else None
        panels.append(Panel(name, kind, top, base, bars, band, most))
    every = max(math.ceil(len(weeks) / 10), 1)
    ticks = tuple((left + step * (nth + 0.5), label) for nth, (label, _, _) in enumerate(weeks) if nth % every == 0)
    split = left + step * sum(not inside for _, inside, _ in weeks)
    return Chart(width, len(rows) * (high + gap) + 34, left, tuple(panels), ticks, split)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on a map; `path` is the shape of its quad class."""

    x: float
    y: float
    radius: float
    kind: str
    path: str
    said: str


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a place, and on which side of its point it stands."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Map:
    """A map: outlines, points and names; how many incidents lie outside of it, and how many places were too many."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    outside: int
    left_out: int


def quad_of_most(spot: Spot) -> str:
    """The quad class of most of its incidents; of as many, the one that stands first in QUADS."""
    return min(spot.quads, key=lambda name: (-spot.quads[name], QUADS.index(name) if name in QUADS else len(QUADS)))


def name_of(spot: Spot) -> str:
    """The name that most of its incidents give."""
    return min(spot.names, key=lambda name: (-spot.names[name], name))


def ordered(spots: Iterable[Spot]) -> list[Spot]:
    """The places with most incidents first, then those with more dead, then by where they lie."""
    return sorted(spots, key=lambda spot: (-spot.number, -spot.dead, spot.lat, spot.lon))


def map_of(spots: Iterable[Spot], codes: Sequence[str]) -> Map:
    """The map of the countries chosen, or of the world."""
    every = ordered(spots)
    box = box_of(codes, [(spot.lon, spot.lat) for spot in every], _MAP)
    inside = [spot for spot in every if box.holds(spot.lon, spot.lat)]
    shown = inside[:_MARKS]
    marks = [_mark(spot, box) for spot in shown]
    return Map(
        box.width,
        round(box.height, 1),
        tuple(shapes(box, codes)),
        tuple(marks),
        tuple(_labels([(mark, name_of(spot)) for mark, spot in zip(marks, shown, strict=True)], box)),
        sum(spot.number for spot in every) - sum(spot.number for spot in inside),
        len(inside) - len(shown),
    )


def _mark(spot: Spot, box: Box) -> Mark:
    x, y = box.project(spot.lon, spot.lat)
    radius = min(3.2 + 1.9 * math.log2(1 + spot.number), 22.0)  # as on the desk
    kind = CLASSES.get(quad_of_most(spot), "none")
    incidents = "1 incident" if spot.number == 1 else f"{spot.number:,} incidents"
    said = f"{name_of(spot)}: {incidents}, most of them {quad_of_most(spot) or 'of a type not known here'}"
    return Mark(round(x, 1), round(y, 1), round(radius, 1), kind, shape_path(kind, x, y, radius), said)


def shape_path(kind: str, x: float, y: float, radius: float) -> str:
    """The outline of a quad class's shape, as on the desk: circle, diamond, triangle, square."""

    def line(*points: tuple[float, float]) -> str:
        return "M" + "L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in points) + "Z"

    if kind == "vc":
        r = radius * 1.25
        return line((0, -r), (r, 0), (0, r), (-r, 0))
    if kind == "vp":
        r = radius * 1.35
        return line((0, -r), (r, 0.75 * r), (-r, 0.75 * r))
    if kind == "mp":
        r = radius * 0.9
        return line((-r, -r), (r, -r), (r, r), (-r, r))
    arc = f"A{radius:.1f} {radius:.1f} 0 1 0"
    return f"M{x - radius:.1f} {y:.1f}{arc} {x + radius:.1f} {y:.1f}{arc} {x - radius:.1f} {y:.1f}Z"


def _labels(named: Sequence[tuple[Mark, str]], box: Box) -> list[Label]:
    """Names of the first places that have room beside their point, without covering one another."""
    points = {id(mark): _around(mark) for mark, _ in named}
    taken: list[tuple[float, float, float, float]] = []
    found: list[Label] = []
    for mark, name in named:
        if len(found) == _LABELS:
            break
        text = name if len(name) <= 24 else name[:23] + "…"
        wide = len(text) * _LETTER
        for anchor, x in (("start", mark.x + mark.radius + 3), ("end", mark.x - mark.radius - 3)):
            left = x if anchor == "start" else x - wide
            area = (left, mark.y - _ROOM, left + wide, mark.y + _ROOM)
            fits = area[0] >= 0 and area[2] <= box.width and area[1] >= 0 and area[3] <= box.height
            others = (other for number, other in points.items() if number != id(mark))
            if fits and not any(_overlap(area, other) for other in (*taken, *others)):
                taken.append(area)
                found.append(Label(round(x, 1), round(mark.y + 4, 1), anchor, text))
                break
    return found


def _around(mark: Mark) -> tuple[float, float, float, float]:
    return mark.x - mark.radius, mark.y - mark.radius, mark.x + mark.radius, mark.y + mark.radius


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
