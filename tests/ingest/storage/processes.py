"""Programs that all begin at the same moment, each a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_PRELUDE = f"""
import sys
sys.path.insert(0, {str(_ROOT)!r})
from ingest.storage import *
from tests.ingest.storage.samples import *
print("ready", flush=True)
name, url = sys.argv[1], sys.stdin.readline().strip()
"""


def race(program: str, names: str, url: str) -> list[int]:
    """Run `program` once for each letter of `names`; it finds its `name` and the store's `url`. The exit codes."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in names
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write(url + "\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=100)
        return [process.returncode for process in processes]
    finally:
        for process in processes:
            process.kill()
