"""The alert on the pull deployment: a real Prefect server posts to a real HTTP server."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, StateType

from flows import alert, deployments
from tests.flows.looking import eventually

pytestmark = pytest.mark.prefect


class Chat(http.server.ThreadingHTTPServer):
    """Takes what an incoming webhook takes."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Hook)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Hook(http.server.BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.said.append((self.headers["Content-Type"], json.loads(body)["text"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def nothing_left(prefect_client: SyncPrefectClient) -> Iterator[None]:
    """The server is shared: others' pull runs fail on purpose, and no alert may tell of them."""
    yield
    for deployment in prefect_client.read_deployments():
        prefect_client.delete_deployment(deployment.id)
    Automation.read(name=alert.NAME).delete()


def test_a_late_or_failed_pull_is_told_once_and_no_other_run_is(prefect_client: SyncPrefectClient, chat: Chat) -> None:
    deployments.deploy(alert_url=chat.url)
    maintain = prefect_client.read_deployment_by_name("maintain/maintain")
    pull = prefect_client.read_deployment_by_name("pull-feeds/pull")
    # An automation is known to the server's evaluation a moment after it is made.
    failed = State(type=StateType.FAILED, message='the broker said "no"')

    def fail(deployment_id: object) -> None:
        run = prefect_client.create_flow_run_from_deployment(deployment_id)  # type: ignore[arg-type]
        prefect_client.set_flow_run_state(run.id, failed, force=True)

    def told() -> bool:
        fail(maintain.id)
        fail(pull.id)
        return bool(chat.said)

    eventually(told, "an alert")
    content_type, text = chat.said[0]
    assert content_type == "application/json"
    assert 'of pull-feeds/pull is Failed. the broker said "no"' in text
    for _ in range(5):
        fail(pull.id)
    assert len(chat.said) == 1, "one message an hour"


def test_a_run_that_nobody_starts_is_told_as_late(prefect_client: SyncPrefectClient, chat: Chat) -> None:
    deployments.deploy(alert_url=chat.url)
    pull = prefect_client.read_deployment_by_name("pull-feeds/pull")

    def told() -> bool:
        due = State(
            type=StateType.SCHEDULED, state_details={"scheduled_time": datetime.now(UTC) - timedelta(minutes=5)}
        )
        prefect_client.create_flow_run_from_deployment(pull.id, state=due)
        time.sleep(1)
        return bool(chat.said)

    eventually(told, "an alert")
    assert "of pull-feeds/pull is Late" in chat.said[0][1]


def test_what_an_operator_has_switched_off_stays_off_and_without_an_address_nothing_is_sent(
    prefect_client: SyncPrefectClient, chat: Chat
) -> None:
    deployments.deploy()
    first = Automation.read(name=alert.NAME)
    assert [action.type for action in first.actions] == ["do-nothing"]
    first.disable()
    deployments.deploy(alert_url=chat.url)
    second = Automation.read(name=alert.NAME)
    assert second.id == first.id
    assert not second.enabled
    assert [action.type for action in second.actions] == ["call-webhook"]
