"""Calls that wait for one thread are made as one, and one that fails harms no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ingest.feeds.together import Together


class Refused(Exception):
    """What is wrong with one item."""


class Gone(Exception):
    """What is wrong with all of them."""


def doubling(limit: int = 100) -> tuple[Together[int, int], list[list[int]]]:
    """Doubles numbers, each of which weighs as much as it is; refuses 13 and finds 99 gone. And the groups it was given."""
    groups: list[list[int]] = []

    def double(numbers: Sequence[int]) -> list[int]:
        groups.append(list(numbers))
        if 13 in numbers:
            raise Refused(f"13 of {len(numbers)}")
        if 99 in numbers:
            raise Gone
        return [2 * number for number in numbers]

    return Together(double, lambda number: number, limit, lambda error: isinstance(error, Gone)), groups


def outcome(job: Callable[[], int]) -> int | str:
    try:
        return job()
    except (Refused, Gone) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("numbers", "limit", "groups", "outcomes"),
    [
        ([1], 10, [[1]], [2]),
        ([1, 2, 3], 10, [[1, 2, 3]], [2, 4, 6]),
        ([4, 6, 1, 9], 10, [[4, 6], [1, 9]], [8, 12, 2, 18]),
        ([4, 7, 50, 1], 10, [[4], [7], [50], [1]], [8, 14, 100, 2]),
        ([0, 0, 0], 0, [[0, 0, 0]], [0, 0, 0]),
        ([1, 13, 2], 100, [[1, 13, 2], [1], [13], [2]], [2, "Refused", 4]),
        ([1, 13, 2], 13, [[1], [13], [2]], [2, "Refused", 4]),
        ([1, 99, 2], 200, [[1, 99, 2]], ["Gone"] * 3),
        ([1, 13, 99, 2, 3], 200, [[1, 13, 99, 2, 3], [1], [13], [99]], [2, "Refused", "Gone", "Gone", "Gone"]),
    ],
    ids=["one", "some", "up to the limit", "too heavy", "weightless", "refused", "alone", "gone", "gone one by one"],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_what_waits_is_done_together(
    numbers: list[int], limit: int, groups: list[list[int]], outcomes: list[int | str], backwards: bool
) -> None:
    together, made = doubling(limit)
    jobs = [together.add(number) for number in numbers]
    if backwards:  # whichever job runs first, items keep their order
        assert [outcome(job) for job in reversed(jobs)][::-1] == outcomes
    else:
        assert [outcome(job) for job in jobs] == outcomes
    assert made == groups


def test_an_error_names_the_item_and_not_its_group() -> None:
    together, _ = doubling()
    jobs = [together.add(number) for number in (1, 13)]
    assert jobs[0]() == 2
    with pytest.raises(Refused, match="13 of 1"):
        jobs[1]()


def test_what_comes_later_is_done_later() -> None:
    together, groups = doubling()
    assert together.add(1)() == 2
    assert together.add(2)() == 4
    assert groups == [[1], [2]]
