"""Rules and dashboards: each alert is tested and explained, each query is one that Prometheus and PostgreSQL answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article, as_environment, embedded_settings, server_settings
from tests.servers.kafka import die_with_parent, free_ports
from tests.servers.postgres import PostgresServer
from tests.servers.unavailable import unavailable

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
# Of programs that are not ours.
FOREIGN = {"up", "ALERTS", "keda_scaler_metrics_value", "process_start_time_seconds", "process_resident_memory_bytes"}
# A metric is a name that no parenthesis follows; what stands in braces, quotes and after `by` is none.
_METRIC = re.compile(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()")
_WORDS = {"and", "or", "unless", "bool"}


def promtool() -> str:
    """Of PATH, or as `make .cache/bin/promtool` unpacks it. Skips without it; fails under CI."""
    found = shutil.which("promtool") or shutil.which("promtool", path=ROOT / ".cache" / "bin")
    if found is None:
        reason = "NO PROMTOOL: `make .cache/bin/promtool` fetches Debian's; no rule and no query has been checked"
        unavailable(reason)
    return found


def run(*arguments: object) -> None:
    done = subprocess.run(
        [promtool(), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100, cwd=RULES.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rules(kind: str) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        yield from (rule for rule in group["rules"] if kind in rule)


def metrics(query: str) -> set[str]:
    """The names of the metrics in a PromQL query."""
    bare = re.sub(r'"[^"]*"|\{[^{}]*\}|\[[^\]]*\]|\boffset \w+|\b(by|on|without|ignoring)\s*\([^()]*\)', " ", query)
    return {name for name in _METRIC.findall(bare) if name not in _WORDS and not name.startswith("$")}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sum by (type) (rate(a_total{x='}'}[5m])) * 60", {"a_total"}),
        ("a:b unless on () (c > 0) or vector(0)", {"a:b", "c"}),
        ("max(max_over_time(c[1d])) - d offset 1w", {"c", "d"}),
    ],
)
def test_metrics_of_a_query(query: str, found: set[str]) -> None:
    assert metrics(query) == found


# --- rules ---


def test_prometheus_can_read_its_configuration_and_the_rules() -> None:
    run("check", "config", "prometheus.yml")
    run("check", "rules", "--lint-fatal", RULES.name)


@pytest.mark.parametrize("name", ["rules_test.yml", "rate_test.yml"])
def test_alerts_fire_when_they_shall_and_only_then(name: str, tmp_path: Path) -> None:
    promtool()
    for path in (RULES, Path(__file__).with_name(name)):
        shutil.copy(path, tmp_path)
    run("test", "rules", tmp_path / name)


def test_every_alert_is_tested_both_ways() -> None:
    fires, stays = set(), set()
    for name in ("rules_test.yml", "rate_test.yml"):
        for test in yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                (fires if case["exp_alerts"] else stays).add(case["alertname"])
    alerts = {rule["alert"] for rule in rules("alert")}
    assert alerts
    assert fires == stays == alerts


def test_every_alert_names_its_severity_and_its_place_in_the_runbook() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    headings = {line.removeprefix("### ") for line in operations.splitlines() if line.startswith("### ")}
    for rule in rules("alert"):
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["alert"] in headings


# --- dashboards ---


def test_the_dashboards_are_those_that_the_generator_writes() -> None:
    sys.path.insert(0, str(GRAFANA))
    try:
        import generate  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(GRAFANA))
    assert dict(generate.files()) == {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield f"{path.stem}: {panel['title']}", panel


def test_panels_lie_side_by_side_and_ask_the_provisioned_sources() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/conflictwire.yaml").read_text(encoding="utf-8"))
    known = {source["uid"]: source["type"] for source in sources["datasources"]}
    assert {path.stem for path in DASHBOARDS} == {"pipeline", "feeds", "events"}
    taken: dict[str, set[tuple[int, int]]] = {}
    for name, panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        others = taken.setdefault(name.partition(":")[0], set())
        assert not cells & others, name
        assert max(x for x, _ in cells) < 24, name
        others |= cells
        for asked in (panel, *panel["targets"]):
            assert known[asked["datasource"]["uid"]] == asked["datasource"]["type"], name


def promql() -> Iterator[tuple[str, str]]:
    for name, panel in panels():
        for target in panel["targets"]:
            if "expr" in target:
                yield name, re.sub(r"\$__(rate_interval|interval|range)", "5m", target["expr"])


def test_every_query_of_the_dashboards_is_promql(tmp_path: Path) -> None:
    queries = [query for _, query in promql()]
    assert len(queries) > 10
    written = tmp_path / "queries.yml"
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    written.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    run("check", "rules", written)


def test_dashboards_and_rules_name_only_metrics_that_there_are() -> None:
    recorded = {rule["record"] for rule in rules("record")}
    known = FOREIGN | recorded | exported()
    asked = {name for _, query in promql() for name in metrics(query)}
    asked |= {name for kind in ("record", "alert") for rule in rules(kind) for name in metrics(rule["expr"])}
    assert asked - known == set()
    assert recorded <= asked | {"conflictwire:delay:seconds"}


def exported() -> set[str]:
    """The names of the samples that the program exports."""
    from ingest.metrics import REGISTRY, WATCHED

    found = set()
    for family in (*REGISTRY.collect(), *WATCHED.collect()):
        found.add(family.name)
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ())
        found |= {family.name + ending for ending in endings}
    return found


# --- a real Prometheus ---


def prometheus(folder: Path, *targets: str) -> subprocess.Popen[bytes]:
    """Prometheus with our configuration, asking `targets` in place of what the compose file's name server knows."""
    binary = Path(promtool()).with_name("prometheus")
    config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (worker, _) = config["scrape_configs"]
    del worker["dns_sd_configs"]
    config["scrape_configs"] = [worker | {"static_configs": [{"targets": targets}]}]
    shutil.copy(RULES, folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (port,) = free_ports(1)
    (folder / "address").write_text(f"http://127.0.0.1:{port}", encoding="utf-8")
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                str(binary),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )


