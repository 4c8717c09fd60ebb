"""The probe that ends the reading of sentences without an event: a linear discriminant of a network's first layers.

Fitted on training sentences alone, by least squares with a weak pull to nothing: of two classes, Fisher's discriminant. The
first layers hardly know these sentences by heart, so that its errors on them, cross-fitted, hold for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from models.encoder import Floats, OpenvinoNetwork, Probe, Tokenizer, batches, pad, summary
from models.evaluate import Record

_FOLDS = 5
# For each sentence; a third and three times as much were alike on the training sentences.
_PULL = 0.07


def discriminant(features: Floats, positive: npt.NDArray[np.bool_], recall: float) -> tuple[Floats, float, float]:
    """Slopes (F,), the least score that passes, and the share of negative rows that do, from features (N, F).

    The share `recall` (above 0, below 1) of the positive rows passes. Both shares are of rows that the slopes were not fitted
    on, in runs of neighbours.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    design = np.concatenate([(features - mean) / spread, np.ones((len(features), 1))], axis=1, dtype=np.float32)
    target = np.where(positive, 1, -1).astype(np.float32)
    fold = np.arange(len(design)) * _FOLDS // len(design)
    squares = [design[fold == one].T @ design[fold == one] for one in range(_FOLDS)]
    products = [design[fold == one].T @ target[fold == one] for one in range(_FOLDS)]

    def fitted(without: int | None = None) -> npt.NDArray[np.float64]:
        used = [one for one in range(_FOLDS) if one != without]
        pull = _PULL * len(design) * np.eye(design.shape[1])
        return np.linalg.solve(sum(squares[one] for one in used) + pull, sum(products[one] for one in used))

    scores = np.concatenate([design[fold == one] @ fitted(one) for one in range(_FOLDS)])
    least = np.sort(scores[positive])[int((1 - recall) * positive.sum())]
    passing = float((scores[~positive] >= least).mean())
    whole = fitted()
    slopes = (whole[:-1] / spread).astype(np.float32)
    # The discriminant's own offset goes into the threshold.
    return slopes, float(least - whole[-1] + mean @ slopes), passing


def probe(folder: Path, records: Sequence[Record], layers: int, recall: float) -> dict[str, Any]:
    """Write `probe.npz` beside the network in `folder` and return what the model card says of it.

    `records` are training sentences. Nothing is written, and the answer is empty, where the encoder has no layers of the names
    that are known, or all the records or none have an event.
    """
    path = folder / "probe.npz"
    path.unlink(missing_ok=True)
    positive = np.array([bool(record["events"]) for record in records])
    ends = f".layer.{layers - 1}.output.LayerNorm/aten::layer_norm/Add"
    graph = openvino.Core().read_model(folder / "encoder.xml")
    after = [name for operation in graph.get_ops() if (name := operation.friendly_name).endswith(ends)]
    if not after or positive.all() or not positive.any():
        return {}
    Probe(after[0], np.zeros(0, dtype=np.float32), 0.0).save(path)
    network = OpenvinoNetwork(folder)
    tokens = Tokenizer(folder / "tokenizer.json")([record["text"] for record in records])
    features: Floats | None = None
    for length, rows in batches([len(sentence.ids) for sentence in tokens]):
        ids, mask = pad([tokens[row] for row in rows], length)
        found = summary(network.lower(ids, mask), mask)
        if features is None:
            features = np.zeros((len(records), found.shape[1]), dtype=np.float32)
        features[rows] = found
    assert features is not None
    slopes, least, passing = discriminant(features, positive, recall)
    Probe(after[0], slopes, least).save(path)
    return {"layers": layers, "recall": recall, "nulls_passing": round(passing, 3)}
