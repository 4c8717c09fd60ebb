"""Speed of the coder: `make bench`. Ratios are of both sides in one run, since shared machines drift.

Text: the development split of the corpus, as articles of 25 sentences: conflict-heavy (sentences as they come, three in five
with an event) and general news (one in ten with an event). Sides: the coder end to end, with either profile; the bare large
encoder on the same sentences, in batches; and, where torch is installed, the same encoder in PyTorch, one sentence at a time.
"""

from __future__ import annotations

import platform
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.coder import WEIGHTS, Coder
from models.corpus.reading import read
from models.encoder import OpenvinoNetwork, Tokenizer, pad
from models.training.data import development_files

ROUNDS = 3
# PyTorch reads this many sentences a round; it would take minutes otherwise.
LOOP = 60


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


def bare(network: OpenvinoNetwork, tokenizer: Tokenizer, sentences: Sequence[str]) -> Callable[[], None]:
    """A run of the encoder alone over tokens made beforehand."""
    ids = [tokens.ids for tokens in tokenizer(sentences)]

    def run() -> None:
        for _ in network.encode(ids):
            pass

    return run


def pytorch(tokenizer: Tokenizer, sentences: Sequence[str]) -> Callable[[], None] | None:
    """A loop over the same encoder in PyTorch, one sentence at a time; None without torch."""
    try:
        import torch

        from models.training.network import EventNetwork
        from models.training.pretrained import MPNET, pretrained
    except ImportError:
        return None
    network = EventNetwork(pretrained(MPNET, Path("checkpoints/pretrained"))).eval()

    def run() -> None:
        with torch.inference_mode():
            for sentence in sentences:
                (tokens,) = tokenizer([sentence])
                ids, mask = pad([tokens.ids])
                network.read(torch.from_numpy(ids), torch.from_numpy(mask))

    return run


def sentences_by_kind() -> dict[str, list[str]]:
    """Of the development split: all of it, and with one in ten that holds an event, as in general news."""
    records = read(development_files())
    random.Random(1).shuffle(records)
    nulls = [record["text"] for record in records if not record["events"]]
    active = [record["text"] for record in records if record["events"]]
    general = nulls + active[: len(nulls) // 9]
    random.Random(1).shuffle(general)
    return {"conflict-heavy": [record["text"] for record in records], "general news": general}


def main() -> None:
    """Print a table to stdout."""
    kinds = sentences_by_kind()
    coder = Coder.load()
    for _ in coder.code_many(articles(kinds["conflict-heavy"])[:2]):
        pass
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    fast = Coder.load(profile="fast")
    network, tokenizer = OpenvinoNetwork(WEIGHTS / "accurate"), Tokenizer(WEIGHTS / "accurate" / "tokenizer.json")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, model {coder.model}")
    print(f"memory with the coder loaded and two articles coded: {memory:.0f} MiB")
    columns = ("articles/s", "sentences/s", "fast articles/s", "bare encoder sent/s", "coder / PyTorch 1x1")
    print(f"{'text':16}" + "".join(f"{column:>21}" for column in columns))
    for name, sentences in kinds.items():
        texts = articles(sentences)
        count = 25 * len(texts)
        run_coder, run_fast = partial(code_all, coder, texts), partial(code_all, fast, texts)
        run_bare, run_torch = bare(network, tokenizer, sentences[:count]), pytorch(tokenizer, sentences[:LOOP])
        run_coder()
        rates: list[tuple[float, float, float, float]] = []
        for number in range(ROUNDS):
            ours, quick = count / seconds(run_coder), count / seconds(run_fast)
            alone = count / seconds(run_bare)
            loop = LOOP / seconds(run_torch) if run_torch else float("nan")
            rates.append((ours, quick, alone, ours / loop))
            print(f"{name}: round {number + 1} of {ROUNDS}", file=sys.stderr)
        ours, quick, alone, ratio = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"{name:16}{ours / 25:21.1f}{ours:21.0f}{quick / 25:21.1f}{alone:21.0f}{ratio:21.1f}", flush=True)


if __name__ == "__main__":
    main()
