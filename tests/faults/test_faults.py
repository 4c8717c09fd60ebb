"""A short run of the fault suite on each broker; `make faults` is the long one. SEED in the environment sets the seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.schedule import EMBEDDED, SERVERS, Kind
from tests.faults.servers import find_faketime
from tests.servers.kafka import die_with_parent, require_kafka
from tests.servers.postgres import require_binaries

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("SEED", "7")
ARTICLES_A_FAULT = 20


def keeps_its_promises(broker: str, kinds: Sequence[Kind]) -> None:
    """Each kind of fault once."""
    count = len(kinds)
    if find_faketime() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("NO LIBFAKETIME: the clock cannot jump; pip install libfaketime, or Debian's package")
        count -= 1
    command = [sys.executable, "-m", "tests.faults", "--broker", broker, "--seed", SEED]
    command += ["--faults", str(count), "--articles", str(ARTICLES_A_FAULT * count)]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=570, check=False, preexec_fn=die_with_parent
    )
    told = f"{' '.join(command[1:])}\n{ran.stderr[-6000:]}"
    assert ran.returncode == 0, told
    found = json.loads(ran.stdout)
    assert found["problems"] == 0
    assert sum(found["faults"].values()) == count
    # Not one of the faults missed: members were fenced, and both servers were seen to be away.
    assert found["commits"]["zombie fenced"] > 0, told
    assert found["commits"]["store unavailable"] > 0, told
    if broker == "kafka":
        assert found["commits"]["broker unavailable"] > 0, told


@pytest.mark.timeout(600)
def test_the_embedded_parts_keep_every_promise_under_each_kind_of_fault() -> None:
    keeps_its_promises("embedded", EMBEDDED)


@pytest.mark.timeout(600)
@pytest.mark.kafka
@pytest.mark.postgres
def test_kafka_and_postgresql_keep_every_promise_under_each_kind_of_fault() -> None:
    require_kafka()
    require_binaries()
    keeps_its_promises("kafka", SERVERS)
