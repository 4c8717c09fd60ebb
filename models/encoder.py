"""Tokeniser and inference sessions: from sentences to vectors and logits, the same numbers in any batch.

Two ONNX graphs lie beside the tokeniser in a weights folder: `encoder.onnx` reads a sentence once and says for every token
whether it begins or continues a trigger; `head.onnx` reads one trigger in its sentence and says what event it is and which
tokens are its arguments. A sentence is always padded to the same length (its own, rounded up), so that its neighbours in
a batch cannot change its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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
class Heads:
    """The head's logits for N triggers in sentences of T tokens."""

    types: Floats  # (N, 1 + types), the first being "no event"
    modes: Floats  # (N, modes), each a yes or no of its own
    realis: Floats  # (N, 5)
    roles: Floats  # (N, T, roles, 3), outside / begins / continues


class Network(Protocol):
    """The two computations, whatever runs them: an inference session, or the network in training."""

    def encode(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        """(B, T) token ids and mask to hidden states (B, T, H) and tag logits (B, T, 3): outside, begins, continues."""

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        """Hidden states (N, T, H), mask (N, T) and the triggers' tokens (N, T; 1 within) to logits."""


class Tokenizer:
    """The encoder's own tokeniser, from `tokenizer.json`."""

    def __init__(self, path: Path) -> None:
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path)).backend_tokenizer
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


class OnnxNetwork:
    """The network on onnxruntime, on the processor."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Threads that spin for more work would take the processor from the other session.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._encoder, self._head = (
                onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
                for name in ("encoder.onnx", "head.onnx")
            )
        except Exception as error:
            raise ModelError(f"weights in {folder}: {error}") from error

    def encode(self, ids: Ints, mask: Ints) -> tuple[Floats, Floats]:
        hidden, tags = self._encoder.run(["hidden", "tags"], {"ids": ids, "mask": mask})
        return hidden, tags

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        inputs = {"hidden": hidden, "mask": mask, "trigger": trigger}
        return Heads(*self._head.run(["types", "modes", "realis", "roles"], inputs))


def batches(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> list[tuple[int, list[int]]]:
    """Which rows run together: (padded length, row numbers), rows of one padded length at a time.

    The padded length of a row depends on its own length only.
    """
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(-(-length // _ROUND) * _ROUND, []).append(row)
    found = []
    for padded, rows in sorted(by_length.items()):
        size = max(batch_tokens // padded, 1)
        found += [(padded, rows[at : at + size]) for at in range(0, len(rows), size)]
    return found


def pad(tokens: Sequence[Tokens], length: int) -> tuple[Ints, Ints]:
    """Ids and mask (B, length) of sentences; padding is 0 with mask 0."""
    ids = np.zeros((len(tokens), length), dtype=np.int64)
    mask = np.zeros((len(tokens), length), dtype=np.int64)
    for row, sentence in enumerate(tokens):
        ids[row, : len(sentence.ids)] = sentence.ids
        mask[row, : len(sentence.ids)] = 1
    return ids, mask
