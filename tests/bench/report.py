"""Time and memory of a report of the world: `python -m tests.bench.report [--rows 900000] [--database sqlite|postgres]`.

The store is that of tests.bench.api, its events spread evenly over nine weeks, one incident for every three: the week that is
reported has 100,000. `conflictwire report` is a process of its own; the memory is the most that it held (`ru_maxrss`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from ingest.settings import Settings
from ingest.storage import Store
from tests.bench.api import END, fill
from tests.bench.storage import database
from tests.ingest.command import ROOT, settings_environment


def main() -> None:
    """Fill, report; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=900_000, help="events in the store")
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="sqlite")
    parser.add_argument("--folder", help="where the database is to lie", default=None)
    chosen = parser.parse_args()
    with database(chosen.database, chosen.folder) as make, tempfile.TemporaryDirectory() as folder:
        url = make()
        store = Store.open(url)
        fill(store, chosen.rows, timedelta(weeks=9))
        store.close()
        settings = Settings(data_dir=Path(folder), store=SecretStr(url))
        target = Path(folder, "report.html")
        days = ["--from", f"{END - timedelta(weeks=1):%F}", "--to", f"{END:%F}", "--as-of", f"{END:%F}"]
        command = ["-c", "from ingest.cli import main; main()", "report", *days, "-o", str(target)]
        began = time.perf_counter()
        pid = os.posix_spawn(
            sys.executable, [sys.executable, *command], settings_environment(settings) | {"PYTHONPATH": str(ROOT)}
        )
        _, status, used = os.wait4(pid, 0)
        assert status == 0
        seconds, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
        print(
            f"{chosen.database}, the world: {seconds:.1f} s, {cpu:.1f} s of CPU, "
            f"{used.ru_maxrss / 1e3:,.0f} MB, file {target.stat().st_size / 1e3:,.0f} kB",
            flush=True,
        )


if __name__ == "__main__":
    main()
