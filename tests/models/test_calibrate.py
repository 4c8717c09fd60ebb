"""Calibration: known numbers are recovered, odd data do no harm, and a config comes out that the reader takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arguments import ROLES, Argument
from models.classifier import Evidence, Kind, Logistic
from models.encoder import Floats, Network, Tokenizer
from models.evaluate import score_events
from models.reader import Reader, Reading, Weights
from models.training.calibrate import calibrate, gate, logistic, said

TEXT = "Rebels bombed a market in Mosul, police said."
EVENT = {"type": "ASSAULT", "trigger": "bombed"} | {role: [] for role in ROLES} | {"actor": ["Rebels"]}


class Known(Reader):
    """Answers with what the test gives, by sentence number."""

    def __init__(self, readings: Sequence[list[Reading]] = (), logits: Sequence[float] = ()) -> None:
        super().__init__(cast(Network, None), Weights(cast(Tokenizer, None), "known", "1"))
        self._readings, self._logits = readings, logits

    def read(self, texts: Sequence[str], threshold: float, batch_tokens: int = 0) -> list[list[Reading]]:
        assert threshold == 0
        return list(self._readings)

    def event_logits(self, texts: Sequence[str], batch_tokens: int = 0) -> Floats:
        return np.array(self._logits, dtype=np.float32)


def record(*events: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": TEXT, "events": list(events)}


def reading(type: float, kind: str = "ASSAULT", **spans: tuple[str, float]) -> Reading:
    """Of "bombed", with a span a role."""
    roles: dict[str, list[Argument]] = {role: [] for role in ROLES}
    for role, (words, likely) in spans.items():
        roles[role].append(Argument(TEXT.index(words), TEXT.index(words) + len(words), likely))
    start = TEXT.index("bombed")
    return Reading((start, start + 6), Kind(kind, (), "actual"), Evidence(type, 0.9, 2.0), type, roles)


def test_a_regression_can_recover_known_slopes() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(20_000, 3))
    true = np.array([1.5, -0.7, 0.0])
    right = random.random(20_000) < 1 / (1 + np.exp(-(features @ true - 0.4)))
    found = logistic(features, right, [1.0, 0.0, 0.0])
    assert found.slopes == pytest.approx(true, abs=0.1)
    assert found.offset == pytest.approx(-0.4, abs=0.1)
    # The mean confidence is the share of the right ones.
    assert np.mean([found(row) for row in features]) == pytest.approx(right.mean(), abs=0.002)


@pytest.mark.parametrize(
    ("features", "right"),
    [
        ([-2.0, -1.0, 1.0, 2.0], [False, False, True, True]),
        ([-2000.0, 2000.0], [False, True]),
        ([2000.0, -2000.0], [False, True]),
        ([1.0, 2.0, 3.0] * 50, [True] * 150),
        ([1.0, 2.0, 3.0] * 50, [False] * 150),
        ([0.0] * 10, [True] * 10),
        ([9.0], [False]),
    ],
)
def test_numbers_stay_finite(features: list[float], right: list[bool]) -> None:
    found = logistic(np.array(features)[:, None], np.array(right), [1.0])
    assert np.isfinite([*found.slopes, found.offset]).all()
    assert np.abs([*found.slopes, found.offset]).max() < 50
    likely = np.mean([found((feature,)) for feature in features])
    assert abs(likely - np.mean(right)) < 0.2


@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10), st.booleans()), min_size=1, max_size=40),
)
def test_any_data_give_finite_numbers(rows: list[tuple[float, float, bool]]) -> None:
    found = logistic(np.array([row[:2] for row in rows]), np.array([row[2] for row in rows]), [1.0, 0.0])
    assert np.isfinite([*found.slopes, found.offset]).all()


def test_no_data_leave_the_prior() -> None:
    assert logistic(np.zeros((0, 2)), np.zeros(0, dtype=bool), [1.0, 0.5]) == Logistic((1.0, 0.5), 0.0)


def test_a_strong_pull_keeps_the_prior() -> None:
    features, right = np.array([[1.0], [2.0], [-1.0]]), np.array([False, False, True])
    assert logistic(features, right, [1.0], pull=1e6).slopes == pytest.approx((1.0,), abs=0.001)
    assert logistic(features, right, [1.0]).slopes[0] < 0.5


LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=60)


@given(LOGITS, st.sampled_from([0.5, 0.9, 0.95, 0.98, 0.99, 1.0]), st.integers(0, 9))
def test_the_gate_passes_the_share_asked_for_and_no_more_than_it_must(
    logits: list[float], recall: float, nulls: int
) -> None:
    records = [record(EVENT)] * len(logits) + [record()] * nulls
    least = gate(records, Known(logits=[*logits, *[99.0] * nulls]), recall)
    with_event = np.array(logits, dtype=np.float32)
    assert (with_event >= least).mean() >= recall - 1e-9
    assert (with_event >= least + 0.0011).mean() <= recall


@pytest.mark.parametrize(("recall", "passed"), [(1.0, 100), (0.98, 98), (0.5, 50)])
def test_the_gate_looks_at_sentences_with_an_event_alone(recall: float, passed: int) -> None:
    logits = [float(number) for number in range(100)]
    records = [one for _ in logits for one in (record(EVENT), record())]
    least = gate(records, Known(logits=[one for logit in logits for one in (logit, -50.0)]), recall)
    assert sum(logit >= least for logit in logits) == passed


def test_the_gate_counts_what_a_probe_refused() -> None:
    logits = [-np.inf, *(float(number) for number in range(99))]
    least = gate([record(EVENT)] * 100, Known(logits=logits), 0.98)
    assert sum(logit >= least for logit in logits) == 98


def known(share: float, count: int) -> tuple[list[dict[str, Any]], list[list[Reading]]]:
    """Sentences in which the network is sure of 0.8 but right in `share` of them; its actors are right, its recipients not."""
    right = round(share * count)
    spans = {"actor": ("Rebels", 0.7), "recipient": ("Mosul", 0.7)}
    records = [record(EVENT)] * right + [record()] * (count - right)
    return records, [[reading(0.8, **spans)] for _ in records]


def test_a_config_can_be_calibrated() -> None:
    records, readings = known(0.6, 500)
    config = json.loads(json.dumps(calibrate(records, Known(readings))))
    assert set(config) == {"confidence", "arguments", "min_confidence"}
    confidence = Logistic.of(config["confidence"])
    assert confidence(reading(0.8).evidence.features()) == pytest.approx(0.6, abs=0.02)
    arguments = {role: Logistic.of(numbers) for role, numbers in config["arguments"].items()}
    assert set(arguments) == {"actor", "recipient"}
    assert arguments["actor"]((np.log(0.7 / 0.3),)) > 0.95
    assert arguments["recipient"]((np.log(0.7 / 0.3),)) < 0.05
    assert 0.2 <= config["min_confidence"] <= 0.6


def test_the_threshold_has_the_best_f1() -> None:
    # 100 of 100 are right at 0.9, 10 of 100 at 0.1: the best F1 leaves the latter out.
    records = [record(EVENT)] * 110 + [record()] * 90
    readings = [[reading(0.9 if number < 100 else 0.1)] for number in range(200)]
    config = calibrate(records, Known(readings))
    confidence = Logistic.of(config["confidence"])
    low, high = (confidence(reading(likely).evidence.features()) for likely in (0.1, 0.9))
    assert low < config["min_confidence"] <= high
    assert config["min_confidence"] == 0.48  # half of 2 · 100 / (100 + 110)


def test_the_threshold_of_mixed_answers_is_as_good_as_any() -> None:
    likelihoods = [0.05 + 0.1 * number for number in range(10)]
    records, readings = [], []
    for likely in likelihoods:
        right = round(200 * likely)
        records += [record(EVENT)] * right + [record()] * (200 - right)
        readings += [[reading(likely)] for _ in range(200)]
    threshold = calibrate(records, Known(readings))["min_confidence"]

    def f1(least: float) -> float:
        kept = [[said(one, one.evidence.type) for one in row if one.evidence.type >= least] for row in readings]
        return score_events(records, kept).f1

    assert f1(threshold) == max(f1(least) for least in likelihoods)


def test_a_useless_network_does_not_answer_everything() -> None:
    records = [record()] * 100
    assert calibrate(records, Known([[reading(0.8)] for _ in records]))["min_confidence"] == 0.2


def test_a_wrong_type_is_a_wrong_answer() -> None:
    records = [record(EVENT)] * 100
    config = calibrate(records, Known([[reading(0.8, kind="PROTEST")] for _ in records]))
    assert Logistic.of(config["confidence"])(reading(0.8).evidence.features()) < 0.1


def test_no_arguments_leave_their_prior() -> None:
    records = [record(EVENT)] * 10
    config = calibrate(records, Known([[reading(0.8)] for _ in records]))
    assert config["arguments"] == {"actor": [1.0, 0.0], "recipient": [1.0, 0.0]}


def test_a_reading_can_be_compared() -> None:
    one = said(reading(0.8), 0.25)
    assert (one.type, TEXT[slice(*one.trigger)], one.confidence) == ("ASSAULT", "bombed", 0.25)


def test_calibration_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import models.training.calibrate"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
