"""Writes the dashboards: `python deploy/grafana/generate.py` puts dashboards/*.json beside this file.

Grafana's JSON repeats itself in every panel; here a panel is what it shows. A test holds files and this script together, and
asks a real Prometheus and a real PostgreSQL each of the queries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
PROMETHEUS = {"type": "prometheus", "uid": "conflictwire-prometheus"}
POSTGRESQL = {"type": "grafana-postgresql-datasource", "uid": "conflictwire-postgresql"}
# Grafana's grid is 24 wide.
WIDTH = 24

# For `@shown` in a query: the events by the choices at the top, the current revision of each.
_SHOWN = """e.superseded IS NULL AND e.status <> 'retracted' AND $__timeFilter(e.coded)
    AND e.type IN ($type) AND coalesce(e.country, '-') IN ($country)"""

Panel = dict[str, Any]


def _targets(queries: Sequence[tuple[str, str]], instant: bool) -> list[dict[str, Any]]:
    return [
        {
            "refId": chr(ord("A") + at),
            "datasource": PROMETHEUS,
            "expr": query,
            "legendFormat": legend,
            "instant": instant,
            "range": not instant,
        }
        for at, (query, legend) in enumerate(queries)
    ]


def _sql(query: str, format_: str) -> list[dict[str, Any]]:
    return [
        {
            "refId": "A",
            "datasource": POSTGRESQL,
            "rawQuery": True,
            "editorMode": "code",
            "format": format_,
            "rawSql": " ".join(query.replace("@shown", _SHOWN).split()),
        }
    ]


def _panel(kind: str, title: str, says: str, source: dict[str, str], targets: list[dict[str, Any]]) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": says,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {},
    }


def stat(title: str, says: str, query: str, unit: str = "short", warn: float | None = None, sql: bool = False) -> Panel:
    """One number, red from `warn` on; the number of `query` now."""
    source, targets = (POSTGRESQL, _sql(query, "table")) if sql else (PROMETHEUS, _targets([(query, "")], True))
    panel = _panel("stat", title, says, source, targets)
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if warn is not None:
        steps.append({"color": "red", "value": warn})
    panel["fieldConfig"]["defaults"] = {
        "unit": unit,
        "noValue": "–",
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    panel["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    return panel


def _lines(panel: Panel, unit: str, stacked: bool) -> Panel:
    custom: dict[str, Any] = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    if stacked:
        custom |= {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    panel["fieldConfig"]["defaults"] = {"unit": unit, "min": 0, "custom": custom}
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def lines(
    title: str, says: str, queries: Sequence[tuple[str, str]], unit: str = "short", stacked: bool = False
) -> Panel:
    """Series over time, from Prometheus."""
    return _lines(_panel("timeseries", title, says, PROMETHEUS, _targets(queries, False)), unit, stacked)


def bars(title: str, says: str, query: str, unit: str = "short") -> Panel:
    """Stacked series over time, from PostgreSQL: columns time, metric, value."""
    panel = _lines(_panel("timeseries", title, says, POSTGRESQL, _sql(query, "time_series")), unit, True)
    # The value's own name says nothing where each series has one of its own.
    panel["transformations"] = [{"id": "renameByRegex", "options": {"regex": "value (.*)", "renamePattern": "$1"}}]
    return panel


def table(title: str, says: str, query: str, links: str | None = None) -> Panel:
    """Rows from PostgreSQL; the column `links` is shown as a link to what it holds."""
    panel = _panel("table", title, says, POSTGRESQL, _sql(query, "table"))
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    if links:
        panel["fieldConfig"]["overrides"] = [
            {
                "matcher": {"id": "byName", "options": links},
                "properties": [
                    {"id": "links", "value": [{"title": "open", "url": "${__value.raw}", "targetBlank": True}]}
                ],
            }
        ]
    return panel


def world(title: str, says: str, query: str, size: str) -> Panel:
    """Points at the columns lat and lon, as large as the column `size`."""
    panel = _panel("geomap", title, says, POSTGRESQL, _sql(query, "table"))
    panel["options"] = {
        "view": {"id": "zero", "lat": 20, "lon": 20, "zoom": 1.6},
        "basemap": {"type": "default", "name": "Basemap"},
        "layers": [
            {
                "type": "markers",
                "name": title,
                "tooltip": True,
                "location": {"mode": "coords", "latitude": "lat", "longitude": "lon"},
                "config": {
                    "showLegend": False,
                    "style": {
                        "size": {"field": size, "min": 3, "max": 24, "fixed": 6},
                        "color": {"fixed": "red"},
                        "opacity": 0.5,
                    },
                },
            }
        ],
    }
    return panel


def dashboard(uid: str, title: str, rows: Sequence[tuple[int, Sequence[Panel]]], variables: Sequence[Panel]) -> Panel:
    """`rows` are their height and their panels, which share the width."""
    placed: list[Panel] = []
    top = 0
    for height, panels in rows:
        width = WIDTH // len(panels)
        for at, panel in enumerate(panels):
            where = {"x": at * width, "y": top, "w": width, "h": height}
            placed.append({"id": len(placed) + 1, "gridPos": where} | panel)
        top += height
    return {
        "uid": uid,
        "title": title,
        "tags": ["conflictwire"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "links": [
            {"type": "dashboards", "title": "Conflictwire", "tags": ["conflictwire"], "asDropdown": False, "icon": ""}
        ],
        "templating": {"list": list(variables)},
        "panels": placed,
    }


def variable(name: str, label: str, query: str) -> Panel:
    """A choice of any number of the values of `query`; all at first."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": POSTGRESQL,
        "query": query,
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def pipeline() -> Panel:
    """Does every article become events, and how soon?"""
    return dashboard(
        "conflictwire-pipeline",
        "Conflictwire: pipeline",
        [
            (
                4,
                [
                    stat("Waiting", "Articles that no worker has read yet.", "conflictwire:lag:sum", warn=10_000),
                    stat(
                        "Newest article",
                        "Seconds since the last new article was fetched.",
                        "conflictwire:newest_article:age_seconds",
                        "s",
                        3600,
                    ),
                    stat("Coded", "Articles a second.", "conflictwire:articles_coded:rate5m", "ops"),
                    stat(
                        "Dead letters, 24 h",
                        "Articles that could not be read, coded, stored or published.",
                        "sum(increase(conflictwire_dead_letters_total[24h])) or vector(0)",
                        warn=1,
                    ),
                    stat(
                        "Processes",
                        "Workers, keeper and notifier that answer Prometheus.",
                        'count(up{job=~"conflictwire.*"} == 1)',
                    ),
                    stat(
                        "Alerts",
                        "Firing now.",
                        'count(ALERTS{alertname=~"Conflictwire.*", alertstate="firing"}) or vector(0)',
                        warn=1,
                    ),
                ],
            ),
            (
                8,
                [
                    lines(
                        "Articles a second",
                        "By what became of them.",
                        [("sum by (outcome) (rate(conflictwire_articles_total[$__rate_interval]))", "{{outcome}}")],
                        "ops",
                        True,
                    ),
                    lines(
                        "Waiting, by partition",
                        "Records that the group has yet to read. Flat and high in one: a worker hangs there.",
                        [("conflictwire:lag:by_partition", "{{partition}}")],
                    ),
                ],
            ),
            (
                8,
                [
                    lines(
                        "Seconds to code an article",
                        "Half of them take less than p50, all but one in a hundred less than p99.",
                        [
                            (
                                f"histogram_quantile({share}, sum by (le)"
                                " (rate(conflictwire_coding_seconds_bucket[$__rate_interval])))",
                                name,
                            )
                            for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
                        ],
                        "s",
                    ),
                    lines(
                        "Seconds of a store commit",
                        "One for each batch.",
                        [
                            (
                                f"histogram_quantile({share}, sum by (le)"
                                " (rate(conflictwire_store_seconds_bucket[$__rate_interval])))",
                                name,
                            )
                            for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
                        ],
                        "s",
                    ),
                ],
            ),
            (
                8,
                [
                    lines(
                        "Events a minute",
                        "By type.",
                        [("sum by (type) (rate(conflictwire_events_total[$__rate_interval])) * 60", "{{type}}")],
                        stacked=True,
                    ),
                    lines(
                        "Memory of a worker",
                        "Resident; the limit of the chart is 2 GiB.",
                        [('process_resident_memory_bytes{job=~"conflictwire.*"}', "{{instance}}")],
                        "bytes",
                    ),
                    lines(
                        "Dead letters",
                        "In an hour, by stage.",
                        [("sum by (stage) (increase(conflictwire_dead_letters_total[1h]))", "{{stage}}")],
                        stacked=True,
                    ),
                ],
            ),
            (
                8,
                [
                    lines(
                        "Waiting for the keeper",
                        "Events that it has yet to read. Markers of transactions count: one in each partition stays.",
                        [("conflictwire:keeper_lag:sum", "events")],
                    ),
                    lines(
                        "Open incidents",
                        "That further reports can join, by status.",
                        [("sum by (status) (conflictwire_incidents_open)", "{{status}}")],
                        stacked=True,
                    ),
                    lines(
                        "Incident revisions a minute",
                        "Stored and published, by what changed them.",
                        [("sum by (kind) (rate(conflictwire_incidents_total[$__rate_interval])) * 60", "{{kind}}")],
                        stacked=True,
                    ),
                    lines(
                        "Oldest waiting message",
                        "Of an alert, by channel: how long it has waited to be sent; 0 for none.",
                        [("max by (channel) (conflictwire_alert_oldest_waiting_seconds)", "{{channel}}")],
                        "s",
                    ),
                ],
            ),
        ],
        [],
    )


