"""The exported OpenVINO graphs, made fit to run fast and alike everywhere: without padding in the linear layers, without
operations that depend on the processor, and cut in two.

A graph reads B sentences padded to T tokens. Between its first and last layer norm all but attention (of N heads) is a matter
of single tokens, so that these may stand one after another, M of them. Two inputs are new: `tokens` (M,), which of the B T
places each token is at, and `places` (B T,), which token is at each place (any, in the padding). No weights are copied; the
graph that is given is used up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

import numpy as np

# Operations of the exported graphs around their linear layers.
_EMBEDDED = "embeddings.LayerNorm/aten::layer_norm/Add"
_MARKED, _ANSWERING = "__module.norm/aten::layer_norm/Add", "__module.norm_out/aten::layer_norm/Add"
# What the states of the tokens before the first linear layer are called from here on.
_ENTRY = "entry"
# From (B, T, N, D) to (B, N, T, D), tokens to heads, and back.
_BY_HEAD = [0, 2, 1, 3]
# Softmax takes the greatest score off a row, so that no exponential overflows. Ours are the same for all rows: the greatest of
# a row is between -16 and 77 in all that was tried (the small network's first layer looks to the token before), and one beyond
# -60 or 100 would only weigh more or less than it should. What the lower bound leaves of padding is lost beside a token, to
# the last bit; with one of -60 it was not.
_MIDDLE, _BOUNDS = 20, (-80, 80)
# Numbers in the widest vector of a processor (AVX-512). A sum over a state is made of so many sums, one for each lane; one
# over a sentence is the same with any padding by as many.
LANES = 16


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

    def attention(scores: Any, values: Any) -> Any:
        weights = ops.exp(ops.clamp(ops.subtract(scores, ops.constant(np.float32(_MIDDLE))), *_BOUNDS))
        rows = ops.gather(ops.shape_of(values), ops.constant(np.array([0, 1, 2])), ops.constant(0))
        ones = ops.broadcast(ops.constant(np.float32(1)), ops.concat([rows, ops.constant(np.array([1]))], 0))
        return ops.divide(ops.matmul(weights, values, False, False), ops.matmul(weights, ones, False, False))

    def normed(states: Any, least: float) -> Any:
        size = states.get_partial_shape()[2].get_length()
        lanes = math.gcd(size, LANES)
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
            _instead(operation.output(0).get_target_inputs(), normed(given[0], operation.get_attributes()["eps"]))
        elif kind == "Gelu":
            _instead(operation.output(0).get_target_inputs(), ops.gelu(given[0], "tanh"))
        elif kind == "Softmax":
            (product,) = (reader.get_node() for reader in operation.output(0).get_target_inputs())
            _instead(product.output(0).get_target_inputs(), attention(given[0], product.input(1).get_source_output()))
        elif kind == "ScaledDotProductAttention":
            query, key, value, outside, scale = given
            scores = ops.multiply(ops.matmul(query, key, False, True), scale)
            _instead(operation.output(0).get_target_inputs(), attention(ops.add(scores, outside), value))
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
    flat, axis = ops.constant(np.array([1, -1, size])), ops.constant(np.int64(1))
    whole = ops.concat([ops.shape_of(model.input("mask")), ops.constant(np.array([size]))], 0)
    inside = list(takewhile(lambda operation: operation.friendly_name != last, named.values()))
    reshapes = [operation for operation in inside if operation.get_type_name() == "Reshape"]
    apart, together = ([one for one in reshapes if _ranks(one) == way] for way in ((3, 4), (4, 3)))
    if not apart:
        raise ValueError("no attention that is known")
    heads = _heads(apart[0])
    # What a head reads of a token is a row; attention has the rows by head, the layers around it by token.
    rows, zero = ops.constant(np.array([-1, size // heads])), ops.constant(np.int64(0))
    by_head, by_token = _rows(tokens, places, whole, heads)
    for operation in inside:
        if operation.get_type_name() == "ShapeOf" and _ranks(operation)[0] == 3:
            # Of states that are packed now: the mask stays as it is.
            _instead(operation.output(0).get_target_inputs(), whole)
    for operation in apart:
        parts = ops.gather(ops.reshape(operation.input(0).get_source_output(), rows, False), by_head, zero)
        for reader in operation.output(0).get_target_inputs():
            order = np.array([_BY_HEAD[at] for at in _order(reader.get_node())])
            _instead(reader.get_node().output(0).get_target_inputs(), ops.transpose(parts, ops.constant(order)))
    for operation in together:
        transposed = operation.input(0).get_source_output().get_node()
        if _order(transposed) != _BY_HEAD:
            raise ValueError(f"attention of another order: {transposed.friendly_name}")
        parts = ops.reshape(transposed.input(0).get_source_output(), rows, False)
        _instead(operation.output(0).get_target_inputs(), ops.reshape(ops.gather(parts, by_token, zero), flat, False))
    start, end = named[first].output(0), named[last].output(0)
    entry = _instead(start.get_target_inputs(), ops.gather(ops.reshape(start, flat, False), tokens, axis))
    entry.friendly_name = _ENTRY
    _instead(end.get_target_inputs(), ops.reshape(ops.gather(end, places, axis), whole, False))
    return Model(model.outputs, [*model.get_parameters(), tokens, places])


def _rows(tokens: Any, places: Any, whole: Any, heads: int) -> tuple[Any, Any]:
    """Which rows of the packed tokens' attention reads, (B, N, T), and which rows of attention's the packed tokens, (M, N)."""
    from openvino import opset13 as ops

    many, each = ops.constant(np.int64(heads)), np.arange(heads)
    sentences, length = (ops.gather(whole, ops.constant(np.array([at])), ops.constant(np.int64(0))) for at in (0, 1))
    place = ops.reshape(places, ops.concat([sentences, ops.constant(np.array([1])), length], 0), False)
    token = ops.reshape(tokens, ops.constant(np.array([-1, 1])), False)
    head = ops.add(ops.multiply(ops.divide(token, length), many), ops.constant(each))
    return (
        ops.add(ops.multiply(place, many), ops.constant(each[:, None])),
        ops.add(ops.multiply(head, length), ops.mod(token, length)),
    )


def _instead(readers: Iterable[Any], other: Any) -> Any:
    """What the readers read from here on."""
    for reader in readers:
        reader.replace_source_output(other.output(0))
    return other


def _ranks(operation: Any) -> tuple[int, int]:
    """Of what comes in and of what goes out."""
    come, go = (port.get_partial_shape().rank.get_length() for port in (operation.input(0), operation.output(0)))
    return come, go


def _heads(operation: Any) -> int:
    """How many heads a Reshape to (B, T, N, D) makes; if its shape does not say, what that is made of: (B, T), N, D."""
    length = operation.output(0).get_partial_shape()[2]
    if length.is_static:
        return int(length.get_length())
    return int(operation.input(1).get_source_output().get_node().input(1).get_source_output().get_node().get_data()[0])


def _order(operation: Any) -> list[int]:
    """The order of the axes after a Transpose. Raises ValueError for another operation."""
    if operation.get_type_name() != "Transpose":
        raise ValueError(f"attention without a transposition: {operation.friendly_name}")
    order: list[int] = operation.input(1).get_source_output().get_node().get_data().tolist()
    return order


def _cut(model: Any, after: str) -> tuple[Any, Any]:
    """A packed graph in two: up to the operation `after`, whose output is `states`, and from there on."""
    from openvino import Model, opset13

    found = [operation for operation in model.get_ops() if operation.friendly_name == after]
    if not found:
        raise ValueError(f"no operation named {after}")
    states = found[0].output(0)
    readers = states.get_target_inputs()
    lower = Model([states], model.get_parameters()).clone()
    given = opset13.parameter(states.get_partial_shape(), states.get_element_type(), "states")
    given.output(0).set_names({"states"})
    _instead(readers, given)
    kept = [parameter for parameter in model.get_parameters() if "embeddings" not in parameter.output(0).get_names()]
    return lower, Model(model.outputs, [given, *kept])
