"""Maps, charts and marks, by table."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.report.atlas import WORLD, box_of, clipped, shapes
from ingest.report.drawing import chart, map_of
from ingest.report.evidence import pieces, web_address
from ingest.report.tallies import Spot

SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]


def area(ring: list[tuple[float, float]]) -> float:
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], *ring[:1]], strict=True))) / 2


@pytest.mark.parametrize(
    ("box", "expected"),
    [((-1, -1, 11, 11), 100), ((5, -1, 11, 11), 50), ((2, 2, 4, 4), 4), ((20, 20, 30, 30), 0), ((5, 5, 20, 20), 25)],
)
def test_outlines_can_be_cut_to_a_box(box: tuple[float, float, float, float], expected: float) -> None:
    assert area(clipped(SQUARE, box)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("codes", "inside", "outside"),
    [
        (["SDN"], [(32.5, 15.6), (25.35, 13.63)], [(2.35, 48.85)]),
        (["FRA"], [(2.35, 48.85), (8.74, 41.92)], [(-52.3, 4.9)]),  # Corsica is in it, Guiana is not
        (["FJI"], [(178.44, -18.14), (-179.9, -16.7)], [(0.0, 51.5)]),  # on both sides of the date line
        (["RUS"], [(37.6, 55.7), (-173.0, 64.4)], [(151.2, -33.9)]),
        (["SDN", "SSD"], [(32.5, 15.6), (31.6, 4.85)], [(36.8, -1.3)]),
        (["IGO"], [(7.0, 8.0)], [(37.6, 55.7)]),  # no outlines: where the points are
    ],
)
def test_a_map_shows_the_countries_chosen(
    codes: list[str], inside: list[tuple[float, float]], outside: list[tuple[float, float]]
) -> None:
    box = box_of(codes, [(6.0, 7.0), (8.0, 9.0)], 720)
    for lon, lat in inside:
        assert box.holds(lon, lat)
        x, y = box.project(lon, lat)
        assert 0 <= x <= box.width and 0 <= y <= box.height
    assert not any(box.holds(*point) for point in outside)
    drawn = shapes(box, codes)
    assert sum(shape.chosen for shape in drawn) == len([code for code in codes if code != "IGO"])
    numbers = [float(number) for shape in drawn for number in re.findall(r"-?\d+\.\d", shape.path)]
    # Outlines end just beyond the edge: no country reaches round the world.
    assert max(map(abs, numbers)) < 1.2 * max(box.width, box.height)


def test_the_world_is_shown_where_none_is_chosen() -> None:
    box = box_of([], [], 720)
    assert (box.west, box.south, box.east, box.north) == WORLD
    assert len(shapes(box, [])) > 150


def spot(lat: float, lon: float, name: str, **quads: int) -> Spot:
    return Spot(lat, lon, Counter({name: 1}), Counter({quad.replace("_", " "): n for quad, n in quads.items()}))


def test_points_are_larger_for_more_and_shaped_by_most() -> None:
    spots = [
        spot(15.6, 32.5, "Khartoum", material_conflict=30, verbal_conflict=2),
        spot(13.6, 25.3, "El Fasher", verbal_cooperation=1),
        spot(48.8, 2.3, "Paris", verbal_conflict=5),
    ]
    drawn = map_of(spots, ["SDN"])
    assert [(mark.kind, mark.said.split(":")[0]) for mark in drawn.marks] == [("mc", "Khartoum"), ("vp", "El Fasher")]
    assert drawn.marks[0].radius == pytest.approx(3.2 + 1.9 * math.log2(33), abs=0.05)
    assert drawn.outside == 5
    assert {label.text for label in drawn.labels} == {"Khartoum", "El Fasher"}
    assert map_of(spots[::-1], ["SDN"]) == drawn


def test_labels_do_not_cover_each_other() -> None:
    spots = [spot(10 + nth / 100, 20.0, f"Place number {nth}", material_conflict=1) for nth in range(30)]
    assert len(map_of(spots, ["TCD"]).labels) <= 2


def test_bars_stand_for_their_numbers() -> None:
    rows = [("events", "mc", [4, None, 8], None)]
    drawn = chart(rows, [("a", False, False), ("b", False, False), ("c", True, True)])
    first, none, last = drawn.panels[0].bars
    assert first.height * 2 == pytest.approx(last.height)
    assert (none.height, none.number, last.inside, last.part) == (0, None, True, True)
    assert first.x < drawn.split < last.x


@pytest.mark.parametrize(
    ("text", "marked", "expected"),
    [
        ("", [], []),
        ("a😀bc", [("actor", 1, 2)], [("a", ""), ("😀", "actor"), ("bc", "")]),
        ("army of Mali", [("actor", 0, 12), ("place", 8, 12)], [("army of ", "actor"), ("Mali", "actor+place")]),
        ("abcd", [("actor", 0, 3), ("date", 2, 4)], [("ab", "actor"), ("c", "actor+date"), ("d", "date")]),
        ("abc", [("actor", -5, 1), ("date", 2, 99), ("dead", 2, 1)], [("a", "actor"), ("b", ""), ("c", "date")]),
    ],
)
def test_marks_count_code_points(
    text: str, marked: list[tuple[str, int, int]], expected: list[tuple[str, str]]
) -> None:
    assert [(piece.text, "+".join(piece.roles)) for piece in pieces(text, marked)] == expected


@given(
    st.text(max_size=30),
    st.lists(st.tuples(st.sampled_from(["actor", "date"]), st.integers(-3, 33), st.integers(-3, 33)), max_size=6),
)
@settings(max_examples=50)
def test_marks_lose_no_letter(text: str, marked: list[tuple[str, int, int]]) -> None:
    assert "".join(piece.text for piece in pieces(text, marked)) == text


@pytest.mark.parametrize("url", ["http://a.example/x", "https://a.example/?q=%22&x=é", "HTTPS://a.example/"])
def test_a_web_address_becomes_a_link(url: str) -> None:
    assert web_address(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//a.example/x",
            "",
            "x",
        ),
        *(
            "https:///x",
            "https://[::1",
            "https://a.example/ x",
            'https://a.example/"x',
            "java\nscript:x",
            "https://a\x00",
        ),
        *("\u0000javascript:x", "https://a.example/" + "x" * 3000, "vbscript:x", "https:\\\\a.example"),
    ],
)
def test_any_other_address_is_none_to_follow(url: str) -> None:
    assert web_address(url) is None
