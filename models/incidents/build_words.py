"""Writes words.tsv, how much each word tells, from models/corpus: `python -m models.incidents.build_words`."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

from models.incidents.facts import stems

_CORPUS = Path(__file__).parent.parent / "corpus"
# Rarer ones tell as much as unknown ones.
_LEAST = 4


def main() -> None:
    """Count in how many sentences each stem stands."""
    sentences = 0
    found: Counter[str] = Counter()
    for path in sorted(_CORPUS.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            sentences += 1
            found.update(set(stems(json.loads(line)["text"])))
    rows = {stem: round(10 * math.log(sentences / count)) for stem, count in found.items() if count >= _LEAST}
    unknown = round(10 * math.log(sentences / (_LEAST - 1)))
    lines = ["stem\ttenths", *(f"{stem}\t{rows[stem]}" for stem in sorted(rows)), f"*\t{unknown}", ""]
    Path(__file__).with_name("words.tsv").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
