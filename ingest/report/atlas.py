"""Natural Earth's outlines as the desk has them, cut to a box and drawn as paths. Pure, but for reading the bundled file.

The projection is the equidistant cylindrical one, true to scale at the middle latitude of the box.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ingest.export.codes import countries

Point = tuple[float, float]
Ring = list[Point]

WORLD = (-170.0, -56.0, 190.0, 78.0)
_ANTARCTICA = "010"  # lies around a pole, and nothing happens there
_COARSE_FROM = 90.0  # degrees of longitude, from which on the coarse outlines do
_LEAST = 2.0  # degrees that a box is wide and high at least
_AROUND = 0.06  # of a box, as room beside its countries
_TALLEST = 0.85  # times its width


@dataclass(frozen=True, slots=True)
class Box:
    """West, south, east and north in degrees, and how wide it is drawn; `east` is above 180 where the date line is within."""

    west: float
    south: float
    east: float
    north: float
    width: float

    @property
    def scale(self) -> float:
        """Units a degree of latitude."""
        return self.width / ((self.east - self.west) * self._narrow)

    @property
    def height(self) -> float:
        """How high it is drawn."""
        return (self.north - self.south) * self.scale

    @property
    def _narrow(self) -> float:
        return max(math.cos(math.radians((self.north + self.south) / 2)), 0.2)

    def project(self, lon: float, lat: float) -> Point:
        """Where a place is drawn."""
        return self.drawn(self._turned(lon), lat)

    def drawn(self, x: float, lat: float) -> Point:
        """Where a point of an outline is drawn, which may lie beyond 180 degrees."""
        return (x - self.west) * self._narrow * self.scale, (self.north - lat) * self.scale

    def holds(self, lon: float, lat: float) -> bool:
        """Whether a place lies in it."""
        return self.west <= self._turned(lon) <= self.east and self.south <= lat <= self.north

    def _turned(self, lon: float) -> float:
        return lon + 360 if lon < self.west and lon + 360 <= self.east else lon


@dataclass(frozen=True, slots=True)
class Shape:
    """A country's outlines as an SVG path, and whether it is one of those asked for."""

    path: str
    chosen: bool


@lru_cache(2)
def _outlines(name: str) -> tuple[tuple[str, tuple[Ring, ...]], ...]:
    """Of each country its ISO 3166-1 numeric code (empty: none) and its rings: TopoJSON, as its specification has it."""
    atlas = json.loads(files("ingest.api").joinpath("static", "vendor", f"countries-{name}.json").read_text("utf-8"))
    (x_scale, y_scale), (x_move, y_move) = atlas["transform"]["scale"], atlas["transform"]["translate"]

    def decoded(arc: list[list[int]]) -> Ring:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * x_scale + x_move, y * y_scale + y_move))
        return line

    arcs = [decoded(arc) for arc in atlas["arcs"]]

    def ring(numbers: Iterable[int]) -> Ring:
        line: Ring = []
        for number in numbers:
            part = arcs[number] if number >= 0 else arcs[~number][::-1]
            line += part[1:] if line else part
        return _unwrapped(line)

    def rings(geometry: dict[str, Any]) -> tuple[Ring, ...]:
        parts = geometry.get("arcs", [])
        polygons = [parts] if geometry["type"] == "Polygon" else parts
        return tuple(ring(numbers) for polygon in polygons for numbers in polygon)

    geometries = atlas["objects"]["countries"]["geometries"]
    named = ((str(geometry.get("id") or ""), geometry) for geometry in geometries)
    return tuple((code, rings(geometry)) for code, geometry in named if code != _ANTARCTICA)


def _unwrapped(ring: Ring) -> Ring:
    """The ring without jumps from one side of the date line to the other: it goes on beyond 180 degrees."""
    found: Ring = []
    turn = 0.0
    for lon, lat in ring:
        if found:
            step = lon + turn - found[-1][0]
            turn -= 360 * round(step / 360)
        found.append((lon + turn, lat))
    # The half of it that lies west of -180 would be elsewhere than its country's other rings.
    return [(lon + 360, lat) for lon, lat in found] if min((lon for lon, _ in found), default=0) < -180.001 else found


def _numeric(codes: Sequence[str]) -> set[str]:
    known = countries()
    return {known[code].numeric.zfill(3) for code in codes if code in known and known[code].numeric}


