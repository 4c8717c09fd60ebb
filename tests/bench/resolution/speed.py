"""What the resolution of arguments costs beside the coder: `python -m tests.bench.resolution.speed`.

Articles of the development split, conflict-heavy, each read once, as a worker would; both times are of the same run. Start-up
is that of the resolvers' data, memory what it adds to the process.
"""

from __future__ import annotations

import resource
import sys
import time

from models.assemble import Told, assemble
from models.coder import Coder
from models.corpus.reading import read
from models.events import Span
from models.resolve import resolve_actor, resolve_place
from models.resolve.article import Article
from models.text import sentences
from models.training.data import development_files
from tests.bench.coder import articles


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print start-up, memory and the share of the coder's time."""
    before, started = _megabytes(), time.perf_counter()
    resolve_actor("Nigerian army")
    resolve_place(["Kano"], ["NGA"])
    ready = time.perf_counter() - started
    print(f"resolvers ready in {ready:.2f} s, {_megabytes() - before:.0f} MB more", file=sys.stderr)
    coder = Coder.load()
    texts = [each.text for each in articles([record["text"] for record in read(development_files())])]
    reading = resolving = 0.0
    events = 0
    for text in texts:
        started = time.perf_counter()
        spans = sentences(text)
        pieces = [text[start:end] for start, end in spans]
        found = coder.read(pieces, coder.reader.weights.min_confidence)
        middle = time.perf_counter()
        told = [
            Told(Span(piece, *span, "text"), each)
            for piece, span, each in zip(pieces, spans, found, strict=True)
            if each
        ]
        events += len(assemble(Article(text), told, coder.model).events)
        reading += middle - started
        resolving += time.perf_counter() - middle
    each, share = 1000 * resolving / len(texts), resolving / (reading + resolving)
    print(f"{len(texts)} articles, {events} events: {each:.1f} ms an article, {share:.1%} of the coder's time")


if __name__ == "__main__":
    main()
