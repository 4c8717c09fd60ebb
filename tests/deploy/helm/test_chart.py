"""The Helm chart: it renders, a cluster takes it, and it says what it promises."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from ingest.settings import Settings
from tests.deploy.helm.chart import (
    CHART,
    KUBERNETES,
    Manifest,
    Peer,
    check_schema,
    component,
    may_talk,
    not_restricted,
    one,
    pods,
    render,
    require_helm,
    template,
)

# What people set: as it comes; servers of their own, with all that can be switched; and without KEDA and policies.
SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "servers of one's own": {
        "image": {
            "repository": "registry.example/conflictwire",
            "digest": f"sha256:{'a' * 64}",
            "pullSecrets": [{"name": "r"}],
        },
        "kafka": {
            "enabled": False,
            "bootstrapServers": "kafka-1.example:9093,kafka-2.example:9094",
            "securityProtocol": "SASL_SSL",
            "saslMechanism": "SCRAM-SHA-512",
            "existingSecret": "kafka-user",
            "caSecret": "kafka-ca",
            "replicationFactor": 3,
        },
        "postgresql": {"enabled": False, "existingSecret": "store", "port": 6432},
        "prefect": {
            "server": {"enabled": False},
            "apiUrl": "https://prefect.example/api",
            "existingSecret": "prefect",
            "alertSecret": "alert",
        },
        "puller": {"dataClaim": "exports"},
        "topics": {"partitions": 48},
        "feeds": '[[feed]]\nname = "a"\nurl = "https://a.example/rss"\n',
        "contact": "desk@example.org",
        "settings": {"CONFLICTWIRE_PROFILE": "fast", "CONFLICTWIRE_GROUP": "coders-b"},
        "metrics": {
            "operator": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboards": {"enabled": True},
        },
        "keeper": {"affinity": {"nodeAffinity": {}}},
        "notifier": {
            "enabled": True,
            "smtp": {
                "host": "mail.example",
                "port": 465,
                "security": "tls",
                "user": "desk",
                "existingSecret": "smtp-user",
                "sender": "desk@example.org",
            },
            "tolerations": [{"key": "a"}],
        },
        "api": {
            "enabled": True,
            "replicas": 2,
            "existingSecret": "reader",
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "desk.example.org",
                "tlsSecret": "desk-tls",
                "annotations": {"a.example/b": "c"},
            },
        },
        "worker": {"articlesPerSecond": 14.5, "targetDelaySeconds": 60, "nodeSelector": {"pool": "cpu"}},
        "networkPolicy": {
            "postgresqlPeers": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
            "webhookPorts": [443, 8443],
            "notifierPeers": [{"ipBlock": {"cidr": "10.2.0.25/32"}}],
        },
    },
    "with the API": {"api": {"enabled": True}, "networkPolicy": {"apiPeers": []}, "notifier": {"enabled": True}},
    "without KEDA": {"worker": {"autoscaling": {"enabled": False}}, "networkPolicy": {"enabled": False}},
}


@cache
def rendered(name: str) -> list[Manifest]:
    return render(SETTINGS[name])


each_setting = pytest.mark.parametrize("name", SETTINGS)


@each_setting
def test_kubernetes_can_read_every_manifest(name: str) -> None:
    manifests = rendered(name)
    assert len(manifests) > 12
    for manifest in manifests:
        check_schema(manifest)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(set(names)) == len(names)


def test_a_misspelt_field_does_not_pass() -> None:
    worker = yaml.safe_load(yaml.safe_dump(one(rendered("as it comes"), "Deployment", "cw-conflictwire-worker")))
    worker["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(Exception, match="livenesProbe"):
        check_schema(worker)
    scaled = yaml.safe_load(yaml.safe_dump(one(rendered("as it comes"), "ScaledObject", "cw-conflictwire-worker")))
    scaled["spec"]["maxReplicas"] = 3
    with pytest.raises(Exception, match="maxReplicas"):
        check_schema(scaled)


def test_helm_finds_nothing_to_say() -> None:
    linted = subprocess.run(
        [str(require_helm()), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout
    assert int(KUBERNETES[0].split(".")[1]) == 25
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"].startswith(">=1.25")


@each_setting
def test_every_pod_keeps_the_restricted_standard_with_a_read_only_root(name: str) -> None:
    found = dict(pods(rendered(name)))
    assert "flow run" in found
    assert {pod: wrong for pod, template_ in found.items() if (wrong := not_restricted(template_))} == {}
    for template_ in found.values():
        spec = template_["spec"]
        # Only the worker of Prefect talks to the API server.
        if spec.get("serviceAccountName") is None:
            assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for container in spec["containers"]:
            assert container["resources"]["requests"]["memory"]
            assert container["resources"]["limits"]["memory"]


@each_setting
def test_selectors_find_their_pods(name: str) -> None:
    manifests = rendered(name)
    templates = [template_["metadata"]["labels"] for _, template_ in pods(manifests)]
    for manifest in manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        wanted = selector.get("matchLabels", selector) if manifest["kind"] != "ServiceMonitor" else {}
        assert any(wanted.items() <= labels.items() for labels in templates), manifest["metadata"]["name"]


@each_setting
def test_every_setting_in_the_environment_is_one_that_the_program_knows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pod, template_ in pods(rendered(name)):
        for container in template_["spec"]["containers"]:
            with monkeypatch.context() as patched:
                for entry in container.get("env", []):
                    if entry["name"].startswith("CONFLICTWIRE_"):
                        patched.setenv(entry["name"], entry.get("value", "x"))
                        _, _, path = entry["name"].partition("_")
                        assert path == "LOG" or _is_setting(path), f"{pod}: {entry['name']}"
                Settings()


def _is_setting(path: str) -> bool:
    model: Any = Settings
    for part in path.lower().split("__"):
        if part not in getattr(model, "model_fields", {}):
            return False
        model = model.model_fields[part].annotation
    return True


# --- scaling ---


@pytest.mark.parametrize(
    ("worker", "threshold"),
    [
        ({}, 444),
        ({"articlesPerSecond": 14.5, "targetDelaySeconds": 60}, 870),
        ({"articlesPerSecond": 0.3, "targetDelaySeconds": 1}, 1),
        ({"articlesPerSecond": 8.81, "targetDelaySeconds": 100}, 881),
    ],
)
def test_the_lag_threshold_is_what_a_worker_codes_in_the_delay_wanted(
    worker: Mapping[str, Any], threshold: int
) -> None:
    scaled = one(render({"worker": worker}), "ScaledObject", "cw-conflictwire-worker")
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["lagThreshold"] == str(threshold)


def test_workers_scale_from_none_to_one_for_each_partition() -> None:
    manifests = rendered("servers of one's own")
    spec = one(manifests, "ScaledObject", "cw-conflictwire-worker")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 48)
    assert spec["triggers"][0]["metadata"]["consumerGroup"] == "coders-b"
    assert (
        spec["triggers"][0]["metadata"] | {"tls": "enable", "sasl": "scram_sha512"} == spec["triggers"][0]["metadata"]
    )
    authentication = one(manifests, "TriggerAuthentication", spec["triggers"][0]["authenticationRef"]["name"])
    assert {entry["parameter"] for entry in authentication["spec"]["secretTargetRef"]} == {"username", "password", "ca"}
    # KEDA and the Deployment would fight over the number.
    assert "replicas" not in one(manifests, "Deployment", "cw-conflictwire-worker")["spec"]
    assert one(rendered("without KEDA"), "Deployment", "cw-conflictwire-worker")["spec"]["replicas"] == 2


def test_a_worker_has_longer_to_stop_than_it_needs_and_its_probes_ask_the_port_of_the_metrics() -> None:
    from ingest.processes import GRACE

    spec = one(rendered("as it comes"), "Deployment", "cw-conflictwire-worker")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["terminationGracePeriodSeconds"] > GRACE + 10
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 9464}]
    assert {"name": "CONFLICTWIRE_METRICS__PORT", "value": "9464"} in container["env"]


# --- keeper, notifier and API ---


def test_a_keeper_is_never_two_and_is_watched_as_a_worker_is() -> None:
    manifests = rendered("servers of one's own")
    spec = one(manifests, "Deployment", "cw-conflictwire-keeper")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    keeper, worker = (
        one(manifests, "Deployment", f"cw-conflictwire-{name}")["spec"]["template"]["spec"]["containers"][0]
        for name in ("keeper", "worker")
    )
    assert keeper["args"] == ["keep"]
    for same in ("env", "ports", "startupProbe", "livenessProbe", "readinessProbe", "securityContext", "volumeMounts"):
        assert keeper[same] == worker[same], same
    assert {"name": "CONFLICTWIRE_TOPICS__INCIDENTS", "value": "incidents"} in keeper["env"]
    monitored = [each for each in manifests if each["kind"] == "ServiceMonitor"]
    services = [each["metadata"]["labels"] for each in manifests if each["kind"] == "Service"]
    for each in monitored:
        assert any(each["spec"]["selector"]["matchLabels"].items() <= labels.items() for labels in services)
    assert [each["metadata"]["name"] for each in monitored] == [
        f"cw-conflictwire-{name}" for name in ("worker", "keeper", "notifier")
    ]


@pytest.mark.parametrize(
    ("name", "secret", "key"),
    [("servers of one's own", "reader", "url"), ("with the API", "cw-conflictwire-postgresql", "reader-url")],
)
def test_the_api_needs_keys_and_knows_nothing_but_the_store_as_a_reader(name: str, secret: str, key: str) -> None:
    manifests = rendered(name)
    spec = one(manifests, "Deployment", "cw-conflictwire-api")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    assert told["CONFLICTWIRE_API__KEYS_REQUIRED"] == "true"
    assert not any("KAFKA" in each or "BROKER" in each for each in told)
    (store,) = (volume["secret"] for volume in spec["volumes"] if "secret" in volume)
    assert store == {"secretName": secret, "items": [{"key": key, "path": "url"}]}
    service = one(manifests, "Service", "cw-conflictwire-api")["spec"]
    assert service["ports"][0]["targetPort"] == container["ports"][0]["name"] == "http"
    assert str(container["ports"][0]["containerPort"]) == told["CONFLICTWIRE_API__PORT"]


def test_the_notifier_knows_nothing_but_the_store_and_the_mail_server_and_is_watched_as_a_worker_is() -> None:
    manifests = rendered("servers of one's own")
    spec = one(manifests, "Deployment", "cw-conflictwire-notifier")["spec"]["template"]["spec"]
    (notifier,) = spec["containers"]
    told = {entry["name"].removeprefix("CONFLICTWIRE_"): entry["value"] for entry in notifier["env"]}
    assert notifier["args"] == ["notify"]
    assert {name: value for name, value in told.items() if "SMTP" in name} == {
        "SMTP__HOST": "mail.example",
        "SMTP__PORT": "465",
        "SMTP__SECURITY": "tls",
        "SMTP__USER": "desk",
        "SMTP__PASSWORD_FILE": "/run/secrets/smtp/password",
        "SMTP__SENDER": "desk@example.org",
    }
    assert not any("KAFKA" in name or "BROKER" in name for name in told)
    assert {volume["name"]: volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume} == {
        "store": "store",
        "smtp": "smtp-user",
    }
    assert {mount["mountPath"] for mount in notifier["volumeMounts"]} > {"/run/secrets/smtp", "/data"}
    worker = one(manifests, "Deployment", "cw-conflictwire-worker")["spec"]["template"]["spec"]["containers"][0]
    for same in ("ports", "startupProbe", "livenessProbe", "readinessProbe", "securityContext"):
        assert notifier[same] == worker[same], same
    without = one(rendered("with the API"), "Deployment", "cw-conflictwire-notifier")["spec"]["template"]["spec"]
    assert not any("SMTP" in entry["name"] for entry in without["containers"][0]["env"])
    assert not [each for each in rendered("as it comes") if each["metadata"]["name"].endswith("-notifier")]


def test_the_api_and_its_ingress_are_off_unless_asked_for() -> None:
    kinds = {(each["kind"], each["metadata"]["name"]) for each in rendered("as it comes")}
    assert not [name for _, name in kinds if name.endswith("-api")]
    assert not [each for each in rendered("with the API") if each["kind"] == "Ingress"]
    ingress = one(rendered("servers of one's own"), "Ingress", "cw-conflictwire-api")["spec"]
    assert ingress["tls"] == [{"hosts": ["desk.example.org"], "secretName": "desk-tls"}]
    assert ingress["rules"][0]["host"] == "desk.example.org"
    assert ingress["ingressClassName"] == "nginx"


# --- secrets and hooks ---


def test_no_secret_is_rendered_where_one_is_given() -> None:
    manifests = rendered("servers of one's own")
    assert [manifest for manifest in manifests if manifest["kind"] == "Secret"] == []
    volumes = one(manifests, "Deployment", "cw-conflictwire-worker")["spec"]["template"]["spec"]["volumes"]
    assert {volume["secret"]["secretName"] for volume in volumes if "secret" in volume} == {
        "store",
        "kafka-user",
        "kafka-ca",
    }


def test_passwords_stand_in_secrets_and_nowhere_else() -> None:
    manifests = rendered("as it comes")
    secret = one(manifests, "Secret", "cw-conflictwire-postgresql")
    password = secret["stringData"]["password"]
    assert len(password) == 32
    assert secret["stringData"]["url"] == (
        f"postgresql+psycopg://conflictwire:{password}@cw-conflictwire-postgresql:5432/conflictwire"
    )
    assert secret["stringData"]["reader-url"] == (
        f"{secret['stringData']['url']}?options=-c%20role%3Dconflictwire_reader"
    )
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    rest = yaml.safe_dump_all(manifest for manifest in manifests if manifest["kind"] != "Secret")
    assert password not in rest


@pytest.mark.parametrize(
    ("name", "hook"), [("as it comes", "post-install,pre-upgrade"), ("servers of one's own", "pre-install,pre-upgrade")]
)
def test_migrations_run_before_an_upgrade_and_need_nothing_that_is_not_there_yet(name: str, hook: str) -> None:
    manifests = rendered(name)
    job = one(manifests, "Job", "cw-conflictwire-migrations")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == hook
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["args"] == ["migrate"]
    assert "serviceAccountName" not in spec
    assert not [volume for volume in spec["volumes"] if "configMap" in volume]


# --- values ---


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"wroker": {}}, "wroker"),
        ({"worker": {"articlesPerSecond": 0}}, "articlesPerSecond"),
        ({"topics": {"partitions": "many"}}, "partitions"),
        ({"kafka": {"enabled": False}}, "bootstrapServers"),
        ({"kafka": {"enabled": False, "bootstrapServers": "kafka.example"}}, "bootstrapServers"),
        ({"kafka": {"enabled": False, "bootstrapServers": "k:9092", "securityProtocol": "SASL_SSL"}}, "saslMechanism"),
        ({"postgresql": {"enabled": False}}, "existingSecret"),
        ({"prefect": {"server": {"enabled": False}}}, "apiUrl"),
        ({"settings": {"CONFLICTWIRE_STORE": "postgresql://u:p@h/d"}}, "settings"),
        ({"settings": {"CONFLICTWIRE_SMTP__PASSWORD": "hunter2"}}, "settings"),
        ({"api": {"enabled": True}, "postgresql": {"enabled": False, "existingSecret": "store"}}, "api.existingSecret"),
        ({"api": {"enabled": True}, "postgresql": {"existingSecret": "store"}}, "api.existingSecret"),
        ({"api": {"ingress": {"enabled": True}}}, "host"),
        ({"notifier": {"smtp": {"user": "desk"}}}, "notifier.smtp.existingSecret"),
        ({"notifier": {"smtp": {"host": "mail.example"}}}, "notifier.smtp.sender"),
        ({"notifier": {"smtp": {"security": "ssl"}}}, "security"),
        ({"settings": {"PATH": "/"}}, "PATH"),
        ({"image": {"digest": "sha256:123"}}, "digest"),
        ({"worker": {"resources": {"limits": {"memory": "2 GB"}}}}, "memory"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: Mapping[str, Any], says: str) -> None:
    done = template(values)
    assert done.returncode != 0
    assert says in done.stderr


def test_every_value_is_in_the_schema_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def leaves(value: Any, schema: Mapping[str, Any], path: str) -> None:
        if isinstance(value, dict) and "properties" in schema:
            assert set(value) == set(schema["properties"]) - {"global"}, path
            for key, inner in value.items():
                leaves(inner, schema["properties"][key], f"{path}.{key}")

    leaves(values, schema, "values")


# --- network ---

ANYWHERE, DATABASE = "93.184.215.14", "10.1.2.3"


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        ("worker", component("kafka"), 9092, True),
        ("worker", component("postgresql"), 5432, True),
        ("worker", component("prefect"), 4200, False),
        ("worker", Peer(address=ANYWHERE), 443, False),
        ("worker", Peer(address="169.254.169.254"), 80, False),
        ("keeper", component("kafka"), 9092, True),
        ("keeper", component("postgresql"), 5432, True),
        ("keeper", component("prefect"), 4200, False),
        ("keeper", Peer(address=ANYWHERE), 443, False),
        ("puller", component("kafka"), 9092, True),
        ("puller", component("postgresql"), 5432, True),
        ("puller", component("prefect"), 4200, True),
        ("puller", component("worker"), 9464, False),
        ("puller", Peer(address=ANYWHERE), 80, True),
        ("puller", Peer(address=ANYWHERE), 443, True),
        ("puller", Peer(address=ANYWHERE), 22, False),
        ("puller", Peer(address="2606:2800:21f:cb07:6820:80da:af6b:8b2c"), 443, True),
        # What a feed must not make us call: our own networks, loopback, the cloud's metadata, NAT64 and mapped forms of them.
        *(
            ("puller", Peer(address=address), 80, False)
            for address in (
                *(
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "127.0.0.1",
                    "169.254.169.254",
                    "100.64.0.1",
                ),
                *("0.0.0.0", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "fd00::1", "fe80::1", "ff02::1"),
                *("64:ff9b::a00:1", "::ffff:10.0.0.1"),
            )
        ),
        ("migrations", component("postgresql"), 5432, True),
        ("migrations", component("kafka"), 9092, True),
        ("migrations", Peer(address=ANYWHERE), 443, False),
        ("flows", component("prefect"), 4200, True),
        ("flows", component("postgresql"), 5432, False),
        ("prefect-worker", component("prefect"), 4200, True),
        ("prefect-worker", Peer(address="10.96.0.1"), 443, True),
        ("prefect-worker", component("postgresql"), 5432, False),
        ("kafka", component("kafka"), 9092, True),
        ("postgresql", Peer(address=ANYWHERE), 443, False),
        ("prefect", Peer(address=ANYWHERE), 443, False),
    ],
)
def test_each_component_reaches_what_it_needs_and_nothing_else(
    source: str, target: Peer, port: int, allowed: bool
) -> None:
    assert may_talk(rendered("as it comes"), component(source), target, port) is allowed


def test_all_may_ask_for_names_and_few_may_come_in() -> None:
    manifests = rendered("as it comes")
    dns = Peer({"k8s-app": "kube-dns"}, "kube-system")
    for name in (
        "worker",
        "keeper",
        "puller",
        "migrations",
        "flows",
        "prefect-worker",
        "kafka",
        "postgresql",
        "prefect",
    ):
        assert may_talk(manifests, component(name), dns, 53, "UDP")
    stranger = Peer({"app": "x"})
    for name, port in (("kafka", 9092), ("postgresql", 5432), ("prefect", 4200), ("worker", 9464)):
        assert not may_talk(manifests, stranger, component(name), port)
        assert not may_talk(manifests, component("worker", "another-release"), component(name), port)
    for name in ("worker", "keeper"):
        assert may_talk(manifests, Peer({"app": "prometheus"}, "monitoring"), component(name), 9464)
    assert may_talk(manifests, Peer({"app": "keda-operator"}, "keda"), component("kafka"), 9092)


def test_the_api_is_asked_by_whom_the_values_name_and_asks_the_store_alone() -> None:
    manifests, api, ingress = rendered("servers of one's own"), component("api"), Peer({"app": "x"}, "ingress-nginx")
    assert may_talk(manifests, ingress, api, 8080)
    assert not may_talk(manifests, ingress, api, 9464)
    assert not may_talk(manifests, Peer({"app": "x"}), api, 8080)
    assert may_talk(manifests, api, Peer(address=DATABASE), 6432)
    assert not may_talk(manifests, api, Peer(address=ANYWHERE), 9093)
    alone = rendered("with the API")
    assert may_talk(alone, api, component("postgresql"), 5432)
    assert not may_talk(alone, api, component("kafka"), 9092)
    assert not may_talk(alone, ingress, api, 8080)


@pytest.mark.parametrize(
    ("name", "target", "port", "allowed"),
    [
        ("with the API", component("postgresql"), 5432, True),
        ("with the API", component("kafka"), 9092, False),
        ("with the API", Peer(address=ANYWHERE), 443, True),
        ("with the API", Peer(address=ANYWHERE), 80, False),
        ("with the API", Peer(address=ANYWHERE), 587, False),
        ("with the API", Peer(address="10.2.0.25"), 443, False),
        ("with the API", Peer(address="169.254.169.254"), 443, False),
        ("with the API", Peer(address="fd00::1"), 443, False),
        ("servers of one's own", Peer(address=DATABASE), 6432, True),
        ("servers of one's own", Peer(address=ANYWHERE), 8443, True),
        ("servers of one's own", Peer(address=ANYWHERE), 465, True),
        ("servers of one's own", Peer(address=ANYWHERE), 587, False),
        ("servers of one's own", Peer(address="10.2.0.25"), 465, True),
        ("servers of one's own", Peer(address="10.2.0.26"), 465, False),
    ],
)
def test_the_notifier_reaches_the_internet_and_what_is_allowed_of_ones_own_networks(
    name: str, target: Peer, port: int, allowed: bool
) -> None:
    manifests, notifier = rendered(name), component("notifier")
    assert may_talk(manifests, notifier, target, port) is allowed
    assert may_talk(manifests, Peer({"app": "prometheus"}, "monitoring"), notifier, 9464)
    assert not may_talk(manifests, Peer({"app": "x"}), notifier, 9464)


def test_servers_of_ones_own_are_reached_at_their_ports_and_peers() -> None:
    manifests = rendered("servers of one's own")
    for port, allowed in ((9093, True), (9094, True), (9092, False)):
        assert may_talk(manifests, component("worker"), Peer(address=ANYWHERE), port) is allowed
    assert may_talk(manifests, component("worker"), Peer(address=DATABASE), 6432)
    assert not may_talk(manifests, component("worker"), Peer(address=ANYWHERE), 6432)
    assert may_talk(manifests, component("flows"), Peer(address=ANYWHERE), 443)
