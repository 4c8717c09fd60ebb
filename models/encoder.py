"""Tokeniser and inference requests: from sentences to vectors and logits, the same numbers in any batch.

Two graphs lie beside the tokeniser in a weights folder: `encoder.xml` reads a sentence once and says of it whether it holds
an event, and of every token whether it begins or continues a trigger; `head.xml` reads one trigger in its sentence and says
what event it is and which tokens are its arguments. A sentence is always padded to the same length (its own, rounded up),
and every quantised layer has fixed scales, so that its neighbours in a batch cannot change its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.text import encodable

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MAX_TOKENS = 256
_ROUND = 8
# Padded tokens in one run of the encoder; more does not raise the throughput on two cores.
BATCH_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """One sentence's tokens, special ones included. `words` numbers the word each token belongs to, -1 for special tokens;
    `starts` and `ends` are code point offsets in the sentence. All of length T."""

    ids: Ints
    words: Ints
    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder makes of B sentences of T tokens."""

    hidden: Floats  # (B, T, H)
    tags: Floats  # (B, T, 3), logits of outside / begins a trigger / continues one
    event: Floats  # (B,), logit of the sentence holding an event


@dataclass(frozen=True, slots=True)
class Heads:
    """The head's logits for N triggers in sentences of T tokens."""

    types: Floats  # (N, 1 + types), the first being "no event"
    modes: Floats  # (N, modes), each a yes or no of its own
    realis: Floats  # (N, 5)
    roles: Floats  # (N, T, roles, 3), outside / begins / continues


class Network(Protocol):
    """The two computations, whatever runs them: an inference session, or the network in training."""

    def encode(self, ids: Ints, mask: Ints) -> Encoded:
        """Token ids and mask (B, T; 1 within the sentence) to vectors and logits."""

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        """Hidden states (N, T, H), mask (N, T) and the triggers' tokens (N, T; 1 within) to logits."""


class Tokenizer:
    """The encoder's own tokeniser, from `tokenizer.json`. Raises OSError or ValueError where that is missing or damaged."""

    def __init__(self, path: Path) -> None:
        from transformers import PreTrainedTokenizerFast

        if not path.exists():
            raise FileNotFoundError(path)
        try:
            tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path)).backend_tokenizer
        except Exception as error:  # the library raises nothing narrower
            raise ValueError(f"{path}: {error}") from error
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        self._tokenizer = tokenizer

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, at most MAX_TOKENS; lone surrogates are read as U+FFFD."""
        encodings = self._tokenizer.encode_batch([encodable(text) for text in texts])
        found = []
        for encoding in encodings:
            offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            words = np.asarray([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)
            found.append(Tokens(np.asarray(encoding.ids, dtype=np.int64), words, offsets[:, 0], offsets[:, 1]))
        return found


# OpenVINO's Python side locks up for good where two threads make its first call at once.
_FIRST_CALL = Lock()


class OpenvinoNetwork:
    """The network on OpenVINO, on the processor: eight-bit integers in the layers, float32 between them.

    float32 is asked for also where the processor has bfloat16, so that a slow machine finds the same events as a fast one.
    `threads` None is all cores. One caller at a time.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        import openvino

        settings: dict[str, str | bool] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            # Pinned, the threads of several workers would all lie on the first cores: two ran at half their speed.
            settings |= {"INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": False}
        try:
            with np.load(folder / "words.npz") as table:
                self._words, self._scales = table["words"], table["scales"]
            core = openvino.Core()
            self._encoder, self._head = (
                core.compile_model(folder / name, "CPU", settings).create_infer_request()
                for name in ("encoder.xml", "head.xml")
            )
            with _FIRST_CALL:
                ids = mask = np.ones((1, _ROUND), dtype=np.int64)
                self.heads(self.encode(ids, mask).hidden, mask, mask.astype(np.float32))
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"weights in {folder}: {error}") from error

    def encode(self, ids: Ints, mask: Ints) -> Encoded:
        words = self._words[ids].astype(np.float32) * self._scales[ids][..., None]
        answer = self._encoder.infer([words, mask])
        return Encoded(*(answer[name].copy() for name in ("hidden", "tags", "event")))

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        answer = self._head.infer([hidden, mask, trigger])
        return Heads(*(answer[name].copy() for name in ("types", "modes", "realis", "roles")))


def sizes(rows: int, length: int, batch_tokens: int = BATCH_TOKENS) -> Iterator[slice]:
    """`rows` of one padded length in runs of at most `batch_tokens`, each of a power of two of them.

    For every new shape the runtime keeps some megabytes, so that there must be few.
    """
    most = max(batch_tokens // length, 1)
    begin = 0
    while begin < rows:
        size = 1 << (min(most, rows - begin).bit_length() - 1)
        yield slice(begin, begin + size)
        begin += size


def batches(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> list[tuple[int, list[int]]]:
    """Which rows run together: (padded length, row numbers), rows of one padded length at a time.

    The padded length of a row depends on its own length only.
    """
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(-(-length // _ROUND) * _ROUND, []).append(row)
    return [
        (padded, rows[part])
        for padded, rows in sorted(by_length.items())
        for part in sizes(len(rows), padded, batch_tokens)
    ]


def pad(tokens: Sequence[Tokens], length: int) -> tuple[Ints, Ints]:
    """Ids and mask (B, length) of sentences; padding is 0 with mask 0."""
    ids = np.zeros((len(tokens), length), dtype=np.int64)
    mask = np.zeros((len(tokens), length), dtype=np.int64)
    for row, sentence in enumerate(tokens):
        ids[row, : len(sentence.ids)] = sentence.ids
        mask[row, : len(sentence.ids)] = 1
    return ids, mask