def feeds() -> Panel:
    """Which feeds bring news, and which fail?"""
    return dashboard(
        "conflictwire-feeds",
        "Conflictwire: feeds",
        [
            (
                4,
                [
                    stat("Feeds", "That have been pulled at least once.", "SELECT count(*) FROM feed_states", sql=True),
                    stat(
                        "Failing",
                        "Three times or more in a row.",
                        "SELECT count(*) FROM feed_states WHERE failures >= 3 AND NOT disabled",
                        warn=1,
                        sql=True,
                    ),
                    stat(
                        "Disabled",
                        "Gone for good, as their servers say.",
                        "SELECT count(*) FROM feed_states WHERE disabled",
                        sql=True,
                    ),
                    stat(
                        "Overdue",
                        "Due for more than an hour: does the puller run?",
                        "SELECT count(*) FROM feed_states WHERE next_due < now() - interval '1 hour' AND NOT disabled",
                        warn=1,
                        sql=True,
                    ),
                    stat(
                        "Articles",
                        "Fetched in the time shown.",
                        "SELECT count(*) FROM articles WHERE $__timeFilter(fetched)",
                        sql=True,
                    ),
                ],
            ),
            (
                8,
                [
                    bars(
                        "Articles fetched",
                        "By feed, the twelve with the most.",
                        """SELECT $__timeGroupAlias(fetched, $__interval), CASE WHEN feed IN (SELECT feed FROM articles
                        WHERE $__timeFilter(fetched) GROUP BY feed ORDER BY count(*) DESC LIMIT 12) THEN feed
                        ELSE 'other feeds' END AS metric, count(*) AS value FROM articles
                        WHERE $__timeFilter(fetched) GROUP BY 1, 2 ORDER BY 1""",
                    ),
                    lines(
                        "Failing feeds",
                        "By publisher: three failures or more in a row.",
                        [("conflictwire:feeds_failing:by_publisher", "{{publisher}}")],
                        stacked=True,
                    ),
                ],
            ),
            (
                10,
                [
                    table(
                        "Feeds that fail",
                        "The longest first.",
                        """SELECT name, failures, last_error, last_status, last_success, next_due, disabled, url
                        FROM feed_states WHERE failures > 0 OR disabled ORDER BY failures DESC, name LIMIT 200""",
                        "url",
                    ),
                    table(
                        "Feeds that have gone quiet",
                        "Read without failure, and nothing new for the longest time.",
                        """SELECT s.name, max(a.fetched) AS last_article, s.last_success, s.per_day
                        FROM feed_states s LEFT JOIN articles a ON a.feed = s.name
                        WHERE s.failures = 0 AND NOT s.disabled
                        GROUP BY s.name, s.last_success, s.per_day ORDER BY 2 NULLS FIRST LIMIT 200""",
                    ),
                ],
            ),
        ],
        [],
    )


