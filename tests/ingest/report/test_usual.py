"""What is usual, against worked examples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.report.usual import FEWEST, Usual, usual


@pytest.mark.parametrize(
    ("counts", "exposures", "exposure", "expected"),
    [
        # Mean 10, no more variance than Poisson's; variance 10 + 10/8 = 11.25, spread 2/3 * 1.96 * 3.354 / 10 = 0.4383:
        # 10 * 0.5617 ** 1.5 = 4.2 and 10 * 1.4383 ** 1.5 = 17.2.
        ([10] * 8, [1.0] * 8, 1.0, Usual(10.0, 5, 17, 1.0)),
        # Pearson's chi-squared 8 * 10**2 / 10 = 80 over 7: dispersion 11.43, variance 128.6, spread 1.4817:
        # the lower bound is 0, the upper 10 * 2.4817 ** 1.5 = 39.1.
        ([0, 20] * 4, [1.0] * 8, 1.0, Usual(10.0, 0, 39, 80 / 7)),
        # Three weeks at once: mean 30, variance 30 + 9 * 10/8 = 41.25, spread 0.2797: 18.3 and 43.4.
        ([10] * 8, [1.0] * 8, 3.0, Usual(30.0, 19, 43, 1.0)),
        # By articles: one event for ten, whatever the week; 200 articles now: mean 20, variance 20 + 400/1000 * 0.1 * 10...
        # = 20 + 0.1 * 200**2 / 1000 = 24, spread 0.3201: 20 * 0.6799 ** 1.5 = 11.2 and 20 * 1.3201 ** 1.5 = 30.3.
        ([5, 10, 15, 20, 50], [50, 100, 150, 200, 500], 200, Usual(20.0, 12, 30, 1.0)),
        # A week in which nothing was read says nothing.
        ([10] * 8 + [0], [1.0] * 8 + [0.0], 1.0, Usual(10.0, 5, 17, 1.0)),
        # None in eight weeks: one is usual, two are not.
        ([0] * 8, [1.0] * 8, 1.0, Usual(0.0, 0, 1, 1.0)),
        ([10] * 3, [1.0] * 3, 1.0, None),
        ([10] * 3 + [0] * 9, [1.0] * 3 + [0.0] * 9, 1.0, None),
        ([10] * 8, [1.0] * 8, 0.0, None),
        ([], [], 1.0, None),
    ],
)
def test_the_interval_is_the_one_worked_out_by_hand(
    counts: list[int], exposures: list[float], exposure: float, expected: Usual | None
) -> None:
    found = usual(counts, exposures, exposure)
    if expected is None or found is None:
        assert found is expected
    else:
        assert (found.low, found.high) == (expected.low, expected.high)
        assert (found.expected, found.dispersion) == pytest.approx((expected.expected, expected.dispersion))


def test_a_count_is_called_unusual_only_beyond_the_bounds() -> None:
    bounds = Usual(10.0, 5, 17, 1.0)
    assert [bounds.verdict(count) for count in (4, 5, 17, 18)] == ["below", "within", "within", "above"]


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7).map(float)), max_size=12),
    st.one_of(st.floats(1 / 7, 53), st.integers(0, 10**7).map(float)),
)
@settings(max_examples=50)
def test_any_weeks_can_be_judged(weeks: list[tuple[int, float]], exposure: float) -> None:
    found = usual([count for count, _ in weeks], [size for _, size in weeks], exposure)
    if found is not None:
        assert len([size for _, size in weeks if size > 0]) >= FEWEST
        assert 0 <= found.low <= found.high + 1
        assert found.low - 1 <= found.expected <= found.high + 1
