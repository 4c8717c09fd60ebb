"""One network reading sentences: from texts to candidate events with their arguments, offsets within the sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.arguments import Argument, arguments
from models.classifier import Evidence, Kind, Logistic, candidates, kind, trigger_span
from models.encoder import BATCH_TOKENS, Floats, Network, OpenvinoNetwork, Tokenizer, runs
from models.errors import ModelError

_UNCALIBRATED = Logistic((1.0, 0.0, 0.0), 0.0)


@dataclass(frozen=True, slots=True)
class Weights:
    """What belongs to a network beside its numbers.

    `confidence` turns a candidate's evidence into the probability that it is an event of its type, `arguments` the mean
    probability of a span's tokens, by role, into that of the span being right; `min_confidence` is the default threshold.
    `gate` is the least event logit of the small network with which a sentence is passed on to this one, None without a gate.
    """

    tokenizer: Tokenizer
    name: str
    version: str
    confidence: Logistic = _UNCALIBRATED
    arguments: Mapping[str, Logistic] = field(default_factory=dict)
    min_confidence: float = 0.5
    gate: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network says of one candidate, decoded; offsets count from the sentence's start."""

    trigger: tuple[int, int]
    kind: Kind
    evidence: Evidence
    confidence: float
    arguments: dict[str, list[Argument]]


class Reader:
    """A network with its tokeniser and calibration."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self._network = network
        self.weights = weights

    @classmethod
    def load(cls, folder: Path, threads: int | None = None) -> Reader:
        """Raises ModelError if the weights in `folder` are missing or damaged."""
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            weights = Weights(
                tokenizer=Tokenizer(folder / "tokenizer.json"),
                name=config["name"],
                version=config["version"],
                confidence=Logistic.of(config["confidence"]),
                arguments={role: Logistic.of(numbers) for role, numbers in config["arguments"].items()},
                min_confidence=float(config["min_confidence"]),
                gate=float(config["gate"]) if "gate" in config else None,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"weights in {folder}: {error!r}; give a folder made by `make train`") from error
        return cls(OpenvinoNetwork(folder, threads), weights)

    def event_logits(self, texts: Sequence[str], batch_tokens: int = BATCH_TOKENS) -> Floats:
        """For each sentence the logit of its holding an event; infinite where the first layers were sure of either."""
        ids = [tokens.ids for tokens in self.weights.tokenizer(texts)]
        return self._network.event_logits(ids, batch_tokens)

    def read(self, texts: Sequence[str], threshold: float, batch_tokens: int = BATCH_TOKENS) -> list[list[Reading]]:
        """For each sentence its candidates at or above the threshold, in order; at 0 every candidate, past the probe."""
        found: list[list[Reading]] = [[] for _ in texts]
        tokens = self.weights.tokenizer(texts)
        ids = [sentence.ids for sentence in tokens]
        for read in self._network.encode(ids, early=threshold > 0, batch_tokens=batch_tokens):
            asked = [
                (at, candidate)
                for at, row in enumerate(read.rows)
                for candidate in candidates(read.tags[at], tokens[row])
            ]
            for run in runs([len(ids[read.rows[at]]) for at, _ in asked], batch_tokens):
                part = [asked[number] for number in run]
                where = [at for at, _ in part]
                trigger = np.zeros((len(part), read.mask.shape[1]), dtype=np.float32)
                for line, (_, candidate) in enumerate(part):
                    trigger[line, candidate.first : candidate.last + 1] = 1
                heads = self._network.heads(read.hidden[where], read.mask[where], trigger)
                for line, (at, candidate) in enumerate(part):
                    what, likely = kind(heads.types[line], heads.modes[line], heads.realis[line])
                    evidence = Evidence(likely, candidate.probability, float(read.event[at]))
                    confidence = self.weights.confidence(evidence.features())
                    if confidence >= threshold:
                        row = read.rows[at]
                        roles = arguments(heads.roles[line], tokens[row], texts[row], self.weights.arguments)
                        span = trigger_span(candidate, tokens[row], texts[row])
                        found[row].append(Reading(span, what, evidence, confidence, roles))
        return found
