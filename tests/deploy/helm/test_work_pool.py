"""What the chart hands to Prefect, taken by a real Prefect server; and the Job that Prefect would make of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.base import BaseJobConfiguration

from tests.deploy.helm.chart import Manifest, check_schema, component, not_restricted, one, render

OWN = {
    "kafka": {"enabled": False, "bootstrapServers": "k.example:9092"},
    "postgresql": {"enabled": False, "existingSecret": "store"},
    "image": {"repository": "registry.example/conflictwire", "tag": "1.2.3"},
}


class KubernetesJob(BaseJobConfiguration):
    """The fields of prefect-kubernetes' configuration that the template fills in."""

    namespace: str
    job_manifest: dict[str, Any]
    job_watch_timeout_seconds: int | None = None
    pod_watch_timeout_seconds: int
    stream_output: bool


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return render(OWN)


@pytest.fixture(scope="module")
def base_job_template(manifests: list[Manifest]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        one(manifests, "ConfigMap", "cw-conflictwire-work-pool")["data"]["base-job-template.json"]
    )
    return found


@pytest.mark.prefect
def test_a_flow_run_becomes_a_job_that_kubernetes_takes(prefect_api: str, base_job_template: dict[str, Any]) -> None:
    wanted = {"command": "prefect flow-run execute", "name": "lively-otter", "labels": {"desk": "a"}}
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        job = asyncio.run(KubernetesJob.from_template_and_values(base_job_template, wanted))
    manifest = job.job_manifest
    # As prefect-kubernetes does: the command as a list, Prefect's own environment before ours.
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["args"] = container["args"].split()
    container["env"] = [{"name": "PREFECT__FLOW_RUN_ID", "value": "x"}, *container["env"]]
    check_schema(manifest)
    assert not_restricted(manifest["spec"]["template"]) == []
    assert [*container["command"], *container["args"]] == ["tini", "--", "prefect", "flow-run", "execute"]
    assert container["image"] == "registry.example/conflictwire:1.2.3"
    assert (job.namespace, manifest["metadata"]["generateName"]) == ("news", "lively-otter-")
    # The policies of the pullers are those of these pods.
    assert component("puller").labels is not None
    assert component("puller").labels.items() <= manifest["spec"]["template"]["metadata"]["labels"].items()  # type: ignore[union-attr]


@pytest.mark.prefect
def test_the_hook_makes_the_pool_and_the_deployments_on_a_real_server(
    tmp_path: Path, prefect_api: str, manifests: list[Manifest], base_job_template: dict[str, Any]
) -> None:
    hook = one(manifests, "Job", "cw-conflictwire-flows")["spec"]["template"]["spec"]
    written = tmp_path / "base-job-template.json"
    written.write_text(json.dumps(base_job_template), encoding="utf-8")
    conflictwire = str(Path(sys.executable).with_name("conflictwire"))
    make, deploy = hook["initContainers"][0], hook["containers"][0]
    assert (make["command"], deploy.get("command")) == (["tini", "--", "prefect"], None)
    making = [
        sys.executable,
        "-m",
        "prefect",
        *(part.replace("/etc/work-pool", str(tmp_path)) for part in make["args"]),
    ]
    environment = os.environ | {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with temporary_settings({PREFECT_API_URL: prefect_api}), get_client(sync_client=True) as client:
        # The server is shared with the tests of flows/, whose pool is of another type.
        if "conflictwire" in {pool.name for pool in client.read_work_pools()}:
            client.request("DELETE", "/work_pools/{name}", path_params={"name": "conflictwire"})
    for command in (making, [conflictwire, *deploy["args"]]):
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with temporary_settings({PREFECT_API_URL: prefect_api}), get_client(sync_client=True) as client:
        pool = client.read_work_pool("conflictwire")
        assert pool.type == "kubernetes"
        assert pool.base_job_template["job_configuration"] == base_job_template["job_configuration"]
        assert client.read_deployment_by_name("pull-feeds/pull").work_pool_name == "conflictwire"
        for name in ("pull-feeds/pull", "maintain/maintain"):
            client.delete_deployment(client.read_deployment_by_name(name).id)
        client.request("DELETE", "/work_pools/{name}", path_params={"name": "conflictwire"})
