"""The corpus as the network sees it: tokens, and labels for every token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.arguments import ROLES
from models.classifier import MODE_LABELS, REALIS
from models.corpus.validate import find
from models.encoder import Encoded, Floats, Heads, Ints, Network, Tokenizer, Tokens
from models.ontology import TYPES

CORPUS = Path(__file__).parents[1] / "corpus"
# Frozen: never trained on, whatever is added to the corpus. Chosen by file before the first training that knew them:
# sentences of all types, and twelve whole articles with the true share of sentences that report nothing.
DEVELOPMENT = ("part-5.jsonl", "articles-1.jsonl")


@dataclass(frozen=True, slots=True)
class Label:
    """One event of a sentence: what the head has to answer for its trigger."""

    trigger: Floats  # (T,), 1 within the trigger
    type: int  # 0 is no event
    modes: Floats  # (modes,)
    realis: int
    roles: Ints  # (T, roles): 0 outside, 1 begins, 2 continues


@dataclass(frozen=True, slots=True)
class Soft:
    """A teacher's logits: tags (T, 3), event, and for each label types, modes, realis and roles (T, roles, 3)."""

    tags: Floats
    event: float
    heads: tuple[tuple[Floats, Floats, Floats, Floats], ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its labels. `tags` (T,): 0 outside, 1 begins, 2 continues a trigger; -100 where nothing is asked."""

    text: str
    tokens: Tokens
    tags: Ints
    labels: tuple[Label, ...]
    soft: Soft | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What a network says of one run: `asked` is each label with the place of its sentence in `encoded`; `heads` has a line
    for each of `asked`, and is None where there is none."""

    asked: list[tuple[int, Label]]
    encoded: Encoded
    heads: Heads | None


def answered(network: Network, sentences: Sequence[Sentence]) -> Iterator[Answered]:
    """`sentences` through encoder and head, each label's trigger asked about, a run at a time."""
    for encoded in network.encode([sentence.tokens.ids for sentence in sentences]):
        asked = [(at, label) for at, row in enumerate(encoded.rows) for label in sentences[row].labels]
        where = [at for at, _ in asked]
        trigger = np.zeros((len(asked), encoded.mask.shape[1]), dtype=np.float32)
        for line, (_, label) in enumerate(asked):
            trigger[line, : len(label.trigger)] = label.trigger
        heads = network.heads(encoded.hidden[where], encoded.mask[where], trigger) if asked else None
        yield Answered(asked, encoded, heads)


def training_files(corpus: Path = CORPUS) -> list[Path]:
    """Every corpus file but those of the frozen development split, in the order of their names."""
    return sorted(path for path in corpus.glob("*.jsonl") if path.name not in DEVELOPMENT)


def development_files(corpus: Path = CORPUS) -> list[Path]:
    """The files of the frozen development split."""
    return [corpus / name for name in DEVELOPMENT]


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 over the files' contents in order, for the model card."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def _inside(tokens: Tokens, span: tuple[int, int]) -> Ints:
    return np.flatnonzero((tokens.words >= 0) & (tokens.starts < span[1]) & (tokens.ends > span[0]))


def label(record: Mapping[str, Any], tokenizer: Tokenizer) -> Sentence:
    """A corpus record as tokens and labels. Events whose trigger lies beyond the encoder's reach are left out."""
    text = str(record["text"])
    tokens = tokenizer([text])[0]
    length = len(tokens.ids)
    tags = np.where(tokens.words >= 0, 0, -100)
    labels = []
    for event in record["events"]:
        inside = _inside(tokens, find(text, event["trigger"]))
        if not len(inside):
            continue
        trigger = np.zeros(length, dtype=np.float32)
        trigger[inside] = 1
        tags[inside] = 2
        tags[inside[0]] = 1
        roles = np.zeros((length, len(ROLES)), dtype=np.int64)
        for number, role in enumerate(ROLES):
            for span in event[role]:
                at = _inside(tokens, find(text, span))
                roles[at, number] = 2
                roles[at[:1], number] = 1
        modes = np.zeros(len(MODE_LABELS), dtype=np.float32)
        for mode in event["modes"]:
            modes[MODE_LABELS.index((event["type"], mode))] = 1
        labels.append(Label(trigger, 1 + TYPES.index(event["type"]), modes, REALIS.index(event["realis"]), roles))
    return Sentence(text, tokens, tags.astype(np.int64), tuple(labels))