def box_of(codes: Sequence[str], points: Sequence[Point], width: float) -> Box:
    """The box of the countries, far islands left aside; that of the points (longitude, latitude) where none has outlines, and
    the world where nothing was chosen."""
    if not codes:
        return Box(*WORLD, width)
    numeric = _numeric(codes)
    boxes = [_main_part(rings) for code, rings in _outlines("50m") if code in numeric and rings]
    if not boxes:
        if not points:
            return Box(*WORLD, width)
        boxes = [_bounds(points)]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    wide, high = max(east - west, _LEAST), max(north - south, _LEAST)
    x, y = (west + east) / 2, (south + north) / 2
    wide, high = wide * (1 + 2 * _AROUND), high * (1 + 2 * _AROUND)
    # Not so tall that it takes a page.
    wide = max(wide, high / _TALLEST / max(math.cos(math.radians(y)), 0.2))
    if wide > 360:
        return Box(*WORLD, width)
    return Box(x - wide / 2, max(y - high / 2, -90.0), x + wide / 2, min(y + high / 2, 90.0), width)


def _bounds(ring: Sequence[Point]) -> tuple[float, float, float, float]:
    longitudes, latitudes = [x for x, _ in ring], [y for _, y in ring]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _main_part(rings: Sequence[Ring]) -> tuple[float, float, float, float]:
    """The box of the largest ring and of those that lie within its own size of it: France without Guiana."""
    largest = max(rings, key=lambda ring: abs(_area(ring)))
    west, south, east, north = _bounds(largest)
    x, y = max((east - west) / 2, _LEAST), max((north - south) / 2, _LEAST)
    near = [_bounds(largest)]
    for ring in rings:
        box = _bounds(ring)
        if box[0] >= west - x and box[2] <= east + x and box[1] >= south - y and box[3] <= north + y:
            near.append(box)
    return (
        min(box[0] for box in near),
        min(box[1] for box in near),
        max(box[2] for box in near),
        max(box[3] for box in near),
    )


def _area(ring: Ring) -> float:
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True)) / 2


def shapes(box: Box, codes: Sequence[str]) -> list[Shape]:
    """What lies in the box, those asked for last, so that their borders are whole."""
    numeric = _numeric(codes)
    drawn = []
    for code, rings in _outlines("110m" if box.east - box.west >= _COARSE_FROM else "50m"):
        # What lies beyond the date line once more on its other side.
        path = "".join(_drawn([(x + turn, y) for x, y in ring], box) for ring in rings for turn in (-360, 0, 360))
        if path:
            drawn.append(Shape(path, code in numeric))
    return sorted(drawn, key=lambda shape: shape.chosen)


def _drawn(ring: Ring, box: Box) -> str:
    west, south, east, north = _bounds(ring)
    if east < box.west or west > box.east or north < box.south or south > box.north:
        return ""
    # A little beyond the edge, so that the cut is not seen as a coast.
    beyond = (box.east - box.west) / 50
    inside = clipped(ring, (box.west - beyond, box.south - beyond, box.east + beyond, box.north + beyond))
    points = list(_thinned(box.drawn(*point) for point in inside))
    if len(points) < 3:
        return ""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"


def _thinned(points: Iterable[Point]) -> Iterator[Point]:
    """Without those that lie within half a unit of the one before."""
    before: Point | None = None
    for x, y in points:
        if before is None or abs(x - before[0]) + abs(y - before[1]) >= 0.5:
            before = (x, y)
            yield before


def clipped(ring: Sequence[Point], box: tuple[float, float, float, float]) -> list[Point]:
    """The part of a polygon within a box (Sutherland and Hodgman, 1974)."""
    west, south, east, north = box
    found = list(ring)
    for axis, bound, sign in ((0, west, 1), (0, east, -1), (1, south, 1), (1, north, -1)):
        points, found = found, []
        for at, point in enumerate(points):
            before = points[at - 1]
            inside, was = sign * (point[axis] - bound) >= 0, sign * (before[axis] - bound) >= 0
            if inside != was:
                share = (bound - before[axis]) / (point[axis] - before[axis])
                crossing = [before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])]
                crossing[axis] = bound
                found.append((crossing[0], crossing[1]))
            if inside:
                found.append(point)
    return found
