"""The exported OpenVINO graphs, made fit to run fast and alike everywhere: without padding in the linear layers, without
operations that depend on the processor, and cut in two.

A graph reads B sentences padded to T tokens. Between its first and last layer norm all but attention is a matter of single
tokens, so that these may stand one after another, M of them. Two inputs are new: `tokens` (M,), which of the B T places each
token is at, and `places` (B T,), which token is at each place (any, in the padding). No weights are copied; the graph that is
given is used up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

# Operations of the exported graphs around their linear layers.
_EMBEDDED = "embeddings.LayerNorm/aten::layer_norm/Add"
_MARKED, _ANSWERING = "__module.norm/aten::layer_norm/Add", "__module.norm_out/aten::layer_norm/Add"
# What the states of the tokens before the first linear layer are called from here on.
_ENTRY = "entry"
# Softmax takes the greatest score off a row, so that no exponential overflows. Ours are the same for all rows: the greatest of
# a row is between -16 and 77 in all that was tried (the small network's first layer looks to the token before), and one beyond
# -40 or 100 would only weigh more or less than it should. What the lower bound leaves of padding is lost beside a token.
_MIDDLE, _BOUNDS = 20, (-60, 80)
# A sum over a state is made of so many sums, one for each lane of the widest vectors (AVX-512).
_LANES = 16


def encoder(model: Any, after: str | None = None) -> tuple[Any, Any]:
    """An encoder in two: embeddings to the output of the operation `after` (None: before the first layer), as `states`
    (1, M, H), and from there to the answers, padded again. Raises ValueError where there is no such operation."""
    first = next(
        (name for operation in model.get_ops() if (name := operation.friendly_name).endswith(_EMBEDDED)), _EMBEDDED
    )
    last = model.output("hidden").get_node().input(0).get_source_output().get_node().friendly_name
    return _cut(alike(_packed(model, first, last)), after or _ENTRY)


def head(model: Any) -> Any:
    """A head: hidden states, mask and trigger to its answers. Raises ValueError for the graph of something else."""
    return alike(_packed(model, _MARKED, _ANSWERING))


def alike(model: Any) -> Any:
    """The packed graph, of operations whose numbers are the same to the last bit with vectors of 8 numbers and of 16.

    OpenVINO's GELU by the error function, softmax and layer norm differ in that bit, and a quantised layer that rounds to the
    other side of it makes more. Not so GELU by the hyperbolic tangent (Hendrycks and Gimpel 2016, "Gaussian error linear
    units"; at most 0.0005 off), exponentials, the sums of a matrix product, and those of each lane by itself.
    """
    from openvino import opset13 as ops

    def instead(operation: Any, other: Any) -> None:
        for reader in list(operation.output(0).get_target_inputs()):
            reader.replace_source_output(other.output(0))

    def attention(scores: Any, values: Any) -> Any:
        weights = ops.exp(ops.clamp(ops.subtract(scores, ops.constant(np.float32(_MIDDLE))), *_BOUNDS))
        rows = ops.gather(ops.shape_of(values), ops.constant(np.array([0, 1, 2])), ops.constant(0))
        ones = ops.broadcast(ops.constant(np.float32(1)), ops.concat([rows, ops.constant(np.array([1]))], 0))
        return ops.divide(ops.matmul(weights, values, False, False), ops.matmul(weights, ones, False, False))

    def normed(states: Any, least: float) -> Any:
        size = states.get_partial_shape()[2].get_length()
        lanes = math.gcd(size, _LANES)
        parts, axis = ops.reshape(states, ops.constant(np.array([0, 0, -1, lanes])), True), ops.constant(np.array([2]))
        share = ops.constant(np.full((lanes, 1), 1 / size, dtype=np.float32))
        mean = ops.matmul(ops.reduce_sum(parts, axis, False), share, False, False)
        # The sums of squares by way of their root: one pass over the states in place of two.
        squares = ops.power(ops.reduce_l2(parts, axis, False), ops.constant(np.float32(2)))
        variance = ops.relu(ops.subtract(ops.matmul(squares, share, False, False), ops.multiply(mean, mean)))
        return ops.divide(ops.subtract(states, mean), ops.sqrt(ops.add(variance, ops.constant(np.float32(least)))))

    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        given = [port.get_source_output() for port in operation.inputs()]
        if kind == "MVN":
            instead(operation, normed(given[0], operation.get_attributes()["eps"]))
        elif kind == "Gelu":
            instead(operation, ops.gelu(given[0], "tanh"))
        elif kind == "Softmax":
            (product,) = (reader.get_node() for reader in operation.output(0).get_target_inputs())
            instead(product, attention(given[0], product.input(1).get_source_output()))
        elif kind == "ScaledDotProductAttention":
            query, key, value, outside, scale = given
            scores = ops.multiply(ops.matmul(query, key, False, True), scale)
            instead(operation, attention(ops.add(scores, outside), value))
    return model


def _packed(model: Any, first: str, last: str) -> Any:
    """The graph with states (1, M, H) in place of (B, T, H) between the operations named `first` and `last`, but for
    attention."""
    from openvino import Model, Type
    from openvino import opset13 as ops

    named = {operation.friendly_name: operation for operation in model.get_ordered_ops()}
    if missing := {first, last} - set(named):
        raise ValueError(f"no operation named {', '.join(sorted(missing))}")
    tokens, places = (ops.parameter([-1], Type.i64, name) for name in ("tokens", "places"))
    tokens.output(0).set_names({"tokens"})
    places.output(0).set_names({"places"})
    size = named[first].output(0).get_partial_shape()[2].get_length()
    axis, flat = ops.constant(np.int64(1)), ops.constant(np.array([1, -1, size]))
    whole = ops.concat([ops.shape_of(model.input("mask")), ops.constant(np.array([size]))], 0)

    def rank(port: Any) -> int:
        length: int = port.get_partial_shape().rank.get_length()
        return length

    def pack(states: Any) -> Any:
        readers = list(states.get_target_inputs())
        inside = ops.gather(ops.reshape(states, flat, False), tokens, axis)
        for reader in readers:
            reader.replace_source_output(inside.output(0))
        return inside

    def unpack(states: Any, readers: Iterable[Any]) -> None:
        padded = ops.reshape(ops.gather(states, places, axis), whole, False)
        for reader in readers:
            reader.replace_source_output(padded.output(0))

    for name, operation in named.items():
        if name == last:
            break
        kind = operation.get_type_name()
        if kind not in ("ShapeOf", "Reshape"):
            continue
        come, go = rank(operation.input(0)), rank(operation.output(0))
        if kind == "ShapeOf" and come == 3:
            # Of states that are packed now: the mask stays as it is.
            for reader in list(operation.output(0).get_target_inputs()):
                reader.replace_source_output(whole.output(0))
        elif (come, go) == (3, 4):
            unpack(operation.input(0).get_source_output(), [operation.input(0)])
        elif (come, go) == (4, 3):
            pack(operation.output(0))
    pack(named[first].output(0)).friendly_name = _ENTRY
    end = named[last].output(0)
    unpack(end, list(end.get_target_inputs()))
    return Model(model.outputs, [*model.get_parameters(), tokens, places])


def _cut(model: Any, after: str) -> tuple[Any, Any]:
    """A packed graph in two: up to the operation `after`, whose output is `states`, and from there on."""
    from openvino import Model, opset13

    found = [operation for operation in model.get_ops() if operation.friendly_name == after]
    if not found:
        raise ValueError(f"no operation named {after}")
    states = found[0].output(0)
    readers = list(states.get_target_inputs())
    lower = Model([states], model.get_parameters()).clone()
    given = opset13.parameter(states.get_partial_shape(), states.get_element_type(), "states")
    given.output(0).set_names({"states"})
    for reader in readers:
        reader.replace_source_output(given.output(0))
    kept = [parameter for parameter in model.get_parameters() if "embeddings" not in parameter.output(0).get_names()]
    return lower, Model(model.outputs, [given, *kept])