def events() -> Panel:
    """What happens where?"""
    return dashboard(
        "conflictwire-events",
        "Conflictwire: events",
        [
            (
                4,
                [
                    stat("Events", "", "SELECT count(*) FROM events e WHERE @shown", sql=True),
                    stat("Countries", "", "SELECT count(DISTINCT e.country) FROM events e WHERE @shown", sql=True),
                    stat("Articles", "", "SELECT count(DISTINCT e.article_id) FROM events e WHERE @shown", sql=True),
                    stat(
                        "Reported deaths",
                        "The lowest count of each event, added up: several reports of one happening count each time.",
                        "SELECT coalesce(sum(e.dead_min), 0) FROM events e WHERE @shown",
                        sql=True,
                    ),
                ],
            ),
            (
                14,
                [
                    world(
                        "Events by country",
                        "Each country in the middle of its events.",
                        """SELECT e.country, count(*) AS events, coalesce(sum(e.dead_min), 0) AS dead,
                        percentile_cont(0.5) WITHIN GROUP (ORDER BY e.lat) AS lat,
                        percentile_cont(0.5) WITHIN GROUP (ORDER BY e.lon) AS lon
                        FROM events e WHERE @shown AND e.country IS NOT NULL AND e.lat IS NOT NULL GROUP BY 1""",
                        "events",
                    ),
                    world(
                        "Places",
                        "The 2,000 with the most events.",
                        """SELECT round(e.lat::numeric, 2) AS lat, round(e.lon::numeric, 2) AS lon, min(e.country) AS country,
                        count(*) AS events, string_agg(DISTINCT e.type, ', ') AS types FROM events e
                        WHERE @shown AND e.lat IS NOT NULL GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 2000""",
                        "events",
                    ),
                ],
            ),
            (
                9,
                [
                    bars(
                        "Types over time",
                        "By the time of coding.",
                        """SELECT $__timeGroupAlias(e.coded, $__interval), e.type AS metric, count(*) AS value
                        FROM events e WHERE @shown GROUP BY 1, 2 ORDER BY 1""",
                    ),
                    bars(
                        "Conflict and cooperation",
                        "By quad class.",
                        """SELECT $__timeGroupAlias(e.coded, $__interval), e.quad AS metric, count(*) AS value
                        FROM events e WHERE @shown GROUP BY 1, 2 ORDER BY 1""",
                    ),
                ],
            ),
            (
                12,
                [
                    table(
                        "Latest",
                        "A hundred, the newest first.",
                        """SELECT e.coded, e.type, e.country, e.confidence, e.dead_min AS dead, a.title, a.url
                        FROM events e JOIN articles a USING (article_id) WHERE @shown
                        ORDER BY e.coded DESC LIMIT 100""",
                        "url",
                    )
                ],
            ),
        ],
        [
            variable("type", "Type", "SELECT DISTINCT type FROM events WHERE superseded IS NULL ORDER BY 1"),
            variable(
                "country",
                "Country",
                "SELECT DISTINCT coalesce(country, '-') FROM events WHERE superseded IS NULL ORDER BY 1",
            ),
        ],
    )


def files() -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    for made in (pipeline(), feeds(), events()):
        yield f"{made['uid'].removeprefix('conflictwire-')}.json", json.dumps(made, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files():
        (FOLDER / name).write_text(text, encoding="utf-8")
