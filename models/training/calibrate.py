"""From a network's raw answers on the development split to calibrated confidences and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.arguments import ROLES
from models.classifier import Logistic, log_odds
from models.corpus.validate import find
from models.errors import CorpusError
from models.evaluate import Record, Said, hits, overlap, score_events
from models.reader import Reader, Reading

Doubles = npt.NDArray[np.float64]
# Roles whose confidence the event record carries.
_CARRIED = ("actor", "recipient")
# No default threshold is below it, however bad the network.
_LEAST = 0.2


def logistic(features: Doubles, right: npt.NDArray[np.bool_], prior: Sequence[float], pull: float = 1.0) -> Logistic:
    """The logistic regression of outcomes (N,) on features (N, F), by Newton's method with halved steps.

    Platt 1999, "Probabilistic outputs for support vector machines", with more than one feature. A weak `pull` towards `prior`
    (F slopes; the offset's is 0) keeps the numbers finite.
    """
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    start = np.array([*prior, 0.0])
    fitted = start.copy()

    def loss(at: Doubles) -> float:
        signed = np.where(right, 1.0, -1.0) * (design @ at)
        return float(np.logaddexp(0, -signed).sum() + 0.5 * pull * np.sum((at - start) ** 2))

    for _ in range(30):
        probability = 1 / (1 + np.exp(-np.clip(design @ fitted, -30, 30)))
        gradient = design.T @ (probability - right) + pull * (fitted - start)
        hessian = (design * (probability * (1 - probability))[:, None]).T @ design + pull * np.eye(design.shape[1])
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and loss(fitted - size * step) > loss(fitted):
            size /= 2
        fitted = fitted - size * step
    return Logistic.of([round(float(number), 4) for number in fitted])


def said(reading: Reading, confidence: float) -> Said:
    """A reading as what `models.evaluate` compares."""
    return Said(reading.kind.type, reading.trigger, confidence)


def calibrate(records: Sequence[Record], reader: Reader) -> dict[str, Any]:
    """`confidence`, `arguments` and `min_confidence` for the config of an uncalibrated `reader`.

    Fitted on `records`, which must not be training data. The threshold is half the best event F1 there, where the F1 of
    calibrated confidences is best (Lipton, Elkan and Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1
    measure"): the place of that best itself is a matter of a few records.
    """
    read = reader.read([record["text"] for record in records], 0.0)
    features, right = [], []
    spans: dict[str, list[tuple[float, bool]]] = {role: [] for role in ROLES}
    for record, readings in zip(records, read, strict=True):
        given = [said(reading, reading.evidence.type) for reading in readings]
        right_ones = hits(given, record["events"], record["text"])
        for at, reading in enumerate(readings):
            features.append(reading.evidence.features())
            right.append(at in right_ones)
            if at not in right_ones:
                continue
            for role in ROLES:
                wanted = [find(record["text"], span) for span in right_ones[at][role]]
                spans[role] += [
                    (log_odds(one.confidence), any(overlap((one.start, one.end), other) for other in wanted))
                    for one in reading.arguments[role]
                ]
    if not features:
        raise CorpusError("development files in which the network finds no candidate: they cannot calibrate it")
    confidence = logistic(np.array(features), np.array(right), [1.0, 0.0, 0.0])
    arguments = {}
    for role in _CARRIED:
        odds, found = np.array([odds for odds, _ in spans[role]]), np.array([hit for _, hit in spans[role]], dtype=bool)
        arguments[role] = logistic(odds[:, None], found, [1.0])
    calibrated = [[said(each, confidence(each.evidence.features())) for each in readings] for readings in read]
    best = max(
        score_events(records, [[each for each in row if each.confidence >= threshold] for row in calibrated]).f1
        for threshold in np.arange(_LEAST, 0.81, 0.02)
    )
    return {
        "confidence": [*confidence.slopes, confidence.offset],
        "arguments": {role: [*one.slopes, one.offset] for role, one in arguments.items()},
        "min_confidence": round(max(best / 2, _LEAST), 2),
    }


def gate(records: Sequence[Record], small: Reader, recall: float) -> float:
    """The highest event logit of `small` that still passes on at least the share `recall` (below 1 and above 0) of the
    sentences with an event. Raises CorpusError where no record has one."""
    logits = small.event_logits([record["text"] for record in records])
    with_event = np.sort(logits[[bool(record["events"]) for record in records]])
    if not len(with_event):
        raise CorpusError("development files without an event: they cannot set the gate")
    return round(float(with_event[int((1 - recall) * len(with_event))]) - 0.0005, 3)
