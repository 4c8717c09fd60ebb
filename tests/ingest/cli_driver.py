"""The command line with the keyword coder in place of the model: `python -m tests.ingest.cli_driver COMMAND ...`."""

from __future__ import annotations

import os

import models
from ingest.cli import main
from models.events import Event
from tests.ingest.keyword_coder import MODEL, SECONDS, KeywordCoder


class StandIn(KeywordCoder):
    model = MODEL

    @classmethod
    def load(cls, path: object = None, threads: int | None = None, profile: str | None = None) -> StandIn:
        return cls(float(os.environ.get(SECONDS, "0")))

    def events(self, text: str, title: str | None = None, min_confidence: float | None = None) -> list[Event]:
        return super().events(text, title or "", min_confidence)


if __name__ in ("__main__", "__mp_main__"):  # the latter in the worker processes that the first one starts
    models.Coder = StandIn  # type: ignore[assignment, misc]

if __name__ == "__main__":
    main()
