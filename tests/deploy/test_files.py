"""deploy/Dockerfile and deploy/compose.yaml by themselves: valid, pinned, without secrets, and in agreement."""

from __future__ import annotations

import http.server
import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa
import yaml

from ingest.settings import Settings, Smtp
from tests.deploy.containers import COMPOSE, DOCKERFILE, ROOT, instructions, interpolate, load_compose, own_image

DEPLOY = ROOT / "deploy"
EXAMPLE = DEPLOY / ".env.example"


def example() -> dict[str, str]:
    lines = (line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return load_compose({})


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_made_of_pinned_parts_and_holds_no_secret() -> None:
    said = instructions(DOCKERFILE.read_text())
    names = [name for name, _ in said]
    assert {of for name, of in said if name == "FROM"} == {"${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"}
    assert "ADD" not in names
    for name, of in said:
        if name in ("ARG", "ENV"):
            assert not re.search(r"(?i)passw|secret|token|_key", of), of
        if name == "RUN":
            assert "curl" not in of
            assert "wget" not in of
            for install in re.findall(r"pip[^&]* install ([^&]*)", of):
                assert re.search(r"--constraint|--no-deps|==", install), install
    image = own_image()
    assert image.user == (10001, 10001)
    assert image.entrypoint == ["tini", "--", "conflictwire"]
    assert image.health["test"] == ["CMD", "healthcheck"]
    assert set(image.environment["PATH"].split(":")) >= {"/opt/conflictwire/bin"}
    labels = " ".join(of for name, of in said if name == "LABEL")
    for label in ("title", "description", "licenses", "version", "revision", "created"):
        assert f"org.opencontainers.image.{label}=" in labels


def test_only_what_the_image_is_made_of_is_sent_to_the_builder() -> None:
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*", "what is not named stays out"
    allowed = {line[1:] for line in rest if line.startswith("!")}
    copied = {
        source
        for name, of in instructions(DOCKERFILE.read_text())
        if name == "COPY" and "--from" not in of
        for source in [part for part in of.split() if not part.startswith("--")][:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("variables", [{}, example()], ids=["defaults", "example"])
def test_compose_yaml_keeps_to_the_compose_specification(variables: dict[str, str]) -> None:
    schema = json.loads((ROOT / "tests" / "deploy" / "compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(load_compose(variables))


def test_env_example_shows_the_defaults_and_nothing_else() -> None:
    text = COMPOSE.read_text()
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert set(re.findall(r"\$\{(\w+)", text)) == set(used), "each has a default"
    assert used.pop("KAFKA_CLUSTER_ID"), "which must not change once there is data"
    assert example() == used


def test_variables_are_filled_in_as_compose_does() -> None:
    given = {"a": ["${X:-1}", "${Y}", "$$Z", {"b": "p${X:-}q"}], "c": 3}
    assert interpolate(given, {}) == {"a": ["1", "", "$Z", {"b": "pq"}], "c": 3}
    assert interpolate(given, {"X": "7"}) == {"a": ["7", "", "$Z", {"b": "p7q"}], "c": 3}


def test_every_service_has_what_an_operator_counts_on(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":[\w.-]+$", service["image"]), f"{name}: image with a tag"
        assert not service["image"].endswith(":latest"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["restart"] in ("unless-stopped", "no"), name
        assert service["logging"]["options"]["max-size"], f"{name}: logs must not fill the disk"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: reachable from this machine only"
        if "build" in service:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
        elif name != "postgres":  # its image starts as root and changes the owner of its folder
            assert service["cap_drop"] == ["ALL"], name
        if service["restart"] == "unless-stopped" and "build" not in service:
            assert service["healthcheck"]["test"], name


def test_start_order_waits_for_what_is_needed(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            once = services[other]["restart"] == "no"
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy"), (name, other)
    for name, service in services.items():
        if "store_url" in service.get("secrets", []) and name != "migrate":
            assert "migrate" in service["depends_on"], name


def test_secrets_come_by_file_only(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"(?i)password|secret|token", key):
                assert re.fullmatch(r"/run/secrets/\w+", str(value)), (name, key)
        text = json.dumps(service)
        named = set(re.findall(r"/run/secrets/(\w+)", text))
        assert named <= set(service.get("secrets", [])), name
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
    ignored = (DEPLOY / ".gitignore").read_text().split()
    assert {"secrets/", ".env"} <= set(ignored)


def test_secrets_are_made_once_and_go_together(tmp_path: Path, compose: dict[str, Any]) -> None:
    folder = tmp_path / "secrets"

    def make() -> dict[str, str]:
        subprocess.run(["sh", DEPLOY / "secrets.sh", folder], check=True)
        return {path.name: path.read_text() for path in folder.iterdir()}

    made = make()
    assert made.keys() == compose["secrets"].keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (
        made["store_url"] == f"postgresql+psycopg://conflictwire:{made['postgres_password']}@postgres:5432/conflictwire"
    )
    assert len(made["postgres_password"]) == len(made["grafana_password"]) == 48
    assert made["alert_url"] == made["smtp_password"] == ""
    (folder / "alert_url").write_text("https://chat.example/hook")
    assert make() == made | {"alert_url": "https://chat.example/hook"}


def test_monitoring_mounts_what_is_there_and_scrapes_who_tells_metrics(compose: dict[str, Any]) -> None:
    for name in ("prometheus", "grafana"):
        for mount in compose["services"][name]["volumes"]:
            source = mount.split(":")[0]
            assert not source.startswith(".") or list((DEPLOY / source).iterdir()), mount
    told = {
        name: service["environment"]["CONFLICTWIRE_METRICS__PORT"]
        for name, service in compose["services"].items()
        if service.get("environment", {}).get("CONFLICTWIRE_METRICS__HOST") == "0.0.0.0"
    }
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    (found,) = scraped["dns_sd_configs"]
    assert told == dict.fromkeys(found["names"], str(found["port"]))
    assert set(told) == {"worker", "keeper", "notifier"}


def test_the_api_asks_for_keys_and_reads_the_store_as_a_reader(tmp_path: Path, compose: dict[str, Any]) -> None:
    api = compose["services"]["api"]
    assert api["environment"]["CONFLICTWIRE_API__KEYS_REQUIRED"] == "true"
    assert api["secrets"] == ["reader_url"]
    subprocess.run(["sh", DEPLOY / "secrets.sh", tmp_path / "secrets"], check=True)
    url = sa.make_url((tmp_path / "secrets" / "reader_url").read_text())
    assert url.query == {"options": "-c role=conflictwire_reader"}
    assert url.set(query={}).render_as_string(False) == (tmp_path / "secrets" / "store_url").read_text()


def test_the_notifier_sends_through_the_mail_server_that_env_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def smtp(variables: dict[str, str]) -> Smtp:
        for name, value in load_compose(variables)["services"]["notifier"]["environment"].items():
            if "_SMTP__" in name:
                monkeypatch.setenv(name, value)
        return Settings().smtp

    assert smtp({}).host is None, "none unless there is one"
    named = smtp({"SMTP_HOST": "mail.example.org", "SMTP_PORT": "465", "SMTP_SECURITY": "tls", "SMTP_USER": "desk"})
    assert (named.host, named.port, named.security, named.user) == ("mail.example.org", 465, "tls", "desk")
    assert named.password_file == Path("/run/secrets/smtp_password")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 0), (404, 1), (503, 1)])
def test_a_healthcheck_tells_well_from_ill(status: int, code: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        check = [sys.executable, str(DEPLOY / "healthcheck.py")]
        environment = os.environ | {"CONFLICTWIRE_METRICS__PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
        assert subprocess.run(check, env=environment, capture_output=True, check=False).returncode == code
        url = f"http://127.0.0.1:{port}/livez"
        assert subprocess.run([*check, url], capture_output=True, check=False).returncode == code
        server.shutdown()
    assert subprocess.run([*check, url], capture_output=True, check=False).returncode == 1, "nobody answers"
    without = {name: value for name, value in os.environ.items() if name != "CONFLICTWIRE_METRICS__PORT"}
    assert subprocess.run(check, env=without, check=False).returncode == 0, "there is nothing to ask"
