"""From a trained network to what the coder runs: two OpenVINO graphs in eight-bit integers, and the table of word vectors."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
import torch
from openvino._offline_transformations import compress_quantize_weights_transformation

from models.training.data import Sentence, answered
from models.training.network import EventNetwork
from models.training.quantise import quantise

# Sentences whose activations set the scales of the quantised layers.
_CALIBRATION = 400


def _save(module: torch.nn.Module, example: tuple[torch.Tensor, ...], outputs: Sequence[str], path: Path) -> None:
    with torch.inference_mode():
        graph = openvino.convert_model(module, example_input=example)
    for port, name in zip(graph.outputs, outputs, strict=True):
        port.get_tensor().set_names({name})
    # Stores the rounded weights as the integers that they are; the file would be four times as large otherwise.
    compress_quantize_weights_transformation(graph)
    openvino.save_model(graph, path, compress_to_fp16=False)


def export(network: EventNetwork, pretrained: Path, sentences: Sequence[Sentence], folder: Path) -> None:
    """Write encoder, head, words.npz and tokenizer.json into `folder`; `network` is quantised in place.

    `sentences` set the scales of the quantised layers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.float().cpu().eval()
    layers = quantise(network)
    # Sentences at equal distances, so that every file gives some.
    for _ in answered(network, sentences[:: max(len(sentences) // _CALIBRATION, 1)]):
        pass  # the layers watch
    for layer in layers:
        layer.settle()
    vectors, mask = torch.randn(2, 16, network.head.size), torch.ones(2, 16, dtype=torch.int64)
    trigger = torch.zeros(2, 16)
    trigger[:, 3:5] = 1
    _save(network.encoder, (vectors, mask), ["hidden", "tags", "event"], folder / "encoder.xml")
    _save(network.head, (vectors, mask, trigger), ["types", "modes", "realis", "roles"], folder / "head.xml")
    table = network.encoder.words.weight.detach().numpy()
    scales = np.maximum(np.abs(table).max(axis=1) / 127, 1e-8).astype(np.float32)
    words = np.round(table / scales[:, None]).astype(np.int8)
    np.savez_compressed(folder / "words.npz", words=words, scales=scales)
    shutil.copyfile(pretrained / "tokenizer.json", folder / "tokenizer.json")
