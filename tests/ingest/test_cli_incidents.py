"""`conflictwire incidents`, `incidents show`, `keep`, and the incidents that `run` keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.incidents import Keeper
from ingest.records import IncidentRecord, json_schema, parse_incident
from ingest.storage import Store
from tests.ingest.command import Answer, call, finish, start
from tests.ingest.keeping import STORY, Report, keep_all, store_reports
from tests.ingest.pipeline import Pipeline, article
from tests.models.incidents.reports import party

HOSTILE = "Gunmen \x1b[2J\u202emoc"


@pytest.fixture
def told(tmp_path: Path) -> Iterator[list[IncidentRecord]]:
    """A store with incidents; every record of them."""
    store = Store.open(f"sqlite:///{tmp_path / 'conflictwire.db'}")
    coding = {"text": f"{HOSTILE} seized ferries", "type": "COERCE", "modes": (), "place": None, "day": "2026-11-21"}
    hostile = Report("hostile", 20, {**coding, "actors": (party(HOSTILE, "SSD"),), "recipients": (), "dead": (3, None)})
    events = store_reports(store, [*STORY, hostile])
    yield keep_all(Keeper(store), events)
    store.close()


def show(folder: Path, *arguments: str) -> Answer:
    answer = call("incidents", *arguments, "--data-dir", folder)
    assert answer.code == 0, answer.err
    return answer


def test_incidents_can_be_listed_and_filtered(told: list[IncidentRecord], tmp_path: Path) -> None:
    last = {record.incident_id: record for record in told}
    current = [each for each in last.values() if each.kind != "merged_into" and each.status != "retracted"]
    lines = show(tmp_path, "--format", "json").lines
    assert {parse_incident(line.encode()).incident_id for line in lines} == {each.incident_id for each in current}
    corroborated = show(tmp_path, "--min-sources", "2", "--format", "json").lines
    assert {json.loads(line)["sources"] >= 2 for line in corroborated} == {True}
    assert len(show(tmp_path, "--limit", "1", "--format", "json").lines) == 1
    table = show(tmp_path).out
    assert "Headline of a" in table and "Kunduz, AFG" in table and "2026-11-24" in table
    assert "no incidents" in show(tmp_path, "--country", "FJI").err
    retracted = [each.incident_id for each in last.values() if each.status == "retracted"]
    assert [
        json.loads(line)["incident_id"] for line in show(tmp_path, "--status", "retracted", "--format", "json").lines
    ] == retracted


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--status", "sure"], "no status: give one of single_source"),
        (["--bbox", "1,2,3"], "no box: give west,south,east,north"),
        (["--bbox", "1,9,3,4"], "south below north"),
        (["--bbox", "nan,1,3,4"], "longitudes lie from"),
        (["--as-of", "2999-01-01"], "is to come"),
        (["show", "none"], "there is no incident 'none'"),
    ],
)
def test_a_wrong_question_is_told_what_is_right(tmp_path: Path, arguments: list[str], says: str) -> None:
    answer = call("incidents", *arguments, "--data-dir", tmp_path)
    assert answer.code in (1, 2) and answer.code == (1 if "show" in arguments else 2)
    assert says in " ".join(answer.err.replace("│", " ").split())


def test_an_incident_can_be_shown_with_its_reports_figures_and_revisions(
    told: list[IncidentRecord], tmp_path: Path
) -> None:
    (disputed, *_) = (each for each in reversed(told) if each.disputed)
    out = show(tmp_path, "show", disputed.incident_id).out
    for report in disputed.reports:
        assert f"Headline of {report.article_id}" in out and report.publisher in out
    assert "Six policemen died when armed men shot" in out
    assert "dead: 20 (1 source); figures from 2–20:" in out or "dead: 6 (1 source); figures from 2–20:" in out
    assert "disputed dead: " in out
    assert f"split from: {disputed.split_from}" in out or disputed.split_from is None
    history = [each for each in told if each.incident_id == disputed.incident_id]
    assert out.count(" reports\n") >= len(history)

    whole = json.loads(show(tmp_path, "show", disputed.incident_id, "--format", "json").out)
    assert whole["incident"] == json.loads(history[-1].to_json())
    assert [each["revision"] for each in whole["revisions"]] == list(range(1, len(history) + 1))
    assert [each["event_id"] for each in whole["events"]] == [
        report["event_id"] for report in whole["incident"]["reports"]
    ]


def test_nothing_in_an_incident_can_steer_a_terminal(told: list[IncidentRecord], tmp_path: Path) -> None:
    (hostile,) = (each for each in told if each.reports[0].article_id == "hostile")
    for arguments in ([], ["show", hostile.incident_id], ["--format", "json"]):
        out = show(tmp_path, *arguments).out
        assert hostile.incident_id in out
        assert "\x1b" not in out and "\u202e" not in out
    assert "Gunmen \ufffd[2J\ufffdmoc [SSD]" in show(tmp_path, "show", hostile.incident_id).out


def test_the_schema_of_incidents_takes_what_is_written(told: list[IncidentRecord], tmp_path: Path) -> None:
    import jsonschema

    answer = call("schema", "incident")
    assert json.loads(answer.out) == json_schema("incident")
    validator = jsonschema.Draft202012Validator(json.loads(answer.out))
    for record in told:
        validator.validate(json.loads(record.to_json()))


def test_run_and_keep_bring_incidents_out_of_articles(tmp_path: Path, embedded: Pipeline) -> None:
    embedded.publish([article(number, "Rebels killed 7 in the market.") for number in range(2)])
    (tmp_path / "feeds.toml").write_text("")
    ran = finish(start(tmp_path, "run", "--once"))
    kept = embedded.incidents()
    assert kept, ran.err
    embedded.publish([article(5, "The army shelled the road on day 5.")])
    assert finish(start(tmp_path, "worker", "--once")).code == 0
    answer = finish(start(tmp_path, "keep", "--once"))
    assert answer.code == 0, answer.err
    assert "keeper ended" in answer.err
    assert len(embedded.incidents()) > len(kept)
