"""deploy/compose.yaml, started as it is written: real Kafka, PostgreSQL and Prefect, the puller, two workers, a reader.

With CONFLICTWIRE_IMAGE_ROOT (`make deploy-proof`) our own services run from the built image's files and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.containers import IMAGE_ROOT, ROOT, Stack, kafka_image, own_image, postgres_image
from tests.feeds.serve import BASE, FOLDER
from tests.flows.looking import eventually
from tests.servers.kafka import kafka_libs, require_kafka
from tests.servers.postgres import _server_account, require_binaries
from tests.servers.unavailable import unavailable

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.prefect, pytest.mark.timeout(420)]

FEED = "sahel-courier"
PORT = 8000
# As an operator would write them to .env: small, and soon.
VARIABLES = {"PROFILE": "fast", "PULL_EVERY_SECONDS": "40", "KAFKA_HEAP_OPTS": "-Xmx512m", "WORKERS": "2"}
# What only a test needs: feeds on a private address, and a Prefect worker that looks more often than every ten seconds.
EXTRA = {
    "CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true",
    "CONFLICTWIRE_FETCH__HOST_GAP": "0",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
}


def require_namespaces() -> None:
    tools = ("ip", "unshare", "nsenter", "setpriv", "chroot")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if sys.platform == "linux" and os.geteuid() == 0 and not missing:
        return
    reason = f"NO CONTAINERS: needs root on Linux{' and ' + ', '.join(missing) if missing else ''}; nothing was checked"
    unavailable(reason)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that `docker compose up` starts, up and healthy, with one sample feed to pull."""
    require_namespaces()
    require_kafka()
    binaries, account = require_binaries(), _server_account()
    assert account is not None
    folder = tmp_path_factory.mktemp("stack")
    subprocess.run(["sh", str(ROOT / "deploy" / "secrets.sh"), str(folder / "secrets")], check=True)
    images = {
        "docker.io/apache/kafka": kafka_image(kafka_libs()),
        "docker.io/library/postgres": postgres_image(binaries, account.pw_uid, account.pw_gid),
        "conflictwire": own_image(),
    }
    lower = Path(IMAGE_ROOT) if IMAGE_ROOT else None
    with Stack(images, folder / "secrets", VARIABLES, EXTRA, lower) as opened:
        url = f"http://{opened.gateway}:{PORT}"
        served = folder / "www"
        served.mkdir()
        shutil.copytree(FOLDER / "pages", served / "pages")
        (served / "feed.xml").write_bytes((FOLDER / f"{FEED}.xml").read_bytes().replace(BASE, url.encode()))
        catalog = opened.volume("data") / "feeds.toml"
        catalog.write_text(f'[[feed]]\nname = "{FEED}"\nurl = "{url}/feed.xml"\n')
        site = opened.on_gateway(
            sys.executable, "-m", "http.server", str(PORT), "--bind", opened.gateway, "--directory", str(served)
        )
        opened.up("worker", "puller")
        yield opened
        site.kill()
        site.wait()


def test_events_come_to_a_reader_from_a_scheduled_pull_and_two_workers(stack: Stack) -> None:
    tail = stack.start("tail", arguments=["--since", "1h", "--format", "json"])
    # Later events may follow; the first tell that every part does its work.
    eventually(lambda: len(tail.out.splitlines()) >= 5, "five events at the reader", 180)
    events = [json.loads(line) for line in tail.out.splitlines()]
    assert {event["article"]["feed"] for event in events} == {FEED}
    assert all(event["trigger"]["text"] for event in events)
    for number in (1, 2):
        assert '"worker started"' in stack.containers[f"worker-{number}"].log
    assert tail.stop() in (0, 143)


def test_doctor_finds_store_and_topic_in_agreement(stack: Stack) -> None:
    def well() -> str | None:
        said = stack.containers["worker-1"].exec("conflictwire", "doctor")
        return said.stdout if said.returncode == 0 and "store and topic hold the same" in said.stdout else None

    report = eventually(well, "agreement", 120)
    assert "broker kafka://kafka:9092" in report
    assert "PostgreSQL" in report


def test_the_api_tells_the_keepers_incidents_to_who_has_a_key(stack: Stack) -> None:
    stack.up("keeper")
    made = stack.containers["keeper-1"].exec("conflictwire", "keys", "add", "desk")
    assert made.returncode == 0, made.stderr
    stack.up("api")
    asking = (
        "import sys, urllib.request as r\n"
        "q = r.Request('http://127.0.0.1:8080/v1/incidents', headers={'X-API-Key': sys.argv[1]})\n"
        "print(r.build_opener(r.ProxyHandler({})).open(q).read().decode())"
    )

    def ask(key: str) -> str:
        answer = stack.containers["api-1"].exec(sys.executable if not IMAGE_ROOT else "python", "-c", asking, key)
        return answer.stdout + answer.stderr

    found = eventually(lambda: json.loads(ask(made.stdout.strip()))["items"], "an incident", 120)
    assert found[0]["reports"]
    assert "401" in ask("cw_none")
    stack.up("notifier")
    notifier = stack.containers["notifier-1"]
    added = notifier.exec("conflictwire", "alerts", "add", "desk", "--feed")
    assert added.returncode == 0, added.stderr
    told = eventually(
        lambda: json.loads(notifier.exec("conflictwire", "alerts", "show", "desk", "--format", "json").stdout)["told"],
        "told",
        60,
    )
    assert {each["incident_id"] for each in told} & {each["incident_id"] for each in found}


def test_our_services_run_as_a_user_without_rights_on_a_root_that_cannot_be_written(stack: Stack) -> None:
    for name in ("worker-1", "worker-2", "puller-1", "prefect-server-1"):
        container = stack.containers[name]
        status = container.exec("cat", "/proc/1/status").stdout
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert found["Uid"].split() == ["10001"] * 4
        assert {found[each] for each in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
        assert found["NoNewPrivs"] == "1"
        for folder in ("/", "/opt", "/etc", "/usr/local/bin"):
            assert container.exec("touch", f"{folder}/x").returncode != 0, folder
        assert container.exec("touch", "/tmp/x", "/data/x").returncode == 0


def test_secrets_show_in_no_environment_and_no_log(stack: Stack) -> None:
    containers = [container for container in stack.containers.values() if container.process.poll() is None]
    password = stack.containers["worker-1"].exec("cat", "/run/secrets/store_url").stdout.split(":")[2].split("@")[0]
    assert len(password) == 48
    for container in stack.containers.values():
        assert password not in container.log, container.name
    for container in containers:
        assert password not in container.exec("cat", "/proc/1/environ").stdout, container.name


def test_a_worker_more_joins_and_all_end_when_told_within_the_grace_period(stack: Stack) -> None:
    more = stack.start("worker", 3)
    eventually(more.healthy, "the third worker is healthy", 60)
    for name in ("worker-3", "worker-2", "worker-1", "puller-1", "prefect-server-1"):
        container = stack.containers[name]
        began = time.monotonic()
        assert container.stop() in (0, 143), f"{name}:\n{container.log[-2000:]}"
        assert time.monotonic() - began < 60
    assert not stack.containers["kafka-1"].process.poll()


def test_what_was_set_up_once_finds_nothing_to_do_the_second_time(stack: Stack) -> None:
    again = stack.start("migrate", 2)
    assert again.process.wait(60) == 0, again.log
