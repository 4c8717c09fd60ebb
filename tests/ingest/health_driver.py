"""`conflictwire worker` with the keyword coder, for tests: `health_driver WORKERS SETTINGS`."""

from __future__ import annotations

import os
import sys

from ingest import health, log
from ingest.health import serving
from ingest.processes import run_workers
from ingest.settings import Settings
from tests.ingest.keyword_coder import KeywordCoder


def load(settings: Settings, workers: int) -> KeywordCoder:
    return KeywordCoder(slow_seconds=float(os.environ.get("KEYWORD_SLOW", "0")))


if __name__ == "__main__":
    log.configure()
    given = Settings.model_validate_json(sys.argv[2])
    # The dump hides the store's URL, which is in the environment as is the port.
    settings = given.model_copy(update={"store": Settings().store, "metrics": Settings().metrics})
    health.WATCH_SECONDS = float(os.environ.get("WATCH_SECONDS", "1"))
    with serving(settings, several=int(sys.argv[1]) > 1) as server:
        code = run_workers(int(sys.argv[1]), settings, load=load, serving=server)
    sys.exit(code)
