"""Calibration errors by hand, and what a calibration fitted without an answer may know of it."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import Bools, Doubles, calibration_error, cross_fitted, error_by_chance, reliability

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def arrays(answers: Sequence[tuple[float, bool]]) -> tuple[Doubles, Bools]:
    return np.array([one for one, _ in answers], dtype=np.float64), np.array(
        [right for _, right in answers], dtype=bool
    )


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([], 0),
        ([(1.0, True)], 0),
        ([(1.0, False)], 1),
        ([(0.75, True), (0.75, True), (0.75, True), (0.75, False)], 0),
        ([(0.75, True), (0.75, False)], 0.25),
        ([(0.05, False), (0.95, False)], 0.5),  # (0.05 + 0.95) / 2: two bins of one answer each
        ([(0.71, False), (0.79, True)], 0.25),  # one bin: 0.75 against a half
        ([(0.79, False), (0.81, True)], 0.49),  # two bins: 0.79 and 0.19
    ],
)
def test_the_calibration_error_is_that_of_the_definition(answers: list[tuple[float, bool]], error: float) -> None:
    assert calibration_error(*arrays(answers)) == pytest.approx(error)


@given(ANSWERS)
def test_each_answer_lies_in_one_bin(answers: list[tuple[float, bool]]) -> None:
    confidence, right = arrays(answers)
    bins = reliability(confidence, right)
    assert sum(one.count for one in bins) == len(answers)
    assert sum(one.count * one.right for one in bins) == pytest.approx(right.sum())
    assert sum(one.count * one.confidence for one in bins) == pytest.approx(confidence.sum())
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)


@given(ANSWERS)
def test_the_error_lies_between_that_of_one_bin_and_one(answers: list[tuple[float, bool]]) -> None:
    confidence, right = arrays(answers)
    error = calibration_error(confidence, right)
    assert abs(confidence.mean() - right.mean()) - 1e-9 <= error <= 1
    assert calibration_error(confidence, right, bins=1) == pytest.approx(abs(confidence.mean() - right.mean()))


def test_chance_alone_makes_less_of_an_error_with_more_answers() -> None:
    certain, few, many = np.ones(50), np.full(50, 0.5), np.full(5000, 0.5)
    assert error_by_chance(certain) == 0
    # The mean distance of a half from the share of heads: sqrt(2 / pi) standard deviations.
    assert error_by_chance(few) == pytest.approx(np.sqrt(2 / np.pi) * 0.5 / np.sqrt(50), rel=0.1)
    assert error_by_chance(many, draws=200) < error_by_chance(few) / 5


def test_no_answer_is_judged_by_a_calibration_that_knew_its_unit() -> None:
    units = [f"article {number // 3}" for number in range(60)]
    features = np.arange(60, dtype=np.float64)[:, None]
    known: list[set[float]] = []

    def fit(seen: Doubles, right: Bools) -> Callable[[Sequence[float]], float]:
        assert len(seen) == len(right)
        articles = {row // 3 for row in seen[:, 0]}
        known.append(articles)
        return lambda row: float(row[0] // 3 in articles)

    assert not cross_fitted(features, np.ones(60, dtype=bool), units, fit).any()
    assert [len(articles) for articles in known] == [16] * 5


def test_fewer_units_than_folds_can_be_cross_fitted() -> None:
    found = cross_fitted(
        np.zeros((2, 1)), np.array([True, False]), ["a", "b"], lambda _, right: lambda row: right.mean()
    )
    assert found.tolist() == [0, 1]
