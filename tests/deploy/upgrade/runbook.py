"""The commands of docs/operations.md, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ingest.settings import Settings
from tests.ingest.pipeline import as_environment
from tests.servers.postgres import require_binaries

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def commands(heading: str) -> str:
    """The first block of shell commands below a heading."""
    text = OPERATIONS.read_text(encoding="utf-8")
    found = re.search(rf"^### {re.escape(heading)}\n(?:(?!#).*\n)*?```sh\n([\s\S]*?)```", text, re.MULTILINE)
    assert found, f"{OPERATIONS} has no commands below {heading!r}"
    return found[1]


def shell(script: str, folder: Path, settings: Settings, **variables: str) -> None:
    """Run `script` in `folder`, with the names that the page uses."""
    environment = {
        "PATH": f"{require_binaries()}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KAFKA": settings.broker.removeprefix("kafka://"),
        "GROUP": settings.group,
        "DATABASE": settings.store.get_secret_value().replace("+psycopg", ""),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | as_environment(settings) | environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
