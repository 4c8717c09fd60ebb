"""No library that we use tells its makers of us. Theirs hold their tongues under CI, so these tests run without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_WATCHED = ("os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen", "socket.getaddrinfo", "socket.connect")
# Prints what the program does of it.
_WATCH = f"""\
import sys
sys.addaudithook(lambda event, details: event in {_WATCHED} and print(event, details[:2], file=sys.__stdout__, flush=True))
"""
_CODE = """\
from models import Coder
coder = Coder.load(profile="fast")
assert coder.code("Rebels killed three people in the village on Monday.")
"""
_FLOWS = """\
import flows.deployments
from prefect._internal.analytics.enabled import is_telemetry_enabled
from prefect.settings import get_current_settings
assert not is_telemetry_enabled()
assert not get_current_settings().server.analytics_enabled
"""


@pytest.mark.parametrize("program", [_CODE, _FLOWS], ids=["coder", "flows"])
def test_nothing_is_reported_to_the_makers_of_libraries(program: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect")}
    ran = subprocess.run(
        [sys.executable, "-c", _WATCH + program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert {each.name for each in tmp_path.iterdir()} <= {"prefect"}
