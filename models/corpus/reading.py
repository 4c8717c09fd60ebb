"""Reading files in the corpus format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.corpus.validate import problems
from models.errors import CorpusError


def read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The records of corpus files. Raises CorpusError naming file, line and fault of the first wrong one."""
    records = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{path}: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                wrong = problems(record)
            except (json.JSONDecodeError, AttributeError, TypeError) as error:
                raise CorpusError(f"{path}:{number}: {error}") from error
            if wrong:
                raise CorpusError(f"{path}:{number}: {wrong[0]} (see models/corpus/CODEBOOK.md)")
            records.append(record)
    return records
