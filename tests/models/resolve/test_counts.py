"""Counts of phrases that tell the dead and the injured, and the rules that readings name."""

import pytest

from models.resolve.casualties import Role, count_reading, resolve_count

BOTH = [
    ("killing 12 and wounding 30", "dead", 12, 12),
    ("killing 12 and wounding 30", "injured", 30, 30),
    ("12 killed and 30 wounded", "dead", 12, 12),
    ("12 killed and 30 wounded", "injured", 30, 30),
    ("12 people were killed and another 30 injured", "injured", 30, 30),
    ("12 dead, 30 injured", "injured", 30, 30),
    ("killed at least 12 people, including 3 children, and wounded dozens", "dead", 12, None),
    ("killed at least 12 people, including 3 children, and wounded dozens", "injured", 24, None),
    ("two soldiers and a child killed, five others hurt", "dead", 3, 3),
    ("two soldiers and a child killed, five others hurt", "injured", 5, 5),
    ("killed two soldiers and a civilian and injured nine", "dead", 3, 3),
    ("killed two soldiers and a civilian and injured nine", "injured", 9, 9),
    ("left five dead and more than 20 wounded", "dead", 5, 5),
    ("left five dead and more than 20 wounded", "injured", 20, None),
    ("injured six but killed no one", "dead", 0, 0),
    ("injured six but killed no one", "injured", 6, 6),
    ("killed a woman and wounded her two children", "dead", 1, 1),
    ("killed a woman and wounded her two children", "injured", 2, 2),
    ("22 people and injured 40", "dead", 22, 22),
]


@pytest.mark.parametrize(("text", "role", "low", "high"), BOTH)
def test_the_dead_can_be_told_from_the_injured(text: str, role: Role, low: int | None, high: int | None) -> None:
    assert resolve_count(text, role) == (low, high)


@pytest.mark.parametrize("role", ["dead", "injured"])
@pytest.mark.parametrize("text", ["12 people", "30 dead and wounded", "a teenager", "relatives", ""])
def test_a_phrase_that_tells_one_number_means_it_in_either_role(text: str, role: Role) -> None:
    assert resolve_count(text, role) == resolve_count(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("12 people", "number named"),
        ("at least 12", "the number named or more"),
        ("fewer than 10", "below the number named"),
        ("10 to 15", "range named"),
        ("dozens", "vague word: the least that it means"),
        ("two soldiers and a child", "number named (sum of 2 parts)"),
        ("a man and his son", "persons told one by one, added"),
        ("conscript of 21", "one person named or described"),
        ("no one", "none"),
        ("relatives", "no number named"),
    ],
)
def test_a_reading_says_by_which_rule(text: str, rule: str) -> None:
    reading = count_reading(text)
    assert reading.rule == rule
    assert (reading.min, reading.max) == resolve_count(text)