def ask(address: str, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers now; nothing while it starts."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as said:
            answer: dict[str, Any] = json.load(said)
    except urllib.error.HTTPError as error:
        if error.code == 503:  # it reads what it has
            return []
        pytest.fail(f"{query}: {error.read().decode()}")
    except OSError:
        return []
    assert answer["status"] == "success"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_a_real_prometheus_answers_every_query_from_real_processes(
    tmp_path: Path,
) -> None:
    promtool()
    roles = ("worker", "keep", "notify")
    ports = free_ports(len(roles))
    pipeline = Pipeline(embedded_settings(tmp_path / "data"))
    pipeline.publish(map(article, range(20)))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ingest.cli_driver", role],
            cwd=ROOT,
            env=os.environ | as_environment(pipeline.settings) | {"CONFLICTWIRE_METRICS__PORT": str(port)},
            stderr=(tmp_path / role).open("wb"),
            preexec_fn=die_with_parent,
        )
        for role, port in zip(roles, ports, strict=True)
    ]
    processes.append(prometheus(tmp_path, *(f"127.0.0.1:{port}" for port in ports)))
    address = (tmp_path / "address").read_text(encoding="utf-8")
    try:
        silent = {
            name: query for name, query in promql() if not name.endswith(("Alerts", "Failing feeds", "Dead letters"))
        }
        deadline, number = time.monotonic() + 60, 20
        while silent:
            # Rates are of counters that move.
            pipeline.publish([article(number)])
            number += 1
            silent = {name: query for name, query in silent.items() if not ask(address, query)}
            logs = [(tmp_path / role).read_text()[-2000:] for role in roles]
            assert time.monotonic() < deadline, (silent, *logs)
            time.sleep(0.5)
        for name, query in promql():
            assert isinstance(ask(address, query), list), name
        (rate,) = ask(address, "conflictwire:articles_coded:rate5m")
        assert float(rate["value"][1]) > 0
        (age,) = ask(address, "conflictwire:newest_article:age_seconds")
        # All of the articles were fetched on one day.
        assert float(age["value"][1]) == pytest.approx(time.time() - article(0).fetched.timestamp(), abs=60)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        pipeline.close()


# --- SQL ---


def as_postgresql(query: str) -> str:
    """What Grafana makes of a query: its macros and variables filled in."""
    since, until = (f"'{(datetime.now(UTC) + timedelta(days=days)).isoformat()}'" for days in (-1, 1))
    query = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {since} AND {until}", query)
    query = re.sub(
        r"\$__timeGroupAlias\(([^(),]+),\s*\$__interval\)",
        r'floor(extract(epoch from \1) / 60) * 60 AS "time"',
        query,
    )
    query = query.replace("$type", "'ASSAULT','CONSULT'").replace("$country", "'XYZ','-'")
    assert "$" not in query
    return query


@pytest.mark.postgres
@pytest.mark.kafka
def test_every_query_of_the_dashboards_brings_rows_from_a_real_store(
    tmp_path: Path, kafka: str, postgres_server: PostgresServer, postgres_url: str
) -> None:
    pipeline = Pipeline(server_settings(tmp_path, kafka, postgres_url))
    try:
        pipeline.publish(map(article, range(30)))
        pipeline.work(KeywordCoder())
    finally:
        pipeline.close()
    with postgres_server.connect(postgres_url.rpartition("/")[2]) as connection:
        now = datetime.now(UTC)
        connection.execute("UPDATE articles SET fetched = %s", (now,))
        connection.execute("UPDATE events SET country = 'XYZ', lat = 1.5, lon = 30.25")
        for name, failures in (("feed-1", 0), ("feed-2", 5)):
            connection.execute(
                "INSERT INTO feed_states (name, failures, disabled, new_entries, pulls, next_due)"
                " VALUES (%s, %s, false, 0, 9, %s)",
                (name, failures, now - timedelta(hours=3)),
            )
        asked = 0
        for name, panel in panels():
            for target in panel["targets"]:
                if "rawSql" not in target:
                    continue
                asked += 1
                with connection.cursor() as cursor:
                    cursor.execute(as_postgresql(target["rawSql"]))  # type: ignore[arg-type]
                    columns = [column.name for column in cursor.description or ()]
                    rows = cursor.fetchall()
                assert rows, name
                if panel["type"] == "timeseries":
                    assert columns == ["time", "metric", "value"], name
                if panel["type"] == "geomap":
                    assert {"lat", "lon", panel["options"]["layers"][0]["config"]["style"]["size"]["field"]} <= set(
                        columns
                    )
        assert asked > 12
        for path in DASHBOARDS:
            for chosen in json.loads(path.read_text(encoding="utf-8"))["templating"]["list"]:
                assert connection.execute(chosen["query"]).fetchall(), chosen["name"]
