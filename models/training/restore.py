"""Shipped weights back into a network that can learn on: the way of `models.training.export` taken backwards.

What is lost is the rounding: seven bits a weight, with a scale for each output.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import torch
from torch import nn

from models.errors import ModelError
from models.training.network import EventNetwork


class _Graph:
    """The constants of an exported graph, by the names of the modules that they came from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._nodes = {node.get_friendly_name(): node for node in openvino.Core().read_model(path).get_ops()}

    def named(self, name: str) -> np.ndarray:
        """The constant of that name. Raises ModelError where the graph has none."""
        try:
            return np.array(self._nodes[name].get_data())
        except KeyError:
            raise ModelError(f"{self.path}: no constant {name}: exported from another network?") from None

    def _input(self, operation: str, port: int) -> openvino.Node:
        try:
            return self._nodes[operation].input_value(port).get_node()
        except KeyError:
            raise ModelError(f"{self.path}: no operation {operation}: exported from another network?") from None

    def constant(self, operation: str) -> np.ndarray:
        """What `operation` adds or multiplies with."""
        return np.array(self._input(operation, 1).get_data()).squeeze()

    def weight(self, module: str) -> np.ndarray:
        """The weight (outputs, inputs) of a linear layer, be it kept as integers or not."""
        kept = self._input(f"__module.{module}/aten::linear/MatMul", 1)
        if kept.get_type_name() == "Constant":
            return np.array(kept.get_data())
        whole = np.array(kept.input_value(0).get_node().input_value(0).get_node().get_data(), dtype=np.float32)
        scales = np.array(kept.input_value(1).get_node().get_data())
        # The outliers of the activations were moved into the weights; the graph divides its inputs by as much.
        weight: np.ndarray = whole * scales * self.constant(f"__module.{module}/aten::mul/Multiply")
        return weight


def _copy(target: torch.Tensor, value: np.ndarray, name: str) -> None:
    if target.numel() != value.size:
        raise ModelError(f"{name}: {value.shape} where {tuple(target.shape)} is due: exported from another network?")
    target.copy_(torch.from_numpy(value.reshape(target.shape)))


def _fill(root: nn.Module, graph: _Graph) -> None:
    for name, module in root.named_modules():
        if name == "early":  # not exported: the probe has its place
            continue
        if isinstance(module, nn.Linear):
            values = {"weight": graph.weight(name), "bias": graph.constant(f"__module.{name}/aten::linear/Add")}
        elif isinstance(module, nn.LayerNorm):
            operation = f"__module.{name}/aten::layer_norm"
            values = {"weight": graph.constant(f"{operation}/Multiply_1"), "bias": graph.constant(f"{operation}/Add")}
        elif isinstance(module, nn.Embedding) and name.startswith("encoder.encoder."):
            values = {"weight": graph.named(f"self.{name}.weight")}
        else:
            continue
        for key, value in values.items():
            _copy(getattr(module, key).data, value, f"{graph.path}: {name}.{key}")


def restore(network: EventNetwork, folder: Path) -> None:
    """Fill `network`, made from the same pretrained encoder, in place with the weights exported to `folder`.

    The embeddings of words and positions are not touched: they do not learn. Raises ModelError for weights of another
    network.
    """
    _fill(network.encoder, _Graph(folder / "encoder.xml"))
    head = _Graph(folder / "head.xml")
    _fill(network.head, head)
    _copy(network.head.mark.data, head.constant("aten::mul/Multiply"), f"{head.path}: mark")
