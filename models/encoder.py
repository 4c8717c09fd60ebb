"""Tokeniser and inference requests: from sentences to vectors and logits, the same numbers in any batch.

Two graphs lie beside the tokeniser in a weights folder: `encoder.xml` reads a sentence once and says of it whether it holds
an event, and of every token whether it begins or continues a trigger; `head.xml` reads one trigger in its sentence and says
what event it is and which tokens are its arguments. A sentence is always padded to the same length (its own, rounded up),
and every quantised layer has fixed scales, so that its neighbours in a batch cannot change its numbers. Where `probe.npz`
lies there too, it can end the reading of sentences without an event after the first layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.text import encodable

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MAX_TOKENS = 256
_ROUND = 8
# Padded tokens in one run of the encoder, whose memory grows with them; more does not raise the throughput on two cores much.
BATCH_TOKENS = 512


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

    def encode(self, ids: Ints, mask: Ints, early: bool = False) -> Encoded:
        """Token ids and mask (B, T; 1 within the sentence) to vectors and logits.

        With `early` a sentence without an event may be read no further than is needed to tell: its event logit is then minus
        infinity, and no token of it begins a trigger.
        """

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        """Hidden states (N, T, H), mask (N, T) and the triggers' tokens (N, T; 1 within) to logits."""


class Tokenizer:
    """The encoder's own tokeniser, from `tokenizer.json`. Raises OSError or ValueError where that is missing or damaged."""

    def __init__(self, path: Path) -> None:
        import tokenizers

        if not path.exists():
            raise FileNotFoundError(path)
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
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


@dataclass(frozen=True, slots=True)
class Probe:
    """A look at a sentence after the first layers of a network: below `least` it holds no event.

    The score is linear in `summary`. `after` names the operation of `encoder.xml` whose output it looks at.
    """

    after: str
    slopes: Floats  # (3 H,)
    least: float

    @classmethod
    def load(cls, path: Path) -> Probe:
        """Raises OSError, KeyError or ValueError where the file is missing or damaged."""
        with np.load(path) as held:
            return cls(str(held["after"]), held["slopes"], float(held["least"]))

    def save(self, path: Path) -> None:
        np.savez(path, after=self.after, slopes=self.slopes, least=self.least)

    def passing(self, states: Floats, mask: Ints) -> list[int]:
        """The rows of states (B, T, H) and mask (B, T) that may hold an event."""
        return [row for row, one in enumerate(summary(states, mask)) if float(one @ self.slopes) >= self.least]


def summary(states: Floats, mask: Ints) -> Floats:
    """Of each sentence the first, the greatest and the mean state, (B, 3 H), from states (B, T, H) and mask (B, T).

    Each is computed by itself and without its padding, so that nothing beside it can change it.
    """
    own = (rows[:size] for rows, size in zip(states, mask.sum(axis=1).tolist(), strict=True))
    return np.stack([np.concatenate([rows[0], rows.max(axis=0), rows.mean(axis=0)]) for rows in own])


def cut(model: Any, after: str) -> tuple[Any, Any]:
    """An encoder's OpenVINO graph in two: words and mask to the output of the operation `after`, and that and mask to the
    answers. The weights are not copied; `model` is used up. Raises ValueError where there is no such operation."""
    from openvino import Model, Type, opset13

    found = [operation for operation in model.get_ops() if operation.friendly_name == after]
    if not found:
        raise ValueError(f"the encoder has no operation {after}")
    states = found[0].output(0)
    lower = Model([states], model.get_parameters()).clone()
    given = opset13.parameter(states.get_partial_shape(), Type.f32)
    for reader in list(states.get_target_inputs()):
        reader.replace_source_output(given.output(0))
    # The mask's own graph asks for the shape of vectors further down, of which all have that of the states.
    for operation in model.get_ops():
        if operation.get_type_name() == "ShapeOf" and operation.input(0).get_partial_shape().rank.get_length() == 3:
            operation.input(0).replace_source_output(given.output(0))
    return lower, Model(model.outputs, [given, model.input("mask").node])


# OpenVINO's Python side locks up for good where two threads make its first call at once.
_FIRST_CALL = Lock()
# Tag logits of a token that is outside of all triggers.
_NO_TRIGGER = (0.0, -30.0, -30.0)


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

            def ready(model: Any) -> Any:
                return core.compile_model(model, "CPU", settings).create_infer_request()

            upper = core.read_model(folder / "encoder.xml")
            self._probe = Probe.load(folder / "probe.npz") if (folder / "probe.npz").exists() else None
            if self._probe:
                lower, upper = cut(upper, self._probe.after)
                self._lower = ready(lower)
            self._upper, self._head = ready(upper), ready(folder / "head.xml")
            with _FIRST_CALL:
                ids = mask = np.ones((1, _ROUND), dtype=np.int64)
                self.heads(self.encode(ids, mask).hidden, mask, mask.astype(np.float32))
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"weights in {folder}: {error}") from error

    def lower(self, ids: Ints, mask: Ints) -> Floats:
        """The states (B, T, H) that the probe looks at; the words' own vectors without a probe. Good until the next call."""
        words: Floats = self._words[ids].astype(np.float32) * self._scales[ids][..., None]
        return self._lower.infer([words, mask], share_outputs=True)[0] if self._probe else words

    def encode(self, ids: Ints, mask: Ints, early: bool = False) -> Encoded:
        states = self.lower(ids, mask)
        rows = self._probe.passing(states, mask) if early and self._probe else list(range(len(ids)))
        if len(rows) == len(ids):
            return self._answers(states, mask)
        hidden = np.zeros_like(states)
        tags = np.tile(np.array(_NO_TRIGGER, dtype=np.float32), (*ids.shape, 1))
        event = np.full(len(ids), -np.inf, dtype=np.float32)
        if rows:
            answer = self._answers(states[rows], mask[rows])
            hidden[rows], tags[rows], event[rows] = answer.hidden, answer.tags, answer.event
        return Encoded(hidden, tags, event)

    def _answers(self, states: Floats, mask: Ints) -> Encoded:
        answer = self._upper.infer([states, mask])
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
