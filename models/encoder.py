"""Tokeniser and inference requests: from sentences to vectors and logits, the same numbers in any batch.

Two graphs lie beside the tokeniser in a weights folder: `encoder.xml` reads a sentence once and says of it whether it holds
an event, and of every token whether it begins or continues a trigger; `head.xml` reads one trigger in its sentence and says
what event it is and which tokens are its arguments. Where `probe.npz` lies there too, it can end the reading of sentences
without an event after the first layers.

The linear layers read the tokens of a run's sentences one after another, without padding (`models.graphs`); only attention
sees sentences. Every quantised layer has fixed scales, and a sum over a sentence is the same with any padding of whole
vectors of the processor, so that the sentences beside it cannot change its numbers; nor can the length of those vectors.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.graphs import LANES, encoder, head
from models.text import encodable

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_Number = TypeVar("_Number", bound=np.generic)

MAX_TOKENS = 256
# Tokens in one run of the encoder, whose memory grows with them; more does not raise the throughput on two cores much.
BATCH_TOKENS = 512
# Runs of the first layers whose sentences are held until they go on together.
_HELD = 8


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
    """What the encoder makes of a run of B sentences, padded to T tokens."""

    rows: list[int]  # B, their numbers among those given
    mask: Ints  # (B, T), 1 within the sentence
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
    """The computations, whatever runs them: an inference session, or the network in training."""

    def encode(
        self, sentences: Sequence[Ints], early: bool = False, batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[Encoded]:
        """Sentences as token ids to vectors and logits, in runs of like length of about `batch_tokens` tokens.

        Every sentence is in one run; with `early` those that the first layers see to hold no event may be in none.
        """

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        """Hidden states (N, T, H), mask (N, T) and the triggers' tokens (N, T; 1 within) to logits."""

    def event_logits(self, sentences: Sequence[Ints], batch_tokens: int = BATCH_TOKENS) -> Floats:
        """The logits (S,) of S sentences holding an event, of which the first layers may already be sure: minus infinity
        where they see none, infinity where they see one."""
        found = np.full(len(sentences), -np.inf, dtype=np.float32)
        for read in self.encode(sentences, early=True, batch_tokens=batch_tokens):
            found[read.rows] = read.event
        return found


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
    """A look at a sentence after the first layers of a network: below `least` it holds no event, from `most` on it does.

    The score is linear in `summary`. `after` names the operation of `encoder.xml` whose output it looks at.
    """

    after: str
    slopes: Floats  # (3 H,)
    least: float
    most: float

    @classmethod
    def load(cls, path: Path) -> Probe:
        """Raises OSError, KeyError or ValueError where the file is missing or damaged."""
        with np.load(path) as held:
            return cls(str(held["after"]), held["slopes"], float(held["least"]), float(held["most"]))

    def save(self, path: Path) -> None:
        np.savez(path, after=self.after, slopes=self.slopes, least=self.least, most=self.most)

    def verdict(self, states: Floats) -> float | None:
        """Of a sentence, from its tokens' states (T, H), as a logit of its holding an event: minus infinity or infinity where
        the probe is sure, None where the sentence must be read to its end."""
        score = float(summary(states) @ self.slopes)
        if score < self.least:
            return -math.inf
        return math.inf if score >= self.most else None


def summary(states: Floats) -> Floats:
    """The first, the greatest and the mean state, (3 H,), of a sentence's states (T, H)."""
    return np.concatenate([states[0], states.max(axis=0), states.mean(axis=0)])


# OpenVINO's Python side locks up for good where two threads make its first call at once.
_FIRST_CALL = Lock()


