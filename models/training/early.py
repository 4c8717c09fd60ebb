"""The probe that ends the reading of sentences without an event: a linear discriminant of a network's first layers.

Fitted on training sentences, by least squares with a weak pull to nothing: of two classes, Fisher's discriminant. Its
threshold comes from the development split, as that of the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from models.encoder import Floats, OpenvinoNetwork, Probe, Tokenizer, summary
from models.evaluate import Record

# For each sentence; a third and three times as much were alike.
_PULL = 0.07
# Of the development sentences with an event, those in which the probe is sure of it; the gate passed all above that, and all
# but one of the sentences of parts 25 to 28.
_SURE = 0.8
# Training sentences that it is fitted on, at most about twice as many.
_FITTED = 5000


def discriminant(features: Floats, positive: npt.NDArray[np.bool_]) -> Floats:
    """Slopes (F,) that set the positive rows of features (N, F) above the others."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    # MPNet has states that hardly move around a large value: on their slopes the scores would lose all their digits.
    spread = np.maximum(spread, np.median(spread) / 10 + 1e-6)
    design = np.concatenate([(features - mean) / spread, np.ones((len(features), 1))], axis=1, dtype=np.float32)
    pull = _PULL * len(design) * np.eye(design.shape[1])
    fitted = np.linalg.solve(design.T @ design + pull, design.T @ np.where(positive, 1, -1).astype(np.float32))
    slopes: Floats = (fitted[:-1] / spread).astype(np.float32)
    return slopes


def probe(
    folder: Path, records: Sequence[Record], development: Sequence[Record], layers: int, recall: float
) -> dict[str, Any]:
    """Write `probe.npz` beside the network in `folder` and return what the model card says of it.

    Fitted on the training sentences `records`; the share `recall` (above 0, below 1) of the `development` sentences with an
    event passes. Nothing is written, and the answer is empty, where the encoder has no layers of the names that are known, or
    all the records of either or none have an event.
    """
    path = folder / "probe.npz"
    path.unlink(missing_ok=True)
    records = records[:: max(len(records) // _FITTED, 1)]
    positive, held = (np.array([bool(record["events"]) for record in some]) for some in (records, development))
    ends = f".layer.{layers - 1}.output.LayerNorm/aten::layer_norm/Add"
    graph = openvino.Core().read_model(folder / "encoder.xml")
    after = [name for operation in graph.get_ops() if (name := operation.friendly_name).endswith(ends)]
    if not after or any(some.all() or not some.any() for some in (positive, held)):
        return {}
    Probe(after[0], np.zeros(0, dtype=np.float32), 0.0, 0.0).save(path)
    network, tokenizer = OpenvinoNetwork(folder), Tokenizer(folder / "tokenizer.json")
    slopes = discriminant(_summaries(network, tokenizer, records), positive)
    scores = _summaries(network, tokenizer, development) @ slopes
    least, most = (float(np.sort(scores[held])[int((1 - share) * held.sum())]) for share in (recall, _SURE))
    # A little below the last that passes, whose score may come out otherwise by the last digit.
    least -= 0.001
    Probe(after[0], slopes, least, max(least, most)).save(path)
    return {"layers": layers, "recall": recall, "nulls_passing": round(float((scores[~held] >= least).mean()), 3)}


def _summaries(network: OpenvinoNetwork, tokenizer: Tokenizer, records: Sequence[Record]) -> Floats:
    """What the probe sees of each record, (N, 3 H)."""
    tokens = tokenizer([record["text"] for record in records])
    found: dict[int, Floats] = {}
    for run in network.lower([sentence.ids for sentence in tokens]):
        found |= {row: summary(states) for row, states in run.items()}
    return np.stack([found[row] for row in range(len(records))])
