"""The page's colours, out of its style sheet: told apart by everyone, and seen on their ground."""

from __future__ import annotations

import re
from itertools import combinations
from math import atan2, cbrt, cos, degrees, exp, hypot, radians, sin, sqrt

import pytest

from tests.ingest.command import ROOT

Triple = tuple[float, float, float]
SHEET = (ROOT / "ingest" / "api" / "static" / "desk.css").read_text()
THEMES = {"light": ":root {", "dark": ':root[data-theme="dark"] {'}
# What those see who lack the long, middle or short cones: Machado, Oliveira, Fernandes (2009), severity 1, in linear RGB.
SIGHTS: dict[str, tuple[Triple, Triple, Triple]] = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
_XYZ: tuple[Triple, Triple, Triple] = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)


def colours(block: str) -> dict[str, str]:
    found = SHEET[SHEET.index(block) + len(block) :]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", found[: found.index("}")]))


def linear(colour: str) -> Triple:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def times(matrix: tuple[Triple, Triple, Triple], colour: Triple) -> Triple:
    first, second, third = (sum(a * b for a, b in zip(row, colour, strict=True)) for row in matrix)
    return first, second, third


def lab(colour: Triple) -> Triple:
    parts = [part / white for part, white in zip(times(_XYZ, colour), _WHITE, strict=True)]
    x, y, z = (cbrt(part) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116 for part in parts)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: Triple, other: Triple) -> float:
    """CIEDE2000 of two colours in CIELAB (Sharma, Wu, Dalal 2005)."""
    mean = (hypot(*one[1:]) + hypot(*other[1:])) / 2
    grey = 1 + 0.5 * (1 - sqrt(mean**7 / (mean**7 + 25**7)))
    (l1, a1, b1), (l2, a2, b2) = ((lightness, a * grey, b) for lightness, a, b in (one, other))
    c1, c2 = hypot(a1, b1), hypot(a2, b2)
    h1, h2 = (degrees(atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if not c1 * c2 else (h2 - h1 + 180) % 360 - 180
    hue = h1 + h2 if not c1 * c2 else (h1 + turn / 2) % 360
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * cos(radians(hue - 30))
        + 0.24 * cos(radians(2 * hue))
        + 0.32 * cos(radians(3 * hue + 6))
        - 0.2 * cos(radians(4 * hue - 63))
    )
    rotation = -sin(radians(60 * exp(-(((hue - 275) / 25) ** 2)))) * 2 * sqrt(chroma**7 / (chroma**7 + 25**7))
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * sqrt(c1 * c2) * sin(radians(turn / 2)) / (1 + 0.015 * chroma * t)
    return sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)


def contrast(one: str, other: str) -> float:
    """That of WCAG 2."""
    bright, dim = sorted((times(_XYZ, linear(each))[1] for each in (one, other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ],
)
def test_the_difference_is_that_of_the_published_pairs(one: Triple, other: Triple, expected: float) -> None:
    assert difference(one, other) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", THEMES)
def test_twelve_colours_can_be_told_apart(theme: str, sight: str) -> None:
    marks = {name: value for name, value in colours(THEMES[theme]).items() if name.startswith(("c-", "r-"))}
    assert len(marks) == 12
    seen = {}
    for name, colour in marks.items():
        red, green, blue = (min(max(part, 0.0), 1.0) for part in times(SIGHTS[sight], linear(colour)))
        seen[name] = lab((red, green, blue))
    near = {pair: difference(seen[pair[0]], seen[pair[1]]) for pair in combinations(seen, 2)}
    assert min(near.values()) >= 11, min(near.items(), key=lambda each: each[1])


@pytest.mark.parametrize("theme", THEMES)
def test_each_colour_can_be_seen_on_its_ground(theme: str) -> None:
    found = colours(THEMES[theme])
    marks = [name for name in found if name.startswith(("c-", "r-"))]
    low = {name: contrast(found[name], found["panel"]) for name in marks if contrast(found[name], found["panel"]) < 3}
    assert low == {}
    assert [name for name in marks if name.startswith("c-") and contrast(found[name], found["land"]) < 2.9] == []
    for ink in ("ink", "muted", "alert", "accent"):
        assert min(contrast(found[ink], found[ground]) for ground in ("page", "panel", "chosen", "hover")) >= 4.5, ink


def test_dark_can_be_chosen_or_come_from_the_system() -> None:
    assert colours(THEMES["dark"]) == colours(':root:not([data-theme="light"]) {')
    assert colours(THEMES["dark"]).keys() == colours(THEMES["light"]).keys()
