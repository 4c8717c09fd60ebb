"""The deployments, on a real Prefect server: served here, or handed to a work pool."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import temporary_settings

from flows import deployments, pull
from flows.errors import PrefectUnreachable
from tests.flows.looking import articles, artifact, eventually, process, rss, write_catalog
from tests.ingest.feeds.site import Site, answer
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(300)]

NAMES = ["pull-feeds/pull", "maintain/maintain", "recode/recode", "export/export"]
PROGRAM = [sys.executable, "-c", "from ingest.cli import main; main()", "flows"]
YAML = Path(__file__).parents[2] / "deploy" / "prefect.yaml"
# What a server adds by itself, and the version, which Prefect takes from the commit of the folder it is called in where that
# is a clone, else from the file.
ITS_OWN = {
    *("id", "created", "updated", "deployment_id", "flow_id", "work_queue_id", "last_polled", "status", "labels"),
    *("version", "version_id", "version_info"),
}


def runs_of(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment])), limit=200
    )


def completed(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    return [run for run in runs_of(client, deployment) if run.state and run.state.is_completed()]


def waiting(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    return [run for run in runs_of(client, deployment) if run.state and run.state.is_scheduled()]


def as_deployed(client: SyncPrefectClient, name: str) -> dict[str, Any]:
    """A deployment as the server has it, without what differs from one time to the next."""
    found = client.read_deployment_by_name(name).model_dump(mode="json")
    found["schedules"] = [
        {key: value for key, value in schedule.items() if key not in ITS_OWN} for schedule in found["schedules"]
    ]
    found["limit"] = (found.pop("global_concurrency_limit") or {}).get("limit")
    return {key: value for key, value in found.items() if key not in ITS_OWN}


@pytest.fixture(autouse=True)
def nothing_deployed(prefect_client: SyncPrefectClient) -> None:
    """The server is shared, and deployments have fixed names."""
    for deployment in prefect_client.read_deployments():
        prefect_client.delete_deployment(deployment.id)


def test_the_file_for_prefect_deploy_is_what_the_deployments_say() -> None:
    assert YAML.read_text() == deployments.prefect_yaml(), "python -m flows.deployments > deploy/prefect.yaml"


@pytest.mark.kafka
def test_scheduled_runs_put_the_articles_of_feeds_into_kafka(
    prefect_client: SyncPrefectClient, on_kafka: Pipeline, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.routes = {"/a": answer(rss("One", "Two")), "/b": answer(rss("Three"))}
    catalog = write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a", "b": f"{site.url}/b"})
    monkeypatch.setenv("CONFLICTWIRE_FEEDS", str(catalog))
    # The runs are processes of their own, which options reach too.
    monkeypatch.delenv("CONFLICTWIRE_BROKER")
    command = [*PROGRAM, "serve", "--every", "3", "--broker", on_kafka.settings.broker]
    with process(command, tmp_path / "serve.log") as served:
        eventually(lambda: len(articles(on_kafka)) == 3, "three articles in Kafka")
        deployment = prefect_client.read_deployment_by_name("pull-feeds/pull")
        first = eventually(lambda: completed(prefect_client, deployment.id), "a run completed")[-1]
        assert first.auto_scheduled
        assert first.state
        assert first.state.message == "2 feeds pulled: 3 new and 0 updated articles"
        rows, _ = artifact(prefect_client, first.id, pull.ARTIFACT)
        assert {row["feed"]: row["new"] for row in rows} == {"a": 2, "b": 1}

        prefect_client.pause_deployment(deployment.id)
        eventually(lambda: not waiting(prefect_client, deployment.id), "nothing scheduled while paused")
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 130
    assert sorted(article.title for article in articles(on_kafka)) == ["One", "Three", "Two"]


def test_deploying_by_command_or_by_prefect_deploy_is_the_same_and_workers_run_it(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path
) -> None:
    names = deployments.deploy()
    assert names == NAMES
    by_command = {name: as_deployed(prefect_client, name) for name in names}
    for name in names:
        prefect_client.delete_deployment(prefect_client.read_deployment_by_name(name).id)
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(YAML)],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    assert {name: as_deployed(prefect_client, name) for name in names} == by_command
    assert by_command["pull-feeds/pull"]["work_pool_name"] == deployments.WORK_POOL
    assert by_command["pull-feeds/pull"]["limit"] == 1

    assert by_command["recode/recode"]["schedules"] == []


def test_runs_by_hand_and_for_days_gone_by_go_on_while_the_schedules_are_paused(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path
) -> None:
    deployments.deploy()
    pause = ["deployment", "schedule", "pause", "--all"]
    subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", *pause], check=True, capture_output=True)
    pull_id = prefect_client.read_deployment_by_name("pull-feeds/pull").id
    # The scheduler may be at work on what it read before the pause.
    eventually(lambda: not waiting(prefect_client, pull_id), "nothing is scheduled")
    site.routes = {"/a": answer(rss("One", "Two"))}
    catalog = write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a"})
    embedded.publish([article(1)])
    embedded.work(KeywordCoder())
    today = embedded.stored()[0].coded.date()
    days = [str(today - timedelta(days=1)), str(today)]

    def ask(name: str, **parameters: object) -> UUID:
        deployment = prefect_client.read_deployment_by_name(name)
        return prefect_client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    asked = [ask("export/export", day=day, folder=str(tmp_path / "exports")) for day in days]
    asked.append(ask("pull-feeds/pull", feeds=str(catalog), names=["a"], force=True))
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", deployments.WORK_POOL, "--type", "process"]
    with process(worker, tmp_path / "worker.log"):

        def ended() -> list[State[Any]] | None:
            states = [run.state for run in map(prefect_client.read_flow_run, asked) if run.state]
            return states if all(state.is_final() for state in states) else None

        states = eventually(ended, "the worker's runs")
    assert [state.message for state in states][2] == "1 feeds pulled: 2 new and 0 updated articles"
    assert all(state.is_completed() for state in states), "those of one deployment wait for each other"
    assert len(articles(embedded)) == 3
    rows = [len((tmp_path / "exports" / f"events-{day}.csv").read_text().splitlines()) for day in days]
    assert rows == [1, 1 + len(embedded.stored())]
    assert not waiting(prefect_client, pull_id), "the schedules are still paused"


def test_what_an_operator_has_paused_stays_paused_when_deployed_again(prefect_client: SyncPrefectClient) -> None:
    def pauses() -> dict[str, tuple[bool, list[bool]]]:
        found = {name: prefect_client.read_deployment_by_name(name) for name in names}
        return {name: (each.paused, [schedule.active for schedule in each.schedules]) for name, each in found.items()}

    names = deployments.deploy()
    assert names == NAMES
    on, off = (False, [True]), (False, [False])
    assert pauses() == {name: (False, []) if name == "recode/recode" else on for name in names}
    prefect_client.pause_deployment(prefect_client.read_deployment_by_name("pull-feeds/pull").id)
    pause = ["deployment", "schedule", "pause", "--all"]
    subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", *pause], check=True, capture_output=True)
    deployments.deploy()
    assert pauses() == {
        "pull-feeds/pull": (True, [False]),
        "maintain/maintain": off,
        "recode/recode": (False, []),
        "export/export": off,
    }


@pytest.mark.parametrize("command", ["serve", "deploy"])
@pytest.mark.parametrize(("url", "said"), [("http://127.0.0.1:9/api", "127.0.0.1:9"), ("", "PREFECT_API_URL")])
def test_commands_say_that_there_is_no_prefect_api(command: str, url: str, said: str) -> None:
    with temporary_settings({"api.url": url or None}), pytest.raises(PrefectUnreachable, match=said) as caught:
        getattr(deployments, command)()
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_yaml_holds_nothing_that_prefect_would_ignore() -> None:
    from prefect.cli.deploy._models import DeploymentConfig

    for deployment in yaml.safe_load(YAML.read_text())["deployments"]:
        assert deployment.keys() <= DeploymentConfig.model_fields.keys()


def test_the_program_ends_with_3_where_prefect_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    ended = subprocess.run([*PROGRAM, "deploy"], capture_output=True, text=True)
    assert ended.returncode == 3
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: the Prefect API at http://127.0.0.1:9/api does not answer")


def test_help_does_not_wait_for_prefect() -> None:
    look = "import flows.cli, sys; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look]).returncode == 0
