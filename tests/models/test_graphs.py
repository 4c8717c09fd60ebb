"""Graphs that give the same numbers on every processor, near those of the operations they replace."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import Model, Type
from openvino import opset13 as ops

from models.coder import WEIGHTS
from models.encoder import Floats, OpenvinoNetwork
from models.graphs import alike

# Whose sums are of as many parts as the processor's vectors have numbers.
UNLIKE = {"MVN", "Softmax", "ScaledDotProductAttention", "RMS", "NormalizeL2", "LogSoftmax"}


def kinds(network: OpenvinoNetwork) -> set[str]:
    """What runs, after all that OpenVINO fuses and replaces."""
    found = set()
    for request in (network._lower, network._upper, network._head):
        for operation in request.get_compiled_model().get_runtime_model().get_ops():
            kind = operation.get_rt_info()["layerType"]
            found.add(kind if isinstance(kind, str) else kind.value)
    return found


@pytest.mark.parametrize("name", ["fast", "accurate"])
def test_no_operation_that_runs_depends_on_the_processor(name: str) -> None:
    found = kinds(OpenvinoNetwork(WEIGHTS / name))
    assert "MatMul" in found
    assert not found & UNLIKE


def computed(outcome: Any, given: list[Any], values: list[Floats], changed: bool) -> Floats:
    model = Model([outcome.output(0)], given)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(alike(model) if changed else model, "CPU", settings).create_infer_request()
    answer: Floats = request.infer(values)[0].copy()
    return answer


def normed(states: Floats, changed: bool) -> Floats:
    given = ops.parameter([1, -1, states.shape[2]], Type.f32, "states")
    return computed(ops.mvn(given, ops.constant([2]), True, 1e-6, "INSIDE_SQRT"), [given], [states], changed)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 99),
    tokens=st.integers(1, 40),
    size=st.sampled_from([16, 24, 48, 96, 39]),
    middle=st.sampled_from([0.0, 1.0, -3.0]),
)
def test_a_layer_norm_is_that_of_openvino(seed: int, tokens: int, size: int, middle: float) -> None:
    states = np.random.default_rng(seed).normal(middle, 2, size=(1, tokens, size)).astype(np.float32)
    assert normed(states, True) == pytest.approx(normed(states, False), abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-20, -1234.5, 3e8])
def test_a_state_that_is_all_alike_is_normed_to_numbers(value: float) -> None:
    found = normed(np.full((1, 3, 48), value, dtype=np.float32), True)
    assert np.isfinite(found).all()


def attended(scores: Floats, values: Floats, changed: bool) -> Floats:
    given = [ops.parameter([-1, -1, -1, -1], Type.f32, name) for name in ("scores", "values")]
    return computed(ops.matmul(ops.softmax(given[0], -1), given[1], False, False), given, [scores, values], changed)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 99),
    size=st.sampled_from([16, 48]),
    spread=st.sampled_from([1.0, 10.0, 20.0]),
    padding=st.integers(0, 15),
)
def test_attention_is_that_of_openvino(seed: int, size: int, spread: float, padding: int) -> None:
    random = np.random.default_rng(seed)
    scores = np.clip(random.normal(0, spread, size=(2, 3, size, size)), -40, 80).astype(np.float32)
    # A row's greatest score is at least near those that were seen.
    scores[..., 0] = np.maximum(scores[..., 0], -15)
    values = random.normal(size=(2, 3, size, 8)).astype(np.float32)
    if padding:
        scores[..., -padding:] = np.finfo(np.float32).min
    found = attended(scores, values, True)
    assert found == pytest.approx(attended(scores, values, False), abs=1e-4)
    if padding:
        # Whatever stands in the padding.
        values[..., -padding:, :] *= 50
        assert attended(scores, values, True).tobytes() == found.tobytes()


@pytest.mark.parametrize("score", [-1e30, -500.0, 500.0, 1e30])
def test_scores_beyond_all_bounds_are_still_numbers(score: float) -> None:
    found = attended(
        np.full((1, 1, 256, 256), score, dtype=np.float32), np.ones((1, 1, 256, 8), dtype=np.float32), True
    )
    assert found == pytest.approx(np.ones((1, 1, 256, 8)), abs=1e-4)


def test_gelu_is_near_that_by_the_error_function() -> None:
    numbers = np.linspace(-8, 8, 4001, dtype=np.float32)[None, None]
    found = []
    for changed in (True, False):
        given = ops.parameter([1, 1, -1], Type.f32, "numbers")
        found.append(computed(ops.gelu(given, "erf"), [given], [numbers], changed))
    assert found[0] == pytest.approx(found[1], abs=0.0005)
    assert found[0].tobytes() != found[1].tobytes()
