"""The command line with the keyword coder in place of the model: `python -m tests.ingest.cli_driver COMMAND ...`."""

from __future__ import annotations

import os

import models
from ingest.cli import main
from tests.ingest.keyword_coder import MODEL, SECONDS, KeywordCoder


class StandIn(KeywordCoder):
    model = MODEL

    @classmethod
    def load(cls, path: object = None, threads: int | None = None) -> StandIn:
        return cls(float(os.environ.get(SECONDS, "0")))


if __name__ == "__main__":
    models.Coder = StandIn  # type: ignore[assignment, misc]
    main()
