"""From a trained network to the two ONNX graphs that the coder runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from models.training.network import EventNetwork


def _halve(path: Path) -> None:
    """Store the large weights as float16 with a cast behind each: half the file, the sums still in float32.

    The runtime folds the casts away when it loads the graph.
    """
    model = onnx.load(path)
    casts, kept = [], []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or int(np.prod(weight.dims)) < 4096:
            kept.append(weight)
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name + "_half")
        kept.append(half)
        casts.append(helper.make_node("Cast", [half.name], [weight.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _export(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
    shapes = tuple({0: batch, 1: length} for _ in example)
    torch.onnx.export(
        module.eval(),
        example,
        path,
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=shapes,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    _halve(path)


def export(network: EventNetwork, pretrained: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Write encoder.onnx, head.onnx, tokenizer.json and config.json (`settings`) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    network = network.float().cpu().eval()
    ids = torch.randint(1000, 2000, (3, 24))
    mask = torch.ones_like(ids)
    mask[1, 16:] = 0
    _export(network.encoder, (ids, mask), folder / "encoder.onnx", ["ids", "mask"], ["hidden", "tags"])
    hidden = torch.randn(3, 24, network.head.size)
    trigger = torch.zeros(3, 24)
    trigger[:, 3:5] = 1
    names = ["types", "modes", "realis", "roles"]
    _export(network.head, (hidden, mask, trigger), folder / "head.onnx", ["hidden", "mask", "trigger"], names)
    shutil.copyfile(pretrained / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