class OpenvinoNetwork(Network):
    """The network on OpenVINO, on the processor: eight-bit integers in the layers, float32 between them.

    float32 is asked for also where the processor has bfloat16, which would find other events.
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
            self._probe = Probe.load(folder / "probe.npz") if (folder / "probe.npz").exists() else None
            graphs = (
                *encoder(core.read_model(folder / "encoder.xml"), self._probe.after if self._probe else None),
                head(core.read_model(folder / "head.xml")),
            )
            self._lower, self._upper, self._head = (
                core.compile_model(graph, "CPU", settings).create_infer_request() for graph in graphs
            )
            with _FIRST_CALL:
                for one in self.encode([np.ones(1, dtype=np.int64)]):
                    self.heads(one.hidden, one.mask, one.mask.astype(np.float32))
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"weights in {folder}: {error}") from error
        _give_back(folder)

    def lower(self, sentences: Sequence[Ints], batch_tokens: int = BATCH_TOKENS) -> Iterator[dict[int, Floats]]:
        """By the number of each sentence the states (T, H) that the probe looks at, a run at a time."""
        for rows in runs([len(sentence) for sentence in sentences], batch_tokens):
            ids, mask = map(_filled, pad([sentences[row] for row in rows]))
            words = self._words[ids].astype(np.float32) * self._scales[ids][..., None]
            given = {"embeddings": words, "mask": mask, **places(mask)}
            states = self._lower.infer(given, share_outputs=True)[0][0]
            ends = np.cumsum([len(sentences[row]) for row in rows])
            yield dict(zip(rows, np.split(states[: ends[-1]].copy(), ends[:-1]), strict=True))

    def encode(
        self, sentences: Sequence[Ints], early: bool = False, batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[Encoded]:
        return self._read(sentences, lambda _, states: not early or self._verdict(states) != -math.inf, batch_tokens)

    def event_logits(self, sentences: Sequence[Ints], batch_tokens: int = BATCH_TOKENS) -> Floats:
        found = np.zeros(len(sentences), dtype=np.float32)

        def is_open(row: int, states: Floats) -> bool:
            if (sure := self._verdict(states)) is not None:
                found[row] = sure
            return sure is None

        for read in self._read(sentences, is_open, batch_tokens):
            found[read.rows] = read.event
        return found

    def _verdict(self, states: Floats) -> float | None:
        return self._probe.verdict(states) if self._probe else None

    def _read(
        self, sentences: Sequence[Ints], goes_on: Callable[[int, Floats], bool], batch_tokens: int
    ) -> Iterator[Encoded]:
        """Reads to the end those of which `goes_on`, given their numbers and first states, says so."""
        held: dict[int, Floats] = {}
        for number, states in enumerate(self.lower(sentences, batch_tokens), 1):
            held |= {row: own for row, own in states.items() if goes_on(row, own)}
            if number % _HELD == 0:
                yield from self._upper_runs(held, batch_tokens)
                held = {}
        yield from self._upper_runs(held, batch_tokens)

    def _upper_runs(self, held: dict[int, Floats], batch_tokens: int) -> Iterator[Encoded]:
        numbers = list(held)
        for run in runs([len(held[number]) for number in numbers], batch_tokens):
            rows = [numbers[at] for at in run]
            own = [held[row] for row in rows]
            mask = masked([len(one) for one in own])
            filled = _filled(mask)
            where = places(filled)
            spare = len(where["tokens"]) - sum(len(one) for one in own)
            states = np.concatenate([*own, np.zeros((spare, own[0].shape[1]), dtype=np.float32)])
            answer = self._upper.infer({"states": states[None], "mask": filled, **where})
            yield Encoded(rows, mask, *(answer[name][: len(rows)].copy() for name in ("hidden", "tags", "event")))

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        filled = _filled(mask)
        given = {"hidden": _filled(hidden), "mask": filled, "trigger": _filled(trigger), **places(filled)}
        answer = self._head.infer(given)
        return Heads(*(answer[name][: len(mask)].copy() for name in ("types", "modes", "realis", "roles")))


def _give_back(folder: Path) -> None:
    """Has Linux take the weights in `folder` out of this process's memory: the runtime has copies in an order of its own.

    What it still reads comes from the page cache, which all processes share (madvise(2), MADV_DONTNEED on pages of a file).
    """
    with suppress(AttributeError, OSError):
        advise = ctypes.CDLL(None).madvise
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.endswith(".bin") and f" {folder.resolve()}/" in line:
                start, end = (int(address, 16) for address in line.split()[0].split("-"))
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def runs(lengths: Sequence[int], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Which sentences run together: the shortest first, as many as have at most `batch_tokens` tokens, twice that with the
    padding that attention sees, and at least one."""
    run: list[int] = []
    held = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        with_padding = (len(run) + 1) * _padded(lengths[row])
        if run and (held + lengths[row] > batch_tokens or with_padding > 2 * batch_tokens):
            yield run
            run, held = [], 0
        run.append(row)
        held += lengths[row]
    if run:
        yield run


def _stepped(count: int, least: int = 1) -> int:
    """The count, or the next above it of 1, 2, 3, 4, 6, 8, 12, 16, 24 ... that `least` divides.

    For every new shape the runtime keeps megabytes and takes hundredths of a second.
    """
    return _padded(count, max(1 << count.bit_length() >> 2, least))


def _filled(rows: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """The rows, and as many of zeros as it takes to have a number of them that comes often."""
    filled = np.zeros((_stepped(len(rows)), *rows.shape[1:]), dtype=rows.dtype)
    filled[: len(rows)] = rows
    return filled


def _padded(length: int, step: int = LANES) -> int:
    return -(-length // step) * step


def masked(lengths: Sequence[int]) -> Ints:
    """The mask (B, T) of sentences of these lengths, 1 within, T a multiple of 16."""
    return (np.arange(_padded(max(lengths))) < np.array(lengths)[:, None]).astype(np.int64)


def pad(sentences: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Token ids and mask (B, T) of sentences; padding is 0 with mask 0."""
    mask = masked([len(sentence) for sentence in sentences])
    ids = np.zeros_like(mask)
    ids[mask == 1] = np.concatenate(sentences)
    return ids, mask


def places(mask: Ints) -> dict[str, Ints]:
    """The inputs `tokens` and `places` of the graphs; the tokens are filled up with the first."""
    inside = mask.ravel()
    tokens = np.flatnonzero(inside)
    filled = np.zeros(_stepped(len(tokens), LANES), dtype=np.int64)
    filled[: len(tokens)] = tokens
    return {"tokens": filled, "places": np.where(inside, np.cumsum(inside) - 1, 0)}
